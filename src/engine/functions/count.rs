//! Counting what jobs take, the living and the dead apart, and telling the other shards of it. What is known of it is in
//! `usage.rs`.
use super::Functions;
use super::index::JobIx;
use crate::message::{Message, ToFunctions};
use crate::outbox::Outbox;

impl Functions {
    /// Bytes of living jobs came or went. The other shards are told when it makes a difference to the limit, which is
    /// for all shards together and so is kept to within a sixteenth.
    #[inline(always)]
    pub(super) fn count_bytes(&mut self, change: i64, out: &mut Outbox) {
        self.usages.here.bytes = self.usages.here.bytes.saturating_add_signed(change);
        out.counters.jobs_bytes = self.usages.here.bytes;
        out.counters.jobs = self.count();
        if self.policy.queued_bytes == u64::MAX || self.topology.owners().len() == 1 {
            return;
        }
        let step = self.policy.queued_bytes / (16 * self.topology.owners().len() as u64);
        if self.usages.bytes_differ(step) {
            self.tell_usage(out);
        }
    }

    /// What few jobs have may have become more or less for this one: the bytes are counted.
    #[inline]
    pub(super) fn charge(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        let dead = job.is_dead();
        let change = job.charge();
        if change != 0 && dead {
            self.count_dead(0, change, out);
        } else if change != 0 {
            self.count_bytes(change, out);
        }
    }

    /// Dead jobs and bytes of these came or went.
    #[cold]
    pub(super) fn count_dead(&mut self, jobs: i64, bytes: i64, out: &mut Outbox) {
        let usage = &mut self.usages.here;
        usage.dead = usage.dead.saturating_add_signed(jobs);
        usage.dead_bytes = usage.dead_bytes.saturating_add_signed(bytes);
        usage.oldest = self.dead.head().and_then(|ix| self.jobs.get(ix).death()).map(|death| death.at);
        (out.counters.dead_jobs, out.counters.dead_bytes) = (usage.dead, usage.dead_bytes);
        if self.usages.dead_differ(&self.policy, 16 * self.topology.owners().len() as u64) {
            self.tell_usage(out);
        }
    }

    /// Tells the other shards what the jobs of this one take.
    pub(super) fn tell_usage(&mut self, out: &mut Outbox) {
        let (shard, usage) = (self.shard, self.usages.tell());
        for to in self.topology.owners().filter(|&to| to != shard) {
            out.send(to, Message::ToFunctions(ToFunctions::Usage { shard, usage }));
        }
    }

    /// Whether so many bytes more may be queued.
    pub(super) fn has_room(&self, more: u64) -> bool {
        self.usages.has_room(more, &self.policy)
    }

    /// Dead jobs beyond the limit, and bytes of dead jobs beyond theirs, on all shards, as far as known here.
    pub(super) fn dead_beyond(&self) -> (u64, u64) {
        self.usages.dead_beyond(&self.policy)
    }
}
