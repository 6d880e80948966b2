//! The simulation: whole job servers in pretend time, driven by a seed, watched by an auditor.
//!
//! `world.rs` is one of them, `swarm.rs` says how it is, `workload` who acts in it, `auditor` what must come of it.
//! `SIM_SEED=7 SIM_STEPS=1000 cargo test -p ringgear-engine --features planted --test simulation replay` runs one seed again; `SIM_LINES` says how many of the
//! last events are printed. `cargo test -p ringgear-engine --features planted --test simulation seeds -- --nocapture` also prints how often each rule was put
//! to the test. See tests/README.md.
#[path = "../support/bounds.rs"]
mod bounds;
#[allow(dead_code)]
#[path = "../support/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../support/kept.rs"]
mod kept;

mod act;
mod auditor;
mod dead;
mod directed;
mod late;
mod planted;
mod random;
mod rights;
mod shared;
mod sharing;
mod store;
mod stored;
mod swarm;
mod trace;
mod workload;
mod world;

mod runner;

use runner::{Run, run_all, run_one};

/// Seeds that every run of the tests goes through, and how far.
const SEEDS: u64 = 3000;
const STEPS: u64 = 1000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

fn steps() -> u64 {
    number("SIM_STEPS").unwrap_or(STEPS)
}

/// Many seeds, from `SIM_FROM` on if it is set, `SIM_COUNT` of them; with `SIM_GO_ON` also after one has failed.
#[test]
fn seeds() {
    if number("SIM_SEED").is_some() {
        return;
    }
    let from = number("SIM_FROM").unwrap_or(0);
    let count = number("SIM_COUNT").unwrap_or(SEEDS);
    let start = std::time::Instant::now();
    let go_on = number("SIM_GO_ON").is_some();
    match run_all(from..from + count, steps(), go_on) {
        Ok(coverage) => {
            println!("{count} seeds of {} steps in {:.1?}", steps(), start.elapsed());
            coverage.iter().for_each(|(rule, times)| println!("{times:>12} {rule}"));
        }
        Err(failures) => {
            let mut rules = std::collections::BTreeMap::new();
            for failure in &failures {
                rules.entry(failure.rule()).or_insert((0, failure.run.seed)).0 += 1;
            }
            rules.iter().for_each(|(rule, (times, seed))| println!("{times:>6} from seed {seed}: {rule}"));
            panic!("{}", failures[0])
        }
    }
}

/// One seed: the one in `SIM_SEED`.
#[test]
fn replay() {
    let Some(seed) = number("SIM_SEED") else { return };
    match run_one(&Run { seed, steps: steps(), planted: None }) {
        Ok(outcome) => println!("seed {seed}: {:016x}", outcome.hash),
        Err(failure) => panic!("{failure}"),
    }
}

/// A seed is a world: run again, it is the same to the last byte.
#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in [3, 14, 159, 2653, 58979] {
        let run = Run { seed, steps: 300, planted: None };
        let hash = || run_one(&run).map(|outcome| outcome.hash).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}
