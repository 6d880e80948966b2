//! Dead jobs: background jobs out of attempts. They are kept to be looked at, put back or cancelled, apart from queues,
//! from the index of uniques and from every count of jobs; the latest so many.
use super::Functions;
use super::job::{Death, JobIx, JobState};
use crate::event::{Note, Output};
use crate::outbox::Outbox;
use crate::persist::{DeathReason, StoreOp};
use crate::policy::Planted;
use crate::report::{DeadRow, Report};
use alloc::boxed::Box;
use bytes::Bytes;

impl Functions {
    /// How many dead jobs this shard keeps: its equal share of all, rounded up.
    pub(super) fn dead_most(&self) -> u32 {
        self.policy.dead_jobs.div_ceil(u32::from(self.topology.shards()))
    }

    /// A running job is out of attempts, and is kept. Who waited for it has been told.
    #[cold]
    pub(super) fn bury(&mut self, ix: JobIx, reason: DeathReason, out: &mut Outbox) {
        let holder = self.stop(ix);
        self.forget_clients(ix);
        self.unfile(ix);
        let party = self.parties.get_mut(holder);
        let name = party.name.as_ref().expect("a worker was introduced before it could do anything");
        let death = Death { reason, at: self.now.epoch, address: name.address, worker: name.id.clone() };
        let job = self.jobs.get_mut(ix);
        party.held.take_back(job.id);
        job.go(JobState::Dead, None);
        let extra = job.extra();
        (extra.numerator, extra.denominator) = (0, 0);
        extra.death = Some(Box::new(death));
        self.charge(ix, out);
        if self.policy.store {
            if self.policy.plants(Planted::DoneBeforePut) {
                out.outputs.push_back(Output::Store(StoreOp::Done { id: self.jobs.get(ix).id }));
            }
            self.put(ix, out);
        }
        self.keep_dead(ix, out);
    }

    /// Lists a job that has become `Dead`. The one that has been dead longest may have to go; after a start that is the
    /// one that was accepted first.
    #[cold]
    pub(super) fn keep_dead(&mut self, ix: JobIx, out: &mut Outbox) {
        let function = self.jobs.get(ix).function;
        self.functions.get_mut(function).dead += 1;
        self.dead.push(&mut self.jobs, ix);
        out.counters.dead_jobs += 1;
        while self.dead.len() > self.dead_most() {
            self.drop_dead(out);
        }
        out.counters.jobs = self.count();
    }

    /// Drops the job that has been dead longest. False if there is none.
    #[cold]
    pub(super) fn drop_dead(&mut self, out: &mut Outbox) -> bool {
        let Some(ix) = self.dead.head() else { return false };
        out.counters.dead_jobs_dropped += 1;
        let (job, unique) = (self.jobs.get(ix).id, self.unique_of(ix));
        out.outputs.push_back(Output::Note(Note::DeadJobDropped { job, unique }));
        self.end(ix, out);
        true
    }

    /// Takes a job off the list; it is about to be something else.
    #[cold]
    pub(super) fn exhume(&mut self, ix: JobIx, out: &mut Outbox) {
        let function = self.jobs.get(ix).function;
        self.functions.get_mut(function).dead -= 1;
        self.dead.remove(&mut self.jobs, ix);
        out.counters.dead_jobs -= 1;
    }

    /// A dead job goes to the tail of its queue, as if it had never been tried.
    #[cold]
    pub(super) fn retry_job(&mut self, handle: &[u8], out: &mut Outbox) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let Some(ix) = found.filter(|&ix| self.jobs.get(ix).state() == JobState::Dead) else {
            return Report::UnknownJob;
        };
        self.exhume(ix, out);
        let job = self.jobs.get_mut(ix);
        job.go(JobState::Queued, None);
        job.retries = 0;
        job.extra().death = None;
        self.charge(ix, out);
        self.file_if_alone(ix);
        if self.policy.store {
            self.put(ix, out);
        }
        out.counters.dead_jobs_retried += 1;
        self.enqueue(ix);
        self.wake_for(ix, out);
        out.counters.jobs = self.count();
        Report::Done
    }

    #[cold]
    pub(super) fn report_dead(&self) -> Report {
        let rows = self.jobs.iter().filter_map(|(ix, job)| {
            let death = job.death()?;
            Some(DeadRow {
                job: job.id,
                function: self.functions.get(job.function).name.clone(),
                unique: self.unique_of(ix),
                attempts: job.retries,
                reason: death.reason,
                at: death.at,
                address: death.address,
                worker: Bytes::clone(&death.worker),
            })
        });
        Report::DeadJobs(rows.collect())
    }

    /// Asserts that the dead are all listed, and none too many.
    pub(super) fn check_dead(&self) {
        let mut at = self.dead.head();
        let mut count = 0;
        while let Some(ix) = at {
            assert_eq!(self.jobs.get(ix).state(), JobState::Dead);
            at = self.jobs.get(ix).next.get().map(JobIx);
            count += 1;
        }
        assert_eq!(self.dead.len(), count);
        assert!(count <= self.dead_most());
        let by_function: u32 = self.functions.iter().map(|(_, function)| function.dead).sum();
        let dead = self.jobs.iter().filter(|(_, job)| job.state() == JobState::Dead);
        assert_eq!((by_function, dead.count() as u32), (count, count));
    }
}
