//! What the machine has for a server: cores, descriptors, memory that may be locked, threads. Asked and raised once, at the start.
use super::error::ServerError;
use super::options::Descriptors;
use crate::shard::error::ShardError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::sched_getaffinity;
use std::thread;

/// The processors that this process may use: those of its affinity mask, fewer if its container grants less time.
pub(super) fn cores() -> Result<Vec<usize>, ServerError> {
    let mask =
        sched_getaffinity(None).map_err(|e| ServerError::system("ask which cores may be used", e.into()))?;
    let mut cores: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect();
    let granted = thread::available_parallelism().map_or(cores.len(), |count| count.get());
    cores.truncate(granted.max(1));
    Ok(cores)
}

/// Raises the limits on descriptors and on locked memory as far as they may be raised, and says if that is too little
/// to start. (The runtime would say it less clearly, some of it in a panic.)
pub(super) fn ask_for_room(
    shards: u16,
    addresses: usize,
    descriptors: Descriptors,
) -> Result<(), ShardError> {
    /// Descriptors of a shard besides its listeners: its ring, its bell, and those of the runtime.
    const PER_SHARD: usize = 8;
    /// Descriptors for everything else, a few connections among it.
    const BESIDES: usize = 32;
    /// Bytes that the runtime wants to be able to lock.
    const MEMLOCK: u64 = 512 << 10;

    let needed = BESIDES + usize::from(shards) * (PER_SHARD + addresses);
    let may_have = match descriptors {
        Descriptors::Most => raise(Resource::Nofile),
        Descriptors::AsSet => getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    };
    if may_have < needed as u64 {
        return Err(ShardError::Descriptors);
    }
    if raise(Resource::Memlock) < MEMLOCK {
        return Err(ShardError::Memlock);
    }
    Ok(())
}

/// Raises the limit on descriptors again, which somebody may have allowed to be higher since (`prlimit`). Says what it is now
/// if that is more.
pub(super) fn more_descriptors() -> Option<u64> {
    let before = getrlimit(Resource::Nofile).current?;
    let now = raise(Resource::Nofile);
    (now > before).then_some(now)
}

/// Raises a limit as far as it may be raised, and says how far that is.
fn raise(resource: Resource) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let raised = current != maximum && setrlimit(resource, Rlimit { current: maximum, maximum }).is_ok();
    // No limit at all is `None`.
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}

/// Starts a thread.
pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), ServerError> {
    match thread::Builder::new().name(name).spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServerError::system("start a thread", error)),
    }
}
