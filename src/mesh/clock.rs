//! The only clock of the threads that hold an engine. Read once a round: everything in a round happens at one time.
//! What is due at which time is not known here.
use crate::engine::{Epoch, Instant, Now};
use rustix::time::{ClockId, clock_gettime};

/// What time it is, on both clocks.
pub(crate) fn now() -> Now {
    let wall = clock_gettime(ClockId::Realtime);
    let millis = wall.tv_sec.saturating_mul(1000).saturating_add(wall.tv_nsec / 1_000_000);
    Now { instant: instant(), epoch: Epoch(u64::try_from(millis).unwrap_or(0)) }
}

/// What time it is on the clock that never goes back.
pub(crate) fn instant() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    Instant(u64::try_from(nanos).unwrap_or(0))
}
