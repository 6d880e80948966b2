//! Background jobs are answered once the store has them: who waits for which put, what follows when it is answered, and
//! jobs that were found in the store at the start. How jobs are kept, and on what, is the store's affair.
use super::Functions;
use super::job::{Death, FunctionIx, Job, JobIx, JobState};
use super::unique::Key;
use crate::event::Output;
use crate::message::{Place, Submission, ToSessions};
use crate::outbox::Outbox;
use crate::persist::{self, NotRestored, StoreOp, StoreSeq, StoredJob};
use crate::policy::Planted;
use crate::slot::{JobId, SessionId};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use ringgear_protocol::Refusal;

/// With room for so many puts and none to wait for, the room is given back.
const ROOM_KEPT: usize = 1024;

/// A submission that is answered when the store has answered.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    from: SessionId,
    place: Place,
    background: bool,
}

impl Waiting {
    fn of(submission: &Submission) -> Waiting {
        Waiting { from: submission.from, place: submission.place, background: submission.background }
    }
}

/// A put that submissions wait for.
#[derive(Debug)]
struct Asked {
    seq: StoreSeq,
    id: JobId,
    first: Waiting,
    /// Those that joined meanwhile.
    more: Vec<Waiting>,
}

/// Puts. Those that nobody waits for (a job died, or was put back) are not remembered. What is remembered is bounded by
/// the requests in flight and by the bytes that may be queued.
#[derive(Debug, Default)]
pub(crate) struct Puts {
    last: StoreSeq,
    /// In order.
    asked: VecDeque<Asked>,
}

impl Puts {
    fn find(&mut self, seq: StoreSeq) -> Option<&mut Asked> {
        let at = self.asked.binary_search_by_key(&seq, |asked| asked.seq).ok()?;
        self.asked.get_mut(at)
    }

    /// The next put up to this one, if somebody waits for it.
    fn answered(&mut self, upto: StoreSeq) -> Option<Asked> {
        assert!(upto <= self.last, "the store answers what it was asked");
        if self.asked.front().is_none_or(|asked| asked.seq > upto) {
            if self.asked.is_empty() && self.asked.capacity() > ROOM_KEPT {
                self.asked = VecDeque::new();
            }
            return None;
        }
        self.asked.pop_front()
    }
}

impl Functions {
    /// A new background job waits for the store, and its submission with it.
    #[inline(never)]
    pub(super) fn store(&mut self, ix: JobIx, submission: &Submission, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        job.go(JobState::Storing, None);
        let (function, priority) = (job.function, job.priority());
        self.functions.get_mut(function).aside[priority as usize] += 1;
        self.put_for(ix, submission, out);
    }

    /// Has the store keep a job, which a submission waits for.
    #[inline(never)]
    fn put_for(&mut self, ix: JobIx, submission: &Submission, out: &mut Outbox) {
        let seq = self.put(ix, out);
        let job = self.jobs.get_mut(ix);
        job.set_pending(Some(seq));
        let id = job.id;
        self.charge(ix, out);
        let asked = Asked { seq, id, first: Waiting::of(submission), more: Vec::new() };
        self.puts.asked.push_back(asked);
        if self.policy.plants(Planted::AnswersBeforeStored) {
            self.stored(seq, out);
        }
    }

    /// Has the store keep a job as it is now.
    pub(super) fn put(&mut self, ix: JobIx, out: &mut Outbox) -> StoreSeq {
        let seq = StoreSeq(self.puts.last.0 + 1);
        self.puts.last = seq;
        let id = self.jobs.get(ix).id;
        out.outputs.push_back(Output::Store(StoreOp::Put { seq, id }));
        seq
    }

    /// Has the store keep jobs again that it cannot read any more. Nobody waits for that.
    #[inline(never)]
    pub(crate) fn put_again(&mut self, jobs: &[JobId], out: &mut Outbox) {
        for &id in jobs {
            match self.jobs.find(id).filter(|&ix| self.jobs.get(ix).background()) {
                Some(ix) if !self.policy.plants(Planted::ForgetsPutAgain) => drop(self.put(ix, out)),
                Some(_) => {}
                None => out.outputs.push_back(Output::Store(StoreOp::Unknown { id })),
            }
        }
    }

    /// The store need not keep a job any more, if it did: exactly the background jobs are kept.
    #[inline(always)]
    pub(super) fn unstore(&mut self, ix: JobIx, out: &mut Outbox) {
        if !self.policy.store {
            return;
        }
        let job = self.jobs.get(ix);
        if job.background() {
            out.outputs.push_back(Output::Store(StoreOp::Done { id: job.id }));
        }
    }

    /// A submission has joined a job. True if it is answered only when the store has answered: a job that is not
    /// stored yet is on its way there, or is sent there because the submission is the first one in the background.
    #[inline(never)]
    pub(super) fn joiner_waits(
        &mut self,
        ix: JobIx,
        was_background: bool,
        submission: &Submission,
        out: &mut Outbox,
    ) -> bool {
        let job = self.jobs.get(ix);
        let storing = job.state() == JobState::Storing;
        match job.pending() {
            Some(seq) if storing || submission.background => {
                let asked = self.puts.find(seq).expect("a pending put is remembered");
                asked.more.push(Waiting::of(submission));
                true
            }
            None if submission.background && !was_background => {
                self.put_for(ix, submission, out);
                true
            }
            _ => false,
        }
    }

    /// The store has kept everything up to here.
    #[inline(never)]
    pub(crate) fn stored(&mut self, upto: StoreSeq, out: &mut Outbox) {
        while let Some(asked) = self.puts.answered(upto) {
            out.counters.jobs_stored += 1;
            for waiting in core::iter::once(asked.first).chain(asked.more) {
                self.answer(waiting, Ok(asked.id), out);
            }
            if let Some(ix) = self.jobs.find(asked.id) {
                self.admit(ix, out);
            }
        }
    }

    /// The store has not kept what was not answered up to here.
    #[inline(never)]
    pub(crate) fn store_failed(&mut self, upto: StoreSeq, out: &mut Outbox) {
        while let Some(asked) = self.puts.answered(upto) {
            for waiting in core::iter::once(asked.first).chain(asked.more) {
                // Whoever waits for the result was promised nothing that the store must keep.
                let answer = if waiting.background { Err(Refusal::StoreFailed) } else { Ok(asked.id) };
                self.answer(waiting, answer, out);
            }
            if let Some(ix) = self.jobs.find(asked.id) {
                self.not_kept(ix, out);
            }
        }
    }

    fn answer(&self, waiting: Waiting, answer: Result<JobId, Refusal>, out: &mut Outbox) {
        let Waiting { from: to, place, .. } = waiting;
        let message = match answer {
            Ok(job) => ToSessions::Created { to, place, job },
            Err(refusal) => {
                out.counters.store_refusals += 1;
                ToSessions::Refused { to, place, refusal }
            }
        };
        self.tell(to, message, out);
    }

    /// Nobody waits any more for a job to be stored: it goes where it belongs.
    #[inline(never)]
    fn admit(&mut self, ix: JobIx, out: &mut Outbox) {
        let now = self.now.epoch;
        let job = self.jobs.get_mut(ix);
        job.set_pending(None);
        if job.state() != JobState::Storing {
            return;
        }
        let (function, priority) = (job.function, job.priority());
        let scheduled = job.epoch().is_some_and(|epoch| epoch > now);
        job.go(JobState::Queued, None);
        self.functions.get_mut(function).aside[priority as usize] -= 1;
        if scheduled {
            self.schedule(ix);
        } else {
            self.enqueue(ix);
            self.wake_for(ix, out);
        }
    }

    /// The store could not keep a job, and those who wanted it kept were told. It goes on for those who wait for its
    /// result, if there are any. It may be found at the next start, so the store is told of its end all the same.
    #[inline(never)]
    fn not_kept(&mut self, ix: JobIx, out: &mut Outbox) {
        self.unstore(ix, out);
        let job = self.jobs.get_mut(ix);
        job.leave_background();
        match job.state() {
            JobState::Storing if job.ignored() => {
                out.counters.jobs_unstored += 1;
                self.end(ix, out);
            }
            // It died meanwhile, and whoever was attached knows.
            JobState::Dead => self.end(ix, out),
            _ => self.admit(ix, out),
        }
    }

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
        })
    }

    /// The next job gets this sequence, or a later one.
    pub(crate) fn sequence_at_least(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// No job that is accepted from now on has this number. One that is far beyond all others does not set where
    /// counting goes on, but where it ends.
    pub(crate) fn keep_clear_of(&mut self, id: JobId) {
        let sequence = id.sequence();
        if sequence <= JobId::SEQUENCE_HINT_MAX {
            self.sequence_at_least(sequence + 1);
        } else {
            self.sequence_end = self.sequence_end.min(sequence);
        }
    }

    /// A job that was in the store at the start. Limits do not apply to it.
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
        restored.charge();
        let ix = self.jobs.insert(restored);
        let job = self.jobs.get_mut(ix);
        let bytes = job.bytes();
        let scheduled = job.epoch().is_some();
        if job.death().is_some() {
            job.go(JobState::Storing, None);
            job.go(JobState::Dead, None);
            self.count_bytes(bytes as i64, out);
            self.keep_dead(ix, out);
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
        let mut job =
            Job::new(stored.id, function, stored.priority, true, unique_len, body.into(), now.instant);
        job.retries = stored.attempts;
        if let Some(reducer) = stored.reducer {
            job.extra().reducer = Some(Box::from(reducer));
        }
        let forgets = self.policy.plants(Planted::ForgetsEpoch);
        if let Some(epoch) = stored.epoch.filter(|&epoch| epoch > now.epoch && !forgets) {
            job.extra().epoch = Some(epoch);
        }
        if let Some(death) = stored.death {
            job.extra().death = Some(Box::new(Death {
                reason: death.reason,
                at: death.at,
                address: death.address,
                worker: Bytes::copy_from_slice(death.worker),
            }));
        }
        job
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

    /// Asserts that whoever waits for the store waits for something.
    pub(super) fn check_puts(&self) {
        assert!(self.puts.asked.iter().map(|asked| asked.seq).is_sorted_by(|a, b| a < b));
        assert!(self.puts.asked.back().is_none_or(|asked| asked.seq <= self.puts.last));
        assert!(self.policy.store || self.puts.last == StoreSeq(0));
        for asked in &self.puts.asked {
            if let Some(ix) = self.jobs.find(asked.id) {
                assert_eq!(self.jobs.get(ix).pending(), Some(asked.seq), "a job waits for its put");
            }
            assert!(asked.more.iter().chain([&asked.first]).any(|waiting| waiting.background));
        }
        for (_, job) in self.jobs.iter() {
            let Some(seq) = job.pending() else { continue };
            let at = self.puts.asked.binary_search_by_key(&seq, |asked| asked.seq);
            assert!(at.is_ok_and(|at| self.puts.asked[at].id == job.id), "what is pending was asked for");
        }
    }
}
