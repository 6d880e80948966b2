//! A grab under way at several owners: what was asked and what has been heard. What follows from that is in `grab.rs`.
use crate::message::{Candidate, Place};
use crate::slot::ShardId;
use alloc::vec::Vec;
use ringgear_protocol::GrabKind;

/// A grab under way at several owners.
#[derive(Debug)]
pub(crate) struct GrabRound {
    pub(super) place: Place,
    pub(super) kind: GrabKind,
    /// Races lost so far.
    pub(super) lost: u8,
    pub(super) step: GrabStep,
}

#[derive(Debug)]
pub(super) enum GrabStep {
    /// All owners were asked; `missing` have not answered.
    Peek { missing: usize, best: Option<(Candidate, ShardId)> },
    /// The owner of the best job was asked for it.
    Take,
    /// Owners are asked one after the other; these are left.
    Sweep { left: Vec<ShardId> },
}
