//! Leaving: a session that is gone, a worker that gives up functions. What it had registered and what it waits for counts no
//! more from then on, however much that is; putting it all away is a chore, and so is giving back the jobs that it held.
use super::Functions;
use super::chores::{Chore, Lost, OldEra};
use super::index::{FunctionIx, JobIx, PartyIx};
use super::party::Sleep;
use super::registration::Registration;
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::policy::Planted;
use crate::slot::SessionId;

impl Functions {
    /// The session is gone: its jobs go back, of each function the newest first; its attachments end.
    pub(super) fn gone(&mut self, session: SessionId, out: &mut Outbox) {
        let Some(ix) = self.parties.find(session) else { return };
        self.parties.leave(ix);
        self.drop_registrations(ix, DeathReason::WorkerGone, out);
        self.push_for(ix, Chore::Detach(ix));
    }

    pub(super) fn cant_do(&mut self, worker: SessionId, name: &[u8], out: &mut Outbox) {
        let found = self.parties.find(worker).zip(self.functions.find(name));
        let Some((ix, function)) = found else { return };
        let Some(registration) = self.parties.deregister(ix, function) else { return };
        self.put_away(function, registration, DeathReason::AbilityDropped);
        if matches!(self.parties.get(ix).sleep, Sleep::Woken(_)) {
            self.wake_another(function, out);
        }
    }

    pub(super) fn reset_abilities(&mut self, worker: SessionId, out: &mut Outbox) {
        if let Some(ix) = self.parties.find(worker) {
            self.drop_registrations(ix, DeathReason::AbilityDropped, out);
        }
    }

    /// All registrations of a party end, and it holds no job any more.
    fn drop_registrations(&mut self, ix: PartyIx, reason: DeathReason, out: &mut Outbox) {
        let woken_for = self.rouse(ix);
        self.lose_struck(ix, reason);
        if self.parties.get(ix).registered() > 0 {
            let (era, functions) = self.parties.get_mut(ix).begin_era();
            self.push_for(ix, Chore::Forget(OldEra { party: ix, era, functions, reason }));
        }
        if let Some(function) = woken_for {
            // It may have been the only one that was woken for a job.
            self.wake_another(function, out);
        }
    }

    /// A registration is taken away. The jobs that were held with it go back.
    pub(super) fn put_away(&mut self, function: FunctionIx, old: Registration, reason: DeathReason) {
        let known = self.functions.get_mut(function);
        known.workers -= old.count;
        if known.workers == 0 {
            known.unattended_since = Some(self.now.instant);
        }
        self.leave_sleepers(function, old.listed);
        let Some(list) = old.holds else { return };
        self.holds.lose(list);
        if self.holds.is_empty(list) {
            self.holds.forget(list);
        } else {
            self.push_for(self.holds.party(list), Chore::GiveBack(Lost { list, reason }));
        }
    }

    /// One registration of an era that is over.
    pub(super) fn forget_one(&mut self, mut over: OldEra) -> Option<Chore> {
        let Some((_, function)) = over.functions.pop_front() else {
            self.done_for(over.party);
            return None;
        };
        // It may be a hole, and the worker may have registered anew: then this was put away at once.
        if let Some(old) = self.parties.forget_registration(over.party, function, over.era) {
            self.put_away(function, old, over.reason);
        }
        Some(Chore::Forget(over))
    }

    /// One job that a worker held goes back.
    pub(super) fn give_back_one(&mut self, lost: Lost, out: &mut Outbox) -> Option<Chore> {
        let forgets = self.policy.plants(Planted::ForgetsLastHeld) && self.holds.count(lost.list) == 1;
        if let Some(job) = self.holds.newest(lost.list).filter(|_| !forgets) {
            self.requeue(job, lost.reason, out);
            return Some(Chore::GiveBack(lost));
        }
        let party = self.holds.party(lost.list);
        if !forgets {
            self.holds.forget(lost.list);
        }
        self.done_for(party);
        None
    }

    /// A client that is gone waits for one job less.
    pub(super) fn detach_one(&mut self, ix: PartyIx, out: &mut Outbox) -> Option<Chore> {
        if self.policy.plants(Planted::LeakedAttachment) && self.parties.get(ix).attached.live() > 0 {
            return None;
        }
        let party = self.parties.get_mut(ix);
        if let Some((at, job)) = self.attachments.newest(party.joins) {
            let attachments = &mut self.attachments;
            let joins = &mut party.joins;
            self.jobs.get_mut(job).detach_joined(|joined| attachments.remove(at, joined, joins));
            self.charge(job, out);
            self.look_whether_wanted(job, out);
        } else if party.attached.live() == 0 {
            self.done_for(ix);
            return None;
        } else if let Some(job) = party.attached.pop().and_then(|id| self.jobs.find(id))
            && self.jobs.get(job).first_client() == Some(ix)
        {
            self.parties.get_mut(ix).attached.leave();
            self.jobs.get_mut(job).detach_first();
            self.look_whether_wanted(job, out);
        }
        Some(Chore::Detach(ix))
    }

    /// Something is to be done for a party, which keeps its place until that is done.
    pub(super) fn push_for(&mut self, ix: PartyIx, chore: Chore) {
        self.parties.get_mut(ix).chores += 1;
        self.chores.push(chore);
    }

    /// A chore of a party is done.
    pub(super) fn done_for(&mut self, ix: PartyIx) {
        let party = self.parties.get_mut(ix);
        party.chores -= 1;
        if party.gone && party.chores == 0 {
            self.parties.remove(ix);
        }
    }

    /// Whoever was given a running job, though it may have given up the function since or be gone.
    pub(super) fn holder(&self, ix: JobIx) -> Option<PartyIx> {
        self.jobs.get(ix).hold().map(|(list, _)| self.holds.party(list))
    }

    /// Whether a worker holds a job.
    #[inline(always)]
    pub(super) fn is_held_by(&self, ix: JobIx, party: PartyIx) -> bool {
        self.jobs.get(ix).hold().is_some_and(|(list, _)| {
            self.holds.party(list) == party && self.holds.era(list) == self.parties.get(party).era
        })
    }
}
