//! A large payload is there once, however many read it: what the engine keeps and puts out is the memory that it was given.
use bytes::Bytes;
use ringgear_engine::{
    Engine, Epoch, HandlePrefix, Input, Instant, Now, Output, Peer, Policy, Reply, SHARED_MIN, SessionId,
    ShardId, Topology, Work,
};
use ringgear_protocol::{Frame, GrabKind, Request, frame};
use std::net::Ipv4Addr;
use std::sync::Arc;

const NOW: Now = Now { instant: Instant(1), epoch: Epoch(1) };
const CLIENTS: u32 = 100;

/// A packet from the wire, and where its payload is.
fn packet(number: u8, arguments: &[u8], payload: &[u8]) -> (Bytes, *const u8) {
    let length = (arguments.len() + payload.len()) as u32;
    let bytes =
        [&[0, b'R', b'E', b'Q', 0, 0, 0, number], &length.to_be_bytes()[..], arguments, payload].concat();
    let bytes = Bytes::from(bytes);
    let at = bytes[12 + arguments.len()..].as_ptr();
    (bytes, at)
}

fn large(engine: &mut Engine, session: SessionId, packet: &Bytes) -> Vec<Output> {
    let Ok(Frame::Packet { header, data, .. }) = frame(packet, u32::MAX) else { panic!("no packet") };
    let request = Request::decode(&header, data).unwrap();
    engine.handle(NOW, Input::Large(session, request, packet));
    outputs(engine)
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| Some(engine.output()?.0)).collect()
}

#[test]
fn job_assignment_and_news_share_what_was_received() {
    let policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    let mut engine = Engine::new(ShardId(0), ringgear_engine::Board::new(Topology::new(1)), Arc::new(policy));
    let open = |engine: &mut Engine, index| {
        let session = SessionId::new(ShardId(0), index, 1);
        let peer = Peer { descriptor: index, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        engine.handle(NOW, Input::Opened(session, peer));
        session
    };
    let payload = vec![7; SHARED_MIN];
    let mut handle = None;
    let mut first = std::ptr::null();
    for index in 0..CLIENTS {
        let client = open(&mut engine, index);
        let (submit, at) = packet(7, b"f\0u\0", &payload);
        if index == 0 {
            first = at;
        }
        for output in large(&mut engine, client, &submit) {
            let Output::Reply(_, Reply::JobCreated(job)) = output else { panic!("{output:?}") };
            handle = Some(job);
        }
    }
    let worker = open(&mut engine, CLIENTS);
    engine.handle(NOW, Input::Request(worker, Request::CanDo { function: b"f" }));
    engine.handle(NOW, Input::Request(worker, Request::Grab(GrabKind::Plain)));
    let assigned = outputs(&mut engine);
    let [Output::Reply(_, Reply::Assigned(assignment))] = &assigned[..] else { panic!("{assigned:?}") };
    assert_eq!((assignment.workload(), assignment.workload().as_ptr()), (&payload[..], first));

    let handle = format!("H:{}\0", handle.unwrap().number());
    let (complete, at) = packet(13, handle.as_bytes(), &payload);
    let told = large(&mut engine, worker, &complete);
    assert_eq!(told.len(), CLIENTS as usize);
    for output in told {
        let Output::Reply(_, Reply::Work(_, Work::Complete(result))) = output else { panic!("{output:?}") };
        assert_eq!((&result[..], result.as_ptr()), (&payload[..], at));
    }
}

/// Between unique and workload of these stands something else: one copy is made of them, and shared from then on.
#[test]
fn epoch_and_reduce_jobs_are_copied_once() {
    let policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    let mut engine = Engine::new(ShardId(0), ringgear_engine::Board::new(Topology::new(1)), Arc::new(policy));
    let session = SessionId::new(ShardId(0), 0, 1);
    let peer = Peer { descriptor: 0, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    engine.handle(NOW, Input::Opened(session, peer));
    engine.handle(NOW, Input::Request(session, Request::CanDo { function: b"f" }));
    let payload = vec![7; SHARED_MIN];
    for (number, arguments) in [(36, &b"f\0u\x000\0"[..]), (37, b"f\0u\0r\0\0")] {
        let (submit, _) = packet(number, arguments, &payload);
        large(&mut engine, session, &submit);
        engine.handle(NOW, Input::Request(session, Request::Grab(GrabKind::All)));
        let assigned = outputs(&mut engine);
        let Some(Output::Reply(_, Reply::Assigned(assignment))) = assigned.first() else {
            panic!("{assigned:?}")
        };
        assert!(assignment.workload().ends_with(&payload) && assignment.unique() == b"u");
        let handle = format!("H:{}", assignment.job.number());
        engine.handle(NOW, Input::Request(session, Request::WorkFail { handle: handle.as_bytes() }));
        outputs(&mut engine);
    }
}
