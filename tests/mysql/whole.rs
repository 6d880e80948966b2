//! A whole server on a MariaDB that comes and goes.
use super::*;
use rustix::process::Signal;
use std::cell::RefCell;
use support::packets::*;
use support::server::{free_address, read_packet, run_to_end, wait_until};

fn words(server: &MariaServer) -> Vec<String> {
    let socket = server.socket();
    [
        "-q",
        "mysql",
        "--mysql-host",
        &socket,
        "--mysql-user",
        "root",
        "--mysql-db",
        "d",
        "--server-name",
        "one",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn jobs_outlive_the_server_and_a_crash_of_it() {
    let server = database();
    for signal in [Signal::TERM, Signal::KILL] {
        outlive(&as_words(&words(&server)), signal);
        assert_eq!(left(&server, "gearman_queue"), "0");
    }
}

#[test]
fn while_the_database_is_away_background_jobs_are_refused_and_nothing_else_waits() {
    let server = RefCell::new(database());
    let words = words(&server.borrow());
    away(
        &as_words(&words),
        &mut || server.borrow_mut().stop(Signal::TERM),
        &mut || server.borrow_mut().launch(),
        &|| server.borrow().sql("d", "SELECT GROUP_CONCAT(unique_key) FROM gearman_queue") == "after",
    );
}

#[test]
fn what_was_acknowledged_survives_whatever_happens_to_the_database() {
    // It syncs: a crash of it is part of this.
    let mut server = database();
    let words = words(&server);
    ledger(&as_words(&words), &mut |round| match round % 15 {
        7 => {
            server.stop(Signal::KILL);
            server.launch();
        }
        _ => server.end_sessions("d"),
    });
    wait_until("all ends are written", || left(&server, "gearman_queue") == "0");
}

#[test]
fn a_database_that_is_not_there_yet_is_waited_for() {
    let mut server = database();
    let words = words(&server);
    server.stop(Signal::TERM);
    let at_once = [as_words(&words), vec!["--store-wait", "0"]].concat();
    let ended = run_to_end(&[], free_address(), &at_once);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(said.contains("MySQL at ") && said.contains(", database d cannot be reached: "), "{said}");
    let mut ours = serve(&as_words(&words));
    let mut client = ours.connect();
    wait_until("it says so", || ours.log().contains("waiting for it"));
    assert!(refused(&submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"u", b"w"])));
    assert_eq!(submit(&mut client, SUBMIT_JOB, &[b"f", b"u", b"now"]).0, JOB_CREATED);
    assert_eq!(work_off(&ours, b"f"), [b"now"]);
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    server.launch();
    wait_until("it takes jobs", || submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"u", b"w"]).0 == JOB_CREATED);
    assert_eq!(work_off(&ours, b"f"), [b"w"]);
    ours.signal(Signal::TERM);
    assert!(ours.wait().success());
}
