//! Taking jobs in: accept, coalesce, refuse.
use super::Functions;
use super::index::{FunctionIx, JobIx};
use super::job::Job;
use super::unique::{Key, KeyHash};
use crate::event::Note;
use crate::message::{Submission, ToSessions};
use crate::outbox::Outbox;
use crate::slot::{JobId, Slot};
use bytes::Bytes;
use ringgear_protocol::{Refusal, UNIQUE_MAX};

/// A submission's body, taken apart.
struct BodyParts<'a> {
    function: &'a [u8],
    unique: &'a [u8],
    workload: &'a [u8],
}

impl<'a> BodyParts<'a> {
    fn of(submission: &'a Submission) -> BodyParts<'a> {
        let (function, rest) = submission.body.split_at(usize::from(submission.function_len));
        let (unique, rest) = rest[1..].split_at(usize::from(submission.unique_len));
        BodyParts { function, unique, workload: &rest[1..] }
    }
}

impl Functions {
    pub(super) fn submit(&mut self, submission: Submission, out: &mut Outbox) {
        let (from, place) = (submission.from, submission.place);
        match self.accept(submission, out) {
            Ok(Some(job)) => self.tell(from, ToSessions::Created { to: from, place, job }, out),
            // The store answers first.
            Ok(None) => {}
            Err(refusal) => self.tell(from, ToSessions::Refused { to: from, place, refusal }, out),
        }
    }

    /// The job that the submission made or joined, unless the store is to keep it before that is told.
    fn accept(&mut self, submission: Submission, out: &mut Outbox) -> Result<Option<JobId>, Refusal> {
        let parts = BodyParts::of(&submission);
        let function = self.functions.find_or_create(parts.function);
        let function = function.inspect_err(|_| out.counters.refused_functions += 1)?;
        let key = Key::of(parts.unique, parts.workload).map(|key| (key, self.keys.hash(key)));
        let hash = key.map(|(_, hash)| hash);
        // A running job can be joined, too.
        let alike = key.and_then(|(key, hash)| self.find_alike(function, key, hash, parts.workload));
        let (joins, apart) = match alike {
            Some(ix) if self.is_apart(ix, submission.background) => (None, Some(ix)),
            alike => (alike, None),
        };
        if self.is_too_much(submission.background, joins) {
            out.counters.store_refusals += 1;
            out.counters.store_full_refusals += u64::from(self.puts.full);
            return Err(self.refuse(function, Refusal::StoreFailed));
        }
        if let Some(ix) = joins {
            if !submission.background && !self.has_room(Job::ATTACHMENT as u64) {
                out.counters.refused_queued_bytes += 1;
                return Err(self.refuse(function, Refusal::QueuedBytesFull));
            }
            out.counters.jobs_coalesced += 1;
            self.functions.stats(function).coalesced += 1;
            self.note_accepted(&submission, out);
            return Ok(self.join(ix, &submission, out));
        }
        if self.functions.get(function).full(submission.priority) {
            out.counters.refused_queue_full += 1;
            return Err(self.refuse(function, Refusal::QueueFull));
        }
        let usual = !self.puts.away && self.numbers.any();
        let spare = !usual && self.takes_spare(function, submission.background, out)?;
        let more = Job::bytes_of(submission.body.len());
        if !self.has_room(more) {
            out.counters.refused_queued_bytes += 1;
            return Err(self.refuse(function, Refusal::QueuedBytesFull));
        }
        self.note_accepted(&submission, out);
        if let Some(ix) = apart {
            // It goes on for those who wait for it, and is joined no more: what is stored is another job.
            self.unfile(ix);
        }
        Ok(self.create(function, submission, (hash, spare), out))
    }

    /// A submission for a function is refused.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, function: FunctionIx, refusal: Refusal) -> Refusal {
        self.functions.stats(function).refused += 1;
        refusal
    }

    /// Whether a new job gets a spare number, where the store is away or has given out no more; refused if there is none for it.
    #[cold]
    #[inline(never)]
    fn takes_spare(
        &mut self,
        function: FunctionIx,
        background: bool,
        out: &mut Outbox,
    ) -> Result<bool, Refusal> {
        let (any, shared) = (self.numbers.any(), self.policy.shared);
        let spare = !background && (self.puts.away || shared && !any);
        if spare || any {
            return Ok(spare);
        }
        out.counters.refused_numbers += 1;
        let refusal = if shared { Refusal::StoreFailed } else { Refusal::NumbersUsedUp };
        Err(self.refuse(function, refusal))
    }

    /// The job in the index that a submission with this key and workload joins.
    #[inline(always)]
    pub(super) fn find_alike(
        &self,
        function: FunctionIx,
        key: Key<'_>,
        hash: KeyHash,
        workload: &[u8],
    ) -> Option<JobIx> {
        let filed = self.filed();
        let alike = self.uniques.find_hashed(filed, function, key, hash);
        // `-` joins whatever has this workload, also what was filed by a unique that equals it; any other unique joins the
        // equal unique only (gearmand 1.1.20).
        if alike.is_some() || matches!(key, Key::Unique(_)) || workload.len() > UNIQUE_MAX {
            return alike;
        }
        let named = self.uniques.find(filed, function, Key::Unique(workload))?;
        let job = self.jobs.get(named);
        (job.workload(self.function_len(job.function)) == workload).then_some(named)
    }

    fn join(&mut self, ix: JobIx, submission: &Submission, out: &mut Outbox) -> Option<JobId> {
        let was_background = self.jobs.get(ix).background();
        let was_ignored = self.jobs.get(ix).ignored();
        if submission.background {
            self.jobs.get_mut(ix).join_background();
            if self.tenure.lapsed && self.jobs.get(ix).is_queued() {
                self.sift(self.jobs.get(ix).function);
            }
        } else {
            self.attach(ix, submission);
            if !self.policy.plants(crate::Planted::ForgetsBytes) {
                self.charge(ix, out);
            }
        }
        if was_ignored {
            self.look_whether_wanted(ix, out);
            if self.jobs.get(ix).is_queued() {
                self.wake_for(ix, out);
            }
        }
        let at_once = !self.policy.store || !self.joiner_waits(ix, was_background, submission, out);
        at_once.then(|| self.jobs.get(ix).id)
    }

    fn attach(&mut self, ix: JobIx, submission: &Submission) {
        let client = self.parties.find_or_create(submission.from);
        let job = self.jobs.get_mut(ix);
        let party = self.parties.get_mut(client);
        if job.attach(client) {
            let (id, jobs) = (job.id, &self.jobs);
            let first = |ix: JobIx| jobs.get(ix).first_client() == Some(client);
            party.attached.add(id, |id| jobs.find(id).is_some_and(first));
        } else {
            self.attachments.add((ix, &mut job.extra().joined), (client, &mut party.joins));
        }
    }

    fn create(
        &mut self,
        function: FunctionIx,
        mut submission: Submission,
        (key, spare): (Option<KeyHash>, bool),
        out: &mut Outbox,
    ) -> Option<JobId> {
        let accepted_ms = self.calendar.accept(self.numbers.next(), self.now);
        let (known, stats) = self.functions.get_with_stats(function);
        stats.accepted += 1;
        let slot = known.slot;
        let id = match spare {
            true => self.spare_number(slot),
            false => JobId::new(self.numbers.take(), slot),
        };
        let body = core::mem::take(&mut submission.body);
        let Submission { priority, background, unique_len, epoch, .. } = submission;
        let mut job = Job::new(id, function, priority, background, unique_len, body, accepted_ms);
        if let Some(reducer) = submission.reducer.take() {
            job.extra().reducer = Some(reducer);
        }
        let scheduled = epoch.filter(|&epoch| epoch > self.now.epoch);
        if let Some(epoch) = scheduled {
            job.extra().epoch = Some(epoch);
        }
        if spare {
            // Its number says nothing of when it came.
            job.set_undated();
        }
        job.charge();
        let bytes = job.bytes();
        let ix = self.jobs.insert(job);
        out.counters.jobs_accepted += 1;
        self.count_bytes(bytes as i64, out);
        if let Some(hash) = key {
            self.file(ix, hash);
        }
        if !background {
            self.attach(ix, &submission);
        } else if self.policy.store {
            self.store(ix, &submission, out);
            return None;
        }
        match scheduled {
            Some(_) => self.schedule(ix),
            None => {
                self.enqueue(ix);
                self.wake_for(ix, out);
            }
        }
        Some(id)
    }

    /// A number that nothing stored has. What was found in the store under one of these, whoever wrote it there, keeps it.
    #[cold]
    fn spare_number(&mut self, slot: Slot) -> JobId {
        loop {
            let id = JobId::new(self.numbers.take_spare(), slot);
            if self.jobs.find(id).is_none() {
                return id;
            }
        }
    }

    fn note_accepted(&self, submission: &Submission, out: &mut Outbox) {
        if self.policy.note_accepted {
            let parts = BodyParts::of(submission);
            out.note(Note::Accepted {
                function: Bytes::copy_from_slice(parts.function),
                unique: Bytes::copy_from_slice(parts.unique),
                epoch: submission.epoch.map_or(0, |epoch| epoch.0 / 1000),
            });
        }
    }
}
