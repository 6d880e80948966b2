//! The thread under a shard: it takes one turn of the shard after the other until that is over. Where sockets are served by
//! io_uring, the thread is an executor of glommio, which looks after itself when a turn says so; where they are served by epoll, it
//! is a plain loop. What a turn is, is `mod.rs`.
use super::error::ShardError;
use crate::log_at;
use crate::logging::Level;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};
use nix::sys::resource::{Resource, getrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;

/// Memory for the runtime's own input and output, of which there is none: its least.
const RUNTIME_MEMORY: usize = 64 << 10;

/// Bytes that the runtime wants to be allowed to lock.
const RUNTIME_LOCKABLE: u64 = 512 << 10;

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

/// What a thread runs in.
pub(super) enum Host {
    /// A runtime.
    Glommio(LocalExecutor),
    /// Nothing.
    Plain,
}

impl Host {
    /// A runtime, on this thread. It reads nothing of the machine, binds nothing and starts no thread of its own: each of these
    /// panics where it is forbidden.
    pub(super) fn glommio() -> Result<Host, ShardError> {
        // It asks the same, and says it less clearly.
        if getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(limit, _)| limit < RUNTIME_LOCKABLE) {
            return Err(ShardError::Memlock);
        }
        LocalExecutorBuilder::new(Placement::Unbound)
            .blocking_thread_pool_placement(PoolPlacement::Custom(Vec::new()))
            .io_memory(RUNTIME_MEMORY)
            .make()
            .map(Host::Glommio)
            .map_err(of_runtime)
    }

    /// Takes turns until one says that it is over, or an error.
    pub(super) fn run<S>(
        self,
        mut runs: S,
        turn: impl Fn(&mut S) -> Result<Turn, ShardError>,
    ) -> Result<(), ShardError> {
        let executor = match self {
            Host::Glommio(executor) => executor,
            Host::Plain => loop {
                if turn(&mut runs)? == Turn::Over {
                    return Ok(());
                }
            },
        };
        executor.run(async move {
            loop {
                match turn(&mut runs)? {
                    Turn::Again => {}
                    Turn::Yield => glommio::executor().yield_task_queue_now().await,
                    Turn::Over => return Ok(()),
                }
            }
        })
    }
}

/// Binds this thread to a core. Where that does not succeed, the system moves it from core to core.
pub(super) fn bind(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = sched_setaffinity(None, &cores) {
        log_at!(Level::Warning, "cannot bind a thread to core {core} ({error}): it runs on any");
    }
}

fn of_runtime(error: GlommioError<()>) -> ShardError {
    match error {
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => {
            ShardError::of_ring(error)
        }
        error => ShardError::of_ring(io::Error::other(error.to_string())),
    }
}
