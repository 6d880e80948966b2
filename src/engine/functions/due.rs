//! Doing what is due: job time-outs, epoch jobs, and a second look at jobs for which somebody was woken. When it is due
//! is in `timers.rs`.
use super::Functions;
use super::index::{JobIx, PartyIx};
use super::timers::Alarm;
use crate::event::Note;
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::policy::Planted;
use crate::slot::JobId;
use crate::time::Instant;
use bytes::Bytes;

/// Jobs that are no longer queued are looked for only so often in one event.
const DROPPED_AT_ONCE: usize = 64;

impl Functions {
    /// The time of the last event.
    pub(crate) fn now(&self) -> Instant {
        self.now.instant
    }

    /// When [`Functions::advance`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timers = self.timers.deadline(self.now).into_iter();
        let others = [self.puts.deadline(), self.tenure.deadline(), self.next_resume()];
        timers.chain(others.into_iter().flatten()).min()
    }

    /// Whether [`Functions::advance`] may have something to do. Most events find nothing that waits for a time.
    #[inline(always)]
    pub(crate) fn may_be_due(&self) -> bool {
        self.timers.any() || self.puts.any_asked() || self.functions.pauses.is_due(self.now.epoch)
    }

    /// Does what is due, as much as this call may. What is left is due still.
    pub(crate) fn advance(&mut self, out: &mut Outbox) {
        // Those who wait for the store have a bound of their own.
        self.look_at_overdue(out);
        if self.functions.pauses.is_due(self.now.epoch) {
            self.end_pauses(out);
        }
        while let Some(alarm) = self.timers.due(self.now, |job| self.is_queued(job)) {
            if !self.chores.spend() {
                return;
            }
            match alarm {
                Alarm::TimeOut(job) => self.time_out(self.with_alarm(job), out),
                Alarm::FallDue(job) => self.fall_due(self.with_alarm(job), out),
                Alarm::CheckWake(job) => self.check_wake(job, out),
            }
        }
    }

    /// A job that has an alarm: who takes it away takes the alarm along.
    fn with_alarm(&self, job: JobId) -> JobIx {
        self.jobs.find(job).expect("a job with an alarm exists")
    }

    #[inline]
    fn is_queued(&self, job: JobId) -> bool {
        self.jobs.find(job).is_some_and(|ix| self.jobs.get(ix).is_queued())
    }

    /// Nobody need look again after jobs that are no longer queued: no alarm is kept for them.
    pub(crate) fn drop_wake_checks(&mut self) {
        for _ in 0..DROPPED_AT_ONCE {
            let Some(job) = self.timers.next_wake_check() else { return };
            if self.is_queued(job) {
                return;
            }
            self.timers.drop_wake_check();
        }
    }

    /// Somebody was woken for a job a while ago. If it is still queued, everybody is woken.
    fn check_wake(&mut self, job: JobId, out: &mut Outbox) {
        self.timers.drop_wake_check();
        if let Some(ix) = self.jobs.find(job).filter(|&ix| self.jobs.get(ix).is_queued()) {
            self.escalate_wake(ix, out);
        }
    }

    /// The holder of a job has had enough time.
    fn time_out(&mut self, ix: JobIx, out: &mut Outbox) {
        out.counters.jobs_timed_out += 1;
        self.functions.stats(self.jobs.get(ix).function).timed_out += 1;
        let unique = self.unique_of(ix);
        let job = self.jobs.get(ix);
        let holder = self.holder(ix).expect("a job that takes too long is running");
        let name = self.parties.get(holder).name.as_ref();
        let name = name.expect("a worker was introduced before it could do anything");
        let (address, worker) = (name.address, name.id.clone());
        let id = job.id;
        out.note(Note::TimedOut { job: id, unique, address, worker });
        self.requeue(ix, DeathReason::TimedOut, out);
        if !self.policy.plants(Planted::LateResultRefused) {
            self.remember_late(holder, id);
        }
    }

    /// What a worker still says of a job that its time limit took away is taken if nobody has had the job since, and
    /// ignored otherwise.
    fn remember_late(&mut self, holder: PartyIx, id: JobId) {
        let party = self.parties.get_mut(holder);
        party.finish(id, self.policy.finished_memory);
        let session = party.session;
        let Some(ix) = self.jobs.find(id) else { return };
        let job = self.jobs.get_mut(ix);
        if (job.is_queued() || job.is_abandoned())
            && let Some(extra) = job.extra.as_mut()
        {
            extra.late = Some(session);
        }
    }

    /// The time of a scheduled job has come: it goes to the tail of its queue, and workers hear of it.
    fn fall_due(&mut self, ix: JobIx, out: &mut Outbox) {
        self.unschedule(ix);
        self.jobs.get_mut(ix).extra().ready = Some(self.now.instant);
        self.enqueue(ix);
        if !self.jobs.get(ix).ignored() {
            self.wake_for(ix, out);
        }
    }

    /// A copy of a job's unique, for a note.
    pub(super) fn unique_of(&self, ix: JobIx) -> Bytes {
        let job = self.jobs.get(ix);
        Bytes::copy_from_slice(job.unique(self.function_len(job.function)))
    }
}
