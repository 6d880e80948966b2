"""The check of PyPI's pygearman. It is one of a family: see family.py."""

import family

family.run("pygearman", "gearman")
