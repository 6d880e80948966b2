//! A new log: what its first job waits for, and what is done about it later.
use super::model::{Audit, Model, Op, Version};
use super::runner::{Runner, Step, options};
use super::sim::World;
use ringgear::store::log::{Durability, LogOptions};

const SEGMENT: u64 = 1 << 20;

/// Bytes that are written until the first job of a new log is kept, and bytes until nothing is left to be done.
fn written(allocates: bool) -> [u64; 2] {
    let options = LogOptions { segment_bytes: SEGMENT, ..options(Durability::Synced, None) };
    let mut world = World::new(512);
    world.allocates = allocates;
    let mut runner = Runner::new(world, options, Model::default(), 0);
    runner.open(&mut Audit::default()).unwrap();
    runner.commit(&[vec![Op::Put(1, Version { stamp: 1, attempts: 0, length: 100 })]]);
    assert_eq!(runner.refused, 0);
    let first = runner.sim.world().written;
    runner.step(Step::Tidy, &mut Audit::default());
    [first, runner.sim.world().written]
}

#[test]
fn the_first_job_of_a_new_log_waits_for_no_zeros() {
    let [first, all] = written(true);
    assert!(first <= 64 << 10, "{first} bytes are written before the first job is kept");
    // Two segments, but for the two pages that the first one has of its own.
    assert!((2 * SEGMENT - (16 << 10)..2 * SEGMENT + first).contains(&all), "{all} bytes in the end");
    // Where nothing can be allocated, all of it is written before.
    let [first, all] = written(false);
    assert!(first >= 2 * SEGMENT && all == first, "{first} {all}");
}
