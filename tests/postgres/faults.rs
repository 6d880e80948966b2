//! Three servers on one PostgreSQL under load, while one of them stands still, or the database restarts, ends their sessions, is full, is
//! followed by a copy of itself, or is reached by a pooler. Nothing that was acknowledged is lost, and only what was wrong repeats
//! anything. What networks do is `partition.rs`.
//!
//! These are short versions; `tests/README.md` says how to run the long ones.
use super::load::{Door, Load, Outcome};
use super::pooler::Pooler;
use super::takeover::start;
use super::*;
use rustix::process::Signal;
use std::thread;
use std::time::{Duration, Instant};
use support::server::{Server, wait_until};
use support::sharing::stands_still;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Three of them, each of which sees the others.
#[track_caller]
pub(crate) fn three(conninfo: &str, after: &str) -> Vec<Server> {
    let servers = NAMES.iter().map(|name| start(conninfo, name, after)).collect::<Vec<Server>>();
    for server in &servers {
        wait_until("they see each other", || server.log().matches("shared with server").count() >= 2);
    }
    servers
}

fn doors(servers: &[Server]) -> Vec<Door> {
    servers.iter().map(|server| Door::Tcp(server.address())).collect()
}

pub(crate) fn is_empty(cluster: &PostgresCluster) -> bool {
    cluster.sql("d", "SELECT count(*) FROM queue") == "0"
}

/// How often they were taken over, together.
fn fenced(servers: &[Server]) -> u64 {
    servers.iter().map(|server| server.counter("times_fenced")).sum()
}

/// Numbers in a variable of the environment, or these.
pub(crate) fn numbers(variable: &str, otherwise: &[f64]) -> Vec<f64> {
    match std::env::var(variable) {
        Ok(text) => text.split(',').map(|number| number.trim().parse().expect("numbers")).collect(),
        Err(_) => otherwise.to_vec(),
    }
}

/// Each server in turn stands still for so many seconds: `RINGGEAR_STOPS=5,9,11,30`, with a take-over after ten. Short ones with one
/// after four otherwise.
#[test]
fn servers_that_stand_still() {
    let (after, stops) = match std::env::var_os("RINGGEAR_STOPS") {
        Some(_) => ("10", numbers("RINGGEAR_STOPS", &[])),
        None => ("4", vec![1.5, 3.6, 5.5]),
    };
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let servers = three(&conninfo, after);
    let load = Load::start(doors(&servers), 100);
    load.goes_on(50);
    let mut taken = 0;
    for (number, &seconds) in stops.iter().enumerate() {
        let at = number % servers.len();
        let server = &servers[at];
        load.fault(Some(at), || {
            server.signal(Signal::STOP);
            wait_until("it stands still", || stands_still(server.pid()));
            thread::sleep(Duration::from_secs_f64(seconds));
            if seconds > after.parse::<f64>().unwrap() + 1.0 {
                // On a busy machine the others, too, may look less often.
                let others = |taken: &&Server| taken.pid() != server.pid();
                wait_until("it is taken over", || {
                    servers
                        .iter()
                        .filter(others)
                        .any(|other| other.log().contains("is silent: this one takes over"))
                });
                taken += 1;
            }
            server.signal(Signal::CONT);
        });
        load.goes_on(50);
    }
    wait_until("whoever stood still for long has heard that it was taken over", || fenced(&servers) >= taken);
    let outcome = load.finish(&format!("stops of {stops:?} s"), || is_empty(&cluster));
    println!("{} of {} were taken over", fenced(&servers), stops.len());
    bounded(&outcome, stops.len());
}

/// What runs when something goes wrong is what six workers have in hand, and what has ended within the last commits.
#[track_caller]
fn bounded(outcome: &Outcome, faults: usize) {
    assert!(outcome.repeats <= 60 * faults, "{} repeats by {faults} faults", outcome.repeats);
}

/// `pg_ctl restart -m immediate` again and again: `RINGGEAR_RESTARTS` times, or twice. Nobody is taken over, and nothing repeats.
#[test]
fn a_database_that_crashes() {
    let restarts = numbers("RINGGEAR_RESTARTS", &[2.0])[0] as usize;
    // It syncs, so that it keeps what it committed.
    let mut cluster = PostgresCluster::start_with(&[]);
    let conninfo = cluster.database("d");
    let servers = three(&conninfo, "4");
    let load = Load::start(doors(&servers), 100);
    for _ in 0..restarts {
        load.goes_on(50);
        load.fault(None, || {
            cluster.stop(Signal::QUIT);
            cluster.launch();
        });
    }
    load.goes_on(50);
    let outcome = load.finish(&format!("{restarts} crashes of the database"), || is_empty(&cluster));
    assert_eq!(fenced(&servers), 0, "nobody was dead");
    bounded(&outcome, restarts);
}

/// `pg_terminate_backend` of all sessions in a loop for some seconds: `RINGGEAR_TERMINATES`, or four.
#[test]
fn sessions_that_are_ended_in_a_loop() {
    let seconds = numbers("RINGGEAR_TERMINATES", &[4.0])[0];
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let servers = three(&conninfo, "4");
    let load = Load::start(doors(&servers), 100);
    load.goes_on(50);
    let ended = load.fault(None, || {
        let (begin, mut ended) = (Instant::now(), 0);
        while ended < 12 || begin.elapsed() < Duration::from_secs_f64(seconds) {
            ended += cluster.end_sessions("d");
            thread::sleep(Duration::from_millis(150));
        }
        ended
    });
    load.goes_on(50);
    let outcome = load.finish(&format!("{ended} sessions ended"), || is_empty(&cluster));
    assert_eq!(fenced(&servers), 0, "nobody was dead");
    bounded(&outcome, ended);
}

/// The database is followed by a copy of it, which is promoted. `synchronous`: it has whatever was acknowledged. Otherwise it lacks what
/// was committed last, which servers write again from memory.
#[track_caller]
fn promote(synchronous: bool) {
    let mut primary =
        PostgresCluster::start_with(&["fsync=off", "full_page_writes=off", "wal_keep_size=64MB"]);
    primary.database("d");
    let mut copy = primary.copy();
    let conninfo = format!(
        "host={},{} port={},{} dbname=d user=postgres target_session_attrs=read-write connect_timeout=2",
        primary.socket_folder(),
        copy.socket_folder(),
        primary.port(),
        copy.port()
    );
    if synchronous {
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        wait_until("it is synchronous", || {
            primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync"
        });
    }
    let servers = three(&conninfo, "4");
    let load = Load::start(doors(&servers), 100);
    load.goes_on(100);
    load.fault(None, || {
        if !synchronous {
            // It misses what comes now.
            copy.stop(Signal::INT);
            load.goes_on(100);
        }
        primary.stop(Signal::QUIT);
        if !synchronous {
            copy.launch();
        }
        copy.promote();
    });
    load.goes_on(100);
    let what = if synchronous { "a synchronous copy promoted" } else { "a copy promoted that lacks commits" };
    let outcome = load.finish(what, || is_empty(&copy));
    assert_eq!(fenced(&servers), 0, "nobody was dead");
    let again: u64 = servers.iter().map(|server| server.counter("store_repairs")).sum();
    println!("{again} repairs from memory");
    assert!(!synchronous || again == 0, "nothing was lost that was acknowledged");
    bounded(&outcome, 4);
}

#[test]
fn a_synchronous_copy_is_promoted() {
    promote(true);
}

#[test]
fn a_copy_that_lacks_the_last_commits_is_promoted() {
    promote(false);
}

/// pgbouncer between, in transaction mode: each transaction may have another session. It ends, too, and a server is killed.
#[test]
fn a_pooler_between() {
    let cluster = PostgresCluster::start();
    cluster.database("d");
    let mut pooler = Pooler::before(&cluster, "d");
    let mut servers = three(&pooler.conninfo(), "4");
    let load = Load::start(doors(&servers), 100);
    load.goes_on(100);
    load.fault(None, || pooler.restart());
    load.goes_on(50);
    cluster.end_sessions("d");
    load.goes_on(50);
    load.fault(Some(0), || {
        servers[0].signal(Signal::KILL);
        servers[0].wait();
    });
    load.goes_on(50);
    servers[0] = start(&pooler.conninfo(), "one again", "4");
    load.moved(0, Door::Tcp(servers[0].address()));
    let outcome = load.finish("pgbouncer in transaction mode", || is_empty(&cluster));
    assert_eq!(fenced(&servers), 0, "nobody was dead that went on");
    bounded(&outcome, 3);
}

/// The disk of the database is full for a while: new jobs are refused, what is there is run.
#[test]
fn a_full_disk_under_three_servers() {
    let Some(cluster) = PostgresCluster::start_small(48 << 20) else { return };
    cluster.sql("postgres", "CREATE DATABASE d TABLESPACE small");
    let servers = three(&cluster.conninfo("d"), "4");
    let load = Load::start(doors(&servers), 4000);
    load.goes_on(50);
    load.fault(None, || {
        let fill = "CREATE TABLE IF NOT EXISTS filler (bytes text); ALTER TABLE filler ALTER bytes SET STORAGE EXTERNAL; \
                    DO $$ BEGIN LOOP BEGIN INSERT INTO filler SELECT repeat('x', 60000) FROM generate_series(1, 8); \
                    EXCEPTION WHEN disk_full THEN EXIT; END; END LOOP; END $$; \
                    DO $$ BEGIN LOOP BEGIN INSERT INTO filler SELECT 'x' FROM generate_series(1, 100); \
                    EXCEPTION WHEN disk_full THEN EXIT; END; END LOOP; END $$";
        cluster.sql("d", fill);
        wait_until("jobs are refused", || load.refused() > 20);
        cluster.sql("d", "DROP TABLE filler");
    });
    load.goes_on(50);
    let outcome = load.finish("a full disk", || is_empty(&cluster));
    assert_eq!(fenced(&servers), 0, "nobody was dead");
    bounded(&outcome, 1);
}
