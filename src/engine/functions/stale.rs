//! Functions with abandoned jobs, by the numbers by which workers find them. What is done with these is in `abandoned.rs`.
use super::index::FunctionIx;
use alloc::collections::BTreeMap;

/// Functions with abandoned jobs that nobody has discarded yet.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    pub(super) by_number: BTreeMap<u64, FunctionIx>,
    pub(super) last: u64,
}
