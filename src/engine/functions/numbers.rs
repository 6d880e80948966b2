//! For how long jobs have waited and run, and what is told of functions, of their workers and of single jobs to those who ask.
//! What is counted of functions is a value of `stats.rs`; where it is counted is where it happens.
use super::Functions;
use super::function::Function;
use super::gate::Gate;
use super::index::{FunctionIx, JobIx, PartyIx};
use super::job::Job;
use super::lists::page;
use super::party::{Party, Sleep};
use super::standing::Standing;
use crate::outline::FunctionGlance;
use crate::page::{Budget, ListMark};
use crate::report::{
    Counters, FunctionNumbers, FunctionWorker, HeldJob, JobFacts, JobPayload, JobPhase, NumbersPage, Report,
    WorkerState,
};
use crate::time::{Epoch, Instant};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use ringgear_protocol::Priority;

/// Whoever has waited longer, in milliseconds, is looked at more closely: four bytes wrap.
pub(super) const LONG_MS: u64 = 600_000;
/// Jobs that are passed on the way to one of which the place in its queue is told.
const POSITION_MAX: u32 = 4096;

impl Functions {
    /// The engine's clock in milliseconds.
    #[inline(always)]
    pub(super) fn now_ms(&self) -> u64 {
        self.now.instant.0 / 1_000_000
    }

    fn ms_since(&self, instant: Instant) -> u64 {
        self.now.instant.0.saturating_sub(instant.0) / 1_000_000
    }

    /// How long a job has waited since it could first be given out, or since its last attempt was lost, in milliseconds.
    #[cold]
    #[inline(never)]
    pub(super) fn waited_exactly(&self, ix: JobIx) -> u64 {
        let job = self.jobs.get(ix);
        match job.extra.as_ref().and_then(|extra| extra.ready) {
            Some(ready) => self.ms_since(ready),
            None => self.age(job),
        }
    }

    /// How long ago a job was accepted, in milliseconds. If nothing is known of that, the start of the server counts.
    pub(super) fn age(&self, job: &Job) -> u64 {
        match job.carried().and_then(|carried| carried.accepted) {
            Some(accepted) if !job.is_dated() => self.now.epoch.0.saturating_sub(accepted.0),
            _ => self.calendar.age(job.id.sequence(), job.accepted_ms, self.now),
        }
    }

    /// How long the job has waited that is next of its priority and has waited longest of these.
    fn oldest_ms(&self, function: &Function) -> Option<u64> {
        let heads = function.queues.iter().chain(&function.withheld).filter_map(|queue| queue.head());
        heads.map(|ix| self.waited_exactly(ix)).max()
    }

    /// What is seen of a function at a glance.
    pub(super) fn glance(&self, function: &Function) -> FunctionGlance {
        let (scheduled, abandoned) = (function.scheduled.len(), function.abandoned.len());
        let aside: u32 = function.aside.iter().sum();
        FunctionGlance {
            queued: [0, 1, 2].map(|p| function.queues[p].len() + function.withheld[p].len()),
            scheduled,
            abandoned,
            storing: aside.saturating_sub(scheduled + abandoned),
            running: function.running,
            dead: function.dead.len() as u32,
            workers: function.workers,
            oldest_ms: self.oldest_ms(function),
            paused: function.paused,
        }
    }

    pub(super) fn numbers(&self, ix: FunctionIx) -> FunctionNumbers {
        let function = self.functions.get(ix);
        let glance = self.glance(function);
        FunctionNumbers {
            function: function.name.clone(),
            queued: glance.queued,
            scheduled: glance.scheduled,
            abandoned: glance.abandoned,
            storing: glance.storing,
            running: glance.running,
            dead: glance.dead,
            limits: function.limits,
            workers: glance.workers,
            unattended_ms: function.unattended_since.map(|since| self.ms_since(since)),
            oldest_ms: glance.oldest_ms,
            paused: self.functions.pauses.get(&function.name).cloned(),
            shut: match self.gate(ix) {
                Gate::Open(_) => None,
                Gate::Shut(reason) => Some(reason),
            },
            stats: self.functions.stats_of(function).cloned().map(Box::new),
        }
    }

    /// What is known of every function. What is counted of those without room of their own comes with the first page.
    pub(super) fn list_numbers(
        &self,
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let mark = |ix: FunctionIx| ListMark::Function(self.functions.get(ix).name.clone());
        let (rows, stop) = page(self.functions.in_order(after), budget, mark, |ix| Some(self.numbers(ix)));
        let others = if after.is_none() { self.functions.others().clone() } else { Default::default() };
        (Report::Numbers(Box::new(NumbersPage { rows, others })), stop)
    }

    /// What is known of one function.
    pub(super) fn function_numbers(&self, name: &[u8]) -> Report {
        let rows = self.functions.find(name).map(|ix| self.numbers(ix)).into_iter().collect();
        Report::Numbers(Box::new(NumbersPage { rows, others: Default::default() }))
    }

    /// The workers that know a function, by session.
    pub(super) fn list_function_workers(
        &self,
        name: &[u8],
        after: Option<&ListMark>,
        budget: &mut Budget,
    ) -> (Report, Option<ListMark>) {
        let Some(function) = self.functions.find(name) else {
            return (Report::FunctionWorkers(Vec::new()), None);
        };
        let after = match after {
            Some(&ListMark::Session(session)) => Some(session),
            _ => None,
        };
        let parties = self.parties.in_order(after).filter(|&(session, _)| Some(session) != after);
        let mark = |(session, _)| ListMark::Session(session);
        let (rows, stop) = page(parties, budget, mark, |(_, ix)| self.function_worker(function, ix));
        (Report::FunctionWorkers(rows), stop)
    }

    fn function_worker(&self, function: FunctionIx, ix: PartyIx) -> Option<FunctionWorker> {
        let registration = self.parties.registration(ix, function)?;
        let party = self.parties.get(ix);
        let oldest = registration.holds.and_then(|list| self.holds.oldest(list));
        let holds = registration.holds.map_or(0, |list| self.holds.count(list));
        Some(FunctionWorker {
            session: party.session,
            address: address(party),
            id: party.name.as_ref().map(|name| name.id.clone()).unwrap_or_default(),
            holds,
            oldest: oldest
                .map(|(job, since)| HeldJob { job: self.jobs.get(job).id, ran_ms: self.ran_ms(since) }),
            state: match party.sleep {
                _ if holds > 0 => WorkerState::Busy,
                Sleep::Asleep if party.is_asleep() => WorkerState::Asleep,
                Sleep::Woken(_) => WorkerState::Woken,
                Sleep::Asleep | Sleep::Awake => WorkerState::Awake,
            },
        })
    }

    fn ran_ms(&self, since_ms: u32) -> u64 {
        (self.now_ms() as u32).wrapping_sub(since_ms).into()
    }

    /// All that is known of one job.
    #[cold]
    pub(super) fn job_facts(&self, handle: &[u8]) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let Some(ix) = found.filter(|&ix| !self.is_hidden(ix)) else { return Report::UnknownJob };
        let job = self.jobs.get(ix);
        let accepted = match (job.is_dated(), job.carried()) {
            (true, _) => self.calendar.time(job.id.sequence(), job.accepted_ms),
            (false, carried) => carried.and_then(|carried| carried.accepted),
        };
        let (numerator, denominator) =
            job.extra.as_ref().map_or((0, 0), |extra| (extra.numerator, extra.denominator));
        Report::Job(Box::new(JobFacts {
            job: job.id,
            function: self.functions.get(job.function).name.clone(),
            unique: self.unique_of(ix),
            priority: job.priority(),
            background: job.background(),
            attempts: job.retries,
            clients: u32::try_from(job.count_clients()).unwrap_or(u32::MAX),
            bytes: job.workload(self.function_len(job.function)).len() as u64,
            accepted,
            age_ms: self.age(job),
            numerator,
            denominator,
            cancelled: job.cancelled(),
            disowned: job.disowned(),
            phase: self.phase(ix),
        }))
    }

    /// A part of its workload: a share of what is large, a copy of what is small.
    #[cold]
    pub(super) fn job_payload(&self, handle: &[u8], from: u64, most: u32) -> Report {
        let found = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.find(id));
        let Some(ix) = found.filter(|&ix| !self.is_hidden(ix)) else { return Report::UnknownJob };
        let job = self.jobs.get(ix);
        let workload = job.workload(self.function_len(job.function));
        let behind =
            &workload[usize::try_from(from).map_or(workload.len(), |from| from.min(workload.len()))..];
        let part = &behind[..behind.len().min(most as usize)];
        Report::Workload(Box::new(JobPayload {
            function: self.functions.get(job.function).name.clone(),
            whole: workload.len() as u64,
            part: job.body.share_of(part).unwrap_or_else(|| Bytes::copy_from_slice(part)),
        }))
    }

    fn phase(&self, ix: JobIx) -> JobPhase {
        let job = self.jobs.get(ix);
        match job.standing() {
            Standing::Queued(_) => {
                let (before, more_urgent) = self.position(ix);
                JobPhase::Queued { waited_ms: self.waited_exactly(ix), before, more_urgent }
            }
            Standing::Withheld(_) => JobPhase::Withheld { waited_ms: self.waited_exactly(ix) },
            Standing::Scheduled(_) => JobPhase::Scheduled { due: job.epoch().unwrap_or(Epoch(0)) },
            Standing::Abandoned(_) => JobPhase::Abandoned,
            Standing::Storing(_) => JobPhase::Storing { late: job.late(), asked_ms: self.age(job) },
            Standing::Dead(_) => match job.death() {
                Some(death) => JobPhase::Dead {
                    reason: death.reason,
                    at: death.at,
                    address: death.address,
                    worker: death.worker.clone(),
                },
                None => JobPhase::Abandoned,
            },
            Standing::Running { list, at } => {
                let party = self.parties.get(self.holds.party(list.get()));
                let deadline = job.extra.as_ref().and_then(|extra| extra.deadline);
                JobPhase::Running {
                    session: party.session,
                    address: address(party),
                    worker: party.name.as_ref().map(|name| name.id.clone()).unwrap_or_default(),
                    ran_ms: self.ran_ms(self.holds.since_ms(at.get())),
                    left_ms: deadline.map(|at| at.0.saturating_sub(self.now.instant.0) / 1_000_000),
                    lost: party.gone,
                }
            }
            Standing::New | Standing::Over => JobPhase::Abandoned,
        }
    }

    /// How many jobs of its priority stand before a queued job, `None` for very many; and how many of more urgent ones there are.
    fn position(&self, ix: JobIx) -> (Option<u32>, u32) {
        let job = self.jobs.get(ix);
        let function = self.functions.get(job.function);
        let queue = &function.queues[job.priority() as usize];
        let (mut at, mut before) = (queue.head(), 0);
        while let Some(other) = at.filter(|&other| other != ix && before < POSITION_MAX) {
            before += 1;
            at = self.jobs.get(other).next();
        }
        let urgent = Priority::ALL.into_iter().take_while(|&priority| priority != job.priority());
        let more = urgent.map(|priority| function.queues[priority as usize].len()).sum();
        ((at == Some(ix)).then_some(before), more)
    }

    /// Asserts that what is counted of functions is what is counted of the shard.
    pub(super) fn check_stats(&self, counters: &Counters) {
        let mut sums = self.functions.others().clone();
        self.functions
            .iter()
            .filter_map(|(_, function)| self.functions.stats_of(function))
            .for_each(|stats| sums.merge(stats));
        assert_eq!(sums.accepted, counters.jobs_accepted);
        assert_eq!(sums.coalesced, counters.jobs_coalesced);
        assert_eq!(sums.completed, counters.jobs_completed);
        assert_eq!(sums.failed, counters.jobs_failed);
        assert_eq!(sums.exceptions, counters.jobs_exceptions);
        assert_eq!(sums.requeued, counters.jobs_requeued);
        assert_eq!(sums.timed_out, counters.jobs_timed_out);
        assert_eq!(sums.out_of_attempts, counters.jobs_out_of_attempts);
        assert_eq!(sums.cancelled, counters.jobs_cancelled);
        assert_eq!(sums.abandoned, counters.jobs_abandoned);
        let ended = sums.completed + sums.failed + sums.exceptions;
        // A word that comes after the time limit ends a job that nobody runs.
        assert!((ended - counters.results_late_taken.min(ended)..=ended).contains(&sums.run.count()));
        for (_, function) in self.functions.iter() {
            assert_eq!(
                self.oldest_ms(function).is_some(),
                function.queues.iter().chain(&function.withheld).any(|q| q.len() > 0)
            );
        }
    }
}

fn address(party: &Party) -> Option<SocketAddr> {
    party.name.as_ref().map(|name| SocketAddr::new(name.address, name.port))
}
