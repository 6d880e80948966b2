//! Who is to be woken beside a function, and waking them. An entry stands in the list of its function from when its worker
//! fell asleep until it is used up, or the worker gives up the function; so there are never more entries than registrations.
//! An entry whose worker is awake, for it was woken for something else, is passed over. Where it has got up without this shard being
//! told, because it found its job elsewhere, the entry goes to the end of the list: mostly the worker sleeps again when it comes
//! to the front, without having told us that either. If many are so, the rest of them is struck off, and told so.
//!
//! Looking through many entries, and waking many workers, is a chore: one for each function.
use super::Functions;
use super::chores::Chore;
use super::index::{FunctionIx, PartyIx};
use super::party::Sleep;
use super::registration::Listed;
use super::sleepers::{Sleeper, Sleepers, Waking};
use crate::message::ToSessions;
use crate::outbox::Outbox;
use crate::policy::Planted;

/// So many entries are looked at where somebody is to be woken; the rest, if it is needed, is a chore.
const LOOKS: u32 = 16;
/// So many functions of a worker that falls asleep are dealt with at once.
const LISTED_AT_ONCE: u32 = 64;

/// What becomes of an entry whose worker has got up elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Risen {
    /// It goes to the end of the list.
    Last,
    /// It is used up, and the worker does not count as asleep here any more until it says so.
    StruckOff,
}

/// What has come of looking for a sleeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    One,
    Nobody,
    /// It takes longer.
    Later,
}

impl Functions {
    /// Enters a sleeping worker beside its functions, where it is not entered still.
    pub(super) fn list_as_sleeper(&mut self, ix: PartyIx) {
        for _ in 0..LISTED_AT_ONCE.min(self.policy.work_at_once) {
            let Some(function) = self.parties.next_unlisted(ix) else { return };
            self.enter(ix, function);
        }
        let party = self.parties.get_mut(ix);
        if !party.unlisted.is_empty() && !core::mem::replace(&mut party.is_listing, true) {
            self.push_for(ix, Chore::List(ix));
        }
    }

    /// One more function of a worker that fell asleep. Whatever came meanwhile did not find the worker there, so it is woken.
    pub(super) fn list_one(&mut self, ix: PartyIx, out: &mut Outbox) -> Option<Chore> {
        if self.parties.get(ix).sleep == Sleep::Asleep
            && let Some(function) = self.parties.next_unlisted(ix)
        {
            self.enter(ix, function);
            if self.open(function) != 0 {
                self.wake(ix, function, out);
            }
            return Some(Chore::List(ix));
        }
        self.parties.get_mut(ix).is_listing = false;
        self.done_for(ix);
        None
    }

    fn enter(&mut self, ix: PartyIx, function: FunctionIx) {
        let Sleepers { slab, stamp } = &mut self.sleepers;
        *stamp += 1;
        let at = self.functions.get_mut(function).sleepers.push(slab, Sleeper { party: ix, stamp: *stamp });
        self.parties.list(ix, function, at);
    }

    /// A registration is over: nobody is to be woken for it.
    pub(super) fn leave_sleepers(&mut self, function: FunctionIx, listed: Listed) {
        if let Listed::At(at) = listed {
            let slab = &mut self.sleepers.slab;
            self.functions.get_mut(function).sleepers.remove(slab, at);
        }
    }

    pub(super) fn wake(&mut self, ix: PartyIx, function: FunctionIx, out: &mut Outbox) {
        let party = self.parties.get_mut(ix);
        party.sleep = Sleep::Woken(function);
        let (to, nap) = (party.session, party.nap);
        self.tell(to, ToSessions::Wake { to, from: self.shard, function: function.0, nap }, out);
    }

    /// Uses up the entry at the head of a list, and wakes its worker if that sleeps.
    #[inline]
    fn wake_first(&mut self, function: FunctionIx, at: u32, risen: Risen, out: &mut Outbox) -> bool {
        let slab = &mut self.sleepers.slab;
        let Sleeper { party: ix, .. } = self.functions.get_mut(function).sleepers.remove(slab, at);
        let counts = self.parties.unlist(ix, function);
        let party = self.parties.get(ix);
        let wakes = counts && party.is_asleep();
        if wakes {
            self.wake(ix, function, out);
        } else if counts && party.sleep == Sleep::Asleep {
            self.pass_over(ix, function, risen, out);
        }
        wakes
    }

    /// A worker has got up elsewhere, and its entry was used up.
    #[cold]
    fn pass_over(&mut self, ix: PartyIx, function: FunctionIx, risen: Risen, out: &mut Outbox) {
        if risen == Risen::Last {
            let unlisted = self.parties.next_unlisted(ix);
            assert_eq!(unlisted, Some(function), "what was unlisted last is listed first");
            return self.enter(ix, function);
        }
        let party = self.parties.get_mut(ix);
        party.sleep = Sleep::Awake;
        let (to, nap) = (party.session, party.nap);
        self.tell(to, ToSessions::StruckOff { to, from: self.shard, nap }, out);
    }

    /// Wakes the sleeper that has waited longest.
    fn wake_longest(&mut self, function: FunctionIx, out: &mut Outbox) -> Woken {
        if self.functions.get(function).sleepers.is_empty() {
            return Woken::Nobody;
        }
        let stamp = self.sleepers.stamp;
        for _ in 0..LOOKS.min(self.policy.work_at_once) {
            let first = self.functions.get(function).sleepers.first();
            // Behind this one there are only those who were passed over now.
            let first = first.filter(|&at| self.sleepers.slab.get(at).thing.stamp <= stamp);
            let Some(at) = first else { return Woken::Nobody };
            if self.wake_first(function, at, Risen::Last, out) {
                return Woken::One;
            }
        }
        if self.functions.get(function).sleepers.is_empty() {
            return Woken::Nobody;
        }
        let waking = &mut self.functions.get_mut(function).waking;
        waking.more = waking.more.saturating_add(1);
        self.go_on_waking(function);
        Woken::Later
    }

    /// The same. False if nobody sleeps beside the function.
    pub(super) fn wake_one(&mut self, function: FunctionIx, out: &mut Outbox) -> bool {
        self.wake_longest(function, out) != Woken::Nobody
    }

    /// Wakes everybody who sleeps beside a function now.
    pub(super) fn wake_all(&mut self, function: FunctionIx) {
        if self.functions.get(function).sleepers.is_empty() {
            return;
        }
        let stamp = self.sleepers.stamp;
        self.functions.get_mut(function).waking.upto = stamp;
        self.go_on_waking(function);
    }

    fn go_on_waking(&mut self, function: FunctionIx) {
        let waking = &mut self.functions.get_mut(function).waking;
        if !core::mem::replace(&mut waking.is_chore, true) {
            self.chores.push(Chore::Wake(function));
        }
    }

    /// One entry more of those who are to be woken. The function may be gone, or another one stand in its place.
    pub(super) fn wake_next(&mut self, function: FunctionIx, out: &mut Outbox) -> Option<Chore> {
        if !self.functions.exists(function) || !self.functions.get(function).waking.is_chore {
            return None;
        }
        let Waking { upto, more, .. } = self.functions.get(function).waking;
        let first = self.functions.get(function).sleepers.first();
        let first = first.map(|at| (at, self.sleepers.slab.get(at).thing.stamp <= upto));
        let Some((at, is_meant)) = first.filter(|&(_, is_meant)| is_meant || more > 0) else {
            self.functions.get_mut(function).waking = Waking::default();
            return None;
        };
        let risen = if is_meant { Risen::Last } else { Risen::StruckOff };
        if self.wake_first(function, at, risen, out) && !is_meant {
            self.functions.get_mut(function).waking.more -= 1;
        }
        if self.policy.plants(Planted::WakesFirstPiece) && self.is_spent() {
            self.functions.get_mut(function).waking = Waking::default();
            return None;
        }
        Some(Chore::Wake(function))
    }

    /// Asserts that entries are those of registrations, of which so many are listed.
    pub(super) fn check_sleepers(&self, listed: usize) {
        assert_eq!(self.sleepers.slab.count(), listed, "only whoever has registered can be woken");
        for (ix, function) in self.functions.iter() {
            let mut last = 0;
            for at in function.sleepers.iter(&self.sleepers.slab) {
                let sleeper = self.sleepers.slab.get(at).thing;
                assert!(sleeper.stamp > last, "whoever has slept longest comes first");
                last = sleeper.stamp;
                let registration = self.parties.registrations.get(&(sleeper.party, ix));
                assert_eq!(registration.map(|r| r.listed), Some(Listed::At(at)), "a sleeper can be found");
            }
        }
    }
}
