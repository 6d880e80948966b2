//! Rows as other programs write them, where the store must refuse, and names of tables.
use super::*;

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
