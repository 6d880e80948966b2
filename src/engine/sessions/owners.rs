//! An owner of functions as a session sees it, and who woke a session. What a session does with them is in `owned.rs`.
use crate::board::{BITS, Board, KnownBits};
use crate::slot::ShardId;

/// An owner of functions that a session has registered.
#[derive(Clone, Debug)]
pub(crate) struct OwnerEntry {
    pub(crate) shard: ShardId,
    /// How many registrations it has.
    pub(crate) abilities: u32,
    /// The nap by which it takes the session for asleep; 0 if it was not told, or asked for a job since.
    pub(crate) nap: u32,
    /// Which of its functions. `None` as long as there has been one owner only: that one is always asked.
    pub(super) known: Option<KnownBits>,
}

impl OwnerEntry {
    /// Bytes that it takes with what is known of its functions.
    pub(super) const BYTES: usize = size_of::<OwnerEntry>() + size_of::<KnownBits>() + BITS / 8 + 16;

    /// Whether it may have a job for the session, as the board says.
    #[inline]
    pub(super) fn may_have(&self, board: &Board) -> bool {
        self.known.as_ref().is_none_or(|known| board.may_have(self.shard, known))
    }
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
