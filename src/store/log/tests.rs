//! The log on real file systems.
use super::*;
use crate::engine::slot::{JobId, Slot};
use crate::engine::{Epoch, StoredJob};
use crate::protocol::Priority;
use crate::store::record;
use crate::store::scratch::Scratch;
use std::fs;
use std::path::Path;

/// A place in each file system that we know of: tmpfs may have no O_DIRECT.
fn everywhere() -> Vec<Scratch> {
    let shm = Path::new("/dev/shm");
    let mut places = vec![Scratch::new()];
    if shm.is_dir() {
        places.push(Scratch::within(shm));
    }
    places
}

fn id(number: u64) -> JobId {
    JobId::new(number, Slot::of(b"f"))
}

fn put(number: u64, workload: &[u8], out: &mut Vec<u8>) {
    let job = StoredJob {
        id: id(number),
        priority: Priority::Normal,
        epoch: Some(Epoch(number)),
        attempts: 0,
        function: b"f",
        unique: b"",
        workload,
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    };
    record::put(&job, out);
}

fn small(dir: &Path) -> LogOptions {
    LogOptions { segment_bytes: 256 << 10, ..LogOptions::new(dir) }
}

/// Opens a log and reads it: sequences and lengths of workloads, in order.
fn open(options: LogOptions) -> (LogStore, Vec<(u64, usize)>) {
    let mut store = LogStore::open(options).unwrap();
    let mut jobs = Vec::new();
    store
        .replay(&mut |job| {
            assert_eq!(job.epoch, Some(Epoch(job.id.sequence())));
            jobs.push((job.id.sequence(), job.workload.len()));
        })
        .unwrap();
    (store, jobs)
}

fn commit(store: &mut LogStore, batches: &[&[u8]]) {
    let committed = store.commit(batches);
    committed.puts.unwrap();
    committed.dones.unwrap();
}

fn put_one(store: &mut LogStore, number: u64, length: usize) {
    let mut batch = Vec::new();
    put(number, &vec![number as u8; length], &mut batch);
    commit(store, &[&batch]);
}

fn end_one(store: &mut LogStore, number: u64) {
    let mut batch = Vec::new();
    record::done(id(number), &mut batch);
    commit(store, &[&batch]);
}

#[test]
fn jobs_are_there_after_a_restart_in_order() {
    for durability in [Durability::Synced, Durability::Written] {
        for scratch in everywhere() {
            let options = LogOptions { durability, ..small(&scratch.file("log")) };
            let (mut store, jobs) = open(options.clone());
            assert_eq!(jobs, []);
            for number in 1..=50 {
                put_one(&mut store, number, number as usize * 10);
            }
            for number in (1..=50).filter(|number| number % 3 == 0) {
                end_one(&mut store, number);
            }
            let left: Vec<_> = (1..=50)
                .filter(|number| number % 3 != 0)
                .map(|number| (number, number as usize * 10))
                .collect();
            // Once without an orderly end, once with it.
            drop(store);
            let (mut store, jobs) = open(options.clone());
            assert_eq!(jobs, left);
            store.close().unwrap();
            drop(store);
            let (mut store, jobs) = open(options);
            assert_eq!(jobs, left);
            put_one(&mut store, 60, 1);
        }
    }
}

#[test]
fn a_second_server_is_refused() {
    let scratch = Scratch::new();
    let (store, _) = open(small(&scratch.file("log")));
    let refused = LogStore::open(small(&scratch.file("log")));
    assert!(matches!(refused, Err(StoreError::Locked { .. })));
    drop(store);
    open(small(&scratch.file("log")));
}

#[test]
fn the_log_stays_short_and_keeps_its_order() {
    let scratch = Scratch::new();
    let options = small(&scratch.file("log"));
    let (mut store, _) = open(options.clone());
    // Every tenth job stays.
    let mut next = 1;
    for _ in 0..60 {
        let mut batch = Vec::new();
        for number in next..next + 100 {
            put(number, &[7; 1000], &mut batch);
        }
        for number in (next..next + 100).filter(|number| number % 10 != 0) {
            record::done(id(number), &mut batch);
        }
        commit(&mut store, &[&batch]);
        next += 100;
        while store.maintain().unwrap() {}
        let usage = store.usage().unwrap();
        let bound = 3 * usage.live_bytes + 2 * options.segment_bytes;
        assert!(usage.log_bytes <= bound, "{usage:?}");
        assert!(usage.disk_bytes <= bound + 3 * options.segment_bytes, "{usage:?}");
    }
    assert_eq!(store.usage().unwrap().jobs, 600);
    drop(store);
    let (_, jobs) = open(options);
    let expected: Vec<_> = (1..=600).map(|number| (number * 10, 1000)).collect();
    assert_eq!(jobs, expected);
}

#[test]
fn a_full_log_refuses_jobs_and_takes_their_ends() {
    let scratch = Scratch::new();
    let options = LogOptions { max_bytes: 2 << 20, ..small(&scratch.file("log")) };
    let (mut store, _) = open(options.clone());
    let mut number = 0;
    loop {
        let mut batch = Vec::new();
        put(number + 1, &[1; 900], &mut batch);
        let committed = store.commit(&[&batch]);
        committed.dones.unwrap();
        match committed.puts {
            Ok(()) => number += 1,
            Err(StoreError::Full { .. }) if !store.maintain().unwrap() => break,
            Err(StoreError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(number < 10_000, "it is never full");
    }
    assert!(number > 1000, "{number} jobs");
    // One by one, and with jobs that are refused in between.
    for ended in 1..=number {
        end_one(&mut store, ended);
        let mut batch = Vec::new();
        put(1_000_000, &[1; 900], &mut batch);
        record::done(id(1_000_000), &mut batch);
        store.commit(&[&batch]).dones.unwrap();
    }
    while store.maintain().unwrap() {}
    put_one(&mut store, number + 1, 900);
    assert!(store.usage().unwrap().disk_bytes <= options.max_bytes);
    drop(store);
    assert_eq!(open(options).1, [(number + 1, 900)]);
}

#[test]
fn jobs_longer_than_a_segment_are_kept() {
    let scratch = Scratch::new();
    let options = small(&scratch.file("log"));
    let (mut store, _) = open(options.clone());
    let lengths = [1000, 300_000, 5, 2_000_000, 200_000, 200_000];
    for (number, length) in (1..).zip(lengths) {
        put_one(&mut store, number, length);
    }
    drop(store);
    let (mut store, jobs) = open(options.clone());
    assert_eq!(jobs, (1..).zip(lengths).collect::<Vec<_>>());
    for number in 1..=5 {
        end_one(&mut store, number);
        while store.maintain().unwrap() {}
    }
    let usage = store.usage().unwrap();
    assert!(usage.log_bytes <= 3 * usage.live_bytes + 2 * options.segment_bytes, "{usage:?}");
    drop(store);
    assert_eq!(open(options).1, [(6, 200_000)]);
}

#[test]
fn a_million_jobs_are_read_quickly() {
    // How quickly is printed; what is asserted is that they are there.
    let scratch = Scratch::new();
    let options = LogOptions::new(scratch.file("log"));
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let (mut store, _) = open(options.clone());
    let mut batch = Vec::new();
    let begin = std::time::Instant::now();
    for number in 1..=count {
        put(number, &[1; 100], &mut batch);
        if number % 1000 == 0 {
            commit(&mut store, &[&batch]);
            batch.clear();
        }
    }
    println!("{count} jobs written in {:?}", begin.elapsed());
    store.close().unwrap();
    drop(store);
    let begin = std::time::Instant::now();
    let (_, jobs) = open(options);
    println!("{count} jobs read in {:?}", begin.elapsed());
    assert_eq!(jobs.len() as u64, count);
    assert!(jobs.is_sorted());
}

#[test]
fn tools_look_and_save() {
    let scratch = Scratch::new();
    let saved = Scratch::new();
    let (mut store, _) = open(small(&scratch.file("log")));
    for number in 1..=100 {
        put_one(&mut store, number, 3000);
    }
    assert!(matches!(tools::check(&scratch.file("log")), Err(StoreError::Locked { .. })));
    store.close().unwrap();
    drop(store);
    let report = tools::check(&scratch.file("log")).unwrap();
    assert_eq!((report.jobs, report.records, report.blocks), (100, 100, 100));
    assert!(report.starts && report.closed && report.problems.is_empty(), "{report:?}");
    let mut told = Vec::new();
    assert_eq!(tools::dump(&scratch.file("log"), &mut |job| told.push(job.id.sequence())).unwrap(), 100);
    assert!(told.into_iter().eq(1..=100));
    // The workload of a job in the first segment.
    let first = scratch.file("log/segment-0000000001");
    let mut bytes = fs::read(&first).unwrap();
    bytes[6000] ^= 4;
    fs::write(&first, bytes).unwrap();
    let refused = LogStore::open(small(&scratch.file("log"))).unwrap().replay(&mut |_| {});
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("segment-0000000001 is damaged at byte 5632"), "{message}");
    let report = tools::check(&scratch.file("log")).unwrap();
    assert!(!report.starts, "{report:?}");
    assert_eq!(report.problems.len(), 1, "{report:?}");
    let report = tools::salvage(&scratch.file("log"), &saved.file("log")).unwrap();
    assert_eq!((report.jobs, report.problems.len()), (99, 1));
    let (_, jobs) = open(small(&saved.file("log")));
    assert_eq!(jobs, (2..=100).map(|number| (number, 3000)).collect::<Vec<_>>());
    assert!(tools::salvage(&scratch.file("log"), &saved.file("log")).is_err());
}

/// A later version wrote it, and says that nobody may run the job who does not know what that is.
#[test]
fn a_field_that_must_be_understood_stops_the_start() {
    let scratch = Scratch::new();
    let saved = Scratch::new();
    let dir = scratch.file("log");
    let (mut store, _) = open(small(&dir));
    let mut batch = Vec::new();
    (1..=3).for_each(|number| put(number, b"w", &mut batch));
    // The second one is put again, as this version would not write it.
    let whole = record::read(&batch[record::length(&batch).unwrap()..]);
    let Ok((record::Record::Put(job), _)) = whole else { panic!("{whole:?}") };
    let mut later = Vec::new();
    record::put(&StoredJob { more: &[2, 0, record::MUST | 3, 0], ..job }, &mut later);
    put(4, b"w", &mut later);
    commit(&mut store, &[&batch, &later]);
    store.close().unwrap();
    drop(store);

    let at = block_offset(&dir, &later);
    let refusals = [LogStore::open(small(&dir)).unwrap().replay(&mut |_| {}), tools::check(&dir).map(drop)];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Field { tag: 131, .. }), "{error:?}");
        let said = error.to_string();
        for word in ["segment-0000000001", &format!("byte {at}:"), "field 131", "start the version"] {
            assert!(said.contains(word), "{said} does not name {word}");
        }
    }
    // A salvage says so, and saves the others.
    let report = tools::salvage(&dir, &saved.file("log")).unwrap();
    assert_eq!((report.records, report.jobs, report.problems.len()), (5, 3, 1), "{report:?}");
    assert_eq!(report.problems[0].offset, at);
    let (_, jobs) = open(small(&saved.file("log")));
    assert_eq!(jobs.iter().map(|&(number, _)| number).collect::<Vec<_>>(), [1, 3, 4]);
}

/// Where a record begins in the first segment, within one sector.
fn block_offset(dir: &Path, record: &[u8]) -> u64 {
    let bytes = fs::read(dir.join("segment-0000000001")).unwrap();
    bytes.windows(40).position(|window| window == &record[..40]).unwrap() as u64
}

#[test]
fn a_replay_tells_how_far_it_has_come() {
    let folder = Scratch::new();
    let options = small(&folder.file("log"));
    let (mut store, _) = open(options.clone());
    (1..=200).for_each(|number| put_one(&mut store, number, 5000));
    (1..=50).for_each(|number| end_one(&mut store, number));
    drop(store);
    let mut store = LogStore::open(options).unwrap();
    let (mut seen, mut told) = (Vec::new(), 0);
    store.replay_telling(&mut |_| told += 1, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!((seen.pop(), told), (Some(Progress::Telling { jobs: 150 }), 150));
    let bytes: Vec<u64> = seen
        .iter()
        .map(|progress| match progress.clone() {
            Progress::Waiting { .. } | Progress::Away { .. } => panic!("a log is there"),
            Progress::Reading { bytes, of } => {
                assert_eq!(of, store.usage().unwrap().log_bytes);
                bytes
            }
            Progress::Telling { .. } => panic!("jobs are told at the end"),
        })
        .collect();
    assert!(bytes.is_sorted() && bytes.len() > 200, "{bytes:?}");
    assert_eq!(bytes.last(), Some(&store.usage().unwrap().log_bytes));
}
