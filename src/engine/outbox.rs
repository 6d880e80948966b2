//! Where both halves put what they want done: outputs for the shell, messages for shards. Decides nothing.
use crate::counters::Counters;
use crate::event::{Note, Output, Reply};
use crate::message::Message;
use crate::policy::{Planted, Policy};
use crate::slot::{SessionId, ShardId, ShardSet, Topology};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Messages that wait for one other shard.
#[derive(Debug, Default)]
struct Lane {
    messages: VecDeque<Message>,
    bytes: usize,
}

/// Collects what an event leads to.
#[derive(Debug)]
pub(crate) struct Outbox {
    shard: ShardId,
    /// For the shell, in order.
    pub(crate) outputs: VecDeque<Output>,
    /// For the other half of this shard, in order; empty whenever the engine is quiet.
    pub(crate) local: VecDeque<Message>,
    lanes: Vec<Lane>,
    /// Whose lanes are not empty.
    waiting: ShardSet,
    /// Sum over the lanes.
    bytes: usize,
    /// A planted bug: lanes do not keep their order.
    reorders: bool,
    /// The time of this event.
    pub(crate) now: Instant,
    /// What both halves count.
    pub(crate) counters: Counters,
}

impl Outbox {
    pub(crate) fn new(shard: ShardId, topology: Topology, policy: &Policy) -> Outbox {
        Outbox {
            shard,
            outputs: VecDeque::new(),
            local: VecDeque::new(),
            lanes: topology.homes().map(|_| Lane::default()).collect(),
            waiting: ShardSet::default(),
            bytes: 0,
            reorders: policy.plants(Planted::MessageReordered),
            now: Instant(0),
            counters: Counters::default(),
        }
    }

    /// This shard.
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Sends a message to a shard, which may be this one.
    #[inline]
    pub(crate) fn send(&mut self, to: ShardId, message: Message) {
        if to == self.shard {
            self.local.push_back(message);
        } else {
            self.send_away(to, message);
        }
    }

    #[inline(never)]
    fn send_away(&mut self, to: ShardId, message: Message) {
        let weight = message.weight();
        let lane = &mut self.lanes[to.index()];
        self.waiting.insert(to);
        lane.bytes += weight;
        self.bytes += weight;
        if self.reorders && lane.messages.len() % 3 == 1 {
            let last = lane.messages.len() - 1;
            lane.messages.insert(last, message);
        } else {
            lane.messages.push_back(message);
        }
    }

    /// Tells a session something.
    #[inline]
    pub(crate) fn reply(&mut self, to: SessionId, reply: Reply) {
        self.outputs.push_back(Output::Reply(to, reply));
    }

    /// Says something for the log.
    #[cold]
    pub(crate) fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Note(Box::new(note)));
    }

    /// Bytes that wait for other shards.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// For whom something waits.
    #[inline]
    pub(crate) fn receivers(&self) -> ShardSet {
        self.waiting
    }

    /// Whether anything waits for a shard.
    pub(crate) fn has(&self, to: ShardId) -> bool {
        !self.lanes[to.index()].messages.is_empty()
    }

    /// What waits for other shards.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.lanes.iter().flat_map(|lane| &lane.messages)
    }

    /// Takes at most `most` messages for a shard, in order.
    pub(crate) fn take(&mut self, to: ShardId, most: usize) -> Vec<Message> {
        let lane = &mut self.lanes[to.index()];
        let count = lane.messages.len().min(most);
        let taken: Vec<Message> = lane.messages.drain(..count).collect();
        let weight: usize = taken.iter().map(Message::weight).sum();
        lane.bytes -= weight;
        self.bytes -= weight;
        if lane.messages.is_empty() {
            self.waiting.remove(to);
        }
        taken
    }
}
