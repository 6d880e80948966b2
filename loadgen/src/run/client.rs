//! A client: submits on its schedule or as fast as it is answered, and checks every answer. JOB_CREATED and
//! ERROR belong to submissions by their order, results by the number that they carry.
use ringgear_protocol::{Priority, Request, Response, Submit};

use crate::job::payload::{Flaw, HEADER, Job, Way};
use crate::job::random::{mix, of_job};
use crate::job::submissions::{State, Submissions, hash};
use crate::plan::cast::Cast;
use crate::plan::choices::{Check, Unique, Urgency};
use crate::plan::groups::FUNCTION;
use crate::plan::schedule::Schedule;
use crate::result::span::Span;
use crate::run::marks::Event;
use crate::run::orders::Context;

/// One client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its number.
    conn: u32,
    group: usize,
    pace: Pace,
    /// Jobs that it may still submit.
    quota: u64,
    /// Submissions that are not fully answered.
    outstanding: u32,
    /// Its submissions.
    jobs: Submissions,
    /// True while it will still submit; the thread counts those.
    submitting: bool,
    /// True while a timer is set for its next job.
    armed: bool,
    /// The handle of the last JOB_CREATED, hashed: the next must be another.
    last_handle: u64,
}

/// When a client submits.
#[derive(Debug)]
enum Pace {
    /// As soon as fewer than so many are outstanding, from `start` on.
    Closed { depth: u32, start: u64 },
    /// On a schedule.
    Open {
        schedule: Schedule,
        /// The most outstanding.
        most: u32,
        /// When the last job ended that had kept others back. What was due before was late for that, and
        /// not for a late timer.
        free_since: u64,
    },
}

impl Client {
    /// Connection `conn`, beginning at `start`.
    pub(crate) fn new(cast: &Cast, conn: u32, start: u64) -> Client {
        let group = cast.clients[conn as usize].group as usize;
        let first = cast.groups[group].first_client;
        let plan = &cast.groups[group].plan;
        let (index, count) = (conn - first, plan.count);
        let share =
            |jobs: u64| jobs / u64::from(count) + u64::from(u64::from(index) < jobs % u64::from(count));
        let start = start + (plan.start * 1e9) as u64;
        // A connection for each job has one job.
        let most = |most| if plan.connect_each { 1 } else { most };
        let pace = match (plan.closed, &cast.groups[group].timing) {
            (None, Some(timing)) => {
                let seed = mix(cast.seed ^ group as u64);
                let schedule = Schedule::new(timing, index, count, seed, start);
                Pace::Open { schedule, most: most(plan.outstanding), free_since: 0 }
            }
            (depth, _) => Pace::Closed { depth: most(depth.unwrap_or(1)), start },
        };
        let quota = plan.jobs.map_or(u64::MAX, share);
        Client {
            conn,
            group,
            pace,
            quota,
            outstanding: 0,
            jobs: Submissions::new(),
            submitting: true,
            armed: false,
            last_handle: 0,
        }
    }

    /// Submits whatever may be submitted at `now`. Gives the time at which to call again, if a timer
    /// must be set for it.
    pub(crate) fn submit(&mut self, now: u64, context: &mut Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        loop {
            let (intended, most) = match &self.pace {
                Pace::Closed { depth, start } => (now.max(*start), *depth),
                Pace::Open { schedule, most, .. } => (schedule.due(), *most),
            };
            if self.quota == 0 || intended >= context.stop {
                self.stop(context);
                return None;
            }
            if intended > now {
                return self.arm(intended);
            }
            if self.outstanding >= most {
                return None;
            }
            if let Pace::Open { schedule, free_since, .. } = &mut self.pace {
                schedule.advance();
                if intended >= (*free_since).max(context.from) {
                    context.recorder.timer_error.saturating_record(now - intended);
                }
            }
            self.send(intended, now, context, out);
        }
    }

    /// The timer that [`Client::submit`] asked for has run out.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Submits no more.
    pub(crate) fn stop(&mut self, context: &mut Context<'_>) {
        if self.submitting {
            self.submitting = false;
            context.counts.submitting -= 1;
        }
    }

    /// True if it makes a connection for each job.
    pub(crate) fn connects_each(&self, cast: &Cast) -> bool {
        cast.groups[self.group].plan.connect_each
    }

    /// True if every job is answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// True if a job is due at `now`.
    pub(crate) fn wants(&self, now: u64, context: &Context<'_>) -> bool {
        let due = match &self.pace {
            Pace::Closed { start, .. } => *start,
            Pace::Open { schedule, .. } => schedule.due(),
        };
        self.quota > 0 && due <= now && due < context.stop && (now < context.stop || !self.is_closed())
    }

    /// True in a closed loop, whose clients must be told when the time is over.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.pace, Pace::Closed { .. })
    }

    /// The job server closed the connection: what is outstanding stays so.
    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) {
        self.stop(context);
    }

    /// The connection broke at `now` and will be made again: what was sent and not answered may have come or not.
    pub(crate) fn lose(&mut self, now: u64, context: &mut Context<'_>) {
        let (group, from) = (self.group, context.from);
        let background = context.cast.groups[group].plan.background;
        for slot in self.jobs.unanswered() {
            context.tally.unknown += 1;
            if slot.intended < from {
                continue;
            }
            let waited = now.saturating_sub(slot.intended);
            if slot.state == State::Sent {
                context.recorder.record_unanswered(group, Span::Created, waited);
            }
            if !background {
                context.recorder.record_unanswered(group, Span::Result, waited);
            }
        }
        self.jobs.forget();
        context.counts.outstanding -= u64::from(self.outstanding);
        (self.outstanding, self.last_handle, self.armed) = (0, 0, false);
    }

    /// It was made again: what became due in between was late for that.
    pub(crate) fn resume(&mut self, now: u64) {
        if let Pace::Open { free_since, .. } = &mut self.pace {
            *free_since = now;
        }
    }

    /// The phase is over at `end`. What was not answered until then took at least so long, and so did what was due
    /// and could not be sent: leaving it out would show the latency of the survivors.
    pub(crate) fn close(&mut self, end: u64, context: &mut Context<'_>) {
        let (group, from) = (self.group, context.from);
        let background = context.cast.groups[group].plan.background;
        for slot in self.jobs.unanswered().filter(|slot| slot.intended >= from) {
            let waited = end.saturating_sub(slot.intended);
            if slot.state == State::Sent {
                context.recorder.record_unanswered(group, Span::Created, waited);
            }
            if !background {
                context.recorder.record_unanswered(group, Span::Result, waited);
            }
        }
        let Pace::Open { schedule, .. } = &mut self.pace else { return };
        while self.quota > 0 && schedule.due() < context.stop.min(end) {
            let intended = schedule.due();
            schedule.advance();
            self.quota -= 1;
            if intended >= from {
                context.recorder.unsent += 1;
                context.recorder.record_unanswered(group, Span::Created, end - intended);
                if !background {
                    context.recorder.record_unanswered(group, Span::Result, end - intended);
                }
            }
        }
    }

    fn arm(&mut self, due: u64) -> Option<u64> {
        let unarmed = !self.armed;
        self.armed = true;
        unarmed.then_some(due)
    }

    #[inline]
    fn send(&mut self, intended: u64, sent: u64, context: &mut Context<'_>, out: &mut Vec<u8>) {
        let cast = context.cast;
        let group = &cast.groups[self.group];
        let plan = &group.plan;
        let seq = self.jobs.next();
        let (function, length) = cast.submission(group, self.conn, seq);
        let job = Job { conn: self.conn, function, seq, intended, sent, worked: 0 };
        cast.payloads.write(&mut context.scratch, &job, Way::Workload, length);
        let unique = match plan.unique {
            Unique::None => None,
            Unique::Uuid => Some(cast.payloads.unique(self.conn, seq)),
        };
        let submit = Submit {
            function: &cast.functions[function as usize],
            unique: unique.as_ref().map_or(&[], |unique| &unique[..]),
            workload: &context.scratch,
            priority: priority(plan.priority),
            background: plan.background,
            epoch: None,
            reducer: None,
        };
        Request::Submit(submit).encode(out);
        self.jobs.push(intended, sent);
        self.quota -= 1;
        self.outstanding += 1;
        context.recorder.sent += u64::from(intended >= context.from);
        context.counts.submitted += 1;
        context.counts.outstanding += 1;
    }

    /// Takes one answer that came at `now`.
    #[inline]
    pub(crate) fn receive(&mut self, response: &Response<'_>, now: u64, context: &mut Context<'_>) {
        match *response {
            Response::JobCreated { handle } => self.created(handle, now, context),
            Response::WorkComplete { handle, result } => self.complete(handle, result, now, context),
            Response::Error { .. } => self.refused(now, context),
            Response::WorkFail { handle } | Response::WorkException { handle, .. } => {
                self.failed(handle, now, context);
            }
            // Our workers send no updates, but a client must not mind them.
            _ => {}
        }
    }

    #[inline]
    fn created(&mut self, handle: &[u8], now: u64, context: &mut Context<'_>) {
        let background = context.cast.groups[self.group].plan.background;
        let open = !self.is_closed();
        let handle = hash(handle);
        let group = self.group;
        let Some(slot) = self.jobs.answer() else {
            context.tally.doubled += 1;
            return;
        };
        slot.handle = handle;
        let (intended, sent) = (slot.intended, slot.sent);
        // Where the result came first, which was counted as out of order, all is done already.
        if slot.state == State::Sent {
            slot.state = if background { State::Done } else { State::Created };
        }
        if intended >= context.from {
            context.recorder.record(group, Span::Created, open, now, intended, sent);
        }
        // No two of our submissions may be joined: they have different uniques, or none.
        if handle == self.last_handle {
            context.tally.misdelivered += 1;
        }
        self.last_handle = handle;
        context.counts.created += 1;
        if background {
            context.counts.created_background += 1;
            if context.cast.ledger {
                context.marks.note(self.conn, self.jobs.last_answered(), Event::Acknowledged);
            }
            self.end(intended, now, context);
        } else {
            self.jobs.pass_done();
        }
    }

    #[inline]
    fn complete(&mut self, handle: &[u8], result: &[u8], now: u64, context: &mut Context<'_>) {
        let check = context.cast.groups[self.group].plan.check;
        if check != Check::Full {
            return self.answered_by_others(handle, result.len(), check, now, context);
        }
        let job = match context.cast.payloads.read(result, Way::Result) {
            Ok(job) => job,
            Err(flaw) => {
                // Only our workers know a function that carries the run's number.
                let ours = context.cast.groups[self.group].plan.function == FUNCTION;
                if flaw == Flaw::Stranger && !ours {
                    context.tally.elsewhere += 1;
                    context.counts.results += 1;
                } else {
                    context.tally.altered += 1;
                }
                // The handle still says which job it is, so that one flaw is not counted as a loss too.
                return self.finish_by_handle(handle, now, context);
            }
        };
        if job.conn != self.conn {
            context.tally.misdelivered += 1;
            return;
        }
        let (group, open) = (self.group, !self.is_closed());
        let Some(slot) = self.jobs.slot(job.seq) else {
            context.tally.doubled += 1;
            return;
        };
        match slot.state {
            State::Done => context.tally.doubled += 1,
            State::Sent | State::Created => {
                if slot.state == State::Sent {
                    context.tally.out_of_order += 1;
                } else if slot.handle != hash(handle) {
                    context.tally.misdelivered += 1;
                }
                let (intended, sent) = (slot.intended, slot.sent);
                slot.state = State::Done;
                if intended >= context.from {
                    context.recorder.record(group, Span::Result, open, now, intended, sent);
                    if context.has_service {
                        let without = now.saturating_sub(job.worked);
                        context.recorder.record(group, Span::Added, open, without, intended, sent);
                    }
                }
                context.counts.results += 1;
                self.end(intended, now, context);
            }
        }
    }

    /// A result of workers that are not the plan's own: it is known by its handle alone.
    #[cold]
    fn answered_by_others(
        &mut self,
        handle: &[u8],
        length: usize,
        check: Check,
        now: u64,
        context: &mut Context<'_>,
    ) {
        let open = !self.is_closed();
        let group = self.group;
        let Some((seq, slot)) = self.jobs.by_handle(hash(handle)) else {
            context.tally.doubled += 1;
            return;
        };
        slot.state = State::Done;
        let (intended, sent) = (slot.intended, slot.sent);
        if check == Check::Length && length != payload_length(context.cast, group, self.conn, seq) {
            context.tally.altered += 1;
        }
        context.tally.elsewhere += 1;
        if intended >= context.from {
            context.recorder.record(group, Span::Result, open, now, intended, sent);
        }
        context.counts.results += 1;
        self.end(intended, now, context);
    }

    fn refused(&mut self, now: u64, context: &mut Context<'_>) {
        context.tally.refused += 1;
        if let Some(slot) = self.jobs.answer() {
            slot.state = State::Done;
            let intended = slot.intended;
            self.end(intended, now, context);
        }
    }

    fn failed(&mut self, handle: &[u8], now: u64, context: &mut Context<'_>) {
        let plan = &context.cast.groups[self.group].plan;
        // Our workers fail no job of ours. Under a name that others know, theirs may.
        if plan.check == Check::Full && plan.function == FUNCTION {
            context.tally.refused += 1;
        } else {
            context.tally.elsewhere += 1;
        }
        self.finish_by_handle(handle, now, context);
    }

    #[cold]
    fn finish_by_handle(&mut self, handle: &[u8], now: u64, context: &mut Context<'_>) {
        if let Some((_, slot)) = self.jobs.by_handle(hash(handle)) {
            slot.state = State::Done;
            let intended = slot.intended;
            self.end(intended, now, context);
        }
    }

    /// One submission is fully answered.
    #[inline]
    fn end(&mut self, intended: u64, now: u64, context: &mut Context<'_>) {
        if let Pace::Open { most, free_since, .. } = &mut self.pace
            && self.outstanding == *most
        {
            *free_since = now;
        }
        context.recorder.answered += u64::from(intended >= context.from);
        self.outstanding -= 1;
        context.counts.outstanding -= 1;
        self.jobs.pass_done();
    }
}

/// The bytes of the workload of a job.
fn payload_length(cast: &Cast, group: usize, conn: u32, seq: u64) -> usize {
    cast.groups[group].plan.payload.bytes(mix(of_job(cast.seed, conn, seq))).max(HEADER)
}

const fn priority(urgency: Urgency) -> Priority {
    match urgency {
        Urgency::High => Priority::High,
        Urgency::Normal => Priority::Normal,
        Urgency::Low => Priority::Low,
    }
}
