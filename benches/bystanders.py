#!/usr/bin/env python3
"""What a bystander notices of reports on a full server, and of connections that flood it.

  benches/bystanders.py SERVER... -- OUT        e.g. target/release/ringgear -t 1 -- results/x

Starts the server on a free port of loopback (its command, to which `-L 127.0.0.1 -p PORT` is added), and writes OUT/bystanders.tsv:
for each case how often a bystander's ECHO_REQ was answered meanwhile, the median, the 99th percentile and the worst time in milliseconds,
and by how many KiB the server's memory grew at the most (its peak, which the kernel is told to forget before each case). Every time is
from the moment at which the request was due, one each 2 ms; OUT/times.tsv has all of them. Needs nothing but Python and /proc.
"""
import os, pathlib, socket, statistics, struct, subprocess, sys, threading, time

JOBS, FUNCTIONS = 1_000_000, 100_000
ECHO_REQ, SUBMIT_JOB_BG = 16, 18
PACE = 0.002


def packet(kind, data):
    return b"\0REQ" + struct.pack(">II", kind, len(data)) + data


def connect(port):
    stream = socket.create_connection(("127.0.0.1", port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def read_exactly(stream, length):
    parts = []
    while length:
        part = stream.recv(min(length, 1 << 20))
        if not part:
            raise EOFError("the server closed a connection")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def fill(port):
    """A million background jobs, spread over the functions."""
    stream, rest = connect(port), JOBS
    name = 0
    while rest:
        count = min(rest, 1000)
        jobs = []
        for _ in range(count):
            jobs.append(packet(SUBMIT_JOB_BG, b"function-%d\0\0workload" % (name % FUNCTIONS)))
            name += 1
        stream.sendall(b"".join(jobs))
        for _ in range(count):
            head = read_exactly(stream, 12)
            kind, length = struct.unpack(">II", head[4:])
            answer = read_exactly(stream, length)
            if kind != 8:
                sys.exit(f"a job was refused: {answer!r}")
        rest -= count
    stream.close()


def ask(port, line):
    """Reads a report to its end as fast as it comes; its length in bytes."""
    stream = connect(port)
    stream.sendall(line.encode() + b"\n")
    length, end = 0, b""
    while not (end.endswith(b"\n.\n") or end == b".\n"):
        part = stream.recv(1 << 20)
        if not part:
            raise EOFError(f"the server closed the connection that asked {line!r}")
        length += len(part)
        end = (end + part)[-3:]
    stream.close()
    return length


class Bystander(threading.Thread):
    """One ECHO_REQ each 2 ms, as a process of its own would send it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.over, self.times = port, threading.Event(), []
        self.begun = threading.Event()
        self.start()
        self.begun.wait()

    def run(self):
        # In a process of its own: this one may be busy reading.
        script = (
            "import socket,struct,sys,time\n"
            "s=socket.create_connection(('127.0.0.1',int(sys.argv[1])));s.setsockopt(6,1,1)\n"
            "q=b'\\0REQ'+struct.pack('>II',16,4)+b'beat';due=time.perf_counter()\n"
            "print(flush=True)\n"
            "while True:\n"
            "  now=time.perf_counter()\n"
            "  if now<due: time.sleep(due-now)\n"
            "  s.sendall(q);n=0\n"
            "  while n<16:\n"
            "    p=s.recv(16-n)\n"
            "    if not p: sys.exit('closed')\n"
            "    n+=len(p)\n"
            "  print(time.perf_counter()-due,flush=True);due+=%f\n" % PACE
        )
        child = subprocess.Popen([sys.executable, "-c", script, str(self.port)], stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        self.begun.set()
        for line in child.stdout:
            self.times.append(float(line) * 1000)
            if self.over.is_set():
                break
        child.terminate()
        child.wait()

    def finish(self):
        self.over.set()
        self.join()
        return self.times


def memory(pid, key):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(key + ":")))


def flood(port, kind, data, seconds):
    """Sends packets as fast as they are taken, and reads the answers."""
    stream = connect(port)
    chunk = packet(kind, data) * max(1, 65536 // (12 + len(data)))
    end = time.monotonic() + seconds

    def read():
        try:
            while stream.recv(1 << 20):
                pass
        except OSError:
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while time.monotonic() < end:
        stream.sendall(chunk)
    stream.shutdown(socket.SHUT_WR)
    reader.join(30)
    stream.close()


def case(pid, port, name, work, out):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = memory(pid, "VmRSS")
    bystander = Bystander(port)
    begin = time.monotonic()
    said = work()
    took = time.monotonic() - begin
    times = bystander.finish()
    with open(pathlib.Path(out.name).with_name("times.tsv"), "a") as raw:
        raw.writelines(f"{name}\t{time:.3f}\n" for time in times)
    times.sort()
    grown = max(0, memory(pid, "VmHWM") - before)
    percentile = times[min(len(times) - 1, len(times) * 99 // 100)]
    row = [name, said or "", f"{took:.2f}", len(times), f"{statistics.median(times):.3f}", f"{percentile:.3f}", f"{times[-1]:.3f}", grown]
    print(*row, sep="\t", flush=True)
    print(*row, sep="\t", file=out, flush=True)


def floods(port, kind, data):
    def work():
        # Processes, so that four of them are four.
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                flood(port, kind, data, 5)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)

    return work


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    at = sys.argv.index("--")
    command, folder = sys.argv[1:at], pathlib.Path(sys.argv[at + 1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "times.tsv").unlink(missing_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([*command, "-L", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                connect(port).close()
                break
            except ConnectionRefusedError:
                if server.poll() is not None:
                    sys.exit("the server has ended")
                time.sleep(0.02)
        with open(folder / "bystanders.tsv", "w") as out:
            head = ["case", "bytes", "seconds", "echoes", "p50 ms", "p99 ms", "worst ms", "memory KiB"]
            print(*head, sep="\t")
            print(*head, sep="\t", file=out)
            pid = server.pid
            case(pid, port, "nothing", lambda: time.sleep(5), out)
            case(pid, port, "four flood with ECHO_REQ", floods(port, ECHO_REQ, b"flood"), out)
            case(pid, port, "four flood with results of unknown jobs", floods(port, 13, b"H:x:1\0result"), out)
            print(f"filling: {JOBS} jobs of {FUNCTIONS} functions", flush=True)
            fill(port)
            case(pid, port, "nothing, full", lambda: time.sleep(5), out)
            lines = ["status", "prioritystatus", "jobs", "show jobs", "show unique jobs", "workers", "clients", "show dead jobs"]
            for line in sys.argv[at + 2 :] or lines:
                case(pid, port, line, lambda: ask(port, line), out)
    finally:
        server.terminate()
        server.wait()


main()
