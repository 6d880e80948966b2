//! What is due and when: job time-outs, epoch jobs, and the patience with workers that were woken. Says what; the
//! other files do it.
use super::Functions;
use super::index::{JobIx, PartyIx};
use crate::event::Note;
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::policy::Planted;
use crate::slot::JobId;
use crate::time::Instant;
use bytes::Bytes;

/// Jobs that are no longer queued are looked for only so often in one event.
const CALMED_AT_ONCE: usize = 64;

impl Functions {
    /// The time of the last event.
    pub(crate) fn now(&self) -> Instant {
        self.now.instant
    }

    /// When [`Functions::advance`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline(self.now).into_iter().chain(self.puts.deadline()).min()
    }

    /// Does what is due, as much as this call may. What is left is due still.
    pub(crate) fn advance(&mut self, out: &mut Outbox) {
        let now = self.now;
        self.look_at_overdue(out);
        while let Some(&(instant, id)) = self.timers.armed.first() {
            if instant > now.instant {
                break;
            }
            if !self.chores.spend() {
                return;
            }
            let ix = self.jobs.find(id).expect("a job with a timer exists");
            self.time_out(ix, out);
        }
        while let Some(&(epoch, id)) = self.timers.scheduled.first() {
            if epoch > now.epoch {
                break;
            }
            if !self.chores.spend() {
                return;
            }
            let ix = self.jobs.find(id).expect("a job with a timer exists");
            self.fall_due(ix, out);
        }
        while let Some(&(instant, id)) = self.timers.patience.front() {
            let queued = self.jobs.find(id).filter(|&ix| self.jobs.get(ix).is_queued());
            if queued.is_some() && instant > now.instant {
                break;
            }
            if !self.chores.spend() {
                return;
            }
            self.timers.patience.pop_front();
            if let Some(ix) = queued {
                self.lose_patience(ix, out);
            }
        }
    }

    /// Nobody need be patient for the sake of jobs that are no longer queued: no timer is kept for them.
    pub(crate) fn calm_down(&mut self) {
        for _ in 0..CALMED_AT_ONCE {
            let Some(&(_, id)) = self.timers.patience.front() else { return };
            let queued = self.jobs.find(id).is_some_and(|ix| self.jobs.get(ix).is_queued());
            if queued {
                return;
            }
            self.timers.patience.pop_front();
        }
    }

    /// The holder of a job has had enough time.
    fn time_out(&mut self, ix: JobIx, out: &mut Outbox) {
        out.counters.jobs_timed_out += 1;
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
