//! A registration: a worker knows a function. The table of them is in `party.rs`, what is done with it in `registrations.rs`.
use super::index::{Era, FunctionIx, HoldsIx, PartyIx};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A function that a worker knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    /// The least comes first.
    pub(crate) turn: i64,
    /// How many milliseconds the worker may take for a job; 0 is no limit.
    pub(crate) timeout_ms: u64,
    /// How often the worker has said CAN_DO.
    pub(crate) count: u32,
    /// It counts only as long as this is the era of its worker.
    pub(crate) era: Era,
    pub(crate) listed: Listed,
    /// The jobs that the worker was given, if there ever were any.
    pub(crate) holds: Option<HoldsIx>,
}

/// Whether a worker stands in the list of sleepers of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It does, at this place.
    At(u32),
    /// It does not, and stands at this place of [`super::party::Party::unlisted`], unless its era is over.
    No(u32),
}

/// All registrations of a shard, by worker and function.
pub(super) type Registrations = HashMap<(PartyIx, FunctionIx), Registration, FixedState>;
