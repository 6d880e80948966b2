//! The machine's cores: how many there are, and which of them a thread may use.
use std::fs;
use std::io;
use std::num::NonZeroU64;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_current_timer_slack};

/// Lets the calling thread, and what it starts, run on these cores only.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(io::Error::other(format!("there is no core {core}")));
        }
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Lets the calling thread wake to the nanosecond: the kernel otherwise gathers timers within 50 microseconds. It may refuse; timer
/// error shows it.
pub(crate) fn wake_exactly() {
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// The cores that this process may use, rising.
pub(crate) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return vec![] };
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
}

/// The machine's cores, whichever of them this process may use.
pub(crate) fn count() -> usize {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpus.lines().filter(|line| line.starts_with("processor")).count().max(1)
}
