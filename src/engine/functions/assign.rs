//! Giving jobs to workers: registrations, peek, take, sleep, and whom to wake. How sleepers are found is in `wake.rs`.
//!
//! A worker that sleeps was told of no job that it could have. Each job that enters a queue wakes one sleeper (or as
//! many as the policy says); whatever may go wrong with that one is made good: it leaves, it takes something else, it
//! was awake already, or it does not come within [`crate::Policy::wake_patience`].
use super::Functions;
use super::gate::priorities;
use super::index::{FunctionIx, JobIx, PartyIx};
use super::numbers::LONG_MS;
use super::party::Sleep;
use super::standing::Standing;
use crate::board::Pulse;
use crate::message::{Assignment, Candidate, Place, ToSessions, WorkerName};
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::policy::{Planted, Wakeup};
use crate::slot::SessionId;
use alloc::boxed::Box;
use bytes::Bytes;
use core::time::Duration;
use ringgear_protocol::{GrabKind, Priority};

/// The job that a worker would be given, and the turn of its registration for the job's function.
struct Best {
    turn: i64,
    job: JobIx,
}

impl Functions {
    pub(super) fn can_do(
        &mut self,
        worker: SessionId,
        name: Bytes,
        timeout_ms: u64,
        turn: i64,
        nap: Option<u32>,
        out: &mut Outbox,
    ) {
        let function = match self.functions.find_or_share(&name) {
            Ok(function) => function,
            Err(refusal) => {
                out.counters.refused_functions += 1;
                let refused = ToSessions::Unregistered { refusal, to: worker, function: name };
                return self.tell(worker, refused, out);
            }
        };
        let ix = self.parties.find_or_create(worker);
        let known = self.functions.get_mut(function);
        known.workers += 1;
        known.unattended_since = None;
        if let Some(old) = self.parties.register(ix, function, timeout_ms, turn) {
            self.put_away(function, old, DeathReason::AbilityDropped);
        }
        self.look_again(function);
        if let Some(nap) = nap {
            let party = self.parties.get_mut(ix);
            // What is known of an earlier nap is over, though this shard was not told: it had no function then.
            if party.sleep == Sleep::Awake || party.nap != nap {
                (party.sleep, party.nap) = (Sleep::Asleep, nap);
            }
        }
        if self.parties.get(ix).sleep == Sleep::Asleep {
            self.list_as_sleeper(ix);
        }
    }

    #[inline(never)]
    pub(super) fn introduce(&mut self, worker: SessionId, name: Box<WorkerName>, pulse: Option<Pulse>) {
        let ix = self.parties.find_or_create(worker);
        let party = self.parties.get_mut(ix);
        (party.name, party.pulse) = (Some(name), pulse);
    }

    pub(super) fn peek(&mut self, worker: SessionId, place: Place, out: &mut Outbox) {
        let best = self.parties.find(worker).and_then(|ix| {
            self.look_for_abandoned(ix);
            // Whoever was woken and finds something is not yet known to take it: its home tells if it does not.
            if self.policy.plants(Planted::FullStopsGrabs) && self.is_too_much(true, None) {
                self.rouse(ix);
                return None;
            }
            let best = self.best(ix);
            let woken = matches!(self.parties.get(ix).sleep, Sleep::Woken(_));
            if best.is_none() || !woken {
                self.rouse(ix);
            }
            let Best { turn, job } = best?;
            Some(Candidate { priority: self.jobs.get(job).priority(), turn })
        });
        self.tell(worker, ToSessions::Best { to: worker, place, from: self.shard, best }, out);
    }

    pub(super) fn take(
        &mut self,
        worker: SessionId,
        (place, kind): (Place, GrabKind),
        turn: i64,
        within: i64,
        out: &mut Outbox,
    ) {
        let taken = self.parties.find(worker).and_then(|ix| {
            // Whatever the look comes to, the worker is awake. If it finds no job, there is none of the function either that
            // it was woken for, and nobody need be woken in its place.
            let woken_for = self.rouse(ix);
            self.look_for_abandoned(ix);
            if self.policy.plants(Planted::FullStopsGrabs) && self.is_too_much(true, None) {
                return None;
            }
            let job = match self.best(ix) {
                Some(Best { turn, job }) if turn <= within => job,
                Some(_) => {
                    // It looks elsewhere first, and what it was woken for is for somebody else.
                    if let Some(function) = woken_for {
                        self.wake_another(function, out);
                    }
                    return None;
                }
                None => return None,
            };
            let assignment = self.assign(ix, job, kind, out);
            if self.policy.turns() {
                self.parties.turn_to_back(ix, self.jobs.get(job).function, turn);
            }
            if let Some(function) = woken_for.filter(|&function| function != self.jobs.get(job).function) {
                // It was woken for another job, which is now for somebody else.
                self.wake_another(function, out);
            }
            Some(assignment)
        });
        let answer = match taken {
            Some(assignment) => ToSessions::Assigned { to: worker, place, assignment },
            None => ToSessions::Nothing { to: worker, place, from: self.shard },
        };
        self.tell(worker, answer, out);
    }

    /// The job that a worker would be given.
    fn best(&self, ix: PartyIx) -> Option<Best> {
        // One look costs about eight times as much from the side of the functions, which are in no order.
        let (ready, registered) = (self.functions.ready_list().len(), self.parties.get(ix).order().len());
        if 8 * ready < registered {
            return self.best_of_few(ix);
        }
        if self.policy.priority_first() {
            Priority::ALL.into_iter().find_map(|priority| self.best_of(ix, 1 << priority as u8))
        } else {
            self.best_of(ix, 0b111)
        }
    }

    /// The same, from the side of the functions: for a worker that knows many of which few have something to do.
    fn best_of_few(&self, ix: PartyIx) -> Option<Best> {
        let priority_first = self.policy.priority_first();
        let known = self.functions.ready_list().iter().filter_map(|&function| {
            let turn = self.parties.turn(ix, function)?;
            let priority = priorities(self.open(function)).next()? as i64;
            let rank = if priority_first { (priority, turn) } else { (turn, priority) };
            Some((rank, function, turn))
        });
        let (_, function, turn) = known.min_by_key(|&(rank, ..)| rank)?;
        self.first(function, self.open(function)).map(|job| Best { turn, job })
    }

    /// The same among the priorities of `mask`: the first registration that has a job, in it the highest priority.
    fn best_of(&self, ix: PartyIx, mask: u8) -> Option<Best> {
        self.parties.get(ix).order().iter().find_map(|&(turn, function)| {
            let open = self.open(function) & mask;
            if open == 0 {
                return None;
            }
            self.first(function, open).map(|job| Best { turn, job })
        })
    }

    /// The first job of a function, of the priorities that are open.
    fn first(&self, function: FunctionIx, open: u8) -> Option<JobIx> {
        let mut priorities = priorities(open);
        let inverted = self.policy.plants(Planted::PriorityInversion);
        let priority = if inverted { priorities.last() } else { priorities.next() }?;
        self.head(function, priority)
    }

    /// Makes the worker the holder of a queued job.
    fn assign(&mut self, ix: PartyIx, job: JobIx, kind: GrabKind, out: &mut Outbox) -> Assignment {
        if self.policy.plants(Planted::TwoHolders) && self.numbers.next().is_multiple_of(8) {
            return self.assignment(job, kind);
        }
        // First out of the queue, as long as the job still knows its neighbours there: where it will stand among what is
        // held takes the place of these.
        self.unqueue(job);
        let function = self.jobs.get(job).function;
        let registration = self.parties.registration_mut(ix, function).expect("a worker gets what it knows");
        let list = *registration.holds.get_or_insert_with(|| self.holds.create(ix, registration.era));
        let timeout_ms = registration.timeout_ms;
        let now_ms = self.now_ms() as u32;
        let at = self.holds.add(list, job, now_ms);
        let running = self.jobs.get_mut(job);
        running.go(Standing::running(list, at));
        let mut waited = u64::from(now_ms.wrapping_sub(running.accepted_ms));
        if running.extra.is_some() || waited >= LONG_MS {
            waited = self.waited_exactly(job);
            if let Some(extra) = self.jobs.get_mut(job).extra.as_mut() {
                extra.late = None;
            }
        }
        // Only a running job has a time limit; its alarm takes bytes, which are counted as soon as it is there.
        if timeout_ms > 0 {
            let running = self.jobs.get_mut(job);
            self.timers.arm(running, self.now.instant.after(Duration::from_millis(timeout_ms)));
            self.charge(job, out);
        }
        let (known, stats) = self.functions.get_with_stats(function);
        known.running += 1;
        stats.wait.add(waited);
        self.assignment(job, kind)
    }

    fn assignment(&self, ix: JobIx, kind: GrabKind) -> Assignment {
        let job = self.jobs.get(ix);
        Assignment {
            job: job.id,
            kind,
            function_len: self.function_len(job.function) as u16,
            unique_len: job.unique_len,
            body: job.body.share(),
            reducer: job.extra.as_ref().and_then(|extra| extra.reducer.clone()),
        }
    }

    /// The worker grabs: it is awake. Returns the function that it was woken for.
    pub(super) fn rouse(&mut self, ix: PartyIx) -> Option<FunctionIx> {
        let party = self.parties.get_mut(ix);
        match core::mem::replace(&mut party.sleep, Sleep::Awake) {
            Sleep::Woken(function) => Some(function),
            Sleep::Awake | Sleep::Asleep => None,
        }
    }

    pub(super) fn sleep(&mut self, worker: SessionId, nap: u32, out: &mut Outbox) {
        let Some(ix) = self.parties.find(worker) else { return };
        // The nap before a wake-up, which names it; and what the worker was woken for before it is woken anew, which writes
        // that over. Whoever falls asleep looks at the queues first: a job that is there already wakes nobody later.
        self.parties.get_mut(ix).nap = nap;
        let woken_for = self.rouse(ix);
        self.look_for_abandoned(ix);
        if let Some(Best { job, .. }) = self.best(ix) {
            let function = self.jobs.get(job).function;
            self.wake(ix, function, out);
            if let Some(other) = woken_for.filter(|&other| other != function) {
                // It went to sleep again without a look at what it was woken for, and is now woken for something else.
                self.wake_another(other, out);
            }
        } else {
            self.parties.get_mut(ix).sleep = Sleep::Asleep;
            self.list_as_sleeper(ix);
        }
    }

    /// A job has entered its queue: wakes whom the policy says.
    pub(super) fn wake_for(&mut self, ix: JobIx, out: &mut Outbox) {
        let (function, id) = (self.jobs.get(ix).function, self.jobs.get(ix).id);
        // It is not to be had now; when it is, all are woken who may have it.
        if self.tenure.lapsed && self.jobs.get(ix).background() {
            return;
        }
        if self.functions.ready(function) == 0 {
            // It is paused; when it is resumed, all are woken.
            return;
        }
        if self.policy.plants(Planted::LostWakeup) && id.sequence().is_multiple_of(8) {
            return;
        }
        match self.policy.wakeup {
            Wakeup::All => self.wake_all(function),
            Wakeup::AtMost(most) => {
                let _ = (0..most.get()).all(|_| self.wake_one(function, out));
            }
            Wakeup::Paced => {
                // Without other sleepers nobody is left to be woken later: whoever falls asleep from now on looks
                // at the queue first.
                if self.wake_one(function, out) && !self.functions.get(function).sleepers.is_empty() {
                    self.timers.check_wake(id, self.now.instant.after(self.policy.wake_patience));
                }
            }
        }
    }

    /// A worker that was woken will not take the function's job: another one is to have it, if it is still there.
    pub(super) fn wake_another(&mut self, function: FunctionIx, out: &mut Outbox) {
        if !self.functions.exists(function) || self.policy.wakeup == Wakeup::All {
            return;
        }
        let Some(priority) = priorities(self.open(function)).next() else { return };
        if let Some(job) = self.head(function, priority) {
            self.wake_for(job, out);
        }
    }

    pub(super) fn not_asleep(&mut self, worker: SessionId, function: FunctionIx, nap: u32, out: &mut Outbox) {
        if let Some(ix) = self.parties.find(worker) {
            let party = self.parties.get_mut(ix);
            if party.nap == nap && matches!(party.sleep, Sleep::Woken(_)) {
                party.sleep = Sleep::Awake;
            }
        }
        self.wake_another(function, out);
    }

    /// A job is still queued although somebody was woken for it a while ago: everybody is, now.
    pub(super) fn escalate_wake(&mut self, job: JobIx, out: &mut Outbox) {
        let function = self.jobs.get(job).function;
        if self.open(function) != 0 && !self.functions.get(function).sleepers.is_empty() {
            out.counters.wakeups_escalated += 1;
            self.wake_all(function);
        }
    }
}
