"""The check of the python-gearman family: gearman3, pygearman and python3-gearman are forks of one library.

What they do alike is here; their heads beside this file say which one is meant and how it differs.
"""

import os
import threading
import time

import check
from check import expect

# The worker looks at its stop flag so often; the client gives up after CLIENT_TIMEOUT.
WORKER_POLL = 0.05
CLIENT_TIMEOUT = 8
TO_ASCII = bytes(value & 127 for value in range(256))


class Family:
    def __init__(self, module, name, text=False):
        self.g = module
        self.name = name
        # Whether names and payloads are text in this library, and not bytes.
        self.text = text
        self.port_a, _ = check.ports()
        self.a, self.b = ("127.0.0.1:%d" % port for port in check.ports())
        self.client = None

    # Helpers

    def with_client(self, case):
        """Each case has a client of its own, so that one that fails spoils no other."""

        def run():
            self.client = self.g.GearmanClient([self.a])
            try:
                case()
            finally:
                self.client.shutdown()

        return run

    def function(self, case):
        return "%s-%s" % (self.name, case)

    def t(self, data):
        """The bytes `data` as this library has them."""
        return data.decode() if self.text and data is not None else data

    def ability(self, case):
        """Of the libraries that know bytes, workers want the names of functions so: as they come from the server."""
        return self.t(self.function(case).encode())

    def submit(self, case, data=b"", client=None, **options):
        options.setdefault("poll_timeout", CLIENT_TIMEOUT)
        return (client or self.client).submit_job(self.function(case), self.t(data), **options)

    def submit_until_done(self, case, data):
        """What users of this library do: it notices a lost connection only by submitting, waits a second before it
        connects to the same server again, and does not listen to a server that it turns to while it waits."""
        deadline = time.monotonic() + CLIENT_TIMEOUT
        while True:
            try:
                request = self.submit(case, data, poll_timeout=1)
                if not request.timed_out:
                    return request
            except Exception as error:
                if type(error).__name__ not in ("ExceededConnectionAttempts", "ServerUnavailable"):
                    raise
            assert time.monotonic() < deadline, "no server found in time"
            time.sleep(0.05)

    def working(self, functions, servers=None, **options):
        named = {self.ability(name): self.callback(callback) for name, callback in functions.items()}
        return Working(self.g, servers or [self.a], named, **options)

    def callback(self, function):
        def run(worker, job):
            if self.text:
                job.data = job.data.encode()
            return self.t(function(worker, job))

        return run

    def complete(self, request, result):
        expect(request.state, self.g.JOB_COMPLETE, "state")
        expect(request.timed_out, False, "timed_out")
        expect(request.result, self.t(result))

    def wait(self, *requests):
        self.client.wait_until_jobs_completed(list(requests), poll_timeout=CLIENT_TIMEOUT)

    def status(self, request):
        return self.client.get_job_status(request, poll_timeout=CLIENT_TIMEOUT).status

    # Cases

    def foreground(self):
        with self.working({"foreground": lambda worker, job: job.data[::-1]}):
            self.complete(self.submit("foreground", b"Hello"), b"olleH")

    def background(self):
        seen = Seen()
        with self.working({"background": lambda worker, job: seen.add(job.data)}):
            request = self.submit("background", b"in the back", background=True)
            expect(request.state, self.g.JOB_CREATED, "state")
            assert request.job.handle.startswith(self.t(b"H:")), request.job.handle
            expect(seen.first(1), [b"in the back"], "workloads")

    def of_priority(self, case, priority):
        with self.working({case: lambda worker, job: job.data.upper()}):
            self.complete(self.submit(case, b"first", priority=priority), b"FIRST")
            seen = Seen()
        with self.working({case: lambda worker, job: seen.add(job.data)}):
            self.submit(case, b"in the back", priority=priority, background=True)
            expect(seen.first(1), [b"in the back"], "workloads")

    def priorities(self):
        kinds = {"low": self.g.PRIORITY_LOW, "normal": self.g.PRIORITY_NONE, "high": self.g.PRIORITY_HIGH}
        for number in (b"1", b"2"):
            for kind, priority in kinds.items():
                self.submit("priorities", kind.encode() + number, priority=priority, background=True)
        seen = Seen()
        with self.working({"priorities": lambda worker, job: seen.add(job.data)}):
            order = seen.first(6)
        expect(order, [b"high1", b"high2", b"normal1", b"normal2", b"low1", b"low2"], "order")

    def status_running(self):
        told, go = threading.Event(), threading.Event()

        def half(worker, job):
            worker.send_job_status(job, 1, 2)
            told.set()
            go.wait()
            return b"whole"

        with self.working({"status-running": half}):
            # Without waiting, so that this very connection can ask.
            request = self.submit("status-running", wait_until_complete=False)
            assert told.wait(CLIENT_TIMEOUT), "the job does not run"
            # WORK_STATUS fills the same dictionary: take it first, then ask.
            self.client.wait_until_jobs_completed([request], poll_timeout=0.1)
            request.status = {}
            status = self.status(request)
            go.set()
            self.wait(request)
        seen = [status.get(key) for key in ("known", "running", "numerator", "denominator")]
        expect(seen, [True, True, 1, 2], "status")
        self.complete(request, b"whole")

    def status_known(self):
        request = self.submit("status-known", background=True)
        status = self.status(request)
        seen = [status.get(key) for key in ("known", "running", "numerator", "denominator")]
        expect(seen, [True, False, 0, 0], "status")

    def status_unknown(self):
        request = self.submit("status-known", background=True)
        request.job.handle = self.t(b"H:nobody.knows:4711")
        status = self.status(request)
        seen = [status.get(key) for key in ("known", "running", "numerator", "denominator")]
        expect(seen, [False, False, 0, 0], "status")

    def progress(self):
        seen = []
        sent, go = threading.Event(), threading.Event()

        def steps(worker, job):
            worker.send_job_status(job, 1, 3)
            sent.set()
            go.wait()
            worker.send_job_status(job, 3, 3)
            return b"done"

        with self.working({"progress": steps}):
            request = self.submit("progress", wait_until_complete=False)
            deadline = time.monotonic() + CLIENT_TIMEOUT
            while not request.status and time.monotonic() < deadline:
                self.client.wait_until_jobs_completed([request], poll_timeout=0.05)
            seen.append((request.status.get("numerator"), request.status.get("denominator")))
            go.set()
            self.wait(request)
            seen.append((request.status["numerator"], request.status["denominator"]))
        expect(seen, [(1, 3), (3, 3)], "updates")
        self.complete(request, b"done")

    def data(self):
        def parts(worker, job):
            for part in (b"one", b"", b"\0\1\2"):
                worker.send_job_data(job, self.t(part))
            return b"end"

        with self.working({"data": parts}):
            request = self.submit("data")
        expect(list(request.data_updates), [self.t(part) for part in (b"one", b"", b"\0\1\2")], "data")
        self.complete(request, b"end")

    def warning(self):
        def warns(worker, job):
            worker.send_job_warning(job, self.t(b"careful"))
            return b"end"

        with self.working({"warning": warns}):
            request = self.submit("warning")
        expect(list(request.warning_updates), [self.t(b"careful")], "warnings")
        self.complete(request, b"end")

    def exception(self):
        """The worker sends WORK_EXCEPTION and then WORK_FAIL; the client has no way to ask for exceptions and sees
        the failure. The same connection of the worker must be good for the next job."""

        is_text = self.text

        class Telling(self.g.GearmanWorker):
            def on_job_exception(self, current_job, exc_info):
                text = str(exc_info[1])
                self.send_job_exception(current_job, text if is_text else text.encode())
                return False

        def fails_first(worker, job):
            if job.data == b"bad":
                raise ValueError("no good")
            return b"good again"

        with self.working({"exception": fails_first}, kind=Telling) as worker:
            request = self.submit("exception", b"bad")
            expect(request.state, self.g.JOB_FAILED, "state")
            self.complete(self.submit("exception", b"fine"), b"good again")
        expect(worker.restarts, 0, "new connections of the worker")

    def fail(self):
        def fails(worker, job):
            raise ValueError("no good")

        with self.working({"fail": fails}) as worker:
            request = self.submit("fail")
            expect(request.state, self.g.JOB_FAILED, "state")
            expect(request.result, None)
            expect(self.submit("fail").state, self.g.JOB_FAILED, "state of the next")
        expect(worker.restarts, 0, "new connections of the worker")

    def unique(self):
        """From two connections: the library itself keeps one request for each handle of a connection."""
        runs = Seen()
        another = self.g.GearmanClient([self.a])
        one = self.submit("unique", b"", unique="same", wait_until_complete=False)
        other = self.submit("unique", b"", client=another, unique="same", wait_until_complete=False)
        expect(other.job.handle, one.job.handle, "second handle")
        with self.working({"unique": lambda worker, job: runs.add(job.handle) or b"once"}):
            self.wait(one)
            another.wait_until_jobs_completed([other], poll_timeout=CLIENT_TIMEOUT)
        self.complete(one, b"once")
        self.complete(other, b"once")
        expect(len(runs.all()), 1, "runs")
        another.shutdown()

    def there_and_back(self, case, data):
        with self.working({case: lambda worker, job: job.data}):
            self.complete(self.submit(case, data), data)

    def binary(self):
        if self.text:
            raise check.Absent("payloads are text, and only ASCII arrives whole: lengths are counted in characters")
        self.there_and_back("binary", check.EVERY_BYTE)

    def large(self):
        self.there_and_back("large", check.LARGE.translate(TO_ASCII) if self.text else check.LARGE)

    def dying_worker(self):
        request = self.submit("dying-worker", b"x", wait_until_complete=False)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            dying = self.g.GearmanWorker([self.a])

            def dies(worker, job):
                os.write(write, b"!")
                os._exit(1)

            dying.register_task(self.ability("dying-worker"), dies)
            dying.work()
        expect(os.read(read, 1), b"!", "word of the dying worker")
        os.waitpid(child, 0)
        with self.working({"dying-worker": lambda worker, job: b"survived"}):
            self.wait(request)
        self.complete(request, b"survived")

    def several_functions(self):
        functions = {
            "several-upper": lambda worker, job: job.data.upper(),
            "several-reverse": lambda worker, job: job.data[::-1],
            "several-length": lambda worker, job: str(len(job.data)).encode(),
        }
        with self.working(functions):
            self.complete(self.submit("several-length", b"abc"), b"3")
            self.complete(self.submit("several-upper", b"abc"), b"ABC")
            self.complete(self.submit("several-reverse", b"abc"), b"cba")

    def timeout(self):
        """A worker's time-out cannot be given with this library; the client's can."""
        request = self.submit("timeout", b"nobody does it", poll_timeout=0.2)
        expect(request.timed_out, True, "timed_out")
        expect(request.state, self.g.JOB_CREATED, "state")
        with self.working({"timeout": lambda worker, job: b"in the end"}):
            self.wait(request)
        self.complete(request, b"in the end")

    def echo(self):
        admin = self.g.GearmanAdminClient([self.a])
        assert admin.ping_server() < CLIENT_TIMEOUT
        admin.shutdown()

    def admin(self):
        admin = self.g.GearmanAdminClient([self.a])
        idle, busy = self.function("admin"), self.function("admin-queued")
        handle = self.submit("admin-queued", background=True).job.handle
        handle = handle if self.text else handle.decode()
        with self.working({"admin": lambda worker, job: b""}, client_id="worker-of-" + self.name):
            self.submit("admin")
            status = {entry["task"]: entry for entry in admin.get_status()}
            expect(status[idle], {"task": idle, "queued": 0, "running": 0, "workers": 1}, "status")
            expect(status[busy], {"task": busy, "queued": 1, "running": 0, "workers": 0}, "status")
            [mine] = [entry for entry in admin.get_workers() if entry["client_id"] == "worker-of-" + self.name]
            expect(mine["ip"], "127.0.0.1", "ip")
            expect([task for task in mine["tasks"] if task], [idle], "tasks")
            # This connection shows itself, with no id and no tasks.
            assert any(entry["client_id"] == "-" for entry in admin.get_workers())
        assert admin.get_version().startswith("OK "), admin.get_version()
        if hasattr(admin, "get_jobs"):
            jobs = {entry["handle"]: entry for entry in admin.get_jobs()}
            expect(jobs[handle], {"handle": handle, "queued": 0, "canceled": 0, "enabled": 1}, "job")
            # The library leaves the CR of CR and LF.
            expect(admin.cancel_job(handle).strip(), "OK", "answer to cancel")
            assert admin.get_unique_jobs() is not None
            assert int(admin.get_pid().split()[1]) > 0
        admin.shutdown()

    def restart(self):
        with self.working({"restart": lambda worker, job: job.data.upper()}) as worker:
            self.complete(self.submit("restart", b"before"), b"BEFORE")
            check.please("kill A")
            check.please("start A")
            self.complete(self.submit_until_done("restart", b"after"), b"AFTER")
        assert worker.restarts > 0, "the worker noticed nothing"

    def two_servers(self):
        self.client.shutdown()
        self.client = self.g.GearmanClient([self.a, self.b])
        with self.working({"two-servers": lambda worker, job: job.data.upper()}, [self.a, self.b]):
            for _ in range(5):
                self.complete(self.submit("two-servers", b"both"), b"BOTH")
            check.please("kill A")
            for _ in range(5):
                self.complete(self.submit_until_done("two-servers", b"one"), b"ONE")
            check.please("start A")

    def several_jobs(self):
        """submit_multiple_jobs: thirty at once over two servers, each of them failing or not."""

        def odd_fails(worker, job):
            if int(job.data) % 2:
                raise ValueError("odd")
            return job.data

        client = self.g.GearmanClient([self.a, self.b])
        with self.working({"several-jobs": odd_fails}, [self.a, self.b]):
            jobs = [{"task": self.function("several-jobs"), "data": self.t(b"%d" % n)} for n in range(30)]
            requests = client.submit_multiple_jobs(jobs, poll_timeout=CLIENT_TIMEOUT)
        for n, request in enumerate(requests):
            wanted = (self.g.JOB_FAILED, None) if n % 2 else (self.g.JOB_COMPLETE, self.t(b"%d" % n))
            expect((request.state, request.result), wanted, "job %d" % n)
        client.shutdown()

    def abilities(self):
        """Functions may come and go while the worker is connected (RESET_ABILITIES and CAN_DO again)."""
        two = self.callback(lambda worker, job: b"two")
        with self.working({"abilities": lambda worker, job: b"one"}) as working:
            self.complete(self.submit("abilities"), b"one")
            working.call(lambda worker: worker.register_task(self.ability("more"), two))
            check.await_status(self.port_a, self.function("more"), (0, 0, 1))
            self.complete(self.submit("more"), b"two")
            working.call(lambda worker: worker.unregister_task(self.ability("abilities")))
            check.await_status(self.port_a, self.function("abilities"), (0, 0, 0))
            self.complete(self.submit("more"), b"two")
            request = self.submit("abilities", poll_timeout=0.2)
            expect(request.timed_out, True, "timed_out")

    def maxqueue(self):
        admin = self.g.GearmanAdminClient([self.a])
        try:
            expect(admin.send_maxqueue(self.function("maxqueue"), 1), "OK", "answer")
        finally:
            admin.shutdown()

    def cases(self):
        cases = {
            "foreground": self.foreground,
            "background": self.background,
            "high": lambda: self.of_priority("high", self.g.PRIORITY_HIGH),
            "low": lambda: self.of_priority("low", self.g.PRIORITY_LOW),
            "priorities": self.priorities,
            "status-running": self.status_running,
            "status-known": self.status_known,
            "status-unknown": self.status_unknown,
            "progress": self.progress,
            "data": self.data,
            "warning": self.warning,
            "exception": self.exception,
            "fail": self.fail,
            "unique": self.unique,
            "binary": self.binary,
            "empty": lambda: self.there_and_back("empty", b""),
            "large": self.large,
            "dying-worker": self.dying_worker,
            "several-functions": self.several_functions,
            "timeout": self.timeout,
            "echo": self.echo,
            "admin": self.admin,
            "restart": self.restart,
            "two-servers": self.two_servers,
            "several-jobs": self.several_jobs,
            "abilities": self.abilities,
            "maxqueue": self.maxqueue,
        }
        cases["maxqueue"] = check.broken(self.maxqueue, "Expected 'OK', received: ", "takes no CR after the OK")
        return {name: self.with_client(case) for name, case in cases.items()}


class Seen:
    """What a worker's thread saw, for the main thread to wait for."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def add(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()
        return b""

    def first(self, count):
        with self.changed:
            self.changed.wait_for(lambda: len(self.items) >= count, CLIENT_TIMEOUT)
            return list(self.items)

    def all(self):
        with self.changed:
            return list(self.items)


class Working:
    """A worker in a thread of its own, for as long as a case needs it. It works as the library's users let it work:
    `work()` in a loop that goes on when no server could be reached."""

    def __init__(self, module, servers, functions, kind=None, client_id=None):
        working = self

        class Worker(kind or module.GearmanWorker):
            def after_poll(self, any_activity):
                while working.calls:
                    working.calls.pop(0)(self)
                return not working.stop

        self.stop = False
        self.calls = []
        self.restarts = 0
        self.worker = Worker(servers)
        if client_id:
            self.worker.set_client_id(client_id)
        for name, callback in functions.items():
            self.worker.register_task(name, callback)
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.stop:
            try:
                self.worker.work(poll_timeout=WORKER_POLL)
            except Exception as error:
                if type(error).__name__ != "ServerUnavailable":
                    raise
                self.restarts += 1
                time.sleep(WORKER_POLL)

    def call(self, call):
        """Has the worker's thread do something between two polls."""
        self.calls.append(call)
        while self.calls:
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join(CLIENT_TIMEOUT)
        self.worker.shutdown()


def run(package, module, text=False):
    run_loaded(check.library(package, module), package, text)


def run_loaded(module, package, text=False, broken=()):
    """`broken`: for each case that the library itself breaks, the words of its failure and the reason."""
    cases = Family(module, package, text).cases()
    for name, (words, reason) in dict(broken).items():
        cases[name] = check.broken(cases[name], words, reason)
    check.run(cases)
