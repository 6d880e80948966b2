//! A worker: registers, grabs, works and sleeps as Gearman's workers do, and checks every job that it is
//! given.
use ringgear_protocol::{GrabKind, HANDLE_MAX, Request, Response};

use crate::job::check::InOrder;
use crate::job::payload::{Flaw, Job, Way};
use crate::job::random::of_job;
use crate::plan::cast::Cast;
use crate::plan::choices::{Grab, Unique};
use crate::plan::groups::FUNCTION;
use crate::result::span::Span;
use crate::run::marks::Event;
use crate::run::orders::Context;

/// One worker connection.
#[derive(Debug)]
pub(crate) struct Worker {
    crew: usize,
    /// The functions that it registered, rising.
    abilities: Vec<u32>,
    grab: GrabKind,
    /// GRAB_JOBs that are not answered.
    grabbing: u32,
    /// Jobs whose service time is not over.
    held: Vec<Held>,
    /// What the last answer to a GRAB_JOB was.
    found_job: bool,
    asleep: bool,
    /// True once it takes no more jobs and has asked the server for a last echo.
    farewell: bool,
    /// True once that echo came, or the connection is gone; the thread counts the others.
    parted: bool,
    order: InOrder,
}

/// A job in work.
#[derive(Debug)]
struct Held {
    /// When it came.
    since: u64,
    due: u64,
    /// `None` for a job of another run.
    job: Option<Job>,
    handle: [u8; HANDLE_MAX],
    length: u8,
}

impl Worker {
    /// Worker `index` of a crew; `out` gets its CAN_DOs.
    pub(crate) fn new(cast: &Cast, crew: usize, index: u32, out: &mut Vec<u8>) -> Worker {
        let plan = &cast.crews[crew].plan;
        let mut abilities = cast.crews[crew].abilities(index);
        register(cast, &abilities, out);
        abilities.sort_unstable();
        let grab = match plan.grab {
            Grab::Plain => GrabKind::Plain,
            Grab::Unique => GrabKind::Unique,
            Grab::All => GrabKind::All,
        };
        Worker {
            crew,
            abilities,
            grab,
            grabbing: 0,
            held: vec![],
            found_job: false,
            asleep: false,
            farewell: false,
            parted: false,
            order: order(cast, plan.count as usize),
        }
    }

    /// Asks for as many jobs as it may have.
    pub(crate) fn begin(&mut self, context: &Context<'_>, out: &mut Vec<u8>) {
        self.asleep = false;
        let most = context.cast.crews[self.crew].plan.grabs;
        let has = self.grabbing + self.held.len() as u32;
        for _ in has..most {
            self.grab(out);
        }
    }

    /// Takes one answer that came at `now`. Gives the time at which a job is done, if a timer must be
    /// set for it.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        response: &Response<'_>,
        now: u64,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        match *response {
            Response::JobAssign { handle, function, workload } => {
                self.assigned(handle, function, None, workload, now, context, out)
            }
            Response::JobAssignUniq { handle, function, unique, workload }
            | Response::JobAssignAll { handle, function, unique, workload, .. } => {
                self.assigned(handle, function, Some(unique), workload, now, context, out)
            }
            Response::NoJob => {
                self.grabbing = self.grabbing.saturating_sub(1);
                self.found_job = false;
                None
            }
            Response::Noop => {
                if !context.quiet {
                    self.begin(context, out);
                }
                None
            }
            Response::Error { .. } => {
                context.tally.refused += 1;
                None
            }
            _ => None,
        }
    }

    /// Everything that came at once was taken: fall asleep, or grab again.
    #[inline]
    pub(crate) fn settle(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) {
        if self.grabbing == 0 && self.held.is_empty() {
            if context.quiet {
                // An echo comes after everything that the worker sent was taken.
                if !self.farewell {
                    self.farewell = true;
                    Request::EchoReq { data: b"bye" }.encode(out);
                }
            } else if !self.asleep {
                self.asleep = true;
                Request::PreSleep.encode(out);
            }
        } else if self.found_job && !context.quiet {
            // Where NO_JOB came in between, fewer grabs are in flight than there may be.
            self.begin(context, out);
        }
    }

    /// Completes the jobs whose time is over at `now`.
    pub(crate) fn work(&mut self, now: u64, context: &mut Context<'_>, out: &mut Vec<u8>) {
        let mut at = 0;
        while at < self.held.len() {
            if self.held[at].due > now {
                at += 1;
                continue;
            }
            let Held { since, job, handle, length, .. } = self.held.swap_remove(at);
            let job = job.map(|job| Job { worked: now - since, ..job });
            context.counts.held -= 1;
            self.complete(&handle[..usize::from(length)], job, context, out);
        }
    }

    /// The connection broke and will be made again: what it held and asked for is gone, and the job server knows that.
    pub(crate) fn lose(&mut self, context: &mut Context<'_>) {
        context.counts.held -= self.held.len() as u64;
        self.held.clear();
        (self.grabbing, self.found_job, self.asleep) = (0, false, false);
    }

    /// Registers again on a new connection.
    pub(crate) fn register(&self, cast: &Cast, out: &mut Vec<u8>) {
        register(cast, &self.abilities, out);
    }

    /// The job server closed the connection.
    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) {
        context.counts.held -= self.held.len() as u64;
        self.held.clear();
        self.part(context);
    }

    /// All that it sent was taken by the job server, or will never be.
    pub(crate) fn part(&mut self, context: &mut Context<'_>) {
        if !self.parted {
            self.parted = true;
            context.counts.busy_workers -= 1;
        }
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "the parts of JOB_ASSIGN, and what it is done with")]
    fn assigned(
        &mut self,
        handle: &[u8],
        function: &[u8],
        unique: Option<&[u8]>,
        workload: &[u8],
        now: u64,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        self.grabbing = self.grabbing.saturating_sub(1);
        self.found_job = true;
        let job = match context.cast.payloads.read(workload, Way::Workload) {
            Ok(job) => {
                self.check(&job, function, unique, now, context);
                Some(job)
            }
            // Nobody else knows a function that carries the run's number.
            Err(Flaw::Stranger) if context.cast.crews[self.crew].plan.function != FUNCTION => {
                context.tally.strangers += 1;
                None
            }
            Err(_) => {
                context.tally.altered += 1;
                None
            }
        };
        let service = context.cast.service(&context.cast.crews[self.crew], job.as_ref());
        if service == 0 || handle.len() > HANDLE_MAX {
            self.complete(handle, job, context, out);
            return None;
        }
        let (due, length) = (now + service, handle.len() as u8);
        let mut held = Held { since: now, due, job, handle: [0; HANDLE_MAX], length };
        held.handle[..handle.len()].copy_from_slice(handle);
        self.held.push(held);
        context.counts.held += 1;
        Some(due)
    }

    #[inline]
    fn check(
        &mut self,
        job: &Job,
        function: &[u8],
        unique: Option<&[u8]>,
        now: u64,
        context: &mut Context<'_>,
    ) {
        let cast = context.cast;
        // The checksum held, so these are the numbers that one of our clients wrote.
        let member = cast.clients[job.conn as usize];
        let group = &cast.groups[member.group as usize];
        if *function != *cast.functions[job.function as usize]
            || self.abilities.binary_search(&job.function).is_err()
        {
            context.tally.misdelivered += 1;
        }
        let stream = member.stream + (job.function - group.first_function);
        if !self.order.mark(stream as usize, job.seq) {
            context.tally.out_of_order += 1;
        }
        let right = match (unique, group.plan.unique) {
            (None, _) => true,
            (Some(unique), Unique::None) => unique.is_empty(),
            (Some(unique), Unique::Uuid) => *unique == cast.payloads.unique(job.conn, job.seq),
        };
        if !right {
            context.tally.altered += 1;
        }
        if !cast.ledger {
            context.marks.note(job.conn, job.seq, Event::Delivered);
        }
        if job.intended >= context.from || !context.has_clients {
            let (group, open) = (member.group as usize, group.plan.closed.is_none());
            context.recorder.record(group, Span::Worker, open, now, job.intended, job.sent);
        }
    }

    #[inline]
    fn complete(&mut self, handle: &[u8], job: Option<Job>, context: &mut Context<'_>, out: &mut Vec<u8>) {
        let cast = context.cast;
        context.scratch.clear();
        // What somebody else submitted must not look done.
        let Some(job) = job else { return self.fail(handle, context, out) };
        if cast.ledger {
            // Not when it is given out: what a worker was lost with must be done by another.
            context.marks.note(job.conn, job.seq, Event::Delivered);
        }
        let bits = of_job(cast.seed ^ 1, job.conn, job.seq);
        let length = cast.crews[self.crew].plan.result.bytes(bits);
        cast.payloads.write(&mut context.scratch, &job, Way::Result, length);
        Request::WorkComplete { handle, result: &context.scratch }.encode(out);
        context.counts.worked += 1;
        if !context.quiet {
            self.grab(out);
        }
    }

    #[cold]
    fn fail(&mut self, handle: &[u8], context: &Context<'_>, out: &mut Vec<u8>) {
        Request::WorkFail { handle }.encode(out);
        if !context.quiet {
            self.grab(out);
        }
    }

    #[inline]
    fn grab(&mut self, out: &mut Vec<u8>) {
        Request::Grab(self.grab).encode(out);
        self.grabbing += 1;
    }
}

fn register(cast: &Cast, abilities: &[u32], out: &mut Vec<u8>) {
    for &function in abilities {
        Request::CanDo { function: &cast.functions[function as usize] }.encode(out);
    }
}

/// What is given out again after a break comes when it comes: nobody promised an order then.
fn order(cast: &Cast, workers: usize) -> InOrder {
    InOrder::new(if cast.ledger { 0 } else { cast.streams }, workers)
}
