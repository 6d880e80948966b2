"""What the checks of the Python libraries share: the words spoken with the harness, and where the libraries are.

Nothing here knows a library; each of them has its own file beside this one.
"""

import importlib
import importlib.metadata
import os
import signal
import socket
import sys
import time
import traceback

# Every check reports these, in this order; what a library offers beyond them follows.
CASES = """
    foreground background high low priorities status-running status-known status-unknown progress data warning exception
    fail unique binary empty large dying-worker several-functions timeout echo admin restart two-servers
""".split()

# A case that hangs fails after so many seconds; the others are still run.
PATIENCE = 20

# Payloads of the cases "binary" and "large".
EVERY_BYTE = bytes(range(256))
LARGE = bytes(range(251)) * (3 * 1024 * 1024 // 251 + 1)


class Absent(Exception):
    """The library has no such thing, or it is broken in the library itself: with any server."""


class Hangs(Exception):
    """A case took longer than PATIENCE."""


def library(package, module):
    """Imports one library from its own folder: several of them call their module `gearman`, and the checks beside this
    file have names of modules too."""
    sys.path[0] = os.path.join(os.environ["CLIENTS_DIR"], "python", package)
    loaded = importlib.import_module(module)
    say("version %s %s" % (package, importlib.metadata.version(package)))
    return loaded


def say(line):
    print(line, flush=True)


def please(what):
    """Asks the harness to `kill A`, `start A` or `stop A`, and waits until it is done."""
    say("please " + what)
    answer = sys.stdin.readline().strip()
    if answer != "done":
        raise RuntimeError("the harness answered %r to 'please %s'" % (answer, what))


def expect(seen, wanted, what="result"):
    if seen != wanted:
        raise AssertionError("%s is %s, not %s" % (what, brief(seen), brief(wanted)))


def brief(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def broken(case, words, reason):
    """`case`, which the library itself breaks with any server: it must fail with `words`, or work after all."""

    def run():
        try:
            case()
        except Exception as error:
            if words not in str(error):
                raise
            raise Absent("broken in the library: " + reason) from error

    return run


def await_status(port, function, wanted):
    """Waits until the server says `wanted` of the function: jobs, of those running, and workers. It is for what a
    library says to the server without waiting for an answer."""
    deadline = time.monotonic() + PATIENCE / 2
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        lines = connection.makefile("rw", newline="\n")
        while True:
            lines.write("status\n")
            lines.flush()
            seen = {}
            for line in iter(lines.readline, ".\n"):
                name, *numbers = line.rstrip("\n").split("\t")
                seen[name] = tuple(int(number) for number in numbers)
            if seen.get(function) == wanted:
                return
            if time.monotonic() > deadline:
                raise AssertionError("status of %s is %s, not %s" % (function, seen.get(function), wanted))
            time.sleep(0.01)


def await_true(condition, what):
    """Waits for something that nothing announces."""
    deadline = time.monotonic() + PATIENCE / 2
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("no " + what + " in time")
        time.sleep(0.01)


def ports():
    return [int(port) for port in sys.argv[1:3]]


def run(cases):
    """Runs `cases`, a dictionary of names to functions without arguments, or to the reason why it is absent."""

    def too_late(*_):
        raise Hangs("no end after %d s" % PATIENCE)

    signal.signal(signal.SIGALRM, too_late)
    missing = [name for name in CASES if name not in cases]
    assert not missing, missing
    for name in CASES + [name for name in cases if name not in CASES]:
        report(name, cases[name])
    sys.stdout.flush()
    # Threads of a library that still wait for something are no reason to stay.
    os._exit(0)


def report(name, case):
    if isinstance(case, str):
        return say("case %s absent %s" % (name, case))
    signal.alarm(PATIENCE)
    try:
        case()
        say("case %s ok" % name)
    except Absent as absent:
        say("case %s absent %s" % (name, one_line(absent)))
    except Exception as failure:
        traceback.print_exc()
        say("case %s failed %s: %s" % (name, type(failure).__name__, one_line(failure)))
    finally:
        signal.alarm(0)


def one_line(text):
    return " ".join(str(text).split())[:300]
