//! What the other threads tell the control thread. Values only: what follows is in `running.rs`.
use crate::shard::error::ShardError;
use crate::store::StoreError;
use crate::store::replay::Replay;
use nix::sys::signal::Signal;

/// Something that the control thread waits for.
pub(super) enum News {
    /// A shard serves.
    Started,
    /// A shard has ended.
    Ended(Result<(), ShardError>),
    /// The operator wants something.
    Signal(Signal),
    /// How far the stored jobs are read.
    Replay(Replay),
    /// The store has ended.
    Closed(Result<(), StoreError>),
}
