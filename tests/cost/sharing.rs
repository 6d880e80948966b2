//! Servers that share a store: what another server has taken over, and a lease that ends and begins anew, cost by the piece, whatever
//! is stored.
use crate::alone::{NOW, ask, engine, open, outputs, stored};
use ringgear_engine::slot::Slot;
use ringgear_engine::{Engine, Input, Instant, JobId, Now, Output, Reply, SessionId, StoredJob};
use ringgear_protocol::{GrabKind, Request};

/// Jobs, functions, workers: many times what one call may do.
const MANY: u32 = 5000;
const AT_ONCE: u64 = 1024;

/// An engine that has so many stored jobs of `f`.
fn full() -> (Engine, SessionId) {
    let (mut engine, client) = engine(1, |policy| policy.share_store());
    engine.handle(NOW, Input::Numbers(100_000..200_000));
    for sequence in 1..=u64::from(MANY) {
        engine.restore(NOW, &stored(JobId::new(sequence, Slot::of(b"f")))).unwrap();
    }
    outputs(&mut engine);
    (engine, client)
}

/// Hands in what happens and goes on until all is done: units of work, calls, and what was put out.
fn whole(engine: &mut Engine, now: Now, input: Input<'_>) -> (u64, u64, Vec<Output>) {
    let (begin, mut calls, mut out) = (engine.work_done(), 0, Vec::new());
    let mut input = Some(input);
    while input.is_some() || engine.deadline().is_some_and(|at| at <= now.instant) {
        let before = engine.work_done();
        engine.handle(now, input.take().unwrap_or(Input::Tick));
        assert!(engine.work_done() - before <= AT_ONCE, "no call does more");
        out.extend(outputs(engine));
        calls += 1;
    }
    engine.check();
    (engine.work_done() - begin, calls, out)
}

fn grabs(engine: &mut Engine, worker: SessionId) -> bool {
    let told = ask(engine, worker, Request::Grab(GrabKind::Plain));
    told.iter().any(|output| matches!(output, Output::Reply(_, Reply::Assigned(_))))
}

#[test]
fn what_another_server_has_taken_over_is_forgotten_in_pieces() {
    let (mut engine, _) = full();
    let worker = open(&mut engine, 1);
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    let (work, calls, out) = whole(&mut engine, NOW, Input::Fenced);
    assert!(calls > u64::from(MANY) / AT_ONCE, "{calls} calls");
    // Each is withheld first, if time is left for that, and then forgotten.
    assert!(work <= 2 * u64::from(MANY) + 400, "{work} units for {MANY} jobs");
    assert_eq!((engine.jobs(), out), (0, Vec::new()), "nothing is said of any of them");
    let (work, calls, _) = whole(&mut engine, NOW, Input::Fenced);
    assert!(calls == 1 && work <= 520, "{work} units for nothing");
}

#[test]
fn what_runs_or_has_somebody_waiting_stays_when_the_rest_is_handed_over() {
    let (mut engine, client) = full();
    engine.handle(NOW, Input::Lease(Instant(u64::MAX)));
    let (runs, waited_for) = (JobId::new(1, Slot::of(b"f")), JobId::new(u64::from(MANY) + 1, Slot::of(b"f")));
    engine.restore(NOW, &StoredJob { unique: b"u", ..stored(waited_for) }).unwrap();
    let worker = open(&mut engine, 1);
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    assert!(grabs(&mut engine, worker));
    ask(&mut engine, client, crate::alone::submit(b"f", b"u", false));
    let (work, calls, out) = whole(&mut engine, NOW, Input::HandOver);
    assert!(
        calls > u64::from(MANY) / AT_ONCE && work <= 2 * u64::from(MANY) + 400,
        "{work} units in {calls} calls"
    );
    let mut kept = engine.take_kept();
    kept.sort_unstable();
    assert_eq!((kept, engine.jobs(), out), (vec![runs, waited_for], 2, Vec::new()));
}

/// Each job gets out of the way once, however often the lease ends.
#[test]
fn a_lease_that_ends_and_begins_again_moves_each_job_once() {
    let (mut engine, client) = full();
    let worker = open(&mut engine, 1);
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    let (first, calls, _) = whole(&mut engine, NOW, Input::Lease(Instant(0)));
    assert!(calls > 4 && first <= u64::from(MANY) + 10, "{first} units in {calls} calls");
    assert!(!grabs(&mut engine, worker));
    for _ in 0..20 {
        let (back, calls, _) = whole(&mut engine, NOW, Input::Lease(Instant(u64::MAX)));
        assert!(calls == 1 && back <= 10, "{back} units to go on");
        let (again, calls, _) = whole(&mut engine, NOW, Input::Lease(Instant(0)));
        assert!(calls == 1 && again <= 10, "{again} units to stop");
    }
    ask(&mut engine, client, crate::alone::submit(b"f", b"", false));
    assert!(
        grabs(&mut engine, worker) && !grabs(&mut engine, worker),
        "what is not stored is in nobody's way"
    );
}

/// Whoever sleeps is woken when the lease begins again: by the worker, in pieces.
#[test]
fn many_functions_and_sleepers_are_gone_through_in_pieces() {
    let (mut engine, client) = engine(1, |policy| policy.share_store());
    engine.handle(NOW, Input::Numbers(100_000..200_000));
    engine.handle(NOW, Input::Lease(Instant(0)));
    let function = |n: u32| format!("f{n}").into_bytes();
    for n in 0..MANY {
        let worker = open(&mut engine, n + 1);
        ask(&mut engine, worker, Request::CanDo { function: &function(n) });
        ask(&mut engine, worker, Request::PreSleep);
        ask(&mut engine, client, crate::alone::submit(&function(n), b"", true));
    }
    let last = u64::from(MANY);
    whole(&mut engine, NOW, Input::Stored(ringgear_engine::StoreSeq(last)));
    let (work, calls, out) = whole(&mut engine, NOW, Input::Lease(Instant(u64::MAX)));
    let woken = out.iter().filter(|output| matches!(output, Output::Reply(_, Reply::Noop))).count();
    assert_eq!(woken, MANY as usize);
    assert!(calls > 4 && work <= 3 * u64::from(MANY) + 10, "{work} units in {calls} calls");
    // The time alone ends it.
    let late = Now { instant: Instant(100), ..NOW };
    whole(&mut engine, NOW, Input::Lease(Instant(50)));
    assert_eq!(engine.deadline(), Some(Instant(50)));
    let (work, calls, _) = whole(&mut engine, late, Input::Tick);
    assert!(calls > 4 && work <= 4 * u64::from(MANY), "{work} units in {calls} calls");
}
