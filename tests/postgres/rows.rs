//! The store by itself: what is put comes back as it was, what has ended is gone, whatever else stands in the table.
use super::*;

#[test]
fn what_is_put_comes_back_as_it_was() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let long_function = [b'f'; 300];
    let workload: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let jobs = [
        job(1, b"u1", b"hello"),
        StoredJob { priority: Priority::High, ..job(2, b"u2", &workload) },
        StoredJob { priority: Priority::Low, ..job(3, b"u3", b"") },
        job(4, b"", b"none"),
        job(5, b"", b"none"),
        job(6, b"-", b"dash"),
        job(7, b"-", b"dash"),
        job(8, "\u{e9}t\u{e9}".as_bytes(), b"text"),
        job(9, &[b'k'; 63], b"63"),
        job(10, &[b'l'; 64], b"64"),
        StoredJob { epoch: Some(Epoch::from_seconds(LATER)), ..job(11, b"e1", b"whole seconds") },
        StoredJob { epoch: Some(Epoch(2_000_000_000_001)), ..job(12, b"e2", b"milliseconds") },
        StoredJob { epoch: Some(Epoch(5_000_000_000_001)), ..job(13, b"e3", b"beyond 2038") },
        StoredJob { reducer: Some(b"sum"), accepted: Some(Epoch(5)), ..job(14, b"r", b"reduce") },
        StoredJob { attempts: 2, ..job(15, b"tried", b"tried") },
        job(16, b"\xff\xfe", b"no text"),
        job(17, b"it's; DROP TABLE queue --", b"quotes"),
        job(18, b"x' OR '1'='1", b"quotes"),
        job(19, b"back\\slash", b"backslash"),
        job(20, b"ringgear:5:e", b"like one of ours"),
        StoredJob { more: &[2, 1, 7], ..job(21, b"later", b"of a later version") },
        dead(22, b"u1", b"dead with the unique of a living one"),
        job_of(b"\xff", 23, b"u", b"a function that is no text"),
        job_of(&long_function, 24, b"u", b"a long name"),
    ];
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), []);
    put(&mut store, &jobs);
    store.close().unwrap();
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), expected(&jobs));
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "21");

    // The same again, as after a commit that nobody answered.
    put(&mut store, &jobs);
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "21");
    store.close().unwrap();
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), expected(&jobs));
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    done(&mut store, &ids[..10]);
    store.close().unwrap();
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), expected(&jobs[10..]));
    done(&mut store, &ids);
    store.close().unwrap();
    assert_eq!(
        cluster.sql("d", "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM queue_ringgear)"),
        "0|0"
    );
}

#[test]
fn what_happens_to_a_job_is_kept() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    let odd = job_of(b"\xff", 4, b"u", b"odd");
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), job(3, b"c", b"3"), odd]);
    let mut batch = Vec::new();
    // One dies, and another one takes its unique; one is tried; one is put again as something else.
    record::put(&dead(1, b"a", b"1"), &mut batch);
    record::put(&job(5, b"a", b"5"), &mut batch);
    record::attempts(job(2, b"", b"").id, 2, &mut batch);
    record::attempts(odd.id, 7, &mut batch);
    record::put(&StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") }, &mut batch);
    // One comes and goes; of one it is only said that it was tried.
    record::put(&job(6, b"d", b"6"), &mut batch);
    record::done(job(6, b"", b"").id, &mut batch);
    record::attempts(job(7, b"", b"").id, 2, &mut batch);
    commit(&mut store, &batch);
    // The attempts of a dead job were said with its death.
    batch.clear();
    record::attempts(job(1, b"", b"").id, 9, &mut batch);
    commit(&mut store, &batch);
    store.close().unwrap();
    let now = [
        StoredJob { attempts: 2, ..job(2, b"b", b"2") },
        StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") },
        job(5, b"a", b"5"),
        dead(1, b"a", b"1"),
        StoredJob { attempts: 7, ..odd },
    ];
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), expected(&now));
    // The dead one lives again, beside the one that has its unique; the other is tried no more.
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2")]);
    store.close().unwrap();
    let mut store = open(&conninfo);
    let now = [job(1, b"a", b"1"), job(2, b"b", b"2"), now[1], now[2], now[4]];
    assert_eq!(replayed(&mut store), expected(&now));
    let sql = "SELECT unique_key FROM queue WHERE data = '1'";
    assert!(cluster.sql("d", sql).starts_with("ringgear:"), "{}", cluster.sql("d", "TABLE queue"));
    done(&mut store, &now.map(|job| job.id));
    store.close().unwrap();
    assert_eq!(
        cluster.sql("d", "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM queue_ringgear)"),
        "0|0"
    );
}

#[test]
fn rows_of_others_are_taken_as_they_are() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    let ours = [job(1_000_000, b"ours", b"o"), StoredJob { attempts: 1, ..job(1_000_001, b"tried", b"t") }];
    put(&mut store, &ours);
    store.close().unwrap();
    cluster.sql(
        "d",
        "INSERT INTO queue (unique_key, function_name, priority, data, when_to_run) VALUES \
         ('z', 'f', 0, 'high', 0), (NULL, 'f', NULL, NULL, NULL), ('a', 'g', 7, 'odd', -5), ('late', 'f', 2, 'l', 2000000000)",
    );
    let mut store = open(&conninfo);
    let jobs = replayed(&mut store);
    let told: Vec<_> = jobs
        .iter()
        .map(|job| (&job.function[..], &job.unique[..], job.priority, &job.workload[..], job.epoch))
        .collect();
    assert_eq!(
        told,
        [
            (&b"f"[..], &b"ours"[..], Priority::Normal, &b"o"[..], None),
            (b"f", b"tried", Priority::Normal, b"t", None),
            (b"f", b"z", Priority::High, b"high", None),
            (b"f", b"", Priority::Normal, b"", None),
            (b"g", b"a", Priority::Normal, b"odd", None),
            (b"f", b"late", Priority::Low, b"l", Some(Epoch::from_seconds(LATER))),
        ]
    );
    assert!(jobs[2..].windows(2).all(|pair| pair[0].id.sequence() < pair[1].id.sequence()));
    assert!(jobs[2].id > jobs[1].id);
    // A stranger comes in between, whose unique a job of ours has then.
    cluster.sql("d", "INSERT INTO queue VALUES ('mine', 'f', 1, 'stranger', 0)");
    let mine = job(2_000_000, b"mine", b"ours");
    put(&mut store, &[mine, job(2_000_001, b"another", b"ours")]);
    done(&mut store, &[jobs[2].id, jobs[3].id]);
    store.close().unwrap();
    // Somebody moves a job to another function.
    cluster.sql("d", "UPDATE queue SET function_name = 'moved' WHERE unique_key = 'tried'");
    let mut store = open(&conninfo);
    let jobs = replayed(&mut store);
    let told: Vec<_> = jobs.iter().map(|job| (&job.function[..], &job.unique[..], job.attempts)).collect();
    assert_eq!(
        told,
        [
            (&b"f"[..], &b"ours"[..], 0),
            (b"moved", b"tried", 0),
            (b"f", b"mine", 0),
            (b"f", b"another", 0),
            (b"g", b"a", 0),
            (b"f", b"late", 0),
            (b"f", b"mine", 0),
        ]
    );
    assert_eq!(
        (jobs[2].id, &jobs[2].workload[..], &jobs[6].workload[..]),
        (mine.id, &b"ours"[..], &b"stranger"[..])
    );
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    // At the next start they have the numbers that they got.
    store.close().unwrap();
    let mut store = open(&conninfo);
    let mut again: Vec<JobId> = replayed(&mut store).iter().map(|job| job.id).collect();
    again.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(again, sorted);
    done(&mut store, &ids);
    store.close().unwrap();
    assert_eq!(
        cluster.sql("d", "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM queue_ringgear)"),
        "0|0"
    );
}

#[test]
fn much_is_kept_too() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    let large = vec![7; 40 << 20];
    let mut batch = Vec::new();
    let uniques: Vec<String> = (0..25_000).map(|number| format!("unique {number}")).collect();
    let mut jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w")).collect();
    jobs.push(job(1_000_000, b"large", &large));
    jobs.iter().for_each(|job| record::put(job, &mut batch));
    commit(&mut store, &batch);
    store.close().unwrap();
    let mut store = open(&conninfo);
    assert_eq!(replayed(&mut store), expected(&jobs));
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    done(&mut store, &ids);
    assert_eq!(replayed(&mut store), []);
    assert!(store.alone() < large.len());
}

#[test]
fn the_table_may_be_anywhere_and_have_more() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    cluster.sql("d", "CREATE SCHEMA other; CREATE TABLE \"Odd \"\"name\" (id BIGSERIAL PRIMARY KEY, unique_key text, function_name text, \
         priority smallint, data bytea, when_to_run bigint, owner bigint)");
    for table in ["other.q3", "MixedCase", "\"Odd \"\"name\""] {
        let with = PostgresOptions { table: table.to_owned(), ..PostgresOptions::of(&conninfo) };
        let later = StoredJob { epoch: Some(Epoch::from_seconds(1 << 33)), ..job(2, b"v", b"later") };
        let mut store = PostgresStore::open(with.clone()).unwrap_or_else(|error| panic!("{table}: {error}"));
        assert_eq!(replayed(&mut store), []);
        put(&mut store, &[job(1, b"u", b"w"), later]);
        store.close().unwrap();
        let mut store = PostgresStore::open(with).unwrap();
        assert_eq!(replayed(&mut store), expected(&[job(1, b"u", b"w"), later]));
    }
    let sql = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE relkind = 'r' AND n.nspname IN ('public', 'other') ORDER BY 1, 2";
    let mut wanted = Vec::new();
    for table in ["other|q3", "public|Odd \"name", "public|mixedcase"] {
        let parts = ["", "_ringgear", "_ringgear_numbers", "_ringgear_servers"];
        wanted.extend(parts.map(|part| format!("{table}{part}")));
    }
    assert_eq!(cluster.sql("d", sql), wanted.join("\n"));
}

#[test]
fn rows_of_others_are_looked_at_a_few_times_each() {
    const ROWS: u64 = 100_000;
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    // A table that we know: rows of one that we do not get their numbers while it gets our columns.
    let mut store = open(&conninfo);
    replayed(&mut store);
    store.close().unwrap();
    let rows = format!(
        "INSERT INTO queue SELECT n, 'rev', 1, convert_to(n::text, 'UTF8'), 0 FROM generate_series(1, {ROWS}) n"
    );
    cluster.sql("d", &rows);
    let mut store = open(&conninfo);
    let jobs = replayed(&mut store);
    // In the order in which they came.
    let seen: Vec<Vec<u8>> = jobs.iter().map(|job| job.workload.clone()).collect();
    assert_eq!(seen, (1..=ROWS).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>());
    store.close().unwrap();
    // What was read is counted when a session ends. Numbering and reading look at a row a few times, not once for each piece.
    let counted = "SELECT n_tup_upd, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'queue'";
    support::server::wait_until("the rows are counted", || {
        let told = cluster.sql("d", counted);
        let numbers: Vec<u64> = told.split('|').map(|number| number.parse().unwrap()).collect();
        assert!(numbers[1] <= 8 * ROWS, "{numbers:?}");
        numbers[0] == ROWS
    });
}
