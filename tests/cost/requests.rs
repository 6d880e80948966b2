//! A request is worth a bounded number of replies and messages.
use ringgear_engine::{
    Engine, Epoch, HandlePrefix, Input, Instant, Now, Output, Peer, Policy, SessionId, ShardId,
};
use ringgear_engine::{Reply, Topology};
use ringgear_protocol::Request;
use std::net::Ipv4Addr;
use std::sync::Arc;

#[test]
fn an_echo_is_answered_once() {
    let policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    let mut engine = Engine::new(ShardId(0), ringgear_engine::Board::new(Topology::new(2)), Arc::new(policy));
    let session = SessionId::new(ShardId(0), 0, 1);
    let peer = Peer { descriptor: 7, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    let now = Now { instant: Instant(1), epoch: Epoch(1) };
    engine.handle(now, Input::Opened(session, peer));
    engine.handle(now, Input::Request(session, Request::EchoReq { data: b"x" }));
    assert_eq!(
        engine.output().map(|(output, _)| output),
        Some(Output::Reply(session, Reply::Echo(b"x".to_vec().into())))
    );
    assert!(engine.output().is_none());
    assert!(!engine.has_messages(ShardId(1)));
}
