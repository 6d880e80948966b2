//! One engine without others beside it, and sessions that speak to it. For tests that look at single events.
use ringgear_engine::{
    Engine, Epoch, HandlePrefix, Input, Instant, Now, Output, Peer, Policy, SessionId, ShardId, Topology,
};
use ringgear_protocol::Request;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// When everything happens.
pub(crate) const NOW: Now = Now { instant: Instant(1), epoch: Epoch(1) };

/// Of the first shard of so many, with one session.
pub(crate) fn engine(shards: u16, change: impl FnOnce(&mut Policy)) -> (Engine, SessionId) {
    let mut policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    change(&mut policy);
    let mut engine = Engine::new(ShardId(0), Topology::new(shards), Arc::new(policy));
    let session = open(&mut engine, 0);
    (engine, session)
}

/// Opens another session.
pub(crate) fn open(engine: &mut Engine, index: u32) -> SessionId {
    let session = SessionId::new(ShardId(0), index, 1);
    let peer = Peer { descriptor: index, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    engine.handle(NOW, Input::Opened(session, peer));
    session
}

/// What comes of a request at once.
pub(crate) fn ask(engine: &mut Engine, session: SessionId, request: Request<'_>) -> Vec<Output> {
    engine.handle(NOW, Input::Request(session, request));
    outputs(engine)
}

/// What waits to be done.
pub(crate) fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.output()).collect()
}
