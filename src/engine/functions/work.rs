//! Following a running job to its end: data, status, results, lost attempts.
use super::Functions;
use super::index::{JobIx, PartyIx};
use crate::event::Note;
use crate::message::{Place, ToSessions, Work};
use crate::number::sign_and_digits;
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::policy::Planted;
use crate::slot::{JobId, SessionId};
use crate::status::JobStatus;

impl Functions {
    pub(super) fn work(
        &mut self,
        worker: SessionId,
        place: Place,
        job: JobId,
        update: Work,
        out: &mut Outbox,
    ) {
        let party = self.parties.find(worker);
        let held = self.jobs.find(job).filter(|&ix| party.is_some_and(|party| self.is_held_by(ix, party)));
        let answer = match (held, party) {
            (Some(ix), Some(party)) => {
                self.update(ix, party, update, out);
                ToSessions::Heard { to: worker, place }
            }
            (None, Some(party)) if self.parties.get(party).has_finished(job) => {
                // Some workers send WORK_FAIL after WORK_EXCEPTION, or a result twice, and end at any ERROR.
                self.late_word(party, worker, job, update, out);
                ToSessions::Heard { to: worker, place }
            }
            _ => {
                out.counters.results_unknown += 1;
                ToSessions::Refused { to: worker, place, refusal: update.refusal() }
            }
        };
        self.tell(worker, answer, out);
    }

    /// A worker says something of a job that it had until its time was up, or until it finished it. If nobody has had the
    /// job since, the work is as good as in time; if somebody has, or it has ended, there is no harm in it.
    #[cold]
    fn late_word(&mut self, party: PartyIx, worker: SessionId, job: JobId, update: Work, out: &mut Outbox) {
        let queued = self.jobs.find(job).filter(|&ix| {
            let job = self.jobs.get(ix);
            let late = job.extra.as_ref().and_then(|extra| extra.late);
            let anybodys = self.policy.plants(Planted::LateWordOfAnybody);
            let waits = job.is_queued() || job.is_abandoned();
            waits && late == Some(worker) && !self.is_hidden(ix) || anybodys && job.is_running()
        });
        let Some(ix) = queued else {
            out.counters.results_late += 1;
            return;
        };
        out.counters.results_late_taken += 1;
        if update.is_final() {
            // It is remembered anew.
            self.parties.get_mut(party).forget(job);
        }
        self.update(ix, party, update, out);
    }

    fn update(&mut self, ix: JobIx, holder: PartyIx, update: Work, out: &mut Outbox) {
        // The numbers are those of whoever has the job.
        if let Work::Status(text) = &update
            && self.jobs.get(ix).is_running()
        {
            self.keep_status(ix, text, out);
        }
        let last = update.is_final();
        if last {
            self.count_end(ix, &update, out);
        }
        self.tell_clients(ix, update, Some(holder), out);
        if last {
            if !self.policy.plants(Planted::LateResultRefused) {
                let id = self.jobs.get(ix).id;
                self.parties.get_mut(holder).finish(id, self.policy.finished_memory);
            }
            self.end(ix, out);
        }
    }

    fn count_end(&mut self, ix: JobIx, update: &Work, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        let since = job.hold().map(|(_, at)| self.holds.since_ms(at));
        out.counters.results_discarded += u64::from(job.ignored());
        let now_ms = self.now_ms() as u32;
        let stats = self.functions.stats(job.function);
        if let Some(since) = since {
            stats.run.add(now_ms.wrapping_sub(since).into());
        }
        if let Work::Complete(_) = update {
            out.counters.jobs_completed += 1;
            stats.completed += 1;
        } else if let Work::Exception(_) = update {
            out.counters.jobs_exceptions += 1;
            stats.exceptions += 1;
        } else {
            out.counters.jobs_failed += 1;
            stats.failed += 1;
        }
    }

    fn keep_status(&mut self, ix: JobIx, text: &[u8], out: &mut Outbox) {
        let mut parts = text.splitn(2, |&byte| byte == 0);
        let numerator = number(parts.next().unwrap_or_default());
        // gearmand reads at most ten characters of the denominator.
        let denominator = parts.next().unwrap_or_default();
        let denominator = number(&denominator[..denominator.len().min(10)]);
        let extra = self.jobs.get_mut(ix).extra();
        (extra.numerator, extra.denominator) = (numerator, denominator);
        self.charge(ix, out);
    }

    /// A running job has lost its attempt: it goes back to the tail of its queue, or, if its attempts are used up,
    /// it fails. `reason` is how the attempt was lost.
    pub(super) fn requeue(&mut self, ix: JobIx, reason: DeathReason, out: &mut Outbox) {
        if self.policy.plants(Planted::DroppedRequeue) {
            return self.end(ix, out);
        }
        let job = self.jobs.get_mut(ix);
        if job.cancelled() || job.disowned() && !job.has_clients() {
            return self.end(ix, out);
        }
        job.retries = job.retries.saturating_add(1);
        if self.policy.attempts.is_some_and(|most| job.retries >= most.get()) {
            return self.give_up(ix, reason, out);
        }
        self.stop(ix);
        let now = self.now.instant;
        let job = self.jobs.get_mut(ix);
        let extra = job.extra();
        (extra.numerator, extra.denominator, extra.ready) = (0, 0, Some(now));
        let (wanted, function) = (!job.ignored(), job.function);
        self.charge(ix, out);
        out.counters.jobs_requeued += 1;
        self.functions.stats(function).requeued += 1;
        self.put_attempts(ix, out);
        self.enqueue(ix);
        if wanted {
            self.wake_for(ix, out);
        }
    }

    /// A job has no attempts left. Whoever waits for it is told; what somebody submitted in the background is kept.
    #[cold]
    fn give_up(&mut self, ix: JobIx, reason: DeathReason, out: &mut Outbox) {
        out.counters.jobs_out_of_attempts += 1;
        self.functions.stats(self.jobs.get(ix).function).out_of_attempts += 1;
        let (job, unique) = (self.jobs.get(ix).id, self.unique_of(ix));
        let kept = self.jobs.get(ix).background()
            && self.may_be_kept(ix)
            && !self.policy.plants(Planted::DropsAtRetryLimit);
        out.note(Note::OutOfAttempts { job, unique, kept });
        self.tell_clients(ix, Work::Fail, None, out);
        if kept {
            self.keep_dead(ix, reason, out);
        } else {
            self.end(ix, out);
        }
    }

    /// The state of a job. To whoever waits for its end, a dead one has ended.
    pub(super) fn status(&self, id: JobId) -> JobStatus {
        let found = self.jobs.find(id);
        let found = found.filter(|&ix| !self.jobs.get(ix).is_dead() && !self.is_hidden(ix));
        found.map_or_else(JobStatus::default, |ix| self.status_at(ix))
    }

    pub(super) fn status_at(&self, ix: JobIx) -> JobStatus {
        let job = self.jobs.get(ix);
        let (numerator, denominator) =
            job.extra.as_ref().map_or((0, 0), |extra| (extra.numerator, extra.denominator));
        JobStatus { known: true, running: job.is_running(), numerator, denominator }
    }
}

/// A number as C's `atoi` reads it, as unsigned 32 bit: white space, a sign, digits; anything else is where it ends.
fn number(text: &[u8]) -> u32 {
    let (negative, digits) = sign_and_digits(text);
    // As strtol does on 64 bits, which atoi then cuts to 32.
    let value = digits.fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(digit));
    (if negative { value.wrapping_neg() } else { value }) as u32
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, value) in [
            ("7abc", 7),
            ("x", 0),
            ("", 0),
            ("-1", u32::MAX),
            ("4294967295", u32::MAX),
            (" +12 ", 12),
            ("4294967296", 0),
        ] {
            assert_eq!(number(text.as_bytes()), value, "{text:?}");
        }
    }
}
