//! The store by itself: what is put comes back as it was, what has ended is gone, whatever else stands in the table.
use super::*;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use support::kept::Kept;
use support::server::wait_until;

#[test]
fn what_is_put_comes_back_as_it_was_in_any_table() {
    let server = database();
    gearmands_table(&server, "latin", "CHARACTER SET latin1");
    gearmands_table(&server, "folded", "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    gearmands_table(&server, "short", "CHARACTER SET utf8mb3");
    gearmands_table(&server, "binary_", "CHARACTER SET binary");
    let jobs = odd_jobs();
    for table in ["gearman_queue", "latin", "folded", "short", "binary_"] {
        let mut store = open_table(&server, table);
        assert_eq!(replayed(&mut *store), [], "{table}");
        put(&mut *store, &jobs);
        store.close().unwrap();
        let mut store = open_table(&server, table);
        assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs)), "{table}");
        // The same again, as after a commit that nobody answered.
        put(&mut *store, &jobs);
        store.close().unwrap();
        let mut store = open_table(&server, table);
        assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs)), "{table}");
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        done(&mut *store, &ids[..10]);
        store.close().unwrap();
        let mut store = open_table(&server, table);
        assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs[10..])), "{table}");
        done(&mut *store, &ids);
        assert_eq!(left(&server, table), "0", "{table}");
    }
    // In a table of our own no key collides.
    assert_eq!(server.sql("d", "SHOW KEYS FROM gearman_queue").lines().count(), 4);
}

#[test]
fn what_happens_to_a_job_is_kept() {
    let server = database();
    let mut store = open(&server);
    replayed(&mut *store);
    let odd = job_of(&[b'f'; 300], 4, b"u", b"odd");
    put(&mut *store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), job(3, b"c", b"3"), odd]);
    let mut batch = Vec::new();
    // One dies, and another one takes its unique; one is tried; one is put again as something else.
    record::put(&dead(1, b"a", b"1"), &mut batch);
    record::put(&job(5, b"a", b"5"), &mut batch);
    record::attempts(job(2, b"", b"").id, 2, &mut batch);
    record::attempts(odd.id, 7, &mut batch);
    record::put(&StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") }, &mut batch);
    record::put(&job(6, b"d", b"6"), &mut batch);
    record::done(job(6, b"", b"").id, &mut batch);
    record::attempts(job(7, b"", b"").id, 2, &mut batch);
    commit(&mut *store, &batch);
    batch.clear();
    record::attempts(job(1, b"", b"").id, 9, &mut batch);
    commit(&mut *store, &batch);
    store.close().unwrap();
    let now = [
        StoredJob { attempts: 2, ..job(2, b"b", b"2") },
        StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") },
        job(5, b"a", b"5"),
        dead(1, b"a", b"1"),
        StoredJob { attempts: 7, ..odd },
    ];
    let mut store = open(&server);
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&now)));
    // The dead one lives again, beside the one that has its unique.
    put(&mut *store, &[job(1, b"a", b"1")]);
    store.close().unwrap();
    let mut store = open(&server);
    let now = [job(1, b"a", b"1"), now[0], now[1], now[2], now[4]];
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&now)));
    assert!(
        server.sql("d", "SELECT unique_key FROM gearman_queue WHERE data = '1'").starts_with("ringgear:")
    );
    done(&mut *store, &now.map(|job| job.id));
    assert_eq!(left(&server, "gearman_queue"), "0");
}

#[test]
fn rows_of_others_are_taken_as_they_are() {
    let server = database();
    gearmands_table(&server, "gearman_queue", "CHARACTER SET utf8mb4");
    server.sql(
        "d",
        "INSERT INTO gearman_queue VALUES ('z', 'f', 0, 'high', 0), (NULL, 'f', NULL, NULL, NULL), (NULL, 'f', 1, 'second', 0), \
         ('a', 'g', 7, 'odd', -5), ('late', 'f', 2, 'l', 2000000000), ('y', 'F', 1, 'another function', 0)",
    );
    let mut store = open(&server);
    let jobs = replayed(&mut *store);
    let told: Vec<_> = jobs
        .iter()
        .filter(|job| job.function == b"f")
        .map(|job| (&job.unique[..], job.priority, &job.workload[..], job.epoch))
        .collect();
    assert_eq!(
        told,
        [
            (&b"z"[..], Priority::High, &b"high"[..], None),
            (b"", Priority::Normal, b"", None),
            (b"", Priority::Normal, b"second", None),
            (b"late", Priority::Low, b"l", Some(Epoch::from_seconds(2_000_000_000))),
        ]
    );
    assert_eq!(jobs.len(), 6);
    // A stranger comes in between, whose unique a job of ours has then; somebody moves a job to another function.
    server.sql("d", "INSERT INTO gearman_queue (unique_key, function_name, priority, data, when_to_run) VALUES ('mine', 'f', 1, 's', 0)");
    put(&mut *store, &[job(2_000_000, b"mine", b"ours")]);
    done(&mut *store, &[jobs[0].id]);
    store.close().unwrap();
    server.sql("d", "UPDATE gearman_queue SET function_name = 'moved' WHERE unique_key = 'late'");
    let mut store = open(&server);
    let jobs = replayed(&mut *store);
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let mine: Vec<&[u8]> =
        jobs.iter().filter(|job| job.unique == b"mine").map(|job| &job.workload[..]).collect();
    assert_eq!(mine, [&b"ours"[..], b"s"]);
    assert!(jobs.iter().any(|job| job.function == b"moved" && job.unique == b"late"));
    assert_eq!(ids.len(), 7);
    store.close().unwrap();
    // At the next start they have the numbers that they got.
    let mut store = open(&server);
    assert_eq!(
        sorted(replayed(&mut *store)).iter().map(|job| job.id).collect::<Vec<_>>(),
        sorted(jobs).iter().map(|job| job.id).collect::<Vec<_>>()
    );
    done(&mut *store, &ids);
    assert_eq!(left(&server, "gearman_queue"), "0");
}

#[test]
fn much_is_kept_too_and_what_no_packet_holds_is_refused_alone() {
    let server = database_with(&["max-allowed-packet=8M"]);
    let mut store = open(&server);
    replayed(&mut *store);
    let large = vec![b'7'; 6 << 20];
    let uniques: Vec<String> = (0..25_000).map(|number| format!("unique {number}")).collect();
    let mut jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w")).collect();
    jobs.push(job(1_000_000, b"large", &large));
    put(&mut *store, &jobs);
    let binary = vec![0xff; 5 << 20];
    let mut batch = Vec::new();
    record::put(&job(1_000_001, b"larger", &binary), &mut batch);
    record::done(jobs[0].id, &mut batch);
    let committed = store.commit(&[&batch]);
    let refusal = committed.puts.unwrap_err();
    assert!(matches!(refusal, StoreError::Unfit { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("max_allowed_packet is 8388608 there: raise it"), "{refusal}");
    committed.dones.unwrap();
    store.close().unwrap();
    let mut store = open(&server);
    assert_eq!(replayed(&mut *store), expected(&jobs[1..]));
    done(&mut *store, &jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    assert_eq!(left(&server, "gearman_queue"), "0");
    assert!(store.alone() < binary.len());
}

#[test]
fn the_table_may_be_anywhere_and_have_more() {
    let server = database();
    server.sql(
        "",
        "CREATE DATABASE `o``d`; CREATE TABLE `o``d`.`Odd ``name` (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, \
         unique_key VARBINARY(64), function_name VARBINARY(255), priority TINYINT, data LONGBLOB, when_to_run BIGINT, \
         owner INT DEFAULT NULL, UNIQUE KEY(unique_key,function_name))",
    );
    for table in ["`o``d`.q3", "MixedCase", "`o``d`.`Odd ``name`", "`it's \"q\"`"] {
        let later = StoredJob { epoch: Some(Epoch::from_seconds(1 << 33)), ..job(2, b"v", b"later") };
        let mut store = open_table(&server, table);
        assert_eq!(replayed(&mut *store), []);
        put(&mut *store, &[job(1, b"u", b"w"), later]);
        store.close().unwrap();
        assert_eq!(
            replayed(&mut *open_table(&server, table)),
            expected(&[job(1, b"u", b"w"), later]),
            "{table}"
        );
    }
}

#[test]
fn histories_come_back() {
    let server = database();
    gearmands_table(&server, "t2", "CHARACTER SET latin1");
    gearmands_table(&server, "t4", "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    for seed in 1..=8 {
        let table = format!("t{seed}");
        let place = HistoryPlace {
            open: &|| open_table(&server, &table),
            cut: &|| server.end_sessions("d"),
            lose: &|| {
                server.sql(
                    "d",
                    &format!(
                        "DELETE FROM {table} WHERE ringgear_number DIV 1024 % 3 = 0; \
                         DELETE FROM {table}_ringgear WHERE number DIV 1024 % 3 = 0"
                    ),
                );
            },
            left: &|| left(&server, &table),
        };
        history(seed, &place);
    }
}

#[test]
fn what_a_failover_has_lost_is_put_again_and_what_it_has_brought_back_goes() {
    let server = database();
    let mut store = open(&server);
    replayed(&mut *store);
    let uniques: Vec<String> = (0..12_000).map(|number| format!("unique {number}")).collect();
    let jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w")).collect();
    put(&mut *store, &jobs);
    done(&mut *store, &[jobs[0].id]);
    server.sql(
        "d",
        &format!(
            "DELETE FROM gearman_queue WHERE ringgear_number > {}; \
             INSERT INTO gearman_queue (unique_key, function_name, priority, data, when_to_run, ringgear_number) \
             VALUES ('unique 0', 'f', 1, 'w', 0, {})",
            jobs[11_000].id.number(),
            jobs[0].id.number()
        ),
    );
    server.end_sessions("d");
    put(&mut *store, &[job(2_000_000, b"new", b"w")]);
    let model: BTreeMap<JobId, Kept> = jobs[1..].iter().map(|job| (job.id, Kept::of(job))).collect();
    assert_eq!(settle(&mut *store, &model), 999);
    assert_eq!(store.repaired().pieces, 1);
    store.close().unwrap();
    assert_eq!(replayed(&mut *open(&server)).len(), 12_000);
}

#[test]
fn a_database_that_refuses_rows_still_hears_of_ends() {
    let server = database();
    let mut store = open(&server);
    replayed(&mut *store);
    put(&mut *store, &[job(1, b"a", b"1"), job(2, b"b", b"2")]);
    server.sql("d", "ALTER TABLE gearman_queue ADD CONSTRAINT refuse CHECK (unique_key <> 'bad')");
    let mut batch = Vec::new();
    record::put(&job(10, b"bad", b"w"), &mut batch);
    record::put(&job(11, b"good", b"w"), &mut batch);
    record::done(job(1, b"", b"").id, &mut batch);
    let committed = store.commit(&[&batch]);
    committed.dones.unwrap();
    let refusal = committed.puts.unwrap_err();
    assert!(matches!(refusal, StoreError::Unfit { .. }), "{refusal:?}");
    assert!(
        refusal.to_string().ends_with(", database d cannot keep a job, which is refused: CONSTRAINT `refuse` failed for `d`.`gearman_queue`"),
        "{refusal}"
    );
    store.close().unwrap();
    assert_eq!(replayed(&mut *open(&server)), expected(&[job(2, b"b", b"2")]));
}

#[test]
fn what_somebody_locks_is_waited_for_only_so_long() {
    let server = database();
    let mut store = open(&server);
    replayed(&mut *store);
    put(&mut *store, &[job(1, b"a", b"1"), job(2, b"b", b"2")]);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.sql(
                "d",
                "START TRANSACTION; SELECT * FROM gearman_queue FOR UPDATE; SELECT SLEEP(3); ROLLBACK",
            )
        });
        wait_until("the rows are locked", || {
            server.sql("", "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'")
                == "1"
        });
        // Longer than one wait: it is sent again.
        let begin = Instant::now();
        done(&mut *store, &[job(1, b"", b"").id]);
        assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
    });
    store.close().unwrap();
    assert_eq!(replayed(&mut *open(&server)), expected(&[job(2, b"b", b"2")]));
}

/// A server of version 0.2 has a lock on its table, and runs what it reads.
#[test]
fn a_server_of_a_version_that_shares_no_table_is_not_joined() {
    let server = database();
    replayed(&mut *open(&server));
    // Whatever the lock of this table is called: it is the one that is asked for.
    server.sql("", "SET GLOBAL log_output = 'TABLE', general_log = 1");
    replayed(&mut *open(&server));
    let asked = server
        .sql("", "SELECT argument FROM mysql.general_log WHERE argument LIKE 'SELECT IS_USED_LOCK%' LIMIT 1");
    let lock = asked.split('\'').nth(1).unwrap().to_owned();
    thread::scope(|scope| {
        scope.spawn(|| server.sql("d", &format!("DO GET_LOCK('{lock}', 0), SLEEP(8)")));
        let is_held = format!("SELECT IS_USED_LOCK('{lock}') IS NOT NULL");
        wait_until("it has the lock", || server.sql("", &is_held) == "1");
        let refused = mysql::open(options(&server)).err().unwrap();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
        let sentence =
            ": table d.gearman_queue is used by another server; stop that one, or choose another place";
        assert!(refused.to_string().ends_with(sentence), "{refused}");
        replayed(&mut *open_table(&server, "other"));
    });
    // One that has ended does not stand in the way.
    replayed(&mut *open(&server));
}

#[test]
fn a_commit_that_nobody_answered_is_made_again_and_is_there_once() {
    let server = database();
    let proxy = support::proxy::Proxy::before(server.port());
    let open = || {
        let options = MysqlOptions { host: "127.0.0.1".to_owned(), port: proxy.port, ..options(&server) };
        mysql::open(options).unwrap_or_else(|error| panic!("{error}"))
    };
    unanswered(&open, &proxy);
    // All of it was there when it was written again: nothing else was in the way.
    let sql = "SELECT COUNT(*) FROM gearman_queue WHERE unique_key LIKE 'ringgear:%:x'";
    assert_eq!(server.sql("d", sql), "0");
}

#[test]
fn many_rows_of_others_get_numbers() {
    let server = database();
    gearmands_table(&server, "gearman_queue", "CHARACTER SET utf8mb4");
    server.sql(
        "d",
        "INSERT INTO gearman_queue SELECT seq, IF(seq % 3 = 0, 'f', 'g'), 1, seq, 0 FROM seq_1_to_50000",
    );
    let mut store = open(&server);
    let jobs = replayed(&mut *store);
    assert_eq!(jobs.len(), 50_000);
    // In the order in which they stand.
    let of_f: Vec<u32> = jobs
        .iter()
        .filter(|job| job.function == b"f")
        .map(|job| std::str::from_utf8(&job.workload).unwrap().parse().unwrap())
        .collect();
    assert!(of_f.len() == 16_666 && of_f.is_sorted());
}
