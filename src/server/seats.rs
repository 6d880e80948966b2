//! What every thread with an engine is given, a shard or the HTTP side. Values only.
use crate::engine::{Board, Policy};
use crate::frontend::SharedPort;
use std::sync::Arc;

/// What every thread with an engine has of all.
pub(super) struct Seats {
    pub(super) board: Board,
    pub(super) policy: Arc<Policy>,
    pub(super) frontend: SharedPort,
}
