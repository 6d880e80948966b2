//! What administrators hear: the rows of lists, reports, and how the reports of several engines become one. What they ask
//! for is in `query.rs`, how lists come in pages is in `page.rs`.
pub use crate::counters::Counters;
pub use crate::facts::{
    BatchResult, FunctionNumbers, FunctionWorker, HeldJob, JobFacts, JobPayload, JobPhase, NumbersPage,
    SessionRow, ShutReason, WorkerState,
};
use crate::outline::OutlinePage;
use crate::persist::DeathReason;
pub use crate::policy::Pause;
use crate::slot::{JobId, SessionId};
pub use crate::status::{JobStatus, UniqueStatus};
use crate::time::Epoch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use ringgear_protocol::Refusal;

/// An answer to a query or an order, which stand in `query.rs`. Rows are in order, so that hash order is never seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// For `Status` and `PriorityStatus`.
    Functions(Vec<FunctionRow>),
    /// For `Workers`.
    Workers(Vec<WorkerRow>),
    /// For `JobsWithWorkers` and `JobsLike`.
    Involved(Vec<InvolvedJob>),
    /// For `ClientsWithJobs`.
    Waiting(Vec<WaitingRow>),
    /// For `Jobs` and `UniqueJobs`.
    Jobs(Vec<JobRow>),
    /// For `DeadJobs` and `DeadJobsOf`.
    DeadJobs(Vec<DeadRow>),
    /// For `Numbers` and `Function`.
    Numbers(Box<NumbersPage>),
    /// For `Outline`.
    Outline(Box<OutlinePage>),
    /// For `FunctionWorkers`.
    FunctionWorkers(Vec<FunctionWorker>),
    /// For `Session`; nothing if it is gone.
    Sessions(Vec<SessionRow>),
    /// For `Job`.
    Job(Box<JobFacts>),
    /// For `Workload`.
    Workload(Box<JobPayload>),
    /// For `Counters`.
    Counters(Box<Counters>),
    /// For `UniqueStatus`.
    UniqueStatus(UniqueStatus),
    /// For `Batch`.
    Batch(BatchResult),
    /// For `Pauses`.
    Pauses(Vec<(Bytes, Pause)>),
    /// There was nothing to do for the order: the function was not paused, the connection is gone.
    Unchanged,
    /// The order was carried out.
    Done,
    /// For `DropFunction`: each function that matched; empty if none did.
    Dropped(Vec<DropRow>),
    /// For `CancelJob`, `RetryJob`, `Job` and `Workload`: there is no such job.
    UnknownJob,
    /// The session has no right to this: nothing was done.
    Denied,
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
    /// The session itself. What it waits for follows.
    Session(Box<SessionRow>),
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
            (Report::Numbers(page), Report::Numbers(more)) => {
                page.rows.extend(more.rows);
                page.others.merge(&more.others);
            }
            (Report::FunctionWorkers(rows), Report::FunctionWorkers(more)) => rows.extend(more),
            (Report::Sessions(rows), Report::Sessions(more)) => rows.extend(more),
            (Report::Pauses(rows), Report::Pauses(more)) => rows.extend(more),
            (Report::Counters(sum), Report::Counters(more)) => sum.merge(&more),
            (Report::UniqueStatus(best), Report::UniqueStatus(other)) => best.merge(other),
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
            Report::Numbers(page) => page.rows.len(),
            Report::Outline(page) => page.rows.len().max(1),
            Report::FunctionWorkers(rows) => rows.len(),
            Report::Sessions(rows) => rows.len(),
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
