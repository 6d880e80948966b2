//! What peers make the engine keep is counted, and there is a limit to it.
use ringgear_engine::{
    Engine, Epoch, HandlePrefix, Input, Instant, Now, Output, Peer, Policy, Query, Reply, Report, SessionId,
    ShardId, Topology,
};
use ringgear_protocol::{Priority, Refusal, Request, Submit};
use std::net::Ipv4Addr;
use std::sync::Arc;

const NOW: Now = Now { instant: Instant(1), epoch: Epoch(1) };

fn engine(shards: u16, change: impl FnOnce(&mut Policy)) -> (Engine, SessionId) {
    let mut policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    change(&mut policy);
    let mut engine = Engine::new(ShardId(0), Topology::new(shards), Arc::new(policy));
    let session = open(&mut engine, 0);
    (engine, session)
}

fn open(engine: &mut Engine, index: u32) -> SessionId {
    let session = SessionId::new(ShardId(0), index, 1);
    let peer = Peer { descriptor: index, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    engine.handle(NOW, Input::Opened(session, peer));
    session
}

fn ask(engine: &mut Engine, session: SessionId, request: Request<'_>) -> Vec<Output> {
    engine.handle(NOW, Input::Request(session, request));
    outputs(engine)
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.output()).collect()
}

fn counter(engine: &mut Engine, name: &str) -> u64 {
    let session = open(engine, 1_000_000);
    engine.handle(NOW, Input::Query(session, Query::Counters));
    let report = outputs(engine).into_iter().find_map(|output| match output {
        Output::Reply(_, Reply::Report(report)) => Some(report.1),
        _ => None,
    });
    engine.handle(NOW, Input::Closed(session, ringgear_engine::CloseReason::Peer));
    let Some(Report::Counters(counters)) = report else { panic!("no counters") };
    counters.rows().find(|row| row.0 == name).unwrap().1
}

fn submit(function: &'static [u8], unique: &'static [u8]) -> Submit<'static> {
    Submit {
        function,
        unique,
        workload: b"",
        priority: Priority::Normal,
        background: false,
        epoch: None,
        reducer: None,
    }
}

#[test]
fn what_joins_a_job_counts_and_is_refused_when_there_is_too_much() {
    let (mut engine, client) = engine(1, |policy| policy.queued_bytes = 100_000);
    let mut refused = 0;
    for _ in 0..10_000 {
        let out = ask(&mut engine, client, Request::Submit(submit(b"f", b"same")));
        refused += out.iter().filter(|output| is_refusal(output, Refusal::QueuedBytesFull)).count();
    }
    assert_eq!(counter(&mut engine, "jobs"), 1);
    assert_eq!(counter(&mut engine, "refused_queued_bytes"), refused as u64);
    assert!(refused > 5000, "{refused} of 10,000 are refused");
    assert!(counter(&mut engine, "jobs_bytes") <= 100_000);
    engine.check();
    engine.handle(NOW, Input::Closed(client, ringgear_engine::CloseReason::Peer));
    engine.check();
}

fn is_refusal(output: &Output, refusal: Refusal) -> bool {
    matches!(output, Output::Reply(_, Reply::Error(error)) if *error == refusal)
}

#[test]
fn a_job_that_waits_for_its_time_counts_more() {
    let (mut engine, client) = engine(1, |_| ());
    let plain = Submit { background: true, ..submit(b"f", b"") };
    ask(&mut engine, client, Request::Submit(plain));
    let one = counter(&mut engine, "jobs_bytes");
    ask(&mut engine, client, Request::Submit(Submit { epoch: Some(b"9999999"), ..plain }));
    let more = counter(&mut engine, "jobs_bytes") - one;
    assert!(more > one + 100, "{one} bytes, and {more} with a time");
}
