//! What administrators ask for: queries, which only read, and orders, which change something; and what is decided for each
//! of them, so that nobody else need tell them apart: who is asked, whether the answer may be long, and how it begins. What
//! they hear is in `report.rs`.
use crate::report::{Report, UniqueStatus};
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
            Query::Counters => Scope::Engines,
            Query::Status
            | Query::PriorityStatus
            | Query::JobsWithWorkers
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs
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
            | Query::ClientsWithJobs
            | Query::Jobs
            | Query::UniqueJobs
            | Query::DeadJobs => true,
            Query::Counters | Query::UniqueStatus { .. } => false,
        }
    }

    /// The report to which those of the engines are added.
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
        }
    }
}

impl Order {
    /// Who has to be told.
    pub fn scope(&self) -> Scope<'_> {
        match self {
            Order::MaxQueue { function, .. }
            | Order::CreateFunction { function }
            | Order::DropFunction { function } => Scope::Function(function),
            Order::CancelJob { handle } | Order::RetryJob { handle } => Scope::Job(handle),
        }
    }

    /// The function that it names; empty if it names a job.
    pub fn function(&self) -> &[u8] {
        match self {
            Order::MaxQueue { function, .. }
            | Order::CreateFunction { function }
            | Order::DropFunction { function } => function,
            Order::CancelJob { .. } | Order::RetryJob { .. } => b"",
        }
    }

    /// Whether finding what is meant may take long: it is done in pages, and the session is paused meanwhile.
    pub fn is_long(&self) -> bool {
        match self {
            Order::DropFunction { .. } => true,
            Order::MaxQueue { .. }
            | Order::CreateFunction { .. }
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
            Order::MaxQueue { .. } | Order::CreateFunction { .. } => Report::Done,
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
