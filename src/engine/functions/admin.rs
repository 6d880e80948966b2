//! Answering administrators: reports on functions and jobs, and the orders that concern them.
use super::Functions;
use super::job::{JobIx, JobState};
use super::party::PartyIx;
use super::unique::Key;
use crate::message::{Place, ToSessions, Work};
use crate::outbox::Outbox;
use crate::report::{
    Counters, DropRow, FunctionRow, Involved, InvolvedJob, JobRow, Query, Report, UniqueStatus,
};
use crate::slot::SessionId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

impl Functions {
    pub(super) fn ask(
        &mut self,
        from: SessionId,
        place: Place,
        query: &Query,
        exact: bool,
        out: &mut Outbox,
    ) {
        let report = match query {
            Query::Status | Query::PriorityStatus => self.report_functions(),
            Query::JobsWithWorkers | Query::ClientsWithJobs => self.report_involved(),
            Query::Jobs | Query::UniqueJobs => self.report_jobs(),
            Query::DeadJobs => self.report_dead(),
            Query::Counters => Report::Counters(Box::new(self.count_memory(out.counters.clone()))),
            Query::UniqueStatus { unique } => Report::UniqueStatus(self.unique_status(unique)),
            Query::MaxQueue { function, limits } => self.max_queue(function, *limits),
            Query::CreateFunction { function } => self.create_function(function, out),
            Query::DropFunction { function } => self.drop_function(function, exact),
            Query::CancelJob { handle } => self.cancel_job(handle, out),
            Query::RetryJob { handle } => self.retry_job(handle, out),
            Query::Workers => unreachable!("sessions report on workers"),
        };
        self.tell(from, ToSessions::Answer { to: from, place, report: Box::new(report) }, out);
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

    fn report_functions(&self) -> Report {
        let rows = self.functions.iter().map(|(_, function)| FunctionRow {
            function: function.name.clone(),
            queued: function.queued(),
            running: function.running,
            workers: function.workers,
        });
        Report::Functions(rows.collect())
    }

    fn report_jobs(&self) -> Report {
        let living = self.jobs.iter().filter(|(_, job)| job.state() != JobState::Dead);
        let rows = living.map(|(ix, job)| JobRow {
            job: job.id,
            unique: self.unique_of(ix),
            retries: job.retries,
            ignored: job.ignored(),
            stored: job.background(),
        });
        Report::Jobs(rows.collect())
    }

    /// Jobs with those who have to do with them. Who these are, only their shards know.
    fn report_involved(&self) -> Report {
        let living = self.jobs.iter().filter(|(_, job)| job.state() != JobState::Dead);
        let session = |party: PartyIx| self.parties.get(party).session;
        let jobs = living.map(|(ix, job)| InvolvedJob {
            job: job.id,
            function: self.functions.get(job.function).name.clone(),
            unique: self.unique_of(ix),
            worker: job.holder().map(session),
            clients: job.clients().map(session).collect(),
        });
        Report::Involved(Involved { jobs: jobs.collect(), sessions: Vec::new() })
    }

    /// The job with this unique that was accepted last, in any function. An empty unique is never found, and `-`
    /// not either: such jobs are filed under their workload.
    fn unique_status(&self, unique: &[u8]) -> UniqueStatus {
        if unique == b"-" || unique.is_empty() {
            return UniqueStatus::default();
        }
        // Here the sequence tells which came last; between shards only the clock does.
        let latest = self.uniques.latest(self.filed(), Key::Unique(unique));
        latest.map_or_else(UniqueStatus::default, |ix| UniqueStatus {
            status: self.status_at(ix),
            clients: self.jobs.get(ix).clients().count() as u32,
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

    /// With `exact`, the function of this name; else every function whose name is equal but for case.
    fn drop_function(&mut self, name: &[u8], exact: bool) -> Report {
        let found: Vec<_> = if exact {
            self.functions.find(name).into_iter().collect()
        } else {
            let matches = self.functions.iter().filter(|(_, f)| f.name.eq_ignore_ascii_case(name));
            matches.map(|(ix, _)| ix).collect()
        };
        let rows = found.into_iter().map(|ix| {
            let function: Bytes = self.functions.get(ix).name.clone();
            let dropped = !self.functions.get(ix).in_use();
            if dropped {
                self.functions.drop(ix);
            }
            DropRow { function, dropped }
        });
        Report::Dropped(rows.collect())
    }

    fn cancel_job(&mut self, handle: &[u8], out: &mut Outbox) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let Some(ix) = found else { return Report::UnknownJob };
        out.counters.jobs_cancelled += 1;
        self.tell_clients(ix, Work::Fail, out);
        if self.jobs.get(ix).state() == JobState::Running {
            self.forget_clients(ix);
            self.charge(ix, out);
            // It is not to come back, though it runs on.
            self.unstore(ix, out);
            // A later submission with the same unique makes a new job.
            self.unfile(ix);
            self.jobs.get_mut(ix).cancel();
        } else {
            self.end(ix, out);
        }
        Report::Done
    }

    /// The clients of a job have heard the last of it.
    pub(super) fn forget_clients(&mut self, ix: JobIx) {
        let clients: Vec<PartyIx> = self.jobs.get(ix).clients().collect();
        self.jobs.get_mut(ix).detach_all();
        for client in clients {
            self.parties.get_mut(client).attached.leave();
        }
    }
}
