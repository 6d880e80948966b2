//! A disk that rots under a running server: what the log cannot read any more is put right from memory.
use super::folder;
use super::support::server::*;
use crate::support::packets::*;
use rustix::process::Signal;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;

const LONG: usize = 20;

fn submit(client: &mut TcpStream, data: &[u8]) {
    client.write_all(&request(SUBMIT_JOB_BG, data)).unwrap();
    assert_eq!(read_packet(client).0, JOB_CREATED, "nothing is refused");
}

/// Takes a job and ends it.
fn work(worker: &mut TcpStream) -> bool {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (answer, data) = read_packet(worker);
    if answer == NO_JOB {
        return false;
    }
    let handle = data.split(|&byte| byte == 0).next().unwrap();
    worker.write_all(&request(WORK_COMPLETE, &[handle, b""].join(&0))).unwrap();
    true
}

#[test]
fn a_flipped_byte_of_a_running_log_is_put_right() {
    let folder = folder();
    let dir = folder.path("log");
    let options = ["--threads", "2", "--data-dir", &dir, "--max-log-bytes", "8388608"];
    let mut server = Server::start(&options);
    let mut client = server.connect();
    // They stand in the oldest segment and stay.
    for job in 0..LONG {
        submit(&mut client, &[format!("long\0long {job}\0").as_bytes(), &[b'x'; 20_000]].concat());
    }
    let oldest = std::path::Path::new(&dir).join("segment-0000000001");
    let mut file = std::fs::File::options().read(true).write(true).open(&oldest).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(100_000)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(100_000)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
    file.sync_all().unwrap();
    drop(file);

    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"short")).unwrap();
    let big = [b'y'; 50_000];
    for job in 0..600 {
        submit(&mut client, &[format!("short\0{job}\0").as_bytes(), &big[..]].concat());
        assert!(work(&mut worker));
    }
    wait_until("it is put right", || server.counter("store_repairs") == 1);
    assert_eq!(server.counter("store_jobs_lost"), 0);
    assert!(!oldest.exists(), "its file is moved aside");
    let aside = std::path::Path::new(&dir).join("damaged-0000000001");
    assert!(aside.exists());
    server.signal(Signal::KILL);
    server.wait();
    assert!(server.log().lines().any(|line| line.contains("ALERT") && line.contains("segment-0000000001")));

    let server = Server::start(&options);
    let status = ask(&mut server.connect(), "status\n");
    assert!(status.lines().any(|line| line.starts_with(&format!("long\t{LONG}\t"))), "{status}");
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"long")).unwrap();
    let mut uniques = Vec::new();
    loop {
        worker.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
        let (answer, data) = read_packet(&mut worker);
        if answer == NO_JOB {
            break;
        }
        let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
        assert_eq!(parts[3], [b'x'; 20_000]);
        uniques.push(String::from_utf8(parts[2].to_vec()).unwrap());
    }
    let expected: Vec<String> = (0..LONG).map(|job| format!("long {job}")).collect();
    assert_eq!(uniques, expected, "in the order in which they were accepted");
}
