//! Until when stored jobs may be given to workers ([`crate::Input::Lease`]). Where several servers share a store, one that has not
//! heard from it for a while does not know whether its stored jobs are still its own: then it gives out none, while foreground
//! jobs go on. The clock is compared once in each call of the engine.
//!
//! Stored jobs and others stand in the same queues, and whoever grabs sees the heads only. So a stored job that comes to the
//! head of its queue when it may not be given out is *withheld*: it stands apart, before the queue, and stays there until it is
//! given out. Each job moves so once at the most. When stored jobs may be given out again nothing is moved back: what is
//! withheld comes first. Going through the functions, then and when the time is over, is a chore.
use super::Functions;
use super::chores::Chore;
use super::index::{FunctionIx, JobIx};
use super::standing::Standing;
use crate::policy::Planted;
use crate::time::Instant;
use ringgear_protocol::Priority;

impl Functions {
    /// Stored jobs may be given out until then.
    pub(crate) fn lease(&mut self, until: Instant) {
        self.tenure.until = until;
        self.look_at_lease();
    }

    /// Whether stored jobs may be given out may have changed.
    #[cold]
    pub(super) fn look_at_lease(&mut self) {
        let tenure = &mut self.tenure;
        let lapsed = self.now.instant >= tenure.until && !self.policy.plants(Planted::GivesWhatLapsed)
            || tenure.is_forgetting;
        if lapsed == tenure.lapsed {
            return;
        }
        tenure.lapsed = lapsed;
        tenure.functions_left = self.functions.ready_list().len();
        if !core::mem::replace(&mut tenure.is_changing, true) {
            self.chores.push(Chore::Lease);
        }
    }

    /// One function more that has something in a queue. From the last to the first: whichever leaves the list, one that was
    /// dealt with takes its place, and whichever comes to be listed has been dealt with when its job came.
    pub(super) fn lease_next(&mut self) -> Option<Chore> {
        let list = self.functions.ready_list();
        let at = self.tenure.functions_left.min(list.len());
        let Some(&function) = at.checked_sub(1).and_then(|at| list.get(at)) else {
            self.tenure.is_changing = false;
            return None;
        };
        self.tenure.functions_left = at - 1;
        if self.tenure.lapsed {
            if !self.functions.get(function).is_sifting {
                self.functions.get_mut(function).is_sifting = true;
                self.chores.push(Chore::Sift(function));
            }
        } else if !self.policy.plants(Planted::ForgetsWithheld) {
            self.wake_all(function);
        }
        Some(Chore::Lease)
    }

    /// Stored jobs at the heads of a function's queues get out of the way of others, while they may not be given out.
    #[cold]
    pub(super) fn sift(&mut self, function: FunctionIx) {
        while let Some((priority, ix)) = self.stored_head(function) {
            if !self.chores.spend() {
                if !core::mem::replace(&mut self.functions.get_mut(function).is_sifting, true) {
                    self.chores.push(Chore::Sift(function));
                }
                return;
            }
            self.withhold(function, priority, ix);
        }
    }

    /// One such job. The function may be gone, or another one stand in its place. Whoever looked for a job meanwhile saw
    /// none of those behind.
    pub(super) fn sift_next(&mut self, function: FunctionIx) -> Option<Chore> {
        if !self.functions.exists(function) || !self.functions.get(function).is_sifting {
            return None;
        }
        if self.tenure.lapsed
            && let Some((priority, ix)) = self.stored_head(function)
        {
            self.withhold(function, priority, ix);
            return Some(Chore::Sift(function));
        }
        self.functions.get_mut(function).is_sifting = false;
        if self.open(function) != 0 {
            self.wake_all(function);
        }
        None
    }

    fn stored_head(&self, function: FunctionIx) -> Option<(Priority, JobIx)> {
        let queues = &self.functions.get(function).queues;
        let heads = Priority::ALL.into_iter().filter_map(|p| Some((p, queues[p as usize].head()?)));
        heads.into_iter().find(|&(_, ix)| self.jobs.get(ix).background())
    }

    fn withhold(&mut self, function: FunctionIx, priority: Priority, ix: JobIx) {
        let function = self.functions.get_mut(function);
        function.queues[priority as usize].remove(&mut self.jobs, ix);
        function.withheld[priority as usize].push(&mut self.jobs, ix, Standing::Withheld);
    }

    /// Asserts that no job waits in vain.
    pub(super) fn check_lease(&self) {
        assert!(!self.tenure.is_forgetting || self.tenure.lapsed);
        let settled = self.tenure.lapsed && !self.tenure.is_changing;
        for (ix, function) in self.functions.iter().filter(|_| settled) {
            let sifted = function.is_sifting || self.stored_head(ix).is_none();
            assert!(sifted, "stored jobs are out of the way");
        }
    }
}
