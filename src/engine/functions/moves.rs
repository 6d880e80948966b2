//! The moves of a job from where it stands to somewhere else, and its end: into a queue and out, to those that wait for their
//! time, away from its holder. Why it moves is decided elsewhere.
use super::Functions;
use super::index::{JobIx, PartyIx};
use super::standing::Standing;
use crate::outbox::Outbox;

impl Functions {
    /// Puts a job into its queue; one that nobody wants stands apart.
    pub(super) fn enqueue(&mut self, ix: JobIx) {
        if self.jobs.get(ix).ignored() {
            return self.abandon(ix);
        }
        let (function, priority) = (self.jobs.get(ix).function, self.jobs.get(ix).priority());
        self.functions.get_mut(function).queues[priority as usize].push(&mut self.jobs, ix, Standing::Queued);
        self.functions.note_ready(function, priority);
        if self.tenure.lapsed {
            self.sift(function);
        }
    }

    /// Takes a job out of its queue.
    pub(super) fn unqueue(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        let (id, priority, withheld) = (job.function, job.priority(), job.is_withheld());
        let function = self.functions.get_mut(id);
        let queues = if withheld { &mut function.withheld } else { &mut function.queues };
        queues[priority as usize].remove(&mut self.jobs, ix);
        self.functions.note_ready(id, priority);
        if self.tenure.lapsed {
            self.sift(id);
        }
    }

    /// A job waits for its time.
    pub(super) fn schedule(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        self.timers.schedule(job);
        let priority = job.priority();
        let function = self.functions.get_mut(job.function);
        function.aside[priority as usize] += 1;
        function.scheduled.push(&mut self.jobs, ix, Standing::Scheduled);
    }

    /// A scheduled job waits no longer for its time.
    pub(super) fn unschedule(&mut self, ix: JobIx) {
        let job = self.jobs.get(ix);
        self.timers.unschedule(job);
        let priority = job.priority();
        let function = self.functions.get_mut(job.function);
        function.aside[priority as usize] -= 1;
        function.scheduled.remove(&mut self.jobs, ix);
    }

    /// Ends a job for good, wherever it stands: it leaves queues, timers, indexes, counts and the store. Nobody is told.
    pub(super) fn end(&mut self, ix: JobIx, out: &mut Outbox) {
        let (function, priority) = (self.jobs.get(ix).function, self.jobs.get(ix).priority());
        // Lists, index and store first: they need the job itself, and a shell may take its place.
        match self.jobs.get(ix).standing() {
            Standing::Queued(_) | Standing::Withheld(_) => self.unqueue(ix),
            Standing::Storing(_) => self.functions.get_mut(function).aside[priority as usize] -= 1,
            Standing::Scheduled(_) => self.unschedule(ix),
            Standing::Abandoned(_) => self.leave_abandoned(ix),
            Standing::Running { .. } => drop(self.stop(ix)),
            Standing::Dead(_) => self.take_from_dead(ix, out),
            Standing::New | Standing::Over => unreachable!("a job ends once"),
        }
        self.unfile(ix);
        self.unstore(ix, out);
        // Then those who wait for it: if they are still to be told, the shell is left to them.
        if self.jobs.get(ix).is_joined_or_told() {
            if self.jobs.get(ix).is_being_told() {
                let job = self.leave_to_clients(ix, out);
                return self.count_bytes(-(job.bytes() as i64), out);
            }
            self.forget_clients(ix);
        }
        // The bytes last: with them the jobs are counted, and this one must be gone.
        let job = self.jobs.remove(ix);
        if let Some(client) = job.first_client() {
            self.parties.get_mut(client).attached.leave();
        }
        self.count_bytes(-(job.bytes() as i64), out);
    }

    /// A running job runs no longer, as far as its holder, timers and counts go. Returns who held it.
    pub(super) fn stop(&mut self, ix: JobIx) -> PartyIx {
        let job = self.jobs.get_mut(ix);
        let (function, (list, at)) = (job.function, job.hold().expect("a running job is held"));
        self.timers.disarm(job);
        self.functions.get_mut(function).running -= 1;
        let party = self.holds.party(list);
        if self.holds.remove(list, at) {
            self.forget_struck(party, list);
        }
        party
    }
}
