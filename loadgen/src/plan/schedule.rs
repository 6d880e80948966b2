//! When the jobs of one connection are due in an open loop. Fixed by rate, seed and position, or by a recorded mix,
//! before the first is sent: nothing that the job server does can move it.
use std::sync::Arc;

use crate::job::random::Random;
use crate::plan::choices::Arrivals;
use crate::plan::groups::Clients;
use crate::plan::rate::{Curve, Rate};
use crate::plan::trace::Lines;

/// What a group of clients keeps to.
#[derive(Clone, Debug)]
pub(crate) enum Timing {
    /// A rate.
    Rate(Arrivals, Arc<Curve>),
    /// The times of a recorded mix.
    Lines(Arc<Lines>),
}

impl Timing {
    /// Of this group; `None` in a closed loop.
    pub(crate) fn of(plan: &Clients) -> Option<Timing> {
        match (&plan.lines, &plan.rate) {
            (Some(lines), _) => Some(Timing::Lines(Arc::clone(lines))),
            (None, Some(rate)) => Some(Timing::Rate(plan.arrivals, Arc::new(Curve::new(rate)))),
            (None, None) => None,
        }
    }

    /// Of a steady rate, by chance.
    pub(crate) fn poisson(rate: f64) -> Timing {
        Timing::Rate(Arrivals::Poisson, Arc::new(Curve::new(&Rate::Steady(rate))))
    }
}

/// The due times of one connection, in nanoseconds since the run's epoch.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    timing: Timing,
    /// Connections of the group.
    count: f64,
    /// Jobs of the whole group before the next of this connection, chance included. A Poisson process whose rate
    /// changes is one whose rate is 1, in time that runs as fast as jobs come.
    position: f64,
    start: f64,
    next: u64,
    random: Random,
}

impl Schedule {
    /// The schedule of connection `index` of `count` that together keep to `timing` from `start` on.
    pub(crate) fn new(timing: &Timing, index: u32, count: u32, seed: u64, start: u64) -> Schedule {
        let (mut random, count) = (Random::new(seed ^ (u64::from(index) << 32)), f64::from(count));
        // Connections take turns, or each begins somewhere by chance.
        let position = match timing {
            Timing::Rate(Arrivals::Poisson, _) => count * random.exponential(),
            Timing::Rate(Arrivals::Constant, _) | Timing::Lines(_) => f64::from(index),
        };
        let (timing, start) = (timing.clone(), start as f64);
        let mut schedule = Schedule { timing, count, position, start, next: 0, random };
        schedule.find();
        schedule
    }

    /// When the next job is due; `u64::MAX` if there is none.
    #[inline]
    pub(crate) fn due(&self) -> u64 {
        self.next
    }

    /// Goes on to the job after that.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.position += match self.timing {
            Timing::Rate(Arrivals::Poisson, _) => self.count * self.random.exponential(),
            Timing::Rate(Arrivals::Constant, _) | Timing::Lines(_) => self.count,
        };
        self.find();
    }

    #[inline]
    fn find(&mut self) {
        // What is never due is infinite, and becomes the largest number.
        let nanoseconds = match &self.timing {
            Timing::Rate(_, curve) => curve.seconds(self.position) * 1e9,
            Timing::Lines(lines) => {
                lines.time(self.position as usize).map_or(f64::INFINITY, |time| time as f64)
            }
        };
        self.next = (self.start + nanoseconds) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::rate::{Changing, Rate};

    const SECOND: u64 = 1_000_000_000;

    fn of(rate: &Rate, arrivals: Arrivals, seed: u64, seconds: u64) -> Vec<u64> {
        let timing = Timing::Rate(arrivals, Arc::new(Curve::new(rate)));
        let mut all = vec![];
        for index in 0..4 {
            let mut schedule = Schedule::new(&timing, index, 4, seed, 5_000);
            while schedule.due() < seconds * SECOND + 5_000 {
                all.push(schedule.due() - 5_000);
                schedule.advance();
            }
        }
        all.sort_unstable();
        all
    }

    fn dues(arrivals: Arrivals, seed: u64) -> Vec<u64> {
        of(&Rate::Steady(1000.0), arrivals, seed, 10)
    }

    fn changing() -> [Rate; 2] {
        let course = Changing::Course(vec![
            (0.0, 0.0),
            (4.0, 2000.0),
            (6.0, 2000.0),
            (6.0, 0.0),
            (8.0, 0.0),
            (8.0, 500.0),
        ]);
        let burst = Changing::Burst { rate: 3000.0, on: 0.5, off: 1.5, base: 100.0 };
        [Rate::Changing(course), Rate::Changing(burst)]
    }

    #[test]
    fn the_seed_fixes_the_schedule() {
        for rate in changing().into_iter().chain([Rate::Steady(1000.0)]) {
            let poisson = |seed| of(&rate, Arrivals::Poisson, seed, 10);
            assert_eq!(poisson(3), poisson(3));
            assert_ne!(poisson(3), poisson(4));
        }
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
        let constant = dues(Arrivals::Constant, 1);
        assert!(constant.windows(2).all(|pair| (999_999..=1_000_001).contains(&(pair[1] - pair[0]))));
        assert_eq!(constant[0], 0);
    }

    /// Of every half second: exactly the jobs that the rate has there, whichever connections they are of.
    #[test]
    fn constant_arrivals_follow_a_rate_that_changes() {
        for rate in changing() {
            let dues = of(&rate, Arrivals::Constant, 1, 10);
            for half in 0..20u64 {
                let window = half * SECOND / 2..(half + 1) * SECOND / 2;
                let found = dues.iter().filter(|due| window.contains(*due)).count();
                let jobs = |at: u64| rate.jobs(at as f64 / 1e9);
                let meant = jobs(window.end).ceil() - jobs(window.start).ceil();
                assert_eq!(found as f64, meant, "{rate:?} {window:?}");
            }
        }
    }

    /// Kolmogorov and Smirnov: times of a Poisson process, given their number, lie like the rate does.
    #[test]
    fn chance_follows_a_rate_that_changes() {
        for rate in changing() {
            let (dues, all) = (of(&rate, Arrivals::Poisson, 7, 10), rate.jobs(10.0));
            let number = dues.len() as f64;
            assert!((number - all).abs() < 3.0 * all.sqrt(), "{number} of {all}");
            let distance = |(at, due): (usize, &u64)| {
                let meant = rate.jobs(*due as f64 / 1e9) / all;
                (meant - at as f64 / number).abs().max(((at + 1) as f64 / number - meant).abs())
            };
            let most = dues.iter().enumerate().map(distance).fold(0.0, f64::max);
            assert!(most < 1.36 / number.sqrt(), "{rate:?}: {most}");
            // In time that runs as fast as jobs come gaps are exponential: their deviation is their mean.
            let ends: Vec<f64> = dues.iter().map(|due| rate.jobs(*due as f64 / 1e9)).collect();
            let gaps: Vec<f64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{rate:?}: {variance} {mean}");
        }
    }

    #[test]
    fn nothing_is_due_where_the_rate_is_zero() {
        let [course, _] = changing();
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            let dues = of(&course, arrivals, 3, 10);
            assert!(!dues.iter().any(|due| (6 * SECOND + 1..8 * SECOND).contains(due)));
        }
        let over = Rate::Changing(Changing::Course(vec![(0.0, 8.0), (1.0, 8.0), (1.0, 0.0)]));
        let timing = Timing::Rate(Arrivals::Constant, Arc::new(Curve::new(&over)));
        let mut schedule = Schedule::new(&timing, 0, 4, 1, 0);
        schedule.advance();
        schedule.advance();
        assert_eq!(schedule.due(), u64::MAX);
    }
}
