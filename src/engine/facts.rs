//! What is told of functions, workers, sessions and jobs to those who look after the server: rows with ages and states, which
//! gearmand's lists do not have. Values only; who makes them is `functions/numbers.rs` and `sessions/rows.rs`.
use crate::persist::DeathReason;
use crate::policy::Pause;
use crate::slot::{JobId, SessionId};
use crate::stats::FunctionStats;
use crate::time::Epoch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use ringgear_protocol::Priority;

/// Why nothing of a function is given to workers. Of several reasons, the one that may pass soonest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutReason {
    /// Jobs are there, but an operator has paused the function.
    Paused,
    /// Stored jobs are there, but may not be given out now: it is not known that they are still this server's.
    Withheld,
    /// Jobs wait for the store to keep them.
    Storing,
    /// Jobs wait for their time.
    Scheduled,
    /// All jobs are with workers.
    Running,
    /// Jobs are there, but nobody wants them any more.
    Abandoned,
    /// Jobs are out of attempts.
    Dead,
    /// There is no job.
    Empty,
}

/// What is known of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionNumbers {
    /// Its name.
    pub function: Bytes,
    /// Jobs that wait for a worker, by priority.
    pub queued: [u32; 3],
    /// Jobs that wait for their time.
    pub scheduled: u32,
    /// Jobs that nobody wants any more.
    pub abandoned: u32,
    /// Jobs that wait for the store to keep them.
    pub storing: u32,
    /// Running jobs.
    pub running: u32,
    /// Dead jobs.
    pub dead: u32,
    /// `maxqueue` by priority; 0 is none.
    pub limits: [u32; 3],
    /// Registrations of workers.
    pub workers: u32,
    /// For how long no worker knows it, in milliseconds; `None` while one does, or if none ever did.
    pub unattended_ms: Option<u64>,
    /// For how long the job has waited that is to be given out next and has waited longest, in milliseconds.
    pub oldest_ms: Option<u64>,
    /// The pause that an operator has ordered.
    pub paused: Option<Pause>,
    /// Why none of its jobs can be given out; `None` if one can.
    pub shut: Option<ShutReason>,
    /// What is counted of it; `None` if that is among the others.
    pub stats: Option<Box<FunctionStats>>,
}

/// Functions, and what is counted of those together that have no counts of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumbersPage {
    /// In the order of their names.
    pub rows: Vec<FunctionNumbers>,
    /// Of all shards; with the first page only.
    pub others: FunctionStats,
}

/// What a worker does, as the owner of one of its functions sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It holds jobs of the function.
    Busy,
    /// It sleeps, and is woken for the next job.
    Asleep,
    /// It was woken, and has not asked for a job since.
    Woken,
    /// Neither: it is busy with something else, or silent.
    Awake,
}

/// A job that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldJob {
    /// The job.
    pub job: JobId,
    /// For how long, in milliseconds, up to 49 days.
    pub ran_ms: u64,
}

/// A worker that knows a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionWorker {
    /// Who.
    pub session: SessionId,
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// What it calls itself; empty if nothing.
    pub id: Bytes,
    /// What it does.
    pub state: WorkerState,
    /// Jobs of the function that it holds.
    pub holds: u32,
    /// The one that it has held longest.
    pub oldest: Option<HeldJob>,
}

/// A session, as its home sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Which.
    pub session: SessionId,
    /// The number of its socket.
    pub descriptor: u32,
    /// Where it is.
    pub address: SocketAddr,
    /// What it calls itself; empty if nothing.
    pub id: Bytes,
    /// Functions that it has registered.
    pub functions: u32,
    /// Whether it sleeps until it is woken.
    pub asleep: bool,
    /// How long ago it came here, in milliseconds.
    pub since_ms: u64,
    /// How long ago it said something last, in milliseconds.
    pub heard_ms: u64,
    /// How long ago it asked for a job last, or fell asleep; `None` if it never did.
    pub asked_ms: Option<u64>,
}

/// All that is known of a job but its workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFacts {
    /// Its number.
    pub job: JobId,
    /// Its function's name.
    pub function: Bytes,
    /// Its unique.
    pub unique: Bytes,
    /// Its priority.
    pub priority: Priority,
    /// Whether it is a background job.
    pub background: bool,
    /// Lost attempts.
    pub attempts: u8,
    /// How many wait for its result.
    pub clients: u32,
    /// Bytes of its workload.
    pub bytes: u64,
    /// When it was accepted, by the clock on the wall; `None` if nobody wrote that down.
    pub accepted: Option<Epoch>,
    /// How long ago that was, in milliseconds; since the start of the server if that is not known.
    pub age_ms: u64,
    /// From the last WORK_STATUS of this attempt.
    pub numerator: u32,
    /// The same.
    pub denominator: u32,
    /// Whether an administrator cancelled it while it ran.
    pub cancelled: bool,
    /// Whether another server has taken it over: it is finished here for those who wait.
    pub disowned: bool,
    /// Where it stands.
    pub phase: JobPhase,
}

/// A part of a job's workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPayload {
    /// The name of the job's function.
    pub function: Bytes,
    /// Bytes of the whole workload.
    pub whole: u64,
    /// Those of them that were asked for, as far as they are there.
    pub part: Bytes,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobPhase {
    /// In its queue.
    Queued {
        /// For how long, in milliseconds.
        waited_ms: u64,
        /// Jobs of its priority before it; `None` for very many.
        before: Option<u32>,
        /// Jobs of higher priorities.
        more_urgent: u32,
    },
    /// In its queue, but the lease of this server has run out: see [`ShutReason::Withheld`].
    Withheld {
        /// For how long it has waited, in milliseconds.
        waited_ms: u64,
    },
    /// It waits for its time.
    Scheduled {
        /// When that is.
        due: Epoch,
    },
    /// Nobody wants it any more.
    Abandoned,
    /// It waits for the store to keep it.
    Storing {
        /// Whether that takes longer than a submission waits.
        late: bool,
        /// How long ago the store was asked, in milliseconds.
        asked_ms: u64,
    },
    /// A worker has it.
    Running {
        /// Who.
        session: SessionId,
        /// Where it is.
        address: Option<SocketAddr>,
        /// What it calls itself; empty if nothing.
        worker: Bytes,
        /// For how long, in milliseconds, up to 49 days.
        ran_ms: u64,
        /// How long it may run on, in milliseconds; `None` for ever.
        left_ms: Option<u64>,
        /// Whether the worker has left: the job is about to go back to its queue.
        lost: bool,
    },
    /// It is out of attempts.
    Dead {
        /// How it lost the last one.
        reason: DeathReason,
        /// When.
        at: Epoch,
        /// Where the last worker was.
        address: IpAddr,
        /// What the last worker called itself; empty if nothing.
        worker: Bytes,
    },
}

/// What has come of one step of an order for many jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// Jobs that were meant, as far as it has come.
    pub matched: u32,
    /// Jobs of which it was done.
    pub done: u32,
    /// Behind which it is to go on, with as many less as were done; `None` if there are no more, or it was enough.
    pub next: Option<JobId>,
    /// Whether it stopped because the store has too much to do: a moment later it goes on.
    pub held_up: bool,
}
