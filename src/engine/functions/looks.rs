//! In which slots of an owner workers may find something: counted here, for several functions share a slot, and written on the
//! board when it changes. What makes a function worth a look is said in `function.rs`.
use crate::board::Board;
use crate::policy::{Planted, Policy};
use crate::slot::{SLOTS, ShardId, Slot};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// By slot, how many of its functions have something in a queue, or abandoned jobs that are to be discarded.
#[derive(Debug)]
pub(super) struct Looks {
    board: Board,
    /// Empty where nobody else looks.
    counts: Box<[u32]>,
    /// A planted bug: what stands on the board does not change to this.
    planted: Option<bool>,
}

impl Looks {
    pub(super) fn new(board: Board, policy: &Policy) -> Looks {
        let planted = [(Planted::LooksEmpty, true), (Planted::LooksFull, false)];
        let planted = planted.into_iter().find(|&(bug, _)| policy.plants(bug)).map(|(_, to)| to);
        let slots = if board.is_shared() { usize::from(SLOTS) } else { 0 };
        Looks { board, counts: core::iter::repeat_n(0, slots).collect(), planted }
    }

    /// Whether anybody else looks: otherwise nothing need be counted.
    #[inline]
    pub(super) fn are_shared(&self) -> bool {
        !self.counts.is_empty()
    }

    /// One function of a slot more is worth a look, or one less.
    pub(super) fn count(&mut self, slot: Slot, worth: bool) {
        let count = &mut self.counts[slot.index()];
        *count = if worth { *count + 1 } else { *count - 1 };
        if *count == u32::from(worth) && self.planted.is_none_or(|planted| planted != worth) {
            self.board.write(slot, worth);
        }
    }

    /// Panics unless these slots, one for each function that is worth a look, are what was counted and what stands on the board.
    pub(super) fn check(&self, here: ShardId, slots: impl Iterator<Item = Slot>) {
        if !self.are_shared() {
            return;
        }
        let mut left: BTreeMap<usize, u32> = BTreeMap::new();
        for slot in slots {
            assert!(self.board.reads(slot), "what may be found stands on the board");
            *left.entry(slot.index()).or_default() += 1;
        }
        for (slot, &count) in Slot::all().zip(&self.counts) {
            assert_eq!(count, left.remove(&slot.index()).unwrap_or(0), "what may be found is counted");
            let is_ours = self.board.topology().owner(slot) == here;
            assert!(count > 0 || !is_ours || !self.board.reads(slot), "nobody is asked in vain");
        }
    }
}
