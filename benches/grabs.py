#!/usr/bin/env python3
"""What a grab without a job costs a server, and what it costs to sleep, by the number of threads.

    benches/grabs.py SERVER [SERVER ...] -- OUT      each SERVER is a program; OUT a file of tab-separated values

Workers of a hundred functions grab, sleep, and grab again, each as soon as it has its answer; nothing is ever queued. CPU time is
that of the server, user and system, for each GRAB_JOB with its PRE_SLEEP. Rounds of the servers and of the numbers of threads alternate.
"""
import os, socket, statistics, struct, subprocess, sys, time

FUNCTIONS, WORKERS, GRABS, ROUNDS, THREADS = 100, 16, 40_000, 5, (1, 2, 8, 32)
CAN_DO, PRE_SLEEP, GRAB_JOB = 1, 4, 9


def packet(kind, body=b""):
    return b"\0REQ" + struct.pack(">II", kind, len(body)) + body


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(program, threads):
    port = free_port()
    server = subprocess.Popen(
        [program, "-t", str(threads), "-L", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        workers = [socket.create_connection(("127.0.0.1", port)) for _ in range(WORKERS)]
        known = b"".join(packet(CAN_DO, b"function-%d" % n) for n in range(FUNCTIONS))
        grab = packet(GRAB_JOB) + packet(PRE_SLEEP)
        for worker in workers:
            worker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            worker.sendall(known + grab)
            answer(worker)
        time.sleep(0.2)
        before, begun = cpu(server.pid), time.monotonic()
        for _ in range(GRABS // WORKERS):
            for worker in workers:
                worker.sendall(grab)
            for worker in workers:
                answer(worker)
        return (cpu(server.pid) - before) / GRABS * 1e6, (time.monotonic() - begun) / GRABS * 1e6
    finally:
        server.terminate()
        server.wait()


def answer(worker):
    got = b""
    while len(got) < 12:
        more = worker.recv(4096)
        assert more, "the server has closed the connection"
        got += more
    assert got == b"\0RES" + struct.pack(">II", 10, 0), f"no NO_JOB: {got!r}"


def main():
    split = sys.argv.index("--")
    programs, out = sys.argv[1:split], sys.argv[split + 1]
    figures = {}
    for turn in range(ROUNDS):
        for program in programs if turn % 2 == 0 else programs[::-1]:
            for threads in THREADS:
                figures.setdefault((program, threads), []).append(run(program, threads))
    with open(out, "w") as file:
        file.write("server\tthreads\tCPU us a grab, median\tleast\tmost\twall us a grab, median\n")
        for (program, threads), runs in figures.items():
            cpus, walls = zip(*runs)
            row = [program, threads, *(f"{x:.1f}" for x in (statistics.median(cpus), min(cpus), max(cpus), statistics.median(walls)))]
            file.write("\t".join(map(str, row)) + "\n")
    print(open(out).read(), end="")


main()
