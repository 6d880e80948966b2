//! What workers have registered: found by worker and function in one step, whatever else either has. The order of a
//! worker's functions stands with the worker (`party.rs`).
use super::function::FunctionTable;
use super::index::{Era, FunctionIx, PartyIx};
use super::party::Parties;
use super::registration::{Listed, Registration};

impl Parties {
    /// Adds a registration in front of all others, or repeats one. Returns what is left of one of an earlier era.
    pub(crate) fn register(
        &mut self,
        ix: PartyIx,
        function: FunctionIx,
        timeout_ms: u64,
        turn: i64,
    ) -> Option<Registration> {
        let era = self.get(ix).era;
        let known = self.registrations.get(&(ix, function)).copied();
        let known_now = known.filter(|known| known.era == era);
        let party = self.get_mut(ix);
        let new = match known_now {
            Some(known) => {
                party.take_out(known.turn);
                Registration { turn, timeout_ms, count: known.count + 1, ..known }
            }
            None => {
                let listed = Listed::No(party.unlisted.len() as u32);
                party.unlisted.push(function);
                Registration { turn, timeout_ms, count: 1, era, listed, holds: None }
            }
        };
        party.add_first(turn, function);
        self.registrations.insert((ix, function), new);
        known.filter(|_| known_now.is_none())
    }

    /// Takes a registration away.
    pub(crate) fn deregister(&mut self, ix: PartyIx, function: FunctionIx) -> Option<Registration> {
        let registration = *self.registration(ix, function)?;
        self.registrations.remove(&(ix, function));
        self.get_mut(ix).take_out(registration.turn);
        if let Listed::No(at) = registration.listed {
            self.take_off(ix, at);
        }
        Some(registration)
    }

    /// Takes away a registration of an era that is over, unless the worker has registered anew.
    pub(crate) fn forget_registration(
        &mut self,
        ix: PartyIx,
        function: FunctionIx,
        era: Era,
    ) -> Option<Registration> {
        let old = self.registrations.get(&(ix, function)).copied().filter(|old| old.era == era)?;
        self.registrations.remove(&(ix, function));
        Some(old)
    }

    /// The registration of a party for a function.
    #[inline(always)]
    pub(crate) fn registration(&self, ix: PartyIx, function: FunctionIx) -> Option<&Registration> {
        self.registrations.get(&(ix, function)).filter(|registration| registration.era == self.get(ix).era)
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(crate) fn registration_mut(
        &mut self,
        ix: PartyIx,
        function: FunctionIx,
    ) -> Option<&mut Registration> {
        let era = self.get(ix).era;
        self.registrations.get_mut(&(ix, function)).filter(|registration| registration.era == era)
    }

    /// The turn of a party's registration for a function.
    #[inline(always)]
    pub(crate) fn turn(&self, ix: PartyIx, function: FunctionIx) -> Option<i64> {
        self.registration(ix, function).map(|registration| registration.turn)
    }

    /// Puts the registration for a function behind all others: it had its turn.
    pub(crate) fn turn_to_back(&mut self, ix: PartyIx, function: FunctionIx, turn: i64) {
        let Some(registration) = self.registration_mut(ix, function) else { return };
        let old = core::mem::replace(&mut registration.turn, turn);
        let party = self.get_mut(ix);
        party.take_out(old);
        party.add_last(turn, function);
    }

    /// A worker does not stand in a list of sleepers any more: its entry was used up. False if it is not a worker of the
    /// function any more, or is not to be woken there.
    #[inline(always)]
    pub(crate) fn unlist(&mut self, ix: PartyIx, function: FunctionIx) -> bool {
        let party = self.get(ix);
        let (era, at) = (party.era, party.unlisted.len() as u32);
        let registration = self.registrations.get_mut(&(ix, function));
        let registration = registration.expect("whoever is listed has registered");
        registration.listed = Listed::No(at);
        let counts = registration.era == era;
        if counts {
            self.get_mut(ix).unlisted.push(function);
        }
        counts
    }

    /// Takes a function off those beside which a worker is not listed.
    fn take_off(&mut self, ix: PartyIx, at: u32) {
        let unlisted = &mut self.get_mut(ix).unlisted;
        unlisted.swap_remove(at as usize);
        if let Some(&moved) = unlisted.get(at as usize)
            && let Some(registration) = self.registration_mut(ix, moved)
        {
            registration.listed = Listed::No(at);
        }
    }

    /// A worker that is to be listed beside one more of its functions: which, if there is one.
    pub(crate) fn next_unlisted(&mut self, ix: PartyIx) -> Option<FunctionIx> {
        self.get_mut(ix).unlisted.pop()
    }

    /// A worker was listed as a sleeper.
    pub(crate) fn list(&mut self, ix: PartyIx, function: FunctionIx, at: u32) {
        let registration = self.registration_mut(ix, function);
        registration.expect("what is not listed is registered").listed = Listed::At(at);
    }
}

/// Asserts that everything is where it is said to be. Returns how many registrations are listed as sleepers.
pub(super) fn check(parties: &Parties, functions: &FunctionTable) -> usize {
    let mut listed = 0;
    for (&(ix, function), registration) in &parties.registrations {
        let party = parties.get(ix);
        let counts = registration.era == party.era;
        assert!(counts || party.chores > 0, "what is over will be forgotten");
        assert!(functions.exists(function), "what is registered exists");
        match registration.listed {
            Listed::At(_) => listed += 1,
            Listed::No(at) => assert!(!counts || party.unlisted[at as usize] == function),
        }
    }
    listed
}
