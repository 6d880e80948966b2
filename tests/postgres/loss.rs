//! Losing the database and having it back, seen from the store: ended sessions, a server that restarts, a failover that has lost
//! what was committed last, jobs that it refuses.
use super::*;
use ringgear::store::StoreError;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};
use support::proxy::Proxy;
use support::server::wait_until;

/// Has the store do what is left to do until nothing is, and puts again what it wants, as shards do.
#[track_caller]
fn settle(store: &mut dyn Store, memory: &BTreeMap<JobId, StoredJob<'_>>) -> usize {
    let (mut again, begin) = (0, Instant::now());
    while store.owes() {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not come to an end");
        store.maintain().unwrap_or_else(|error| panic!("{error}"));
        let wanted = store.wanted();
        let (known, unknown): (Vec<JobId>, Vec<JobId>) =
            wanted.into_iter().partition(|id| memory.contains_key(id));
        again += known.len();
        if !known.is_empty() {
            put(store, &known.iter().map(|id| memory[id]).collect::<Vec<_>>());
        }
        store.unknown(&unknown);
        thread::sleep(Duration::from_millis(1));
    }
    again
}

#[test]
fn an_ended_session_is_followed_by_another() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    let jobs: Vec<StoredJob<'_>> = (1..=20).map(|sequence| job(sequence, b"", b"w")).collect();
    for pair in jobs.chunks(2) {
        put(&mut store, &pair[..1]);
        assert_eq!(cluster.end_sessions("d"), 1);
        put(&mut store, &pair[1..]);
    }
    settle(&mut store, &BTreeMap::new());
    store.close().unwrap();
    assert_eq!(replayed(&mut open(&conninfo)), expected(&jobs));
}

#[test]
fn while_the_server_is_down_nothing_waits_for_it() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2")]);
    cluster.stop(Signal::QUIT);
    let mut batch = Vec::new();
    record::put(&job(3, b"c", b"3"), &mut batch);
    record::done(job(1, b"", b"").id, &mut batch);
    for limit in [3000, 200, 200] {
        let begin = Instant::now();
        let committed = store.commit(&[&batch]);
        for result in [committed.puts, committed.dones] {
            assert!(matches!(result, Err(StoreError::Unreachable { since: Some(_), .. })), "{result:?}");
        }
        assert!(begin.elapsed() < Duration::from_millis(limit), "{:?}", begin.elapsed());
        assert!(store.owes());
        store.maintain().unwrap();
    }
    cluster.launch();
    let memory = [job(2, b"b", b"2")].map(|job| (job.id, job));
    settle(&mut store, &memory.into());
    done(&mut store, &[job(1, b"", b"").id]);
    put(&mut store, &[job(4, b"d", b"4")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut open(&conninfo)), expected(&[job(2, b"b", b"2"), job(4, b"d", b"4")]));
}

#[test]
fn what_a_failover_has_lost_is_put_again_and_what_it_has_brought_back_goes() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    let uniques: Vec<String> = (0..12_000).map(|number| format!("unique {number}")).collect();
    let mut jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w")).collect();
    jobs.push(dead(1_000_000, b"dead", b"w"));
    jobs.push(dead(1_000_001, b"revived", b"w"));
    put(&mut store, &jobs);
    done(&mut store, &[jobs[0].id, jobs[1].id]);
    // As if the last commits had never been: jobs are gone, ends and a death, too.
    let number = |job: &StoredJob<'_>| job.id.number();
    let dead_number = number(&jobs[12_001]);
    cluster.sql(
        "d",
        &format!(
            "DELETE FROM queue WHERE ringgear_number % 10240 = {} OR ringgear_number > {}; \
             INSERT INTO queue VALUES ('unique 0', 'f', 1, 'w', 0, {}); \
             DELETE FROM queue_ringgear WHERE number = {dead_number}; \
             INSERT INTO queue VALUES ('revived', 'f', 1, 'w', 0, {dead_number})",
            number(&jobs[100]) % 10240,
            number(&jobs[11_000]),
            number(&jobs[0]),
        ),
    );
    cluster.end_sessions("d");
    put(&mut store, &[job(2_000_000, b"new", b"w")]);
    // The engine has ended one in the meantime, and the store has not heard of it yet.
    let memory: BTreeMap<JobId, StoredJob<'_>> =
        jobs[2..].iter().filter(|job| job.id != jobs[11_500].id).map(|job| (job.id, *job)).collect();
    let again = settle(&mut store, &memory);
    // Every tenth up to there, all behind, and the one that had come back to life; but for the one that has ended.
    assert_eq!(again, 1100 + 999 + 1 - 1);
    let repaired = store.repaired();
    assert_eq!((repaired.pieces, repaired.lost.len()), (1, 0));
    store.close().unwrap();
    let mut wanted: Vec<StoredJob<'_>> = memory.into_values().filter(|job| job.death.is_none()).collect();
    wanted.push(job(2_000_000, b"new", b"w"));
    wanted.extend_from_slice(&jobs[12_000..]);
    assert_eq!(replayed(&mut open(&conninfo)), expected(&wanted));
}

/// Has the table refuse some rows, in these words.
fn refuse(cluster: &PostgresCluster, condition: &str, state: &str) {
    cluster.sql(
        "d",
        &format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF {condition} THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$; \
             CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON queue FOR EACH ROW EXECUTE FUNCTION refuse()"
        ),
    );
}

#[test]
fn a_database_that_refuses_rows_still_hears_of_ends() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), job(3, b"c", b"3")]);
    let mut batch = Vec::new();
    let mut said = |store: &mut PostgresStore, ended: u64| {
        batch.clear();
        record::put(&job(10, b"bad", b"w"), &mut batch);
        record::done(job(ended, b"", b"").id, &mut batch);
        let committed = store.commit(&[&batch]);
        committed.dones.unwrap_or_else(|error| panic!("{error}"));
        committed.puts.unwrap_err()
    };
    refuse(&cluster, "NEW.unique_key = 'bad'", "P0001");
    let refusal = said(&mut store, 1);
    assert!(matches!(refusal, StoreError::Unfit { .. }), "{refusal:?}");
    assert!(
        refusal.to_string().ends_with(", database d cannot keep a job, which is refused: not this one"),
        "{refusal}"
    );
    refuse(&cluster, "NEW.unique_key = 'bad'", "53100");
    let refusal = said(&mut store, 2);
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal:?}");
    refuse(&cluster, "NEW.unique_key = 'bad'", "42501");
    let refusal = said(&mut store, 3);
    assert!(matches!(refusal, StoreError::Refused { .. }), "{refusal:?}");
    put(&mut store, &[job(4, b"d", b"4")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut open(&conninfo)), expected(&[job(4, b"d", b"4")]));
}

#[test]
fn what_somebody_locks_is_waited_for_only_so_long() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2")]);
    // Somebody looks at the rows and takes his time.
    let holder = thread::spawn({
        let conninfo = cluster.conninfo("d");
        move || {
            std::process::Command::new("psql")
                .args([
                    "-Xq",
                    "-d",
                    &conninfo,
                    "-c",
                    "BEGIN; SELECT FROM queue FOR UPDATE; SELECT pg_sleep(2); ROLLBACK",
                ])
                .output()
                .unwrap()
        }
    });
    wait_until("the row is locked", || {
        cluster.sql("d", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
    });
    let begin = Instant::now();
    done(&mut store, &[job(1, b"", b"").id]);
    assert!(begin.elapsed() > Duration::from_millis(500));
    holder.join().unwrap();

    // Somebody inserts a key, and does not say for long whether it is to be there.
    let holder = thread::spawn({
        let conninfo = cluster.conninfo("d");
        move || {
            let sql =
                "BEGIN; INSERT INTO queue VALUES ('held', 'f', 1, 'x', 0); SELECT pg_sleep(8); ROLLBACK";
            std::process::Command::new("psql").args(["-Xq", "-d", &conninfo, "-c", sql]).output().unwrap()
        }
    });
    wait_until("the key is held", || {
        cluster.sql("d", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
    });
    let mut batch = Vec::new();
    record::put(&job(3, b"held", b"3"), &mut batch);
    record::done(job(2, b"", b"").id, &mut batch);
    let begin = Instant::now();
    let committed = store.commit(&[&batch]);
    let refusal = committed.puts.unwrap_err();
    assert!(refusal.to_string().ends_with("canceling statement due to lock timeout"), "{refusal}");
    committed.dones.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(4500), "{:?}", begin.elapsed());
    // Others have nothing to do with it.
    put(&mut store, &[job(4, b"d", b"4")]);
    assert!(begin.elapsed() < Duration::from_millis(6000), "{:?}", begin.elapsed());
    holder.join().unwrap();
    put(&mut store, &[job(3, b"held", b"3")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut open(&conninfo)), expected(&[job(3, b"held", b"3"), job(4, b"d", b"4")]));
}

#[test]
fn a_commit_that_nobody_answered_is_made_again_and_is_there_once() {
    let cluster = PostgresCluster::start();
    cluster.database("d");
    let proxy = Proxy::before(cluster.port());
    let conninfo = format!("host=127.0.0.1 port={} dbname=d user=postgres sslmode=disable", proxy.port);
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), dead(3, b"c", b"3")]);
    let mut batch = Vec::new();
    record::done(job(1, b"", b"").id, &mut batch);
    record::put(&dead(2, b"b", b"2"), &mut batch);
    record::put(&StoredJob { death: None, ..dead(3, b"c", b"3") }, &mut batch);
    record::put(&job(4, b"a", b"4"), &mut batch);
    record::put(&StoredJob { reducer: Some(b"r"), ..job(5, b"", b"5") }, &mut batch);
    proxy.swallow();
    commit(&mut store, &batch);
    assert!(!proxy.swallows(), "an answer was swallowed");
    // All of it was there when it was written again: nothing else was in the way.
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue WHERE unique_key LIKE 'ringgear:%:x'"), "0");
    settle(&mut store, &BTreeMap::new());
    store.close().unwrap();
    let wanted = [
        StoredJob { death: None, ..dead(3, b"c", b"3") },
        job(4, b"a", b"4"),
        StoredJob { reducer: Some(b"r"), ..job(5, b"", b"5") },
        dead(2, b"b", b"2"),
    ];
    assert_eq!(replayed(&mut open(&cluster.conninfo("d"))), expected(&wanted));
}
