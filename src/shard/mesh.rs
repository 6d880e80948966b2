//! What connects the shards: a bounded queue of batches from each to each, and a bell for each. Nobody waits here: a
//! batch that finds no room stays with its sender. When to ring is decided in `bell.rs`.
use super::bell::Bell;
use super::migrate::Migration;
use crate::engine::slot::ShardSet;
use crate::engine::{Engine, Message, ShardId, Topology};
use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Messages in one batch: enough for a round under load, few enough to be handled in one go.
const BATCH: usize = 256;

/// Connections that may be on their way to one shard; one more stays where it is.
const MIGRATIONS: usize = 256;

/// One shard, as the others see it.
#[derive(Debug)]
struct Seat {
    bell: Bell,
    /// An event descriptor, which wakes the shard.
    eventfd: OwnedFd,
    /// Connections on their way to it, from whomever.
    migrations: ArrayQueue<Migration>,
}

/// Between all shards of a server.
#[derive(Debug)]
pub(crate) struct Mesh {
    seats: Vec<Seat>,
    /// First in, first out for each ordered pair of shards, at `to * shards + from`.
    lanes: Vec<ArrayQueue<Vec<Message>>>,
}

impl Mesh {
    /// With room for so many batches in each lane.
    pub(crate) fn new(topology: Topology, capacity: usize) -> io::Result<Mesh> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let seat = |_| {
            let migrations = ArrayQueue::new(MIGRATIONS);
            Ok(Seat { bell: Bell::new(), eventfd: eventfd(0, flags)?, migrations })
        };
        let shards = usize::from(topology.shards());
        Ok(Mesh {
            seats: topology.all().map(seat).collect::<io::Result<_>>()?,
            lanes: (0..shards * shards).map(|_| ArrayQueue::new(capacity)).collect(),
        })
    }

    fn lanes_to(&self, shard: ShardId) -> &[ArrayQueue<Vec<Message>>] {
        let shards = self.seats.len();
        &self.lanes[shard.index() * shards..][..shards]
    }

    /// Takes from the engine of a shard what it has for others, and adds these to `unrung`. True if something was
    /// left behind, because the others are slow to take it.
    pub(crate) fn send_all(&self, from: ShardId, engine: &mut Engine, unrung: &mut ShardSet) -> bool {
        let mut left = false;
        for to in (0..self.seats.len() as u16).map(ShardId) {
            if !engine.has_messages(to) {
                continue;
            }
            let lane = &self.lanes_to(to)[from.index()];
            while engine.has_messages(to) && !lane.is_full() {
                // This is the only sender of the lane, so there is room.
                let _ = lane.push(engine.take_messages(to, BATCH));
                unrung.insert(to);
            }
            left |= engine.has_messages(to);
        }
        left
    }

    /// Wakes those of these shards that sleep. To be called after something was sent to them, before the sender
    /// sleeps.
    pub(crate) fn wake(&self, shards: ShardSet) {
        shards.iter().for_each(|to| self.nudge(to));
    }

    /// The next batch from one shard to another.
    #[inline]
    pub(crate) fn receive(&self, from: ShardId, to: ShardId) -> Option<Vec<Message>> {
        self.lanes_to(to)[from.index()].pop()
    }

    /// Sends a connection to a shard; it comes back if too many are on their way.
    // It is given back as it came, and that is rare.
    #[allow(clippy::result_large_err)]
    pub(crate) fn send_migration(&self, to: ShardId, migration: Migration) -> Result<(), Migration> {
        self.seats[to.index()].migrations.push(migration)?;
        self.nudge(to);
        Ok(())
    }

    /// The next connection that comes to a shard.
    #[inline]
    pub(crate) fn receive_migration(&self, to: ShardId) -> Option<Migration> {
        self.seats[to.index()].migrations.pop()
    }

    /// Wakes a shard if it sleeps. To be called after something was left for it, here or elsewhere.
    pub(crate) fn nudge(&self, shard: ShardId) {
        if self.seats[shard.index()].bell.must_ring() {
            self.ring(shard);
        }
    }

    /// Whether something waits for a shard.
    #[inline]
    pub(crate) fn waits_for(&self, shard: ShardId) -> bool {
        self.lanes_to(shard).iter().any(|lane| !lane.is_empty())
            || !self.seats[shard.index()].migrations.is_empty()
    }

    /// Batches and connections that wait anywhere.
    pub(crate) fn waiting(&self) -> usize {
        let batches: usize = self.lanes.iter().map(ArrayQueue::len).sum();
        batches + self.seats.iter().map(|seat| seat.migrations.len()).sum::<usize>()
    }

    /// The bell of a shard.
    pub(crate) fn bell(&self, shard: ShardId) -> &Bell {
        &self.seats[shard.index()].bell
    }

    /// What becomes readable when a shard is rung.
    pub(crate) fn eventfd(&self, shard: ShardId) -> BorrowedFd<'_> {
        self.seats[shard.index()].eventfd.as_fd()
    }

    /// For the shard: what was rung is heard.
    pub(crate) fn hush(&self, shard: ShardId) {
        // Nothing to read is as good: it was not rung.
        let _ = rustix::io::read(self.eventfd(shard), &mut [0; 8]);
    }

    /// Rings every shard, whether it sleeps or not.
    pub(crate) fn ring_all(&self) {
        (0..self.seats.len() as u16).map(ShardId).for_each(|shard| self.ring(shard));
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
        assert!(mesh.waits_for(ShardId(2)));
        assert!(!mesh.waits_for(ShardId(0)) && !mesh.waits_for(ShardId(1)));
        assert!(mesh.receive(ShardId(1), ShardId(2)).is_none());
        assert_eq!(mesh.waiting(), 1);
        assert!(mesh.receive(ShardId(0), ShardId(2)).is_some());
        assert_eq!(mesh.waiting(), 0);
    }
}
