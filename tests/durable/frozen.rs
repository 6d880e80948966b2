//! A file system that hangs under a server with a store: background submissions are refused after their time, and nothing
//! else notices. When it goes on, everything is as it was said to be.
use super::folder;
use super::mount::Image;
use super::support::packets::*;
use super::support::server::*;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn submit(client: &mut TcpStream, unique: &str) {
    let data = [b"kept", unique.as_bytes(), b"load"].join(&0);
    client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
}

fn created(client: &mut TcpStream) -> Vec<u8> {
    let (kind, handle) = read_packet(client);
    assert_eq!(kind, JOB_CREATED, "{}", handle.escape_ascii());
    handle
}

fn refused(client: &mut TcpStream) {
    let (kind, what) = read_packet(client);
    assert_eq!(kind, ERROR);
    assert!(what.starts_with(b"QUEUE_ERROR\0"), "{}", what.escape_ascii());
}

fn grab(worker: &mut TcpStream) -> Option<Vec<u8>> {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    match read_packet(worker) {
        (NO_JOB, _) => None,
        (JOB_ASSIGN, data) => Some(data.split(|&byte| byte == 0).next().unwrap().to_vec()),
        other => panic!("{other:?}"),
    }
}

fn complete(worker: &mut TcpStream, handle: &[u8]) {
    worker.write_all(&request(WORK_COMPLETE, &[handle, b"done"].join(&0))).unwrap();
}

/// A worker takes a stored job and ends it, a foreground job goes its way, reports are answered.
fn goes_on(server: &Server, worker: &mut TcpStream, stored: &[u8]) {
    let handle = grab(worker).expect("a job that was stored before");
    assert_eq!(handle, stored);
    complete(worker, &handle);
    let (mut client, mut quick) = (server.connect(), server.connect());
    quick.write_all(&request(CAN_DO, b"quick")).unwrap();
    client.write_all(&request(SUBMIT_JOB, b"quick\0\0load")).unwrap();
    created(&mut client);
    let handle = grab(&mut quick).unwrap();
    complete(&mut quick, &handle);
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    let mut admin = server.connect();
    assert!(ask(&mut admin, "status\n").contains("kept\t"));
}

#[test]
fn a_store_that_hangs_holds_up_background_submissions_and_nothing_else() {
    let image = Image::new("ext4", folder());
    if let Some(why) = image.refused() {
        assert!(std::env::var_os("NEED_LOOP_MOUNTS").is_none(), "{why}");
        return eprintln!("NOT RUN: ext4 cannot be mounted here: {why}");
    }
    let data = image.path("data");
    let options = ["--data-dir", &data, "-t", "1", "--store-timeout", "2", "--max-storing-bytes", "2000"];
    let server = image.start(&options);
    let [mut client, mut other, mut worker] = [0; 3].map(|_| server.connect());
    worker.write_all(&request(CAN_DO, b"kept")).unwrap();
    let stored: Vec<Vec<u8>> = (0..3)
        .map(|number| {
            submit(&mut client, &format!("before {number}"));
            created(&mut client)
        })
        .collect();

    let frozen = image.freeze(&server);
    let begin = Instant::now();
    submit(&mut client, "during");
    submit(&mut client, "during too");
    goes_on(&server, &mut worker, &stored[0]);
    refused(&mut client);
    refused(&mut client);
    assert!(begin.elapsed() >= Duration::from_secs(2));
    goes_on(&server, &mut worker, &stored[1]);
    // More than may wait is refused at once, and who is refused waits for nothing.
    (0..40).for_each(|number| submit(&mut other, &format!("more {number}")));
    other.write_all(&request(ECHO_REQ, b"over")).unwrap();
    (0..40).for_each(|_| refused(&mut other));
    assert_eq!(read_packet(&mut other), (ECHO_RES, b"over".to_vec()));
    assert!(counter(&mut other, "store_full_refusals") > 0);
    // This one waits for what is on its way.
    submit(&mut client, "during");
    drop(frozen);
    let during = created(&mut client);

    wait_until("the store goes on", || {
        submit(&mut other, "after");
        read_packet(&mut other).0 == JOB_CREATED
    });
    let mut left = Vec::new();
    while let Some(handle) = grab(&mut worker) {
        left.push(handle);
    }
    assert_eq!(left.len(), 3, "one from before, the one that was asked for again, and one from after");
    assert!(left.contains(&stored[2]) && left.contains(&during));
    drop(server);
    image.wait_until_detached();
    let server = image.start(&options);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"kept")).unwrap();
    let again: Vec<Vec<u8>> = std::iter::from_fn(|| grab(&mut worker)).collect();
    assert_eq!(again.len(), 3, "what was not ended, once each, and nothing of what was refused");
}
