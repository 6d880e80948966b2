//! Entries of sleeping workers beside functions, and what a function still has to wake. Waking them is in `wake.rs`.
use super::index::PartyIx;
use super::slab::{Linked, Pieces, Slab};

/// An entry in a function's list of sleepers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleeper {
    pub(crate) party: PartyIx,
    /// Entries that were made later have a larger one.
    pub(super) stamp: u64,
}

/// The sleepers of all functions.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    pub(super) slab: Slab<Linked<Sleeper>, Pieces<Linked<Sleeper>>>,
    /// Of the entry that was made last.
    pub(super) stamp: u64,
}

/// Whom a function still has to wake, apart from whoever was woken at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waking {
    /// Everybody whose entry was made up to here.
    pub(super) upto: u64,
    /// So many besides.
    pub(super) more: u32,
    /// There is a chore that does it.
    pub(super) is_chore: bool,
}
