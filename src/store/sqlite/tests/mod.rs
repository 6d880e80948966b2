//! The store: every kind of job comes back as it was. The files beside this one are a topic each. The trip to Debian's gearmand
//! and back is `tests/sqlite/`.
mod foreign;
mod histories;
mod numbers;
mod room;

use super::*;
use crate::engine::slot::Slot;
use crate::engine::{Death, DeathReason, Epoch};
use crate::protocol::Priority;
use crate::store::scratch::Scratch;
use proptest::prelude::*;
use rusqlite::Connection;
use std::fs;
use std::net::Ipv4Addr;

/// A folder with a database.
struct Folder(Scratch);

impl Folder {
    fn new() -> Folder {
        Folder(Scratch::new())
    }

    fn file(&self) -> PathBuf {
        self.0.file("queue.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(SqliteOptions::of(self.file())).unwrap()
    }

    /// The database as another program has it, while no store is open.
    fn sql(&self, sql: &str) -> Connection {
        let connection = Connection::open(self.file()).unwrap();
        connection.execute_batch(sql).unwrap();
        connection
    }
}
/// A job with everything in its own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    id: JobId,
    priority: Priority,
    epoch: Option<Epoch>,
    attempts: u8,
    function: Vec<u8>,
    unique: Vec<u8>,
    workload: Vec<u8>,
    reducer: Option<Vec<u8>>,
    dead: bool,
    more: Vec<u8>,
}

impl Job {
    fn new(sequence: u64, function: &str, unique: &[u8]) -> Job {
        Job {
            id: JobId::new(sequence, Slot::of(function.as_bytes())),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function: function.into(),
            unique: unique.to_vec(),
            workload: b"any \0 bytes \xff".to_vec(),
            reducer: None,
            dead: false,
            more: Vec::new(),
        }
    }

    fn stored(&self) -> StoredJob<'_> {
        StoredJob {
            id: self.id,
            priority: self.priority,
            epoch: self.epoch,
            attempts: self.attempts,
            function: &self.function,
            unique: &self.unique,
            workload: &self.workload,
            reducer: self.reducer.as_deref(),
            death: self.dead.then_some(DEATH),
            accepted: (self.dead || !self.more.is_empty()).then_some(ACCEPTED),
            more: &self.more,
        }
    }

    fn of(job: StoredJob<'_>) -> Job {
        assert!(job.death.is_none_or(|death| death == DEATH), "{:?}", job.death);
        // Whatever has a row of our own keeps it.
        let dated = job.death.is_some() || !job.more.is_empty();
        assert!(!dated || job.accepted == Some(ACCEPTED), "{job:?}");
        Job {
            id: job.id,
            priority: job.priority,
            epoch: job.epoch,
            attempts: job.attempts,
            function: job.function.to_vec(),
            unique: job.unique.to_vec(),
            workload: job.workload.to_vec(),
            reducer: job.reducer.map(<[u8]>::to_vec),
            dead: job.death.is_some(),
            more: job.more.to_vec(),
        }
    }
}

/// When jobs were accepted.
const ACCEPTED: Epoch = Epoch(1_799_000_000_456);

const DEATH: Death<'static> = Death {
    reason: DeathReason::WorkerGone,
    at: Epoch(1_800_000_000_123),
    address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    worker: b"worker-1",
};

#[track_caller]
fn replayed(store: &mut SqliteStore) -> Vec<Job> {
    let mut jobs = Vec::new();
    store.replay(&mut |job| jobs.push(Job::of(job))).unwrap();
    jobs
}

fn puts(jobs: &[Job]) -> Vec<u8> {
    let mut batch = Vec::new();
    jobs.iter().for_each(|job| record::put(&job.stored(), &mut batch));
    batch
}

fn dones(jobs: &[Job]) -> Vec<u8> {
    let mut batch = Vec::new();
    jobs.iter().for_each(|job| record::done(job.id, &mut batch));
    batch
}

#[track_caller]
fn commit(store: &mut SqliteStore, batch: &[u8]) {
    let committed = store.commit(&[batch]);
    committed.puts.unwrap();
    committed.dones.unwrap();
}

/// One job of each kind.
fn every_kind() -> Vec<Job> {
    vec![
        Job::new(1, "f", b"plain"),
        Job { priority: Priority::High, ..Job::new(2, "f", b"high") },
        Job { priority: Priority::Low, ..Job::new(3, "f", b"low") },
        Job { epoch: Some(Epoch(2_000_000_000_000)), ..Job::new(4, "f", b"later") },
        Job { epoch: Some(Epoch(2_000_000_000_001)), ..Job::new(5, "f", b"between") },
        Job { workload: Vec::new(), ..Job::new(6, "f", b"empty") },
        Job::new(7, "f", &[b'u'; 64]),
        Job::new(8, "f", &[b"u".repeat(63), b"v".to_vec()].concat()),
        Job::new(9, "f", b""),
        Job::new(10, "f", b""),
        Job::new(11, "f", b"-"),
        Job { workload: b"other".to_vec(), ..Job::new(12, "f", b"-") },
        Job { reducer: Some(b"sum".to_vec()), ..Job::new(13, "f", b"reduce") },
        Job { attempts: 3, ..Job::new(14, "f", b"tried") },
        Job::new(15, "f", b"\xff\xfe \n\t'\"%"),
        Job::new(16, "f", b"ringgear:17408:e"),
        Job { more: b"\x02\x03any\x70\0".to_vec(), ..Job::new(160, "f", b"with more") },
        Job { dead: true, attempts: 9, ..Job::new(17, "f", b"dead") },
        Job { dead: true, more: b"\x7e\x01x".to_vec(), ..Job::new(18, "f", b"dead, with more") },
    ]
}

#[test]
fn jobs_come_back_as_they_were() {
    let folder = Folder::new();
    let jobs = every_kind();
    let mut store = folder.store();
    assert_eq!(replayed(&mut store), []);
    commit(&mut store, &puts(&jobs));
    store.close().unwrap();
    let mut store = folder.store();
    assert_eq!(replayed(&mut store), jobs);
    // Again, from one that was not closed in order.
    drop(store);
    let mut store = folder.store();
    assert_eq!(replayed(&mut store), jobs);
    commit(&mut store, &dones(&jobs));
    store.close().unwrap();
    let count = "SELECT (SELECT count(*) FROM gearman_queue) + (SELECT count(*) FROM gearman_queue_ringgear)";
    let left: i64 = folder.sql("").query_row(count, (), |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn dead_jobs_are_out_of_gearmands_sight() {
    let folder = Folder::new();
    let mut store = folder.store();
    let job = Job::new(1, "f", b"u");
    let dead = Job { dead: true, attempts: 3, ..job.clone() };
    commit(&mut store, &puts(&[job.clone(), dead.clone()]));
    // Another job may have its unique meanwhile, and both may be in the queue when it is put back.
    let other = Job::new(2, "f", b"u");
    commit(&mut store, &puts(std::slice::from_ref(&other)));
    store.close().unwrap();
    let rows: i64 =
        folder.sql("").query_row("SELECT count(*) FROM gearman_queue", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    let mut store = folder.store();
    assert_eq!(replayed(&mut store), [other.clone(), dead]);
    commit(&mut store, &puts(std::slice::from_ref(&job)));
    store.close().unwrap();
    let mut store = folder.store();
    assert_eq!(replayed(&mut store), [job.clone(), other.clone()]);
    commit(&mut store, &dones(&[other]));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [job]);
}

#[test]
fn lost_attempts_are_noted_beside_rows_of_every_kind() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut jobs = every_kind();
    jobs.retain(|job| job.stored().death.is_none());
    commit(&mut store, &puts(&jobs));
    for lost in [1, 2] {
        let mut records = Vec::new();
        jobs.iter().for_each(|job| record::attempts(job.stored().id, lost, &mut records));
        commit(&mut store, &records);
    }
    store.close().unwrap();
    let told = replayed(&mut folder.store());
    assert_eq!(told.len(), jobs.len());
    for (told, job) in told.iter().zip(&jobs) {
        assert_eq!(told.stored(), StoredJob { attempts: 2, ..job.stored() });
    }
    // A number that is not there is no reason to fail.
    let mut records = Vec::new();
    record::attempts(JobId::new(999, Slot::of(b"f")), 1, &mut records);
    commit(&mut folder.store(), &records);
}

#[test]
fn a_replay_tells_how_many_jobs_there_are() {
    let folder = Folder::new();
    let mut store = folder.store();
    let jobs = every_kind();
    commit(&mut store, &puts(&jobs));
    store.close().unwrap();
    let (mut seen, mut told) = (Vec::new(), 0);
    folder.store().replay_telling(&mut |_| told += 1, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(seen, [Progress::Telling { jobs: told }]);
    assert_eq!(told, jobs.len() as u64);
}

#[test]
fn with_storing_at_shutdown_only_the_file_changes_at_the_end() {
    let folder = Folder::new();
    let mut store = folder.store();
    let old = [Job::new(1, "f", b"a"), Job::new(2, "f", b"b")];
    commit(&mut store, &puts(&old));
    store.close().unwrap();
    let open = || {
        SqliteStore::open(SqliteOptions { on_shutdown_only: true, ..SqliteOptions::of(folder.file()) })
            .unwrap()
    };
    let new = [Job::new(3, "f", b""), Job { dead: true, ..Job::new(4, "f", b"d") }, Job::new(5, "f", b"e")];
    let run = |store: &mut SqliteStore| {
        assert_eq!(replayed(store), old);
        commit(store, &puts(&new));
        commit(store, &dones(&new[2..]));
    };
    // A crash loses what was new, and nothing else.
    let mut store = open();
    run(&mut store);
    drop(store);
    let mut store = open();
    run(&mut store);
    commit(&mut store, &dones(&old[..1]));
    drop(store);
    assert_eq!(replayed(&mut folder.store()), old[1..]);
    let mut store = open();
    assert_eq!(replayed(&mut store), old[1..]);
    commit(&mut store, &puts(&new[..2]));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [old[1].clone(), new[0].clone(), new[1].clone()]);
}
