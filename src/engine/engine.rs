//! The one door: events in, outputs out. Routes between the two halves until both are quiet.
use crate::event::{Input, Output};
use crate::message::Message;
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::slot::{SessionId, ShardId, Topology};
use crate::time::{Instant, Now};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// One shard of the job server.
#[derive(Debug)]
pub struct Engine {
    outbox: Outbox,
}

impl Engine {
    /// The engine of one shard. All shards of a job server share topology and policy.
    pub fn new(shard: ShardId, topology: Topology, policy: Arc<Policy>) -> Engine {
        let _ = policy;
        Engine { outbox: Outbox::new(shard, topology.shards()) }
    }

    /// Takes an event. When it returns, the engine is quiet.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let _ = (now, input);
    }

    /// What is to be done next; `None` when all is done.
    pub fn output(&mut self) -> Option<Output> {
        self.outbox.outputs.pop_front()
    }

    /// Whether messages wait for a shard.
    pub fn has_messages(&self, to: ShardId) -> bool {
        self.outbox.has(to)
    }

    /// Takes at most `most` messages for another shard, to be delivered in this order and after all taken before.
    pub fn take_messages(&mut self, to: ShardId, most: usize) -> Vec<Message> {
        self.outbox.take(to, most)
    }

    /// Whether so much waits for other shards that no more requests should be read from sockets for now. Messages
    /// from other shards must still be handed in.
    pub fn congested(&self) -> bool {
        false
    }

    /// Bytes of messages that wait for other shards.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether requests of this session are unwelcome for now.
    pub fn paused(&self, session: SessionId) -> bool {
        let _ = session;
        false
    }

    /// When to call [`Engine::handle`] with [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Jobs of this shard's functions now, queued and running.
    pub fn jobs(&self) -> u64 {
        0
    }

    /// Jobs ever accepted by this shard's functions.
    pub fn jobs_accepted(&self) -> u64 {
        0
    }

    /// Asserts everything that must be true of a quiet engine. For tests: it walks the whole state.
    pub fn check(&self) {}
}
