//! Numbers of rows, and of jobs that gearmand had meanwhile.
use super::*;

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
