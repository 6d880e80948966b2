//! The chapter on running jobs: what holders say, what clients hear of it, and how attempts are lost.
use super::job::{CANCELLED, DROPPED, Entry, FINAL, Hold, Moment, OUT_OF_ATTEMPTS, Stamp, Update};
use super::peer::{Asked, Exceptions, Verdict, bit};
use super::{Auditor, EarlyNote, audit};
use bytes::Bytes;
use ringgear_engine::{JobId, SessionId, Work};
use ringgear_protocol::Refusal;

/// With more bytes than this for dead jobs, there is room for each.
const DEAD_BYTES_ENOUGH: u64 = 2000;

impl Auditor {
    /// A worker sends news of a job that it may or may not hold.
    pub(super) fn work(&mut self, session: SessionId, handle: &[u8], update: Work) {
        let id = self.policy.handle_prefix.parse(handle).filter(|id| self.jobs.contains_key(id));
        let verdict = id.map_or(Verdict::Refused, |id| self.verdict(session, id));
        let (mut at, mut late) = (None, None);
        if let Some(id) = id.filter(|_| verdict == Verdict::Open) {
            late = self.late_says(session, id, &update);
        }
        if let Some(id) = id.filter(|_| verdict == Verdict::Taken) {
            at = Some(self.hold_says(id, &update));
            if update.is_final() {
                self.peers.get_mut(&session).expect("it is there").finished.push(id);
            }
        }
        if let Some(payload) = payload(&update) {
            self.payloads
                .insert(payload.clone(), id.zip(at.or(late)).map(|(id, (run, number))| (id, run, number)));
        }
        let refusal = match &update {
            Work::Data(_) | Work::Warning(_) => Refusal::UpdateForUnknownJob,
            Work::Status(_) | Work::Complete(_) | Work::Fail => Refusal::ResultForUnknownJob,
            Work::Exception(_) => Refusal::ExceptionForUnknownJob,
        };
        self.ask(session, Asked::Work { job: id, update: at, refusal, verdict });
    }

    fn verdict(&self, session: SessionId, id: JobId) -> Verdict {
        let (job, peer) = (&self.jobs[&id], &self.peers[&session]);
        if job.held.as_ref().is_some_and(|hold| hold.worker == session) {
            return Verdict::Taken;
        }
        let memory = usize::from(self.policy.finished_memory);
        if memory > 0 && job.limited.contains_key(&session) && !peer.finished.contains(&id) {
            // Its time may have been up: then the word is taken or ignored, as long as that is remembered.
            return Verdict::Open;
        }
        match peer.finished.iter().rev().position(|&finished| finished == id) {
            // What its time limits took away is remembered in the same place.
            Some(age) if age + self.taken_away(session) < memory => Verdict::Swallowed,
            // Each shard remembers so many of its jobs.
            Some(_) if memory > 0 => Verdict::Open,
            // It may have grabbed it again and not know yet.
            _ if self.grabs.iter().any(|grab| grab.session == session) => Verdict::Open,
            _ => Verdict::Refused,
        }
    }

    /// Jobs that a session may have lost to a time limit.
    fn taken_away(&self, session: SessionId) -> usize {
        self.jobs.values().filter(|job| job.limited.contains_key(&session)).count()
    }

    /// News of somebody who had the job until its time was up is noted, if the job may still wait; returns its place.
    fn late_says(&mut self, session: SessionId, id: JobId, update: &Work) -> Option<(usize, usize)> {
        let now = self.moment;
        let job = self.jobs.get_mut(&id).expect("a known job");
        let run = *job.limited.get(&session)?;
        let vain = job.only_held().is_some();
        // If it was put back from the dead meanwhile, it is another life.
        let updates = &mut job.runs.get_mut(run)?.updates;
        updates.push(Update { at: now, work: update.clone(), taken: None, settled: 0, vain });
        let number = updates.len() - 1;
        if update.is_final() && job.gone.is_none() && !vain {
            job.ends |= FINAL;
            job.passed_over = None;
            // It may leave its queue between a look and a take.
            self.disturbed = now;
        }
        Some((run, number))
    }

    /// The holder's news is noted; returns its place.
    fn hold_says(&mut self, id: JobId, update: &Work) -> (usize, usize) {
        let now = self.moment;
        let job = self.jobs.get_mut(&id).expect("a known job");
        let run = job.held.as_ref().expect("it is held").run;
        let updates = &mut job.runs[run].updates;
        updates.push(Update { at: now, work: update.clone(), taken: None, settled: 0, vain: false });
        let number = updates.len() - 1;
        job.fresh = true;
        if update.is_final() {
            (job.ending, job.waiting, job.ends) = (job.held.take(), None, FINAL);
        }
        (run, number)
    }

    pub(super) fn work_taken(&mut self, id: JobId, (run, number): (usize, usize)) {
        let now = self.moment;
        let update = &mut self.jobs.get_mut(&id).expect("a known job").runs[run].updates[number];
        if update.taken != Some(true) {
            (update.taken, update.settled) = (Some(true), now);
        }
    }

    pub(super) fn work_refused(&mut self, id: Option<JobId>, update: Option<(usize, usize)>) {
        if let (Some(id), Some((run, number))) = (id, update) {
            self.jobs.get_mut(&id).expect("a known job").runs[run].updates[number].taken = Some(false);
        }
    }

    /// Whether a job's holder, or the one that has just finished it, has a time limit.
    pub(super) fn is_limited(&self, id: JobId) -> bool {
        let job = &self.jobs[&id];
        job.held.as_ref().or(job.ending.as_ref()).is_none_or(|hold| hold.limit.is_some())
    }

    // Lost attempts.

    /// A session gives up functions, or itself.
    pub(super) fn lose_jobs(&mut self, session: SessionId, functions: u32) {
        let lost = |id: &&JobId| {
            let job = &self.jobs[*id];
            job.held.as_ref().is_some_and(|hold| hold.worker == session) && functions & bit(job.function) != 0
        };
        let lost: Vec<JobId> = self.alive.iter().filter(lost).copied().collect();
        for id in lost {
            let hold = self.jobs.get_mut(&id).and_then(|job| job.held.take());
            self.lose(id, self.moment, None);
            self.jobs.get_mut(&id).expect("alive").leaving = hold.filter(|hold| hold.limit.is_some());
        }
    }

    /// A job goes back to its queue, not before `lo` and not after `hi`; or it ends.
    pub(super) fn lose(&mut self, id: JobId, lo: Moment, hi: Option<Stamp>) {
        let now = self.moment;
        let job = self.jobs.get_mut(&id).expect("a known job");
        (job.held, job.ending, job.passed_over) = (None, None, None);
        job.lost.0 += 1;
        job.lost.1 += 1;
        if job.cancel_done {
            (job.waiting, job.ends) = (None, CANCELLED);
        } else if self.policy.attempts.is_some_and(|most| job.lost.0 >= u32::from(most.get())) {
            let cancelled = if job.cancel_sent.is_some() { CANCELLED } else { 0 };
            (job.waiting, job.ends) = (None, OUT_OF_ATTEMPTS | cancelled);
        } else {
            let function = bit(job.function);
            let haunted = self.ghosts.iter().filter(|ghost| ghost.functions & function != 0).count() as u32;
            let hi = hi.filter(|_| haunted == 0);
            job.waiting = Some(Entry { lo, from: now, hi, fuzzy: haunted > 0 });
            job.lost.1 += haunted;
            self.may_be_out_of_attempts(id);
            self.may_be_abandoned(id);
        }
    }

    /// The log says that a worker took too long.
    pub(super) fn timed_out(&mut self, id: JobId) {
        let (stamp, now) = (self.stamp(), self.now.instant);
        self.tally.timed_out += 1;
        let Some(job) = self.jobs.get_mut(&id) else {
            self.grab_timed_out(id, None);
            return self.early_notes.entry(id).or_default().push(EarlyNote::TimedOut);
        };
        if let Some(hold) = job.leaving.take().filter(|_| job.held.is_none()) {
            // It was already given up for lost.
            let up = hold.limit.is_some_and(|(earliest, _)| earliest <= now);
            audit!(self, "no time-out before its time", up, "{hold:?} at {now:?}");
            self.doubt(id, &hold);
            return self.may_be_taken_late(id, &hold);
        }
        let job = self.jobs.get_mut(&id).expect("just seen");
        let Some(hold) = job.held.take().or(job.ending.take()) else {
            self.grab_timed_out(id, Some(self.jobs[&id].function));
            return self.apply_note(id, EarlyNote::TimedOut, stamp.0);
        };
        let up = hold.limit.is_some_and(|(earliest, _)| earliest <= now);
        audit!(self, "no time-out before its time", up, "{hold:?} at {now:?}");
        job.ends &= !FINAL;
        self.doubt(id, &hold);
        self.lose(id, stamp.0, Some(stamp));
        self.may_be_taken_late(id, &hold);
    }

    /// A result that came when the time was up may have been taken all the same.
    fn may_be_taken_late(&mut self, id: JobId, hold: &Hold) {
        let remembered = self.policy.finished_memory > 0;
        let job = self.jobs.get_mut(&id).expect("a known job");
        let said = job.runs[hold.run].updates.last().is_some_and(|last| last.work.is_final());
        if remembered && said && job.gone.is_none() {
            job.ends |= FINAL;
        }
    }

    /// What the holder has sent and was not answered may have come too late.
    fn doubt(&mut self, id: JobId, hold: &Hold) {
        let Some(peer) = self.peers.get_mut(&hold.worker) else { return };
        for pending in &mut peer.pending {
            if let Asked::Work { job: Some(job), verdict, .. } = &mut pending.asked
                && *job == id
            {
                *verdict = Verdict::Open;
            }
        }
        peer.finished.retain(|&finished| finished != id);
    }

    /// A job was taken and its time is up before the worker was told that it has it.
    fn grab_timed_out(&mut self, id: JobId, function: Option<usize>) {
        let set = function.map_or(u32::MAX, bit);
        let slow = |grab: &&mut super::OpenGrab| grab.limited & set != 0 && grab.timed_out.is_none();
        let grab = self.grabs.iter_mut().chain(&mut self.ghosts).find(slow);
        audit!(self, "only jobs that somebody has time out", grab.is_some(), "{id:?}");
        grab.expect("just asserted").timed_out = Some(id);
    }

    /// Something of a job that was in the log, not before `lo`, while the holder was not known.
    pub(super) fn apply_note(&mut self, id: JobId, note: EarlyNote, lo: Moment) {
        let stamp = self.stamp();
        match note {
            EarlyNote::TimedOut => self.lose(id, lo, Some(stamp)),
            EarlyNote::OutOfAttempts { kept } => self.out_of_attempts(id, kept),
        }
    }

    /// The log says that a job failed because its attempts are used up.
    pub(super) fn out_of_attempts(&mut self, id: JobId, kept: bool) {
        let now = self.moment;
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.early_notes.entry(id).or_default().push(EarlyNote::OutOfAttempts { kept });
        };
        let used = self.policy.attempts.is_some_and(|most| job.lost.1 >= u32::from(most.get()));
        audit!(self, "a job fails only when its attempts are used up", used, "{job:?}");
        (job.ends, job.noted) = (OUT_OF_ATTEMPTS, true);
        job.end(now);
        let surely = job.background && job.cancel_sent.is_none() && self.functions[job.function].drops == 0;
        let room = self.policy.dead_jobs > 0 && self.policy.dead_bytes > DEAD_BYTES_ENOUGH;
        audit!(self, "a job out of attempts is kept if there is room", kept || !surely || !room, "{id:?}");
        let job = self.jobs.get_mut(&id).expect("just seen");
        if kept && !self.dropped.contains(&id) {
            job.dead_maybe = true;
            job.dead_surely = surely;
        }
    }

    // What clients hear.

    pub(super) fn heard(&mut self, session: SessionId, id: JobId, update: &Work) {
        let exceptions = self.peers[&session].exceptions;
        let place = self.place(session, id, update, exceptions);
        let now = self.moment;
        let job = self.jobs.get_mut(&id);
        let stream = job.and_then(|job| job.streams.get_mut(&session));
        audit!(self, "JOB_CREATED before WORK_*", stream.is_some(), "{session:?} hears {update:?} of {id:?}");
        let stream = stream.expect("just asserted");
        let most = stream.attached.len();
        audit!(
            self,
            "nothing after the final packet",
            stream.finals < most,
            "{id:?}: {update:?}, {stream:?}"
        );
        stream.finals += usize::from(update.is_final());
        if let Some(place) = place {
            let last = stream.heard.last_key_value().map(|(&last, _)| last);
            let orderly = last.is_none_or(|last| last <= place);
            audit!(self, "updates come in order", orderly, "{id:?}: {place:?} after {last:?}");
            let times = stream.heard.entry(place).or_insert(0);
            *times += 1;
            audit!(self, "each submission hears an update once", *times <= most, "{id:?}: {update:?}");
            self.work_taken(id, place);
            if update.is_final() {
                let job = self.jobs.get_mut(&id).expect("a known job");
                job.ends |= FINAL;
                job.end(now);
            }
        }
    }

    /// Which of the holder's updates a client hears; none if the job server itself gave up the job.
    fn place(
        &self,
        session: SessionId,
        id: JobId,
        update: &Work,
        exceptions: Exceptions,
    ) -> Option<(usize, usize)> {
        let Some(payload) = payload(update) else { return self.place_of_fail(session, id, exceptions) };
        let said = self.payloads.get(payload).copied().flatten();
        audit!(self, "only the holder is heard", said.is_some(), "nobody who holds {id:?} said {update:?}");
        let (job, run, number) = said.expect("just asserted");
        audit!(
            self,
            "news is of the job that it is of",
            job == id,
            "{update:?} of {job:?} is told of {id:?}"
        );
        let sent = &self.jobs[&id].runs[run].updates[number].work;
        audit!(self, "news is passed on as it was sent", sent == update, "{sent:?} became {update:?}");
        if matches!(update, Work::Exception(_)) {
            let asked = exceptions != Exceptions::Off;
            audit!(self, "exceptions only for those who asked", asked, "{id:?}: {update:?}");
        }
        Some((run, number))
    }

    fn place_of_fail(&self, session: SessionId, id: JobId, exceptions: Exceptions) -> Option<(usize, usize)> {
        let Some(job) = self.jobs.get(&id) else {
            panic!("[WORK_FAIL has a reason] nobody has heard of {id:?}");
        };
        let given_up = job.cancel_sent.is_some() || job.ends & (OUT_OF_ATTEMPTS | DROPPED) != 0;
        let last = job.streams.get(&session).and_then(|stream| stream.heard.last_key_value());
        for (run, attempt) in job.runs.iter().enumerate().rev() {
            // One that was taken was the end: whatever its sender said behind it is heard by nobody.
            let finals = attempt.updates.iter().enumerate();
            let finals = finals.filter(|(_, update)| update.work.is_final() && !update.vain);
            let taken = finals.clone().find(|(_, update)| update.taken == Some(true));
            let fails = |update: &Update| {
                let hidden = matches!(update.work, Work::Exception(_)) && exceptions != Exceptions::On;
                matches!(update.work, Work::Fail) || hidden
            };
            let unknown = finals.clone().find(|(_, update)| update.taken.is_none() && fails(update));
            let place =
                taken.or(unknown).filter(|(_, update)| fails(update)).map(|(number, _)| (run, number));
            // It may have been refused, and this be something else.
            if place.is_some_and(|place| !given_up || last.is_none_or(|(&last, _)| last <= place)) {
                return place;
            }
        }
        audit!(self, "WORK_FAIL has a reason", given_up, "{job:?}");
        None
    }
}

/// What tells an update from all others; WORK_FAIL has nothing.
fn payload(update: &Work) -> Option<&Bytes> {
    match update {
        Work::Data(bytes)
        | Work::Warning(bytes)
        | Work::Status(bytes)
        | Work::Complete(bytes)
        | Work::Exception(bytes) => Some(bytes),
        Work::Fail => None,
    }
}
