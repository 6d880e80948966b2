"""The check of PyPI's gearman3. It is one of a family: see family.py.

The library appends what it received with `array.fromstring`, which Python 3.9 removed (it is `frombytes` by its newer
name). With an older Python it works as it is; so that a newer one can show what it does, it gets the old name back.
"""

import array
import sys
import types

import check
import family


class Array(array.array):
    def fromstring(self, data):
        self.frombytes(data)

    def __getitem__(self, at):
        part = super().__getitem__(at)
        return Array(self.typecode, part) if isinstance(at, slice) else part


gearman = check.library("gearman3", "gearman")
if not hasattr(array.array, "fromstring"):
    sys.modules["gearman.connection"].array = types.SimpleNamespace(array=Array)
BYTES = "compares bytes with text"
family.run_loaded(
    gearman,
    "gearman3",
    broken={
        "status-running": ("[False, False, 1, 2], not [True, True, 1, 2]", BYTES),
        "status-known": ("[False, False, 0, 0], not [True, False, 0, 0]", BYTES),
        "echo": ("got b'ping? pong!', expected ping? pong!", BYTES),
        "admin": ("a bytes-like object is required, not 'str'", BYTES),
    },
)
