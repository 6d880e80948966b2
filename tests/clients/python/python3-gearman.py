"""The check of PyPI's python3-gearman, whose names and payloads are text. It is one of a family: see family.py."""

import family

family.run("python3-gearman", "python3_gearman", text=True)
