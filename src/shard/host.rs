//! The thread under a shard: bound to a core, it takes one turn of the shard after the other until that is over. Today the
//! thread is an executor of glommio, which binds it and looks after itself when a turn says so; a plain loop over the same
//! turns would do. What a turn is, is `mod.rs`.
use super::error::ShardError;
use glommio::{GlommioError, LocalExecutorBuilder, Placement, ReactorErrorKind};
use std::io;

/// Memory for the runtime's own input and output, of which there is none: its least.
const RUNTIME_MEMORY: usize = 64 << 10;

/// What is to follow a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Another turn.
    Again,
    /// Another turn, after whatever else runs on this thread. To be said now and then, or the runtime never looks after
    /// itself.
    Yield,
    /// Nothing: the shard has ended.
    Over,
}

/// Binds this thread to a core, makes there what is to run, and takes turns until one says that it is over, or an error.
pub(super) fn run<S>(
    core: usize,
    make: impl FnOnce() -> Result<S, ShardError>,
    turn: impl Fn(&mut S) -> Result<Turn, ShardError>,
) -> Result<(), ShardError> {
    let executor = LocalExecutorBuilder::new(Placement::Fixed(core))
        .io_memory(RUNTIME_MEMORY)
        .make()
        .map_err(of_runtime)?;
    executor.run(async move {
        let mut runs = make()?;
        loop {
            match turn(&mut runs)? {
                Turn::Again => {}
                Turn::Yield => glommio::executor().yield_task_queue_now().await,
                Turn::Over => return Ok(()),
            }
        }
    })
}

fn of_runtime(error: GlommioError<()>) -> ShardError {
    match error {
        GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(..)) => ShardError::Memlock,
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => {
            ShardError::of_ring(error)
        }
        error => ShardError::of_ring(io::Error::other(error.to_string())),
    }
}
