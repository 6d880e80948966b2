//! The SQLite store and Debian's gearmand on one file, in turn: what one has accepted the other runs, each job once.
//! Our side is the store alone, as a library; what it does by itself is tested beside its source.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod others;
mod trial;

use ringgear::engine::slot::Slot;
use ringgear::engine::{Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::sqlite::{SqliteOptions, SqliteStore};
use ringgear::store::{Store, StoreError, record};
use rusqlite::Connection;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::gearmand::Server;
use support::packets::*;
use support::queues::{connect, stop, work_off};
use support::scratch::Scratch;
use support::server::{read_packet, request, wait_until};
use support::stores::*;

/// A time that does not come while the test runs, in seconds.
const LATER: u64 = 4_000_000_000;

/// A folder with a database.
struct Folder(Scratch);

impl Folder {
    fn new() -> Folder {
        Folder(Scratch::new())
    }

    fn file(&self) -> PathBuf {
        self.0.file("queue.db")
    }

    /// A process that another test of this one starts has a copy of each lock until it is what it is to be: so a lock that was
    /// just given up may still be there for a moment.
    fn store(&self) -> SqliteStore {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            match SqliteStore::open(SqliteOptions::of(self.file())) {
                Err(StoreError::Locked { .. }) if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5))
                }
                opened => return opened.unwrap(),
            }
        }
    }

    fn gearmand(&self) -> Server {
        start(&self.file()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Debian's gearmand on this database.
fn start(file: &Path) -> Result<Server, String> {
    let file = file.to_str().unwrap();
    support::queues::start("SQLite", "--libsqlite3-db", &["-q", "libsqlite3", "--libsqlite3-db", file])
}

/// Submits a background job.
#[track_caller]
fn submit(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    let (answer, data) = read_packet(stream);
    assert_eq!(answer, JOB_CREATED, "{}", String::from_utf8_lossy(&data));
}

/// What a replay tells of a job, in short.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    id: JobId,
    unique: Vec<u8>,
    priority: Priority,
    epoch: Option<Epoch>,
    workload: Vec<u8>,
    reducer: Option<Vec<u8>>,
    attempts: u8,
    dead: bool,
}

fn replayed(store: &mut dyn Store) -> Vec<Told> {
    let mut jobs = Vec::new();
    let each = &mut |job: StoredJob<'_>| {
        jobs.push(Told {
            id: job.id,
            unique: job.unique.to_vec(),
            priority: job.priority,
            epoch: job.epoch,
            workload: job.workload.to_vec(),
            reducer: job.reducer.map(<[u8]>::to_vec),
            attempts: job.attempts,
            dead: job.death.is_some(),
        });
    };
    store.replay(each).unwrap();
    jobs
}

#[test]
fn what_gearmand_has_stored_is_replayed_in_order() {
    let folder = Folder::new();
    let mut server = folder.gearmand();
    let mut client = connect(&mut server);
    let binary: Vec<u8> = (0..=255).cycle().take(1000).collect();
    submit(&mut client, SUBMIT_JOB_LOW_BG, &[b"f", b"low", b"l"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"binary", &binary]);
    submit(&mut client, SUBMIT_JOB_HIGH_BG, &[b"f", b"high", b"h"]);
    submit(&mut client, SUBMIT_JOB_EPOCH, &[b"f", b"epoch", LATER.to_string().as_bytes(), b"e"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"empty", b""]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", &[b'u'; 64], b"long"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", &[b'v'; 63], b"63"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"\xff\xfe", b"not text"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"", b"none"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"-", b"dash"]);
    submit(&mut client, SUBMIT_JOB_BG, &[b"another", b"low", b"a"]);
    drop(client);
    stop(server);

    let mut store = folder.store();
    let jobs = replayed(&mut store);
    let told: Vec<(&[u8], Priority, &[u8])> =
        jobs.iter().map(|job| (&job.unique[..], job.priority, &job.workload[..])).collect();
    assert_eq!(
        told,
        [
            (&b"low"[..], Priority::Low, &b"l"[..]),
            (b"binary", Priority::Normal, &binary),
            (b"high", Priority::High, b"h"),
            (b"epoch", Priority::Normal, b"e"),
            (b"empty", Priority::Normal, b""),
            // gearmand has kept 63 bytes.
            (&[b'u'; 63], Priority::Normal, b"long"),
            (&[b'v'; 63], Priority::Normal, b"63"),
            (b"\xff\xfe", Priority::Normal, b"not text"),
            (b"", Priority::Normal, b"none"),
            (b"-", Priority::Normal, b"dash"),
            (b"low", Priority::Normal, b"a"),
        ]
    );
    let times: Vec<Option<Epoch>> = jobs.iter().map(|job| job.epoch).filter(Option::is_some).collect();
    assert_eq!(
        (times, jobs[3].epoch),
        (vec![Some(Epoch::from_seconds(LATER))], Some(Epoch::from_seconds(LATER)))
    );
    assert!(jobs.iter().all(|job| job.reducer.is_none() && job.attempts == 0 && !job.dead));

    // Their ends are found, and the rest goes back.
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    done(&mut store, &[&ids[..1], &ids[3..10]].concat());
    store.close().unwrap();
    let mut server = folder.gearmand();
    assert_eq!(
        work_off(&mut server, b"f"),
        [(b"high".to_vec(), b"h".to_vec()), (b"binary".to_vec(), binary)]
    );
    assert_eq!(work_off(&mut server, b"another"), [(b"low".to_vec(), b"a".to_vec())]);
    stop(server);
    assert_eq!(replayed(&mut folder.store()), []);
}

/// Jobs as ours stores them, with what gearmand is to make of each: its unique.
fn ours(long: &[u8]) -> Vec<(StoredJob<'_>, Vec<u8>)> {
    let generated = |sequence, tail| {
        format!("ringgear:{}:{tail}", JobId::new(sequence, Slot::of(b"f")).number()).into_bytes()
    };
    vec![
        (job(1, b"first", b"1"), b"first".to_vec()),
        (StoredJob { priority: Priority::Low, ..job(2, b"low", b"2") }, b"low".to_vec()),
        (StoredJob { priority: Priority::High, ..job(3, b"high", b"3") }, b"high".to_vec()),
        (job(4, b"", b"4"), generated(4, 'e')),
        (job(5, b"", b"5"), generated(5, 'e')),
        (job(6, b"-", b"6"), generated(6, 'd')),
        (job(7, b"-", b"7"), generated(7, 'd')),
        (job(8, b"no workload", b""), b"no workload".to_vec()),
        (job(9, long, b"9"), long[..63].to_vec()),
        (StoredJob { reducer: Some(b"sum"), ..job(10, b"reduce", b"10") }, b"reduce".to_vec()),
        (StoredJob { attempts: 2, ..job(11, b"tried", b"11\0binary\xff") }, b"tried".to_vec()),
        (StoredJob { epoch: Some(Epoch(1500)), ..job(12, b"was due", b"12") }, b"was due".to_vec()),
    ]
}

/// In gearmand's order: by priority, then as accepted.
fn as_worked_off(jobs: &[(StoredJob<'_>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut jobs: Vec<_> = jobs.iter().collect();
    jobs.sort_by_key(|(job, _)| job.priority);
    jobs.into_iter().map(|(job, unique)| (unique.clone(), job.workload.to_vec())).collect()
}

#[test]
fn what_ours_has_stored_gearmand_runs_once() {
    let folder = Folder::new();
    let long = [b'u'; 64];
    let jobs = ours(&long);
    // Of another function: in gearmand, jobs of lower priority wait behind one that is not due.
    let later = StoredJob {
        id: JobId::new(20, Slot::of(b"later")),
        function: b"later",
        epoch: Some(Epoch::from_seconds(LATER)),
        ..job(20, b"later", b"20")
    };
    let mut store = folder.store();
    let stored: Vec<StoredJob<'_>> = jobs.iter().map(|(job, _)| *job).collect();
    put(&mut store, &stored);
    put(&mut store, &[later, dead(21, b"dead", b"21")]);
    store.close().unwrap();

    let mut server = folder.gearmand();
    assert_eq!(work_off(&mut server, b"f"), as_worked_off(&jobs));
    stop(server);
    // Each was ended in the file, too.
    let mut server = folder.gearmand();
    assert_eq!(work_off(&mut server, b"f"), []);
    stop(server);
    // What it did not run is ours again.
    let left = replayed(&mut folder.store());
    assert_eq!(left.len(), 2);
    assert_eq!((left[0].id, left[0].epoch, left[0].dead), (later.id, later.epoch, false));
    assert_eq!((left[1].id, &left[1].workload[..], left[1].dead), (dead(21, b"", b"").id, &b"21"[..], true));
}

#[test]
fn gearmand_opens_what_a_crash_of_ours_leaves() {
    let folder = Folder::new();
    let mut store = folder.store();
    replayed(&mut store);
    let long = [b'u'; 64];
    let jobs = ours(&long);
    let stored: Vec<StoredJob<'_>> = jobs.iter().map(|(job, _)| *job).collect();
    put(&mut store, &stored);
    // What is in the files now would be there after a crash. By another process: a file that this one closes loses
    // the locks that SQLite has on it.
    let crashed = Folder::new();
    let copied =
        Command::new("cp").arg("-r").arg(folder.0.file(".")).arg(crashed.0.file("")).status().unwrap();
    assert!(copied.success());
    assert!(crashed.0.file("queue.db-wal").metadata().unwrap().len() > 0, "nothing was left to recover");
    let guard = "DROP TRIGGER gearman_queue_ringgear_guard";
    Connection::open(crashed.file()).unwrap().execute_batch(guard).unwrap();
    let mut server = crashed.gearmand();
    assert_eq!(work_off(&mut server, b"f"), as_worked_off(&jobs));
    stop(server);
    assert_eq!(replayed(&mut crashed.store()), []);
    // Here all of them still are.
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()).len(), jobs.len());
}

#[test]
fn what_gearmand_cannot_keep_survives_its_turn() {
    let folder = Folder::new();
    let mut store = folder.store();
    let long = [b'u'; 64];
    let later = Some(Epoch::from_seconds(LATER));
    let jobs = [
        StoredJob { epoch: later, reducer: Some(b"sum"), ..job(1, b"reduce", b"1") },
        StoredJob { epoch: later, attempts: 2, ..job(2, b"tried", b"2") },
        StoredJob { epoch: later, ..job(3, &long, b"3") },
        StoredJob { epoch: later, ..job(4, b"", b"4") },
        StoredJob { epoch: later, ..job(5, b"-", b"5") },
    ];
    put(&mut store, &jobs);
    let before = {
        store.close().unwrap();
        replayed(&mut folder.store())
    };
    assert_eq!(before.len(), jobs.len());
    let mut server = folder.gearmand();
    let mut client = connect(&mut server);
    submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"new", b"n"]);
    drop(client);
    stop(server);
    let mut after = replayed(&mut folder.store());
    let new = after.pop().unwrap();
    assert_eq!(after, before);
    assert_eq!((&new.unique[..], new.id > jobs[4].id), (&b"new"[..], true));
}

/// `gearman -w`, until dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_tools_of_the_package_work_off_our_jobs() {
    let folder = Folder::new();
    let mut store = folder.store();
    let workloads: Vec<String> = (1..=50).map(|number| format!("job {number}\n")).collect();
    let jobs: Vec<StoredJob<'_>> =
        (1..).zip(&workloads).map(|(sequence, workload)| job(sequence, b"", workload.as_bytes())).collect();
    put(&mut store, &jobs);
    store.close().unwrap();

    let server = folder.gearmand();
    let output = folder.0.file("worked");
    let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let worker = Command::new("gearman")
        .args(["-h", &host, "-p", &port, "-w", "-f", "f", "--", "tee", "-a", output.to_str().unwrap()])
        .env_remove("GEARMAN_SERVER")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let worker = Worker(worker.expect("`gearman` is there: apt-get install gearman-tools"));
    wait_until("all jobs have ended", || {
        let status = Command::new("gearadmin").args(["-h", &host, "-p", &port, "--status"]).output();
        let status = status.expect("`gearadmin` is there: apt-get install gearman-tools");
        String::from_utf8_lossy(&status.stdout) == "f\t0\t0\t1\n.\n"
    });
    drop(worker);
    stop(server);
    assert_eq!(fs::read_to_string(&output).unwrap(), workloads.concat());
    assert_eq!(replayed(&mut folder.store()), []);
}
