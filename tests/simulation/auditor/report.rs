//! The chapter on asking: what administrators and GET_STATUS are told. A report tells of some moment since it was
//! asked for; if nothing else happened since all was quiet, it must be exact, and then it settles what was open.
use super::job::{ABANDONED, CANCELLED, DROPPED, FINAL, Job, Moment, OUT_OF_ATTEMPTS};
use super::{Auditor, audit};
use bytes::Bytes;
use ringgear_engine::report::{
    Counters, FunctionRow, JobRow, JobStatus, NumbersPage, UniqueStatus, WorkerRow,
};
use ringgear_engine::slot::Slot;
use ringgear_engine::{Instant, JobId, Order, Query, Reply, Report, SessionId};
use std::collections::BTreeMap;
use std::fmt::Debug;

impl Auditor {
    pub(super) fn status(&self, at: Moment, handle: &Bytes, reply: &Reply) {
        let id = self.policy.handle_prefix.parse(handle);
        let (job, status) = match reply {
            Reply::Status(named, status) => {
                audit!(self, "the status of the job asked for", Some(*named) == id, "{handle:?}: {reply:?}");
                (self.jobs.get(named), *status)
            }
            Reply::StatusUnknown(echo) => {
                let unknown = id.is_none() && echo == handle;
                audit!(self, "an unknown handle is given back", unknown, "{handle:?}: {reply:?}");
                return;
            }
            other => unreachable!("{other:?} does not fit"),
        };
        let Some(job) = job else {
            audit!(
                self,
                "nothing is known of no job",
                status == JobStatus::default(),
                "{handle:?}: {status:?}"
            );
            return;
        };
        let expected = if job.gone.is_some_and(|gone| gone <= at) {
            Some(JobStatus::default())
        } else if self.ready_since(job).is_some_and(|(since, _)| since <= at) && self.grabs.is_empty() {
            Some(JobStatus { known: true, ..JobStatus::default() })
        } else if let Some(hold) = job.only_held().filter(|hold| hold.got <= at) {
            let numbers = job.numbers(hold.run, at);
            numbers.map(|(numerator, denominator)| JobStatus {
                known: true,
                running: true,
                numerator,
                denominator,
            })
        } else {
            None
        };
        if let Some(expected) = expected {
            audit!(self, "GET_STATUS tells the truth", status == expected, "{status:?}: {job:?}");
        }
        let missing = job.surely_alive() && job.known <= at && !status.known;
        audit!(self, "GET_STATUS knows what lives", !missing, "{status:?}: {job:?}");
    }

    pub(super) fn report(&mut self, at: Moment, query: &Query, report: &Report) {
        let exact = self.is_exact(at);
        match (query, report) {
            (Query::Status | Query::PriorityStatus, Report::Functions(rows)) => {
                self.functions(at, rows, exact)
            }
            (Query::Workers, Report::Workers(rows)) if exact => self.workers(rows),
            (Query::Workers, Report::Workers(_)) => {}
            (Query::Jobs | Query::UniqueJobs, Report::Jobs(rows)) => self.job_rows(at, rows, exact),
            (Query::Counters, Report::Counters(counters)) if exact => self.counters(counters),
            (Query::Counters, Report::Counters(_)) => {}
            (Query::UniqueStatus { unique }, Report::UniqueStatus(status)) => {
                self.unique_status(at, unique, status, exact);
            }
            (Query::Numbers | Query::Function { .. }, Report::Numbers(page)) => {
                self.numbers(at, query, page, exact);
            }
            (Query::FunctionWorkers { function }, Report::FunctionWorkers(rows)) if exact => {
                let knows = |peer: &&super::Peer| {
                    peer.abilities.iter().any(|ability| self.names[ability.function] == *function)
                };
                let know = self.peers.values().filter(knows).count();
                audit!(self, "who knows a function is told", rows.len() == know, "{rows:?}, but {know}");
            }
            (Query::FunctionWorkers { .. }, Report::FunctionWorkers(_)) => {}
            (Query::Pauses, Report::Pauses(_)) => {}
            (Query::Job { .. }, Report::Job(_) | Report::UnknownJob) => {}
            (Query::Workload { .. }, Report::Workload(_) | Report::UnknownJob) => {}
            (Query::Session { .. }, Report::Sessions(_)) => {}
            (Query::DeadJobs, Report::DeadJobs(rows)) => self.dead_rows(rows, exact),
            (Query::DeadJobsOf { .. }, Report::DeadJobs(_)) => {}
            (Query::JobsLike(_), Report::Involved(_)) => {}
            (Query::Outline(_), Report::Outline(page)) => {
                let named = page.rows.len() as u64 <= page.sums.functions;
                audit!(self, "whoever is told one by one is counted", named, "{page:?}");
                let rows = NumbersPage { rows: page.rows.clone(), others: page.counted.clone() };
                self.numbers(at, query, &rows, exact);
            }
            _ => panic!("[each query has its report] {query:?}: {report:?}"),
        }
    }

    pub(super) fn carried_out(&mut self, at: Moment, order: &Order, report: &Report) {
        let exact = self.is_exact(at);
        match (order, report) {
            (Order::MaxQueue { function, limits }, Report::Done) => {
                if let Some(function) = self.function(function) {
                    self.order_done(at, function, Some(*limits));
                }
            }
            (Order::CreateFunction { .. }, Report::Done) => {}
            (Order::Pause { function, pause }, Report::Done) => {
                if let Some(function) = self.function(function) {
                    self.paused(at, function, pause);
                }
            }
            (Order::Resume { function }, Report::Done | Report::Unchanged) => {
                if let Some(function) = self.function(function) {
                    self.resumed(at, function, *report == Report::Done);
                }
            }
            (Order::Dismiss { .. }, Report::Done | Report::Unchanged) => {}
            (Order::Batch(_), Report::Batch(_)) => {}
            (Order::DropFunction { function }, Report::Dropped(rows)) => {
                for function in self.in_any_case(function) {
                    self.order_done(at, function, None);
                }
                self.dropped(at, rows, exact);
            }
            (Order::RetryJob { handle }, Report::Done) => self.retried(handle, true),
            (Order::RetryJob { handle }, Report::UnknownJob) => self.retried(handle, false),
            (Order::CancelJob { handle }, Report::Done) => self.cancelled(at, handle, true),
            (Order::CancelJob { handle }, Report::UnknownJob) => self.cancelled(at, handle, false),
            _ => panic!("[each query has its report] {order:?}: {report:?}"),
        }
    }

    /// Nothing that anybody else did is under way, or came between.
    fn is_exact(&self, at: Moment) -> bool {
        self.quiet_after(self.changed).is_some_and(|(quiet, _)| quiet < at)
    }

    fn functions(&mut self, at: Moment, rows: &[FunctionRow], exact: bool) {
        let sorted = rows.is_sorted_by(|one, next| one.function < next.function);
        audit!(self, "functions are sorted, each is there once", sorted, "{rows:?}");
        let rows: BTreeMap<_, _> = rows.iter().map(|row| (self.function(&row.function), row)).collect();
        for function in 0..self.names.len() {
            let row = rows.get(&Some(function)).copied();
            let exists = self.functions[function].exists;
            if exact {
                let told = exists.is_none_or(|exists| exists == row.is_some());
                audit!(self, "every function is listed", told, "{:?}: {row:?}", self.names[function]);
                self.functions[function].exists = Some(row.is_some());
            }
            if let Some(row) = row {
                self.function_row(at, function, row, exact);
            }
        }
        audit!(self, "functions are those that were used", !rows.contains_key(&None), "{rows:?}");
    }

    fn function_row(&self, at: Moment, function: usize, row: &FunctionRow, exact: bool) {
        let jobs = || self.alive.iter().map(|id| &self.jobs[id]).filter(|job| job.function == function);
        let alive = jobs().filter(|job| job.surely_alive() && job.known <= at).count() as u32;
        let total = row.queued.iter().sum::<u32>() + row.running;
        audit!(self, "status counts every job", total >= alive, "{row:?}, but {alive} live");
        let running = jobs().filter(|job| job.only_held().is_some_and(|hold| hold.got <= at)).count() as u32;
        audit!(self, "status counts what runs", row.running >= running, "{row:?}, but {running} run");
        if !exact {
            return;
        }
        let held = jobs().filter(|job| job.held.is_some()).count() as u32;
        audit!(self, "status adds up", row.running == held, "{row:?}, but {held} run");
        let mut queued = [0; 3];
        let mut unsure = 0;
        for job in jobs().filter(|job| job.held.is_none()) {
            match job.priority {
                Some(priority) => queued[priority as usize] += 1,
                None => unsure += 1,
            }
        }
        let more: u32 = row.queued.iter().zip(queued).map(|(&told, known)| told.saturating_sub(known)).sum();
        let less = row.queued.iter().zip(queued).any(|(&told, known)| told < known);
        audit!(self, "status adds up", !less && more == unsure, "{row:?}, but {queued:?} and {unsure} wait");
        let abilities = self.peers.values().flat_map(|peer| &peer.abilities);
        let workers = abilities.filter(|ability| ability.function == function).count() as u32;
        audit!(self, "status counts registrations", row.workers == workers, "{row:?}, but {workers} know it");
    }

    fn workers(&self, rows: &[WorkerRow]) {
        audit!(self, "workers lists everybody", rows.len() == self.peers.len(), "{rows:?}");
        for (row, peer) in rows.iter().zip(sorted_by_descriptor(&self.peers)) {
            let functions = peer.abilities.iter().map(|ability| &self.names[ability.function]);
            let sound = (row.descriptor, row.address, &row.id)
                == (peer.descriptor, peer.address, &peer.client_id)
                && row.functions.iter().eq(functions);
            audit!(self, "workers tells the truth", sound, "{row:?}, but {peer:?}");
        }
    }

    /// The answer to `show jobs`. If exact, each job's fate is settled by it.
    fn job_rows(&mut self, at: Moment, rows: &[JobRow], exact: bool) {
        let listed: BTreeMap<JobId, &JobRow> = rows.iter().map(|row| (row.job, row)).collect();
        audit!(self, "show jobs lists a job once", listed.len() == rows.len(), "{rows:?}");
        for (id, row) in &listed {
            let gone = self.jobs.get(id).and_then(|job| job.gone).is_some_and(|gone| gone <= at);
            audit!(self, "what has ended is not listed", !gone, "{row:?}: {:?}", self.jobs[id]);
        }
        let alive: Vec<JobId> = self.alive.iter().copied().collect();
        for id in alive {
            let job = self.jobs.get_mut(&id).expect("alive");
            let lost = !listed.contains_key(&id) && job.surely_alive() && job.known <= at;
            audit!(self, "no accepted job is lost", !lost, "{job:?}");
            if exact && !listed.contains_key(&id) {
                // Of the ways in which it may have ended, one it must have been.
                job.end(self.moment);
                self.settle_end(id);
            }
        }
        if exact {
            listed.values().for_each(|row| self.settle_row(row));
            self.orphans.clear();
            self.unstored.clear();
        }
    }

    fn settle_end(&mut self, id: JobId) {
        let job = &self.jobs[&id];
        let silent =
            job.ends & !(ABANDONED | FINAL | CANCELLED | OUT_OF_ATTEMPTS | DROPPED) == 0 && job.ends != 0;
        audit!(self, "no accepted job is lost", silent, "{job:?}");
        self.alive.remove(&id);
    }

    /// A job of which nobody was told is seen in a list: it must be one that was submitted by somebody who is gone.
    pub(super) fn first_sight_of_orphan(&mut self, id: JobId, unique: &Bytes, row: &impl Debug) {
        let fits = |&&sub: &&usize| {
            let what = &self.subs[sub].what;
            what.unique == *unique && Slot::of(&self.names[what.function]) == id.slot()
        };
        let mut makers: Vec<usize> = self.orphans.iter().filter(fits).copied().collect();
        audit!(self, "every job was submitted", !makers.is_empty(), "{row:?}");
        // They may have joined what somebody made who was refused.
        makers.extend(self.unstored.keys().filter(fits));
        self.first_sight(id, self.subs[makers[0]].what.function, unique.clone(), makers);
    }

    fn settle_row(&mut self, row: &JobRow) {
        let id = row.job;
        if !self.jobs.contains_key(&id) {
            self.first_sight_of_orphan(id, &row.unique, row);
        }
        let stamp = self.stamp();
        let job = self.jobs.get_mut(&id).expect("just seen");
        audit!(self, "a job keeps its unique", job.unique == row.unique, "{row:?}, but {job:?}");
        let (least, most) = job.lost;
        let retries = u32::from(row.retries);
        audit!(self, "lost attempts are counted", (least..=most).contains(&retries), "{row:?}, but {job:?}");
        if job.ends & ABANDONED != 0 && !row.ignored {
            // Somebody who is gone wanted it again, and it went to the tail of its queue.
            job.wanted_again = Some(stamp);
            if let Some(entry) = job.waiting.as_mut() {
                (entry.from, entry.hi) = (stamp.0, Some(stamp));
            }
        }
        (job.lost, job.ends) = ((retries, retries), 0);
        if job.cancel_sent.is_some() && !job.cancel_done && row.ignored && job.surely_wanted() {
            // Whoever ordered it did not stay for the answer.
            (job.cancel_done, job.background) = (true, false);
        }
        if job.cancel_done {
            audit!(
                self,
                "what is cancelled is wanted no more",
                row.ignored && !row.stored,
                "{row:?}, {job:?}"
            );
            return;
        }
        let stored = row.stored == job.background || job.background_maybe && row.stored;
        audit!(self, "background jobs are stored, others are not", stored, "{row:?}, but {job:?}");
        (job.background, job.background_maybe) = (row.stored, false);
        let ignored = !job.surely_wanted();
        audit!(self, "ignored is what nobody wants", row.ignored == ignored, "{row:?}, but {job:?}");
        self.may_be_abandoned(id);
    }

    fn unique_status(&self, at: Moment, unique: &Bytes, status: &UniqueStatus, exact: bool) {
        let candidates =
            self.jobs.values().filter(|job| job.unique == *unique && unique != "-" && !unique.is_empty());
        let candidates: Vec<_> = candidates.filter(|job| job.gone.is_none_or(|gone| gone > at)).collect();
        // Of two jobs with one unique that have both come back, the index knows one.
        let sure = |job: &&&super::Job| {
            job.surely_alive() && job.known <= at && job.cancel_sent.is_none() && !job.twin
        };
        let known = candidates.iter().any(|job| sure(&job));
        audit!(
            self,
            "GET_STATUS_UNIQUE knows what lives",
            status.status.known || !known,
            "{unique:?}: {status:?}"
        );
        if !exact {
            return;
        }
        let told = !status.status.known || !candidates.is_empty();
        audit!(self, "GET_STATUS_UNIQUE knows only what lives", told, "{unique:?}: {status:?}");
        if candidates.iter().all(|job| sure(&job)) && known {
            // The latest is told of, where it can be seen which one that is.
            let latest =
                candidates.iter().filter(|job| !candidates.iter().any(|other| self.is_later(other, job)));
            let sound = latest.clone().any(|job| {
                let streams = job.streams.values().filter(|stream| stream.open);
                let clients: usize = streams.map(|stream| stream.attached.len()).sum();
                (status.clients as usize, status.status.running) == (clients, job.held.is_some())
            });
            audit!(
                self,
                "GET_STATUS_UNIQUE tells the truth",
                sound,
                "{unique:?}: {status:?}, {candidates:?}"
            );
        }
    }

    /// Whether a job was accepted in a later millisecond than another, for sure.
    fn is_later(&self, job: &Job, other: &Job) -> bool {
        let first = job.candidates.iter().map(|&sub| self.subs[sub].instant).min();
        let millisecond = |instant: Instant| instant.0 / 1_000_000;
        first.is_some_and(|first| millisecond(first) > millisecond(other.known_at))
    }

    /// What can be counted from outside.
    fn counters_of_edges(&self, counters: &Counters) {
        let (told, seen) = (counters, &self.tally);
        let exact = told.sessions_opened == seen.opened
            && told.jobs_timed_out == seen.timed_out
            && told.jobs_dropped == seen.dropped
            && told.jobs_out_of_attempts == seen.out_of_attempts;
        audit!(self, "counters count what happens", exact, "{told:?}, but {seen:?}");
        let close = about(told.wakeups, seen.noops, seen.left)
            && about(told.refused_queue_full, seen.queue_full, seen.orphans)
            && about(told.refused_queued_bytes, seen.queued_bytes, seen.orphans)
            && about(told.refused_abilities, seen.abilities, seen.orphans)
            && about(told.results_unknown, seen.unknown, seen.orphans)
            && about(told.store_refusals, seen.unstored, seen.orphans)
            && about(
                told.jobs_accepted + told.jobs_coalesced + told.store_full_refusals,
                seen.created + seen.unstored,
                seen.orphans,
            );
        audit!(self, "counters count what is told", close, "{told:?}, but {seen:?}");
        if self.policy.note_accepted {
            let noted =
                about(seen.accepted + told.store_full_refusals, seen.created + seen.unstored, seen.orphans);
            audit!(self, "accepted submissions are noted", noted, "{seen:?}");
        }
    }

    fn counters(&self, counters: &Counters) {
        let jobs = self.alive.len() as u64;
        audit!(self, "counters count the jobs", counters.jobs == jobs, "{} jobs, not {jobs}", counters.jobs);
        audit!(
            self,
            "counters count the sessions",
            counters.sessions == self.peers.len() as u64,
            "{}",
            counters.sessions
        );
        audit!(
            self,
            "no job, no bytes",
            (jobs == 0) == (counters.jobs_bytes == 0)
                && (counters.dead_jobs == 0) == (counters.dead_bytes == 0),
            "{}",
            counters.jobs_bytes
        );
        let seen = (self.jobs.len() - self.jobs_before) as u64;
        audit!(self, "every job was accepted", counters.jobs_accepted >= seen, "{counters:?}, seen {seen}");
        let ended = counters.jobs_completed
            + counters.jobs_failed
            + counters.jobs_exceptions
            + counters.jobs_out_of_attempts
            + counters.jobs_cancelled
            + counters.jobs_abandoned
            + counters.jobs_dropped
            + counters.jobs_unstored;
        self.counters_of_edges(counters);
        let came = counters.jobs_accepted + counters.jobs_restored + counters.dead_jobs_retried;
        let gone = came - counters.jobs;
        let balanced = (gone..=gone + self.odd_cancels).contains(&ended);
        audit!(
            self,
            "the books balance",
            balanced,
            "{gone} jobs have ended, {ended} are counted: {counters:?}"
        );
    }
}

/// A number that was seen from outside, and perhaps some more that were not.
fn about(counted: u64, seen: u64, more: u64) -> bool {
    (seen..=seen + more).contains(&counted)
}

fn sorted_by_descriptor(peers: &BTreeMap<SessionId, super::Peer>) -> Vec<&super::Peer> {
    let mut sorted: Vec<_> = peers.values().collect();
    sorted.sort_by_key(|peer| peer.descriptor);
    sorted
}
