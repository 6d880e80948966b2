//! Numbers of jobs: 18 digits, and what happens at their end.
use ringgear_engine::report::{Counters, Query, Report};
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    Engine, Epoch, HandlePrefix, Input, Instant, JobId, NotRestored, Now, Output, Peer, Policy, Reply,
    SessionId, ShardId, StoredJob, Topology,
};
use ringgear_protocol::{Priority, Refusal, Request, Submit};
use std::net::Ipv4Addr;
use std::sync::Arc;

const NOW: Now = Now { instant: Instant(1), epoch: Epoch(1) };

fn engine() -> (Engine, SessionId) {
    let policy = Policy::new(HandlePrefix::new(&[b'x'; HandlePrefix::MAX]).unwrap());
    let mut engine = Engine::new(ShardId(0), Topology::new(1), Arc::new(policy));
    let session = SessionId::new(ShardId(0), 0, 1);
    let peer = Peer { descriptor: 7, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    engine.handle(NOW, Input::Opened(session, peer));
    (engine, session)
}

fn submit(engine: &mut Engine, session: SessionId) -> Reply {
    let submit = Submit {
        function: b"f",
        unique: b"",
        workload: b"",
        priority: Priority::Normal,
        background: true,
        reducer: None,
        epoch: None,
    };
    engine.handle(NOW, Input::Request(session, Request::Submit(submit)));
    let mut replies = std::iter::from_fn(|| engine.output());
    replies.find_map(|output| if let Output::Reply(_, reply) = output { Some(reply) } else { None }).unwrap()
}

fn counters(engine: &mut Engine, session: SessionId) -> Box<Counters> {
    engine.handle(NOW, Input::Query(session, Query::Counters));
    let mut replies = std::iter::from_fn(|| engine.output());
    let found = replies.find_map(|output| match output {
        Output::Reply(_, Reply::Report(report)) => Some(report.1),
        _ => None,
    });
    match found {
        Some(Report::Counters(counters)) => counters,
        other => panic!("{other:?}"),
    }
}

fn stored(number: u64) -> StoredJob<'static> {
    StoredJob {
        id: JobId::from_number(number).unwrap(),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function: b"f",
        unique: b"",
        workload: b"",
        reducer: None,
        death: None,
    }
}

#[test]
fn no_job_gets_a_number_that_is_too_large() {
    let (mut engine, session) = engine();
    engine.sequence_at_least(JobId::SEQUENCE_MAX);
    let Reply::JobCreated(last) = submit(&mut engine, session) else { panic!("one is left") };
    assert!(last.number() <= JobId::NUMBER_MAX);
    for refused in 1..=2 {
        assert_eq!(submit(&mut engine, session), Reply::Error(Refusal::NumbersUsedUp));
        assert_eq!(counters(&mut engine, session).refused_numbers, refused);
    }
    engine.check();
}

/// Whatever numbers a store holds, the next job gets one, and none that is taken.
#[test]
fn a_stored_number_does_not_use_up_the_others() {
    let slot = |sequence| JobId::new(sequence, Slot::of(b"f")).number();
    let far = JobId::SEQUENCE_HINT_MAX;
    for (number, restored, next) in [
        (slot(5), Ok(()), 6),
        (slot(far), Ok(()), far + 1),
        (slot(far + 1), Ok(()), 1),
        (slot(JobId::SEQUENCE_MAX), Ok(()), 1),
        (slot(JobId::SEQUENCE_MAX + 1), Err(NotRestored::Number), 1),
        (5_000_000_000_000_000_000, Err(NotRestored::Number), 1),
        // Of another function.
        (slot(7) ^ 1, Err(NotRestored::Number), 8),
    ] {
        let (mut engine, session) = engine();
        assert_eq!(engine.restore(NOW, &stored(number)), restored, "{number}");
        assert!(engine.restore(NOW, &stored(number)).is_err(), "{number} twice");
        let Reply::JobCreated(job) = submit(&mut engine, session) else { panic!("no room beside {number}") };
        assert_eq!(job.sequence(), next, "{number}");
        engine.check();
    }
    // Counting ends before it.
    let (mut engine, session) = engine();
    engine.restore(NOW, &stored(slot(far + 9))).unwrap();
    engine.sequence_at_least(far + 9);
    assert_eq!(submit(&mut engine, session), Reply::Error(Refusal::NumbersUsedUp));
}
