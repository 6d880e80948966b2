//! What peers have a server keep is counted: it is filled in one way after the other, and what it says of itself is compared
//! with what the system says. And what the limit on connections does.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use support::packets::*;
use support::server::*;

const MASS_DO: u32 = 101;

/// The memory that is resident now, in bytes.
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What the allocator keeps for itself, and what comes and goes.
const SLACK: u64 = 4 << 20;

/// Fills a server, and compares how much it has grown with how much it says that it has.
#[track_caller]
fn fill<T>(what: &str, options: &[&str], fill: impl FnOnce(&Server) -> T) -> u64 {
    let server = Server::start(&[&["--threads", "1", "--settle", "0"], options].concat());
    echo(&mut server.connect(), b"it serves");
    let (before, counted_before) = (resident(&server), server.counter("memory_accounted"));
    let kept = fill(&server);
    let start = std::time::Instant::now();
    loop {
        let grown = resident(&server).saturating_sub(before);
        let counted = server.counter("memory_accounted").saturating_sub(counted_before);
        let near = grown.abs_diff(counted) <= grown.max(counted) / 4 + SLACK;
        if near || start.elapsed() > PATIENCE / 4 {
            println!("{what}: {grown} bytes more, {counted} of them counted");
            assert!(near, "{what}");
            drop(kept);
            return counted;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Sends so many requests, some at a time, and reads as many answers of 12 bytes and more.
fn many(peer: &mut TcpStream, count: usize, answered: bool, make: impl Fn(usize) -> Vec<u8>) {
    for from in (0..count).step_by(500) {
        let some = from..count.min(from + 500);
        let packets: Vec<u8> = some.clone().flat_map(&make).collect();
        peer.write_all(&packets).unwrap();
        if answered {
            some.for_each(|_| assert_eq!(read_packet(peer).0, JOB_CREATED));
        }
    }
    echo(peer, b"all were taken");
}

#[test]
fn jobs() {
    let counted = fill("jobs", &[], |server| {
        let mut peer = server.connect();
        many(&mut peer, 200_000, true, |n| request(SUBMIT_JOB_BG, format!("f\0u{n}\0{:030}", n).as_bytes()));
    });
    assert!(counted > 20 << 20);
}

#[test]
fn small_jobs_without_anything() {
    fill("bare jobs", &[], |server| {
        let mut peer = server.connect();
        many(&mut peer, 200_000, true, |_| request(SUBMIT_JOB_BG, b"f\0\0"));
    });
}

#[test]
fn jobs_that_wait_for_their_time() {
    let counted = fill("epoch jobs", &[], |server| {
        let mut peer = server.connect();
        many(&mut peer, 150_000, true, |n| {
            request(SUBMIT_JOB_EPOCH, format!("f\0\0{}\0", 9_000_000_000_u64 + n as u64).as_bytes())
        });
    });
    assert!(counted > 20 << 20);
}

#[test]
fn clients_that_wait_for_one_job() {
    let counted = fill("attachments", &[], |server| {
        let mut peer = server.connect();
        many(&mut peer, 500_000, true, |_| request(SUBMIT_JOB, b"f\0same\0x"));
        peer
    });
    assert!(counted > 5 << 20);
}

#[test]
fn packets_that_are_not_whole() {
    let counted = fill("unfinished packets", &[], |server| {
        let peers: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
        for mut peer in &peers {
            let packet = request(ECHO_REQ, &vec![7; 30 << 20]);
            peer.write_all(&packet[..20 << 20]).unwrap();
        }
        wait_until("they are read", || server.counter("connections_bytes") >= 70 << 20);
        peers
    });
    assert!(counted >= 70 << 20);
}

#[test]
fn replies_that_are_not_read() {
    let counted = fill("unread replies", &[], |server| {
        let peers: Vec<TcpStream> = (0..5).map(|_| server.connect()).collect();
        for mut peer in &peers {
            (0..20).for_each(|_| peer.write_all(&request(ECHO_REQ, &vec![7; 1 << 20])).unwrap());
        }
        wait_until("they wait", || server.counter("connections_bytes") >= 60 << 20);
        peers
    });
    assert!(counted >= 60 << 20);
}

/// `count` names, from this one on.
fn names(from: usize, count: usize, width: usize) -> Vec<u8> {
    (from..from + count).flat_map(|n| format!("{n:0width$}\0").into_bytes()).collect()
}

#[test]
fn what_workers_register() {
    let counted = fill("registrations", &[], |server| {
        let peers: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
        for mut peer in &peers {
            peer.write_all(&request(MASS_DO, &names(0, 20_000, 12))).unwrap();
            echo(&mut peer, b"done");
        }
        peers
    });
    assert!(counted > 20 << 20);
}

#[test]
fn functions_with_long_names() {
    let counted = fill("functions", &[], |server| {
        let mut peer = server.connect();
        for from in (0..8000).step_by(1000) {
            let packets: Vec<u8> =
                (from..from + 1000).flat_map(|n| request(CAN_DO, format!("{n:08000}").as_bytes())).collect();
            peer.write_all(&packets).unwrap();
        }
        echo(&mut peer, b"done");
        peer
    });
    assert!(counted > 60 << 20);
}

#[test]
fn workers_that_only_sleep_take_nothing() {
    let counted = fill("PRE_SLEEP", &[], |server| {
        let mut peer = server.connect();
        peer.write_all(&request(CAN_DO, b"f")).unwrap();
        let packets = request(PRE_SLEEP, b"").repeat(10_000);
        (0..50).for_each(|_| peer.write_all(&packets).unwrap());
        echo(&mut peer, b"done");
        peer
    });
    assert!(counted < 1 << 20);
}

#[test]
fn connections_that_hold_too_much_are_left_unread_and_closed() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--threads", threads, "--max-connection-bytes", "80000000"]);
        let mut other = server.connect();
        echo(&mut other, b"before");
        let peers: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
        let packet = request(ECHO_REQ, &vec![7; 60 << 20]);
        for peer in &peers {
            peer.set_nonblocking(true).unwrap();
        }
        let mut sent = vec![0; peers.len()];
        wait_until("some are closed", || {
            for (mut peer, sent) in peers.iter().zip(&mut sent) {
                if let Ok(count) = peer.write(&packet[*sent..(*sent + 500_000).min(30 << 20)]) {
                    *sent += count;
                }
            }
            echo(&mut other, b"meanwhile");
            counter(&mut other, "debtors_closed") > 0
        });
        assert!(counter(&mut other, "debtors_unread") > 0);
        assert!(server.memory_peak() < 250 << 20, "{} bytes", server.memory_peak());
        drop(peers);
        wait_until("they are gone", || counter(&mut other, "connections_bytes") < 1 << 20);
        // Whoever comes now is served.
        let mut late = server.connect();
        echo(&mut late, &vec![7; 10 << 20]);
    }
}

#[test]
fn a_crowd_of_honest_large_packets_gets_through() {
    // Together they are more than the limit; one after the other they fit.
    let server = Server::start(&["--threads", "1", "--max-connection-bytes", "60000000"]);
    let senders: Vec<_> = (0..6)
        .map(|_| {
            let mut peer = server.connect();
            std::thread::spawn(move || {
                let packet = request(ECHO_REQ, &vec![7; 12 << 20]);
                let mut answer = vec![0; packet.len()];
                let mut reader = peer.try_clone().unwrap();
                let read = std::thread::spawn(move || reader.read_exact(&mut answer).is_ok());
                peer.write_all(&packet).is_ok() & read.join().unwrap()
            })
        })
        .collect();
    let served = senders.into_iter().filter_map(|sender| sender.join().ok()).filter(|&served| served).count();
    assert!(served >= 2, "{served} of 6");
}
