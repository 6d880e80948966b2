//! A job as a store is to keep it, and jobs that were found in the store at the start. Who waits for the store is not
//! here: see `storing.rs`.
use super::Functions;
use super::extra::{Carried, CauseOfDeath};
use super::index::{FunctionIx, JobIx};
use super::job::Job;
use super::unique::Key;
use crate::outbox::Outbox;
use crate::persist::{self, NotRestored, StoredJob};
use crate::policy::Planted;
use crate::slot::JobId;
use crate::time::Epoch;
use alloc::boxed::Box;
use bytes::Bytes;

impl Functions {
    /// A job as a store is to keep it; `None` if it has ended, or is not a background job.
    pub(crate) fn stored_job(&self, id: JobId) -> Option<StoredJob<'_>> {
        let job = self.jobs.find(id).map(|ix| self.jobs.get(ix)).filter(|job| job.background())?;
        let function = &self.functions.get(job.function).name;
        let death = job.death().map(|death| persist::Death {
            reason: death.reason,
            at: death.at,
            address: death.address,
            worker: &death.worker,
        });
        Some(StoredJob {
            id,
            priority: job.priority(),
            epoch: job.epoch(),
            attempts: job.retries,
            function,
            unique: job.unique(function.len()),
            workload: job.workload(function.len()),
            reducer: job.reducer(),
            death,
            accepted: self.accepted(job),
            more: job.carried().map_or(&[], |carried| &carried.more),
        })
    }

    /// When a job was accepted, by the clock on the wall.
    fn accepted(&self, job: &Job) -> Option<Epoch> {
        if job.is_dated() {
            return self.calendar.time(job.id.sequence(), job.accepted_ms);
        }
        job.carried().and_then(|carried| carried.accepted)
    }

    /// Its workload as a share, if it can be shared.
    pub(crate) fn shared_workload(&self, id: JobId) -> Option<Bytes> {
        let job = self.jobs.find(id).map(|ix| self.jobs.get(ix))?;
        job.body.share_of(job.workload(self.function_len(job.function)))
    }

    /// The next job gets this sequence, or a later one.
    pub(crate) fn sequence_at_least(&mut self, sequence: u64) {
        self.numbers.at_least(sequence);
    }

    /// No job that is accepted from now on has this number.
    pub(crate) fn keep_clear_of(&mut self, id: JobId) {
        self.numbers.keep_clear_of(id.sequence());
    }

    /// New jobs may have these sequences, when those that were handed in before are used up.
    pub(crate) fn add_numbers(&mut self, block: core::ops::Range<u64>) {
        self.numbers.add(block);
    }

    /// Whether more of them should be asked for.
    pub(crate) fn wants_numbers(&self) -> bool {
        self.numbers.want_more()
    }

    /// A job that was in the store. Limits do not apply to it.
    ///
    /// Two such jobs may have the same unique: one was cancelled while it ran, or was put back from the dead, or its
    /// end was not stored before the last stop. Both are run, since neither may get lost; submissions join the first.
    #[inline(never)]
    pub(crate) fn restore(&mut self, stored: &StoredJob<'_>, out: &mut Outbox) -> Result<(), NotRestored> {
        assert!(self.topology.owner(stored.id.slot()) == self.shard, "a job is restored by its owner");
        self.keep_clear_of(stored.id);
        stored.sound()?;
        if self.jobs.find(stored.id).is_some() {
            return Err(NotRestored::Twice);
        }
        let function = self.functions.find(stored.function);
        let function =
            function.unwrap_or_else(|| self.functions.create(Bytes::copy_from_slice(stored.function)));
        let mut restored = self.job_of(stored, function);
        self.carry(&mut restored, stored);
        restored.charge();
        let ix = self.jobs.insert(restored);
        let job = self.jobs.get_mut(ix);
        let bytes = job.bytes();
        let scheduled = job.epoch().is_some();
        if job.death().is_some() {
            self.count_bytes(bytes as i64, out);
            self.add_to_dead(ix, out);
            return Ok(());
        }
        out.counters.jobs_restored += 1;
        self.count_bytes(bytes as i64, out);
        self.file_if_alone(ix);
        if scheduled {
            self.schedule(ix);
        } else {
            self.enqueue(ix);
            self.wake_for(ix, out);
        }
        Ok(())
    }

    fn job_of(&self, stored: &StoredJob<'_>, function: FunctionIx) -> Job {
        let body = [stored.function, b"\0", stored.unique, b"\0", stored.workload].concat();
        let unique_len = stored.unique.len() as u8;
        let now = self.now;
        let mut job = Job::new(stored.id, function, stored.priority, true, unique_len, body.into(), 0);
        job.retries = stored.attempts;
        if let Some(reducer) = stored.reducer {
            job.extra().reducer = Some(Box::from(reducer));
        }
        let forgets = self.policy.plants(Planted::ForgetsEpoch);
        if let Some(epoch) = stored.epoch.filter(|&epoch| epoch > now.epoch && !forgets) {
            job.extra().epoch = Some(epoch);
        } else if let Some(epoch) = stored.epoch.filter(|&epoch| Some(epoch) > stored.accepted) {
            // Its time came while no server had it: it has waited since then.
            job.extra().ready = Some(now.before(epoch));
        }
        if let Some(death) = stored.death {
            job.extra().death = Some(Box::new(CauseOfDeath {
                reason: death.reason,
                at: death.at,
                address: death.address,
                worker: Bytes::copy_from_slice(death.worker),
            }));
        }
        job
    }

    /// Has a job keep what only the store wants to know: mostly in the four bytes that it has for that.
    fn carry(&mut self, job: &mut Job, stored: &StoredJob<'_>) {
        job.accepted_ms = self.calendar.accept(self.numbers.next(), self.now);
        let sequence = stored.id.sequence();
        // Behind a job of a later sequence than the next one has, the calendar goes on.
        let known = stored.accepted.filter(|_| sequence < self.numbers.next());
        let kept = known.and_then(|accepted| self.calendar.keeps(sequence, accepted));
        match kept {
            Some(kept) => job.accepted_ms = kept,
            None => job.set_undated(),
        }
        let accepted = stored.accepted.filter(|_| kept.is_none());
        if accepted.is_some() || !stored.more.is_empty() {
            let more = Box::from(stored.more);
            job.extra().carried = Some(Box::new(Carried { accepted, more }));
        }
    }

    /// Files a job, unless submissions with its unique already join another one.
    pub(super) fn file_if_alone(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        let function_len = self.function_len(job.function);
        let (unique, workload) = (job.unique(function_len), job.workload(function_len));
        let Some(key) = Key::of(unique, workload) else { return };
        let hash = self.keys.hash(key);
        if self.find_alike(job.function, key, hash, workload).is_none() {
            self.file(ix, hash);
        }
    }
}
