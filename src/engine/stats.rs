//! What is counted of each function: how long its jobs waited and ran, and what became of them. Values only; where something is
//! counted is where it happens, in `functions/`.

/// The upper bounds of a [`Histogram`]'s buckets, in milliseconds; a last bucket has no bound.
pub const BOUNDS_MS: [u64; 15] =
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000, 120_000, 600_000, 3_600_000];

/// Buckets of a histogram.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// So often it took no longer than the bound with the same place in [`BOUNDS_MS`], and longer than the one before.
    pub counts: [u64; BUCKETS],
    /// What all of them took together, in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    /// Something took so long.
    #[inline(always)]
    pub(crate) fn add(&mut self, ms: u64) {
        // Most jobs neither wait nor run for a millisecond.
        if ms == 0 {
            self.counts[0] += 1;
        } else {
            self.add_some(ms);
        }
    }

    #[inline(never)]
    fn add_some(&mut self, ms: u64) {
        self.counts[bucket(ms)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// How often something was counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// What came since an earlier look at the same histogram.
    #[must_use]
    pub fn since(&self, before: &Histogram) -> Histogram {
        let mut counts = self.counts;
        counts.iter_mut().zip(before.counts).for_each(|(count, less)| *count = count.saturating_sub(less));
        Histogram { counts, sum_ms: self.sum_ms.saturating_sub(before.sum_ms) }
    }

    /// The time that so many of a thousand took at the most, in milliseconds, linear inside a bucket. `None` if there is none;
    /// false beside the last bound where it may have been longer than that.
    pub fn quantile(&self, permille: u64) -> Option<(u64, bool)> {
        let count = self.count();
        let rank = (count * permille.min(1000)).div_ceil(1000).max(1);
        let mut below = 0;
        for (at, &here) in self.counts.iter().enumerate() {
            if below + here >= rank && here > 0 {
                let Some(&upper) = BOUNDS_MS.get(at) else { return Some((BOUNDS_MS[at - 1], false)) };
                let lower = if at == 0 { 0 } else { BOUNDS_MS[at - 1] };
                return Some((lower + (upper - lower) * (rank - below) / here, true));
            }
            below += here;
        }
        None
    }
}

#[inline(always)]
fn bucket(ms: u64) -> usize {
    BOUNDS_MS.iter().position(|&bound| ms <= bound).unwrap_or(BOUNDS_MS.len())
}

macro_rules! function_stats {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// What was counted of one function, or of several together, since the start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct FunctionStats {
            /// How long jobs waited, each time that one was given to a worker: since it was accepted, since its time had come, or
            /// since its last attempt was lost.
            pub wait: Histogram,
            /// How long workers took for jobs of which they told the end; a word that came after the time limit is not among them.
            pub run: Histogram,
            $(#[doc = $doc] pub $name: u64,)*
        }

        impl FunctionStats {
            /// Adds those of others.
            pub fn merge(&mut self, other: &FunctionStats) {
                self.wait.merge(&other.wait);
                self.run.merge(&other.run);
                $(self.$name += other.$name;)*
            }

            /// Takes away some of those that were added.
            pub fn take_away(&mut self, some: &FunctionStats) {
                (self.wait, self.run) = (self.wait.since(&some.wait), self.run.since(&some.run));
                $(self.$name = self.$name.saturating_sub(some.$name);)*
            }

            /// The counters, with their names, in the order of declaration.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

function_stats! {
    /// Jobs accepted as new.
    accepted,
    /// Submissions that joined a job.
    coalesced,
    /// Submissions refused: by a limit, or because the store had no room.
    refused,
    /// Jobs completed.
    completed,
    /// Jobs failed by their worker.
    failed,
    /// Jobs that ended with an exception.
    exceptions,
    /// Jobs that went back to their queue after a lost attempt.
    requeued,
    /// Jobs whose worker took too long.
    timed_out,
    /// Jobs whose attempts were used up; background jobs among them are dead, not ended.
    out_of_attempts,
    /// Jobs cancelled by an administrator.
    cancelled,
    /// Queued jobs dropped because all their clients had left.
    abandoned,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_a_bucket() {
        for (ms, at) in
            [(0, 0), (1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (1000, 9), (1001, 10), (3_600_000, 14)]
        {
            let mut histogram = Histogram::default();
            histogram.add(ms);
            assert_eq!(histogram.counts[at], 1, "{ms}");
        }
        let mut histogram = Histogram::default();
        histogram.add(u64::MAX);
        histogram.add(u64::MAX);
        assert_eq!((histogram.counts[15], histogram.sum_ms), (2, u64::MAX));
    }

    #[test]
    fn quantiles_are_read_from_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), None);
        (0..100).for_each(|_| histogram.add(80));
        assert_eq!(histogram.quantile(500), Some((75, true)));
        assert_eq!(histogram.quantile(1000), Some((100, true)));
        let before = histogram.clone();
        (0..100).for_each(|_| histogram.add(5_000_000));
        assert_eq!(histogram.quantile(500), Some((100, true)));
        assert_eq!(histogram.quantile(990), Some((3_600_000, false)));
        assert_eq!(histogram.since(&before).quantile(10), Some((3_600_000, false)));
        assert_eq!(histogram.count(), 200);
    }
}
