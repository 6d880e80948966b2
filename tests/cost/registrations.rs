//! What workers register costs by the name, is done in parts where it is much, and leaves nothing behind.
use crate::alone::{NOW, ask, engine, go_on, open, outputs};
use ringgear_engine::{Engine, Input, Output, Reply, SessionId};
use ringgear_protocol::{GrabKind, Refusal, Request};

/// Functions and their registrations.
fn status(engine: &mut Engine, session: SessionId) -> Vec<(String, u32)> {
    crate::alone::status(engine, session).into_iter().map(|row| (row.function, row.workers)).collect()
}

#[test]
fn a_worker_that_only_sleeps_costs_nothing() {
    let (mut engine, worker) = engine(1, |policy| policy.requests_in_flight = 8);
    ask(&mut engine, worker, Request::CanDo { function: b"f" });
    for _ in 0..1000 {
        assert_eq!(ask(&mut engine, worker, Request::PreSleep), []);
        engine.check();
    }
    assert_eq!(
        ask(&mut engine, worker, Request::Grab(GrabKind::Plain)),
        [Output::Reply(worker, Reply::NoJob)]
    );
}

#[test]
fn too_many_names_are_one_error_and_change_nothing() {
    let (mut engine, worker) = engine(1, |policy| policy.abilities = 4);
    ask(&mut engine, worker, Request::MassDo { functions: b"a\0b\0c\0d\0" });
    let error = Output::Reply(worker, Reply::Error(Refusal::TooManyAbilities));
    let many = b"a\0".repeat(100_000);
    assert_eq!(ask(&mut engine, worker, Request::MassDo { functions: &many }), std::slice::from_ref(&error));
    assert_eq!(ask(&mut engine, worker, Request::MassDo { functions: b"1\x002\x003\x004\x005" }), [error]);
    let names = ["a", "b", "c", "d"].map(|name| (name.to_owned(), 1));
    assert_eq!(status(&mut engine, worker), names);
}

#[test]
fn many_names_are_registered_in_parts() {
    let (mut engine, worker) = engine(1, |policy| policy.names_at_once = 100);
    let other = open(&mut engine, 1);
    let names: Vec<u8> = (0..1234).flat_map(|n| format!("f{n}\0").into_bytes()).collect();
    let out = ask(&mut engine, worker, Request::MassDo { functions: &names });
    assert!(
        out.contains(&Output::Pause(worker)) && out.iter().all(|output| !matches!(output, Output::Reply(..)))
    );
    assert_eq!(status(&mut engine, other).len() % 100, 0, "one part with each event");
    let (events, out) = go_on(&mut engine);
    assert!(events >= 7 && out.contains(&Output::Resume(worker)), "{events} events: {out:?}");
    assert_eq!(status(&mut engine, other).iter().map(|(_, workers)| workers).sum::<u32>(), 1234);
    engine.check();
    engine.handle(NOW, Input::Closed(worker, ringgear_engine::CloseReason::Peer));
    assert!(go_on(&mut engine).0 >= 11, "they are forgotten in parts as well");
    engine.check();
    assert_eq!(engine.deadline(), None);
}

#[test]
fn one_who_goes_in_the_middle_of_it_leaves_nothing() {
    let (mut engine, worker) = engine(1, |policy| policy.names_at_once = 10);
    let names = b"a\0b\0".repeat(100);
    ask(&mut engine, worker, Request::MassDo { functions: &names });
    engine.handle(NOW, Input::Finish(worker, ringgear_engine::CloseReason::Peer));
    assert!(outputs(&mut engine).contains(&Output::Close(worker)));
    go_on(&mut engine);
    engine.check();
    let other = open(&mut engine, 1);
    assert!(status(&mut engine, other).iter().all(|&(_, workers)| workers == 0));
}
