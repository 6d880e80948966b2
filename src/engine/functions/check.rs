//! Asserts that all parts of a shard's functions fit together. Walks everything: for tests.
use super::Functions;
use super::job::{JobIx, JobState};
use super::party::Sleep;
use alloc::collections::BTreeMap;
use ringgear_protocol::Priority;

impl Functions {
    /// Panics, naming what is wrong, unless everything fits.
    pub(crate) fn check(&self) {
        self.check_jobs();
        self.check_functions();
        self.check_parties();
        self.check_puts();
        self.check_dead();
    }

    fn check_jobs(&self) {
        let (mut count, mut bytes, mut filed, mut armed, mut scheduled) = (0, 0, 0, 0, 0);
        let mut dead_bytes = 0;
        for (ix, job) in self.jobs.iter() {
            count += 1;
            let held = if job.state() == JobState::Dead { &mut dead_bytes } else { &mut bytes };
            *held += job.bytes();
            assert!(job.is_charged(), "every byte of a job is counted");
            assert_eq!(self.jobs.find(job.id), Some(ix), "a job is found by its number");
            assert_eq!(job.id.slot(), self.functions.get(job.function).slot);
            assert_eq!(self.topology.owner(job.id.slot()), self.shard, "a job is with its owner");
            assert_eq!(job.holder().is_some(), job.state() == JobState::Running);
            let deadline = job.extra.as_ref().and_then(|extra| extra.deadline);
            assert!(deadline.is_none() || job.state() == JobState::Running);
            armed += usize::from(deadline.is_some());
            scheduled += usize::from(job.state() == JobState::Scheduled);
            filed += u64::from(job.filed());
            let wanted = job.background() || job.clients().next().is_some();
            assert_eq!(job.ignored(), !wanted, "exactly a job that nobody wants is ignored: {:?}", job.id);
            assert!(!job.cancelled() || job.state() == JobState::Running && !job.filed());
            assert_eq!(job.death().is_some(), job.state() == JobState::Dead, "exactly the dead have a death");
            let dead = job.state() == JobState::Dead;
            assert!(!dead || job.background() && !job.filed() && job.clients().next().is_none());
            let storing = job.state() == JobState::Storing;
            assert!(!storing || job.may_be_stored() && self.policy.store);
            assert!(
                !job.late() || !storing || job.clients().next().is_none(),
                "whoever waits for a result waits for no store"
            );
            if job.filed() {
                let filed = self.filed();
                let key = filed.key(ix).expect("a filed job has a key");
                assert_eq!(self.uniques.find(filed, job.function, key), Some(ix), "a filed job is found");
                let latest = self.uniques.latest(filed, key).expect("there is one, at least");
                assert!(self.jobs.get(latest).id.sequence() >= job.id.sequence(), "the latest is known");
            }
        }
        assert_eq!(self.jobs.count(), count);
        assert_eq!((self.held.bytes, self.held.dead_bytes), (bytes, dead_bytes));
        assert_eq!(self.uniques.count(), filed);
        assert_eq!(self.timers.counts(), (armed, scheduled));
    }

    fn check_functions(&self) {
        let mut running = BTreeMap::new();
        let mut queued = BTreeMap::new();
        for (_, job) in self.jobs.iter() {
            match job.state() {
                JobState::Running => *running.entry(job.function).or_insert(0) += 1,
                JobState::Dead => {}
                _ => *queued.entry(job.function).or_insert(0) += 1,
            }
        }
        let mut registrations = BTreeMap::new();
        for (_, party) in self.parties.iter() {
            for registration in &party.registrations {
                *registrations.entry(registration.function).or_insert(0) += registration.count;
            }
        }
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
                assert_eq!(bit, queue.len() > 0);
                self.check_queue(queue.head(), queue.len(), priority);
            }
        }
        assert!(running.is_empty() && queued.is_empty() && registrations.is_empty());
    }

    fn check_queue(&self, mut at: Option<JobIx>, len: u32, priority: Priority) {
        let mut count = 0;
        while let Some(ix) = at {
            let job = self.jobs.get(ix);
            assert_eq!(job.state(), JobState::Queued);
            assert_eq!(job.priority(), priority);
            count += 1;
            at = job.next.get().map(JobIx);
        }
        assert_eq!(count, len);
    }

    fn check_parties(&self) {
        let (mut attachments, mut holds, mut registrations) = (0, 0, 0);
        for (ix, party) in self.parties.iter() {
            assert_eq!(self.parties.find(party.session), Some(ix));
            attachments += party.attached.live();
            holds += party.held.live();
            registrations += party.registrations.len();
            let turns = party.registrations.iter().map(|r| r.turn);
            assert!(turns.is_sorted_by(|a, b| a < b), "registrations are in order of their turns");
            if party.sleep == Sleep::Asleep {
                assert!(party.registrations.iter().all(|r| r.listed.is_some()), "a sleeper can be found");
            }
        }
        let attached: usize = self.jobs.iter().map(|(_, job)| job.clients().count()).sum();
        let running = self.jobs.iter().filter(|(_, job)| job.state() == JobState::Running).count();
        assert_eq!((attachments, holds), (attached, running));
        assert_eq!(registrations, self.parties.registrations());
    }
}
