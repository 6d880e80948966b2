//! Asserts that all parts of a shard's functions fit together. Walks everything: for tests.
use super::Functions;
use super::gate::Gate;
use super::index::{FunctionIx, JobIx, PartyIx};
use super::job::Job;
use super::party::Sleep;
use super::queue::Queue;
use super::registration::Registration;
use super::registrations;
use super::standing::Standing;
use crate::report::{Counters, ShutReason};
use alloc::collections::{BTreeMap, BTreeSet};
use ringgear_protocol::Priority;

impl Functions {
    /// Panics, naming what is wrong, unless everything fits.
    pub(crate) fn check(&self, counters: &Counters) {
        self.check_jobs();
        self.check_functions();
        self.check_parties();
        self.check_puts();
        self.check_dead();
        self.check_abandoned();
        self.check_lease();
        self.check_pauses();
        self.check_stats(counters);
    }

    fn check_jobs(&self) {
        let (mut count, mut bytes, mut filed, mut armed, mut scheduled) = (0, 0, 0, 0, 0);
        let mut dead_bytes = 0;
        for (ix, job) in self.jobs.iter() {
            let held = if job.is_dead() { &mut dead_bytes } else { &mut bytes };
            *held += job.bytes();
            assert!(job.is_charged(), "every byte of a job is counted");
            if job.is_over() {
                assert!(self.jobs.find(job.id) != Some(ix), "a shell is not found");
                continue;
            }
            count += 1;
            assert_eq!(self.jobs.find(job.id), Some(ix), "a job is found by its number");
            assert_eq!(job.id.slot(), self.functions.get(job.function).slot);
            assert_eq!(self.topology.owner(job.id.slot()), self.shard, "a job is with its owner");
            let deadline = job.extra.as_ref().and_then(|extra| extra.deadline);
            assert!(deadline.is_none() || job.is_running());
            armed += usize::from(deadline.is_some());
            scheduled += usize::from(job.is_scheduled());
            filed += u64::from(job.filed());
            let clients = job.clients(&self.attachments).count();
            assert_eq!(clients, job.count_clients());
            let wanted = job.background() || clients > 0;
            assert_eq!(job.ignored(), !wanted, "exactly a job that nobody wants is ignored: {:?}", job.id);
            assert!(!job.is_queued() || wanted, "what stands in a queue is wanted");
            assert!(!job.is_abandoned() || !wanted, "what is wanted is not abandoned");
            assert!(!job.cancelled() || job.is_running() && !job.filed());
            assert_eq!(job.death().is_some(), job.is_dead(), "exactly the dead have a death");
            assert!(!job.is_dead() || job.background() && !job.filed() && clients == 0);
            let storing = job.is_storing();
            assert!(!storing || job.may_be_stored() && self.policy.store);
            assert!(!job.late() || !storing || clients == 0, "whoever waits for a result waits for no store");
            if job.filed() {
                let filed = self.filed();
                let key = filed.key(ix).expect("a filed job has a key");
                assert_eq!(self.uniques.find(filed, job.function, key), Some(ix), "a filed job is found");
                let latest = self.uniques.latest(filed, key, |_| true).expect("there is one, at least");
                assert!(self.jobs.get(latest).id.sequence() >= job.id.sequence(), "the latest is known");
            }
        }
        assert_eq!(self.jobs.count(), count);
        assert_eq!((self.usages.here.bytes, self.usages.here.dead_bytes), (bytes, dead_bytes));
        assert_eq!(self.uniques.count(), filed);
        assert_eq!(self.timers.counts(), (armed, scheduled));
    }

    fn check_functions(&self) {
        let mut running = BTreeMap::new();
        let mut queued = BTreeMap::new();
        for (_, job) in self.jobs.iter() {
            match job.standing() {
                Standing::Running { .. } => *running.entry(job.function).or_insert(0) += 1,
                Standing::Dead(_) | Standing::Over => {}
                _ => *queued.entry(job.function).or_insert(0) += 1,
            }
        }
        let mut registrations = BTreeMap::new();
        for (&(_, function), registration) in &self.parties.registrations {
            *registrations.entry(function).or_insert(0) += registration.count;
        }
        self.functions.check_looks(self.shard);
        let ready = self.functions.iter().filter(|&(ix, _)| self.functions.ready(ix) != 0).count();
        assert_eq!(self.functions.ready_list().len(), ready);
        assert!(self.functions.ready_list().iter().all(|&ix| self.functions.ready(ix) != 0));
        for (ix, function) in self.functions.iter() {
            assert_eq!(function.running, running.remove(&ix).unwrap_or(0));
            assert_eq!(function.queued().iter().sum::<u32>(), queued.remove(&ix).unwrap_or(0));
            assert_eq!(function.workers, registrations.remove(&ix).unwrap_or(0));
            for priority in Priority::ALL {
                let queue = &function.queues[priority as usize];
                let bit = self.functions.ready(ix) >> priority as u8 & 1 == 1;
                let withheld = &function.withheld[priority as usize];
                assert_eq!(bit, queue.len() + withheld.len() > 0 && !function.paused);
                let stands_there = |job: &Job| job.is_queued() && !job.is_withheld();
                self.check_queue(queue, stands_there, Some(priority));
                self.check_queue(withheld, |job| job.is_withheld() && job.background(), Some(priority));
            }
            self.check_gate(ix);
            self.check_queue(&function.abandoned, Job::is_abandoned, None);
            self.check_queue(&function.scheduled, Job::is_scheduled, None);
        }
        assert!(running.is_empty() && queued.is_empty() && registrations.is_empty());
    }

    /// What the gate says of a function is so.
    fn check_gate(&self, ix: FunctionIx) {
        let function = self.functions.get(ix);
        let some = self.functions.ready(ix) != 0;
        match self.gate(ix) {
            Gate::Open(_) => assert!(some, "where the gate is open there is a job"),
            Gate::Shut(ShutReason::Withheld) => assert!(some && self.tenure.lapsed, "stored jobs wait"),
            Gate::Shut(ShutReason::Paused) => assert!(!some && function.paused && function.total() > 0),
            Gate::Shut(ShutReason::Empty) => assert!(function.total() == 0 && function.dead.is_empty()),
            Gate::Shut(reason) => {
                let there = !some && (function.total() > 0 || reason == ShutReason::Dead);
                assert!(there, "no job can be taken, but there are some: {reason:?}");
            }
        }
    }

    fn check_queue(&self, queue: &Queue, stands_there: fn(&Job) -> bool, priority: Option<Priority>) {
        let (mut at, mut count) = (queue.head(), 0);
        while let Some(ix) = at {
            let job = self.jobs.get(ix);
            assert!(stands_there(job), "a job knows in which queue it stands");
            assert!(priority.is_none_or(|priority| job.priority() == priority));
            count += 1;
            at = job.next();
        }
        assert_eq!(count, queue.len());
    }

    fn check_parties(&self) {
        let (mut first, mut joined, mut registered) = (0, 0, 0);
        for (ix, party) in self.parties.iter() {
            assert_eq!(self.parties.find(party.session), Some(ix).filter(|_| !party.gone));
            assert!(!party.gone || party.chores > 0, "nobody stays who is gone");
            first += party.attached.live();
            joined += self.attachments.jobs(party.joins).count();
            let order = party.order().iter().filter(|&&(_, function)| function != FunctionIx::NONE);
            assert_eq!(order.clone().count(), party.registered() as usize);
            assert!(party.order().len() <= 2 * party.registered() as usize + 17, "not many holes stay");
            let turn = |function| self.parties.turn(ix, function);
            assert!(order.clone().all(|&(turn_of, function)| turn(function) == Some(turn_of)));
            let turns = party.order().iter().map(|&(turn, _)| turn);
            assert!(turns.is_sorted_by(|a, b| a < b), "registrations are in order of their turns");
            registered += party.registered() as usize;
            assert!(party.unlisted.len() <= party.registered() as usize);
            let all = party.unlisted.is_empty() || party.is_listing;
            assert!(party.sleep != Sleep::Asleep || all, "a sleeper can be found");
        }
        let now = |(&(ix, _), r): (&(PartyIx, _), &Registration)| r.era == self.parties.get(ix).era;
        assert_eq!(self.parties.registrations.iter().filter(|&entry| now(entry)).count(), registered);
        let attached = |(_, job): (JobIx, &Job)| usize::from(job.first_client().is_some());
        assert_eq!(self.jobs.iter().map(attached).sum::<usize>(), first);
        let clients: usize = self.jobs.iter().map(|(_, job)| job.count_clients()).sum();
        assert_eq!((clients, joined), (first + joined, self.attachments.count() - self.check_telling()));
        self.check_sleepers(registrations::check(&self.parties, &self.functions));
        self.check_holds();
    }

    /// Running jobs are those that somebody holds, or lost and will give back.
    fn check_holds(&self) {
        let mut lists = BTreeSet::new();
        let mut held = 0;
        for (ix, job) in self.jobs.iter() {
            let Some((list, _)) = job.hold() else { continue };
            held += 1;
            let listed = self.holds.iter(list).filter(|&other| other == ix).count();
            assert_eq!(listed, 1, "a running job is in one list");
            assert!(lists.insert(list.0) || self.holds.count(list) > 1);
            let party = self.holds.party(list);
            let registration = self.parties.registrations.get(&(party, job.function));
            let is_its = registration.is_some_and(|registration| registration.holds == Some(list));
            let is_last = self.parties.get(party).struck.contains(&list);
            assert!(is_its || is_last || self.parties.get(party).chores > 0, "what was lost will go back");
        }
        for registration in self.parties.registrations.values() {
            lists.extend(registration.holds.map(|list| list.0));
        }
        for (_, party) in self.parties.iter() {
            assert!(
                party.struck.iter().all(|&list| !self.holds.is_empty(list)),
                "what is finished is forgotten"
            );
            lists.extend(party.struck.iter().map(|list| list.0));
        }
        let (count, jobs) = self.holds.counts();
        assert_eq!((jobs, count >= lists.len()), (held, true));
    }
}
