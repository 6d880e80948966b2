//! The store against a model of itself, against rows as other programs write them, and where it must refuse. The trip
//! to Debian's gearmand and back is `tests/sqlite.rs`.
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
fn rows_of_other_programs_are_read_where_they_have_one_meaning() {
    let folder = Folder::new();
    folder.sql(
        "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,
                                     when_to_run INTEGER, PRIMARY KEY (unique_key, function_name));
         INSERT INTO gearman_queue VALUES
            ('null', 'f', 1, NULL, NULL), ('', 'f', 0, x'61', 0), ('-', 'f', 2, x'62', 0),
            (CAST(zeroblob(1) AS TEXT), 'g', 7, 'text', -5), (x'6b6579', 'f', NULL, x'00', 2000000000),
            (17, 'f', 'x', x'', 0);",
    );
    let mut store = folder.store();
    let jobs = replayed(&mut store);
    let told: Vec<_> =
        jobs.iter().map(|job| (&job.unique[..], job.priority, &job.workload[..], job.epoch)).collect();
    assert_eq!(
        told,
        [
            (&b"null"[..], Priority::Normal, &b""[..], None),
            (b"", Priority::High, b"a", None),
            (b"-", Priority::Low, b"b", None),
            (b"", Priority::Normal, b"text", None),
            (b"key", Priority::Normal, b"\0", Some(Epoch::from_seconds(2_000_000_000))),
            (b"17", Priority::Normal, b"", None),
        ]
    );
    let numbers: HashSet<JobId> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(numbers.len(), jobs.len());
    commit(&mut store, &dones(&jobs[..3]));
    store.close().unwrap();
    let mut store = folder.store();
    let left: Vec<Vec<u8>> = replayed(&mut store).into_iter().map(|job| job.workload).collect();
    assert_eq!(left, [&b"text"[..], b"\0", b""]);
}

#[test]
fn rows_that_mean_nothing_stop_the_start_with_their_place() {
    for (values, words) in [
        ("('u', 'f', 1, 5, 0)", ["row 1", "data"]),
        ("('u', 'f', 1, x'', 'soon')", ["row 1", "when_to_run"]),
        ("('u', NULL, 1, x'', 0)", ["row 1", "function_name"]),
        ("(CAST(x'610062' AS TEXT), 'f', 1, x'', 0)", ["row 1", "unique_key"]),
        ("(CAST(zeroblob(65) AS TEXT), 'f', 1, x'', 0)", ["row 1", "unique_key"]),
    ] {
        let folder = Folder::new();
        folder.store().close().unwrap();
        folder.sql(&format!("INSERT INTO gearman_queue VALUES {values}"));
        let error = folder.store().replay(&mut |_| {}).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
        for word in words.into_iter().chain(["queue.db"]) {
            assert!(said.contains(word), "{said} does not name {word}");
        }
    }
}

/// A later version wrote it, and says that nobody may run the job who does not know what that is.
#[test]
fn a_field_that_must_be_understood_stops_the_start() {
    let folder = Folder::new();
    let mut store = folder.store();
    let job = Job { more: vec![record::MUST | 9, 0], ..Job::new(1, "f", b"u") };
    record_of_a_later_version(&mut store, &job);
    store.close().unwrap();
    let error = folder.store().replay(&mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Field { tag: 137, .. }), "{error:?}");
    let said = error.to_string();
    let row = format!("row {}", job.id.number());
    for word in ["queue.db", "gearman_queue_ringgear", &row, "field 137", "start the version"] {
        assert!(said.contains(word), "{said} does not name {word}");
    }
}

/// Has the database hold a job as this version would not write it.
fn record_of_a_later_version(store: &mut SqliteStore, job: &Job) {
    let known = Job { more: b"\x02\0".to_vec(), ..job.clone() };
    commit(store, &puts(std::slice::from_ref(&known)));
    // The workload is in the row beside it.
    let mut bytes = Vec::new();
    record::put(&StoredJob { workload: b"", ..job.stored() }, &mut bytes);
    let record: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    store.table.as_ref().unwrap().run(&format!("UPDATE gearman_queue_ringgear SET record = x'{record}'"));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    fs::write(folder.file(), "This is a letter, not a database.".repeat(100)).unwrap();
    let error = SqliteStore::open(SqliteOptions::of(folder.file())).unwrap_err();
    assert!(matches!(&error, StoreError::Database { name, .. } if name.ends_with("queue.db")), "{error:?}");
    let error = SqliteStore::open(SqliteOptions::of(folder.0.file("no/folder"))).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
}

#[test]
fn very_old_tables_get_the_column_of_times() {
    let folder = Folder::new();
    folder.sql(
        "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,
                                     PRIMARY KEY (unique_key, function_name));
         INSERT INTO gearman_queue VALUES ('old', 'f', 1, x'61');",
    );
    let mut store = folder.store();
    assert_eq!(replayed(&mut store).len(), 1);
    let later = Job { epoch: Some(Epoch::from_seconds(2_000_000_000)), ..Job::new(99, "f", b"later") };
    commit(&mut store, &puts(std::slice::from_ref(&later)));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store())[1], later);
}

#[test]
fn names_of_tables_are_quoted() {
    let folder = Folder::new();
    let options =
        SqliteOptions { table: "order \"by\" table".to_owned(), ..SqliteOptions::of(folder.file()) };
    let mut store = SqliteStore::open(options.clone()).unwrap();
    commit(&mut store, &puts(&every_kind()));
    store.close().unwrap();
    assert_eq!(replayed(&mut SqliteStore::open(options).unwrap()), every_kind());
}

#[test]
fn a_second_server_is_refused() {
    let folder = Folder::new();
    let mut store = folder.store();
    let link = folder.0.file("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    for path in [folder.file(), link] {
        let error = SqliteStore::open(SqliteOptions::of(path)).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    }
    store.close().unwrap();
    drop(store);
    folder.store();
}

/// What gearmand does with a row while it has the file: ends its job, or ends it and stores another one in its place.
#[test]
fn what_we_know_of_a_job_goes_with_its_row() {
    let reduce = Job { reducer: Some(b"sum".to_vec()), ..Job::new(5, "f", b"u") };
    let insert = "INSERT INTO gearman_queue VALUES ('u', 'f', 1, x'6e6577', 0)";
    for (sql, plain) in [
        (String::new(), None),
        ("DELETE FROM gearman_queue".to_owned(), Some(None)),
        (format!("DELETE FROM gearman_queue; {insert}"), Some(Some(&b"new"[..]))),
        (insert.replace("INSERT", "INSERT OR REPLACE"), Some(Some(b"new"))),
    ] {
        let folder = Folder::new();
        let mut store = folder.store();
        commit(&mut store, &puts(std::slice::from_ref(&reduce)));
        store.close().unwrap();
        folder.sql(&sql);
        let jobs = replayed(&mut folder.store());
        match plain {
            None => assert_eq!(jobs, std::slice::from_ref(&reduce)),
            Some(None) => assert_eq!(jobs, []),
            Some(Some(workload)) => {
                assert_eq!((jobs.len(), &jobs[0].workload[..], &jobs[0].reducer), (1, workload, &None));
            }
        }
        // What was dropped stays away.
        let beside: i64 = folder
            .sql("")
            .query_row("SELECT count(*) FROM gearman_queue_ringgear", (), |row| row.get(0))
            .unwrap();
        assert_eq!(beside, i64::from(plain.is_none()), "{sql}");
    }
}

#[test]
fn rows_keep_their_jobs_when_they_are_renumbered() {
    let folder = Folder::new();
    let mut store = folder.store();
    let jobs = every_kind();
    commit(&mut store, &puts(&jobs));
    store.close().unwrap();
    folder.sql("UPDATE gearman_queue SET rowid = rowid / 1024");
    let mut store = folder.store();
    let told = replayed(&mut store);
    // Those without anything of ours get new numbers, and stay in their place.
    let nameless = |jobs: &[Job]| -> Vec<Job> {
        jobs.iter().map(|job| Job { id: JobId::new(1, Slot::of(b"f")), ..job.clone() }).collect()
    };
    assert_eq!(nameless(&told), nameless(&jobs));
    let numbers: HashSet<JobId> = told.iter().map(|job| job.id).collect();
    assert_eq!(numbers.len(), told.len());
    for (told, job) in
        told.iter().zip(&jobs).filter(|(_, job)| job.unique.is_empty() || job.reducer.is_some())
    {
        assert_eq!(told, job);
    }
    commit(&mut store, &dones(&told));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), []);
}

#[test]
fn gearmands_rows_never_meet_numbers_of_ours() {
    let folder = Folder::new();
    let mut store = folder.store();
    let living = Job::new(5, "f", b"living");
    let dead = Job { dead: true, ..Job::new(6, "f", b"dead") };
    commit(&mut store, &puts(&[living.clone(), dead.clone()]));
    store.close().unwrap();
    // A row gets the dead job's number, which is free in gearmand's table; and one behind it.
    let number = dead.id.number();
    folder.sql(&format!(
        "INSERT INTO gearman_queue (rowid, unique_key, function_name, priority, data, when_to_run)
         VALUES ({number}, 'theirs', 'f', 1, x'61', 0);
         INSERT INTO gearman_queue VALUES ('next', 'f', 1, x'62', 0);"
    ));
    let mut store = folder.store();
    let told = replayed(&mut store);
    let uniques: Vec<&[u8]> = told.iter().map(|job| &job.unique[..]).collect();
    assert_eq!(uniques, [&b"living"[..], b"next", b"theirs", b"dead"]);
    assert_eq!((&told[0], &told[3]), (&living, &dead));
    assert!(told[1..3].iter().all(|job| job.id > dead.id), "{told:?}");
    // The dead job is put back, ends, and nothing of theirs goes with it.
    commit(&mut store, &puts(&[Job { dead: false, ..dead.clone() }]));
    commit(&mut store, &dones(&[dead]));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()).len(), 3);
}

#[test]
fn a_refused_put_leaves_the_ends_of_jobs() {
    let folder = Folder::new();
    let mut store = folder.store();
    let jobs = [Job::new(1, "f", b"a"), Job::new(2, "f", b"b")];
    commit(&mut store, &puts(&jobs));
    store.close().unwrap();
    folder.sql(
        "CREATE TRIGGER no_entry BEFORE INSERT ON gearman_queue WHEN NEW.function_name = 'refused'
         BEGIN SELECT RAISE(ABORT, 'no entry'); END",
    );
    let mut store = folder.store();
    assert_eq!(replayed(&mut store).len(), 2);
    let (good, bad) = (Job::new(3, "f", b"c"), Job::new(4, "refused", b"d"));
    let committed = store.commit(&[&puts(&[good.clone(), bad]), &dones(&jobs[..1])]);
    let said = committed.puts.unwrap_err().to_string();
    assert!(said.contains("no entry") && said.contains("queue.db"), "{said}");
    committed.dones.unwrap();
    // Nothing is broken for those who come later.
    commit(&mut store, &puts(std::slice::from_ref(&good)));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [jobs[1].clone(), good]);
}

#[test]
fn ends_that_could_not_be_written_are_told_and_may_be_tried_again() {
    let folder = Folder::new();
    let mut store = folder.store();
    let job = Job::new(1, "f", b"a");
    commit(&mut store, &puts(std::slice::from_ref(&job)));
    store.close().unwrap();
    folder.sql(
        "CREATE TRIGGER no_exit BEFORE DELETE ON gearman_queue BEGIN SELECT RAISE(ABORT, 'no exit'); END",
    );
    let mut store = folder.store();
    replayed(&mut store);
    let committed = store.commit(&[&dones(std::slice::from_ref(&job))]);
    committed.puts.unwrap();
    let said = committed.dones.unwrap_err().to_string();
    assert!(said.contains("no exit"), "{said}");
    store.table.as_ref().unwrap().run("DROP TRIGGER no_exit");
    let next = Job::new(2, "f", b"b");
    let all = [dones(std::slice::from_ref(&job)), puts(std::slice::from_ref(&next))].concat();
    commit(&mut store, &all);
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [next]);
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
fn a_full_database_refuses_puts_until_jobs_end() {
    let folder = Folder::new();
    let mut store = folder.store();
    let big = |sequence| Job { workload: vec![7; 20_000], ..Job::new(sequence, "f", b"") };
    commit(&mut store, &puts(&[big(1)]));
    store.table.as_ref().unwrap().run("PRAGMA max_page_count = 32");
    let mut kept = vec![big(1)];
    let refusal = loop {
        let next = big(kept.len() as u64 + 1);
        match store.commit(&[&puts(std::slice::from_ref(&next))]) {
            Committed { puts: Ok(()), dones: Ok(()) } => kept.push(next),
            Committed { puts: Err(refusal), dones } => {
                dones.unwrap();
                break refusal;
            }
            other => panic!("{other:?}"),
        }
        assert!(kept.len() < 100, "the database is never full");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal:?}");
    let committed = store.commit(&[&puts(&[big(50)]), &dones(&kept[..2])]);
    committed.dones.unwrap();
    // Their room is free now, whether or not that put was refused.
    commit(&mut store, &dones(&[big(50)]));
    commit(&mut store, &puts(&[big(60)]));
    store.close().unwrap();
    kept.drain(..2);
    kept.push(big(60));
    assert_eq!(replayed(&mut folder.store()), kept);
}

#[test]
fn the_reserve_has_room_while_it_is_held() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let mut reserve = Reserve::of(&folder.file());
    let path = folder.0.file("queue.db.ringgear-reserve");
    assert!(!path.exists() && reserve.bytes() == 0);
    assert!(reserve.hold());
    let held = reserve.bytes();
    assert!(held > reserve.log_bytes() && reserve.allows(held));
    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= held);
    // One that a crash has left is given up at the next start, and one that is held at an orderly end.
    reserve = Reserve::of(&folder.file());
    assert!(!path.exists() && reserve.bytes() == 0);
    folder.store().close().unwrap();
    assert!(!path.exists());
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

/// What happens to jobs, one thing after the other.
#[derive(Clone, Debug)]
enum Step {
    Put(Job),
    /// The job with this place among the living and dead.
    Done(usize),
    /// It dies, or is put back.
    Turn(usize),
    /// What was gathered is committed.
    Commit,
    Close,
    /// As far as a crash of the process goes.
    Drop,
}

fn job() -> impl Strategy<Value = Job> {
    let unique = prop_oneof![
        Just(b"".to_vec()),
        Just(b"-".to_vec()),
        Just(b"same".to_vec()),
        Just(vec![b'u'; 64]),
        Just([b"u".repeat(63), b"v".to_vec()].concat()),
        Just(b"ringgear:1:e".to_vec()),
        proptest::collection::vec(1_u8.., 1..=64),
    ];
    let epoch = prop_oneof![Just(None), (1_u64..1 << 50).prop_map(|time| Some(Epoch(time)))];
    let reducer = proptest::option::of(proptest::collection::vec(1_u8.., 0..=64));
    let workload = proptest::collection::vec(any::<u8>(), 0..40);
    let more = prop_oneof![4 => Just(Vec::new()), 1 => Just(b"\x02\x01a\x03\0".to_vec())];
    let function = prop_oneof![Just("f"), Just("g"), Just("a function")];
    (0..3_usize, epoch, 0..4_u8, function, unique, workload, reducer, more).prop_map(
        |(priority, epoch, attempts, function, unique, workload, reducer, more)| Job {
            more,
            priority: Priority::ALL[priority],
            epoch,
            // Mostly none, as in life.
            attempts: attempts.saturating_sub(2),
            workload,
            reducer: reducer.filter(|name| name.len() % 2 == 0),
            ..Job::new(1, function, &unique)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => job().prop_map(Step::Put),
        3 => any::<usize>().prop_map(Step::Done),
        2 => any::<usize>().prop_map(Step::Turn),
        3 => Just(Step::Commit),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
    ]
}

/// Records in two batches, as from two shards.
fn halves(batch: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < batch.len() / 2 {
        at += record::length(&batch[at..]).unwrap();
    }
    batch.split_at(at)
}

/// Replays: the living by number, then the dead by number.
fn in_order(model: &BTreeMap<JobId, Job>) -> Vec<Job> {
    let (dead, living): (Vec<Job>, Vec<Job>) = model.values().cloned().partition(|job| job.dead);
    [living, dead].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_come_back(steps in proptest::collection::vec(step(), 1..60), at_shutdown in any::<bool>()) {
        let folder = Folder::new();
        let options = SqliteOptions { on_shutdown_only: at_shutdown, ..SqliteOptions::of(folder.file()) };
        let open = || SqliteStore::open(options.clone()).unwrap();
        let mut store = open();
        prop_assert_eq!(replayed(&mut store), []);
        // As the engine sees it; as the store has been told; as the file has it.
        let mut model: BTreeMap<JobId, Job> = BTreeMap::new();
        let (mut told, mut file) = (model.clone(), model.clone());
        let mut batch = Vec::new();
        let mut sequence = 0;
        for step in steps.into_iter().chain([Step::Commit, Step::Close]) {
            match step {
                Step::Put(job) => {
                    sequence += 1;
                    let job = Job { id: JobId::new(sequence, Slot::of(&job.function)), ..job };
                    record::put(&job.stored(), &mut batch);
                    model.insert(job.id, job);
                }
                Step::Done(which) if !model.is_empty() => {
                    let id = *model.keys().nth(which % model.len()).unwrap();
                    record::done(id, &mut batch);
                    model.remove(&id);
                }
                Step::Turn(which) if !model.is_empty() => {
                    let at = which % model.len();
                    let job = model.values_mut().nth(at).unwrap();
                    *job = Job { dead: !job.dead, ..job.clone() };
                    record::put(&job.stored(), &mut batch);
                }
                Step::Done(_) | Step::Turn(_) => {}
                Step::Commit => {
                    let (first, second) = halves(&batch);
                    let committed = store.commit(&[first, second]);
                    prop_assert!(committed.puts.is_ok() && committed.dones.is_ok(), "{committed:?}");
                    batch.clear();
                    told.clone_from(&model);
                    if at_shutdown {
                        file.retain(|id, _| told.contains_key(id));
                    } else {
                        file.clone_from(&told);
                    }
                }
                Step::Close | Step::Drop => {
                    // What was not committed is lost.
                    batch.clear();
                    if let Step::Close = step {
                        store.close().unwrap();
                        file = told;
                    }
                    drop(store);
                    store = open();
                    prop_assert_eq!(replayed(&mut store), in_order(&file));
                    model.clone_from(&file);
                    told = file.clone();
                }
            }
        }
    }
}
