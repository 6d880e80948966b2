//! May a function's queue be taken from now, and if not, why not? Whoever gives a job to a worker, or wakes one for it, asks
//! here: what is to hold a function back some day (a pause, a rate, a limit of running jobs) is said here and nowhere else.
//! Today a queue with a job in it is open, unless the job is a stored one and these may not be given out now (`lease.rs`).
//! Who gets the job is decided in `assign.rs`.
use super::Functions;
use super::index::{FunctionIx, JobIx};
use crate::report::ShutReason;
use ringgear_protocol::Priority;

/// Whether a function's queue may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may: there are jobs of these priorities, a bit each.
    Open(u8),
    /// It may not.
    Shut(ShutReason),
}

impl Functions {
    /// The priorities of which jobs of a function may be taken now, a bit each; 0 if the gate is shut. A worker that
    /// looks for a job asks for each of its functions, so this is what it has of the gate.
    #[inline(always)]
    pub(super) fn open(&self, function: FunctionIx) -> u8 {
        let ready = self.functions.ready(function);
        if self.tenure.lapsed && ready != 0 { self.open_to_others(function) } else { ready }
    }

    /// The same, where stored jobs may not be given out: the queues that others stand at the head of.
    #[cold]
    fn open_to_others(&self, function: FunctionIx) -> u8 {
        let queues = self.functions.get(function).queues.iter().enumerate();
        queues.fold(0, |open, (priority, queue)| {
            let head = queue.head().filter(|&ix| !self.jobs.get(ix).background());
            open | u8::from(head.is_some()) << priority
        })
    }

    /// The first job of a function and priority that is open.
    #[inline]
    pub(super) fn head(&self, function: FunctionIx, priority: Priority) -> Option<JobIx> {
        let function = self.functions.get(function);
        let queue = function.queues[priority as usize].head();
        if self.tenure.lapsed { queue } else { function.withheld[priority as usize].head().or(queue) }
    }

    /// The same, with the reason if it is shut.
    pub(super) fn gate(&self, function: FunctionIx) -> Gate {
        match self.open(function) {
            0 => Gate::Shut(self.why_shut(function)),
            open => Gate::Open(open),
        }
    }

    fn why_shut(&self, function: FunctionIx) -> ShutReason {
        if self.functions.ready(function) != 0 {
            return ShutReason::Withheld;
        }
        let function = self.functions.get(function);
        let queues = function.queues.iter().chain(&function.withheld);
        if function.paused && queues.map(super::queue::Queue::len).sum::<u32>() > 0 {
            return ShutReason::Paused;
        }
        let (scheduled, abandoned) = (function.scheduled.len(), function.abandoned.len());
        let aside: u32 = function.aside.iter().sum();
        if aside > scheduled + abandoned {
            ShutReason::Storing
        } else if scheduled > 0 {
            ShutReason::Scheduled
        } else if function.running > 0 {
            ShutReason::Running
        } else if abandoned > 0 {
            ShutReason::Abandoned
        } else if !function.dead.is_empty() {
            ShutReason::Dead
        } else {
            ShutReason::Empty
        }
    }
}

/// Priorities, the most urgent first, whose bit is set.
pub(super) fn priorities(open: u8) -> impl Iterator<Item = Priority> {
    Priority::ALL.into_iter().filter(move |&priority| open >> priority as u8 & 1 == 1)
}
