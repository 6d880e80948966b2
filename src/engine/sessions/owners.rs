//! What a session knows of the owners of its functions: which there are, which of them believe that it sleeps, and where it is worth
//! asking for a job. What is asked, and when, is in `grab.rs`.
use super::names::FunctionNames;
use super::session::Session;
use crate::board::Board;
use crate::slot::{ShardId, ShardSet};

/// So many times as many registrations as have ended are looked through for the slots that are left.
const LOOKED_THROUGH: usize = 8;

/// An owner of functions that a session has registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerEntry {
    pub(crate) shard: ShardId,
    /// How many registrations it has.
    pub(crate) abilities: u32,
    /// The nap by which it takes the session for asleep; 0 if it was not told, or asked for a job since.
    pub(crate) nap: u32,
}

/// Who woke a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waker {
    pub(crate) owner: ShardId,
    /// The owner's number of the function.
    pub(crate) function: u32,
    /// The nap that has ended.
    pub(crate) nap: u32,
}

impl Session {
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

    /// An owner has one registration more.
    pub(super) fn add_owned(&mut self, shard: ShardId) {
        match self.find_owner(shard) {
            Ok(at) => self.owners[at].abilities += 1,
            Err(at) => self.owners.insert(at, OwnerEntry { shard, abilities: 1, nap: 0 }),
        }
    }

    /// An owner has fewer registrations.
    pub(super) fn remove_owned(&mut self, shard: ShardId, gone: u32) {
        let at = self.find_owner(shard).expect("an ability has an owner");
        self.owners[at].abilities -= gone;
        if self.owners[at].abilities == 0 {
            self.owners.remove(at);
        }
    }

    /// Registrations have ended. A slot that is left over costs a question in vain now and then, so the slots are found anew only
    /// when enough have ended to pay for it.
    pub(super) fn note_ended(&mut self, gone: u32, names: &FunctionNames, board: &Board) {
        self.ended = self.ended.saturating_add(gone);
        if self.abilities.len() <= LOOKED_THROUGH * self.ended as usize {
            self.ended = 0;
            self.slots.clear();
            for name in self.abilities.iter() {
                self.slots.insert(board, names.slot(name));
            }
        }
    }

    /// Nothing is registered any more: the owners that had something.
    pub(super) fn take_owners(&mut self) -> alloc::vec::Vec<OwnerEntry> {
        self.ended = 0;
        self.slots.clear();
        core::mem::take(&mut self.owners)
    }

    /// The owners that may have a job for it now, as the board says. While a submission of its own is under way, which takes effect
    /// before whatever it asks now and stands nowhere yet, that is all of them.
    pub(super) fn worth_asking(&self, board: &Board) -> ShardSet {
        let all = self.submitted.is_some_and(|place| !self.replies.is_past(place));
        let owners = self.owners.iter().map(|owner| owner.shard);
        ShardSet::of(owners.filter(|&shard| all || board.may_have(shard, &self.slots)))
    }

    /// Panics unless owners and slots are those of what is registered.
    pub(crate) fn check_owners(&self, board: &Board, names: &FunctionNames) {
        assert!(self.owners.is_sorted_by_key(|owner| owner.shard), "owners are found by number");
        let known = |name| self.slots.contains(board, names.slot(name));
        assert!(!board.is_shared() || self.abilities.iter().all(known), "what a worker knows is asked for");
        if let Some(pulse) = &self.pulse {
            assert_eq!(pulse.is_asleep(), self.asleep && !self.noop_sent, "whoever sleeps is seen to");
        }
    }
}
