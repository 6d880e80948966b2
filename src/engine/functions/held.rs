//! What jobs take, the living and the dead apart: each shard counts its own and tells the others, since both limits are
//! for all shards together.
use super::Functions;
use super::job::{JobIx, JobState};
use crate::message::{Message, ToFunctions};
use crate::outbox::Outbox;

impl Functions {
    /// Bytes of living jobs came or went. The other shards are told when it makes a difference to the limit, which is
    /// for all shards together and so is kept to within a sixteenth.
    #[inline(always)]
    pub(super) fn count_bytes(&mut self, change: i64, out: &mut Outbox) {
        self.held.bytes = self.held.bytes.saturating_add_signed(change);
        out.counters.jobs_bytes = self.held.bytes;
        out.counters.jobs = self.count();
        if self.policy.queued_bytes == u64::MAX || self.topology.owners().len() == 1 {
            return;
        }
        let step = self.policy.queued_bytes / (16 * self.topology.owners().len() as u64);
        if self.held.bytes.abs_diff(self.held_told.bytes) > step {
            self.tell_held(out);
        }
    }

    /// What few jobs have may have become more or less for this one: the bytes are counted.
    #[inline]
    pub(super) fn charge(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        let dead = job.state() == JobState::Dead;
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
        let held = &mut self.held;
        held.dead = held.dead.saturating_add_signed(jobs);
        held.dead_bytes = held.dead_bytes.saturating_add_signed(bytes);
        held.oldest = self.dead.head().and_then(|ix| self.jobs.get(ix).death()).map(|death| death.at);
        (out.counters.dead_jobs, out.counters.dead_bytes) = (held.dead, held.dead_bytes);
        let share = 16 * self.topology.owners().len() as u64;
        let (limit, told) = (&self.policy, &self.held_told);
        let differs = held.dead.abs_diff(told.dead) > u64::from(limit.dead_jobs) / share
            || held.dead_bytes.abs_diff(told.dead_bytes) > limit.dead_bytes / share
            || told.oldest.is_some() != held.oldest.is_some();
        if differs {
            self.tell_held(out);
        }
    }

    /// Tells the other shards what the jobs of this one take.
    pub(super) fn tell_held(&mut self, out: &mut Outbox) {
        self.held_told = self.held;
        let (shard, held) = (self.shard, self.held);
        for to in self.topology.owners().filter(|&to| to != shard) {
            out.send(to, Message::ToFunctions(ToFunctions::Held { shard, held }));
        }
    }

    /// Whether so many bytes more may be queued.
    pub(super) fn has_room(&self, more: u64) -> bool {
        let elsewhere: u64 = self.held_elsewhere.iter().map(|held| held.bytes).sum();
        (elsewhere + self.held.bytes).saturating_add(more) <= self.policy.queued_bytes
    }

    /// Dead jobs beyond the limit, and bytes of dead jobs beyond theirs, on all shards, as far as known here.
    pub(super) fn dead_beyond(&self) -> (u64, u64) {
        let all = || self.held_elsewhere.iter().chain([&self.held]);
        let jobs: u64 = all().map(|held| held.dead).sum();
        let bytes: u64 = all().map(|held| held.dead_bytes).sum();
        let most = u64::from(self.policy.dead_jobs);
        (jobs.saturating_sub(most), bytes.saturating_sub(self.policy.dead_bytes))
    }
}
