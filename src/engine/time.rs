//! Time as values. The engine never reads a clock: whoever calls it says what time it is.
use core::time::Duration;

/// A point on a clock that never goes back, in nanoseconds since some start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This point and a duration after it.
    pub fn after(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Wall-clock time in milliseconds since 1970. It may be set back and forth by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// A time in whole seconds, as SUBMIT_JOB_EPOCH gives it.
    pub fn from_seconds(seconds: u64) -> Epoch {
        Epoch(seconds.saturating_mul(1000))
    }
}

/// What time it is, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For durations: time-outs, the pace of waking.
    pub instant: Instant,
    /// For dates: epoch jobs.
    pub epoch: Epoch,
}

impl Now {
    /// When it was this time on the wall, as far as the present ways of both clocks tell; now, if that is still to come.
    pub(crate) fn before(self, epoch: Epoch) -> Instant {
        let ago = self.epoch.0.saturating_sub(epoch.0).saturating_mul(1_000_000);
        Instant(self.instant.0.saturating_sub(ago))
    }
}
