//! What administrators ask and hear: queries, reports, and how reports of several shards merge.
pub use crate::counters::Counters;
use crate::persist::DeathReason;
use crate::slot::{JobId, SessionId};
use crate::time::Epoch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use ringgear_protocol::Refusal;

/// A question or an order of an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `status`
    Status,
    /// `prioritystatus`
    PriorityStatus,
    /// `workers`
    Workers,
    /// `jobs` (of the Perl server): each job, and who runs it.
    JobsWithWorkers,
    /// `clients` (of the Perl server): each session, and the jobs that it waits for.
    ClientsWithJobs,
    /// `show jobs`
    Jobs,
    /// `show unique jobs`
    UniqueJobs,
    /// `show dead jobs` (ours)
    DeadJobs,
    /// `show counters` (ours)
    Counters,
    /// GET_STATUS_UNIQUE: the latest job with this unique in any function.
    UniqueStatus {
        /// The unique, as asked.
        unique: Bytes,
    },
    /// `maxqueue`
    MaxQueue {
        /// The exact name.
        function: Bytes,
        /// Limits for high, normal, low; 0 is none.
        limits: [u32; 3],
    },
    /// `create function`
    CreateFunction {
        /// The exact name.
        function: Bytes,
    },
    /// `drop function`
    DropFunction {
        /// The name, in any case.
        function: Bytes,
    },
    /// `cancel job`
    CancelJob {
        /// The handle as given.
        handle: Bytes,
    },
    /// `retry job` (ours): a dead job goes back to its queue.
    RetryJob {
        /// The handle as given.
        handle: Bytes,
    },
}

/// An answer to a [`Query`]. Rows are in order, so that hash order is never seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// For [`Query::Status`] and [`Query::PriorityStatus`].
    Functions(Vec<FunctionRow>),
    /// For [`Query::Workers`].
    Workers(Vec<WorkerRow>),
    /// For [`Query::JobsWithWorkers`].
    Involved(Vec<InvolvedJob>),
    /// For [`Query::ClientsWithJobs`].
    Waiting(Vec<WaitingRow>),
    /// For [`Query::Jobs`] and [`Query::UniqueJobs`].
    Jobs(Vec<JobRow>),
    /// For [`Query::DeadJobs`].
    DeadJobs(Vec<DeadRow>),
    /// For [`Query::Counters`].
    Counters(Box<Counters>),
    /// For [`Query::UniqueStatus`].
    UniqueStatus(UniqueStatus),
    /// The order was carried out.
    Done,
    /// For [`Query::DropFunction`]: each function that matched; empty if none did.
    Dropped(Vec<DropRow>),
    /// For [`Query::CancelJob`] and [`Query::RetryJob`]: there is no such job.
    UnknownJob,
    /// A limit on functions is reached: nothing was created.
    NotCreated(Refusal),
}

/// One function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRow {
    /// Its name.
    pub function: Bytes,
    /// Queued jobs by priority, scheduled ones included.
    pub queued: [u32; 3],
    /// Running jobs.
    pub running: u32,
    /// Registrations of workers.
    pub workers: u32,
}

/// One session, or a piece of one that has many registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    /// The number of its socket.
    pub descriptor: u32,
    /// Its session.
    pub session: SessionId,
    /// The peer's address.
    pub address: IpAddr,
    /// What SET_CLIENT_ID gave, or `-`.
    pub id: Bytes,
    /// Registrations, newest first.
    pub functions: Vec<Bytes>,
    /// Whether the row begins here; else it goes on.
    pub begins: bool,
    /// Where the next piece of the row ends among the registrations; 0 if the row ends here.
    pub left: u32,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub job: JobId,
    /// Its unique.
    pub unique: Bytes,
    /// Lost attempts.
    pub retries: u8,
    /// Whether nobody wants it any more.
    pub ignored: bool,
    /// Whether it is a background job (in the store, or would be).
    pub stored: bool,
}

/// One job, and who has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvolvedJob {
    /// Its number.
    pub job: JobId,
    /// Its function's name.
    pub function: Bytes,
    /// Its unique.
    pub unique: Bytes,
    /// Where the worker is that runs it.
    pub worker: Option<SocketAddr>,
    /// How many wait for it; who submitted it twice counts twice.
    pub clients: u32,
}

/// A session, or one of the jobs that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    /// The session.
    pub session: SessionId,
    /// Which of both.
    pub what: Waits,
}

/// What a [`WaitingRow`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The session itself, and where it is. What it waits for follows.
    Session(SocketAddr),
    /// A job that it waits for.
    Job {
        /// The job.
        job: InvolvedJob,
        /// How often it waits for it.
        times: u32,
        /// How often besides, told before.
        told: u32,
    },
}

/// One dead job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRow {
    /// Its number.
    pub job: JobId,
    /// Its function's name.
    pub function: Bytes,
    /// Its unique.
    pub unique: Bytes,
    /// Lost attempts.
    pub attempts: u8,
    /// How the last one was lost.
    pub reason: DeathReason,
    /// When.
    pub at: Epoch,
    /// Where the last worker was.
    pub address: IpAddr,
    /// What the last worker called itself; empty if nothing.
    pub worker: Bytes,
}

/// One function that `drop function` matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRow {
    /// Its exact name.
    pub function: Bytes,
    /// False if workers know it, or jobs of it run.
    pub dropped: bool,
}

/// The state of a job, as STATUS_RES and STATUS_RES_UNIQUE tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// Whether the job exists.
    pub known: bool,
    /// Whether a worker holds it.
    pub running: bool,
    /// From the last WORK_STATUS of this attempt.
    pub numerator: u32,
    /// From the last WORK_STATUS of this attempt.
    pub denominator: u32,
}

/// Answer to GET_STATUS_UNIQUE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UniqueStatus {
    /// The state.
    pub status: JobStatus,
    /// Attached foreground clients.
    pub clients: u32,
    /// When the job was accepted, in milliseconds of the engines' clock, to tell which of several came last. Wraps.
    pub accepted_ms: u32,
}

/// Who has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The owner of this function.
    Function(&'a [u8]),
    /// The owner of the job with this handle.
    Job(&'a [u8]),
    /// The sessions of every home.
    Sessions,
    /// The functions of every owner.
    Functions,
    /// The sessions of every home, and the functions of every owner.
    Both,
    /// Every engine, for what is counted of both its halves.
    Engines,
}

impl Query {
    /// Who has to be asked.
    pub fn scope(&self) -> Scope<'_> {
        match self {
            Query::Workers => Scope::Sessions,
            Query::ClientsWithJobs => Scope::Both,
            Query::Status
            | Query::PriorityStatus
            | Query::JobsWithWorkers
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs
            | Query::UniqueStatus { .. } => Scope::Functions,
            Query::Counters => Scope::Engines,
            // The function of exactly this name first: only if there is none does case not matter.
            Query::MaxQueue { function, .. }
            | Query::CreateFunction { function }
            | Query::DropFunction { function } => Scope::Function(function),
            Query::CancelJob { handle } | Query::RetryJob { handle } => Scope::Job(handle),
        }
    }

    /// Whether the answer, or finding it, may be long: it comes in pages, and the session is paused meanwhile.
    pub fn is_long(&self) -> bool {
        match self {
            Query::Status
            | Query::PriorityStatus
            | Query::Workers
            | Query::JobsWithWorkers
            | Query::ClientsWithJobs
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs
            | Query::DropFunction { .. } => true,
            Query::Counters
            | Query::UniqueStatus { .. }
            | Query::MaxQueue { .. }
            | Query::CreateFunction { .. }
            | Query::CancelJob { .. }
            | Query::RetryJob { .. } => false,
        }
    }

    /// The report to which those of the shards are added.
    pub fn empty_report(&self) -> Report {
        match self {
            Query::Status | Query::PriorityStatus => Report::Functions(Vec::new()),
            Query::Workers => Report::Workers(Vec::new()),
            Query::JobsWithWorkers => Report::Involved(Vec::new()),
            Query::ClientsWithJobs => Report::Waiting(Vec::new()),
            Query::Jobs | Query::UniqueJobs => Report::Jobs(Vec::new()),
            Query::DeadJobs => Report::DeadJobs(Vec::new()),
            Query::Counters => Report::Counters(Box::default()),
            Query::UniqueStatus { .. } => Report::UniqueStatus(UniqueStatus::default()),
            Query::DropFunction { .. } => Report::Dropped(Vec::new()),
            Query::CancelJob { .. } | Query::RetryJob { .. } => Report::UnknownJob,
            Query::MaxQueue { .. } | Query::CreateFunction { .. } => Report::Done,
        }
    }
}

impl Report {
    /// Adds what another shard reported to the same query.
    pub fn merge(&mut self, other: Report) {
        match (self, other) {
            (Report::Functions(rows), Report::Functions(more)) => rows.extend(more),
            (Report::Workers(rows), Report::Workers(more)) => rows.extend(more),
            (Report::Involved(rows), Report::Involved(more)) => rows.extend(more),
            (Report::Waiting(rows), Report::Waiting(more)) => rows.extend(more),
            (Report::Jobs(rows), Report::Jobs(more)) => rows.extend(more),
            (Report::DeadJobs(rows), Report::DeadJobs(more)) => rows.extend(more),
            (Report::Dropped(rows), Report::Dropped(more)) => rows.extend(more),
            (Report::Counters(sum), Report::Counters(more)) => sum.merge(&more),
            (Report::UniqueStatus(best), Report::UniqueStatus(other)) => {
                if other.status.known
                    && (!best.status.known || other.accepted_ms.wrapping_sub(best.accepted_ms) as i32 > 0)
                {
                    *best = other;
                }
            }
            (report, other) => *report = other,
        }
    }

    /// How many rows it has; one, if it is no list.
    pub fn rows(&self) -> usize {
        match self {
            Report::Functions(rows) => rows.len(),
            Report::Workers(rows) => rows.len(),
            Report::Involved(rows) => rows.len(),
            Report::Waiting(rows) => rows.len(),
            Report::Jobs(rows) => rows.len(),
            Report::DeadJobs(rows) => rows.len(),
            Report::Dropped(rows) => rows.len(),
            _ => 1,
        }
    }

    /// Whether it is a list without rows.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Adds the next page of the same report.
    pub fn append(&mut self, page: Report) {
        match (self, page) {
            (Report::Workers(rows), Report::Workers(more)) => {
                for row in more {
                    match rows.last_mut().filter(|_| !row.begins) {
                        Some(last) => {
                            last.functions.extend(row.functions);
                            last.left = row.left;
                        }
                        None => rows.push(row),
                    }
                }
            }
            (report, page) => report.merge(page),
        }
    }
}
