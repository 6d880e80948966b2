//! What all engines of a job server see of each other without a message: which owner has something queued, and which worker
//! sleeps. Bits only; no jobs, no names. Who writes them is in `functions/` and `sessions/`.
//!
//! A worker whose functions have many owners would have to ask each of them at each grab, and to tell each of them that it
//! sleeps. Told by messages, what changes would cost one for each home and job. So it stands where everybody can read it:
//!
//! * Each owner has a thousand bits, and each of its functions is one of them: set as long as a worker that knows the function may find
//!   something there. The owner sets it before it answers the submission, so that whoever was told of a job finds it.
//! * Each worker has a [`Pulse`], which its home sets before it looks at the bits once more. An owner sets the bit before it looks
//!   whom it could wake, and looks at the pulse then. There is a fence between the two steps on both sides, so at least one sees the other:
//!   a job and a worker that falls asleep do not miss each other.
//!
//! That they do not is checked by `tests/loom`, over every order in which the two may come.
//!
//! A bit may be set in vain (another function has the same, another worker was faster), which costs a question. It is never clear while
//! there is something.
use super::slot::{ShardId, Slot, Topology};
use super::sync::{AtomicBool, AtomicU64, Ordering, fence};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// Words of bits that one owner has; with the summary they fill two lines of the cache.
const WORDS: usize = 15;
/// Bits that one owner has.
pub(crate) const BITS: usize = WORDS * 64;

/// The bits of one owner. Only that one writes them, and nothing else stands in the same lines of the cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line {
    words: [AtomicU64; WORDS],
    /// A bit for each of these that is not zero: mostly none is, and one look tells.
    summary: AtomicU64,
}

/// Where something of a function is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BoardSpot {
    pub(crate) owner: ShardId,
    /// Which of the owner's bits, below [`BITS`]: found by the name, like the slot, but by another part of its hash.
    pub(crate) bit: u16,
}

impl BoardSpot {
    fn word(self) -> (usize, u64) {
        (usize::from(self.bit / 64), 1 << (self.bit % 64))
    }
}

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

    /// Whether more than one engine looks at it; otherwise nothing need be written. Observers have no workers, and do not look.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.topology.told_of().len() > 1
    }

    /// Where a function is to be seen.
    pub(crate) fn spot(&self, function: &[u8]) -> BoardSpot {
        let (slot, rest) = Slot::with_rest(function);
        BoardSpot { owner: self.topology.owner(slot), bit: (rest % BITS as u64) as u16 }
    }

    /// Says whether there may be something. To be called by the owner only.
    pub(crate) fn write(&self, spot: BoardSpot, something: bool) {
        let (at, bit) = spot.word();
        let Line { words, summary } = &self.lines[spot.owner.index()];
        let (old, old_summary) = (words[at].load(Ordering::Relaxed), summary.load(Ordering::Relaxed));
        let new = if something { old | bit } else { old & !bit };
        words[at].store(new, Ordering::Release);
        // Behind the word: whoever sees this bit finds that one.
        let others = old_summary & !(1 << at);
        summary.store(others | u64::from(new != 0) << at, Ordering::Release);
        if something {
            // Before the owner looks for sleepers: see above.
            fence(Ordering::SeqCst);
        }
    }

    /// What stands there of a function.
    #[inline]
    pub(crate) fn reads(&self, spot: BoardSpot) -> bool {
        let (word, bit) = spot.word();
        self.lines[spot.owner.index()].words[word].load(Ordering::Acquire) & bit != 0
    }

    /// Whether an owner may have something of these functions.
    #[inline]
    pub(crate) fn may_have(&self, owner: ShardId, known: &KnownBits) -> bool {
        let Line { words, summary } = &self.lines[owner.index()];
        let mut left = summary.load(Ordering::Acquire);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            if known.0[at] & words[at].load(Ordering::Acquire) != 0 {
                return true;
            }
            left &= left - 1;
        }
        false
    }
}

/// The functions of one owner that a worker knows, as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownBits(Box<[u64; WORDS]>);

impl KnownBits {
    /// One more.
    pub(crate) fn insert(&mut self, spot: BoardSpot) {
        let (word, bit) = spot.word();
        self.0[word] |= bit;
    }

    /// Whether one is among them.
    pub(crate) fn contains(&self, spot: BoardSpot) -> bool {
        let (word, bit) = spot.word();
        self.0[word] & bit != 0
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
