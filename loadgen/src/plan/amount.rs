//! An amount that a plan gives as a number or as a distribution: bytes of a payload, milliseconds of work.
use serde::{Deserialize, Serialize};

use crate::job::random::{mix, unit};

/// `100`, or `{ uniform = { min = 50, max = 500 } }` and the like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Amount {
    /// Always the same.
    Fixed(f64),
    /// Drawn anew for each job, from the job's number and the seed.
    Spread(Spread),
}

/// A distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Spread {
    /// Every amount between the two alike.
    Uniform {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// Many small ones and a long tail, cut at `max`.
    Lognormal {
        /// Half of the amounts are smaller.
        median: f64,
        /// How wide: the standard deviation of the logarithm.
        sigma: f64,
        /// The largest.
        max: f64,
    },
    /// Some amounts, each with its weight.
    Choice(Vec<(f64, f64)>),
}

impl Amount {
    /// The amount that `bits`, any number, stands for.
    pub(crate) fn draw(&self, bits: u64) -> f64 {
        match self {
            Amount::Fixed(amount) => *amount,
            Amount::Spread(Spread::Uniform { min, max }) => min + (max - min) * unit(bits),
            Amount::Spread(Spread::Lognormal { median, sigma, max }) => {
                (median * (sigma * normal(bits)).exp()).min(*max)
            }
            Amount::Spread(Spread::Choice(choices)) => {
                let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
                let mut at = unit(bits) * total;
                for (amount, weight) in choices {
                    if at < *weight {
                        return *amount;
                    }
                    at -= weight;
                }
                choices.last().map_or(0.0, |(amount, _)| *amount)
            }
        }
    }

    /// The amount as whole bytes.
    #[inline]
    pub(crate) fn bytes(&self, bits: u64) -> usize {
        match self {
            Amount::Fixed(amount) => *amount as usize,
            Amount::Spread(_) => self.draw(bits) as usize,
        }
    }

    /// The largest that can be drawn.
    pub(crate) fn largest(&self) -> f64 {
        match self {
            Amount::Fixed(amount) => *amount,
            Amount::Spread(Spread::Uniform { max, .. } | Spread::Lognormal { max, .. }) => *max,
            Amount::Spread(Spread::Choice(choices)) => {
                choices.iter().map(|(amount, _)| *amount).fold(0.0, f64::max)
            }
        }
    }

    /// The smallest that can be drawn (0 for a lognormal).
    pub(crate) fn smallest(&self) -> f64 {
        match self {
            Amount::Fixed(amount) => *amount,
            Amount::Spread(Spread::Uniform { min, .. }) => *min,
            Amount::Spread(Spread::Lognormal { .. }) => 0.0,
            Amount::Spread(Spread::Choice(choices)) => {
                choices.iter().map(|(amount, _)| *amount).fold(f64::INFINITY, f64::min)
            }
        }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let sound = |amount: f64| amount.is_finite() && amount >= 0.0;
        match self {
            Amount::Fixed(amount) if !sound(*amount) => Some("is no amount"),
            Amount::Spread(Spread::Uniform { min, max }) if !(sound(*min) && sound(*max) && min <= max) => {
                Some("needs 0 <= min <= max")
            }
            Amount::Spread(Spread::Lognormal { median, sigma, max })
                if !(sound(*median) && *median > 0.0 && sound(*sigma) && sound(*max)) =>
            {
                Some("needs a median above 0, a sigma and a max")
            }
            Amount::Spread(Spread::Choice(choices))
                if !choices.iter().all(|(amount, weight)| sound(*amount) && sound(*weight))
                    || choices.iter().map(|(_, weight)| weight).sum::<f64>() <= 0.0 =>
            {
                Some("needs amounts with weights, not all of them 0")
            }
            _ => None,
        }
    }
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(bits: u64) -> f64 {
    let radius = (-2.0 * (1.0 - unit(bits)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(mix(bits))).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::random::Random;

    fn many(amount: &Amount) -> Vec<f64> {
        let mut random = Random::new(7);
        (0..10_000).map(|_| amount.draw(random.next())).collect()
    }

    #[test]
    fn draws_stay_inside_and_are_spread() {
        let uniform = Amount::Spread(Spread::Uniform { min: 50.0, max: 150.0 });
        let drawn = many(&uniform);
        assert!(drawn.iter().all(|&amount| (50.0..150.0).contains(&amount)));
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((mean - 100.0).abs() < 2.0, "{mean}");

        let lognormal = Amount::Spread(Spread::Lognormal { median: 1000.0, sigma: 1.0, max: 5000.0 });
        let mut drawn = many(&lognormal);
        drawn.sort_by(f64::total_cmp);
        assert!((drawn[5000] - 1000.0).abs() < 60.0, "{}", drawn[5000]);
        assert_eq!(drawn.last(), Some(&5000.0));

        let choice = Amount::Spread(Spread::Choice(vec![(10.0, 9.0), (1000.0, 1.0)]));
        let large = many(&choice).iter().filter(|&&amount| amount == 1000.0).count();
        assert!((800..1200).contains(&large), "{large}");
    }
}
