//! Which functions of an owner workers may find something of: counted here by bit of the board, for several functions may have the
//! same, and written there when it changes. What makes a function worth a look is said in `function.rs`.
use crate::board::{BITS, Board, Spot};
use crate::policy::{Planted, Policy};
use crate::slot::ShardId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// By bit, how many of its functions have something in a queue, or abandoned jobs that are to be discarded.
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
        let bits = if board.is_shared() { BITS } else { 0 };
        Looks { board, counts: core::iter::repeat_n(0, bits).collect(), planted }
    }

    /// Where a function of this name is to be seen.
    pub(super) fn spot(&self, name: &[u8]) -> Spot {
        self.board.spot(name)
    }

    /// Whether anybody else looks: otherwise nothing need be counted.
    #[inline]
    pub(super) fn are_shared(&self) -> bool {
        !self.counts.is_empty()
    }

    /// One function more is worth a look, or one less.
    pub(super) fn count(&mut self, spot: Spot, worth: bool) {
        let count = &mut self.counts[usize::from(spot.bit)];
        *count = if worth { *count + 1 } else { *count - 1 };
        if *count == u32::from(worth) && self.planted.is_none_or(|planted| planted != worth) {
            self.board.write(spot, worth);
        }
    }

    /// Panics unless these, one for each function that is worth a look, are what was counted and what stands on the board.
    pub(super) fn check(&self, owner: ShardId, spots: impl Iterator<Item = Spot>) {
        // A guest owns nothing.
        if !self.are_shared() || owner.index() >= self.board.topology().owners().len() {
            return;
        }
        let mut left: BTreeMap<u16, u32> = BTreeMap::new();
        for spot in spots {
            assert!(self.board.reads(spot), "what may be found stands on the board");
            *left.entry(spot.bit).or_default() += 1;
        }
        for (bit, &count) in (0..).zip(&self.counts) {
            assert_eq!(count, left.remove(&bit).unwrap_or(0), "what may be found is counted");
            assert!(count > 0 || !self.board.reads(Spot { owner, bit }), "nobody is asked in vain");
        }
    }
}
