//! Worlds of several servers that share a store: whole engines, the state machine by which they watch each other
//! (`src/store/shared.rs`, as it is used), and a model of the table between them.
//!
//! `SIM_SEED=7 SIM_STEPS=400 cargo test -p ringgear-engine --features planted --test simulation shared -- --nocapture` runs one
//! seed and prints what happened; `SIM_FROM` and `SIM_COUNT` say which seeds to run.
mod ledger;
mod plant;
mod server;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/store/shared.rs"]
mod sharing;
mod table;
mod world;

use plant::Plant;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Story, World};

/// Seeds that every run of the tests goes through, and how far.
const SEEDS: u64 = 400;
const STEPS: u64 = 1200;
/// Seeds with which each story is told.
const STORY_SEEDS: u64 = 12;
/// Seeds within which a planted bug must show.
const SEEDS_MAX: u64 = 400;

/// One seed: what was put to the test, or what went wrong.
fn run(seed: u64, steps: u64, plant: Option<Plant>) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut world = World::new(seed, plant, false);
    let told = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    told.map(|()| world.ledger.coverage).map_err(|panic| words(&*panic))
}

/// One story: what went wrong.
fn tell(seed: u64, story: Story, plant: Option<Plant>) -> Result<(), String> {
    let mut world = World::of_several(seed, plant);
    catch_unwind(AssertUnwindSafe(|| world.tell(story))).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default()
}

fn print(seed: u64, steps: u64) {
    let mut world = World::new(seed, None, true);
    let told = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    let lines = super::number("SIM_LINES").unwrap_or(200) as usize;
    let trace = world.trace();
    trace[trace.len().saturating_sub(lines)..].iter().for_each(|line| println!("{line}"));
    if told.is_err() {
        println!("seed {seed} fails");
    }
}

/// Many seeds, on two threads.
#[test]
fn seeds() {
    let steps = super::number("SIM_STEPS").unwrap_or(STEPS);
    if let Some(seed) = super::number("SIM_SEED") {
        return print(seed, steps);
    }
    let from = super::number("SIM_FROM").unwrap_or(0);
    let count = super::number("SIM_COUNT").unwrap_or(SEEDS);
    let half = |odd: u64| {
        move || {
            (from..from + count)
                .filter(move |seed| seed % 2 == odd)
                .map(|seed| (seed, run(seed, steps, None)))
                .collect::<Vec<_>>()
        }
    };
    let (even, odd) = std::thread::scope(|scope| {
        let other = scope.spawn(half(1));
        (half(0)(), other.join().expect("it catches what panics"))
    });
    let mut coverage = BTreeMap::new();
    let mut failures = Vec::new();
    for (seed, told) in even.into_iter().chain(odd) {
        match told {
            Ok(counts) => {
                counts.into_iter().for_each(|(what, times)| *coverage.entry(what).or_insert(0) += times)
            }
            Err(why) => failures.push((seed, why)),
        }
    }
    failures.sort();
    coverage.iter().for_each(|(what, times)| println!("{times:>12} {what}"));
    for (seed, why) in failures.iter().take(12) {
        println!("seed {seed}: {}", why.lines().next().unwrap_or_default());
    }
    if let Some((seed, why)) = failures.first() {
        print(*seed, steps);
        panic!("{} of {count} seeds fail, the first {seed}: {why}", failures.len());
    }
}

/// Each story ends well, and its bug is seen whatever the seed, by the rule that is there for it.
#[test]
fn stories() {
    for (seed, story) in (0..STORY_SEEDS).flat_map(|seed| Story::ALL.map(|story| (seed, story))) {
        assert_eq!(tell(seed, story, None), Ok(()), "seed {seed}: {story:?}");
        let (plant, rule) = story.bug();
        let seen = tell(seed, story, Some(plant)).err().unwrap_or_default();
        assert!(seen.contains(rule), "seed {seed}: {story:?} with {plant:?}: {seen:?}");
    }
}

#[test]
fn every_planted_bug_is_seen() {
    let mut survivors = Vec::new();
    for plant in Plant::all() {
        if Story::ALL.into_iter().any(|story| story.bug().0 == plant) {
            // `stories` sees to it.
            continue;
        }
        // Only a seed that passes without the bug says that the bug was seen.
        let caught = (0..SEEDS_MAX).find_map(|seed| {
            let why = run(seed, STEPS, Some(plant)).err()?;
            run(seed, STEPS, None).is_ok().then_some((seed, why))
        });
        match caught {
            Some((seed, why)) => {
                let why: String = why.lines().next().unwrap_or_default().chars().take(100).collect();
                println!("{plant:?}: seed {seed}: {why}");
            }
            None => survivors.push(plant),
        }
    }
    assert!(survivors.is_empty(), "nobody saw {survivors:?} within {SEEDS_MAX} seeds");
}
