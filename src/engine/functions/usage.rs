//! What jobs take, the living and the dead apart, here and on the other shards: both limits are for all shards together.
//! Counting what comes and goes is in `count.rs`.
use crate::message::JobsUsage;
use crate::policy::Policy;
use crate::slot::ShardId;
use crate::time::Epoch;
use alloc::vec;
use alloc::vec::Vec;

/// What the jobs of every shard take, as far as known here.
#[derive(Debug)]
pub(crate) struct Usages {
    /// What all jobs here take.
    pub(super) here: JobsUsage,
    /// What the other shards were last told of that.
    told: JobsUsage,
    /// What each other shard last told.
    elsewhere: Vec<JobsUsage>,
}

impl Usages {
    pub(crate) fn new(owners: usize) -> Usages {
        let elsewhere = vec![JobsUsage::default(); owners];
        Usages { here: JobsUsage::default(), told: JobsUsage::default(), elsewhere }
    }

    /// Another shard has told what its jobs take.
    pub(crate) fn note(&mut self, shard: ShardId, usage: JobsUsage) {
        self.elsewhere[shard.index()] = usage;
    }

    /// The other shards are told now.
    pub(super) fn tell(&mut self) -> JobsUsage {
        self.told = self.here;
        self.here
    }

    /// Whether bytes of living jobs differ from what was told by more than this.
    #[inline(always)]
    pub(super) fn bytes_differ(&self, step: u64) -> bool {
        self.here.bytes.abs_diff(self.told.bytes) > step
    }

    /// Whether the dead differ from what was told by more than such a share of the limits.
    pub(super) fn dead_differ(&self, limits: &Policy, share: u64) -> bool {
        let (here, told) = (&self.here, &self.told);
        here.dead.abs_diff(told.dead) > u64::from(limits.dead_jobs) / share
            || here.dead_bytes.abs_diff(told.dead_bytes) > limits.dead_bytes / share
            || told.oldest.is_some() != here.oldest.is_some()
    }

    /// Whether so many bytes more may be queued.
    pub(super) fn has_room(&self, more: u64, limits: &Policy) -> bool {
        let elsewhere: u64 = self.elsewhere.iter().map(|usage| usage.bytes).sum();
        (elsewhere + self.here.bytes).saturating_add(more) <= limits.queued_bytes
    }

    /// Dead jobs beyond the limit, and bytes of dead jobs beyond theirs, on all shards.
    pub(super) fn dead_beyond(&self, limits: &Policy) -> (u64, u64) {
        let all = || self.elsewhere.iter().chain([&self.here]);
        let jobs: u64 = all().map(|usage| usage.dead).sum();
        let bytes: u64 = all().map(|usage| usage.dead_bytes).sum();
        (jobs.saturating_sub(u64::from(limits.dead_jobs)), bytes.saturating_sub(limits.dead_bytes))
    }

    /// When the first of the dead jobs of another shard died.
    pub(super) fn oldest_of(&self, shard: ShardId) -> Option<Epoch> {
        self.elsewhere[shard.index()].oldest
    }
}
