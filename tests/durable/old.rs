//! Stores as earlier versions have left them (`old/<version>/`): every later version opens them, finds every job as it was,
//! and goes on with them. How a folder was made is at the end; one that is there is never made again.
use super::commands::store;
use super::folder;
use super::support::scratch::Scratch;
use super::support::server::*;
use ringgear::engine::slot::Slot;
use ringgear::engine::{Death, DeathReason, Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::log::{LogOptions, LogStore};
use ringgear::store::sqlite::{SqliteOptions, SqliteStore};
use ringgear::store::{Store, record};
use serde_json::Value;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// What each version has left, besides `jobs.json`: a log that was closed, one whose server was killed, and a database.
const LOGS: [&str; 2] = ["log", "killed"];
const DATABASE: &str = "queue.db";

fn old() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durable/old")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// The versions that have left something.
fn versions() -> Vec<PathBuf> {
    files(&old()).into_iter().filter(|path| path.is_dir()).collect()
}

/// A copy of what a version has left, to be changed.
fn copy(version: &Path) -> Scratch {
    let folder = folder();
    for name in LOGS.into_iter().chain(["."]) {
        fs::create_dir_all(folder.file(name)).unwrap();
        for file in files(&version.join(name)).into_iter().filter(|file| file.is_file()) {
            fs::copy(&file, folder.file(name).join(file.file_name().unwrap())).unwrap();
        }
    }
    folder
}

/// The jobs of a log, as `ringgear store dump` shows them.
#[track_caller]
fn dump(dir: &str) -> Vec<Value> {
    let (status, said, error) = store(&["check", dir]);
    assert_eq!((status, &error[..]), (Some(0), ""), "{said}");
    let (status, lines, error) = store(&["dump", dir]);
    assert_eq!((status, &error[..]), (Some(0), ""));
    jobs_of(&lines)
}

fn jobs_of(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// These are the jobs, in their order, and all is known of them that was known. More may be.
#[track_caller]
fn assert_known(jobs: &[Value], wanted: &[Value], place: &str) {
    let numbers = |jobs: &[Value]| jobs.iter().map(|job| job["job"].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(jobs), numbers(wanted), "{place}");
    for (job, wanted) in jobs.iter().zip(wanted) {
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(&job[name], value, "{place}: {name} of {wanted}");
        }
    }
}

/// Opens a log that is already there, with short segments.
fn open(dir: &str) -> LogStore {
    let mut log = LogStore::open(LogOptions { segment_bytes: 16 << 10, ..LogOptions::new(dir) }).unwrap();
    log.replay(&mut |_| {}).unwrap();
    log
}

#[track_caller]
fn commit(store: &mut dyn Store, records: &[u8]) {
    let committed = store.commit(&[records]);
    committed.puts.unwrap();
    committed.dones.unwrap();
}

/// Jobs come and go until nothing stands any more where it stood before: it was copied.
fn copy_all(log: &mut LogStore, dir: &str) {
    let is_segment = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("segment-");
    let newest = files(Path::new(dir)).into_iter().rfind(is_segment).unwrap();
    for sequence in 1_000_000.. {
        let mut records = Vec::new();
        let job = plain(sequence, b"", &[b'.'; 3000]);
        record::put(&job, &mut records);
        record::done(job.id, &mut records);
        commit(log, &records);
        while log.maintain().unwrap() {}
        if !newest.exists() {
            return;
        }
        assert!(sequence < 1_001_000, "{} stays", newest.display());
    }
}

/// A server starts and has all jobs that are not dead.
#[track_caller]
fn assert_started(options: &[&str], wanted: &[Value], place: &str) {
    let server = Server::start(options);
    let status = ask(&mut server.connect(), "status\n");
    let column = |line: &str| line.split('\t').nth(1).unwrap().parse::<usize>().unwrap();
    let living = wanted.iter().filter(|job| job["dead_since_ms"].is_null()).count();
    assert_eq!(status.lines().filter(|line| *line != ".").map(column).sum::<usize>(), living, "{place}");
}

#[test]
fn what_every_version_has_left_is_opened_and_gone_on_with() {
    assert!(!versions().is_empty());
    for version in versions() {
        let folder = copy(&version);
        let wanted = jobs_of(&fs::read_to_string(version.join("jobs.json")).unwrap());
        assert_eq!(wanted.len(), jobs(&[]).len(), "{}", version.display());
        for name in LOGS {
            let (dir, place) = (folder.path(name), format!("{}/{name}", version.display()));
            assert_known(&dump(&dir), &wanted, &place);
            let mut log = open(&dir);
            copy_all(&mut log, &dir);
            drop(log);
            assert_known(&dump(&dir), &wanted, &format!("{place}, copied"));
            assert_started(&["--data-dir", &dir], &wanted, &place);
            let mut log = open(&dir);
            let mut ends = Vec::new();
            for job in wanted.iter().step_by(2) {
                record::done(JobId::from_number(job["job"].as_u64().unwrap()).unwrap(), &mut ends);
            }
            commit(&mut log, &ends);
            drop(log);
            let left: Vec<Value> = wanted.iter().skip(1).step_by(2).cloned().collect();
            assert_known(&dump(&dir), &left, &format!("{place}, ended"));
        }
        // A database does not say it of plain jobs.
        let undated = |mut job: Value| {
            job.as_object_mut().unwrap().remove("accepted_ms");
            job
        };
        let wanted: Vec<Value> = wanted.into_iter().map(undated).collect();
        let (database, imported) = (folder.path(DATABASE), folder.path("imported"));
        let place = format!("{}/{DATABASE}", version.display());
        let (status, said, error) = store(&["import", "--libsqlite3-db", &database, &imported]);
        assert_eq!((status, &error[..]), (Some(0), ""), "{place}: {said}");
        assert_known(&dump(&imported), &wanted, &place);
        assert_started(&["-q", "libsqlite3", "--libsqlite3-db", &database], &wanted, &place);
    }
}

// How a folder is made.

fn plain<'a>(sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
    StoredJob {
        id: JobId::new(sequence, Slot::of(b"f")),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function: b"f",
        unique,
        workload,
        reducer: None,
        death: None,
        accepted: Some(Epoch(1_763_999_999_000 + sequence)),
        more: b"",
    }
}

/// A job of each kind, the dead ones last, as a database tells them; one with this workload, which is long.
fn jobs(long: &[u8]) -> Vec<StoredJob<'_>> {
    let g = |sequence, unique| StoredJob {
        id: JobId::new(sequence, Slot::of(b"g")),
        function: b"g",
        ..plain(sequence, unique, b"")
    };
    let death = |reason, worker| {
        Some(Death {
            reason,
            at: Epoch(1_764_000_000_123),
            address: Ipv4Addr::new(192, 0, 2, 7).into(),
            worker,
        })
    };
    vec![
        plain(1, b"plain", b"any \0 bytes \xff"),
        StoredJob { priority: Priority::High, ..plain(2, b"high", b"h") },
        StoredJob { priority: Priority::Low, ..plain(3, b"low", b"l") },
        StoredJob { epoch: Some(Epoch(4_000_000_000_000)), ..plain(4, b"later", b"e") },
        StoredJob { epoch: Some(Epoch(4_000_000_000_001)), ..plain(5, b"between seconds", b"e") },
        plain(6, b"", b"no unique 1"),
        plain(7, b"", b"no unique 2"),
        plain(8, b"-", b"by workload"),
        plain(9, &[b'u'; 64], b"long unique"),
        plain(10, b"\xff\xfe \n\t'\"%", b""),
        StoredJob { reducer: Some(b"sum"), ..plain(11, b"reduce", b"r") },
        StoredJob { attempts: 3, ..plain(12, b"tried", b"t") },
        plain(13, b"tried since", b"t"),
        plain(14, b"long", long),
        g(15, b"plain"),
        StoredJob { priority: Priority::High, ..g(16, b"") },
        StoredJob { death: death(DeathReason::WorkerGone, b"w1"), attempts: 4, ..plain(17, b"dead", b"d") },
        StoredJob { death: death(DeathReason::AbilityDropped, b""), attempts: 4, ..plain(18, b"", b"d") },
        StoredJob { death: death(DeathReason::TimedOut, b"w2"), attempts: 4, ..g(19, b"dead") },
    ]
}

/// What the running version leaves: `RINGGEAR_OLD=0.1.0 cargo test -p ringgear --test durable --locked make -- --ignored`
#[test]
#[ignore = "makes tests/durable/old/$RINGGEAR_OLD, once for each version"]
fn make_what_this_version_leaves() {
    let version = old().join(std::env::var("RINGGEAR_OLD").unwrap());
    assert!(!version.exists(), "{} is never made again", version.display());
    fs::create_dir_all(&version).unwrap();
    let long: Vec<u8> = (0..20_000_u32).map(|at| (at / 64) as u8).collect();
    let jobs = jobs(&long);
    let within = |name: &str| version.join(name).to_str().unwrap().to_owned();
    for name in LOGS {
        let mut log = open(&within(name));
        // The first ones stand in copies in the end.
        let (first, second) = jobs.split_at(10);
        put_each(&mut log, first);
        copy_all(&mut log, &within(name));
        put_each(&mut log, second);
        if name == "log" {
            log.close().unwrap();
        }
    }
    let mut table = SqliteStore::open(SqliteOptions::of(version.join(DATABASE))).unwrap();
    put_each(&mut table, &jobs);
    table.close().unwrap();
    drop(table);
    fs::remove_file(version.join(format!("{DATABASE}.ringgear-lock"))).unwrap();
    let (status, lines, error) = store(&["dump", &within("log")]);
    assert_eq!((status, &error[..]), (Some(0), ""));
    fs::write(version.join("jobs.json"), lines).unwrap();
}

/// Puts jobs, each in a commit of its own, and what happens to them.
fn put_each(store: &mut dyn Store, jobs: &[StoredJob<'_>]) {
    for job in jobs {
        let mut records = Vec::new();
        record::put(job, &mut records);
        commit(store, &records);
        let mut records = Vec::new();
        if job.unique == b"tried since" {
            record::attempts(job.id, 2, &mut records);
        }
        let over = plain(1000 + job.id.sequence(), b"over", b"o");
        record::put(&over, &mut records);
        record::done(over.id, &mut records);
        commit(store, &records);
    }
}
