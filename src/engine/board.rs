//! What all engines of a job server see of each other without a message: which owner has something queued, and which worker
//! sleeps. Bits only; no jobs, no names. Who writes them is in `functions/` and `sessions/`.
//!
//! A worker whose functions have many owners would have to ask each of them at each grab, and to tell each of them that it
//! sleeps. Told by messages, what changes would cost one for each home and job. So it stands where everybody can read it:
//!
//! * Each owner has a bit for each of its slots: set as long as a worker that knows a function of the slot may find something there.
//!   The owner sets it before it answers the submission, so that whoever was told of a job finds it.
//! * Each worker has a [`Pulse`], which its home sets before it looks at the bits once more. An owner sets the bit before it looks
//!   whom it could wake, and looks at the pulse then. There is a fence between the two steps on both sides, so at least one sees the other:
//!   a job and a worker that falls asleep do not miss each other.
//!
//! A bit may be set in vain (another function of the slot, another worker was faster), which costs a question. It is never clear while
//! there is something.
use crate::slot::{SLOTS, ShardId, Slot, Topology};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Words of bits for the slots of one owner: with one shard it has all of them.
const WORDS: usize = SLOTS as usize / 64;

/// The bits of one owner. Only that one writes them, and nothing else stands in the same lines of the cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([AtomicU64; WORDS]);

/// What the engines of one job server share. Copies are of the same board.
#[derive(Clone, Debug)]
pub struct Board {
    topology: Topology,
    /// By owner.
    lines: Arc<[Line]>,
}

impl Board {
    /// A board on which nothing stands, for all engines of a job server.
    pub fn new(topology: Topology) -> Board {
        Board { topology, lines: topology.owners().map(|_| Line::default()).collect() }
    }

    /// Which engines there are.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Whether more than one engine looks at it; otherwise nothing need be written.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.topology.homes().len() > 1
    }

    /// How many words the slots of one owner fill.
    #[inline]
    fn words(&self) -> usize {
        usize::from(SLOTS).div_ceil(self.topology.owners().len()).div_ceil(64)
    }

    /// Where the bit of a slot stands among those of its owner: the word, and the bit in it.
    #[inline]
    fn place(&self, slot: Slot) -> (usize, u64) {
        let at = self.topology.rank(slot);
        (at / 64, 1 << (at % 64))
    }

    /// Says whether there may be something in a slot. To be called by its owner only.
    pub(crate) fn write(&self, slot: Slot, something: bool) {
        let (word, bit) = self.place(slot);
        let word = &self.lines[self.topology.owner(slot).index()].0[word];
        let old = word.load(Ordering::Relaxed);
        word.store(if something { old | bit } else { old & !bit }, Ordering::Release);
        if something {
            // Before the owner looks for sleepers: see above.
            fence(Ordering::SeqCst);
        }
    }

    /// Whether an owner may have something in one of these slots.
    #[inline]
    pub(crate) fn may_have(&self, owner: ShardId, slots: &KnownSlots) -> bool {
        let words = self.words();
        let at = owner.index() * words;
        // Where nobody else looks nothing is noted, and asking costs no message.
        let Some(known) = slots.0.get(at..at + words) else { return true };
        let line = &self.lines[owner.index()].0;
        known.iter().zip(line).any(|(known, there)| known & there.load(Ordering::Acquire) != 0)
    }

    /// What stands there of a slot, for those who check.
    pub(crate) fn reads(&self, slot: Slot) -> bool {
        let (word, bit) = self.place(slot);
        self.lines[self.topology.owner(slot).index()].0[word].load(Ordering::Acquire) & bit != 0
    }
}

/// The slots of the functions that a worker knows, as bits in the order of the board. Empty as long as there are none.
#[derive(Debug, Default)]
pub(crate) struct KnownSlots(Box<[u64]>);

impl KnownSlots {
    /// One slot more.
    pub(crate) fn insert(&mut self, board: &Board, slot: Slot) {
        let words = board.words();
        if self.0.is_empty() {
            self.0 = core::iter::repeat_n(0, words * board.topology.owners().len()).collect();
        }
        let (word, bit) = board.place(slot);
        self.0[board.topology.owner(slot).index() * words + word] |= bit;
    }

    /// Whether a slot is among them.
    pub(crate) fn contains(&self, board: &Board, slot: Slot) -> bool {
        let (word, bit) = board.place(slot);
        let at = board.topology.owner(slot).index() * board.words() + word;
        self.0.get(at).is_some_and(|word| word & bit != 0)
    }

    /// None any more.
    pub(crate) fn clear(&mut self) {
        self.0 = Box::default();
    }
}

/// Whether a worker is asleep and was not sent NOOP since. Its home writes it, owners of its functions read it.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicBool>);

impl Pulse {
    /// It falls asleep. Whoever looks at the board afterwards sees all that was written by owners that did not see this.
    pub(crate) fn sleeps(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// It is awake, or was told to wake up.
    pub(crate) fn wakes(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether it can be woken.
    #[inline]
    pub(crate) fn is_asleep(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl PartialEq for Pulse {
    fn eq(&self, other: &Pulse) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pulse {}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_of(number: u32) -> Slot {
        Slot::of(&number.to_be_bytes())
    }

    #[test]
    fn what_is_written_of_a_slot_is_read_by_whoever_knows_it() {
        for shards in [1, 2, 3, 8, 32, 255] {
            let board = Board::new(Topology::new(shards));
            let mut known = KnownSlots::default();
            let (mine, other) = (slot_of(1), slot_of(2));
            assert_ne!(mine, other);
            known.insert(&board, mine);
            let owner = board.topology.owner(mine);
            assert!(known.contains(&board, mine) && !known.contains(&board, other));
            board.write(other, true);
            assert!(!board.may_have(owner, &known), "{shards}: another slot");
            board.write(mine, true);
            assert!(board.may_have(owner, &known) && board.reads(mine), "{shards}");
            board.write(mine, false);
            assert!(!board.may_have(owner, &known) && board.reads(other), "{shards}: the other one stays");
        }
    }

    #[test]
    fn every_slot_has_a_bit_of_its_own() {
        for shards in [1, 2, 7, 255] {
            let board = Board::new(Topology::new(shards));
            let mut known = KnownSlots::default();
            for number in 0..20_000 {
                known.insert(&board, slot_of(number));
            }
            let bits: u32 = known.0.iter().map(|word| word.count_ones()).sum();
            assert_eq!(bits, u32::from(SLOTS), "{shards}");
        }
    }
}
