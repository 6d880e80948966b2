//! Striking off: a worker may not work on a function any more. It is given no more jobs of it, and finishes those that it has; it counts
//! among the workers of the function no more. Who strikes off whom is decided with the session (`sessions/access.rs`).
use super::Functions;
use super::chores::{Chore, Lost};
use super::index::{HoldsIx, PartyIx};
use super::party::Sleep;
use crate::outbox::Outbox;
use crate::persist::DeathReason;
use crate::slot::SessionId;

impl Functions {
    pub(super) fn strike_off(&mut self, worker: SessionId, name: &[u8], out: &mut Outbox) {
        let found = self.parties.find(worker).zip(self.functions.find(name));
        let Some((ix, function)) = found else { return };
        let Some(mut registration) = self.parties.deregister(ix, function) else { return };
        if let Some(list) = registration.holds.take() {
            if self.holds.is_empty(list) {
                self.holds.forget(list);
            } else {
                self.holds.strike(list);
                self.parties.get_mut(ix).struck.push(list);
            }
        }
        self.put_away(function, registration, DeathReason::AbilityDropped);
        if matches!(self.parties.get(ix).sleep, Sleep::Woken(_)) {
            self.wake_another(function, out);
        }
    }

    /// The last job of a function that its worker may not work on any more runs no longer.
    #[cold]
    pub(super) fn forget_struck(&mut self, ix: PartyIx, list: HoldsIx) {
        self.parties.get_mut(ix).struck.retain(|&other| other != list);
        self.holds.forget(list);
    }

    /// A worker leaves, or gives up all its functions: what it was to finish goes back.
    pub(super) fn lose_struck(&mut self, ix: PartyIx, reason: DeathReason) {
        for list in core::mem::take(&mut self.parties.get_mut(ix).struck) {
            self.holds.lose(list);
            self.push_for(ix, Chore::GiveBack(Lost { list, reason }));
        }
    }
}
