//! Abandoned jobs: they would stand in a queue, but whoever waited for them has left. They stand apart, so that no worker comes
//! across them, but count as queued as they do in gearmand. A worker of their function that looks for jobs has them
//! discarded, which is a chore. Whoever wants one again before finds it where a new job would stand: at the tail.
//!
//! Functions with abandoned jobs have numbers in the order in which they came to have them, and each worker knows up to
//! which one it has looked. So looking costs each worker one step for each such function, and no look is in vain twice.
use super::Functions;
use super::chores::Chore;
use super::index::{FunctionIx, JobIx, PartyIx};
use super::standing::Standing;
use crate::outbox::Outbox;
use crate::policy::Planted;
use core::ops::Bound;

impl Functions {
    /// A job stands in its queue or would; whether anybody wants it may have changed.
    #[inline]
    pub(super) fn look_whether_wanted(&mut self, ix: JobIx, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        match job.standing() {
            Standing::Queued(_) | Standing::Withheld(_) if job.ignored() => {
                self.unqueue(ix);
                self.abandon(ix);
            }
            // It is no stored job any more: those who wait for it wait for no store.
            Standing::Withheld(_) if !job.background() => {
                self.unqueue(ix);
                self.enqueue(ix);
                self.wake_for(ix, out);
            }
            Standing::Abandoned(_) if !job.ignored() => self.want_again(ix),
            _ => {}
        }
    }

    /// A job that nobody wants, and that is in no queue, stands apart.
    #[cold]
    pub(super) fn abandon(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        let (id, priority) = (job.function, job.priority());
        let function = self.functions.get_mut(id);
        function.aside[priority as usize] += 1;
        function.abandoned.push(&mut self.jobs, ix, Standing::Abandoned);
        if function.stale == 0 && !function.is_discarding && !function.dropped {
            self.number_anew(id);
        }
    }

    #[cold]
    fn want_again(&mut self, ix: JobIx) {
        if self.policy.plants(Planted::LosesWantedAgain) {
            return;
        }
        self.leave_abandoned(ix);
        self.enqueue(ix);
    }

    /// An abandoned job stands nowhere any more.
    #[cold]
    pub(super) fn leave_abandoned(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        let (id, priority) = (job.function, job.priority());
        let function = self.functions.get_mut(id);
        function.aside[priority as usize] -= 1;
        function.abandoned.remove(&mut self.jobs, ix);
        if function.abandoned.len() == 0 {
            self.not_stale(id);
        }
    }

    /// Nobody need look for abandoned jobs of a function.
    pub(super) fn not_stale(&mut self, function: FunctionIx) {
        self.stale.by_number.remove(&self.functions.get(function).stale);
        self.functions.set_stale(function, 0);
    }

    /// Every worker looks at a function with abandoned jobs once more.
    fn number_anew(&mut self, function: FunctionIx) {
        // From one number to the next: the board never says in between that nobody need look.
        self.stale.by_number.remove(&self.functions.get(function).stale);
        self.stale.last += 1;
        self.functions.set_stale(function, self.stale.last);
        self.stale.by_number.insert(self.stale.last, function);
    }

    /// Somebody has come to know a function.
    #[inline]
    pub(super) fn look_again(&mut self, function: FunctionIx) {
        if self.functions.get(function).stale != 0 {
            self.number_anew(function);
        }
    }

    /// A worker looks for jobs: abandoned ones of its functions will be discarded.
    #[inline(always)]
    pub(super) fn look_for_abandoned(&mut self, ix: PartyIx) {
        if self.stale.last > self.parties.get(ix).looked {
            self.begin_to_look(ix);
        }
    }

    #[cold]
    fn begin_to_look(&mut self, ix: PartyIx) {
        let party = self.parties.get_mut(ix);
        if self.stale.by_number.is_empty() {
            party.looked = self.stale.last;
        } else if !core::mem::replace(&mut party.is_looking, true) {
            self.push_for(ix, Chore::Look(ix));
        }
    }

    /// A worker looks at one more function with abandoned jobs.
    pub(super) fn look_at_one(&mut self, ix: PartyIx) -> Option<Chore> {
        let looked = self.parties.get(ix).looked;
        let next = self.stale.by_number.range((Bound::Excluded(looked), Bound::Unbounded)).next();
        let next = next.map(|(&number, &function)| (number, function));
        let party = self.parties.get_mut(ix);
        let Some((number, function)) = next.filter(|_| !party.gone) else {
            (party.looked, party.is_looking) = (self.stale.last, false);
            self.done_for(ix);
            return None;
        };
        party.looked = number;
        if self.parties.registration(ix, function).is_some() {
            self.not_stale(function);
            self.functions.get_mut(function).is_discarding = true;
            self.chores.push(Chore::Discard(function));
        }
        Some(Chore::Look(ix))
    }

    /// One abandoned job ends. The function may be gone, or another one stand in its place.
    pub(super) fn discard_one(&mut self, function: FunctionIx, out: &mut Outbox) -> Option<Chore> {
        if !self.functions.exists(function) || !self.functions.get(function).is_discarding {
            return None;
        }
        let Some(job) = self.functions.get(function).abandoned.head() else {
            self.functions.get_mut(function).is_discarding = false;
            return None;
        };
        out.counters.jobs_abandoned += 1;
        self.functions.stats(function).abandoned += 1;
        self.end(job, out);
        Some(Chore::Discard(function))
    }

    /// Asserts that abandoned jobs will be found.
    pub(super) fn check_abandoned(&self) {
        for (ix, function) in self.functions.iter() {
            let found = self.stale.by_number.get(&function.stale) == Some(&ix);
            assert_eq!(found, function.stale != 0);
            let left = function.abandoned.len() > 0;
            let seen = found || function.is_discarding || function.dropped;
            assert!(!left || seen, "abandoned jobs are discarded some day");
        }
        let numbered = self.functions.iter().filter(|(_, function)| function.stale != 0).count();
        assert_eq!(numbered, self.stale.by_number.len());
    }
}
