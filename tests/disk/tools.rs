//! The offline tools: what they cost, what they do where the disk cannot be read, and jobs that cannot be ones of a job
//! server.
use super::model::{Audit, Found, Model, Op, Version};
use super::runner::{Runner, Step, open, options};
use super::sim::{Sim, World};
use ringgear::engine::{JobId, NotRestored, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::log::{Durability, LogOptions, LogStore, tools};
use ringgear::store::{Committed, Progress, Store, StoreError, record};
use std::time::{Duration, Instant};

/// A store that looks at what it is given.
#[derive(Default)]
struct Sink {
    stamps: Vec<u64>,
    longest_commit: usize,
}

impl Store for Sink {
    fn replay_telling(
        &mut self,
        _: &mut dyn FnMut(StoredJob<'_>),
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, batches: &[&[u8]]) -> Committed {
        self.longest_commit = self.longest_commit.max(batches.iter().map(|batch| batch.len()).sum());
        for mut rest in batches.iter().copied() {
            while let Ok((record::Record::Put(job), length)) = record::read(rest) {
                self.stamps.push(Found::from(&job).version.stamp);
                rest = &rest[length..];
            }
        }
        Committed::all()
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn owes(&self) -> bool {
        false
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A log with jobs of these lengths.
fn log_of(lengths: &[usize]) -> World {
    let options = LogOptions { segment_bytes: 1 << 20, ..options(Durability::Synced, None) };
    let mut runner = Runner::new(World::new(512), options, Model::default(), 0);
    runner.open(&mut Audit::default()).unwrap();
    for (job, &length) in (1..).zip(lengths) {
        runner.commit(&[vec![Op::Put(job, Version { stamp: job, attempts: 0, length })]]);
    }
    assert_eq!(runner.refused, 0);
    runner.sim.world()
}

fn length(world: &World) -> u64 {
    let names: Vec<String> = world.names().into_iter().filter(|name| name.starts_with("segment-")).collect();
    let mut world = world.clone();
    names.iter().map(|name| world.bytes(name).len() as u64).sum()
}

/// A job of 12 MiB took half a minute, and one of 20 MiB for ever.
#[test]
fn a_long_job_is_checked_and_saved_in_linear_time() {
    let begin = Instant::now();
    let world = log_of(&[100, 12 << 20, 100]);
    let log = length(&world);
    let sim = Sim::new(world);
    let report = tools::check_on(&mut sim.clone()).unwrap();
    assert!(report.starts && report.problems.is_empty(), "{report:?}");
    assert_eq!((report.records, report.jobs), (3, 3));
    // The scan, and the same reading as at a start.
    assert!(sim.world().read < 3 * log, "{} bytes read of {log}", sim.world().read);
    sim.change(|world| world.read = 0);
    let mut sink = Sink::default();
    let report = tools::salvage_on(&mut sim.clone(), &mut sink).unwrap();
    assert_eq!((report.jobs, sink.stamps), (3, vec![1, 2, 3]));
    assert!(sim.world().read < 3 * log, "{} bytes read of {log}", sim.world().read);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_salvage_holds_little_at_a_time() {
    let lengths: Vec<usize> = (0..300).map(|job| 1000 * (job % 90)).collect();
    let world = log_of(&lengths);
    let mut sink = Sink::default();
    let report = tools::salvage_on(&mut Sim::new(world), &mut sink).unwrap();
    assert_eq!((report.records, report.jobs), (300, 300));
    assert!(sink.stamps.is_sorted() && sink.stamps.len() == 300);
    assert!(sink.longest_commit <= 1 << 20, "{} bytes at once", sink.longest_commit);
}

/// One sector that cannot be read is one sector, not everything that is read together with it.
#[test]
fn what_stands_around_an_unreadable_sector_is_saved() {
    let mut world = log_of(&[3000; 100]);
    let name = world.names().into_iter().find(|name| name.starts_with("segment-")).unwrap();
    let bad = 40 * 4096;
    world.unreadable = Some((name, bad..bad + 512));
    let mut sink = Sink::default();
    let report = tools::salvage_on(&mut Sim::new(world), &mut sink).unwrap();
    // The page holds the job, and so is its block.
    assert_eq!((report.jobs, sink.stamps.len()), (99, 99), "{:?}", report.problems);
    assert!(!report.problems.is_empty());
}

/// A job with a number of 19 digits, which none of ours has.
fn unsound() -> StoredJob<'static> {
    StoredJob {
        id: JobId::from_number(5_000_000_000_000_000_000).unwrap(),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function: b"f",
        unique: b"u",
        workload: b"w",
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    }
}

/// A job that cannot be ours goes through everything that others go through, and is told each time.
#[test]
fn a_job_that_cannot_be_ours_is_kept_and_shown() {
    let mut runner = Runner::new(World::new(512), options(Durability::Synced, None), Model::default(), 0);
    let mut audit = Audit::default();
    runner.open(&mut audit).unwrap();
    let mut bytes = Vec::new();
    record::put(&unsound(), &mut bytes);
    assert!(runner.store.as_mut().unwrap().commit(&[&bytes]).puts.is_ok());
    // Until the first segments were emptied.
    for _ in 0..40 {
        for step in [Step::Long, Step::End, Step::Tidy] {
            runner.step(step, &mut audit);
        }
    }
    drop(runner.store.take());
    assert!(!runner.sim.world().names().contains(&"segment-0000000001".to_owned()), "it was copied");
    let report = tools::check_on(&mut runner.sim.clone()).unwrap();
    assert!(report.starts && report.problems.is_empty(), "{report:?}");
    assert_eq!(report.set_aside, [(unsound().id.number(), NotRestored::Number)]);
    let (_, found) = open(&runner.sim, &runner.options).unwrap();
    assert!(found.iter().any(|job| job.id == unsound().id.sequence()));
    let to = Sim::new(World::new(512));
    let mut store = LogStore::over(to.clone(), runner.options.clone()).unwrap();
    tools::salvage_on(&mut runner.sim.clone(), &mut store).unwrap();
    drop(store);
    assert_eq!(tools::check_on(&mut to.clone()).unwrap().set_aside.len(), 1, "a salvage keeps it");
}
