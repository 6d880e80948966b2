//! The allocator, and giving memory back to the system when much of it has become free. What is kept in memory is not
//! decided here.
#![allow(unsafe_code)]
use crate::engine::Instant;
use std::time::Duration;

/// Jobs are many small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives back what this thread has freed.
fn give_back() {
    // SAFETY: any thread may call this at any time; it only touches memory that nobody has.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// When to give memory back: the allocator does so while it works, and an idle shard does not work.
#[derive(Debug, Default)]
pub(crate) struct Tidy {
    /// The most jobs since memory was last given back.
    peak: u64,
    /// When there were first less than half of that.
    since: Option<Instant>,
}

impl Tidy {
    /// Fewer jobs than this are no matter.
    const FEW: u64 = 10_000;
    /// How long the number of jobs must have been low, so that a queue that goes up and down keeps its memory.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Notes how many jobs there are.
    #[inline]
    pub(crate) fn look(&mut self, jobs: u64, now: Instant) {
        if jobs >= self.peak {
            self.peak = jobs;
        }
        if self.peak < Self::FEW || jobs > self.peak / 2 {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// When to call [`Tidy::act`].
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since.after(Self::PATIENCE))
    }

    /// Gives memory back, if it is time.
    #[inline]
    pub(crate) fn act(&mut self, jobs: u64, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            give_back();
            (self.peak, self.since) = (jobs, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_a_second_after_half_of_the_jobs_have_gone() {
        let second = |n: u64| Instant(n * 1_000_000_000);
        let mut tidy = Tidy::default();
        tidy.look(100_000, second(1));
        tidy.look(60_000, second(2));
        assert_eq!(tidy.deadline(), None);
        tidy.look(40_000, second(3));
        tidy.look(30_000, second(4));
        assert_eq!(tidy.deadline(), Some(second(4)));
        tidy.look(70_000, second(4));
        assert_eq!(tidy.deadline(), None);
        tidy.look(40_000, second(5));
        tidy.act(40_000, second(6));
        assert_eq!(tidy.deadline(), None);
        tidy.look(30_000, second(7));
        assert_eq!(tidy.deadline(), None);
        tidy.look(100, second(8));
        assert_eq!(tidy.deadline(), Some(second(9)));
        let mut few = Tidy::default();
        few.look(9_999, second(1));
        few.look(0, second(2));
        assert_eq!(few.deadline(), None);
    }
}
