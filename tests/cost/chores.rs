//! What follows of one event is done in pieces, however much it is: no call of the engine does more than so many units of
//! work, and all of it together is no more than there is to do.
use crate::alone::{NOW, ask, engine, go_on, open, outputs, status, stored, submission, submit};
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    CloseReason, Engine, Epoch, HandlePrefix, Input, Instant, JobId, Note, Now, Order, Output, Policy, Reply,
    Report, SessionId, StoredJob, Wakeup,
};
use ringgear_protocol::{GrabKind, Request, Submit};
use std::time::Duration;

/// Jobs, clients, workers: many times what one call may do.
const MANY: u32 = 5000;
const AT_ONCE: u64 = 1024;
/// Calls that this takes at the least.
const CALLS: usize = 4;

fn close(engine: &mut Engine, session: SessionId) -> Vec<Output> {
    engine.handle(NOW, Input::Closed(session, CloseReason::Peer));
    outputs(engine)
}

fn grab(engine: &mut Engine, worker: SessionId) -> bool {
    let told = ask(engine, worker, Request::Grab(GrabKind::Plain));
    told.iter().any(|output| matches!(output, Output::Reply(_, Reply::Assigned(_))))
}

/// Units of work that something takes.
fn work(engine: &mut Engine, what: impl FnOnce(&mut Engine)) -> u64 {
    let before = engine.work_done();
    what(engine);
    engine.work_done() - before
}

fn count(out: &[Output], what: impl Fn(&Output) -> bool) -> usize {
    out.iter().filter(|&output| what(output)).count()
}

/// How many jobs of `f` wait, and how many run.
fn jobs(engine: &mut Engine) -> (u32, u32) {
    let asker = open(engine, 900_000);
    let rows = status(engine, asker);
    close(engine, asker);
    rows.iter().find(|row| row.function == "f").map_or((0, 0), |row| (row.queued.iter().sum(), row.running))
}

/// A worker that holds many jobs of `f`, each with a time limit of a second.
fn busy_worker(engine: &mut Engine, client: SessionId) -> SessionId {
    let worker = open(engine, 1);
    ask(engine, worker, Request::CanDoTimeout { function: b"f", timeout: b"1000" });
    for _ in 0..MANY {
        ask(engine, client, submit(b"f", b"", true));
        assert!(grab(engine, worker));
    }
    worker
}

#[test]
fn jobs_whose_time_is_up_together_go_back_in_pieces() {
    let (mut engine, client) = engine(1, |_| ());
    busy_worker(&mut engine, client);
    let late = Now { instant: NOW.instant.after(Duration::from_secs(2)), ..NOW };
    let timed_out =
        |output: &Output| matches!(output, Output::Note(note) if matches!(**note, Note::TimedOut { .. }));
    let (mut calls, mut all) = (0, 0);
    while engine.deadline().is_some_and(|at| at <= late.instant) {
        engine.handle(late, Input::Tick);
        let some = count(&outputs(&mut engine), timed_out);
        assert!(some as u64 <= AT_ONCE, "{some} in one call");
        (calls, all) = (calls + 1, all + some);
    }
    assert_eq!((all, jobs(&mut engine)), (MANY as usize, (MANY, 0)));
    assert!(calls > CALLS);
    engine.check();
}

#[test]
fn a_worker_that_leaves_gives_its_jobs_back_in_pieces() {
    for leaves in [true, false] {
        let (mut engine, client) = engine(1, |_| ());
        let worker = busy_worker(&mut engine, client);
        let mut calls = 0;
        let steps = work(&mut engine, |engine| {
            if leaves {
                close(engine, worker);
            } else {
                ask(engine, worker, Request::CantDo { function: b"f" });
            }
            assert!(jobs(engine).1 > MANY / 4, "{:?} after a few calls", jobs(engine));
            calls = go_on(engine).0;
        });
        assert_eq!(jobs(&mut engine), (MANY, 0));
        assert!(calls + 8 > CALLS && steps <= u64::from(MANY) + 10, "{steps} steps");
        engine.check();
    }
}

/// What it still says of them is refused, although they have not gone back yet.
#[test]
fn jobs_that_were_given_up_are_held_no_more_at_once() {
    let (mut engine, client) = engine(1, |policy| policy.work_at_once = 1);
    let worker = busy_worker(&mut engine, client);
    ask(&mut engine, worker, Request::CantDo { function: b"f" });
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    assert!(jobs(&mut engine).1 > MANY / 2);
    let prefix = HandlePrefix::new(b"H").unwrap();
    let first = ringgear_engine::JobId::new(1, ringgear_engine::slot::Slot::of(b"f"));
    let handle = prefix.handle(first).to_vec();
    let told = ask(&mut engine, worker, Request::WorkComplete { handle: &handle, result: b"" });
    assert_eq!(count(&told, |output| matches!(output, Output::Reply(_, Reply::Error(_)))), 1, "{told:?}");
    go_on(&mut engine);
    assert_eq!(jobs(&mut engine), (MANY, 0));
    engine.check();
}

#[test]
fn a_client_that_waits_often_for_one_job_leaves_in_pieces() {
    let (mut engine, client) = engine(1, |_| ());
    let other = open(&mut engine, 1);
    for _ in 0..MANY {
        ask(&mut engine, client, submit(b"f", b"same", false));
        ask(&mut engine, other, submit(b"f", b"same", false));
    }
    let mut calls = 0;
    let steps = work(&mut engine, |engine| {
        close(engine, client);
        calls = go_on(engine).0;
    });
    assert!(calls >= CALLS, "{calls} calls");
    assert!(steps >= u64::from(MANY) && steps <= u64::from(MANY) + 10, "{steps} steps");
    let steps = work(&mut engine, |engine| {
        close(engine, other);
        go_on(engine);
    });
    assert!(steps <= u64::from(MANY) + 10, "{steps} steps");
    engine.check();
    let worker = open(&mut engine, 2);
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    assert!(!grab(&mut engine, worker) && engine.jobs() == 0, "nobody wants it any more");
    assert_eq!(engine.deadline(), None);
}

#[test]
fn many_sleepers_are_woken_in_pieces_and_each_once() {
    let (mut engine, client) = engine(1, |policy| policy.wakeup = Wakeup::All);
    let workers: Vec<SessionId> = (1..=MANY).map(|index| open(&mut engine, index)).collect();
    for &worker in &workers {
        ask(&mut engine, worker, Request::CanDo { function: b"f" });
        ask(&mut engine, worker, Request::PreSleep);
    }
    let noop = |output: &Output| matches!(output, Output::Reply(_, Reply::Noop));
    let mut all = count(&ask(&mut engine, client, submit(b"f", b"", true)), noop);
    assert!(all as u64 <= AT_ONCE, "{all} in one call");
    // Whoever falls asleep meanwhile slept later.
    all += count(&ask(&mut engine, workers[0], Request::Grab(GrabKind::Plain)), noop);
    all += count(&ask(&mut engine, workers[0], Request::PreSleep), noop);
    let (calls, out) = go_on(&mut engine);
    all += count(&out, noop);
    assert_eq!(all, MANY as usize);
    assert!(calls + 2 >= CALLS, "{calls} calls");
    engine.check();
    assert_eq!(count(&ask(&mut engine, client, submit(b"f", b"", true)), noop), 1, "only one sleeps");
}

/// Whoever was woken for something else left its entries behind: finding one who sleeps is no long search in one call.
#[test]
fn a_sleeper_behind_many_that_are_awake_is_found_in_pieces() {
    let (mut engine, client) = engine(1, |policy| policy.wakeup = Wakeup::AtMost(std::num::NonZeroU8::MIN));
    let workers: Vec<SessionId> = (1..=MANY).map(|index| open(&mut engine, index)).collect();
    for &worker in &workers {
        ask(&mut engine, worker, Request::CanDo { function: b"f" });
        ask(&mut engine, worker, Request::PreSleep);
    }
    for &worker in &workers[..MANY as usize - 1] {
        assert!(!grab(&mut engine, worker));
    }
    let noop = |output: &Output| matches!(output, Output::Reply(_, Reply::Noop));
    let (mut calls, mut all) = (0, 0);
    let steps = work(&mut engine, |engine| {
        all = count(&ask(engine, client, submit(b"f", b"", true)), noop);
        let (more, out) = go_on(engine);
        (calls, all) = (more, all + count(&out, noop));
    });
    assert_eq!(all, 1);
    assert!(calls >= CALLS && steps <= u64::from(MANY), "{calls} calls, {steps} steps");
    engine.check();
}

/// One job that nobody wants any more in each of many functions, and a worker that knows them all.
#[test]
fn abandoned_jobs_are_discarded_in_pieces() {
    let (mut engine, client) = engine(1, |_| ());
    let worker = open(&mut engine, 1);
    let names: Vec<String> = (0..MANY).map(|number| format!("f{number}")).collect();
    for name in &names {
        ask(&mut engine, client, submit(name.as_bytes(), b"", false));
        ask(&mut engine, worker, Request::CanDo { function: name.as_bytes() });
    }
    close(&mut engine, client);
    go_on(&mut engine);
    assert_eq!(engine.jobs(), u64::from(MANY), "they are there until a worker looks");
    let mut calls = 0;
    let steps = work(&mut engine, |engine| {
        assert!(!grab(engine, worker));
        assert!(engine.jobs() > u64::from(MANY) - AT_ONCE, "{} in one call", engine.jobs());
        calls = go_on(engine).0;
    });
    assert_eq!(engine.jobs(), 0);
    assert!(calls >= CALLS && steps <= 4 * u64::from(MANY), "{calls} calls, {steps} steps");
    let steps = work(&mut engine, |engine| assert!(!grab(engine, worker)));
    assert_eq!(steps, 0, "nothing is left to look at");
    engine.check();
}

/// Looking costs each worker one step for each function with abandoned jobs, even if it does not know it.
#[test]
fn nobody_looks_twice_for_abandoned_jobs_of_others() {
    let (mut engine, client) = engine(1, |_| ());
    let worker = open(&mut engine, 1);
    ask(&mut engine, worker, Request::CanDo { function: b"mine" });
    for number in 0..MANY {
        ask(&mut engine, client, submit(format!("f{number}").as_bytes(), b"", false));
    }
    close(&mut engine, client);
    go_on(&mut engine);
    let look = |engine: &mut Engine| {
        assert!(!grab(engine, worker));
        go_on(engine);
    };
    let first = work(&mut engine, look);
    let second = work(&mut engine, look);
    assert!(first >= u64::from(MANY) && second == 0, "{first} steps, then {second}");
    // Whoever comes to know one of them looks once more.
    ask(&mut engine, worker, Request::CanDo { function: b"f77" });
    assert!(work(&mut engine, look) <= 4 && engine.jobs() == u64::from(MANY) - 1);
    engine.check();
}

#[test]
fn a_worker_of_many_functions_falls_asleep_and_forgets_them_in_pieces() {
    let (mut engine, client) = engine(1, |policy| policy.work_at_once = 100);
    let worker = open(&mut engine, 1);
    let names: Vec<String> = (0..MANY).map(|number| format!("f{number}")).collect();
    for name in &names {
        ask(&mut engine, worker, Request::CanDo { function: name.as_bytes() });
    }
    let mut calls = 0;
    let first = work(&mut engine, |engine| {
        ask(engine, worker, Request::PreSleep);
        calls = go_on(engine).0;
    });
    assert!(calls >= CALLS && first <= u64::from(MANY) + 2, "{calls} calls, {first} steps");
    // Its entry beside one function is used up, and nothing else.
    let woken = ask(&mut engine, client, submit(b"f77", b"", true));
    assert_eq!(count(&woken, |output| matches!(output, Output::Reply(_, Reply::Noop))), 1);
    assert!(grab(&mut engine, worker));
    let again = work(&mut engine, |engine| {
        for _ in 0..100 {
            ask(engine, worker, Request::PreSleep);
            ask(engine, worker, Request::CantDo { function: b"f5" });
            ask(engine, worker, Request::CanDo { function: b"f5" });
        }
    });
    assert_eq!(again, 0, "nothing that is a chore");
    let reset = work(&mut engine, |engine| {
        ask(engine, worker, Request::ResetAbilities);
        // What it learns meanwhile, it knows.
        ask(engine, worker, Request::CanDo { function: b"f3" });
        let asker = open(engine, 2);
        let known = status(engine, asker).iter().filter(|row| row.workers > 0).count();
        assert!(known > MANY as usize / 4 && known < MANY as usize, "{known} are known after a few calls");
        go_on(engine);
        let known = status(engine, asker).iter().filter(|row| row.workers > 0).count();
        assert_eq!(known, 1);
    });
    assert!(reset <= u64::from(MANY) + 10, "{reset} steps");
    engine.check();
    close(&mut engine, worker);
    go_on(&mut engine);
    engine.check();
}

/// The function is not there any more at once, and its jobs end in pieces.
#[test]
fn a_function_that_is_dropped_ends_its_jobs_in_pieces() {
    let attempts = std::num::NonZeroU8::new(1);
    let (mut engine, client) = engine(1, |policy| (policy.attempts, policy.work_at_once) = (attempts, 100));
    let worker = busy_worker(&mut engine, client);
    close(&mut engine, worker);
    go_on(&mut engine);
    for number in 0..MANY {
        ask(&mut engine, client, submit(b"f", number.to_string().as_bytes(), false));
        let later = Submit { epoch: Some(b"9999999"), ..submission(b"f", b"", true) };
        ask(&mut engine, client, Request::Submit(later));
    }
    let admin = open(&mut engine, 2);
    let mut out = Vec::new();
    let mut calls = 0;
    let steps = work(&mut engine, |engine| {
        let drop = Order::DropFunction { function: "f".into() };
        engine.handle(NOW, Input::Ask(admin, drop.into()));
        engine.handle(NOW, Input::Room(admin));
        out.extend(outputs(engine));
        assert!(engine.jobs() > u64::from(MANY), "{} jobs are left", engine.jobs());
        assert_eq!(jobs(engine), (0, 0), "nobody is told of them");
        let new = ask(engine, client, submit(b"f", b"7", false));
        let created = |output: &Output| matches!(output, Output::Reply(_, Reply::JobCreated(_)));
        assert_eq!(count(&new, created), 1);
        out.extend(new);
        let (more, rest) = go_on(engine);
        calls = more;
        out.extend(rest);
    });
    assert!(calls >= CALLS && steps <= 3 * u64::from(MANY) + 10, "{calls} calls, {steps} steps");
    let dropped = |output: &Output| match output {
        Output::Reply(_, Reply::Report(report)) => {
            matches!(&report.1, Report::Dropped(rows) if rows.iter().all(|row| row.dropped))
        }
        _ => false,
    };
    assert_eq!(count(&out, dropped), 1);
    let failed = |output: &Output| matches!(output, Output::Reply(to, Reply::Work(..)) if *to == client);
    assert!(count(&out, failed) as u32 > MANY / 2, "their clients are told");
    let many = u64::from(MANY);
    let note = Note::FunctionDropped { function: "f".into(), queued: many, scheduled: many, dead: many };
    assert_eq!(count(&out, |output| *output == Output::Note(Box::new(note.clone()))), 1);
    assert_eq!((engine.jobs(), jobs(&mut engine)), (1, (1, 0)), "the new one has nothing to do with it");
    engine.check();
}

/// Reading a store at the start, when much is due.
#[test]
fn restoring_a_job_does_no_more_than_a_call_may() {
    let mut policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    policy.work_at_once = 10;
    let (mut engine, _) = engine(1, |it| *it = policy.clone());
    let stored = |sequence: u64, epoch: u64| StoredJob {
        epoch: Some(Epoch(epoch)),
        ..stored(JobId::new(sequence, Slot::of(b"f")))
    };
    for sequence in 1..=100 {
        engine.restore(NOW, &stored(sequence, 1000)).unwrap();
    }
    let late = Now { instant: Instant(2), epoch: Epoch(2000) };
    let before = engine.work_done();
    engine.restore(late, &stored(101, 3000)).unwrap();
    assert_eq!(engine.work_done() - before, 10);
    engine.check();
}
