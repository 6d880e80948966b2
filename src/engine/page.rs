//! Reports come in pages: how far a list has come, what a shard is asked for and answers, and how the rows of several
//! shards become one page. Who asks when is in `sessions/survey.rs`.
//!
//! Each list has an order in which its rows are told, and a [`ListMark`] is a place in it. A shard returns rows behind a mark,
//! and how far it has looked; what all shards have looked through makes a page. So nothing is kept between pages but
//! a mark, and what comes or goes meanwhile is told or not.
#[cfg(doc)]
use crate::access::Right;
use crate::access::Rights;
use crate::query::Ask;
use crate::report::{
    DeadRow, DropRow, FunctionNumbers, FunctionRow, FunctionWorker, InvolvedJob, JobRow, Report, SessionRow,
    WaitingRow, Waits, WorkerRow,
};
use crate::slot::{JobId, SessionId, ShardId};
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;

/// A place in the order of a list: the rows up to it, itself included, have been told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListMark {
    /// Functions are told by name.
    Function(Bytes),
    /// Jobs are told by number.
    Job(JobId),
    /// Workers are told by descriptor, and one with many registrations in pieces.
    Worker {
        /// Its descriptor.
        descriptor: u32,
        /// Its session.
        session: SessionId,
        /// Where in its registrations the next piece ends; 0 if there is none.
        left: Reverse<u32>,
    },
    /// Sessions, and workers of one function, are told by session.
    Session(SessionId),
    /// Clients are told by session: first itself, then each job that it waits for.
    Waiting {
        /// Its session.
        session: SessionId,
        /// The job; `None` for the session itself.
        job: Option<JobId>,
        /// How many of its attachments to this job have been told.
        times: u32,
    },
}

/// What half a shard is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The query or order.
    pub ask: Ask,
    /// With [`crate::Order::DropFunction`]: whether case counts.
    pub exact: bool,
    /// Rows behind this are wanted; all, if `None`.
    pub after: Option<ListMark>,
    /// With [`crate::Order::CancelJob`]: what must cover the function of the job ([`Right::Submit`]).
    pub by: Rights,
    /// About how many rows are wanted at most. It bounds their bytes too, and how many things are looked at to find them.
    pub most: u32,
}

/// Which half of a shard answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The one that holds sessions.
    Sessions,
    /// The one that owns functions.
    Functions,
}

/// What half a shard answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePart {
    /// Who answers.
    pub from: ShardId,
    /// Which half of it.
    pub half: Half,
    /// The rows, in the order of the list; or what else is answered.
    pub report: Report,
    /// How far was looked, if there may be more behind it.
    pub stop: Option<ListMark>,
}

/// What may be spent on one part of a page.
#[derive(Debug)]
pub(crate) struct Budget {
    rows: u32,
    bytes: usize,
    looks: usize,
}

impl Budget {
    /// Bytes for each row that is wanted, on average.
    const ROW_BYTES: usize = 256;
    /// Things looked at for each row that is wanted, on average.
    const ROW_LOOKS: usize = 4;

    pub(crate) fn new(most: u32) -> Budget {
        let rows = most.max(1);
        let each = rows as usize;
        Budget { rows, bytes: each * Self::ROW_BYTES, looks: each * Self::ROW_LOOKS }
    }

    /// For things at which a glance is enough: four times as many are looked at to find as many rows.
    pub(crate) fn glancing(&self) -> Budget {
        Budget { looks: self.looks * 4, ..*self }
    }

    /// So many things were looked at, at least one.
    pub(crate) fn look(&mut self, things: usize) {
        self.looks = self.looks.saturating_sub(things.max(1));
    }

    /// A row of about so many bytes was found.
    pub(crate) fn row(&mut self, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// How many rows may still be found.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether it is time to stop.
    pub(crate) fn is_spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0 || self.looks == 0
    }
}

/// A row of a list.
pub(crate) trait ListRow {
    /// Its place.
    fn mark(&self) -> ListMark;
    /// About how many bytes it takes, those that it shares included.
    fn weight(&self) -> usize;
}

impl ListRow for FunctionRow {
    fn mark(&self) -> ListMark {
        ListMark::Function(self.function.clone())
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.function.len()
    }
}

impl ListRow for FunctionNumbers {
    fn mark(&self) -> ListMark {
        ListMark::Function(self.function.clone())
    }

    fn weight(&self) -> usize {
        let stats = self.stats.as_ref().map_or(0, |stats| size_of_val(&**stats));
        size_of::<Self>() + self.function.len() + stats
    }
}

impl ListRow for FunctionWorker {
    fn mark(&self) -> ListMark {
        ListMark::Session(self.session)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.id.len()
    }
}

impl ListRow for SessionRow {
    fn mark(&self) -> ListMark {
        ListMark::Session(self.session)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.id.len()
    }
}

impl ListRow for DropRow {
    fn mark(&self) -> ListMark {
        ListMark::Function(self.function.clone())
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.function.len()
    }
}

impl ListRow for JobRow {
    fn mark(&self) -> ListMark {
        ListMark::Job(self.job)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.unique.len()
    }
}

impl ListRow for DeadRow {
    fn mark(&self) -> ListMark {
        ListMark::Job(self.job)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.function.len() + self.unique.len() + self.worker.len()
    }
}

impl ListRow for InvolvedJob {
    fn mark(&self) -> ListMark {
        ListMark::Job(self.job)
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.function.len() + self.unique.len()
    }
}

impl ListRow for WorkerRow {
    fn mark(&self) -> ListMark {
        let left = Reverse(self.left);
        ListMark::Worker { descriptor: self.descriptor, session: self.session, left }
    }

    fn weight(&self) -> usize {
        let names: usize = self.functions.iter().map(|name| size_of::<Bytes>() + name.len()).sum();
        size_of::<Self>() + self.id.len() + names
    }
}

impl ListRow for WaitingRow {
    fn mark(&self) -> ListMark {
        let (job, times) = match &self.what {
            Waits::Session(_) => (None, 0),
            Waits::Job { job, told, times, .. } => (Some(job.job), told + times),
        };
        ListMark::Waiting { session: self.session, job, times }
    }

    /// Each time is a line.
    fn weight(&self) -> usize {
        let line = |job: &InvolvedJob| 64 + job.function.len() + job.unique.len();
        size_of::<Self>()
            + match &self.what {
                Waits::Session(row) => row.weight(),
                Waits::Job { job, times, .. } => line(job) * *times as usize,
            }
    }
}

fn last<R: ListRow>(rows: &[R]) -> Option<ListMark> {
    rows.last().map(ListRow::mark)
}

fn weigh<R: ListRow>(rows: &[R]) -> usize {
    rows.iter().map(ListRow::weight).sum()
}

fn order<R: ListRow>(rows: &mut Vec<R>, stop: Option<&ListMark>) {
    rows.sort_by_cached_key(ListRow::mark);
    if let Some(stop) = stop {
        rows.truncate(rows.partition_point(|row| row.mark() <= *stop));
    }
}

impl Report {
    /// The place of the last row.
    fn last(&self) -> Option<ListMark> {
        match self {
            Report::Functions(rows) => last(rows),
            Report::Workers(rows) => last(rows),
            Report::Involved(rows) => last(rows),
            Report::Waiting(rows) => last(rows),
            Report::Jobs(rows) => last(rows),
            Report::DeadJobs(rows) => last(rows),
            Report::Dropped(rows) => last(rows),
            Report::Numbers(page) => last(&page.rows),
            Report::FunctionWorkers(rows) => last(rows),
            Report::Sessions(rows) => last(rows),
            _ => None,
        }
    }

    /// Puts the rows in order, and drops those behind `stop`.
    fn order(&mut self, stop: Option<&ListMark>) {
        match self {
            Report::Functions(rows) => order(rows, stop),
            Report::Workers(rows) => order(rows, stop),
            Report::Involved(rows) => order(rows, stop),
            Report::Waiting(rows) => order(rows, stop),
            Report::Jobs(rows) => order(rows, stop),
            Report::DeadJobs(rows) => order(rows, stop),
            Report::Dropped(rows) => order(rows, stop),
            Report::Numbers(page) => order(&mut page.rows, stop),
            Report::FunctionWorkers(rows) => order(rows, stop),
            Report::Sessions(rows) => order(rows, stop),
            _ => {}
        }
    }

    /// About how many bytes the report takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Report>()
            + match self {
                Report::Functions(rows) => weigh(rows),
                Report::Workers(rows) => weigh(rows),
                Report::Involved(rows) => weigh(rows),
                Report::Waiting(rows) => weigh(rows),
                Report::Jobs(rows) => weigh(rows),
                Report::DeadJobs(rows) => weigh(rows),
                Report::Dropped(rows) => weigh(rows),
                Report::Numbers(page) => weigh(&page.rows),
                Report::Outline(page) => size_of_val(&**page) + weigh(&page.rows),
                Report::FunctionWorkers(rows) => weigh(rows),
                Report::Sessions(rows) => weigh(rows),
                Report::Counters(counters) => size_of_val(&**counters),
                Report::Job(facts) => size_of_val(&**facts) + facts.function.len() + facts.unique.len(),
                Report::Workload(payload) => {
                    size_of_val(&**payload) + payload.function.len() + payload.part.len()
                }
                _ => 0,
            }
    }
}

/// A page, made of what all have answered.
#[derive(Debug)]
pub(crate) struct ReportPage {
    /// The rows that can be told.
    pub(crate) report: Report,
    /// How far the list has come; `None` if it is complete.
    pub(crate) stop: Option<ListMark>,
    /// Who has nothing more to tell.
    pub(crate) done: Vec<(Half, ShardId)>,
}

impl ReportPage {
    /// Joins the parts of a page: what is behind the place up to which everybody has looked is for a later page.
    pub(crate) fn of(ask: &Ask, parts: Vec<PagePart>) -> ReportPage {
        let stop = parts.iter().filter_map(|part| part.stop.clone()).min();
        let told = |part: &PagePart| stop.is_none() || part.report.last() <= stop;
        let done = parts.iter().filter(|part| part.stop.is_none() && told(part));
        let done = done.map(|part| (part.half, part.from)).collect();
        let mut report = ask.empty_report();
        parts.into_iter().for_each(|part| report.merge(part.report));
        report.order(stop.as_ref());
        ReportPage { report, stop, done }
    }
}
