//! Numbers of places in the tables, and of eras: what the things of one table keep of those of another. No table is here.

/// A place in the table of jobs. Reused; a [`JobId`] is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobIx(pub(crate) u32);

/// A place in the table of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FunctionIx(pub(crate) u32);

impl FunctionIx {
    /// No function.
    pub(crate) const NONE: FunctionIx = FunctionIx(u32::MAX);
}

/// A place in the table of parties. Valid from the first message of a session until it is gone and nothing of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartyIx(pub(crate) u32);

/// A worker's time between two moments at which it has given up all that it had registered. What it did in an earlier one
/// is over, though not all of that may have been put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era(u32);

impl Era {
    pub(super) const FIRST: Era = Era(1);
    /// Of no worker.
    pub(crate) const NONE: Era = Era(0);

    /// The era after this one.
    pub(super) fn next(self) -> Era {
        Era(self.0.wrapping_add(1).max(1))
    }
}

/// A place in the table of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldsIx(pub(crate) u32);
