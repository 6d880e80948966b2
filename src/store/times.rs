//! How long commits take: written by the thread of the store, read by whoever tells of it.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The upper bounds of the buckets, in microseconds; a last one has none.
pub(crate) const COMMIT_BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];
const BUCKETS: usize = COMMIT_BOUNDS_US.len() + 1;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct CommitTimes {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
    bytes: AtomicU64,
    /// Since when the commit is under way, in microseconds since the beginning and one; 0 if none is.
    since_us: AtomicU64,
    beginning: Instant,
}

impl Default for CommitTimes {
    fn default() -> CommitTimes {
        let [sum_us, bytes, since_us] = [const { AtomicU64::new(0) }; 3];
        CommitTimes {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum_us,
            bytes,
            since_us,
            beginning: Instant::now(),
        }
    }
}

impl CommitTimes {
    /// A commit of so many bytes begins.
    pub(super) fn begin(&self, bytes: usize) {
        let add = self.bytes.load(Ordering::Relaxed) + bytes as u64;
        self.bytes.store(add, Ordering::Relaxed);
        let since = micros(self.beginning.elapsed());
        self.since_us.store(since + 1, Ordering::Relaxed);
    }

    /// It is over, and came to whatever it came to.
    pub(super) fn end(&self) {
        let since = self.since_us.swap(0, Ordering::Relaxed);
        let took = micros(self.beginning.elapsed()).saturating_sub(since.saturating_sub(1));
        let bucket = COMMIT_BOUNDS_US.iter().position(|&bound| took <= bound).unwrap_or(BUCKETS - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took, Ordering::Relaxed);
    }

    /// How long they took, and for how long one has been under way.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn read(&self) -> CommitSums {
        let since = self.since_us.load(Ordering::Relaxed);
        let under_way = (since > 0).then(|| micros(self.beginning.elapsed()).saturating_sub(since - 1));
        CommitSums {
            counts: self.counts.each_ref().map(|count| count.load(Ordering::Relaxed)),
            sum_us: self.sum_us.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            under_way_us: under_way.unwrap_or(0),
        }
    }
}

/// What commits have taken so far.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitSums {
    /// By bucket.
    pub(crate) counts: [u64; BUCKETS],
    /// Microseconds of all.
    pub(crate) sum_us: u64,
    /// Bytes of records.
    pub(crate) bytes: u64,
    /// For how many microseconds one has been under way; 0 if none is.
    pub(crate) under_way_us: u64,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_when_they_are_over() {
        let times = CommitTimes::default();
        times.begin(100);
        while times.read().under_way_us == 0 {
            std::thread::yield_now();
        }
        assert_eq!((times.read().counts.iter().sum::<u64>(), times.read().bytes), (0, 100));
        times.end();
        let read = times.read();
        assert_eq!((read.counts.iter().sum::<u64>(), read.under_way_us), (1, 0));
        assert!(read.sum_us > 0);
    }
}
