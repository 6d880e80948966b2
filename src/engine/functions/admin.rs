//! Answering administrators: what they ask of functions and jobs, which changes nothing, and what they order. Lists are in `lists.rs`.
use super::Functions;
use super::index::JobIx;
use super::lists::page;
use super::unique::Key;
use crate::access::{Right, Rights};
use crate::message::{Place, ToSessions, Work};
use crate::outbox::Outbox;
use crate::page::{Budget, Half, ListMark, PagePart, PageRequest};
use crate::query::{Ask, Order, Query};
use crate::report::{Counters, DropRow, Report};
use crate::slot::SessionId;
use crate::status::UniqueStatus;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Functions {
    pub(super) fn ask(&mut self, from: SessionId, place: Place, request: &PageRequest, out: &mut Outbox) {
        let mut budget = Budget::new(request.most);
        let (report, stop) = match &request.ask {
            Ask::Query(query) => self.query(query, request.after.as_ref(), &mut budget, out),
            Ask::Order(Order::DropFunction { function }) if !request.exact => {
                self.drop_in_any_case(function, request.after.as_ref(), &mut budget, out)
            }
            Ask::Order(Order::CancelJob { handle }) if !self.may_cancel(handle, &request.by) => {
                (Report::Denied, None)
            }
            Ask::Order(order) => (self.order(order, out), None),
        };
        let part = Box::new(PagePart { from: self.shard, half: Half::Functions, report, stop });
        self.tell(from, ToSessions::Answer { to: from, place, part }, out);
    }

    /// This shard's part of a report, or a page of it. Changes nothing.
    fn query(
        &self,
        query: &Query,
        after: Option<&ListMark>,
        budget: &mut Budget,
        out: &Outbox,
    ) -> (Report, Option<ListMark>) {
        match query {
            Query::Status | Query::PriorityStatus => self.list_functions(after, budget),
            Query::Jobs | Query::UniqueJobs => self.list_jobs(after, budget),
            Query::DeadJobs => self.list_dead(None, after, budget),
            Query::DeadJobsOf { function } => self.list_dead(Some(function), after, budget),
            Query::Outline(ask) => (self.outline(ask, budget), None),
            Query::Numbers => self.list_numbers(after, budget),
            Query::Function { function } => (self.function_numbers(function), None),
            Query::FunctionWorkers { function } => self.list_function_workers(function, after, budget),
            Query::Pauses => (Report::Pauses(self.functions.pauses.all()), None),
            Query::Job { handle } => (self.job_facts(handle), None),
            Query::Workload { handle, from, most } => (self.job_payload(handle, *from, *most), None),
            Query::JobsWithWorkers => self.list_involved(after, budget),
            Query::JobsLike(wanted) => self.list_like(wanted, after, budget),
            Query::ClientsWithJobs => self.list_waiting(after, budget),
            Query::Counters => (Report::Counters(Box::new(self.count_memory(out.counters.clone()))), None),
            Query::UniqueStatus { unique } => (Report::UniqueStatus(self.unique_status(unique)), None),
            // It is about sessions: this half has no part in it.
            Query::Workers | Query::Session { .. } => (query.empty_report(), None),
        }
    }

    /// Carries out an order; a function to drop has exactly this name.
    fn order(&mut self, order: &Order, out: &mut Outbox) -> Report {
        match order {
            Order::MaxQueue { function, limits } => self.max_queue(function, *limits),
            Order::CreateFunction { function } => self.create_function(function, out),
            Order::DropFunction { function } => self.drop_function(function, out),
            Order::Pause { function, pause } => self.pause_function(function, pause),
            Order::Resume { function } => self.resume_function(function),
            Order::Batch(batch) => self.batch(batch, out),
            // It is about a session: this half has no part in it.
            Order::Dismiss { .. } => order.empty_report(),
            Order::CancelJob { handle } => self.cancel_job(handle, out),
            Order::RetryJob { handle } => self.retry_job(handle, out),
        }
    }

    /// The memory that is accounted for, by what it is for.
    fn count_memory(&self, mut counters: Counters) -> Counters {
        counters.functions_bytes = self.functions.bytes();
        counters.memory_accounted = counters.jobs_bytes
            + counters.functions_bytes
            + counters.registrations_bytes
            + counters.replies_bytes
            + counters.outbox_bytes
            + counters.connections_bytes;
        counters
    }

    /// The job with this unique that was accepted last, in any function. An empty unique is never found, and `-`
    /// not either: such jobs are filed under their workload.
    fn unique_status(&self, unique: &[u8]) -> UniqueStatus {
        if unique == b"-" || unique.is_empty() {
            return UniqueStatus::default();
        }
        // Here the sequence tells which came last; between shards only the clock does.
        let latest = self.uniques.latest(self.filed(), Key::Unique(unique), |ix| !self.is_hidden(ix));
        latest.map_or_else(UniqueStatus::default, |ix| UniqueStatus {
            status: self.status_at(ix),
            clients: self.jobs.get(ix).count_clients() as u32,
            accepted_ms: self.jobs.get(ix).accepted_ms,
        })
    }

    /// Limits are kept with the function: without one, nothing is remembered (gearmand 1.1.20).
    fn max_queue(&mut self, name: &[u8], limits: [u32; 3]) -> Report {
        if let Some(function) = self.functions.find(name) {
            self.functions.get_mut(function).limits = limits;
        }
        Report::Done
    }

    fn create_function(&mut self, name: &[u8], out: &mut Outbox) -> Report {
        match self.functions.find_or_create(name) {
            Ok(_) => Report::Done,
            Err(refusal) => {
                out.counters.refused_functions += 1;
                Report::NotCreated(refusal)
            }
        }
    }

    /// Drops every function whose name is equal but for case.
    fn drop_in_any_case(
        &mut self,
        name: &[u8],
        after: Option<&ListMark>,
        budget: &mut Budget,
        out: &mut Outbox,
    ) -> (Report, Option<ListMark>) {
        let names = self.functions.in_order(after).map(|ix| &self.functions.get(ix).name);
        let (found, stop) = page(
            names,
            budget,
            |function| ListMark::Function(function.clone()),
            |function| {
                let alike = function.eq_ignore_ascii_case(name);
                alike.then(|| DropRow { function: function.clone(), dropped: false })
            },
        );
        let mut report = Report::Dropped(Vec::new());
        found.iter().for_each(|row| report.merge(self.drop_function(&row.function, out)));
        (report, stop)
    }

    /// Whether a job may be cancelled: by whoever may submit jobs of its function. Of one that is not there, anybody may be told.
    fn may_cancel(&self, handle: &[u8], by: &Rights) -> bool {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let function = found.map(|ix| &self.functions.get(self.jobs.get(ix).function).name);
        function.is_none_or(|function| by.covers(Right::Submit, function))
    }

    fn cancel_job(&mut self, handle: &[u8], out: &mut Outbox) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let Some(ix) = found.filter(|&ix| !self.is_hidden(ix)) else { return Report::UnknownJob };
        self.cancel(ix, out);
        Report::Done
    }

    /// A job ends, wherever it stands. Whoever waits for it is told that it has failed.
    pub(super) fn cancel(&mut self, ix: JobIx, out: &mut Outbox) {
        out.counters.jobs_cancelled += 1;
        self.functions.stats(self.jobs.get(ix).function).cancelled += 1;
        self.tell_clients(ix, Work::Fail, None, out);
        if self.jobs.get(ix).is_running() {
            // A later submission with the same unique makes a new job.
            self.unfile(ix);
            let ix = self.part_from_clients(ix, out);
            // It is not to come back, though it runs on.
            self.unstore(ix, out);
            self.jobs.get_mut(ix).cancel();
        } else {
            self.end(ix, out);
        }
    }

    /// The clients of a job have heard the last of it.
    pub(super) fn forget_clients(&mut self, ix: JobIx) {
        let Functions { jobs, parties, attachments, .. } = self;
        let job = jobs.get_mut(ix);
        if let Some(first) = job.first_client() {
            parties.get_mut(first).attached.leave();
            job.detach_first();
        }
        job.detach_joined(|joined| {
            while let Some((at, client)) = attachments.first(*joined) {
                attachments.remove(at, joined, &mut parties.get_mut(client).joins);
            }
        });
    }
}
