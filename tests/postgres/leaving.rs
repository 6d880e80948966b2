//! Servers that end in an orderly way leave their jobs to others at once: a drain what waits, while what runs is finished, and the end
//! whatever is left. Nothing that was left is still given out by who has left it.
use super::faults::{is_empty, three};
use super::load::{Door, Load};
use super::takeover::start;
use super::*;
use rustix::process::Signal;
use std::io::Write;
use std::time::{Duration, Instant};
use support::packets::*;
use support::server::{read_packet, request, wait_until};
use support::sharing::{finish, grab, put_jobs, queued, submit, words, work_off, worker};

#[test]
fn a_drain_leaves_what_waits_to_others_at_once_and_finishes_what_runs() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let (mut one, two) = (start(&conninfo, "one", "10"), start(&conninfo, "two", "10"));
    wait_until("they see each other", || one.log().contains("shared with server two"));
    let (mut lazy, mut client, mut other) = (worker(&one), one.connect(), one.connect());
    put_jobs(&one, 0..200);
    let (running, first) = grab(&mut lazy).unwrap();
    assert_eq!(first, b"w0");
    // A stored job for which somebody waits.
    client.write_all(&request(SUBMIT_JOB, b"f\0w7\0w7")).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    one.signal(Signal::USR1);
    let begin = Instant::now();
    wait_until("the others have what waited", || queued(&two) == 198);
    println!("198 jobs of a server that drains are another's after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(one.log().contains("198 stored jobs were left to other servers; 2 stay"), "{}", one.log());
    // It takes jobs from those who are connected, and does them itself.
    wait_until("it takes a job", || submit(&mut other, b"late", b"late").0 == JOB_CREATED);
    finish(&mut lazy, &running);
    let mut left = Vec::new();
    while let Some((handle, workload)) = grab(&mut lazy) {
        finish(&mut lazy, &handle);
        left.push(String::from_utf8(workload).unwrap());
    }
    assert_eq!(left, ["w7", "late"]);
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    assert!(one.wait().success());
    let done = work_off(&two, 198);
    let wanted: Vec<String> = words(0..200).into_iter().filter(|word| word != "w0" && word != "w7").collect();
    assert_eq!(done, wanted);
    wait_until("no row is left", || is_empty(&cluster));
    assert_eq!(cluster.sql("d", "SELECT count(*) FROM queue_ringgear WHERE kind <> 0"), "0");
}

/// Nobody is there who could have them: it works them off, as ever.
#[test]
fn a_drain_alone_works_off_what_waits() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut one = start(&conninfo, "one", "10");
    let mut stream = worker(&one);
    put_jobs(&one, 0..20);
    one.signal(Signal::USR1);
    let mut done = 0;
    while let Some((handle, _)) = grab(&mut stream) {
        finish(&mut stream, &handle);
        done += 1;
    }
    assert_eq!(done, 20);
    drop(stream);
    assert!(one.wait().success());
    assert!(is_empty(&cluster));
}

/// Servers drain and end under load with many jobs waiting, one after the other; `RINGGEAR_LEAVES` times, or four. A drain repeats
/// nothing at all.
#[test]
fn whoever_has_left_gives_out_nothing_any_more() {
    let rounds = std::env::var("RINGGEAR_LEAVES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut servers = three(&conninfo, "10");
    let load = Load::start(servers.iter().map(|server| Door::Tcp(server.address())).collect(), 100);
    for round in 0..rounds {
        let at = round % servers.len();
        load.goes_on(50);
        load.pile(at, 400);
        let server = &mut servers[at];
        if round % 2 == 0 {
            server.signal(Signal::USR1);
            assert!(server.wait().success());
        } else {
            load.fault(Some(at), || {
                server.signal(Signal::TERM);
                assert!(server.wait().success());
            });
        }
        servers[at] = start(&conninfo, &format!("{round}"), "10");
        load.moved(at, Door::Tcp(servers[at].address()));
    }
    let outcome = load.finish(&format!("{rounds} servers left"), || is_empty(&cluster));
    // Two workers have one each when a server ends.
    assert!(outcome.repeats <= 2 * rounds, "{}", outcome.repeats);
}
