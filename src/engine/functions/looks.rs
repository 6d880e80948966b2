//! Which functions of an owner workers may find something of: counted here by bit of the board, for several functions may have the
//! same, and written there when it changes. What makes a function worth a look is said in `function.rs`.
use crate::board::{BITS, Board, BoardSpot};
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
    pub(super) fn spot(&self, name: &[u8]) -> BoardSpot {
        self.board.spot(name)
    }

    /// Whether anybody else looks: otherwise nothing need be counted.
    #[inline]
    pub(super) fn are_shared(&self) -> bool {
        !self.counts.is_empty()
    }

    /// One function more is worth a look, or one less.
    pub(super) fn count(&mut self, spot: BoardSpot, worth: bool) {
        let count = &mut self.counts[usize::from(spot.bit)];
        *count = if worth { *count + 1 } else { *count - 1 };
        if *count == u32::from(worth) && self.planted.is_none_or(|planted| planted != worth) {
            self.board.write(spot, worth);
        }
    }

    /// Panics unless these, one for each function that is worth a look, are what was counted and what stands on the board.
    pub(super) fn check(&self, owner: ShardId, spots: impl Iterator<Item = BoardSpot>) {
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
            assert!(count > 0 || !self.board.reads(BoardSpot { owner, bit }), "nobody is asked in vain");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::board::{BITS, Board, KnownBits};
    use crate::slot::{ShardId, Slot, Topology};
    use alloc::format;

    #[test]
    fn what_is_written_of_a_function_is_read_by_whoever_knows_it() {
        for shards in [1, 2, 3, 8, 32, 255] {
            let board = Board::new(Topology::new(shards));
            let (mine, other) = (board.spot(b"mine"), board.spot(b"other"));
            assert_ne!(mine.bit, other.bit);
            assert_eq!(mine.owner, board.topology().owner(Slot::of(b"mine")));
            let mut known = KnownBits::default();
            known.insert(mine);
            assert!(known.contains(mine) && !known.contains(other));
            board.write(other, true);
            assert!(!board.may_have(mine.owner, &known), "{shards}: another function");
            board.write(mine, true);
            assert!(board.may_have(mine.owner, &known) && board.reads(mine), "{shards}");
            board.write(mine, false);
            assert!(
                !board.may_have(mine.owner, &known) && board.reads(other),
                "{shards}: the other one stays"
            );
        }
    }

    /// Functions of one owner stand apart as well as a hash lets them.
    #[test]
    fn functions_of_one_slot_have_bits_of_their_own() {
        let board = Board::new(Topology::new(32));
        let spots = (0..100_000_u32).map(|n| board.spot(format!("function-{n}").as_bytes()));
        let mut seen = [0_u32; BITS];
        for spot in spots.filter(|spot| spot.owner == ShardId(7)) {
            seen[usize::from(spot.bit)] += 1;
        }
        assert!(seen.iter().all(|&count| count < 16), "3 of each are expected");
    }
}
