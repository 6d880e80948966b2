//! Lines that were never written, counted.
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines that were never written: dropped for want of room, and withheld because they repeat others. Since
/// [`take_lost`] was last asked.
pub(super) static DROPPED: AtomicU64 = AtomicU64::new(0);
pub(super) static WITHHELD: AtomicU64 = AtomicU64::new(0);

/// How many lines were dropped for want of room, and how many withheld because they repeat others, since this was last
/// asked. For the counters.
pub fn take_lost() -> (u64, u64) {
    (DROPPED.swap(0, Ordering::Relaxed), WITHHELD.swap(0, Ordering::Relaxed))
}
