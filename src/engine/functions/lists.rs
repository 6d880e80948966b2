//! This shard's rows of the lists that administrators ask for, a page at a time: functions by name, jobs by number, and what
//! each client waits for. Orders are in `admin.rs`.
use super::Functions;
use super::index::{JobIx, PartyIx};
use super::job::Job;
use crate::page::{Budget, ListMark, ListRow};
use crate::query::JobsWanted;
use crate::report::{DeadRow, FunctionRow, InvolvedJob, JobRow, Report, WaitingRow, Waits};
use crate::slot::{JobId, SessionId};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::ops::Bound;

/// Rows, and where the list goes on if it does.
pub(super) type ListPage<R> = (Vec<R>, Option<ListMark>);

/// So many clients of a job, or entries of a tally, are looked through as fast as one job is looked at.
const SMALL: usize = 64;

/// The rows of things in the order of a list, until the budget is spent.
pub(super) fn page<T: Copy, R: ListRow>(
    things: impl Iterator<Item = T>,
    budget: &mut Budget,
    mark: impl Fn(T) -> ListMark,
    row: impl Fn(T) -> Option<R>,
) -> ListPage<R> {
    let mut rows = Vec::new();
    for thing in things {
        budget.look(1);
        if let Some(row) = row(thing) {
            budget.row(row.weight());
            rows.push(row);
        }
        if budget.is_spent() {
            return (rows, Some(mark(thing)));
        }
    }
    (rows, None)
}

/// What a party is asked for: jobs from this one on, so often told before.
#[derive(Clone, Copy, Debug)]
struct From {
    job: Option<JobId>,
    told: u32,
}

impl Functions {
    pub(super) fn list_functions(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let functions = self.functions.in_order(after).map(|ix| self.functions.get(ix));
        let mark = |function: &super::function::Function| ListMark::Function(function.name.clone());
        let (rows, stop) = page(functions, budget, mark, |function| {
            Some(FunctionRow {
                function: function.name.clone(),
                queued: function.queued(),
                running: function.running,
                workers: function.workers,
            })
        });
        (Report::Functions(rows), stop)
    }

    /// The rows of jobs that have any.
    fn list<R: ListRow>(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
        row: impl Fn(JobIx, &Job) -> Option<R>,
    ) -> ListPage<R> {
        let after = match after {
            Some(&ListMark::Job(job)) => Some(job),
            _ => None,
        };
        let mark = |(_, job): (JobIx, &Job)| ListMark::Job(job.id);
        page(
            self.jobs.in_order(after),
            budget,
            mark,
            |(ix, job)| {
                if self.is_hidden(ix) { None } else { row(ix, job) }
            },
        )
    }

    pub(super) fn list_jobs(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let (rows, stop) = self.list(after, budget, |ix, job| {
            (!job.is_dead()).then(|| JobRow {
                job: job.id,
                unique: self.unique_of(ix),
                retries: job.retries,
                ignored: job.ignored(),
                stored: job.background(),
            })
        });
        (Report::Jobs(rows), stop)
    }

    /// Dead jobs, of one function or of all: none but these are looked at.
    #[cold]
    pub(super) fn list_dead(
        &self,
        function: Option<&[u8]>,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let dead = match function.map(|name| self.functions.find(name)) {
            None => &self.dead_in_order,
            Some(Some(ix)) => &self.functions.get(ix).dead,
            Some(None) => return (Report::DeadJobs(Vec::new()), None),
        };
        let after = match after {
            Some(&ListMark::Job(job)) => Bound::Excluded(job),
            _ => Bound::Unbounded,
        };
        let jobs = dead.range((after, Bound::Unbounded)).copied();
        let (rows, stop) = page(jobs, budget, ListMark::Job, |id| {
            let ix = self.jobs.find(id).filter(|&ix| !self.is_hidden(ix))?;
            let job = self.jobs.get(ix);
            let death = job.death()?;
            Some(DeadRow {
                job: job.id,
                function: self.functions.get(job.function).name.clone(),
                unique: self.unique_of(ix),
                attempts: job.retries,
                reason: death.reason,
                at: death.at,
                address: death.address,
                worker: Bytes::clone(&death.worker),
            })
        });
        (Report::DeadJobs(rows), stop)
    }

    pub(super) fn list_involved(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let (rows, stop) = self
            .list(after, budget, |ix, job| (!job.is_dead()).then(|| self.involved(ix, job.count_clients())));
        (Report::Involved(rows), stop)
    }

    /// Some of the jobs, sought among all.
    #[cold]
    pub(super) fn list_like(
        &self,
        wanted: &JobsWanted,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let nothing = (Report::Involved(Vec::new()), None);
        let function = match wanted.function.as_ref().map(|name| self.functions.find(name)) {
            None => None,
            Some(Some(ix)) if self.functions.get(ix).total() > 0 => Some(ix),
            Some(_) => return nothing,
        };
        let unique = wanted.unique.as_ref();
        let mut budget = budget.glancing();
        let (rows, stop) = self.list(after, &mut budget, |ix, job| {
            let is_one = function.is_none_or(|function| function == job.function)
                && !job.is_dead()
                && wanted.running.is_none_or(|running| running == job.is_running())
                && unique.is_none_or(|unique| job.unique(self.function_len(job.function)) == *unique);
            is_one.then(|| self.involved(ix, job.count_clients()))
        });
        (Report::Involved(rows), stop)
    }

    /// A job with those who have to do with it.
    fn involved(&self, ix: JobIx, clients: usize) -> InvolvedJob {
        let job = self.jobs.get(ix);
        let place = |party| {
            let name = self.parties.get(party).name.as_ref()?;
            Some(SocketAddr::new(name.address, name.port))
        };
        InvolvedJob {
            job: job.id,
            function: self.functions.get(job.function).name.clone(),
            unique: self.unique_of(ix),
            worker: self.holder(ix).and_then(place),
            clients: u32::try_from(clients).unwrap_or(u32::MAX),
        }
    }

    /// What clients wait for.
    pub(super) fn list_waiting(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let (first, mut from) = match after {
            Some(&ListMark::Waiting { session, job, times }) => (Some(session), From { job, told: times }),
            _ => (None, From { job: None, told: 0 }),
        };
        let mut rows = Vec::new();
        for (session, ix) in self.parties.in_order(first) {
            if Some(session) != first {
                from = From { job: None, told: 0 };
            }
            budget.look(1);
            let mut stop = None;
            let party = self.parties.get(ix);
            if party.attached.live() > 0 || party.joins.count > 0 {
                stop = self.list_attached(ix, from, budget, &mut rows);
            }
            if stop.is_none() && budget.is_spent() {
                stop = Some((JobId::LAST, u32::MAX));
            }
            if let Some((job, times)) = stop {
                return (Report::Waiting(rows), Some(ListMark::Waiting { session, job: Some(job), times }));
            }
        }
        (Report::Waiting(rows), None)
    }

    /// The jobs that one client waits for, by number. Where it goes on, if the budget is spent before it is through.
    fn list_attached(
        &self,
        ix: PartyIx,
        mut from: From,
        budget: &mut Budget,
        rows: &mut Vec<WaitingRow>,
    ) -> Option<(JobId, u32)> {
        let party = self.parties.get(ix);
        loop {
            let most = budget.rows().max(1) as usize;
            budget.look((party.attached.ids().len() + party.joins.count as usize) / SMALL);
            let jobs = self.next_attached(ix, from.job, most + 1);
            for &job in &jobs {
                let told = if Some(job) == from.job { from.told } else { 0 };
                let times = self.times_attached(ix, job, budget).saturating_sub(told);
                let now = times.min(budget.rows().max(1));
                if now > 0 {
                    rows.push(self.waiting_row(party.session, job, now, told)?);
                    (0..now).for_each(|_| budget.row(size_of::<WaitingRow>()));
                }
                if budget.is_spent() {
                    return Some((job, if now == times { u32::MAX } else { told + now }));
                }
            }
            if jobs.len() <= most {
                return None;
            }
            from = From { job: jobs.last().copied(), told: u32::MAX };
        }
    }

    /// How often a party waits for a job.
    fn times_attached(&self, ix: PartyIx, job: JobId, budget: &mut Budget) -> u32 {
        let Some(job) = self.jobs.find(job).filter(|&job| !self.is_hidden(job)) else {
            budget.look(1);
            return 0;
        };
        let job = self.jobs.get(job);
        budget.look(1 + job.count_clients() / SMALL);
        let clients = job.clients(&self.attachments);
        u32::try_from(clients.filter(|&client| client == ix).count()).unwrap_or(u32::MAX)
    }

    fn waiting_row(&self, session: SessionId, job: JobId, times: u32, told: u32) -> Option<WaitingRow> {
        let job = self.involved(self.jobs.find(job)?, 0);
        Some(WaitingRow { session, what: Waits::Job { job, times, told } })
    }

    /// The first so many of the jobs that a party waits for or has waited for, by number, `from` included.
    fn next_attached(&self, ix: PartyIx, from: Option<JobId>, most: usize) -> Vec<JobId> {
        let party = self.parties.get(ix);
        let joined = self.attachments.jobs(party.joins).map(|job| self.jobs.get(job).id);
        let all = party.attached.ids().iter().copied().chain(joined);
        let mut first = BTreeSet::new();
        for id in all.filter(|&id| Some(id) >= from) {
            if first.len() < most {
                first.insert(id);
            } else if first.last().is_some_and(|&last| id < last) && first.insert(id) {
                first.pop_last();
            }
        }
        first.into_iter().collect()
    }
}
