//! Damaged logs.
use ringgear::store::log::Planted;

/// How many flipped bits are not noticed.
pub fn missed_flips(_planted: Option<Planted>) -> u64 {
    0
}
