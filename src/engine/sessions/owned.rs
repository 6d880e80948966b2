//! What a session knows of the owners of its functions: which there are, which of them believe that it sleeps, and where it is worth
//! asking for a job. What is asked, and when, is in `grab.rs`.
use super::names::FunctionNames;
use super::owners::OwnerEntry;
use super::session::Session;
use crate::board::{Board, BoardSpot, KnownBits};
use crate::slot::{ShardId, ShardSet};
use alloc::vec::Vec;

/// So many times as many registrations as have ended are looked through for the bits that are left.
const LOOKED_THROUGH: usize = 8;

/// So many registrations are looked at for the one whose turn it is.
const TURNS_LOOKED_AT: usize = 256;

impl Session {
    /// Whether it is noted of each owner which of its functions the session knows: of all of them, or of none.
    fn notes(&self) -> bool {
        self.owners.first().is_some_and(|owner| owner.known.is_some())
    }

    /// Bytes of what is noted of the owners.
    pub(super) fn owners_bytes(&self) -> usize {
        if self.notes() { self.owners.len() * OwnerEntry::BYTES } else { 0 }
    }

    fn find_owner(&self, shard: ShardId) -> Result<usize, usize> {
        self.owners.binary_search_by_key(&shard, |owner| owner.shard)
    }

    /// Whether it has registered a function of this owner.
    pub(super) fn knows(&self, shard: ShardId) -> bool {
        self.find_owner(shard).is_ok()
    }

    /// The owner, if it has functions that the session has registered.
    pub(super) fn owner_mut(&mut self, shard: ShardId) -> Option<&mut OwnerEntry> {
        let at = self.find_owner(shard).ok()?;
        Some(&mut self.owners[at])
    }

    /// An owner is asked for a job, and so does not take the session for asleep any more.
    #[inline]
    pub(super) fn is_awake_at(&mut self, shard: ShardId) {
        if let Some(owner) = self.owner_mut(shard) {
            owner.nap = 0;
        }
    }

    /// PRE_SLEEP, `seen` by owners. The nap is a new one before any owner hears of it: wakes of an earlier one may still be under way.
    pub(super) fn fall_asleep(&mut self, seen: bool) {
        (self.asleep, self.noop_sent, self.woken_by) = (true, false, None);
        self.nap = self.nap.wrapping_add(1).max(1);
        if let Some(pulse) = self.pulse.as_ref().filter(|_| seen) {
            pulse.sleeps();
        }
    }

    /// It was sent NOOP: nobody else need wake it.
    pub(super) fn is_told_to_wake(&mut self) {
        self.noop_sent = true;
        if let Some(pulse) = &self.pulse {
            pulse.wakes();
        }
    }

    /// It grabs.
    #[inline]
    pub(super) fn get_up(&mut self) {
        if self.asleep
            && let Some(pulse) = &self.pulse
        {
            pulse.wakes();
        }
        (self.asleep, self.noop_sent) = (false, false);
    }

    /// An owner has one registration more: that of a function that is to be seen there. It stands among the others.
    pub(super) fn add_owned(&mut self, spot: BoardSpot, names: &FunctionNames) {
        let (before, notes) = (self.owners_bytes(), self.notes());
        match self.find_owner(spot.owner) {
            Ok(at) => self.owners[at].abilities += 1,
            Err(at) => {
                let known = notes.then(KnownBits::default);
                self.owners.insert(at, OwnerEntry { shard: spot.owner, abilities: 1, nap: 0, known });
            }
        }
        if notes {
            self.note(spot);
        } else if self.owners.len() > 1 {
            self.note_all(names);
        }
        self.registered += self.owners_bytes() - before;
    }

    fn note(&mut self, spot: BoardSpot) {
        let owner = self.owner_mut(spot.owner).expect("an ability has an owner");
        owner.known.get_or_insert_default().insert(spot);
    }

    fn note_all(&mut self, names: &FunctionNames) {
        self.ended = 0;
        self.owners.iter_mut().for_each(|owner| owner.known = Some(KnownBits::default()));
        let abilities = core::mem::take(&mut self.abilities);
        abilities.iter().for_each(|name| self.note(names.spot(name)));
        self.abilities = abilities;
    }

    /// An owner has fewer registrations.
    pub(super) fn remove_owned(&mut self, shard: ShardId, gone: u32) {
        let at = self.find_owner(shard).expect("an ability has an owner");
        self.owners[at].abilities -= gone;
        if self.owners[at].abilities == 0 {
            let before = self.owners_bytes();
            self.owners.remove(at);
            self.registered -= before - self.owners_bytes();
        }
    }

    /// Registrations have ended. A bit that is left over costs a question in vain now and then, so they are found anew only when enough
    /// have ended to pay for it.
    pub(super) fn note_ended(&mut self, gone: u32, names: &FunctionNames) {
        self.ended = self.ended.saturating_add(gone);
        if self.notes() && self.abilities.len() <= LOOKED_THROUGH * self.ended as usize {
            self.note_all(names);
        }
    }

    /// Nothing is registered any more: the owners that had something.
    pub(super) fn take_owners(&mut self) -> Vec<OwnerEntry> {
        self.ended = 0;
        core::mem::take(&mut self.owners)
    }

    /// Whether a submission of its own is under way.
    pub(super) fn submits(&self) -> bool {
        self.submitted.is_some_and(|place| !self.replies.is_past(place))
    }

    /// The owners that may have a job for it now, as the board says. While a submission of its own is under way, which takes effect
    /// before whatever it asks now and stands nowhere yet, that is all of them.
    pub(super) fn worth_asking(&self, board: &Board) -> ShardSet {
        let all = self.submits();
        ShardSet::of(self.owners.iter().filter(|owner| all || owner.may_have(board)).map(|owner| owner.shard))
    }

    /// The owner of the function whose turn it is, with that turn, as far as the board tells: where turns go by the order of registration
    /// alone. It tells of several functions by one bit, so that the owner may have nothing of that turn after all.
    pub(super) fn first_in_turn(&self, board: &Board, names: &FunctionNames) -> Option<(ShardId, i64)> {
        let (turn, name) = self.abilities.first(TURNS_LOOKED_AT, |name| board.reads(names.spot(name)))?;
        // Less than the upper half counts has been registered since, or it leads to nothing.
        let behind = turn.wrapping_sub(self.first_turn as u32);
        Some((names.owner(name), self.first_turn + i64::from(behind)))
    }

    /// Panics unless what is known of owners is what is registered.
    pub(crate) fn check_owners(&self, names: &FunctionNames) {
        assert!(self.owners.is_sorted_by_key(|owner| owner.shard), "owners are found by number");
        assert!(self.notes() || self.owners.len() < 2, "of several owners some need not be asked");
        let of_none = |owner: &OwnerEntry| owner.known.is_some() != self.notes();
        assert!(!self.owners.iter().any(of_none), "of all owners or of none");
        for spot in self.abilities.iter().map(|name| names.spot(name)).filter(|_| self.notes()) {
            let owner = self.find_owner(spot.owner).ok().and_then(|at| self.owners[at].known.as_ref());
            assert!(owner.is_some_and(|known| known.contains(spot)), "what a worker knows is asked for");
        }
        if let Some(pulse) = &self.pulse {
            assert_eq!(pulse.is_asleep(), self.asleep && !self.noop_sent, "whoever sleeps is seen to");
        }
    }
}
