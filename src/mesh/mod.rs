//! What connects the threads that hold an engine, today the shards: a bounded queue of batches of messages from each to each, and
//! a bell for each. Nobody waits here: a batch that finds no room stays with its sender. When to ring is decided in `bell.rs`,
//! what all of them share beside is in `shared.rs`. Values only: what has a descriptor goes another way.
mod bell;
pub(crate) mod clock;
pub(crate) mod shared;
mod sync;
pub(crate) mod traffic;

use crate::engine::slot::ShardSet;
use crate::engine::{Engine, Message, ShardId, Topology};
use bell::Bell;
use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages in one batch: enough for a round under load, few enough to be handled in one go.
const BATCH: usize = 256;

/// How others wake a shard that sleeps.
#[derive(Debug)]
struct Doorbell {
    bell: Bell,
    /// An event descriptor, which wakes the shard.
    eventfd: OwnedFd,
    /// Whose lanes to the shard are worth a look, a bit each: so that looking costs the same among any number of others.
    senders: [AtomicU64; ShardSet::WORDS],
}

/// What one home has to remember of hearing: whose lanes to it may still have something, and who was heard last.
#[derive(Debug)]
pub(crate) struct Unheard {
    senders: ShardSet,
    last: ShardId,
}

impl Unheard {
    pub(crate) fn new() -> Unheard {
        Unheard { senders: ShardSet::default(), last: ShardId(0) }
    }

    /// Whether there is certainly nothing of what was sent before the last look.
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }
}

/// Between all homes of a server: the shards, and guests that hold an engine besides.
#[derive(Debug)]
pub(crate) struct Mesh {
    doorbells: Vec<Doorbell>,
    /// First in, first out for each ordered pair of homes, at `to * homes + from`.
    lanes: Vec<ArrayQueue<Vec<Message>>>,
}

impl Mesh {
    /// With room for so many batches in each lane.
    pub(crate) fn new(topology: Topology, capacity: usize) -> io::Result<Mesh> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let doorbell = |_| {
            let senders = Default::default();
            Ok(Doorbell { bell: Bell::new(), eventfd: eventfd(0, flags)?, senders })
        };
        let homes = topology.homes().len();
        Ok(Mesh {
            doorbells: topology.homes().map(doorbell).collect::<io::Result<_>>()?,
            lanes: (0..homes * homes).map(|_| ArrayQueue::new(capacity)).collect(),
        })
    }

    fn lanes_to(&self, shard: ShardId) -> &[ArrayQueue<Vec<Message>>] {
        let homes = self.doorbells.len();
        &self.lanes[shard.index() * homes..][..homes]
    }

    /// Takes from the engine of a shard what it has for others, and adds these to `unrung`. True if something was
    /// left behind, because the others are slow to take it.
    pub(crate) fn send_all(&self, from: ShardId, engine: &mut Engine, unrung: &mut ShardSet) -> bool {
        let mut left = false;
        for to in engine.receivers().iter() {
            let lane = &self.lanes_to(to)[from.index()];
            let mut sent = false;
            while engine.has_messages(to) && !lane.is_full() {
                // This is the only sender of the lane, so there is room.
                let _ = lane.push(engine.take_messages(to, BATCH));
                sent = true;
            }
            if sent {
                self.is_sent_to(to, from);
                unrung.insert(to);
            }
            left |= engine.has_messages(to);
        }
        left
    }

    /// Something was left in a lane. Behind that, so that whoever sees the bit finds it.
    fn is_sent_to(&self, to: ShardId, from: ShardId) {
        let word = &self.doorbells[to.index()].senders[from.index() / 64];
        word.fetch_or(1 << (from.index() % 64), Ordering::Release);
    }

    /// The next batch for a shard, and from whom: in turn, beginning behind whoever was heard last. `None` if there is nothing more.
    #[inline]
    pub(crate) fn hear(&self, shard: ShardId, unheard: &mut Unheard) -> Option<(ShardId, Vec<Message>)> {
        unheard.senders.insert_all(self.take_senders(shard));
        while let Some(from) = unheard.senders.next_after(unheard.last) {
            unheard.last = from;
            match self.lanes_to(shard)[from.index()].pop() {
                Some(batch) => return Some((from, batch)),
                None => unheard.senders.remove(from),
            }
        }
        None
    }

    /// Who has sent a shard something since this was last asked. Their lanes are the shard's to look through, until they are empty.
    #[inline]
    fn take_senders(&self, shard: ShardId) -> ShardSet {
        let senders = &self.doorbells[shard.index()].senders;
        // Mostly there is nothing, and a look costs less than an exchange.
        let take = |word: &AtomicU64| match word.load(Ordering::Relaxed) {
            0 => 0,
            _ => word.swap(0, Ordering::Acquire),
        };
        ShardSet::of_words(senders.each_ref().map(take))
    }

    /// Wakes those of these shards that sleep. To be called after something was sent to them, before the sender
    /// sleeps.
    pub(crate) fn wake(&self, shards: ShardSet) {
        shards.iter().for_each(|to| self.nudge(to));
    }

    /// Wakes a shard if it sleeps. To be called after something was left for it, here or elsewhere.
    pub(crate) fn nudge(&self, shard: ShardId) {
        if self.doorbells[shard.index()].bell.must_ring() {
            self.ring(shard);
        }
    }

    /// Whether somebody has sent a shard something since it last asked.
    #[inline]
    pub(crate) fn waits_for(&self, shard: ShardId) -> bool {
        self.doorbells[shard.index()].senders.iter().any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Batches that wait anywhere.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.iter().map(ArrayQueue::len).sum()
    }

    /// The bell of a shard.
    pub(crate) fn bell(&self, shard: ShardId) -> &Bell {
        &self.doorbells[shard.index()].bell
    }

    /// What becomes readable when a shard is rung.
    pub(crate) fn eventfd(&self, shard: ShardId) -> BorrowedFd<'_> {
        self.doorbells[shard.index()].eventfd.as_fd()
    }

    /// For the shard: what was rung is heard.
    pub(crate) fn hush(&self, shard: ShardId) {
        // Nothing to read is as good: it was not rung.
        let _ = rustix::io::read(self.eventfd(shard), &mut [0; 8]);
    }

    /// Rings every shard, whether it sleeps or not.
    pub(crate) fn ring_all(&self) {
        (0..self.doorbells.len() as u16).map(ShardId).for_each(|shard| self.ring(shard));
    }

    fn ring(&self, shard: ShardId) {
        // It can fail only when it was rung 2^64 times and not heard: it is readable then.
        let _ = rustix::io::write(self.eventfd(shard), &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rung_is_heard_once() {
        let mesh = Mesh::new(Topology::new(2), 4).unwrap();
        let shard = ShardId(1);
        mesh.ring_all();
        mesh.ring_all();
        assert_eq!(rustix::io::read(mesh.eventfd(shard), &mut [0; 8]), Ok(8));
        assert_eq!(rustix::io::read(mesh.eventfd(shard), &mut [0; 8]), Err(rustix::io::Errno::AGAIN));
        mesh.hush(shard);
    }

    #[test]
    fn lanes_are_apart() {
        let mesh = Mesh::new(Topology::new(3), 4).unwrap();
        mesh.lanes_to(ShardId(2))[0].push(Vec::new()).unwrap();
        mesh.is_sent_to(ShardId(2), ShardId(0));
        assert!(mesh.waits_for(ShardId(2)));
        assert!(!mesh.waits_for(ShardId(0)) && !mesh.waits_for(ShardId(1)));
        assert_eq!(mesh.take_senders(ShardId(2)), ShardSet::of([ShardId(0)]));
        assert!(!mesh.waits_for(ShardId(2)) && mesh.take_senders(ShardId(2)).is_empty());
        let mut unheard = Unheard::new();
        assert!(mesh.hear(ShardId(2), &mut unheard).is_none());
        assert_eq!(mesh.waiting(), 1);
        mesh.is_sent_to(ShardId(2), ShardId(0));
        assert_eq!(mesh.hear(ShardId(2), &mut unheard).map(|(from, _)| from), Some(ShardId(0)));
        assert!(!unheard.is_empty(), "there may be more");
        assert!(mesh.hear(ShardId(2), &mut unheard).is_none());
        assert!(unheard.is_empty());
        assert_eq!(mesh.waiting(), 0);
    }
}
