//! What peers make the engine keep is counted, and there is a limit to it.
use crate::alone::{NOW, ask, counter, engine, open, outputs, stored, submission, submit};
use ringgear_engine::page::PageRequest;
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    CloseReason, Death, DeathReason, Engine, Epoch, Input, JobId, Message, Output, Query, Reply, Report,
    Rights, SessionHolds, SessionId, ShardId, StoredJob, ToFunctions, ToSessions, Topology,
};
use ringgear_protocol::{Refusal, Request, Submit};

#[test]
fn what_joins_a_job_counts_and_is_refused_when_there_is_too_much() {
    let (mut engine, client) = engine(1, |policy| policy.queued_bytes = 100_000);
    let mut refused = 0;
    for _ in 0..10_000 {
        let out = ask(&mut engine, client, submit(b"f", b"same", false));
        refused += out.iter().filter(|output| is_refusal(output, Refusal::QueuedBytesFull)).count();
    }
    assert_eq!(counter(&mut engine, "jobs"), 1);
    assert_eq!(counter(&mut engine, "refused_queued_bytes"), refused as u64);
    assert!(refused > 5000, "{refused} of 10,000 are refused");
    assert!(counter(&mut engine, "jobs_bytes") <= 100_000);
    engine.check();
    engine.handle(NOW, Input::Closed(client, CloseReason::Peer));
    engine.check();
}

fn is_refusal(output: &Output, refusal: Refusal) -> bool {
    matches!(output, Output::Reply(_, Reply::Error(error)) if *error == refusal)
}

#[test]
fn a_job_that_waits_for_its_time_counts_more() {
    let (mut engine, client) = engine(1, |_| ());
    let plain = submission(b"f", b"", true);
    ask(&mut engine, client, Request::Submit(plain));
    let one = counter(&mut engine, "jobs_bytes");
    ask(&mut engine, client, Request::Submit(Submit { epoch: Some(b"9999999"), ..plain }));
    let more = counter(&mut engine, "jobs_bytes") - one;
    assert!(more > one + 100, "{one} bytes, and {more} with a time");
}

/// The same of a shard of several, for one who asks from another.
fn counter_of_two(engine: &mut Engine, name: &str) -> u64 {
    counters_of_two(engine).into_iter().find(|row| row.0 == name).unwrap().1
}

fn counters_of_two(engine: &mut Engine) -> Vec<(&'static str, u64)> {
    let ask = ToFunctions::Ask {
        from: SessionId::new(ShardId(1), 0, 1),
        place: 0,
        request: Box::new(PageRequest {
            ask: Query::Counters.into(),
            exact: false,
            after: None,
            by: Rights::ALL,
            most: 1,
        }),
    };
    engine.handle(NOW, Input::Message(ShardId(1), Message::ToFunctions(ask)));
    let answer = engine.take_messages(ShardId(1), 100).pop();
    let Some(Message::ToSessions(ToSessions::Answer { part, .. })) = answer else { panic!("{answer:?}") };
    let Report::Counters(counters) = part.report else { panic!("no counters") };
    counters.rows().collect()
}

/// The name of a function that the first of two shards owns, or the other.
fn named(shard: u16) -> &'static [u8] {
    let topology = Topology::new(2);
    let names = [&b"a"[..], b"b", b"c", b"d", b"e", b"f", b"g", b"h"];
    let owner = |name: &[u8]| topology.owner(ringgear_engine::slot::Slot::of(name));
    names.into_iter().find(|name| owner(name) == ShardId(shard)).unwrap()
}

fn held(out: &[Output]) -> Option<SessionHolds> {
    out.iter().rev().find_map(|output| match output {
        Output::Holds(_, held) => Some(*held),
        _ => None,
    })
}

#[test]
fn replies_that_wait_are_counted_and_pause_the_session() {
    let (mut engine, client) = engine(2, |policy| policy.waiting_bytes = 1 << 20);
    // Its answer is with the other shard, which says nothing.
    assert_eq!(ask(&mut engine, client, submit(named(1), b"", false)), []);
    let data = vec![b'x'; 300_000];
    let mut told = SessionHolds::default();
    for number in 1..=4 {
        let out = ask(&mut engine, client, Request::EchoReq { data: &data });
        told = held(&out).expect("the shell is told");
        let wait = told.unread as u64;
        assert!(wait >= number * 300_000 && wait < number * 300_000 + 1000, "{told:?}");
        assert_eq!(out.contains(&Output::Pause(client)), number == 4, "{number}");
        engine.check();
    }
    let all = counter_of_two(&mut engine, "replies_bytes");
    assert_eq!((all, counter_of_two(&mut engine, "memory_accounted") >= all), (told.unread as u64, true));
    engine.handle(NOW, Input::Closed(client, CloseReason::Peer));
    assert_eq!(counter_of_two(&mut engine, "replies_bytes"), 0);
}

#[test]
fn replies_that_leave_are_not_counted_any_more() {
    let (mut engine, client) = engine(2, |_| ());
    ask(&mut engine, client, submit(named(1), b"", false));
    let message = engine.take_messages(ShardId(1), 10).pop().unwrap();
    for _ in 0..10 {
        ask(&mut engine, client, Request::EchoReq { data: &[b'x'; 5000] });
    }
    let Message::ToFunctions(ToFunctions::Submit(asked)) = message else { panic!("{message:?}") };
    let refused = ToSessions::Refused { to: client, place: asked.place, refusal: Refusal::QueueFull };
    engine.handle(NOW, Input::Message(ShardId(1), Message::ToSessions(refused)));
    let out = outputs(&mut engine);
    // First that nothing waits any more, then what had waited.
    let told = out.iter().position(|output| *output == Output::Holds(client, SessionHolds::default()));
    let echo = out.iter().position(|output| matches!(output, Output::Reply(_, Reply::Echo(_))));
    assert!(told.unwrap() < echo.unwrap(), "{out:?}");
    assert_eq!(counter_of_two(&mut engine, "replies_bytes"), 0);
    engine.check();
}

#[test]
fn a_name_counts_once_however_many_workers_say_it() {
    let (mut engine, first) = engine(1, |_| ());
    let second = open(&mut engine, 1);
    let names: Vec<u8> = (0..100).flat_map(|n| format!("{n:08000}\0").into_bytes()).collect();
    let out = ask(&mut engine, first, Request::MassDo { functions: &names });
    assert!(held(&out).unwrap().other > 800_000);
    let one = counter(&mut engine, "registrations_bytes");
    let functions = counter(&mut engine, "functions_bytes");
    assert!(one < 40_000 && functions > 800_000, "the name is counted with the function");
    let out = ask(&mut engine, second, Request::MassDo { functions: &names });
    assert!(held(&out).unwrap().other > 800_000, "each is charged for what it says");
    let more = counter(&mut engine, "registrations_bytes") - one;
    assert!(more < 30_000, "{more} bytes more");
    assert_eq!(counter(&mut engine, "functions_bytes"), functions);
    ask(&mut engine, first, Request::ResetAbilities);
    engine.handle(NOW, Input::Closed(second, CloseReason::Peer));
    assert_eq!(counter(&mut engine, "registrations_bytes"), 0);
    engine.check();
}

#[test]
fn functions_are_limited_in_bytes() {
    let (mut engine, client) = engine(1, |policy| policy.function_bytes = 100_000);
    let mut refused = 0;
    for number in 0..200 {
        let name = format!("{number:01000}").into_bytes();
        let out = ask(&mut engine, client, Request::CanDo { function: &name });
        refused += out.iter().filter(|output| is_refusal(output, Refusal::FunctionBytesFull)).count();
    }
    assert!((100..150).contains(&refused), "{refused}");
    assert!(counter(&mut engine, "functions_bytes") <= 100_000);
    assert_eq!(counter(&mut engine, "refused_functions"), refused as u64);
    let many = b"a\0".repeat(60_000);
    let out = ask(&mut engine, client, Request::MassDo { functions: &many });
    assert_eq!(out, [Output::Reply(client, Reply::Error(Refusal::TooManyAbilities))]);
    engine.check();
}

#[test]
fn the_memory_that_is_told_is_the_sum_of_what_it_is_for() {
    let (mut engine, client) = engine(2, |_| ());
    let topology = Topology::new(2);
    let name = |owner| {
        (0..)
            .map(|n| format!("f{n}"))
            .find(|name| topology.owner(Slot::of(name.as_bytes())) == ShardId(owner))
    };
    let [here, there] = [0, 1].map(|owner| name(owner).expect("some name is its own").into_bytes());
    ask(&mut engine, client, submit(&here, b"u", true));
    ask(&mut engine, client, Request::CanDo { function: &here });
    engine.take_messages(ShardId(1), 10);
    // A reply waits behind one that another shard has not given yet, and the message to that one waits to be taken.
    ask(&mut engine, client, submit(&there, b"u", true));
    ask(&mut engine, client, Request::EchoReq { data: &[b'x'; 9000] });
    engine.note_connections_bytes(77);
    let parts = [
        "jobs_bytes",
        "functions_bytes",
        "registrations_bytes",
        "replies_bytes",
        "outbox_bytes",
        "connections_bytes",
    ];
    // What is asked for takes messages along: what waits is told of once.
    let counters = counters_of_two(&mut engine);
    let told = |name: &str| counters.iter().find(|row| row.0 == name).unwrap().1;
    let parts = parts.map(told);
    assert!(parts.iter().all(|&bytes| bytes > 0), "{parts:?}");
    assert_eq!(told("memory_accounted"), parts.iter().sum());
}

#[test]
fn it_is_counted_why_sessions_are_closed() {
    use CloseReason::*;
    let (mut engine, _) = engine(1, |_| ());
    for (at, (reason, name)) in [
        (Malformed, "sessions_malformed"),
        (SlowReader, "sessions_slow_reader"),
        (Debtor, "debtors_closed"),
        (Dismissed, "sessions_dismissed"),
    ]
    .into_iter()
    .enumerate()
    {
        for count in 1..=2 {
            let session = open(&mut engine, 2 * at as u32 + 10 + count);
            engine.handle(NOW, Input::Closed(session, reason));
            assert_eq!(counter(&mut engine, name), u64::from(count), "{name}");
        }
    }
}

/// Each of these may be as long as a peer likes, within limits that are not this one.
#[test]
fn what_few_jobs_have_counts_by_its_length() {
    let bytes = |change: &dyn Fn(&mut StoredJob<'_>)| {
        let (mut engine, _) = engine(1, |policy| policy.store = true);
        let mut job = stored(JobId::new(1, Slot::of(b"f")));
        change(&mut job);
        engine.restore(NOW, &job).unwrap();
        engine.check();
        counter(&mut engine, "jobs_bytes") + counter(&mut engine, "dead_bytes")
    };
    fn died(worker: &[u8]) -> Death<'_> {
        Death { reason: DeathReason::TimedOut, at: Epoch(1), address: [127, 0, 0, 1].into(), worker }
    }
    let plain = bytes(&|_| ());
    let reduced = |reducer: &'static [u8]| bytes(&|job| job.reducer = Some(reducer));
    assert_eq!(reduced(&[b'x'; 60]), reduced(b"x") + 59);
    assert!(reduced(b"x") > plain);
    let dead = bytes(&|job| job.death = Some(died(b"")));
    assert_eq!(bytes(&|job| job.death = Some(Death { worker: &[b'x'; 100], ..died(b"") })), dead + 100);
    assert!(dead > plain);
    let kept = bytes(&|job| job.more = &[b'x'; 1]);
    assert_eq!(bytes(&|job| job.more = &[b'x'; 100]), kept + 99);
    assert!(kept > plain);
}
