//! Addresses that are for less, and servers without a list.
use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn lines_of_administrators_can_be_left_to_a_door_of_their_own() {
    let folder = Scratch::new();
    let (admin, looks) = (folder.path("admin"), folder.path("looks"));
    let server = Server::start(&[
        "--admin-lines=none",
        "--verbose=NOTICE",
        &format!("--listen=unix:{admin}?admin,mode=0600"),
        &format!("--listen=unix:{looks}?mode=0660,read-only"),
    ]);
    let mut jobs = server.connect();
    assert_eq!(asks(&mut jobs, SUBMIT_JOB_BG, b"f\0\0x").0, JOB_CREATED);
    for asked in ["status", "show jobs", "show servers", "maxqueue f 1"] {
        assert_eq!(line(&mut jobs, asked), LINE_DENIED, "{asked}");
    }
    assert!(line(&mut jobs, "version").starts_with("OK "));
    assert_eq!(asks(&mut jobs, GET_STATUS, b"H:x:1").0, STATUS_RES);
    let mut orders = Server::connect_by(folder.file("admin").as_path());
    assert_eq!(line(&mut orders, "status"), "f\t1\t0\t0\n.\n");
    assert_eq!(line(&mut orders, "maxqueue f 1"), "OK\r\n");
    assert_eq!(asks(&mut orders, SUBMIT_JOB_BG, b"f\0\0x"), denied());
    let mut looker = Server::connect_by(folder.file("looks").as_path());
    assert_eq!(line(&mut looker, "status"), "f\t1\t0\t0\n.\n");
    assert_eq!(line(&mut looker, "drop function f"), LINE_DENIED);
    says(&mut looker, CAN_DO, b"f");
    assert_eq!(asks(&mut looker, GRAB_JOB, b"").0, NO_JOB);
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&admin), mode(&looks)), (0o600, 0o660));
    assert!(server.log().contains(&format!("listening on unix:{admin}, admin")), "{}", server.log());
}

#[test]
fn questions_may_be_asked_where_orders_may_not_be_given() {
    let server = Server::start(&["--admin-lines", "read"]);
    let mut jobs = server.connect();
    assert_eq!(line(&mut jobs, "status"), ".\n");
    assert_eq!(line(&mut jobs, "create function f"), LINE_DENIED);
    assert_eq!(line(&mut jobs, "status"), ".\n");
    assert_eq!(counter(&mut jobs, "denied_orders"), 1);
}

/// A list grants nothing that a door is not for.
#[test]
fn a_door_takes_away_from_what_is_granted() {
    let other = free_address();
    let guarded = Guarded::start(
        "[*]\nsubmit=.*\nadmin=True\n",
        &[&format!("--listen=127.0.0.1?read-only,port={}", other.port())],
    );
    let mut jobs = guarded.server.connect();
    assert_eq!(asks(&mut jobs, SUBMIT_JOB_BG, b"f\0\0x").0, JOB_CREATED);
    let mut looker = connect_from(other, [127, 0, 0, 1]);
    assert_eq!(asks(&mut looker, SUBMIT_JOB_BG, b"f\0\0x"), denied());
    assert_eq!(line(&mut looker, "status"), "f\t1\t0\t0\n.\n");
    assert_eq!(line(&mut looker, "drop function f"), LINE_DENIED);
}

#[test]
fn an_address_that_others_reach_is_told_of_once() {
    let told = "may do there what any client, worker or administrator may, and it is plain text";
    let port = |address: SocketAddr| address.port();
    let public =
        [port(free_address()), port(free_address())].map(|port| format!("--listen=0.0.0.0?port={port}"));
    let server = Server::start(&["--verbose=NOTICE", &public[0], &public[1]]);
    wait_until("it has started", || server.log().contains("listening on 0.0.0.0"));
    wait_until("it is told", || server.log().contains(told));
    assert_eq!(server.log().matches(told).count(), 1);
    let local = Server::start(&["--verbose=NOTICE"]);
    assert!(line(&mut local.connect(), "version").starts_with("OK") && !local.log().contains(told));
    let guarded =
        Guarded::start("[*]\nread=yes\n", &[&format!("--listen=0.0.0.0?port={}", port(free_address()))]);
    assert!(
        line(&mut guarded.server.connect(), "version").starts_with("OK")
            && !guarded.server.log().contains(told)
    );
}
