//! Numbers of jobs: 18 digits, and what happens at their end.
use crate::alone::{self, NOW, ask, counter, stored};
use ringgear_engine::slot::Slot;
use ringgear_engine::{Engine, HandlePrefix, JobId, NotRestored, Output, Reply, SessionId};
use ringgear_protocol::Refusal;

fn engine() -> (Engine, SessionId) {
    let longest = HandlePrefix::new(&[b'x'; HandlePrefix::MAX]).unwrap();
    alone::engine(1, |policy| policy.handle_prefix = longest)
}

fn submit(engine: &mut Engine, session: SessionId) -> Reply {
    let replies = ask(engine, session, alone::submit(b"f", b"", true)).into_iter();
    let mut replies =
        replies.filter_map(|output| if let Output::Reply(_, reply) = output { Some(reply) } else { None });
    replies.next().unwrap()
}

#[test]
fn no_job_gets_a_number_that_is_too_large() {
    let (mut engine, session) = engine();
    engine.sequence_at_least(JobId::SEQUENCE_MAX);
    let Reply::JobCreated(last) = submit(&mut engine, session) else { panic!("one is left") };
    assert!(last.number() <= JobId::NUMBER_MAX);
    for refused in 1..=2 {
        assert_eq!(submit(&mut engine, session), Reply::Error(Refusal::NumbersUsedUp));
        assert_eq!(counter(&mut engine, "refused_numbers"), refused);
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
        let id = JobId::from_number(number).unwrap();
        assert_eq!(engine.restore(NOW, &stored(id)), restored, "{number}");
        assert!(engine.restore(NOW, &stored(id)).is_err(), "{number} twice");
        let Reply::JobCreated(job) = submit(&mut engine, session) else { panic!("no room beside {number}") };
        assert_eq!(job.sequence(), next, "{number}");
        engine.check();
    }
    // Counting ends before it.
    let (mut engine, session) = engine();
    engine.restore(NOW, &stored(JobId::from_number(slot(far + 9)).unwrap())).unwrap();
    engine.sequence_at_least(far + 9);
    assert_eq!(submit(&mut engine, session), Reply::Error(Refusal::NumbersUsedUp));
}
