"""The check of PyPI's gear, OpenStack's library (Zuul and its kin live on it)."""

import os
import threading

import check
from check import expect

gear = check.library("gear", "gear")

PATIENCE = 8
PORT_A, PORT_B = check.ports()
HOST = "127.0.0.1"


class Client(gear.Client):
    """A client as its users write it: they override the handlers to hear of events."""

    def __init__(self, *ports):
        super().__init__("checking-client")
        self.changed = threading.Condition()
        self.events = []
        self.echoes = []
        self.states = {}
        for port in ports or [PORT_A]:
            self.addServer(HOST, port)
        self.waitForServer(PATIENCE)

    def note(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def await_that(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE):
                raise AssertionError("no " + what + " in time")

    def handleWorkComplete(self, packet):
        self.note(("complete", super().handleWorkComplete(packet)))

    def handleWorkFail(self, packet):
        self.note(("fail", super().handleWorkFail(packet)))

    def handleWorkException(self, packet):
        self.note(("exception", super().handleWorkException(packet)))

    def handleWorkData(self, packet):
        self.note(("data", super().handleWorkData(packet)))

    def handleWorkWarning(self, packet):
        self.note(("warning", super().handleWorkWarning(packet)))

    def handleWorkStatus(self, packet):
        job = super().handleWorkStatus(packet)
        self.note(("status", (job.numerator, job.denominator)))

    def handleDisconnect(self, job):
        self.note(("disconnect", job))

    def handleEchoRes(self, packet):
        super().handleEchoRes(packet)
        self.note(("echo", packet.getArgument(0, True)))

    def handleStatusRes(self, packet):
        self.states[packet.getArgument(0)] = [packet.getArgument(number) for number in range(1, 5)]
        self.note(("state", packet.getArgument(0)))

    def status(self, handle):
        """As Zuul asks: the library has a handler for the answer, but no method for the question."""
        self.states.pop(handle, None)
        packet = gear.Packet(gear.constants.REQ, gear.constants.GET_STATUS, handle)
        self.sendPacket(packet, self.getConnection())
        self.await_that(lambda: handle in self.states, "status")
        return self.states[handle]

    def do(self, name, arguments=b"", **options):
        """Submits a job and waits for its end."""
        job = gear.Job(name, arguments)
        self.submitJob(job, **options)
        self.wait(job)
        return job

    def wait(self, job):
        self.await_that(lambda: job.complete, "end of the job")


class Working:
    """A worker and the thread that works for it. `functions` are by name; each is given the job and returns the result,
    or None if it has ended the job itself."""

    def __init__(self, functions, *ports, timeout=None, client_id="checking-worker"):
        self.functions = functions
        self.worker = gear.Worker(client_id)
        for port in ports or [PORT_A]:
            self.worker.addServer(HOST, port)
        # A function that is registered while a connection is being made may be told to nobody on it.
        servers = len(ports or [PORT_A])
        check.await_true(lambda: len(self.worker.active_connections) == servers, "connections of the worker")
        for name in functions:
            self.worker.registerFunction(name, timeout)
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while True:
            try:
                job = self.worker.getJob()
            except gear.InterruptedError:
                return
            try:
                result = self.functions[job.name](job)
            except Exception as error:
                job.sendWorkException(str(error).encode())
            else:
                if result is not None:
                    job.sendWorkComplete(result)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        # In this order: shutdown alone waits five seconds for the answer to a GRAB_JOB that it no longer reads. And
        # again, since it stops those who wait for a job now, not one who is about to.
        while self.thread.is_alive():
            self.worker.stopWaitingForJobs()
            self.thread.join(0.02)
        self.worker.shutdown()


def name(case):
    return "gear-" + case


def working(case, function, *ports, **options):
    return Working({name(case): function}, *ports, **options)


def complete(job, *data):
    expect((job.complete, job.failure), (True, False), "complete, failure")
    expect(b"".join(job.data), b"".join(data))


def noting(seen):
    """A function that notes the arguments of its jobs in `seen`, and the condition to wait for them."""
    changed = threading.Condition()

    def function(job):
        with changed:
            seen.append(job.arguments)
            changed.notify_all()
        return b""

    def await_all(count):
        with changed:
            changed.wait_for(lambda: len(seen) >= count, PATIENCE)

    return function, await_all


def foreground():
    client = Client()
    with working("foreground", lambda job: job.arguments[::-1]):
        complete(client.do(name("foreground"), b"Hello"), b"olleH")
    client.shutdown()


def background():
    client = Client()
    seen = []
    function, await_all = noting(seen)
    with working("background", function):
        job = gear.Job(name("background"), b"in the back")
        client.submitJob(job, background=True)
        assert job.handle.startswith(b"H:"), job.handle
        await_all(1)
    expect(seen, [b"in the back"], "workloads")
    client.shutdown()


def of_precedence(case, precedence):
    client = Client()
    seen = []
    function, await_all = noting(seen)
    with working(case, lambda job: job.arguments.upper()):
        complete(client.do(name(case), b"first", precedence=precedence), b"FIRST")
    with working(case, function):
        client.submitJob(gear.Job(name(case), b"in the back"), background=True, precedence=precedence)
        await_all(1)
    expect(seen, [b"in the back"], "workloads")
    client.shutdown()


def priorities():
    client = Client()
    kinds = {"low": gear.PRECEDENCE_LOW, "normal": gear.PRECEDENCE_NORMAL, "high": gear.PRECEDENCE_HIGH}
    for number in (b"1", b"2"):
        for kind, precedence in kinds.items():
            job = gear.Job(name("priorities"), kind.encode() + number)
            client.submitJob(job, background=True, precedence=precedence)
    seen = []
    function, await_all = noting(seen)
    with working("priorities", function):
        await_all(6)
    expect(seen, [b"high1", b"high2", b"normal1", b"normal2", b"low1", b"low2"], "order")
    client.shutdown()


def status_running():
    client = Client()
    go = threading.Event()

    def half(job):
        job.sendWorkStatus(1, 2)
        go.wait()
        return b"whole"

    with working("status-running", half):
        job = gear.Job(name("status-running"), b"")
        client.submitJob(job)
        client.await_that(lambda: ("status", (b"1", b"2")) in client.events, "progress")
        expect(client.status(job.handle), [b"1", b"1", b"1", b"2"], "status")
        go.set()
        client.wait(job)
    complete(job, b"whole")
    client.shutdown()


def status_known():
    client = Client()
    job = gear.Job(name("status-known"), b"")
    client.submitJob(job, background=True)
    expect(client.status(job.handle), [b"1", b"0", b"0", b"0"], "status")
    client.shutdown()


def status_unknown():
    client = Client()
    expect(client.status(b"H:nobody.knows:4711"), [b"0", b"0", b"0", b"0"], "status")
    client.shutdown()


def progress():
    client = Client()

    def steps(job):
        for step in (1, 2, 3):
            job.sendWorkStatus(step, 3)
        return b""

    with working("progress", steps):
        job = client.do(name("progress"))
    seen = [what for kind, what in client.events if kind == "status"]
    expect(seen, [(b"1", b"3"), (b"2", b"3"), (b"3", b"3")], "updates")
    expect(job.fraction_complete, 1.0, "fraction_complete")
    client.shutdown()


def data():
    client = Client()

    def parts(job):
        job.sendWorkData(b"one")
        job.sendWorkData(b"\0\1\2")
        return b"end"

    with working("data", parts):
        job = client.do(name("data"))
    expect(list(job.data), [b"one", b"\0\1\2", b"end"], "data")
    expect([kind for kind, _ in client.events], ["data", "data", "complete"], "events")
    client.shutdown()


def warning():
    client = Client()

    def warns(job):
        job.sendWorkWarning(b"careful")
        return b"end"

    with working("warning", warns):
        job = client.do(name("warning"))
    expect(job.warning, True, "warning")
    complete(job, b"careful", b"end")
    client.shutdown()


def exception():
    client = Client()

    def raises(job):
        raise ValueError("no good")

    with working("exception", raises):
        # Not asked for, it is a failure; asked for, it arrives as it was sent.
        job = client.do(name("exception"))
        expect((job.failure, job.exception), (True, None), "failure, exception")
        expect(client.setOption("exceptions"), True, "setOption")
        job = client.do(name("exception"))
        expect((job.failure, job.exception), (True, b"no good"), "failure, exception")
    expect([kind for kind, _ in client.events], ["fail", "exception"], "events")
    client.shutdown()


def fail():
    client = Client()
    with working("fail", lambda job: job.sendWorkFail()):
        job = client.do(name("fail"))
    expect((job.complete, job.failure, list(job.data)), (True, True, []), "complete, failure, data")
    client.shutdown()


def unique():
    clients = [Client(), Client()]
    jobs = [gear.Job(name("unique"), b"", unique="same") for _ in clients]
    for client, job in zip(clients, jobs):
        client.submitJob(job)
    expect(jobs[0].handle, jobs[1].handle, "handle")
    seen = []

    def once(job):
        seen.append(job.unique)
        return b"once"

    with working("unique", once):
        for client, job in zip(clients, jobs):
            client.wait(job)
            complete(job, b"once")
            client.shutdown()
    expect(seen, [b"same"], "uniques of the runs")


def there_and_back(case, payload):
    client = Client()
    with working(case, lambda job: job.arguments):
        complete(client.do(name(case), payload), payload)
    client.shutdown()


def dying_worker():
    # The dying worker is a process of its own: this very program, see the end.
    client = Client()
    job = gear.Job(name("dying-worker"), b"")
    client.submitJob(job)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:

        def dies(job):
            os.write(write, b"!")
            os._exit(1)

        Working({name("dying-worker"): dies}, client_id="dying").work()
    expect(os.read(read, 1), b"!", "word of the dying worker")
    os.waitpid(child, 0)
    with working("dying-worker", lambda job: b"survived"):
        client.wait(job)
    complete(job, b"survived")
    client.shutdown()


def several_functions():
    client = Client()
    functions = {
        name("several-upper"): lambda job: job.arguments.upper(),
        name("several-reverse"): lambda job: job.arguments[::-1],
        name("several-length"): lambda job: b"%d" % len(job.arguments),
    }
    with Working(functions):
        complete(client.do(name("several-length"), b"abc"), b"3")
        complete(client.do(name("several-upper"), b"abc"), b"ABC")
        complete(client.do(name("several-reverse"), b"abc"), b"cba")
    client.shutdown()


def timeout():
    """CAN_DO_TIMEOUT: the job of a worker that is too slow goes to another one."""
    client = Client()
    told, go = threading.Event(), threading.Event()

    def slow(job):
        told.set()
        go.wait()
        return b"too late"

    job = gear.Job(name("timeout"), b"")
    with working("timeout", slow, timeout=b"1000"):
        client.submitJob(job)
        assert told.wait(PATIENCE), "the job does not run"
        with working("timeout", lambda job: b"in time"):
            client.wait(job)
            complete(job, b"in time")
        go.set()
    client.shutdown()


def echo():
    """Connection.echo() itself gives up always: it takes a noted answer for none. Its packets are right."""
    client = Client()
    client.getConnection().sendEchoReq(b"any\0bytes")
    client.await_that(lambda: ("echo", b"any\0bytes") in client.events, "echo")
    client.shutdown()


def admin():
    client = Client()
    connection = client.getConnection()

    def ask(request):
        connection.sendAdminRequest(request, PATIENCE)
        return request.response

    expect(ask(gear.VersionAdminRequest())[:3], b"OK ", "version")
    job = gear.Job(name("admin-queued"), b"")
    client.submitJob(job, background=True)
    with working("admin", lambda job: b"", client_id="worker-of-gear"):
        client.do(name("admin"))
        status = ask(gear.StatusAdminRequest()).split(b"\n")
        assert b"gear-admin\t0\t0\t1" in status, status
        assert b"gear-admin-queued\t1\t0\t0" in status, status
        workers = ask(gear.WorkersAdminRequest()).split(b"\n")
        [mine] = [line for line in workers if b"worker-of-gear" in line]
        expect(mine.split(b" ", 1)[1], b"127.0.0.1 worker-of-gear : gear-admin", "workers")
    jobs = ask(gear.ShowJobsAdminRequest()).split(b"\n")
    assert job.handle + b"\t0\t0\t1" in jobs, jobs
    assert ask(gear.ShowUniqueJobsAdminRequest()).endswith(b".\n")
    expect(ask(gear.CancelJobAdminRequest(job.handle)).strip(), b"OK", "answer to cancel")
    client.shutdown()


def restart():
    client = Client()
    with working("restart", lambda job: job.arguments.upper()) as here:
        complete(client.do(name("restart"), b"before"), b"BEFORE")
        waiting = gear.Job("gear-restart-nobody-does-it", b"")
        client.submitJob(waiting)
        check.please("kill A")
        # A job on a lost connection is told so; client and worker connect again by themselves.
        client.await_that(lambda: ("disconnect", waiting) in client.events, "word of the disconnect")
        check.please("start A")
        client.waitForServer(PATIENCE)
        here.worker.waitForServer(PATIENCE)
        complete(client.do(name("restart"), b"after"), b"AFTER")
    client.shutdown()


def two_servers():
    client = Client(PORT_A, PORT_B)
    check.await_true(lambda: len(client.active_connections) == 2, "connections to both")
    with working("two-servers", lambda job: job.arguments.upper(), PORT_A, PORT_B):
        check.await_status(PORT_A, name("two-servers"), (0, 0, 1))
        check.await_status(PORT_B, name("two-servers"), (0, 0, 1))
        for _ in range(4):
            complete(client.do(name("two-servers"), b"both"), b"BOTH")
        check.please("kill A")
        # A job sent to the lost server in the instant before the library notices would wait for its whole timeout.
        check.await_true(lambda: len(client.active_connections) == 1, "loss of one connection")
        for _ in range(4):
            complete(client.do(name("two-servers"), b"one"), b"ONE")
        check.please("start A")
    client.shutdown()


def text_jobs():
    """TextJob and TextWorker: the same in UTF-8."""
    client = Client()
    worker = gear.TextWorker("checking-text-worker")
    worker.addServer(HOST, PORT_A)
    worker.waitForServer(PATIENCE)
    worker.registerFunction(name("text"))

    def work():
        job = worker.getJob()
        job.sendWorkComplete(job.arguments.upper())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    job = gear.TextJob(name("text"), "grüße", unique="schön")
    client.submitJob(job)
    client.wait(job)
    expect(list(job.data), ["GRÜSSE"], "data")
    thread.join(PATIENCE)
    worker.shutdown()
    client.shutdown()


def set_functions():
    """setFunctions replaces all functions of a connected worker; Zuul's executors do so all the time."""
    client = Client()
    with Working({name("set-one"): lambda job: b"one"}) as here:
        complete(client.do(name("set-one")), b"one")
        here.functions[name("set-two")] = lambda job: b"two"
        here.worker.setFunctions([gear.FunctionRecord(b"gear-set-two")])
        check.await_status(PORT_A, name("set-one"), (0, 0, 0))
        check.await_status(PORT_A, name("set-two"), (0, 0, 1))
        complete(client.do(name("set-two")), b"two")
        here.worker.unRegisterFunction(name("set-two"))
        check.await_status(PORT_A, name("set-two"), (0, 0, 0))
    client.shutdown()


def worker_threads():
    """Several threads in getJob of one worker: one connection holds several jobs."""
    client = Client()
    together = threading.Barrier(3)

    def meets(job):
        together.wait(PATIENCE)
        return job.arguments

    with working("threads", meets) as here:
        for _ in range(2):
            threading.Thread(target=here.work, daemon=True).start()
        jobs = [gear.Job(name("threads"), b"%d" % number) for number in range(3)]
        for job in jobs:
            client.submitJob(job)
        for number, job in enumerate(jobs):
            client.wait(job)
            complete(job, b"%d" % number)
    client.shutdown()


check.run(
    {
        "foreground": foreground,
        "background": background,
        "high": lambda: of_precedence("high", gear.PRECEDENCE_HIGH),
        "low": lambda: of_precedence("low", gear.PRECEDENCE_LOW),
        "priorities": priorities,
        "status-running": status_running,
        "status-known": status_known,
        "status-unknown": status_unknown,
        "progress": progress,
        "data": data,
        "warning": warning,
        "exception": exception,
        "fail": fail,
        "unique": unique,
        "binary": lambda: there_and_back("binary", check.EVERY_BYTE),
        "empty": lambda: there_and_back("empty", b""),
        "large": lambda: there_and_back("large", check.LARGE),
        "dying-worker": dying_worker,
        "several-functions": several_functions,
        "timeout": timeout,
        "echo": echo,
        "admin": admin,
        "restart": restart,
        "two-servers": two_servers,
        "text-jobs": text_jobs,
        "set-functions": set_functions,
        "worker-threads": worker_threads,
    }
)
