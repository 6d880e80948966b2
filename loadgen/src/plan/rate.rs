//! How many jobs a second an open loop asks for: a number, a course over time or bursts; and the integral of that, from
//! which everything else follows. When each job is due stands in `schedule.rs`.
use serde::{Deserialize, Serialize};

/// `100`, `{ course = [[0, 100], [60, 5000]] }` or `{ burst = { rate = 5000, on = 0.5, off = 4.5, base = 100 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a rate is a number, { course = [[seconds, rate], ...] } or { burst = { rate, on, off, base } }"
)]
pub(crate) enum Rate {
    /// Always the same, in jobs a second.
    Steady(f64),
    /// One that changes.
    Changing(Changing),
}

/// A rate that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Changing {
    /// Points of seconds since the group's start and jobs a second; straight between them, and as the last after that.
    Course(Vec<(f64, f64)>),
    /// High and low in turn, from the group's start on.
    Burst {
        /// Jobs a second while it is high.
        rate: f64,
        /// Seconds that it is high.
        on: f64,
        /// Seconds that it is low.
        off: f64,
        /// Jobs a second while it is low.
        #[serde(default)]
        base: f64,
    },
}

/// The most points of a course.
const POINTS_MAX: usize = 10_000;

impl Rate {
    /// What is wrong with it, if anything; `most` is the highest rate that is possible.
    pub(crate) fn flaw(&self, most: f64) -> Option<String> {
        let possible = |rate: f64| (0.0..=most).contains(&rate);
        match self {
            Rate::Steady(rate) if !(possible(*rate) && *rate > 0.0) => {
                Some(format!("rate must be above 0 and at most {most}"))
            }
            Rate::Steady(_) => None,
            Rate::Changing(Changing::Course(points)) => course_flaw(points, most, possible),
            Rate::Changing(Changing::Burst { rate, on, off, base }) => {
                let long = |seconds: f64| seconds.is_finite() && seconds >= 0.001;
                if !(long(*on) && long(*off)) {
                    return Some("a burst needs on and off of 0.001 seconds at least".to_owned());
                }
                if !(possible(*rate) && possible(*base)) {
                    return Some(format!("a burst's rate and base must be 0 to {most}"));
                }
                (*rate <= 0.0 && *base <= 0.0)
                    .then(|| "its burst never submits: rate and base are 0".to_owned())
            }
        }
    }

    /// The same course of time with `factor` times the jobs.
    pub(crate) fn scaled(&self, factor: f64) -> Rate {
        match self {
            Rate::Steady(rate) => Rate::Steady(rate * factor),
            Rate::Changing(Changing::Course(points)) => Rate::Changing(Changing::Course(
                points.iter().map(|(seconds, rate)| (*seconds, rate * factor)).collect(),
            )),
            Rate::Changing(Changing::Burst { rate, on, off, base }) => Rate::Changing(Changing::Burst {
                rate: rate * factor,
                on: *on,
                off: *off,
                base: base * factor,
            }),
        }
    }

    /// Jobs of the first so many seconds, on average of chance.
    pub(crate) fn jobs(&self, seconds: f64) -> f64 {
        Curve::new(self).jobs(seconds.max(0.0))
    }
}

fn course_flaw(points: &[(f64, f64)], most: f64, possible: impl Fn(f64) -> bool) -> Option<String> {
    let say = |text: &str| Some(text.to_owned());
    if points.is_empty() || points.len() > POINTS_MAX {
        return Some(format!("a course needs 1 to {POINTS_MAX} points of [seconds, rate]"));
    }
    if points[0].0 != 0.0 {
        return say("a course must begin at 0 seconds");
    }
    // Two points at one time are a step.
    if !points.iter().all(|(seconds, _)| seconds.is_finite())
        || points.windows(2).any(|pair| pair[0].0 > pair[1].0)
    {
        return say("the seconds of a course must not fall");
    }
    if !points.iter().all(|(_, rate)| possible(*rate)) {
        return Some(format!("the rates of a course must be 0 to {most}"));
    }
    points
        .iter()
        .all(|(_, rate)| *rate == 0.0)
        .then(|| "its course never submits: all its rates are 0".to_owned())
}

/// A rate made ready for both ways: from a time to the jobs until then, and back.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// Where the rate begins to change, or to change otherwise. The first is at 0 seconds and 0 jobs.
    knots: Vec<Knot>,
    /// Seconds and jobs after which it begins again.
    period: Option<(f64, f64)>,
}

/// From here to the next knot the rate is a straight line.
#[derive(Clone, Copy, Debug)]
struct Knot {
    seconds: f64,
    /// Jobs until here.
    jobs: f64,
    rate: f64,
    /// Change of the rate in a second.
    slope: f64,
}

impl Curve {
    /// Of this rate.
    pub(crate) fn new(rate: &Rate) -> Curve {
        match rate {
            Rate::Steady(rate) => Curve { knots: knots(&[(0.0, *rate)]), period: None },
            Rate::Changing(Changing::Course(points)) => Curve { knots: knots(points), period: None },
            Rate::Changing(Changing::Burst { rate, on, off, base }) => Curve {
                knots: knots(&[(0.0, *rate), (*on, *rate), (*on, *base)]),
                period: Some((on + off, rate * on + base * off)),
            },
        }
    }

    /// Jobs of the first so many seconds.
    pub(crate) fn jobs(&self, seconds: f64) -> f64 {
        let (whole, seconds) = match self.period {
            Some((length, jobs)) => {
                let turns = (seconds / length).floor();
                (turns * jobs, (seconds - turns * length).max(0.0))
            }
            None => (0.0, seconds),
        };
        let knot = self.knots[self.knots.partition_point(|knot| knot.seconds <= seconds).saturating_sub(1)];
        let passed = seconds - knot.seconds;
        whole + knot.jobs + passed * (knot.rate + knot.slope * passed / 2.0)
    }

    /// The seconds after which there were so many jobs, and after which there will be more; infinite if there never
    /// are. So a job that falls together with the beginning of a pause is due when the pause ends.
    #[inline]
    pub(crate) fn seconds(&self, jobs: f64) -> f64 {
        match self.period {
            None => self.seconds_within(jobs),
            Some((length, of_period)) => {
                let turns = (jobs / of_period).floor();
                let within = self.seconds_within((jobs - turns * of_period).max(0.0));
                turns * length + within.min(length)
            }
        }
    }

    fn seconds_within(&self, jobs: f64) -> f64 {
        let at = match self.knots.len() {
            1 => 0,
            _ => self.knots.partition_point(|knot| knot.jobs <= jobs).saturating_sub(1),
        };
        let Knot { seconds, jobs: before, rate, slope } = self.knots[at];
        let more = jobs - before;
        if slope == 0.0 {
            return if rate > 0.0 { seconds + more / rate } else { f64::INFINITY };
        }
        if more <= 0.0 {
            return seconds;
        }
        // The root of rate x + slope x²/2 = more, in the form that does not take alike numbers from each other.
        let root = (rate * rate + 2.0 * slope * more).max(0.0).sqrt();
        let found = seconds + 2.0 * more / (rate + root);
        // Rounding must not leave the piece.
        self.knots.get(at + 1).map_or(found, |next| found.min(next.seconds))
    }
}

fn knots(points: &[(f64, f64)]) -> Vec<Knot> {
    let mut knots: Vec<Knot> = vec![];
    let mut jobs = 0.0;
    // A course without points is refused, but not before it is scaled.
    let points = if points.is_empty() { &[(0.0, 0.0)] } else { points };
    for (at, &(seconds, rate)) in points.iter().enumerate() {
        let Some(&(end, last)) = points.get(at + 1) else {
            knots.push(Knot { seconds, jobs, rate, slope: 0.0 });
            break;
        };
        let length = end - seconds;
        // Of two points at one time the second counts from then on.
        if length > 0.0 {
            knots.push(Knot { seconds, jobs, rate, slope: (last - rate) / length });
            jobs += length * (rate + last) / 2.0;
        }
    }
    knots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(points: &[(f64, f64)]) -> Rate {
        Rate::Changing(Changing::Course(points.to_vec()))
    }

    fn burst(rate: f64, on: f64, off: f64, base: f64) -> Rate {
        Rate::Changing(Changing::Burst { rate, on, off, base })
    }

    #[test]
    fn a_rate_is_a_number_or_a_course() {
        let read = |text: &str| -> Result<Clients, toml::de::Error> { toml::from_str(text) };
        #[derive(serde::Deserialize)]
        struct Clients {
            rate: Rate,
        }
        assert_eq!(read("rate = 100").unwrap().rate, Rate::Steady(100.0));
        assert_eq!(
            read("rate = { course = [[0, 100], [60, 5000.5]] }").unwrap().rate,
            course(&[(0.0, 100.0), (60.0, 5000.5)])
        );
        assert_eq!(
            read("rate = { burst = { rate = 5000, on = 0.5, off = 4.5 } }").unwrap().rate,
            burst(5000.0, 0.5, 4.5, 0.0)
        );
        assert!(read("rate = { waves = 3 }").is_err());
    }

    #[test]
    fn jobs_are_the_area_below_the_rate() {
        let rates = [
            (Rate::Steady(50.0), 3.0, 150.0),
            (course(&[(0.0, 0.0), (10.0, 100.0)]), 10.0, 500.0),
            (course(&[(0.0, 0.0), (10.0, 100.0)]), 12.0, 700.0),
            (course(&[(0.0, 10.0), (2.0, 10.0), (2.0, 30.0), (4.0, 10.0)]), 5.0, 70.0),
            (burst(1000.0, 0.5, 1.5, 100.0), 4.0, 1300.0),
            (burst(1000.0, 0.5, 1.5, 100.0), 4.25, 1550.0),
            (burst(1000.0, 0.5, 1.5, 0.0), 1.0, 500.0),
        ];
        for (rate, seconds, jobs) in rates {
            assert_eq!(rate.jobs(seconds), jobs, "{rate:?}");
            assert_eq!(rate.scaled(3.0).jobs(seconds), jobs * 3.0, "{rate:?}");
        }
    }

    #[test]
    fn jobs_and_seconds_are_inverse() {
        for rate in [
            Rate::Steady(50.0),
            course(&[
                (0.0, 0.0),
                (10.0, 100.0),
                (20.0, 1.0),
                (20.0, 70.0),
                (30.0, 0.0),
                (40.0, 0.0),
                (41.0, 5.0),
            ]),
            burst(1000.0, 0.5, 1.5, 100.0),
        ] {
            let curve = Curve::new(&rate);
            for step in 1..4000 {
                let jobs = f64::from(step) * 0.61;
                assert!((curve.jobs(curve.seconds(jobs)) - jobs).abs() < 1e-6, "{rate:?} {jobs}");
            }
        }
    }

    #[test]
    fn what_is_due_in_a_pause_is_due_at_its_end() {
        let late = Curve::new(&course(&[(0.0, 0.0), (10.0, 0.0), (10.0, 5.0)]));
        assert_eq!(late.seconds(0.0), 10.0);
        let bursts = Curve::new(&burst(100.0, 1.0, 9.0, 0.0));
        assert_eq!((bursts.seconds(99.0), bursts.seconds(100.0), bursts.seconds(200.0)), (0.99, 10.0, 20.0));
        let over = Curve::new(&course(&[(0.0, 10.0), (1.0, 10.0), (1.0, 0.0)]));
        assert_eq!((over.seconds(9.0), over.seconds(10.0)), (0.9, f64::INFINITY));
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        let refused = |rate: Rate| rate.flaw(1e6).unwrap();
        assert!(refused(Rate::Steady(0.0)).contains("above 0"));
        assert!(refused(Rate::Steady(f64::NAN)).contains("above 0"));
        assert!(refused(course(&[])).contains("points"));
        assert!(refused(course(&[(1.0, 1.0)])).contains("begin at 0"));
        assert!(refused(course(&[(0.0, 1.0), (2.0, 1.0), (1.0, 1.0)])).contains("must not fall"));
        assert!(refused(course(&[(0.0, -1.0)])).contains("0 to 1000000"));
        assert!(refused(course(&[(0.0, 0.0), (5.0, 0.0)])).contains("never submits"));
        assert!(refused(burst(5.0, 0.0, 1.0, 0.0)).contains("on and off"));
        assert!(refused(burst(0.0, 1.0, 1.0, 0.0)).contains("never submits"));
        assert!(refused(burst(2e6, 1.0, 1.0, 0.0)).contains("0 to 1000000"));
        for rate in [course(&[]), burst(1.0, 0.0, 0.0, 1.0), course(&[(f64::NAN, f64::INFINITY)])] {
            // Whatever comes of it, it must come back.
            let curve = Curve::new(&rate.scaled(2.0));
            let _ = (curve.jobs(3.0), curve.seconds(3.0));
        }
        assert_eq!(course(&[(0.0, 0.0), (0.0, 5.0)]).flaw(1e6), None);
        assert_eq!(burst(0.0, 1.0, 1.0, 5.0).flaw(1e6), None);
    }
}
