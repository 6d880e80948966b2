//! What administrators ask and hear: queries, reports, and how reports of several shards merge.
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

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened since the start, and a few present sizes. Plain numbers of one shard; they merge by adding.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds another shard's numbers.
            pub fn merge(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
            }

            /// Names and values, in the order of declaration.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Sessions now.
    sessions,
    /// Sessions ever.
    sessions_opened,
    /// Sessions closed because the peer sent bytes that are not Gearman's.
    sessions_malformed,
    /// Sessions closed because the peer did not read.
    sessions_slow_reader,
    /// Times that a connection was left unread because connections held too much, and it the most.
    debtors_unread,
    /// Connections closed because connections held too much, and they the most.
    debtors_closed,
    /// Connections refused because `--max-connections` was reached.
    connections_refused,
    /// Times that accepting stopped for want of descriptors.
    accept_out_of_descriptors,
    /// Times that a session was left unread because too many of its requests waited for answers.
    sessions_paused,
    /// Times that this shard left its sockets unread because messages to other shards piled up.
    outbox_full,
    /// Packets refused for their size.
    packets_too_large,
    /// Jobs now, queued and running, and those that the store is to keep first. Dead ones are not counted.
    jobs,
    /// Bytes of these jobs.
    jobs_bytes,
    /// Jobs ever accepted as new.
    jobs_accepted,
    /// Submissions that joined a job.
    jobs_coalesced,
    /// Submissions refused by `maxqueue`.
    refused_queue_full,
    /// Submissions refused by `--max-queued-bytes`.
    refused_queued_bytes,
    /// Submissions refused because all numbers of jobs are used up.
    refused_numbers,
    /// Requests refused because there are too many functions, or these take too many bytes.
    refused_functions,
    /// Registrations refused because the session has too many.
    refused_abilities,
    /// Jobs completed.
    jobs_completed,
    /// Jobs failed by their worker.
    jobs_failed,
    /// Jobs that ended with an exception.
    jobs_exceptions,
    /// Jobs that went back to their queue after a lost attempt.
    jobs_requeued,
    /// Jobs whose worker took too long.
    jobs_timed_out,
    /// Jobs failed because their attempts were used up. Background jobs among them are kept as dead jobs.
    jobs_out_of_attempts,
    /// Dead jobs now.
    dead_jobs,
    /// Bytes of the dead jobs.
    dead_bytes,
    /// Dead jobs dropped because there were too many, or too many bytes of them.
    dead_jobs_dropped,
    /// Dead jobs that an administrator put back into their queues.
    dead_jobs_retried,
    /// Jobs cancelled by an administrator.
    jobs_cancelled,
    /// Queued jobs dropped because all their clients had left.
    jobs_abandoned,
    /// Jobs that ended because their function was dropped. Dead ones are not counted.
    jobs_dropped,
    /// Commits of the store.
    store_commits,
    /// Jobs that the store has been given and has kept.
    jobs_stored,
    /// Jobs found in the store at the start, dead ones not counted.
    jobs_restored,
    /// Jobs found in the store at the start that cannot be ones of this job server: they stay there.
    jobs_set_aside,
    /// Pieces of the store that could not be read any more and were put right from memory, or given up.
    store_repairs,
    /// Jobs that the store could not read any more and that were not in memory.
    store_jobs_lost,
    /// Jobs given up because the store failed to keep them and nobody else waited for them.
    jobs_unstored,
    /// Submissions refused because the store failed, took too long, or had too much to do.
    store_refusals,
    /// Those among them that had waited for as long as they may (`--store-timeout`).
    store_timeouts,
    /// Those among them for which there was no room (`--max-storing-bytes`).
    store_full_refusals,
    /// Jobs that the store has kept after all those who wanted it had been refused; they ended then.
    store_kept_late,
    /// Results of running jobs that no client was there to hear, though one had asked.
    results_discarded,
    /// Late words of a worker on a job that it had finished, or that its time limit had taken away, swallowed.
    results_late,
    /// Late words of a worker on a job that its time limit had taken away, taken because nobody had had the job since.
    results_late_taken,
    /// Results for jobs that the session did not hold, refused.
    results_unknown,
    /// NOOPs sent.
    wakeups,
    /// Times that all sleepers were woken because the first did not take the job.
    wakeups_escalated,
    /// Bytes that peers have this server keep, as far as they are counted: the next five, and `jobs_bytes`.
    memory_accounted,
    /// Bytes of functions, names included.
    functions_bytes,
    /// Bytes of what workers have registered.
    registrations_bytes,
    /// Bytes of replies that wait for earlier ones.
    replies_bytes,
    /// Bytes that wait for other threads.
    outbox_bytes,
    /// Bytes of connections: what was received and is not a whole packet, what was not sent yet.
    connections_bytes,
    /// Lines of the log dropped because they came faster than they could be written (`--max-log-queue`).
    log_lines_dropped,
    /// Warnings and errors that were not written because they repeat others (`--max-log-repeats`).
    log_lines_withheld,
}

/// Who has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The owner of this function.
    Function(&'a [u8]),
    /// The owner of the job with this handle.
    Job(&'a [u8]),
    /// The sessions of every shard.
    Sessions,
    /// The functions of every shard.
    Functions,
    /// Both halves of every shard.
    Both,
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
            | Query::Counters
            | Query::UniqueStatus { .. } => Scope::Functions,
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
