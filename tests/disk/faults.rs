//! Disks that fail: the n-th call for every n, and long lives with failures, full disks and crashes at random.
use super::histories::{Begin, fresh, grown};
use super::model::{Audit, Model, Op};
use super::runner::{Moment, Runner, Step, audit_crash, crashes, options};
use super::sim::{Crash, Fault, Random, World};
use ringgear::store::log::{Durability, LogOptions, PlantedBug};

const HISTORY: [Step; 12] = [
    Step::Short,
    Step::Long,
    Step::Three,
    Step::Again,
    Step::Both,
    Step::Tidy,
    Step::End,
    Step::Long,
    Step::Flash,
    Step::Both,
    Step::Tidy,
    Step::Short,
];

/// Runs the history once with a failure at the n-th call, for every n. Returns how many.
pub(crate) fn every_call(begin: &Begin, options: &LogOptions, fault: Fault, audit: &mut Audit) -> u64 {
    let mut random = Random(3);
    for at in 1.. {
        let mut world = begin.world.clone();
        world.calls = 0;
        world.fault = Some((at, fault));
        let mut runner = Runner::new(world, options.clone(), begin.model.clone(), begin.next);
        // What was told at a start that fails is not promised.
        let opened = runner.open(audit).is_ok();
        for step in HISTORY.into_iter().filter(|_| opened) {
            runner.step(step, audit);
        }
        let world = runner.sim.world();
        let moment = Moment { options, before: &runner.model, at_work: &[], next: runner.next() };
        for crash in crashes(&mut random, 3) {
            audit_crash(&world, crash, &moment, audit);
        }
        if world.calls < at || !audit.is_clean() {
            return at;
        }
    }
    0
}

/// A long life with crashes, failures and a disk that may be full.
pub(crate) fn life(seed: u64, planted: Option<PlantedBug>, audit: &mut Audit) {
    let mut random = Random(seed);
    let durability = if seed.is_multiple_of(3) { Durability::Written } else { Durability::Synced };
    let options = options(durability, planted);
    let mut world = World::new(if random.below(2) == 0 { 512 } else { 4096 });
    let full = durability == Durability::Synced && random.below(3) == 0;
    let (mut model, mut next) = (Model::default(), 0);
    for _ in 0..6 {
        world.calls = 0;
        world.fault = (random.below(3) == 0).then(|| {
            let kind = [Fault::Io, Fault::Short, Fault::Full][random.below(3)];
            (1 + random.below(150) as u64, kind)
        });
        world.gone_at = (random.below(2) == 0).then(|| 1 + random.below(150) as u64);
        world.capacity = full.then(|| (150 + random.below(100) as u64) << 10);
        world.allocates = (seed / 3).is_multiple_of(2);
        let mut runner = Runner::new(world, options.clone(), model, next);
        // A start may fail as well: then nothing is known that was not known before.
        let before = runner.model.clone();
        if runner.open(audit).is_ok() {
            for _ in 0..30 + random.below(60) {
                let step = match random.below(12) {
                    9 | 10 => Step::End,
                    11 => Step::Tidy,
                    other => Step::ALL[other % 8],
                };
                runner.step(step, audit);
            }
        } else {
            runner.model = before;
        }
        audit.images += 1;
        // What a failed sync left in memory may be told, or not.
        let crash = match random.below(4) {
            0 if durability == Durability::Synced => Crash::Process,
            1 => Crash::Nothing,
            2 => Crash::Everything,
            _ => Crash::Some(random.next()),
        };
        world = runner.sim.world().crashed(crash);
        next = runner.next() + 10;
        model = runner.model;
        // Reading what is there must always succeed.
        let mut reader = Runner::new(world.clone(), options.clone(), model.clone(), next);
        if let Err(error) = reader.open(audit) {
            if planted.is_none() {
                println!("seed {seed}: refused after {crash:?}: {error}");
            }
            audit.refused += 1;
        }
        if !audit.is_clean() {
            return;
        }
        world = reader.sim.world().crashed(Crash::Nothing);
        model = reader.model;
        next += 10;
    }
}

/// What finds bugs that show when something fails.
pub(crate) fn some(planted: PlantedBug, audit: &mut Audit) {
    let options = options(Durability::Synced, Some(planted));
    for begin in [fresh(512), grown(512)] {
        for fault in [Fault::Io, Fault::Short] {
            every_call(&begin, &options, fault, audit);
            if !audit.is_clean() {
                return;
            }
        }
    }
    for seed in 0..100 {
        life(seed, Some(planted), audit);
        if !audit.is_clean() {
            return;
        }
    }
}

#[test]
fn nothing_is_lost_whichever_call_fails() {
    for durability in [Durability::Synced, Durability::Written] {
        for fault in [Fault::Io, Fault::Short, Fault::Full] {
            for begin in [fresh(512), grown(512), grown(4096)] {
                let mut audit = Audit::default();
                let calls = every_call(&begin, &options(durability, None), fault, &mut audit);
                println!("{durability:?}, {fault:?} at each of {calls} calls: {audit:?}");
                assert!(audit.is_clean() && calls > 50, "{audit:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_takes_the_ends_of_jobs() {
    for (capacity, restarts) in [(100, false), (160, true), (333, false)] {
        let mut world = World::new(512);
        world.capacity = Some(capacity << 10);
        let mut runner = Runner::new(world, options(Durability::Synced, None), Model::default(), 0);
        let mut audit = Audit::default();
        runner.open(&mut audit).unwrap();
        while runner.refused == 0 {
            runner.step(Step::Short, &mut audit);
            runner.step(Step::Tidy, &mut audit);
        }
        let jobs = runner.model.present();
        assert!(jobs.len() > 3, "{} jobs", jobs.len());
        if restarts {
            runner.step(Step::Restart, &mut audit);
        }
        // The job that was refused may be there; one by one, so that each end takes a whole page.
        let accepted = runner.accepted;
        for &job in &jobs {
            runner.commit(&[vec![Op::Done(job)]]);
        }
        assert_eq!(runner.accepted - accepted, jobs.len() as u64, "every end is kept");
        runner.step(Step::Tidy, &mut audit);
        let refused = runner.refused;
        runner.step(Step::Short, &mut audit);
        assert_eq!(runner.refused, refused, "there is room again");
        runner.step(Step::Restart, &mut audit);
        assert!(audit.is_clean(), "{audit:?}");
        println!("{} jobs filled {capacity} KiB, and ended", jobs.len());
    }
}

#[test]
fn nothing_is_lost_in_random_lives() {
    let number =
        |name: &str, usual| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (from, count) = (number("SIM_FROM", 0), number("SIM_COUNT", 300));
    let mut audit = Audit::default();
    for seed in from..from + count {
        life(seed, None, &mut audit);
        assert!(audit.is_clean(), "seed {seed}: {audit:?}");
    }
    println!("{count} lives: {audit:?}");
}
