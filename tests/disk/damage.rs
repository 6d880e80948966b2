//! Damaged logs: every flipped bit of a small one, and hundreds that were cut, spliced, swapped and worse. None starts
//! as if nothing were wrong, and what is intact is saved.
use super::histories::grown;
use super::model::{Audit, Found, Model, Op};
use super::runner::{Runner, Step, open, options};
use super::sim::{Random, Sim, World};
use ringgear::store::log::{Durability, LogOptions, LogStore, PlantedBug, tools};
use ringgear::store::{Store, StoreError};

/// A log of a few segments, as a server leaves it that was killed.
fn small_log() -> World {
    let options = options(Durability::Synced, None);
    let mut runner = Runner::new(World::new(512), options, Model::default(), 0);
    let mut audit = Audit::default();
    runner.open(&mut audit).unwrap();
    for step in [Step::Three, Step::Long, Step::Both, Step::Short] {
        runner.step(step, &mut audit);
    }
    assert!(audit.is_clean() && runner.refused == 0);
    runner.sim.world()
}

/// A log with copies in it, of several segments, after an orderly end.
fn log(length: usize) -> World {
    let begin = grown(512);
    let options = options(Durability::Synced, None);
    let mut runner = Runner::new(begin.world, options, begin.model, begin.next);
    let mut audit = Audit::default();
    runner.open(&mut audit).unwrap();
    for _ in 0..length {
        for step in [Step::Three, Step::Again, Step::Long, Step::Tidy, Step::Both, Step::Short, Step::Flash] {
            runner.step(step, &mut audit);
        }
    }
    runner.store.take().unwrap().close().unwrap();
    assert!(audit.is_clean() && runner.refused == 0);
    runner.sim.world()
}

/// The files that mean something.
fn files(world: &World) -> Vec<String> {
    world.names().into_iter().filter(|name| !name.starts_with("spare-")).collect()
}

/// How many of the flipped bits of a small log are not noticed; with a bug only some are tried.
pub(crate) fn missed_flips(planted: Option<PlantedBug>) -> (u64, u64) {
    let world = small_log();
    let options = options(Durability::Synced, planted);
    let (mut missed, mut tried) = (0, 0);
    let stride = if planted.is_some() { 97 } else { 1 };
    for name in files(&world) {
        let mut sim = Sim::new(world.clone());
        let bits = world.clone().bytes(&name).len() * 8;
        for bit in (0..bits).step_by(stride) {
            let flip = |world: &mut World| world.bytes(&name)[bit / 8] ^= 1 << (bit % 8);
            sim.change(flip);
            tried += 1;
            match open(&sim, &options) {
                Ok(_) => {
                    missed += 1;
                    sim = Sim::new(world.clone());
                }
                Err(error) => {
                    assert_names_a_place(&error);
                    sim.change(flip);
                }
            }
        }
    }
    (missed, tried)
}

fn assert_names_a_place(error: &StoreError) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Version { .. }), "{text}");
    assert!(text.contains("/pretended/"), "{text}");
    assert!(text.contains(" at byte ") || text.contains("version"), "{text}");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (missed, tried) = missed_flips(None);
    println!("{tried} flipped bits, {missed} not noticed");
    assert_eq!(missed, 0);
    assert!(tried > 100_000, "{tried} flipped bits");
}

/// Damages a log; what was done.
fn mutate(world: &mut World, other: &mut World, random: &mut Random) -> String {
    let names = files(world);
    let segments: Vec<String> = names.iter().filter(|name| name.starts_with("segment-")).cloned().collect();
    let name = names[random.below(names.len())].clone();
    let segment = segments[random.below(segments.len())].clone();
    let length = world.bytes(&segment).len();
    let used = world.bytes(&segment).iter().rposition(|&byte| byte != 0).unwrap_or(0) + 1;
    match random.below(10) {
        0 => {
            let length = random.below(world.bytes(&name).len());
            let length = if random.below(2) == 0 { length } else { length - length % 4096 };
            world.bytes(&name).truncate(length);
            format!("{name} cut at {length}")
        }
        1 => {
            let count = 1 + random.below(64);
            for _ in 0..count {
                let bit = random.below(world.bytes(&name).len() * 8);
                world.bytes(&name)[bit / 8] ^= 1 << (bit % 8);
            }
            format!("{count} bits of {name} flipped")
        }
        2 => {
            // Whole sectors from elsewhere in this log, or from the same place of another.
            let count = 1 + random.below(8);
            let to = random.below(length / 512 - count) * 512;
            let (from_name, from, from_world) = match random.below(2) {
                0 => (
                    segments[random.below(segments.len())].clone(),
                    random.below(length / 512 - count) * 512,
                    &mut *world,
                ),
                _ => (segment.clone(), to, other),
            };
            if !from_world.names().contains(&from_name) {
                return String::new();
            }
            let piece = from_world.bytes(&from_name)[from..from + count * 512].to_vec();
            world.bytes(&segment)[to..to + count * 512].copy_from_slice(&piece);
            format!("{count} sectors of {from_name} at {from} copied to {segment} at {to}")
        }
        3 => {
            let with = segments[random.below(segments.len())].clone();
            let (a, b) = (world.bytes(&segment).clone(), world.bytes(&with).clone());
            world.set(&segment, Some(b));
            world.set(&with, Some(a));
            format!("{segment} and {with} swapped")
        }
        4 => {
            world.set(&segment, None);
            format!("{segment} removed")
        }
        5 => {
            let number: u32 = segments.last().unwrap()[8..].parse().unwrap();
            let name = format!("segment-{:010}", number + 1 + random.below(2) as u32);
            let bytes = world.bytes(&segment).clone();
            world.set(&name, Some(bytes));
            format!("{segment} doubled as {name}")
        }
        6 => {
            let from = random.below(used);
            world.bytes(&segment)[from..].fill(0);
            format!("{segment} zero from {from}")
        }
        7 => {
            world.bytes(&name)[16] = 2 + random.below(100) as u8;
            format!("{name} of a later version")
        }
        8 => {
            let from = random.below(used);
            let until = (from + 1 + random.below(3000)).min(length);
            world.bytes(&segment)[from..until].iter_mut().for_each(|byte| *byte = random.next() as u8);
            format!("{segment} noise from {from} to {until}")
        }
        _ => {
            world.set(&name, None);
            format!("{name} removed")
        }
    }
}

/// The contents of all sectors of a file, and a record's sectors in it. A copy stands behind its order number, without which it
/// is not found.
fn sectors_of(file: &[u8], record: &[u8]) -> Vec<std::ops::RangeInclusive<usize>> {
    let contents: Vec<u8> = file.chunks_exact(512).flat_map(|sector| &sector[..496]).copied().collect();
    let found = contents.windows(record.len()).enumerate().filter(|(_, window)| *window == record);
    found.map(|(at, _)| at.saturating_sub(8) / 496..=(at + record.len() - 1) / 496).collect()
}

/// The jobs of which a record is where it was, as it was.
fn intact(jobs: &[Found], before: &World, after: &World) -> Vec<Found> {
    let (mut before, mut after) = (before.clone(), after.clone());
    let segments: Vec<String> =
        files(&before).into_iter().filter(|name| name.starts_with("segment-")).collect();
    let there: Vec<String> = after.names().into_iter().filter(|name| name.starts_with("segment-")).collect();
    let mut kept = Vec::new();
    for job in jobs {
        let mut record = Vec::new();
        let version = job.version;
        Op::Put(job.id, version).encode(&mut record);
        let same = segments.iter().any(|name| {
            let file = before.bytes(name).clone();
            sectors_of(&file, &record).into_iter().any(|sectors| {
                let range = sectors.start() * 512..(sectors.end() + 1) * 512;
                // Under whatever name it is now, if the file still says which segment it is.
                there.iter().any(|name| after.bytes(name).get(range.clone()) == Some(&file[range.clone()]))
            })
        });
        if same {
            kept.push(*job);
        }
    }
    kept
}

#[test]
fn no_damaged_log_starts_and_what_is_intact_is_saved() {
    let mut random = Random(11);
    let options = options(Durability::Synced, None);
    let pristine = log(2);
    let mut other = {
        // Another log altogether, of about the same length.
        let mut runner = Runner::new(World::another(), options.clone(), Default::default(), 0);
        let mut audit = Audit::default();
        runner.open(&mut audit).unwrap();
        for step in [Step::Long, Step::Three, Step::Short].into_iter().cycle().take(30) {
            runner.step(step, &mut audit);
        }
        runner.sim.world()
    };
    let (_, jobs) = open(&Sim::new(pristine.clone()), &options).unwrap();
    let (mut damaged, mut harmless, mut saved, mut whole) = (0, 0, 0, 0);
    while damaged < 500 {
        let mut world = pristine.clone();
        let what = mutate(&mut world, &mut other, &mut random);
        if what.is_empty() || world.same(&pristine) {
            continue;
        }
        let sim = Sim::new(world.clone());
        match open(&sim, &options) {
            Err(error) => assert_names_a_place(&error),
            // Space where no block stands, which held whole sectors of an earlier use, was made to hold nothing.
            Ok((_, found)) => {
                assert!(what.contains("zero") || what.contains("copied"), "it starts although {what}");
                assert_eq!(found, jobs, "it starts although {what}");
                harmless += 1;
                continue;
            }
        }
        damaged += 1;
        assert!(sim.world().same(&world), "a start that fails changes nothing: {what}");
        match tools::check_on(&mut sim.clone()) {
            Ok(report) => assert!(!report.starts && !report.problems.is_empty(), "{what}: {report:?}"),
            Err(error) => assert!(matches!(error, StoreError::Version { .. }), "{what}: {error}"),
        }
        let to = Sim::new(World::new(512));
        let mut store =
            LogStore::over(to.clone(), LogOptions { segment_bytes: 1 << 20, ..options.clone() }).unwrap();
        match tools::salvage_on(&mut sim.clone(), &mut store) {
            Err(error) => assert!(matches!(error, StoreError::Version { .. }), "{what}: {error}"),
            Ok(report) => {
                drop(store);
                let (_, found) = open(&to, &options).unwrap();
                assert_eq!(found.len() as u64, report.jobs);
                assert!(found.iter().all(|job| job.intact), "{what}");
                for job in intact(&jobs, &pristine, &world) {
                    // An older version may be all that is left of a job only if this one is not.
                    assert!(found.contains(&job), "job {} was not saved although intact: {what}", job.id);
                    saved += 1;
                }
                whole += jobs.len();
            }
        }
    }
    println!(
        "{damaged} damaged logs, {harmless} more damaged in unused space only: {saved} of {whole} jobs were intact, and saved"
    );
    assert!(harmless < 50, "{harmless} changes went unnoticed");
    assert!(saved > 1000, "{saved} jobs");
}
