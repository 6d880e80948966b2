//! What makes sharing safe, each by itself, on a real database: ends of jobs are told by whoever has the job, what nobody knows of is
//! run and not deleted, and a server of which a failover has given a part to another one forgets all it had.
use super::*;
use ringgear::store::ServerLoad;
use ringgear::store::postgres::SharingOptions;
use std::time::{Duration, Instant};

/// A server's store of this name.
#[track_caller]
fn shared(conninfo: &str, name: &str) -> PostgresStore {
    let sharing = SharingOptions { take_over_after: Duration::from_secs(4), ..SharingOptions::of(name) };
    let options = PostgresOptions { sharing: Some(Box::new(sharing)), ..PostgresOptions::of(conninfo) };
    PostgresStore::open(options).unwrap_or_else(|error| panic!("{error}"))
}

/// Does what the thread of a store does until something is so: the workloads of jobs that were told.
#[track_caller]
fn attend_until(
    store: &mut PostgresStore,
    mut is_so: impl FnMut(&PostgresStore, &[String]) -> bool,
) -> Vec<String> {
    let (begin, mut told) = (Instant::now(), Vec::new());
    while !is_so(store, &told) {
        assert!(begin.elapsed() < Duration::from_secs(20), "in vain, told {told:?}");
        let load = ServerLoad { bytes: 0, room: u64::MAX };
        let mut each = |job: StoredJob<'_>| told.push(String::from_utf8_lossy(job.workload).into_owned());
        store.attend(load, &mut each).unwrap_or_else(|error| panic!("{error}"));
        store.maintain().unwrap_or_else(|error| panic!("{error}"));
        std::thread::sleep(Duration::from_millis(5));
    }
    told.sort();
    told
}

fn number_of(cluster: &PostgresCluster, name: &str) -> String {
    let sql = format!("SELECT id FROM queue_ringgear_servers WHERE name = '{name}' AND taken_by IS NULL");
    cluster.sql("d", &sql)
}

fn left(cluster: &PostgresCluster) -> String {
    cluster.sql("d", "SELECT coalesce(string_agg(unique_key, ' ' ORDER BY unique_key), '') FROM queue")
}

#[test]
fn ends_are_told_by_whoever_has_the_job() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (mut one, mut two) = (shared(&conninfo, "one"), shared(&conninfo, "two"));
    assert_eq!((replayed(&mut one).len(), replayed(&mut two).len()), (0, 0));
    put(&mut one, &[job(1, b"a", b"a"), job(2, b"b", b"b"), dead(3, b"c", b"c"), job(4, b"d", b"d")]);
    // A living one that is not its own is nobody's to end but its owner's.
    done(&mut two, &[job(1, b"", b"").id, job(3, b"", b"").id]);
    assert_eq!(left(&cluster), "a b d");
    done(&mut one, &[job(1, b"", b"").id]);
    assert_eq!(left(&cluster), "b d");
    // The other one has taken over, and this one has not heard of it yet: what it says is not heard.
    let (first, second) = (number_of(&cluster, "one"), number_of(&cluster, "two"));
    cluster.sql(
        "d",
        &format!("UPDATE queue_ringgear_servers SET taken_by = {second}, state = 2 WHERE id = {first}"),
    );
    let mut batch = Vec::new();
    record::done(job(2, b"", b"").id, &mut batch);
    record::done(job(3, b"", b"").id, &mut batch);
    record::put(&job(5, b"e", b"e"), &mut batch);
    let committed = one.commit(&[&batch]);
    committed.dones.unwrap();
    committed.puts.unwrap_err();
    assert_eq!(left(&cluster), "b d");
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue_ringgear WHERE kind <> 0"), "1");
    // Who has them reads them, and ends them.
    let told = attend_until(&mut two, |_, told| told.len() == 3);
    assert_eq!(told, ["b", "c", "d"]);
    done(&mut two, &[2, 3, 4].map(|sequence| job(sequence, b"", b"").id));
    assert_eq!(left(&cluster), "");
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue_ringgear WHERE kind <> 0"), "0");
    // The first goes on as another.
    attend_until(&mut one, |one, _| one.standing().era == 1);
    put(&mut one, &[job(5, b"e", b"e")]);
    assert_eq!(left(&cluster), "e");
}

/// As after a commit that nobody answered and that was given up: the row is there, and a client of another server may have been told
/// that it had joined it.
#[test]
fn what_nobody_knows_of_is_run_if_somebody_may_have_joined_it() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut one = shared(&conninfo, "one");
    replayed(&mut one);
    put(&mut one, &[job(1, b"kept", b"kept"), job(2, b"ended", b"ended")]);
    done(&mut one, &[job(2, b"", b"").id]);
    let me = number_of(&cluster, "one");
    let number = |sequence: u64| job(sequence, b"", b"").id.number();
    cluster.sql(
        "d",
        &format!(
            "INSERT INTO queue VALUES ('unknown', 'f', 1, 'unknown', 0, {}, {me}), ('ended', 'f', 1, 'ended', 0, {}, {me}), \
             ('ringgear:{}:e', 'f', 1, 'nobody can have joined it', 0, {}, {me})",
            number(10),
            number(2),
            number(11),
            number(11),
        ),
    );
    cluster.end_sessions("d");
    // Only that is told, once.
    let told = attend_until(&mut one, |one, told| !told.is_empty() && !one.owes());
    assert_eq!(told, ["unknown"]);
    assert_eq!(left(&cluster), "kept unknown");
    // It is one of ours from now on: a second loss changes nothing, and its end is its end.
    cluster.end_sessions("d");
    let mut rounds = 0;
    let told = attend_until(&mut one, |one, _| {
        rounds += 1;
        rounds > 20 && !one.owes()
    });
    assert_eq!((told.len(), left(&cluster)), (0, "kept unknown".to_owned()));
    done(&mut one, &[job(10, b"", b"").id, job(1, b"", b"").id]);
    assert_eq!(left(&cluster), "");
}

/// A failover has lost that one was taken over; before the taker is back, another has taken it over.
#[test]
fn a_take_over_that_a_failover_gave_to_another_fences() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut gone = shared(&conninfo, "gone");
    replayed(&mut gone);
    put(&mut gone, &[job(1, b"a", b"a"), job(2, b"b", b"b")]);
    let dead = number_of(&cluster, "gone");
    gone.close().unwrap();
    // Whoever starts takes over what has ended in an orderly way.
    let mut one = shared(&conninfo, "one");
    assert_eq!(replayed(&mut one).len(), 2);
    put(&mut one, &[job(3, b"c", b"c")]);
    let mut two = shared(&conninfo, "two");
    assert_eq!(replayed(&mut two).len(), 0);
    // One that is only forgotten is taken over once more, and nothing is told twice.
    cluster.sql("d", &format!("UPDATE queue_ringgear_servers SET taken_by = NULL WHERE id = {dead}"));
    cluster.end_sessions("d");
    let me = number_of(&cluster, "one");
    let taken_by =
        || cluster.sql("d", &format!("SELECT taken_by FROM queue_ringgear_servers WHERE id = {dead}"));
    let told = attend_until(&mut one, |_, _| taken_by() == me);
    assert_eq!((told.len(), one.standing().era), (0, 0));
    // Now another has it.
    let second = number_of(&cluster, "two");
    cluster.sql("d", &format!("UPDATE queue_ringgear_servers SET taken_by = {second} WHERE id = {dead}"));
    cluster.end_sessions("d");
    let told = attend_until(&mut two, |_, told| told.len() == 2);
    assert_eq!(told, ["a", "b"]);
    attend_until(&mut one, |one, _| one.standing().era == 1);
    assert_ne!(number_of(&cluster, "one"), me, "it goes on as another");
    // What it says of them is not heard, and what it had itself is whoever's who takes it over.
    done(&mut one, &[1, 2, 3].map(|sequence| job(sequence, b"", b"").id));
    assert_eq!(left(&cluster), "a b c");
    assert_eq!(attend_until(&mut two, |_, told| told.len() == 1), ["c"]);
}
