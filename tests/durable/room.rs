//! A disk that fills up: new background jobs are refused, everything else goes on, and jobs that end make room again.
use super::folder;
use super::support::server::*;
use crate::support::packets::*;
use rustix::process::Signal;
use std::io::Write;
use std::net::TcpStream;

/// Submits until one is refused; how many were not.
fn fill(client: &mut TcpStream, round: u32, most: u32) -> u32 {
    for number in 0..most {
        let unique = format!("r{round}n{number}");
        let data = [b"kept", unique.as_bytes(), &[7; 20_000]].join(&0);
        client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
        match read_packet(client) {
            (JOB_CREATED, _) => {}
            (ERROR, what) => {
                assert!(what.starts_with(b"QUEUE_ERROR\0"), "{}", what.escape_ascii());
                return number;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("nothing was refused");
}

fn take(worker: &mut TcpStream) -> Option<Vec<u8>> {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    match read_packet(worker) {
        (NO_JOB, _) => None,
        (JOB_ASSIGN, data) => Some(data.split(|&byte| byte == 0).next().unwrap().to_vec()),
        other => panic!("{other:?}"),
    }
}

fn foreground_works(server: &Server) {
    let (mut client, mut worker) = (server.connect(), server.connect());
    worker.write_all(&request(CAN_DO, b"quick")).unwrap();
    client.write_all(&request(SUBMIT_JOB, b"quick\0\0load")).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    let handle = take(&mut worker).unwrap();
    worker.write_all(&request(WORK_COMPLETE, &[&handle, &b"done"[..]].join(&0))).unwrap();
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
}

fn fills_up_and_empties(server: &Server) {
    let mut client = server.connect();
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"kept")).unwrap();
    for round in 0..3 {
        let kept = fill(&mut client, round, 5_000);
        assert!(kept > 20, "round {round}: {kept} jobs of 20 kB found room");
        foreground_works(server);
        let mut ended = 0;
        while let Some(handle) = take(&mut worker) {
            worker.write_all(&request(WORK_COMPLETE, &[&handle, &b""[..]].join(&0))).unwrap();
            ended += 1;
        }
        assert_eq!(ended, kept, "round {round}");
        let unique = format!("again {round}");
        // Room is made a little later.
        wait_until("there is room again", || {
            let data = [b"kept", unique.as_bytes(), b"small"].join(&0);
            client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
            read_packet(&mut client).0 == JOB_CREATED
        });
        let handle = take(&mut worker).unwrap();
        worker.write_all(&request(WORK_COMPLETE, &[&handle, &b""[..]].join(&0))).unwrap();
    }
    assert!(counter(&mut client, "store_refusals") >= 3);
}

#[test]
fn a_log_at_its_limit_refuses_and_recovers() {
    let folder = folder();
    let options = ["--data-dir", &folder.path("log"), "--max-log-bytes", "268435456"];
    let mut server = Server::start(&options);
    let mut client = server.connect();
    let kept = fill(&mut client, 0, 50_000);
    assert!(kept > 1_000);
    foreground_works(&server);
    server.signal(Signal::KILL);
    server.wait();
    // What was answered is there after a start with the disk as full as it was.
    let server = Server::start(&options);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"kept")).unwrap();
    let mut ended = 0;
    while let Some(handle) = take(&mut worker) {
        worker.write_all(&request(WORK_COMPLETE, &[&handle, &b""[..]].join(&0))).unwrap();
        ended += 1;
    }
    assert_eq!(ended, kept);
}

/// A server whose store is on a file system of 16 MiB of its own.
fn with_little_room(store: &str, kind: &str) {
    let folder = folder();
    let mount = folder.path("mount");
    std::fs::create_dir(&mount).unwrap();
    let script = format!("mount -t tmpfs -o size=16m tmpfs '{mount}' && exec \"$@\"");
    let wrapper = ["unshare", "-Urm", "sh", "-c", &script, "sh"];
    let server = Server::start_by(&wrapper, &[kind, store, &format!("{mount}/store")]);
    fills_up_and_empties(&server);
}

#[test]
fn a_log_on_a_full_file_system_refuses_and_recovers() {
    with_little_room("--data-dir", "-qbuiltin");
}

#[test]
fn sqlite_on_a_full_file_system_refuses_and_recovers() {
    with_little_room("--libsqlite3-db", "-qlibsqlite3");
}
