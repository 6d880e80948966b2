//! Background jobs are answered once the store has them: who waits for which put, and what follows when it is answered.
//! What a stored job is, and jobs found in the store at the start: `restore.rs`. How jobs are kept is the store's affair.
//!
//! **A store that does not answer in time** ([`crate::Policy::store_timeout`]). Each background submission waits so long
//! and is refused then. To its client that means what no JOB_CREATED always means: unknown, submit it again. The put
//! stays asked for, since it cannot be taken back, and the job stays with it, *late*: filed under its unique and in no
//! queue. What follows is the same whether the store answers after a minute or never:
//!
//! * A submission with the same unique joins the late job and waits for the put that is under way, with a time of its own:
//!   nothing is put twice, and a store that takes six seconds for each commit gets somewhere with clients that try again.
//! * If somebody waits in the background when the store says that it has kept the job after all, it is a job like any
//!   other. If nobody does, it ends there and then, in the store too: whoever was refused either submits it again, which
//!   makes a new job, or does not, and then it must not run. The other choice, to let it live, would run every job
//!   without a unique twice whose client does what it was told.
//! * Foreground clients wait for no store: they are answered when the put is overdue, at once if it is already, and the job
//!   goes to its queue for them. If it ends before the store has answered, the store is told so behind its put.
//!
//! Where several servers share a store, a submission to another one may have joined a late job by its unique, and was told so. So
//! such a job lives on if it is kept after all, and the store is not told of its end unless it has run: whoever submits it again
//! joins it.
//!
//! A late job takes the memory of a job and of its record on the way to the store. The shell bounds the records, and says
//! when there is no room for more ([`crate::Input::StoreFull`]): whatever would need another put is refused then.
use super::Functions;
use super::index::JobIx;
use super::puts::{AwaitedPut, Waiting};
use super::standing::Standing;
use crate::event::Output;
use crate::message::{Submission, ToSessions};
use crate::outbox::Outbox;
use crate::persist::{StoreOp, StoreSeq};
use crate::policy::Planted;
use crate::slot::JobId;
use alloc::vec::Vec;
use ringgear_protocol::Refusal;

/// Puts whose time is over that are looked at in one event; the rest waits for the next one.
const OVERDUE_MOST: usize = 256;

impl Functions {
    /// A new background job waits for the store, and its submission with it.
    #[inline(never)]
    pub(super) fn store(&mut self, ix: JobIx, submission: &Submission, out: &mut Outbox) {
        let seq = self.put(ix, out);
        let job = self.jobs.get_mut(ix);
        job.go(Standing::storing(seq));
        let (function, priority) = (job.function, job.priority());
        self.functions.get_mut(function).aside[priority as usize] += 1;
        self.remember(ix, seq, submission, out);
    }

    /// Has the store keep a job that stands somewhere already, for a submission that joined it and waits for that.
    #[inline(never)]
    fn put_for(&mut self, ix: JobIx, submission: &Submission, out: &mut Outbox) {
        let seq = self.put(ix, out);
        self.jobs.get_mut(ix).wait_for(seq);
        self.charge(ix, out);
        self.remember(ix, seq, submission, out);
    }

    /// A submission waits for the answer to the put of a job.
    #[inline(always)]
    fn remember(&mut self, ix: JobIx, seq: StoreSeq, submission: &Submission, out: &mut Outbox) {
        let first = Waiting { before: true, ..self.waiting(submission) };
        let id = self.jobs.get(ix).id;
        let asked = AwaitedPut { seq, id, until: first.until, first: Some(first), more: Vec::new() };
        self.puts.asked.push_back(asked);
        if self.policy.plants(Planted::AnswersBeforeStored) {
            self.stored(seq, out);
        }
    }

    fn waiting(&self, submission: &Submission) -> Waiting {
        let &Submission { from, place, background, .. } = submission;
        let until = self.now.instant.after(self.policy.store_timeout);
        Waiting { from, place, background, before: false, until }
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
            match self.jobs.find(id).filter(|&ix| self.jobs.get(ix).may_be_stored()) {
                // Its put is late and nobody waits for it: its end follows as soon as the store answers.
                Some(ix) if !self.jobs.get(ix).background() => {}
                Some(ix) if !self.policy.plants(Planted::ForgetsPutAgain) => drop(self.put(ix, out)),
                Some(_) => {}
                None => out.outputs.push_back(Output::Store(StoreOp::Unknown { id })),
            }
        }
    }

    /// Has the store remember how many attempts a job has lost, with what it keeps next. While there is no room for
    /// more it does not.
    #[cold]
    pub(super) fn put_attempts(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        let wanted = self.policy.store && self.policy.attempts.is_some() && job.may_be_stored();
        if wanted && !self.puts.full && !self.policy.plants(Planted::ForgetsAttempts) {
            out.outputs.push_back(Output::Store(StoreOp::Attempts { id: job.id, attempts: job.retries }));
        }
    }

    /// Whether a submission needs a put for which there is no room, none while the store is away, or none before what is another server's is forgotten. While it
    /// is not known that stored jobs are this server's, one of them is not joined either: it may have ended elsewhere. `joins`
    /// is the job that the submission joins.
    #[inline]
    pub(super) fn is_too_much(&self, background: bool, joins: Option<JobIx>) -> bool {
        let stored = joins.map(|ix| self.jobs.get(ix)).filter(|job| job.may_be_stored());
        background
            && match stored {
                Some(job) => self.tenure.lapsed && job.pending().is_none(),
                None => self.puts.full || self.puts.away || self.tenure.is_forgetting,
            }
    }

    /// The store need not keep a job any more, if it did: exactly the background jobs are kept.
    #[inline(always)]
    pub(super) fn unstore(&mut self, ix: JobIx, out: &mut Outbox) {
        if !self.policy.store {
            return;
        }
        let job = self.jobs.get(ix);
        if job.may_be_stored() {
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
        let storing = job.is_storing();
        match job.pending() {
            Some(seq) if storing && job.late() && !submission.background => {
                self.go_ahead(ix, seq, out);
                false
            }
            Some(seq) if storing || submission.background => {
                let waiting = self.waiting(submission);
                let asked = self.puts.find(seq).expect("a pending put is remembered");
                asked.more.push(waiting);
                if waiting.background {
                    self.puts.joined.push_back((waiting.until, seq));
                }
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
            let id = asked.id;
            for waiting in asked.waiting() {
                self.answer(waiting, Ok(id), out);
            }
            match self.jobs.find(id) {
                Some(ix) if self.jobs.get(ix).late() => self.kept_after_all(ix, out),
                Some(ix) => self.admit(ix, out),
                None => {}
            }
        }
    }

    /// The store has not kept what was not answered up to here.
    #[inline(never)]
    pub(crate) fn store_failed(&mut self, upto: StoreSeq, out: &mut Outbox) {
        let upto = if self.policy.plants(Planted::RefusesTheBatch) { self.puts.last } else { upto };
        while let Some(asked) = self.puts.answered(upto) {
            self.give_up_put(asked, out);
        }
    }

    /// A put is not kept.
    pub(super) fn give_up_put(&mut self, asked: AwaitedPut, out: &mut Outbox) {
        let id = asked.id;
        for waiting in asked.waiting() {
            self.turn_away(waiting, id, out);
        }
        if let Some(ix) = self.jobs.find(id) {
            self.not_kept(ix, out);
        }
    }

    /// Whether there is no room for more puts.
    pub(crate) fn store_full(&mut self, full: bool) {
        self.puts.full = full;
    }

    /// Whether what is stored is not known yet: until then foreground jobs get numbers that nothing stored has.
    pub(crate) fn store_away(&mut self, away: bool) {
        self.puts.away = away;
        if away {
            self.numbers.reserve_spare();
        }
    }

    /// The job that a submission would join, if that is one that the store cannot keep for it: its number is a spare one.
    #[inline]
    pub(super) fn is_apart(&self, ix: JobIx, background: bool) -> bool {
        background
            && self.policy.store
            && self.jobs.get(ix).id.is_spare()
            && !self.policy.plants(Planted::StoresSpare)
    }

    /// Whoever has waited for the store long enough waits no longer.
    pub(super) fn look_at_overdue(&mut self, out: &mut Outbox) {
        let now = self.now.instant;
        for _ in 0..OVERDUE_MOST {
            let Some(seq) = self.puts.next_overdue(now) else { return };
            self.overdue(seq, out);
        }
    }

    /// A put is overdue, or somebody who joined has waited for it long enough.
    #[cold]
    fn overdue(&mut self, seq: StoreSeq, out: &mut Outbox) {
        let now = self.now.instant;
        let Some(asked) = self.puts.find(seq) else { return };
        let (id, overdue, awaited) = (asked.id, asked.take_overdue(now), asked.is_awaited());
        for waiting in overdue {
            out.counters.store_timeouts += u64::from(waiting.background);
            self.turn_away(waiting, id, out);
        }
        let Some(ix) = self.jobs.find(id) else { return };
        let job = self.jobs.get_mut(ix);
        // One that died is kept as what it is if the store keeps it, and one that was cancelled has ended for it.
        if job.is_dead() || job.cancelled() {
            return;
        }
        job.set_late(true);
        if !awaited && !self.may_be_joined_elsewhere(ix) {
            self.jobs.get_mut(ix).leave_background();
        }
        let job = self.jobs.get(ix);
        if job.is_storing() && job.has_clients() {
            self.go_ahead(ix, seq, out);
        }
        self.look_whether_wanted(ix, out);
    }

    /// Somebody waits for the result of a late job: it goes where it belongs, whatever the store says some day.
    #[cold]
    fn go_ahead(&mut self, ix: JobIx, seq: StoreSeq, out: &mut Outbox) {
        self.leave_storing(ix, out);
        self.jobs.get_mut(ix).wait_for(seq);
        self.charge(ix, out);
    }

    /// The store has kept a late job after all. Those who wait for it have been told.
    #[cold]
    fn kept_after_all(&mut self, ix: JobIx, out: &mut Outbox) {
        if self.jobs.get(ix).background() {
            return self.admit(ix, out);
        }
        out.counters.store_kept_late += 1;
        if !self.policy.plants(Planted::ForgetsLateAnswer) {
            self.unstore(ix, out);
        }
        self.jobs.get_mut(ix).set_late(false);
        self.nobody_in_background(ix, out);
    }

    /// Whether a submission to another server may have joined a job that is not known to be stored: its client was told so, and the
    /// end of a job that did not run is nothing that this server may say.
    fn may_be_joined_elsewhere(&self, ix: JobIx) -> bool {
        let job = self.jobs.get(ix);
        let unique = job.unique(self.function_len(job.function));
        self.policy.shared && !unique.is_empty() && unique != b"-"
    }

    /// Whoever wanted a job in the background was refused: it ends, or goes on for those who wait for its result.
    fn nobody_in_background(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        if job.is_storing() && job.ignored() {
            out.counters.jobs_unstored += 1;
            self.end(ix, out);
        } else {
            self.admit(ix, out);
        }
    }

    /// The store has not kept a job, or not in time. Whoever waits for the result was promised nothing that the store
    /// must keep.
    fn turn_away(&self, waiting: Waiting, job: JobId, out: &mut Outbox) {
        let answer = if waiting.background { Err(Refusal::StoreFailed) } else { Ok(job) };
        self.answer(waiting, answer, out);
    }

    pub(super) fn answer(&self, waiting: Waiting, answer: Result<JobId, Refusal>, out: &mut Outbox) {
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
    pub(super) fn admit(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        job.wait_no_longer();
        job.set_late(false);
        if job.is_storing() {
            self.leave_storing(ix, out);
        }
    }

    /// A job that was to be stored goes to its queue, or waits for its time.
    fn leave_storing(&mut self, ix: JobIx, out: &mut Outbox) {
        let now = self.now.epoch;
        let job = self.jobs.get(ix);
        let (function, priority) = (job.function, job.priority());
        let scheduled = job.epoch().is_some_and(|epoch| epoch > now);
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
        if !self.may_be_joined_elsewhere(ix) {
            self.unstore(ix, out);
        }
        let job = self.jobs.get_mut(ix);
        job.leave_background();
        job.set_late(false);
        // If it died meanwhile, whoever was attached knows.
        if job.is_dead() {
            return self.end(ix, out);
        }
        self.look_whether_wanted(ix, out);
        self.nobody_in_background(ix, out);
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
        }
        let soon = self.puts.asked.iter().skip(self.puts.overdue);
        assert!(soon.clone().map(|asked| asked.until).is_sorted(), "what was asked first is overdue first");
        assert!(soon.clone().all(|asked| asked.first.is_some_and(|first| first.background)));
        assert!(self.puts.joined.iter().is_sorted_by_key(|&(until, _)| until));
        for (_, job) in self.jobs.iter() {
            let Some(seq) = job.pending() else {
                assert!(!job.late(), "what is late is awaited");
                continue;
            };
            let at = self.puts.asked.binary_search_by_key(&seq, |asked| asked.seq);
            assert!(at.is_ok_and(|at| self.puts.asked[at].id == job.id), "what is pending was asked for");
        }
    }
}
