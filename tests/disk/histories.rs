//! Every history of at most three steps, with a crash after every call to the disk.
use super::model::{Audit, Model};
use super::runner::{Moment, Runner, Step, audit_crash, crashes, options};
use super::sim::{Random, World};
use ringgear::store::log::{Durability, LogOptions, PlantedBug};

/// Where a history begins.
pub(crate) struct Begin {
    pub(crate) world: World,
    pub(crate) model: Model,
    pub(crate) next: u64,
}

/// Nothing yet.
pub(crate) fn fresh(sector: usize) -> Begin {
    Begin { world: World::new(sector), model: Model::default(), next: 0 }
}

/// A log of several segments, whose oldest should be emptied.
pub(crate) fn grown(sector: usize) -> Begin {
    let mut runner = Runner::new(World::new(sector), options(Durability::Synced, None), Model::default(), 0);
    let mut audit = Audit::default();
    runner.open(&mut audit).unwrap();
    for step in [Step::Long, Step::Short, Step::Three, Step::Long, Step::Short] {
        runner.step(step, &mut audit);
    }
    for _ in 0..7 {
        runner.step(Step::Both, &mut audit);
    }
    runner.step(Step::Long, &mut audit);
    assert!(audit.is_clean());
    Begin { world: runner.sim.world(), model: runner.model.clone(), next: runner.next() }
}

/// Every history of exactly so many steps.
pub(crate) fn all(length: usize) -> Vec<Vec<Step>> {
    let mut histories = vec![Vec::new()];
    for _ in 0..length {
        histories = histories
            .iter()
            .flat_map(|history| Step::ALL.map(|step| [&history[..], &[step]].concat()))
            .collect();
    }
    histories
}

/// Runs a history, and tries `some` random crashes and the plain ones after every call.
pub(crate) fn run(begin: &Begin, history: &[Step], options: &LogOptions, some: usize, audit: &mut Audit) {
    let mut random = Random(history.len() as u64 + begin.next);
    let mut runner = Runner::new(begin.world.clone(), options.clone(), begin.model.clone(), begin.next);
    runner.sim.remember();
    let mut moments = vec![(runner.model.clone(), Vec::new())];
    if runner.open(audit).is_err() {
        audit.refused += 1;
        return;
    }
    for (at, &step) in history.iter().enumerate() {
        runner.sim.step(at + 1);
        if matches!(step, Step::Tidy | Step::Restart) {
            moments.push((runner.model.clone(), Vec::new()));
            runner.step(step, audit);
        } else {
            let batches = runner.batches(step);
            moments.push((runner.model.clone(), batches.concat()));
            runner.commit(&batches);
        }
    }
    // And after the last one.
    let end = runner.sim.world();
    let next = runner.next();
    for (step, world) in runner.sim.past() {
        let (before, at_work) = &moments[step];
        let moment = Moment { options, before, at_work, next };
        let pending = world.has_pending();
        for crash in crashes(&mut random, some).into_iter().take(if pending { usize::MAX } else { 1 }) {
            audit_crash(&world, crash, &moment, audit);
        }
    }
    let moment = Moment { options, before: &runner.model, at_work: &[], next };
    for crash in crashes(&mut random, some) {
        audit_crash(&end, crash, &moment, audit);
    }
}

/// A part of all histories, for bugs that should be found soon.
pub(crate) fn some(planted: PlantedBug, audit: &mut Audit) {
    let options = options(Durability::Synced, Some(planted));
    for begin in [fresh(512), grown(512)] {
        for history in all(1).into_iter().chain(all(2)) {
            run(&begin, &history, &options, 2, audit);
            if !audit.is_clean() {
                return;
            }
        }
    }
}

fn every(begin: &Begin, length: usize, durability: Durability, some: usize) -> Audit {
    let options = options(durability, None);
    let mut audit = Audit::default();
    for history in all(length) {
        run(begin, &history, &options, some, &mut audit);
        assert!(audit.is_clean(), "{history:?}: {audit:?}");
    }
    println!("{durability:?}, histories of {length}: {audit:?}");
    audit
}

#[test]
fn nothing_is_lost_at_any_crash_of_any_short_history() {
    let mut images = 0;
    for length in [1, 2] {
        for sector in [512, 4096] {
            for durability in [Durability::Synced, Durability::Written] {
                images += every(&fresh(sector), length, durability, 4).images;
                images += every(&grown(sector), length, durability, 4).images;
            }
        }
    }
    images += every(&fresh(512), 3, Durability::Synced, 0).images;
    images += every(&grown(512), 3, Durability::Synced, 0).images;
    println!("{images} crash images");
    assert!(images >= 50_000, "{images} crash images");
}

/// A job that is written in pieces is there or not, and in its order; also when it is copied.
#[test]
fn a_huge_job_is_whole_or_not_there_at_any_crash() {
    let mut images = 0;
    for durability in [Durability::Synced, Durability::Written] {
        let options = options(durability, None);
        let histories: [&[Step]; 3] = [
            &[Step::Short, Step::Huge, Step::Short],
            &[Step::Huge, Step::End, Step::End, Step::Tidy],
            &[Step::Huge, Step::Restart, Step::Huge],
        ];
        for history in histories {
            let mut audit = Audit::default();
            run(&fresh(512), history, &options, 3, &mut audit);
            assert!(audit.is_clean(), "{history:?}: {audit:?}");
            images += audit.images;
        }
    }
    assert!(images > 100, "{images} crash images");
}
