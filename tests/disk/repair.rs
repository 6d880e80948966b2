//! A log that rots while it is used: a sector that is damaged or cannot be read, in the oldest segment or further on, is put
//! right by those who have the jobs in memory.
use super::model::{Audit, Model, Op, UNSOUND, Version};
use super::runner::{Runner, Step, options};
use super::sim::World;
use ringgear::store::log::{Durability, LogOptions, PlantedBug};
use ringgear::store::{Repaired, Store};
use std::collections::BTreeMap;

/// How a page of a segment goes bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rot {
    /// A byte of it is another one.
    Flipped,
    /// It cannot be read.
    Unreadable,
    /// Whatever is read cannot be read once.
    Once,
}

/// A log in use, and what its shards have in memory.
struct Life {
    runner: Runner,
    memory: BTreeMap<u64, Version>,
    repaired: Repaired,
    again: u64,
}

/// Long-lived jobs.
const LONG: u64 = 30;

impl Life {
    /// With long-lived jobs, and room for some more segments.
    fn new(planted: Option<PlantedBug>) -> Life {
        let options = LogOptions { max_bytes: 16 << 14, ..options(Durability::Synced, planted) };
        let mut runner = Runner::new(World::new(512), options, Model::default(), LONG);
        runner.open(&mut Audit::default()).unwrap();
        let memory = BTreeMap::new();
        let mut life = Life { runner, memory, repaired: Repaired::default(), again: 0 };
        for job in 1..=LONG {
            life.put(job, Version { stamp: job, attempts: 0, length: 500 });
        }
        life
    }

    fn put(&mut self, job: u64, version: Version) {
        self.runner.commit(&[vec![Op::Put(job, version)]]);
        assert_eq!(self.runner.refused, 0, "{job} {version:?}");
        self.memory.insert(job, version);
    }

    /// Jobs come and end, and the log looks after itself; shards do what it wants of them.
    fn go_on(&mut self, jobs: u64) {
        for _ in 0..jobs {
            let job = self.runner.next() + 1;
            for op in self.runner.batches(Step::Short).concat() {
                if let Op::Put(job, version) = op {
                    self.put(job, version);
                }
            }
            self.memory.remove(&job);
            self.runner.commit(&[vec![Op::Done(job)]]);
            assert_eq!(self.runner.refused, 0, "end of {job}");
            self.look_after();
        }
    }

    fn look_after(&mut self) {
        let store = self.runner.store.as_mut().unwrap();
        let more =
            (0..100).take_while(|_| store.maintain().expect("what cannot be read is no error")).count();
        assert!(more < 100, "it comes to an end");
        let wanted: Vec<u64> = store.wanted().iter().map(|job| job.sequence()).collect();
        let (known, unknown): (Vec<u64>, Vec<u64>) =
            wanted.into_iter().partition(|job| self.memory.contains_key(job));
        assert!(known.len() + unknown.len() <= 128, "few at a time");
        self.again += known.len() as u64;
        if !known.is_empty() {
            let puts = known.iter().map(|&job| Op::Put(job, self.memory[&job])).collect();
            self.runner.commit(&[puts]);
            assert_eq!(self.runner.refused, 0, "again {known:?}");
        }
        let store = self.runner.store.as_mut().unwrap();
        if !unknown.is_empty() {
            let ids: Vec<_> = unknown.iter().map(|&job| super::model::id(job)).collect();
            store.unknown(&ids);
        }
        let Repaired { pieces, lost } = store.repaired();
        self.repaired.pieces += pieces;
        self.repaired.lost.extend(lost);
    }

    /// Rots a page of a segment.
    fn rot(&mut self, name: &str, page: usize, rot: Rot) {
        let name = name.to_owned();
        self.runner.sim.change(|world| match rot {
            Rot::Flipped => world.bytes(&name)[page * 4096 + 700] ^= 1,
            Rot::Unreadable => {
                let at = page as u64 * 4096;
                world.unreadable = Some((name, at + 512..at + 1024));
            }
            Rot::Once => world.flaky = 1,
        });
    }

    fn segments(&self) -> Vec<String> {
        let names = self.runner.sim.world().names().into_iter();
        names.filter(|name| name.starts_with("segment-")).collect()
    }

    /// A start finds everything.
    fn restart(&mut self, audit: &mut Audit) {
        self.runner.step(Step::Restart, audit);
    }
}

/// A life in which a page of the first or third segment goes bad.
fn life(planted: Option<PlantedBug>, segment: usize, page: usize, rot: Rot, audit: &mut Audit) -> Life {
    let mut life = Life::new(planted);
    let name = life.segments()[segment].clone();
    life.rot(&name, page, rot);
    life.go_on(300);
    assert!(!life.segments().contains(&name), "the segment has gone");
    life.restart(audit);
    life.go_on(30);
    audit.refused += life.runner.refused;
    life.restart(audit);
    life
}

#[test]
fn what_rots_is_put_right_from_memory() {
    for segment in [0, 2] {
        for page in 1..4 {
            for rot in [Rot::Flipped, Rot::Unreadable] {
                let mut audit = Audit::default();
                let life = life(None, segment, page, rot, &mut audit);
                assert!(audit.is_clean(), "{segment} {page} {rot:?}: {audit:?}");
                assert_eq!(life.repaired, Repaired { pieces: 1, lost: Vec::new() });
                assert!((1..=8).contains(&life.again), "only what stood there: {}", life.again);
                let names = life.runner.sim.world().names();
                assert!(names.iter().any(|name| name.starts_with("damaged-")), "{names:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_once_is_read_again() {
    let mut audit = Audit::default();
    let life = life(None, 0, 1, Rot::Once, &mut audit);
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((life.repaired, life.again), (Repaired::default(), 0));
}

/// What memory does not have either is lost, named, and stops nothing.
#[test]
fn what_nobody_has_is_lost_and_named() {
    let mut life = Life::new(None);
    let gone: Vec<u64> = life.memory.keys().copied().take(3).collect();
    for job in &gone {
        life.memory.remove(job);
    }
    let name = life.segments()[0].clone();
    life.rot(&name, 1, Rot::Flipped);
    life.go_on(300);
    let lost: Vec<u64> = life.repaired.lost.iter().map(|job| job.sequence()).collect();
    assert!(!lost.is_empty() && lost.iter().all(|job| gone.contains(job)), "{lost:?} of {gone:?}");
    assert_eq!((life.repaired.pieces, life.runner.refused), (1, 0));
    let ended: Vec<Op> = lost.iter().map(|&job| Op::Done(job)).collect();
    life.runner.model.surely(&ended);
    let mut audit = Audit::default();
    life.restart(&mut audit);
    assert!(audit.is_clean() && life.runner.refused == 0, "{audit:?}");
}

/// A life with a job that is not in memory because it cannot be ours, and that is copied like others.
fn life_with_unsound(planted: Option<PlantedBug>, audit: &mut Audit) -> Life {
    let mut life = Life::new(planted);
    let job = Op::Put(UNSOUND, Version { stamp: LONG + 1, attempts: 0, length: 500 });
    life.runner.commit(&[vec![job]]);
    let begin = life.segments();
    life.go_on(300);
    assert!(begin.iter().all(|name| !life.segments().contains(name)), "everything was copied or has ended");
    life.restart(audit);
    life
}

#[test]
fn what_cannot_be_ours_is_copied_like_others() {
    let mut audit = Audit::default();
    let life = life_with_unsound(None, &mut audit);
    assert!(audit.is_clean() && life.runner.refused == 0, "{audit:?}");
    assert_eq!((life.repaired, life.again), (Repaired::default(), 0));
    assert!(life.runner.model.present().contains(&UNSOUND));
}

/// What finds bugs in this; whether it did.
pub(crate) fn finds(planted: PlantedBug) -> bool {
    let mut audit = Audit::default();
    for page in 1..4 {
        life(Some(planted), 0, page, Rot::Flipped, &mut audit);
    }
    life_with_unsound(Some(planted), &mut audit);
    !audit.is_clean()
}
