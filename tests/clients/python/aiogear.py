"""The check of PyPI's aiogear, a library for asyncio.

It is small: one connection each for a client and a worker, payloads in UTF-8, answers matched by their order. What it
has no method for, its users send themselves, with `send` and `wait_for`.
"""

import asyncio
import functools

import check
from check import expect

aiogear = check.library("aiogear", "aiogear")
Type = aiogear.PacketType

PORT_A, _ = check.ports()
ONE_SERVER = "the library connects to one server"


async def connect(factory, port=PORT_A):
    _, protocol = await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", port)
    return protocol


async def client():
    return await connect(aiogear.Client)


class Working:
    """A worker for as long as a case needs it. `functions` are by name; each is given the job and the worker."""

    def __init__(self, functions, **options):
        self.functions = functions
        self.options = options

    async def __aenter__(self):
        pairs = [(self.bind(function), name) for name, function in self.functions.items()]
        self.worker = await connect(lambda: aiogear.Worker(*pairs, **self.options))
        return self.worker

    def bind(self, function):
        return lambda job: function(job, self.worker)

    async def __aexit__(self, *_):
        await self.worker.shutdown()


def name(case):
    return "aiogear-" + case


def working(case, function, **options):
    return Working({name(case): function}, **options)


async def do(client, case, workload="", submit=None):
    created = await (submit or client.submit_job)(name(case), workload)
    return await client.wait_job(created.handle)


async def noting(seen, count):
    """A function that notes the workloads of its jobs, and a future that is done when there are `count`."""
    done = asyncio.get_running_loop().create_future()

    def function(job, worker):
        seen.append(job.workload)
        if len(seen) == count:
            done.set_result(True)

    return function, done


async def foreground():
    async with await client() as c, working("foreground", lambda job, _: job.workload[::-1]):
        expect((await do(c, "foreground", "Hello")).result, "olleH")


async def background():
    seen = []
    function, done = await noting(seen, 1)
    async with await client() as c, working("background", function):
        created = await c.submit_job_bg(name("background"), "in the back")
        assert created.handle.startswith("H:"), created.handle
        await done
    expect(seen, ["in the back"], "workloads")


async def of_priority(case):
    seen = []
    function, done = await noting(seen, 1)
    async with await client() as c:
        async with working(case, lambda job, _: job.workload.upper()):
            submit = getattr(c, "submit_job_" + case)
            expect((await do(c, case, "first", submit)).result, "FIRST")
        async with working(case, function):
            await getattr(c, "submit_job_%s_bg" % case)(name(case), "in the back")
            await done
    expect(seen, ["in the back"], "workloads")


async def priorities():
    seen = []
    function, done = await noting(seen, 6)
    async with await client() as c:
        for number in "12":
            for kind in ("_low", "", "_high"):
                await getattr(c, "submit_job%s_bg" % kind)(name("priorities"), kind + number)
        async with working("priorities", function):
            await done
    expect(seen, ["_high1", "_high2", "1", "2", "_low1", "_low2"], "order")


async def status_running():
    go, told = asyncio.Event(), asyncio.Event()

    async def half(job, worker):
        worker.send(Type.WORK_STATUS, job.handle, "1", "2")
        told.set()
        await go.wait()
        return "whole"

    # Another client asks: the first has no ear for WORK_STATUS, which comes before the answer.
    async with await client() as c, await client() as other, working("status-running", half):
        created = await c.submit_job(name("status-running"), "")
        await told.wait()
        status = await other.get_status(created.handle)
        # WORK_STATUS and the question come to the server on two connections: the later of them may arrive first.
        while status.denominator == 0:
            status = await other.get_status(created.handle)
        expect(tuple(status), (created.handle, True, True, 1, 2), "status")
        go.set()
        expect((await c.wait_job(created.handle)).result, "whole")


async def status_known():
    async with await client() as c:
        created = await c.submit_job_bg(name("status-known"), "")
        expect(tuple(await c.get_status(created.handle)), (created.handle, True, False, 0, 0), "status")


async def status_unknown():
    handle = "H:nobody.knows:4711"
    async with await client() as c:
        expect(tuple(await c.get_status(handle)), (handle, False, False, 0, 0), "status")


async def updates(case, function, kind):
    """Runs one job with CallbackClient, and returns the events of `kind` and the results."""
    events = []

    async def callback(event, uuid, data):
        events.append((event, uuid, data))

    c = await connect(aiogear.CallbackClient)
    c.set_update_callback(callback)
    async with working(case, function):
        accepted, complete = await c.submit_jobs(name(case), [("uuid-of-the-job", "workload")])
        await accepted
        results = list(await complete)
        # The callbacks are tasks: let them run.
        await asyncio.sleep(0)
    await c.close()
    assert ("complete", "uuid-of-the-job", "WORK_COMPLETE") in events, events
    return [data for event, uuid, data in events if event == kind and uuid == "uuid-of-the-job"], results


async def progress():
    def steps(job, worker):
        for step in ("1", "2", "3"):
            worker.send(Type.WORK_STATUS, job.handle, step, "3")
        return "end"

    seen, results = await updates("progress", steps, "status")
    expect(seen, [{"complete": step, "total": 3} for step in (1, 2, 3)], "updates")
    expect(results, [{"state": "COMPLETE", "data": "end"}], "results")


async def of_kind(case, packet):
    def sends(job, worker):
        worker.send(packet, job.handle, "one")
        worker.send(packet, job.handle, "two")
        return "end"

    seen, results = await updates(case, sends, case)
    expect(seen, ["one", "two"], "updates")
    expect(results, [{"state": "COMPLETE", "data": "end"}], "results")


async def exception():
    def raises(job, worker):
        raise ValueError("no good")

    async with await client() as c, working("exception", raises):
        # Not asked for, it is a failure; asked for, it arrives as it was sent.
        expect(type(await do(c, "exception")).__name__, "WorkFail", "end of the job")
        expect(await c.option_req("exceptions"), b"exceptions", "answer to the option")
        end = await do(c, "exception")
        expect((type(end).__name__, end.exception), ("WorkException", "no good"), "end of the job")


async def fail():
    # The library's worker fails a job only when it does not know the function: let it forget one.
    async with await client() as c, working("fail", lambda job, _: "") as worker:
        del worker.functions[name("fail")]
        end = await do(c, "fail")
    expect((type(end).__name__, end.handle.startswith("H:")), ("WorkFail", True), "end of the job")


async def unique():
    seen = []
    async with await client() as one, await client() as other:
        created = [await c.submit_job(name("unique"), "", uuid="same") for c in (one, other)]
        expect(created[0].handle, created[1].handle, "handle")
        ends = [c.wait_job(created[0].handle) for c in (one, other)]
        once = lambda job, _: seen.append(job.uuid) or "once"
        async with working("unique", once, grab_type=Type.GRAB_JOB_UNIQ):
            expect([(await end).result for end in ends], ["once", "once"])
    expect(seen, ["same"], "uniques of the runs")


async def empty():
    async with await client() as c, working("empty", lambda job, _: job.workload):
        expect((await do(c, "empty", "")).result, "")


async def large():
    text = "".join(chr(33 + number % 90) for number in range(3 * 1024 * 1024))
    async with await client() as c, working("large", lambda job, _: job.workload):
        assert (await do(c, "large", text)).result == text, "another result"


async def dying_worker():
    gone = asyncio.Event()

    async def leaves(job, worker):
        worker.transport.abort()
        gone.set()
        await asyncio.Event().wait()

    async with await client() as c:
        dying = await connect(lambda: aiogear.Worker((lambda job: leaves(job, dying), name("dying-worker"))))
        created = await c.submit_job(name("dying-worker"), "")
        await gone.wait()
        dying.main_task.cancel()
        async with working("dying-worker", lambda job, _: "survived"):
            expect((await c.wait_job(created.handle)).result, "survived")


async def several_functions():
    functions = {
        name("several-upper"): lambda job, _: job.workload.upper(),
        name("several-reverse"): lambda job, _: job.workload[::-1],
        name("several-length"): lambda job, _: str(len(job.workload)),
    }
    async with await client() as c, Working(functions) as worker:
        expect((await do(c, "several-length", "abc")).result, "3")
        expect((await do(c, "several-upper", "abc")).result, "ABC")
        expect((await do(c, "several-reverse", "abc")).result, "cba")
        # One more, while the worker sleeps.
        worker.register_function(lambda job: "late", name("several-late"))
        check.await_status(PORT_A, name("several-late"), (0, 0, 1))
        expect((await do(c, "several-late")).result, "late")


async def timeout():
    """CAN_DO_TIMEOUT: the job of a worker that is too slow goes to another one."""
    told, go = asyncio.Event(), asyncio.Event()

    async def slow(job, worker):
        told.set()
        await go.wait()
        return "too late"

    async with await client() as c, working("timeout", slow, timeout=1000) as worker:
        created = await c.submit_job(name("timeout"), "")
        await told.wait()
        async with working("timeout", lambda job, _: "in time"):
            expect((await c.wait_job(created.handle)).result, "in time")
        # Leave without the late result.
        worker.running.clear()


async def echo():
    async with await client() as c:
        answer = c.wait_for(Type.ECHO_RES)
        c.send(Type.ECHO_REQ, b"any\0bytes")
        expect(await answer, b"any\0bytes", "echo")


async def admin():
    admin = await connect(aiogear.Admin)
    function = name("admin")
    async with await client() as c, working("admin", lambda job, _: "") as worker:
        worker.set_client_id("worker-of-aiogear")
        await do(c, "admin")
        await c.submit_job_bg(name("admin-queued"), "")
        status = {entry["function"]: entry for entry in await admin.status()}
        idle = {"function": function, "total": 0, "running": 0, "available_workers": 1}
        queued = {"function": name("admin-queued"), "total": 1, "running": 0, "available_workers": 0}
        expect(status[function], idle, "status")
        expect(status[name("admin-queued")], queued, "status")
        [mine] = [entry for entry in await admin.workers() if entry["name"] == "worker-of-aiogear"]
        expect((mine["ip_address"], mine["functions"]), ("127.0.0.1", [function]), "workers")
    assert (await admin.version()).startswith("OK "), "version"
    assert (await admin.verbose()).startswith("OK "), "verbose"
    # With a size the library builds no command (it measures the digits of the number); without, it resets the limits.
    expect(await admin.maxqueue(function), "OK", "maxqueue")
    admin.close()


async def restart():
    c = await client()
    async with working("restart", lambda job, _: job.workload.upper()):
        expect((await do(c, "restart", "before")).result, "BEFORE")
        check.please("kill A")
        while c.transport is not None:
            await asyncio.sleep(0.01)
    check.please("start A")
    # The library connects no second time: its users make a new client and a new worker.
    async with await client() as c, working("restart", lambda job, _: job.workload.upper()):
        expect((await do(c, "restart", "after")).result, "AFTER")


async def reduce():
    """The library takes reduce jobs (GRAB_JOB_ALL); for submitting them it has the packet and no method."""
    seen = []

    def function(job, worker):
        seen.append((job.uuid, job.reducer, job.workload))
        return "reduced"

    async with await client() as c, working("reduce", function, grab_type=Type.GRAB_JOB_ALL):
        submit = functools.partial(c._submit_job, Type.SUBMIT_REDUCE_JOB)
        created = await submit(name("reduce"), "the-reducer", "", "workload", uuid="of-reduce")
        expect((await c.wait_job(created.handle)).result, "reduced")
    expect(seen, [("of-reduce", "the-reducer", "workload")], "jobs")


def sync(case):
    return lambda: asyncio.run(case())


BINARY = "payloads are text: the library decodes them as UTF-8, and ends them at a NUL"

check.run(
    {
        "foreground": sync(foreground),
        "background": sync(background),
        "high": sync(lambda: of_priority("high")),
        "low": sync(lambda: of_priority("low")),
        "priorities": sync(priorities),
        "status-running": sync(status_running),
        "status-known": sync(status_known),
        "status-unknown": sync(status_unknown),
        "progress": sync(progress),
        "data": sync(lambda: of_kind("data", Type.WORK_DATA)),
        "warning": sync(lambda: of_kind("warning", Type.WORK_WARNING)),
        "exception": sync(exception),
        "fail": sync(fail),
        "unique": sync(unique),
        "binary": BINARY,
        "empty": sync(empty),
        "large": sync(large),
        "dying-worker": sync(dying_worker),
        "several-functions": sync(several_functions),
        "timeout": sync(timeout),
        "echo": sync(echo),
        "admin": sync(admin),
        "restart": sync(restart),
        "two-servers": ONE_SERVER,
        "reduce": sync(reduce),
    }
)
