//! Deliberate bugs, one at a time: the simulation must see each of them, or it proves nothing.
use crate::runner::{Run, run_one};
use ringgear_engine::Planted;

/// Seeds within which a bug must show.
const SEEDS_MAX: u64 = 500;

#[test]
fn every_planted_bug_is_seen() {
    let mut survivors = Vec::new();
    for planted in Planted::ALL {
        let caught =
            (0..SEEDS_MAX).find_map(|seed| run_one(&Run { seed, steps: 1000, planted: Some(planted) }).err());
        match caught {
            Some(failure) => {
                let message = failure.message.lines().next().unwrap_or_default();
                let message: String = message.chars().take(100).collect();
                println!("{planted:?}: seed {}: {message}", failure.run.seed);
            }
            None => survivors.push(planted),
        }
    }
    assert!(survivors.is_empty(), "nobody saw {survivors:?} within {SEEDS_MAX} seeds");
}
