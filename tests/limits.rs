//! What happens at the limits: of packets, of memory, of connections, of descriptors, of patience; and when the server
//! cannot start. Each time somebody else, who keeps within the limits, notices nothing.
#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;
use support::packets::*;
use support::server::*;

/// Everything is tested with one shard and with two.
fn with_servers(options: &[&str], test: impl Fn(&mut Server)) {
    for threads in ["1", "2"] {
        test(&mut Server::start(&[&["--threads", threads], options].concat()));
    }
}

#[test]
fn a_packet_may_be_as_large_as_the_limit() {
    with_servers(&["--max-packet-size", "100000"], |server| {
        let mut peer = server.connect();
        for size in [0, 1, 4083, 4084, 4085, 8180, 99_999, 100_000] {
            echo(&mut peer, &vec![7; size]);
        }
    });
}

#[test]
fn a_larger_packet_is_answered_and_ends_the_connection() {
    with_servers(&["--max-packet-size", "1000"], |server| {
        let mut other = server.connect();
        echo(&mut other, b"before");
        // The header alone, and a peer that sends all of it before it reads: nothing resets the answer away.
        for size in [0, 1 << 20] {
            let mut peer = server.connect();
            let packet = request(ECHO_REQ, &vec![7; 2 << 20]);
            let header_and_some = packet[..12 + size].to_vec();
            peer.write_all(&[request(ECHO_REQ, b"first"), header_and_some].concat()).unwrap();
            assert_eq!(read_packet(&mut peer), (17, b"first".to_vec()));
            let (number, data) = read_packet(&mut peer);
            assert_eq!(number, ERROR, "{data:?}");
            assert_eq!(read_to_end(&mut peer), b"");
        }
        assert_eq!(counter(&mut other, "packets_too_large"), 2);
        wait_until("the sessions are gone", || counter(&mut other, "sessions") == 1);
    });
}

#[test]
fn an_announced_length_costs_no_memory() {
    with_servers(&[], |server| {
        let mut header = request(ECHO_REQ, b"");
        header[8..].copy_from_slice(&(200_u32 << 20).to_be_bytes());
        let mut peers: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
        peers.iter_mut().for_each(|peer| peer.write_all(&header).unwrap());
        echo(&mut server.connect(), b"all were read");
        assert!(server.memory_peak() < 200 << 20, "{} bytes", server.memory_peak());
    });
}

#[test]
fn who_does_not_read_is_disconnected_and_others_notice_nothing() {
    with_servers(&["--max-unread-bytes", "1000000"], |server| {
        let mut other = server.connect();
        let mut slow = server.connect();
        slow.set_nonblocking(true).unwrap();
        let packet = request(ECHO_REQ, &[7; 100_000]);
        // It goes on writing and never reads, until the server ends it; in between others are served.
        let mut written = 0;
        wait_until("the slow reader is disconnected", || {
            echo(&mut other, b"meanwhile");
            loop {
                match slow.write(&packet[written..]) {
                    Ok(count) => written = (written + count) % packet.len(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                    Err(_) => return true,
                }
            }
        });
        assert_eq!(counter(&mut other, "sessions_slow_reader"), 1);
        let lines = server.log().lines().filter(|line| line.contains("does not read")).count();
        assert!(lines <= 1);
    });
}

#[test]
fn who_reads_slowly_gets_everything() {
    with_servers(&[], |server| {
        let mut peer = server.connect();
        let packet = request(ECHO_REQ, &vec![7; 1 << 20]);
        let sender = {
            let mut peer = peer.try_clone().unwrap();
            thread::spawn(move || (0..32).for_each(|_| peer.write_all(&packet).unwrap()))
        };
        for _ in 0..32 {
            let (number, data) = read_packet(&mut peer);
            assert!(number == 17 && data.len() == 1 << 20 && data.iter().all(|&byte| byte == 7));
        }
        sender.join().unwrap();
    });
}

#[test]
fn more_connections_than_allowed_are_closed_at_once() {
    with_servers(&["--max-connections", "3"], |server| {
        let mut inside: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        inside.iter_mut().for_each(|peer| echo(peer, b"inside"));
        for _ in 0..3 {
            assert_eq!(read_to_end(&mut server.connect()), b"");
        }
        assert_eq!(counter(&mut inside[0], "connections_refused"), 3);
        drop(inside.pop());
        wait_until("there is room again", || {
            let mut peer = server.connect();
            peer.write_all(&request(ECHO_REQ, b"x")).is_ok() && peer.read(&mut [0; 16]).is_ok_and(|n| n > 0)
        });
        inside.iter_mut().for_each(|peer| echo(peer, b"still inside"));
    });
}

#[test]
fn without_descriptors_the_server_waits_and_does_not_spin() {
    for threads in ["1", "2"] {
        let limit = ["prlimit", "--nofile=100"];
        let server = Server::start_by(&limit, &["--threads", threads]);
        let mut inside = server.connect();
        echo(&mut inside, b"inside");
        let mut crowd: Vec<TcpStream> = (0..120).map(|_| server.connect()).collect();
        wait_until("descriptors run out", || counter(&mut inside, "accept_out_of_descriptors") > 0);
        let before = server.cpu_time();
        // What is measured is a stretch of time.
        thread::sleep(Duration::from_millis(600));
        let used = server.cpu_time() - before;
        assert!(used < Duration::from_millis(200), "used {used:?}");
        echo(&mut inside, b"still inside");
        // Those who wait get in when others leave.
        let mut last = crowd.pop().unwrap();
        crowd.clear();
        echo(&mut last, b"at last");
    }
}

#[test]
fn strange_bytes_end_only_their_own_connection() {
    with_servers(&[], |server| {
        let mut other = server.connect();
        let mut unknown = request(ECHO_REQ, b"");
        unknown[7] = 77;
        let mut many = Vec::new();
        let mut state = 1_u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            many.push((state >> 24) as u8);
        }
        many.insert(0, 0);
        for bytes in
            [&b"\0REX\0\0\0\x10\0\0\0\0"[..], &unknown, &many, &[b'x'; 20_000], b"\0\0\0\0\0\0\0\0\0\0\0\0"]
        {
            let mut peer = server.connect();
            // The server may have closed it before all is written.
            let _ = peer.write_all(bytes);
            assert_eq!(read_to_end(&mut peer), b"");
            echo(&mut other, b"undisturbed");
        }
        // A packet that never becomes whole, in single bytes.
        let mut peer = server.connect();
        for byte in &request(ECHO_REQ, b"hello")[..16] {
            peer.write_all(&[*byte]).unwrap();
        }
        drop(peer);
        // Resets, before and in the middle of a packet.
        for bytes in [&b""[..], b"\0RE"] {
            let mut peer = server.connect();
            peer.write_all(bytes).unwrap();
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        }
        wait_until("all are gone", || counter(&mut other, "sessions") == 1);
        assert!(counter(&mut other, "sessions_malformed") >= 5);
    });
}

#[test]
fn who_stops_sending_still_gets_the_answers() {
    with_servers(&[], |server| {
        let mut peer = server.connect();
        let submit = request(SUBMIT_JOB_BG, b"f\0\0payload");
        peer.write_all(&submit.repeat(30)).unwrap();
        peer.write_all(b"version\n").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        for _ in 0..30 {
            assert_eq!(read_packet(&mut peer).0, JOB_CREATED);
        }
        assert!(read_to_end(&mut peer).starts_with(b"OK "));
    });
}

#[test]
fn replies_of_one_write_leave_in_one_piece() {
    with_servers(&[], |server| {
        let mut peer = server.connect();
        for _ in 0..20 {
            peer.write_all(b"status\nversion\n").unwrap();
            let mut buffer = [0; 4096];
            let length = peer.read(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]);
            assert!(text.starts_with(".\nOK ") && text.ends_with('\n'), "{text:?}");
        }
    });
}

#[test]
fn an_idle_server_sleeps() {
    with_servers(&[], |server| {
        let mut peers: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
        for peer in &mut peers {
            peer.write_all(&request(CAN_DO, b"f")).unwrap();
            echo(peer, b"here");
        }
        let mut last = server.sleeps();
        wait_until("the server comes to rest", || {
            thread::sleep(Duration::from_millis(100));
            std::mem::replace(&mut last, server.sleeps()) == last
        });
        let (sleeps, cpu) = (server.sleeps(), server.cpu_time());
        // What is measured is a stretch of time.
        thread::sleep(Duration::from_secs(1));
        assert_eq!((server.sleeps(), server.cpu_time()), (sleeps, cpu));
        peers.iter_mut().for_each(|peer| echo(peer, b"awake"));
    });
}

#[test]
fn a_taken_port_is_told_and_not_shared() {
    let first = Server::start(&["--threads", "2"]);
    let second = run_to_end(&[], first.address(), &["--threads", "2"]);
    assert_eq!(second.status.code(), Some(PORT_TAKEN));
    let message = format!("ringgear: cannot listen on {}: the port is in use", first.address());
    let printed = String::from_utf8(second.stderr).unwrap();
    assert!(printed.contains(&message), "{printed}");
    echo(&mut first.connect(), b"undisturbed");
}

#[test]
fn an_address_of_somebody_else_is_told() {
    // From the block for documentation: no machine has it.
    let server = run_to_end(&[], "192.0.2.1:4730".parse().unwrap(), &[]);
    assert_eq!(server.status.code(), Some(69));
    let printed = String::from_utf8(server.stderr).unwrap();
    assert!(printed.contains("ringgear: cannot listen on 192.0.2.1:4730"), "{printed}");
    assert!(printed.contains("--listen"), "{printed}");
}

#[test]
fn too_little_memory_to_lock_is_told() {
    let options = ["--threads", "1", "--sockets", "uring"];
    let server = run_to_end(&["prlimit", "--memlock=65536"], free_address(), &options);
    assert_eq!(server.status.code(), Some(71));
    let printed = String::from_utf8(server.stderr).unwrap();
    assert!(printed.contains("raise RLIMIT_MEMLOCK"), "{printed}");
}

#[test]
fn too_few_descriptors_to_start_are_told() {
    let server = run_to_end(&["prlimit", "--nofile=12"], free_address(), &["--threads", "4"]);
    assert_eq!(server.status.code(), Some(71));
    let printed = String::from_utf8(server.stderr).unwrap();
    assert!(printed.contains("raise RLIMIT_NOFILE"), "{printed}");
}

#[test]
fn a_client_that_leaves_before_its_answer_harms_nobody() {
    with_servers(&[], |server| {
        for _ in 0..50 {
            let mut peer = server.connect();
            peer.write_all(&request(ECHO_REQ, &[7; 100_000])).unwrap();
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        }
        echo(&mut server.connect(), b"alive");
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    });
}
