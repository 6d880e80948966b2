//! A whole server on a PostgreSQL that comes and goes.
use super::*;
use rustix::process::Signal;
use std::collections::HashSet;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};
use support::packets::*;
use support::scenarios::{refused, submit, submit_on, work_off};
use support::server::{Server, echo, free_address, read_packet, request, run_to_end, wait_until};

fn options(conninfo: &str) -> Vec<String> {
    ["-t", "2", "-q", "postgres", "--verbose", "NOTICE", "--server-name", "one", "--libpq-conninfo", conninfo]
        .map(str::to_owned)
        .to_vec()
}

#[track_caller]
fn start(conninfo: &str, more: &[&str]) -> Server {
    let options = options(conninfo);
    Server::start(&options.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn jobs_outlive_the_server_and_a_crash_of_it() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    for signal in [Signal::TERM, Signal::KILL] {
        let mut server = start(&conninfo, &[]);
        let mut client = server.connect();
        for number in 0..100 {
            let (unique, workload) = (format!("u{number}"), format!("w{number}"));
            let answer = submit(&mut client, SUBMIT_JOB_BG, &[b"f", unique.as_bytes(), workload.as_bytes()]);
            assert_eq!(answer.0, JOB_CREATED);
        }
        server.signal(signal);
        server.wait();
        let mut server = start(&conninfo, &[]);
        let wanted: Vec<Vec<u8>> = (0..100).map(|number| format!("w{number}").into_bytes()).collect();
        assert_eq!(work_off(&server, b"f"), wanted);
        server.signal(Signal::TERM);
        assert!(server.wait().success());
        assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "0");
    }
}

#[test]
fn while_the_database_is_away_background_jobs_are_refused_and_nothing_else_waits() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut server = start(&conninfo, &[]);
    let mut client = server.connect();
    assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"before", b"before"]).0, JOB_CREATED);
    cluster.stop(Signal::INT);
    assert!(refused(&submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"first", b"first"])));
    for number in 0..20 {
        let begin = Instant::now();
        let unique = format!("away {number}");
        assert!(refused(&submit(&mut client, SUBMIT_JOB_BG, &[b"f", unique.as_bytes(), b"w"])));
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
    // Foreground work goes on, and what was stored is run; its end is owed.
    let mut waiting = server.connect();
    assert_eq!(submit(&mut waiting, SUBMIT_JOB, &[b"g", b"", b"now"]).0, JOB_CREATED);
    assert_eq!(work_off(&server, b"g"), [b"now"]);
    assert_eq!(read_packet(&mut waiting).0, WORK_COMPLETE);
    assert_eq!(work_off(&server, b"f"), [b"before"]);
    cluster.launch();
    wait_until("the store takes jobs again", || {
        submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"after", b"after"]).0 == JOB_CREATED
    });
    wait_until("the end of the first is written", || {
        cluster.sql("d", "SELECT string_agg(unique_key, ' ') FROM queue") == "after"
    });
    assert!(server.log().contains(" is away: "), "{}", server.log());
    assert!(server.log().contains(" answers again after "), "{}", server.log());
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn a_database_that_is_not_there_yet_is_waited_for() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    cluster.stop(Signal::INT);
    let options = options(&conninfo);
    let words: Vec<&str> = options.iter().map(String::as_str).chain(["--store-wait", "0"]).collect();
    let ended = run_to_end(&[], free_address(), &words);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(said.contains("PostgreSQL at ") && said.contains(", database d cannot be reached: "), "{said}");
    // One that waits can be told to end.
    let mut server = start(&conninfo, &[]);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// A foreground job of this unique and workload, done by this worker: that it was given a handle, and its result.
#[track_caller]
fn done_at_once(server: &Server, unique: &[u8]) {
    let mut client = server.connect();
    assert_eq!(submit(&mut client, SUBMIT_JOB, &[b"g", unique, b"now"]).0, JOB_CREATED);
    assert_eq!(work_off(server, b"g"), [b"now"]);
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
}

/// What needs nothing stored is done, and refused is what does; until the database is there, with what it has.
#[test]
fn a_start_without_the_database_does_foreground_jobs() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    cluster.stop(Signal::INT);
    let one = start(&conninfo, &[]);
    let two = takeover::start(&conninfo, "two", "10");
    let mut client = one.connect();
    echo(&mut client, b"it is there");
    wait_until("it says so", || one.log().contains("waiting for it"));
    for server in [&one, &two] {
        done_at_once(server, b"u");
        assert!(refused(&submit(&mut server.connect(), SUBMIT_JOB_BG, &[b"f", b"u", b"w"])));
        assert!(refused(&submit(&mut server.connect(), SUBMIT_JOB_BG, &[b"f", b"", b"w"])));
    }
    // One that runs when the database comes.
    let (created, foreground) = submit(&mut client, SUBMIT_JOB, &[b"f", b"same", b"foreground"]);
    assert_eq!(created, JOB_CREATED);
    let mut worker = one.connect();
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    cluster.launch();
    // Its unique in the background is another job, whose number the store has given.
    let mut stored = Vec::new();
    wait_until("background jobs are taken", || {
        let (answer, handle) = submit(&mut one.connect(), SUBMIT_JOB_BG, &[b"f", b"same", b"background"]);
        stored = handle;
        answer == JOB_CREATED
    });
    let number = |handle: &[u8]| -> u64 {
        String::from_utf8_lossy(handle).rsplit(':').next().unwrap().parse().unwrap()
    };
    let spare = |handle: &[u8]| JobId::from_number(number(handle)).unwrap().is_spare();
    assert_eq!((spare(&foreground), spare(&stored)), (true, false));
    assert_eq!(cluster.sql("d", "SELECT ringgear_number FROM queue"), number(&stored).to_string());
    worker.write_all(&request(WORK_COMPLETE, &[&foreground[..], b"\0done"].concat())).unwrap();
    assert_eq!(read_packet(&mut client), (WORK_COMPLETE, [&foreground[..], b"\0done"].concat()));
    assert_eq!(work_off(&one, b"f"), [b"background"]);
    wait_until("the other one takes some, too", || {
        submit(&mut two.connect(), SUBMIT_JOB_BG, &[b"f", b"two", b"two"]).0 == JOB_CREATED
    });
    assert_eq!(work_off(&two, b"f"), [b"two"]);
}

/// The same where jobs are stored, and their server was killed: they are read while others are served, and each is run once.
#[test]
fn what_is_stored_comes_when_the_database_does() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut server = start(&conninfo, &[]);
    let mut client = server.connect();
    let workload = |number: u32| format!("w{number}").into_bytes();
    let jobs: Vec<Vec<u8>> = (0..3000).map(workload).collect();
    for job in &jobs {
        assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", job, job]).0, JOB_CREATED);
    }
    server.signal(Signal::KILL);
    server.wait();
    cluster.stop(Signal::INT);
    let mut server = start(&conninfo, &[]);
    // Before and while they are read, and with a unique that one of them has.
    wait_until("it says so", || server.log().contains("waiting for it"));
    let mut client = server.connect();
    assert_eq!(submit(&mut client, SUBMIT_JOB, &[b"f", b"w7", b"foreground"]).0, JOB_CREATED);
    done_at_once(&server, b"");
    cluster.launch();
    while !server.log().contains("read 3000 stored jobs") {
        done_at_once(&server, b"");
    }
    let mut client = server.connect();
    wait_until("background jobs are taken", || {
        submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"last", b"last"]).0 == JOB_CREATED
    });
    assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"w9", b"joins"]).0, JOB_CREATED);
    let mut done = work_off(&server, b"f");
    assert_eq!(done.remove(0), b"foreground");
    assert_eq!(done.pop().unwrap(), b"last");
    assert_eq!(done, jobs, "in their order, each of them once");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "0");
}

/// Sessions are ended again and again, and the database crashes twice; what was acknowledged is run, and nothing else is but what
/// nobody knows of.
#[test]
fn what_was_acknowledged_survives_whatever_happens_to_the_database() {
    // It syncs: a crash of it is part of this.
    let mut cluster = PostgresCluster::start_with(&[]);
    let conninfo = cluster.database("d");
    let mut server = start(&conninfo, &[]);
    let until = Instant::now() + Duration::from_secs(6);
    let (kept, refused_ones) = thread::scope(|scope| {
        let server = &server;
        let clients: Vec<_> =
            (0..8).map(|name| scope.spawn(move || submit_on(server, name, until))).collect();
        let mut rounds = 0;
        while Instant::now() < until {
            rounds += 1;
            thread::sleep(Duration::from_millis(120));
            match rounds % 15 {
                7 => {
                    cluster.stop(Signal::QUIT);
                    cluster.launch();
                }
                _ => _ = cluster.end_sessions("d"),
            }
        }
        clients.into_iter().map(|client| client.join().unwrap()).fold(
            (HashSet::new(), 0),
            |(mut kept, sum), (more, refused)| {
                kept.extend(more);
                (kept, sum + refused)
            },
        )
    });
    assert!(kept.len() > 200, "{} kept, {refused_ones} refused", kept.len());
    // Half of them by this server, and the rest by one that takes its place after a crash.
    let mut ran = HashSet::new();
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    let mut twice = 0;
    for _ in 0..kept.len() / 2 {
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        let (number, data) = read_packet(&mut worker);
        assert_eq!(number, JOB_ASSIGN);
        let parts: Vec<&[u8]> = data.splitn(3, |&byte| byte == 0).collect();
        twice += u32::from(!ran.insert(parts[2].to_vec()));
        worker.write_all(&request(WORK_COMPLETE, &[parts[0], b"\0"].concat())).unwrap();
    }
    echo(&mut worker, b"done");
    server.signal(Signal::KILL);
    server.wait();
    let server = start(&conninfo, &[]);
    for workload in work_off(&server, b"f") {
        twice += u32::from(!ran.insert(workload));
    }
    let lost: Vec<_> = kept.difference(&ran).collect();
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), kept.len(), String::from_utf8_lossy(lost[0]));
    println!("{} kept, {refused_ones} refused, {} ran, {twice} of them twice", kept.len(), ran.len());
    assert!(ran.len() <= kept.len() + refused_ones as usize);
    wait_until("all ends are written", || cluster.sql("d", "SELECT count(*) FROM queue") == "0");
}

#[test]
fn one_job_that_the_database_refuses_is_refused_alone() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut server = start(&conninfo, &[]);
    cluster.sql(
        "d",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.unique_key = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON queue FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let mut client = server.connect();
    let mut all = Vec::new();
    for number in 0..500 {
        let unique = if number == 250 { "bad".to_owned() } else { format!("u{number}") };
        all.extend(request(SUBMIT_JOB_BG, format!("f\0{unique}\0w").as_bytes()));
    }
    client.write_all(&all).unwrap();
    let answers: Vec<u32> = (0..500).map(|_| read_packet(&mut client).0).collect();
    assert_eq!(answers.iter().position(|&answer| answer == ERROR), Some(250));
    assert_eq!(answers.iter().filter(|&&answer| answer == JOB_CREATED).count(), 499);
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue"), "499");
    assert_eq!(work_off(&server, b"f").len(), 499);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn a_full_disk_refuses_background_jobs_until_there_is_room() {
    let Some(cluster) = PostgresCluster::start_small(40 << 20) else { return };
    cluster.sql("postgres", "CREATE DATABASE d TABLESPACE small");
    cluster.sql("d", "CREATE TABLE ballast AS SELECT number FROM generate_series(1, 50000) AS number");
    let mut server = start(&cluster.conninfo("d"), &[]);
    let mut client = server.connect();
    // Nothing that can be made smaller.
    let mut noise = 1_u64;
    let mut workload = vec![0; 100_000];
    for byte in &mut workload {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (noise >> 56) as u8;
    }
    let mut kept = 0;
    while submit(&mut client, SUBMIT_JOB_BG, &[b"f", format!("u{kept}").as_bytes(), &workload]).0
        == JOB_CREATED
    {
        kept += 1;
        assert!(kept < 1000, "the disk is not full");
    }
    assert!(kept > 50, "{kept}");
    // Lines are written by a thread of their own, which may come after the answer.
    let full = " is full: background jobs are refused until jobs end or there is more room";
    wait_until("the log says why", || server.log().contains(full));
    // A smaller one may find room, jobs can end, and foreground work goes on.
    let mut waiting = server.connect();
    assert_eq!(submit(&mut waiting, SUBMIT_JOB, &[b"g", b"", &workload]).0, JOB_CREATED);
    assert_eq!(work_off(&server, b"g").len(), 1);
    assert_eq!(work_off(&server, b"f").len(), kept);
    wait_until("all ends are written", || cluster.sql("d", "SELECT count(*) FROM queue") == "0");
    // What autovacuum does in its time; on a disk that is full to the last page it needs a little room for it.
    cluster.sql("d", "DROP TABLE ballast");
    cluster.sql("d", "CHECKPOINT");
    cluster.sql("d", "VACUUM queue");
    assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"again", &workload]).0, JOB_CREATED);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}
