//! Several servers on one PostgreSQL: who dies is taken over, who was thought dead adds nothing any more, nothing that was acknowledged
//! is lost, and an application may enqueue by itself. Whole servers, killed and stopped as they are.
use super::*;
use rustix::process::Signal;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use support::packets::*;
use support::server::{Server, ask, free_address, read_packet, request, wait_until};

const GET_STATUS: u32 = 15;
const STATUS_RES: u32 = 20;

/// A server of this name, which others take over after so many seconds.
#[track_caller]
pub(crate) fn start(conninfo: &str, name: &str, after: &str) -> Server {
    let options = ["-t", "2", "-q", "postgres", "--verbose", "NOTICE", "--libpq-conninfo", conninfo];
    Server::start(&[&options[..], &["--server-name", name, "--take-over-after", after]].concat())
}

pub(crate) fn submit(stream: &mut TcpStream, unique: &[u8], workload: &[u8]) -> (u32, Vec<u8>) {
    stream.write_all(&request(SUBMIT_JOB_BG, &[&b"f"[..], unique, workload].join(&0))).unwrap();
    read_packet(stream)
}

/// Puts jobs with these numbers as their uniques and workloads: their handles.
#[track_caller]
pub(crate) fn put_jobs(server: &Server, numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    let mut client = server.connect();
    numbers
        .map(|number| {
            let word = format!("w{number}");
            let (answer, handle) = submit(&mut client, word.as_bytes(), word.as_bytes());
            assert_eq!(answer, JOB_CREATED, "{}", String::from_utf8_lossy(&handle));
            handle
        })
        .collect()
}

/// One job of the function, if there is one: its handle and workload. It is not finished.
pub(crate) fn grab(stream: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>)> {
    stream.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (number, data) = read_packet(stream);
    if number == NO_JOB {
        return None;
    }
    assert_eq!(number, JOB_ASSIGN);
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let handle = parts.next()?.to_vec();
    Some((handle, parts.nth(1)?.to_vec()))
}

pub(crate) fn worker(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(CAN_DO, b"f")).unwrap();
    stream
}

pub(crate) fn finish(stream: &mut TcpStream, handle: &[u8]) {
    stream.write_all(&request(WORK_COMPLETE, &[handle, b"\0"].concat())).unwrap();
}

/// Works off until there have been so many jobs: their workloads, sorted.
#[track_caller]
pub(crate) fn work_off(server: &Server, jobs: usize) -> Vec<String> {
    let mut stream = worker(server);
    let mut done = Vec::new();
    wait_until("all jobs are there", || {
        while let Some((handle, workload)) = grab(&mut stream) {
            finish(&mut stream, &handle);
            done.push(String::from_utf8(workload).unwrap());
        }
        done.len() >= jobs
    });
    done.sort();
    done
}

pub(crate) fn words(numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut words: Vec<String> = numbers.map(|number| format!("w{number}")).collect();
    words.sort();
    words
}

pub(crate) fn queued(server: &Server) -> u64 {
    let status = ask(&mut server.connect(), "status\n");
    let line = status.lines().find(|line| line.starts_with("f\t"));
    line.and_then(|line| line.split('\t').nth(1)?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_killed_server_is_taken_over_in_time_and_the_heir_answers_for_its_handles() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (mut one, two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    wait_until("they see each other", || two.log().contains("shared with server one"));
    let handles = put_jobs(&one, 0..50);
    assert_eq!(queued(&two), 0, "jobs are where they were submitted");
    wait_until("both are shown", || {
        let shown = ask(&mut two.connect(), "show servers\n");
        shown.starts_with("two\t") && shown.contains("one\t") && shown.ends_with(".\n")
    });
    one.signal(Signal::KILL);
    one.wait();
    let begin = Instant::now();
    wait_until("they are taken over", || queued(&two) == 50);
    let took = begin.elapsed();
    println!("taken over after {took:?}");
    assert!(took > Duration::from_secs(7) && took < Duration::from_secs(12), "{took:?}");
    // The handle that the dead server has given is answered by its heir, as it was asked for.
    let mut client = two.connect();
    client.write_all(&request(GET_STATUS, &handles[7])).unwrap();
    let (number, data) = read_packet(&mut client);
    assert_eq!((number, data), (STATUS_RES, [&handles[7][..], b"\x001\x000\x000\x000"].concat()));
    assert_eq!(work_off(&two, 50), words(0..50));
    wait_until("no row is left", || cluster.sql("d", "SELECT count(*) FROM queue") == "0");
    let shown = ask(&mut two.connect(), "show servers\n");
    assert!(shown.contains("taken over by two"), "{shown}");
    assert!(two.counter("jobs_taken_over") >= 50);
}

#[test]
fn an_orderly_end_hands_over_in_a_second_or_two_and_a_lone_server_keeps_its_own() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (mut one, mut two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    put_jobs(&one, 0..20);
    one.signal(Signal::TERM);
    assert!(one.wait().success());
    let begin = Instant::now();
    wait_until("they are taken over", || queued(&two) == 20);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    // Now alone: what it has is there at its next start, whatever it is called then.
    two.signal(Signal::TERM);
    assert!(two.wait().success());
    let begin = Instant::now();
    let three = start(&conninfo, "three", "10");
    assert_eq!(work_off(&three, 20), words(0..20));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn a_server_of_the_same_name_is_waited_for_three_seconds_and_refused_if_it_runs() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut one = start(&conninfo, "one", "30");
    put_jobs(&one, 0..20);
    let options = ["-t", "1", "-q", "postgres", "--libpq-conninfo", &conninfo, "--server-name", "one"];
    let ended = support::server::run_to_end(&[], free_address(), &options);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(said.contains("another server named one is running; stop that one, or give this one"), "{said}");
    one.signal(Signal::KILL);
    one.wait();
    let begin = Instant::now();
    let again = start(&conninfo, "one", "30");
    assert_eq!(work_off(&again, 20), words(0..20));
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
}

/// Whether all threads of a process are stopped (proc_pid_stat(5): T).
pub(crate) fn stands_still(process: u32) -> bool {
    let state = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    std::fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .all(|thread| state(thread.unwrap()) == Some('T'))
}

#[test]
fn who_wakes_from_a_long_sleep_gives_out_nothing_that_another_has_taken_over() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (one, two) = (start(&conninfo, "one", "4"), start(&conninfo, "two", "4"));
    // Whoever is alone goes on.
    wait_until("it sees the other", || one.log().contains("shared with server two"));
    put_jobs(&one, 0..100);
    let mut before = worker(&one);
    let (running, _) = grab(&mut before).unwrap();
    one.signal(Signal::STOP);
    // The signal takes effect when each thread has come to it.
    wait_until("it stands still", || stands_still(one.pid()));
    // Asked while it cannot answer: it is the first that it reads.
    before.write_all(&request(GRAB_JOB, b"")).unwrap();
    wait_until("they are taken over", || queued(&two) == 100);
    one.signal(Signal::CONT);
    assert_eq!(read_packet(&mut before).0, NO_JOB, "nothing is given out before it was heard of");
    wait_until("it has seen that it was taken over", || one.log().contains("another has taken over its"));
    wait_until("it has forgotten them", || queued(&one) <= 1);
    assert!(grab(&mut before).is_none());
    // It has run one of them after all, and says so: the heir may have run it, too, or not.
    finish(&mut before, &running);
    // It goes on as another server.
    wait_until("it takes jobs again", || submit(&mut one.connect(), b"x", b"x").0 == JOB_CREATED);
    let (handle, workload) = grab(&mut before).unwrap();
    assert_eq!(workload, b"x");
    finish(&mut before, &handle);
    let done = work_off(&two, 100);
    assert_eq!(done, words(0..100));
    assert_eq!(one.counter("times_fenced"), 1);
}

#[test]
fn uniques_hold_for_all_servers() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (one, two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    let handles = put_jobs(&one, 0..10);
    let again = put_jobs(&two, 5..15);
    assert_eq!(handles[5..], again[..5], "the same jobs");
    assert!(again[5..].iter().all(|handle| !handles.contains(handle)));
    assert_eq!((queued(&one), queued(&two)), (10, 5));
    assert_eq!(work_off(&one, 10), words(0..10));
    assert_eq!(work_off(&two, 5), words(10..15));
    wait_until("no row is left", || cluster.sql("d", "SELECT count(*) FROM queue") == "0");
}

#[test]
fn an_application_enqueues_with_an_insert_of_its_own() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (one, two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    let insert = "INSERT INTO queue (unique_key, function_name, priority, data, when_to_run)";
    cluster.sql("d", &format!("BEGIN; {insert} VALUES ('gone', 'f', 1, 'gone', 0); ROLLBACK"));
    cluster.sql("d", &format!("{insert} SELECT 'w' || n, 'f', 1, convert_to('w' || n, 'UTF8'), 0 FROM generate_series(0, 2499) n"));
    let begin = Instant::now();
    wait_until("they are there", || queued(&one) + queued(&two) == 2500);
    println!("2500 rows of an application after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    cluster.sql("d", &format!("{insert} VALUES ('last', 'f', 1, 'w2500', 0), ('bad', NULL, 1, 'bad', 0)"));
    let begin = Instant::now();
    wait_until("it is there", || queued(&one) + queued(&two) == 2501);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let (first, second) = (queued(&one) as usize, queued(&two) as usize);
    let mut done = work_off(&one, first);
    done.extend(work_off(&two, second));
    done.sort();
    assert_eq!(done, words(0..2501));
    let left = "SELECT count(*), min(unique_key), min(ringgear_owner) FROM queue";
    wait_until("what cannot be read is kept", || cluster.sql("d", left) == "1|bad|0");
}

/// Ends all sessions again and again, and then the whole database at once, under two servers: nothing is lost, nobody is taken over.
#[test]
fn a_database_that_restarts_makes_nobody_dead() {
    let mut cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (one, two) = (start(&conninfo, "one", "4"), start(&conninfo, "two", "4"));
    let mut acknowledged = HashSet::new();
    for round in 0..8 {
        for server in [&one, &two] {
            let mut client = server.connect();
            for number in 0..20 {
                let word = format!("{} {round} {number}", server.pid());
                if submit(&mut client, word.as_bytes(), word.as_bytes()).0 == JOB_CREATED {
                    acknowledged.insert(word);
                }
            }
        }
        match round {
            5 => {
                cluster.stop(Signal::QUIT);
                thread::sleep(Duration::from_secs(6));
                cluster.launch();
            }
            _ => _ = cluster.end_sessions("d"),
        }
    }
    wait_until("both take jobs again", || {
        [&one, &two].iter().all(|server| submit(&mut server.connect(), b"end", b"end").0 == JOB_CREATED)
    });
    acknowledged.insert("end".to_owned());
    let mut done = HashSet::new();
    wait_until("all have run", || {
        for server in [&one, &two] {
            let mut stream = worker(server);
            while let Some((handle, workload)) = grab(&mut stream) {
                finish(&mut stream, &handle);
                done.insert(String::from_utf8(workload).unwrap());
            }
        }
        acknowledged.is_subset(&done)
    });
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for server in [&one, &two] {
        assert_eq!((server.counter("times_fenced"), server.counter("jobs_taken_over")), (0, 0));
    }
}

/// Kills one of three servers at random again and again while jobs come and go: what was acknowledged is run. How many times:
/// RINGGEAR_KILLS, or six; `RINGGEAR_KILLS=60 cargo test --test postgres -- takeover::what_was_acknowledged` is the long one.
#[test]
fn what_was_acknowledged_is_run_whichever_servers_die() {
    let kills: u32 = std::env::var("RINGGEAR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let names = ["one", "two", "three"];
    let mut servers = names.map(|name| start(&conninfo, name, "4"));
    let (mut acknowledged, mut runs) = (Vec::new(), BTreeMap::<String, u32>::new());
    // Of these their server has said that it knows that they have ended.
    let (mut finished, mut repeats) = (HashSet::new(), 0);
    let mut chance = 7_u64;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize
    };
    let mut number = 0;
    for kill in 0..kills {
        for _ in 0..150 {
            let server = &servers[next() % 3];
            let word = format!("job {number}");
            number += 1;
            if submit(&mut server.connect(), word.as_bytes(), word.as_bytes()).0 == JOB_CREATED {
                acknowledged.push(word);
            }
            // Some are finished, some are running when their server dies.
            let mut stream = worker(&servers[next() % 3]);
            if let Some((handle, workload)) = grab(&mut stream) {
                let word = String::from_utf8(workload).unwrap();
                repeats += u32::from(finished.contains(&word));
                *runs.entry(word.clone()).or_default() += 1;
                if next() % 4 > 0 {
                    finish(&mut stream, &handle);
                    if next() % 2 > 0 {
                        support::server::echo(&mut stream, b"done");
                        finished.insert(word);
                    }
                }
            }
        }
        let at = next() % 3;
        servers[at].signal(Signal::KILL);
        servers[at].wait();
        // It comes back: under its own name, or under another one, so that the others take it over.
        let name = if kill % 2 == 0 { names[at].to_owned() } else { format!("{} {kill}", names[at]) };
        servers[at] = start(&conninfo, &name, "4");
    }
    let mut run_all = |runs: &mut BTreeMap<String, u32>| {
        for server in &servers {
            let mut stream = worker(server);
            while let Some((handle, workload)) = grab(&mut stream) {
                let word = String::from_utf8(workload).unwrap();
                repeats += u32::from(finished.contains(&word));
                *runs.entry(word).or_default() += 1;
                finish(&mut stream, &handle);
            }
        }
    };
    wait_until("no row is left", || {
        run_all(&mut runs);
        cluster.sql("d", "SELECT count(*) FROM queue") == "0"
    });
    let lost: Vec<&String> = acknowledged.iter().filter(|word| !runs.contains_key(*word)).collect();
    println!(
        "{kills} kills, {} jobs acknowledged, {} lost, {repeats} repeats",
        acknowledged.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}");
    // Those that ended within the last commits before a kill.
    assert!(repeats <= 5 * kills, "{repeats}");
    assert_eq!(acknowledged.len(), number, "somebody always serves");
}
