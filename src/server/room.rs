//! What the machine has for a server: cores, descriptors, memory that may be locked, threads. Asked and raised once, at the start.
use super::error::ServerError;
use super::options::Descriptors;
use crate::log_at;
use crate::logging::Level;
use crate::shard::error::ShardError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::thread;

/// The processors that this process may use.
#[derive(Debug)]
pub(super) struct Cores {
    /// How many: those of its affinity mask, fewer if its container grants less time.
    pub(super) count: usize,
    /// Which, if threads may be bound to them.
    list: Vec<usize>,
}

impl Cores {
    /// Asks the system. Where it does not tell, or does not let threads be bound, that is no reason not to start.
    pub(super) fn ask() -> Cores {
        let mask = sched_getaffinity(None).and_then(|mask| sched_setaffinity(None, &mask).map(|()| mask));
        let mut list: Vec<usize> = match &mask {
            Ok(mask) => (0..CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect(),
            Err(error) => {
                log_at!(
                    Level::Warning,
                    "threads cannot be bound to cores ({error}): they run on any; allow sched_setaffinity (in a unit, \
                     SystemCallFilter=@resources) to have each on its own"
                );
                Vec::new()
            }
        };
        let granted = thread::available_parallelism().map_or(list.len(), |count| count.get()).max(1);
        list.truncate(granted);
        let count = if list.is_empty() { granted } else { list.len() };
        Cores { count, list }
    }

    /// The one to bind this shard to, if any.
    pub(super) fn of_shard(&self, shard: usize) -> Option<usize> {
        self.list.get(shard % self.count).copied()
    }
}

/// Raises the limit on locked memory as far as it may be raised: io_uring's queues are locked.
pub(super) fn ask_for_memory() {
    raise(Resource::RLIMIT_MEMLOCK);
}

/// Raises the limit on descriptors as far as it may be raised, and says if that is too little to start with shards that need
/// so many each, listeners and bell not counted.
pub(super) fn ask_for_descriptors(
    shards: u16,
    each: usize,
    addresses: usize,
    descriptors: Descriptors,
) -> Result<(), ShardError> {
    /// Descriptors for everything else, a few connections among it.
    const BESIDES: usize = 32;

    let needed = BESIDES + usize::from(shards) * (each + 1 + addresses);
    let may_have = match descriptors {
        Descriptors::Most => raise(Resource::RLIMIT_NOFILE),
        Descriptors::AsSet => limits(Resource::RLIMIT_NOFILE).0,
    };
    if may_have < needed as u64 { Err(ShardError::Descriptors) } else { Ok(()) }
}

/// Raises the limit on descriptors again, which somebody may have allowed to be higher since (`prlimit`). Says what it is now
/// if that is more.
pub(super) fn more_descriptors() -> Option<u64> {
    let (before, _) = limits(Resource::RLIMIT_NOFILE);
    let now = raise(Resource::RLIMIT_NOFILE);
    (now > before).then_some(now)
}

/// Raises a limit as far as it may be raised, and says how far that is.
fn raise(resource: Resource) -> u64 {
    let (current, maximum) = limits(resource);
    let raised = current != maximum && setrlimit(resource, maximum, maximum).is_ok();
    if raised { maximum } else { current }
}

/// A limit, and how far it may be raised. One that the system does not tell is none: whatever it stops says so.
fn limits(resource: Resource) -> (u64, u64) {
    getrlimit(resource).unwrap_or((u64::MAX, u64::MAX))
}

/// Lets other threads go before this one where both want a core. Where that is forbidden, they share.
#[cfg(feature = "http")]
pub(super) fn give_way() {
    /// A third of the time of one that does not.
    const NICE: i32 = 5;

    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Starts a thread.
pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), ServerError> {
    match thread::Builder::new().name(name).spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServerError::Shard(ShardError::Threads(error))),
    }
}
