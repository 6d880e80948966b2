//! What all shards and the control thread share: a few numbers and the mesh. Nothing here is about a single job.
//! What a shard does in each phase is in `shard/`, what the control thread makes of the numbers in `server/`.
use super::Mesh;
use super::traffic::{Traffic, TrafficSums};
use crate::engine::{Instant, ShardId, Topology};
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// What the shards are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ServerPhase {
    /// Serve.
    Serving,
    /// Accept nobody; serve those who are there.
    Draining,
    /// End.
    Stopping,
}

/// What one shard has published about itself, as of its last round.
#[derive(Debug, Default)]
#[repr(align(128))] // no cache line of its neighbours
struct Gauges {
    jobs: AtomicU64,
    accepted: AtomicU64,
    unsent: AtomicU64,
    /// Bytes that its connections are charged with.
    owed: AtomicU64,
    /// Connections that are there or on their way there.
    connections: AtomicUsize,
    /// Rounds that had something to do.
    rounds: AtomicU64,
    /// Nanoseconds that it has waited for something to do, and since when it waits now; 0 while it does not.
    idle: AtomicU64,
    idle_since: AtomicU64,
}

/// What a shard has done with its time.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardTimes {
    /// Rounds that had something to do.
    pub(crate) rounds: u64,
    /// Nanoseconds that it has waited for something to do.
    pub(crate) idle: u64,
}

/// A number that all write, on a cache line of its own: beside it stands what every shard reads in every round.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicUsize);

/// What all shards have published, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Jobs now, queued and running.
    pub(crate) jobs: u64,
    /// Jobs ever accepted.
    pub(crate) accepted: u64,
    /// Connections and shards for which something waits to be sent.
    pub(crate) unsent: u64,
}

/// Shared by all.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Between the shards.
    pub(crate) mesh: Mesh,
    /// Connections of all shards.
    connections: Alone,
    /// Shards that do not have all jobs yet that were kept for them.
    unrestored: AtomicUsize,
    /// Shards that may still accept somebody.
    accepting: AtomicUsize,
    phase: AtomicU8,
    gauges: Vec<Gauges>,
    traffic: Vec<Traffic>,
    /// Those among them that have connections.
    shards: u64,
}

impl Shared {
    /// So many connections are no load for a shard.
    const FEW: u64 = 16;

    /// For the shards of a topology.
    pub(crate) fn new(topology: Topology, mesh_capacity: usize) -> io::Result<Shared> {
        Ok(Shared {
            mesh: Mesh::new(topology, mesh_capacity)?,
            connections: Alone::default(),
            unrestored: AtomicUsize::new(topology.owners().len()),
            accepting: AtomicUsize::new(topology.owners().len()),
            phase: AtomicU8::new(ServerPhase::Serving as u8),
            gauges: topology.homes().map(|_| Gauges::default()).collect(),
            traffic: topology.homes().map(|_| Traffic::default()).collect(),
            shards: topology.owners().len() as u64,
        })
    }

    /// Counts one more connection of a shard, unless there are `most`.
    pub(crate) fn admit(&self, shard: ShardId, most: usize) -> bool {
        self.gauges[shard.index()].connections.fetch_add(1, Ordering::Relaxed);
        let admitted = self.connections.0.fetch_add(1, Ordering::Relaxed) < most;
        if !admitted {
            self.dismiss(shard);
        }
        admitted
    }

    /// Counts one connection of a shard less.
    pub(crate) fn dismiss(&self, shard: ShardId) {
        self.connections.0.fetch_sub(1, Ordering::Relaxed);
        self.gauges[shard.index()].connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection of one shard as one of another, unless that has more than `percent` of what each would
    /// have if all had as many, and more than [`Shared::FEW`] besides.
    pub(crate) fn move_over(&self, from: ShardId, to: ShardId, percent: u64) -> bool {
        let all = self.connections.0.load(Ordering::Relaxed) as u64;
        let most = Self::FEW + (all * percent).div_ceil(100 * self.shards);
        let there = &self.gauges[to.index()].connections;
        if there.fetch_add(1, Ordering::Relaxed) as u64 >= most {
            there.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.gauges[from.index()].connections.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Takes back what [`Shared::move_over`] did.
    pub(crate) fn stay(&self, here: ShardId, to: ShardId) {
        self.gauges[to.index()].connections.fetch_sub(1, Ordering::Relaxed);
        self.gauges[here.index()].connections.fetch_add(1, Ordering::Relaxed);
    }

    /// What the shards are to do.
    #[inline]
    pub(crate) fn phase(&self) -> ServerPhase {
        match self.phase.load(Ordering::Acquire) {
            0 => ServerPhase::Serving,
            1 => ServerPhase::Draining,
            _ => ServerPhase::Stopping,
        }
    }

    /// Tells all shards what to do from now on, sleeping or not.
    pub(crate) fn enter(&self, phase: ServerPhase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.mesh.ring_all();
    }

    /// Notes that a shard has all jobs that were kept for it; the last one wakes the others.
    pub(crate) fn restored(&self) {
        if self.unrestored.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.mesh.ring_all();
        }
    }

    /// Whether every shard has all jobs that were kept for it.
    pub(crate) fn all_restored(&self) -> bool {
        self.unrestored.load(Ordering::Acquire) == 0
    }

    /// Notes that a shard accepts nobody any more, and has read what those had sent whom it accepted last.
    pub(crate) fn accepts_no_more(&self) {
        self.accepting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether that is so of every shard.
    pub(crate) fn nobody_accepts(&self) -> bool {
        self.accepting.load(Ordering::Acquire) == 0
    }

    /// For a shard at the end of a round: what others may know.
    #[inline]
    pub(crate) fn publish(&self, shard: ShardId, jobs: u64, accepted: u64, unsent: u64) {
        let gauges = &self.gauges[shard.index()];
        gauges.jobs.store(jobs, Ordering::Relaxed);
        gauges.accepted.store(accepted, Ordering::Relaxed);
        gauges.unsent.store(unsent, Ordering::Release);
    }

    /// For a shard, once a round: what its connections are charged with.
    #[inline]
    pub(crate) fn publish_owed(&self, shard: ShardId, bytes: u64) {
        self.gauges[shard.index()].owed.store(bytes, Ordering::Relaxed);
    }

    /// Where a home notes what comes and goes on its connections.
    #[inline]
    pub(crate) fn traffic(&self, home: ShardId) -> &Traffic {
        &self.traffic[home.index()]
    }

    /// What came and went on all connections.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn traffic_sums(&self) -> TrafficSums {
        let mut sums = TrafficSums::default();
        self.traffic.iter().for_each(|traffic| traffic.add_to(&mut sums));
        sums.requests.sort_by_key(|(kind, _)| kind.number());
        sums
    }

    /// For a shard that has nothing to do from this time on.
    #[inline]
    pub(crate) fn publish_idle(&self, shard: ShardId, rounds: u64, since: Instant) {
        let gauges = &self.gauges[shard.index()];
        gauges.rounds.store(rounds, Ordering::Relaxed);
        gauges.idle_since.store(since.0, Ordering::Relaxed);
    }

    /// For a shard that has something to do again.
    #[inline]
    pub(crate) fn publish_busy(&self, shard: ShardId, waited: u64) {
        let gauges = &self.gauges[shard.index()];
        gauges.idle_since.store(0, Ordering::Relaxed);
        let idle = gauges.idle.load(Ordering::Relaxed);
        gauges.idle.store(idle + waited, Ordering::Relaxed);
    }

    /// What the owners have done with their time.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn times(&self, now: Instant) -> Vec<ShardTimes> {
        let times = |gauges: &Gauges| {
            let since = gauges.idle_since.load(Ordering::Relaxed);
            let waits = if since == 0 { 0 } else { now.0.saturating_sub(since) };
            let idle = gauges.idle.load(Ordering::Relaxed) + waits;
            ShardTimes { rounds: gauges.rounds.load(Ordering::Relaxed), idle }
        };
        self.gauges.iter().take(self.shards as usize).map(times).collect()
    }

    /// What the connections of all shards are charged with.
    pub(crate) fn owed(&self) -> u64 {
        self.gauges.iter().map(|gauges| gauges.owed.load(Ordering::Relaxed)).sum()
    }

    /// What the shards have published, and what waits between them.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums { unsent: self.mesh.waiting() as u64, ..Sums::default() };
        for gauges in &self.gauges {
            sums.unsent += gauges.unsent.load(Ordering::Acquire);
            sums.accepted += gauges.accepted.load(Ordering::Relaxed);
            sums.jobs += gauges.jobs.load(Ordering::Relaxed);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_move_over_until_a_shard_has_more_than_its_share() {
        let (here, there) = (ShardId(0), ShardId(1));
        let shared = Shared::new(Topology::new(2), 1).unwrap();
        (0..100).for_each(|_| assert!(shared.admit(here, 100)));
        assert!(!shared.admit(here, 100));
        let moved = (0..100).filter(|_| shared.move_over(here, there, 150)).count();
        assert_eq!(moved, 16 + 75);
        shared.stay(here, there);
        assert!(shared.move_over(here, there, 150));
        (0..91).for_each(|_| shared.dismiss(there));
        (0..9).for_each(|_| shared.dismiss(here));
        let left = shared.gauges.iter().map(|gauges| gauges.connections.load(Ordering::Relaxed));
        assert_eq!(left.sum::<usize>() + shared.connections.0.load(Ordering::Relaxed), 0);
    }
}
