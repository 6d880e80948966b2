//! What administrators ask for: queries, which only read, and orders, which change something; and what is decided for each
//! of them, so that nobody else need tell them apart: who is asked, whether the answer may be long, and how it begins. What
//! they hear is in `report.rs`.
use crate::outline::OutlineAsk;
use crate::report::{BatchResult, NumbersPage, Pause, Report, UniqueStatus};
use crate::slot::{JobId, SessionId, ShardId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// A question: nothing is changed by asking it.
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
    /// The same, of some jobs only.
    JobsLike(Box<JobsWanted>),
    /// `clients` (of the Perl server): each session, and the jobs that it waits for.
    ClientsWithJobs,
    /// `show jobs`
    Jobs,
    /// `show unique jobs`
    UniqueJobs,
    /// `show dead jobs` (ours)
    DeadJobs,
    /// The same of one function.
    DeadJobsOf {
        /// The exact name.
        function: Bytes,
    },
    /// `show counters` (ours)
    Counters,
    /// What is known of every function, ages and counts included.
    Numbers,
    /// The same of one.
    Function {
        /// The exact name.
        function: Bytes,
    },
    /// Sums over very many functions, and those of them that rank first: one step of one owner.
    Outline(Box<OutlineAsk>),
    /// The workers that know a function.
    FunctionWorkers {
        /// The exact name.
        function: Bytes,
    },
    /// The functions that are paused, in no order.
    Pauses,
    /// A session, with what it did last.
    Session {
        /// Which.
        session: SessionId,
    },
    /// All that is known of a job.
    Job {
        /// Its handle.
        handle: Bytes,
    },
    /// A part of a job's workload. Large ones are shared, not copied.
    Workload {
        /// Its handle.
        handle: Bytes,
        /// From this byte on, the first being 0.
        from: u64,
        /// So many bytes at the most.
        most: u32,
    },
    /// GET_STATUS_UNIQUE: the latest job with this unique in any function.
    UniqueStatus {
        /// The unique, as asked.
        unique: Bytes,
    },
}

/// Which jobs are wanted of those that live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsWanted {
    /// Only those of this function: the exact name.
    pub function: Option<Bytes>,
    /// Only those with this unique.
    pub unique: Option<Bytes>,
    /// Only those that a worker has, or only others.
    pub running: Option<bool>,
}

/// An order: something is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
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
    /// A function gives out no more jobs, there or not.
    Pause {
        /// The exact name.
        function: Bytes,
        /// Since when, until when, why, and who wants it.
        pause: Box<Pause>,
    },
    /// A paused function goes on.
    Resume {
        /// The exact name.
        function: Bytes,
    },
    /// Jobs of a function are cancelled, or put back from the dead.
    Batch(Box<BatchOrder>),
    /// A connection is closed.
    Dismiss {
        /// Whose.
        session: SessionId,
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

/// What is done with jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchAction {
    /// They end, wherever they stand; whoever waits for one is told that it has failed.
    Cancel,
    /// Dead ones go back to their queue.
    Retry,
}

/// Which jobs are meant, by where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Those that wait for a worker.
    Queued,
    /// Those that wait for their time.
    Scheduled,
    /// Those that a worker has.
    Running,
    /// Those that are out of attempts.
    Dead,
}

/// An order for many jobs of one function. It is carried out a step at a time: see [`BatchResult`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchOrder {
    /// The exact name.
    pub function: Bytes,
    /// What is to be done. Only dead jobs can be put back.
    pub action: BatchAction,
    /// Which jobs are meant.
    pub state: BatchState,
    /// Only those that were accepted at least so long ago, in milliseconds.
    pub older_ms: u64,
    /// Only those with this unique.
    pub unique: Option<Bytes>,
    /// Only those with a number behind this one.
    pub after: Option<JobId>,
    /// No more than so many.
    pub at_most: u32,
    /// Nothing is done; they are only counted.
    pub dry_run: bool,
}

/// Either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A question.
    Query(Query),
    /// An order.
    Order(Order),
}

impl From<Query> for Ask {
    fn from(query: Query) -> Ask {
        Ask::Query(query)
    }
}

impl From<Order> for Ask {
    fn from(order: Order) -> Ask {
        Ask::Order(order)
    }
}

/// Who has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The owner of this function.
    Function(&'a [u8]),
    /// The owner of the job with this handle.
    Job(&'a [u8]),
    /// This owner.
    Owner(ShardId),
    /// The home of this session.
    Home(ShardId),
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
            Query::Session { session } => Scope::Home(session.shard()),
            Query::Function { function }
            | Query::FunctionWorkers { function }
            | Query::DeadJobsOf { function } => Scope::Function(function),
            Query::JobsLike(wanted) => wanted.function.as_deref().map_or(Scope::Functions, Scope::Function),
            Query::Outline(ask) => Scope::Owner(ask.owner),
            Query::Job { handle } | Query::Workload { handle, .. } => Scope::Job(handle),
            Query::ClientsWithJobs => Scope::Both,
            Query::Counters => Scope::Engines,
            Query::Status
            | Query::PriorityStatus
            | Query::JobsWithWorkers
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs
            | Query::Numbers
            | Query::Pauses
            | Query::UniqueStatus { .. } => Scope::Functions,
        }
    }

    /// Whether the answer may be long: it comes in pages, and the session is paused meanwhile.
    pub fn is_long(&self) -> bool {
        match self {
            Query::Status
            | Query::PriorityStatus
            | Query::Workers
            | Query::JobsWithWorkers
            | Query::JobsLike(_)
            | Query::ClientsWithJobs
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs
            | Query::DeadJobsOf { .. }
            | Query::Numbers
            | Query::FunctionWorkers { .. } => true,
            Query::Counters
            | Query::Outline(_)
            | Query::UniqueStatus { .. }
            | Query::Pauses
            | Query::Function { .. }
            | Query::Session { .. }
            | Query::Workload { .. }
            | Query::Job { .. } => false,
        }
    }

    /// The report to which those of the engines are added.
    pub fn empty_report(&self) -> Report {
        match self {
            Query::Status | Query::PriorityStatus => Report::Functions(Vec::new()),
            Query::Workers => Report::Workers(Vec::new()),
            Query::JobsWithWorkers | Query::JobsLike(_) => Report::Involved(Vec::new()),
            Query::ClientsWithJobs => Report::Waiting(Vec::new()),
            Query::Jobs | Query::UniqueJobs => Report::Jobs(Vec::new()),
            Query::DeadJobs | Query::DeadJobsOf { .. } => Report::DeadJobs(Vec::new()),
            Query::Outline(_) => Report::Outline(Box::default()),
            Query::Numbers | Query::Function { .. } => Report::Numbers(Box::<NumbersPage>::default()),
            Query::FunctionWorkers { .. } => Report::FunctionWorkers(Vec::new()),
            Query::Session { .. } => Report::Sessions(Vec::new()),
            Query::Job { .. } | Query::Workload { .. } => Report::UnknownJob,
            Query::Pauses => Report::Pauses(Vec::new()),
            Query::Counters => Report::Counters(Box::default()),
            Query::UniqueStatus { .. } => Report::UniqueStatus(UniqueStatus::default()),
        }
    }
}

impl Order {
    /// Who has to be told.
    pub fn scope(&self) -> Scope<'_> {
        match self {
            Order::MaxQueue { function, .. }
            | Order::CreateFunction { function }
            | Order::DropFunction { function }
            | Order::Pause { function, .. }
            | Order::Resume { function } => Scope::Function(function),
            Order::Batch(batch) => Scope::Function(&batch.function),
            Order::Dismiss { session } => Scope::Home(session.shard()),
            Order::CancelJob { handle } | Order::RetryJob { handle } => Scope::Job(handle),
        }
    }

    /// The function that it names; empty if it names a job or a session.
    pub fn function(&self) -> &[u8] {
        match self {
            Order::MaxQueue { function, .. }
            | Order::CreateFunction { function }
            | Order::DropFunction { function }
            | Order::Pause { function, .. }
            | Order::Resume { function } => function,
            Order::Batch(batch) => &batch.function,
            Order::CancelJob { .. } | Order::RetryJob { .. } | Order::Dismiss { .. } => b"",
        }
    }

    /// Whether finding what is meant may take long: it is done in pages, and the session is paused meanwhile.
    pub fn is_long(&self) -> bool {
        match self {
            Order::DropFunction { .. } => true,
            Order::MaxQueue { .. }
            | Order::CreateFunction { .. }
            | Order::Pause { .. }
            | Order::Resume { .. }
            | Order::Batch(_)
            | Order::Dismiss { .. }
            | Order::CancelJob { .. }
            | Order::RetryJob { .. } => false,
        }
    }

    /// Whether a function of exactly this name is looked for first: only if there is none does case not matter, and all owners
    /// are told.
    pub fn begins_exact(&self) -> bool {
        matches!(self, Order::DropFunction { .. })
    }

    /// The report to which those of the engines are added.
    pub fn empty_report(&self) -> Report {
        match self {
            Order::DropFunction { .. } => Report::Dropped(Vec::new()),
            Order::CancelJob { .. } | Order::RetryJob { .. } => Report::UnknownJob,
            Order::Batch(_) => Report::Batch(BatchResult::default()),
            Order::Dismiss { .. } => Report::Unchanged,
            Order::MaxQueue { .. }
            | Order::CreateFunction { .. }
            | Order::Pause { .. }
            | Order::Resume { .. } => Report::Done,
        }
    }
}

impl Ask {
    /// See [`Query::scope`] and [`Order::scope`].
    pub fn scope(&self) -> Scope<'_> {
        match self {
            Ask::Query(query) => query.scope(),
            Ask::Order(order) => order.scope(),
        }
    }

    /// See [`Query::is_long`] and [`Order::is_long`].
    pub fn is_long(&self) -> bool {
        match self {
            Ask::Query(query) => query.is_long(),
            Ask::Order(order) => order.is_long(),
        }
    }

    /// See [`Order::begins_exact`]; a query never does.
    pub fn begins_exact(&self) -> bool {
        match self {
            Ask::Query(_) => false,
            Ask::Order(order) => order.begins_exact(),
        }
    }

    /// See [`Query::empty_report`] and [`Order::empty_report`].
    pub fn empty_report(&self) -> Report {
        match self {
            Ask::Query(query) => query.empty_report(),
            Ask::Order(order) => order.empty_report(),
        }
    }
}
