//! When the jobs of one connection are due in an open loop. Fixed by rate, seed and position before the
//! first is sent: nothing that the job server does can move it.
use crate::job::random::Random;
use crate::plan::terms::Arrivals;

/// The due times of one connection, in nanoseconds since the run's epoch.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    /// The mean time between two jobs of this connection. A float, so that rounding does not add up.
    gap: f64,
    next: f64,
    random: Random,
}

impl Schedule {
    /// The schedule of connection `index` of `count` that together submit `rate` jobs per second from
    /// `start` on.
    pub(crate) fn new(
        arrivals: Arrivals,
        rate: f64,
        index: u32,
        count: u32,
        seed: u64,
        start: u64,
    ) -> Schedule {
        let gap = 1e9 * f64::from(count) / rate;
        let mut random = Random::new(seed ^ (u64::from(index) << 32));
        // Connections take turns, or each begins somewhere by chance.
        let first = match arrivals {
            Arrivals::Constant => gap * f64::from(index) / f64::from(count),
            Arrivals::Poisson => gap * random.exponential(),
        };
        Schedule { arrivals, gap, next: start as f64 + first, random }
    }

    /// When the next job is due.
    #[inline]
    pub(crate) fn due(&self) -> u64 {
        self.next as u64
    }

    /// Goes on to the job after that.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.next += match self.arrivals {
            Arrivals::Constant => self.gap,
            Arrivals::Poisson => self.gap * self.random.exponential(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(arrivals: Arrivals, seed: u64) -> Vec<u64> {
        let mut all = vec![];
        for index in 0..4 {
            let mut schedule = Schedule::new(arrivals, 1000.0, index, 4, seed, 5_000);
            while schedule.due() < 10_000_000_000 {
                all.push(schedule.due());
                schedule.advance();
            }
        }
        all
    }

    #[test]
    fn the_seed_fixes_the_schedule() {
        assert_eq!(dues(Arrivals::Poisson, 3), dues(Arrivals::Poisson, 3));
        assert_ne!(dues(Arrivals::Poisson, 3), dues(Arrivals::Poisson, 4));
    }

    #[test]
    fn connections_together_reach_the_rate() {
        let constant = dues(Arrivals::Constant, 1);
        assert!((9_999..=10_001).contains(&constant.len()), "{}", constant.len());
        let poisson = dues(Arrivals::Poisson, 1);
        assert!((9_600..10_400).contains(&poisson.len()), "{}", poisson.len());
    }

    #[test]
    fn constant_arrivals_are_even_over_all_connections() {
        let mut constant = dues(Arrivals::Constant, 1);
        constant.sort_unstable();
        assert!(constant.windows(2).all(|pair| (999_999..=1_000_001).contains(&(pair[1] - pair[0]))));
        assert_eq!(constant[0], 5_000);
    }
}
