//! The clock by which holds are measured: one that goes on while the machine is suspended, as a virtual machine may be, since the
//! other servers go on then, too. Never set, and compared with itself only.
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A time on the clock that counts from the start of the machine, suspended or not, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub u64);

impl BootTime {
    /// What time it is.
    pub fn now() -> BootTime {
        let time = clock_gettime(ClockId::Boottime);
        let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
        BootTime(u64::try_from(nanos).unwrap_or(0))
    }

    /// So much later.
    pub fn after(self, time: Duration) -> BootTime {
        BootTime(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after an earlier time; nothing, if that is later.
    pub fn since(self, earlier: BootTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
