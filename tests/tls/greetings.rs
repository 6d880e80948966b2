//! Handshakes that do not end, and what is none: bounds in time, number and memory, and that those who are inside do not wait for them.
use super::{Secured, plain};
use crate::support::authority::Wanted;
use crate::support::server::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A handshake that is begun: its first bytes, which the server answers.
fn hello(secured: &Secured) -> Vec<u8> {
    let mut client = secured.authority.speak(secured.server.connect(), None);
    let mut bytes = Vec::new();
    client.conn.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_plain_client_is_closed_at_once_and_named() {
    let secured = Secured::start(&["-t", "1", "--max-log-repeats=3"]);
    for _ in 0..10 {
        let mut client = plain(secured.server.address());
        let address = client.local_addr().unwrap();
        client.write_all(&request(16, b"x")).unwrap();
        assert_eq!(read_to_end(&mut client), b"");
        if secured.server.log().matches("it does not speak TLS").count() < 3 {
            secured.await_line(&format!(
                "closing connection of {address}: it does not speak TLS, which this port wants"
            ));
        }
    }
    assert!(secured.server.log().matches("it does not speak TLS").count() <= 3, "{}", secured.server.log());
    assert_eq!(counter(&mut secured.connect(), "handshakes_failed"), 10);
}

#[test]
fn a_client_with_tls_at_a_plain_port_is_closed_at_once_and_named() {
    let server = Server::start(&[
        "-t",
        "1",
        "--ssl-port=0",
        "--ssl-certificate=src/tls/testing/server.pem",
        "--ssl-key=src/tls/testing/server.key",
        "--verbose=WARNING",
    ]);
    let authority = crate::support::authority::Authority::new();
    let socket = plain(server.address());
    let address = socket.local_addr().unwrap();
    let mut client = authority.speak(socket, None);
    assert!(client.write_all(b"version\n").is_err());
    let line = format!("closing connection of {address}: the peer speaks TLS, which this port does not");
    wait_until("a line says so", || server.log().contains(&line));
}

#[test]
fn a_thousand_handshakes_that_do_not_go_on_keep_nobody_waiting() {
    let secured = Secured::start(&["-t", "1"]);
    let hello = hello(&secured);
    let mut inside = secured.connect();
    let memory = |name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", secured.server.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    let before = memory("VmRSS");
    let mut strangers = Vec::new();
    let (mut longest, mut total, mut asked) = (Duration::ZERO, Duration::ZERO, 0_u32);
    for number in 0..1000 {
        let mut stranger = TcpStream::connect(secured.server.address()).unwrap();
        // A third says nothing, a third half of its greeting, a third all of it.
        let said = [0, hello.len() / 2, hello.len()][number % 3];
        stranger.write_all(&hello[..said]).unwrap();
        strangers.push(stranger);
        if number % 10 == 0 {
            let begun = Instant::now();
            echo(&mut inside, b"served");
            longest = longest.max(begun.elapsed());
            (total, asked) = (total + begun.elapsed(), asked + 1);
        }
    }
    // A generous bound on the mean: machines that run tests are busy with others.
    assert!(
        total / asked < Duration::from_millis(10),
        "{:?} on average, {longest:?} at the most",
        total / asked
    );
    let cost = memory("VmRSS").saturating_sub(before) / 1000;
    assert!(cost < 24 << 10, "{cost} bytes for each");
    // Who comes now is let in as well.
    secured.connect();
    drop(strangers);
}

/// Full handshakes without end, and somebody inside who asks: the server's own time until it answers, which other processes of the
/// machine do not lengthen, against what a handshake costs.
#[test]
fn a_flood_of_handshakes_keeps_nobody_waiting() {
    const FLOOD: usize = 12;
    let authority = crate::support::authority::Authority::new();
    let bits: [&[&str]; 2] =
        [crate::support::authority::RSA, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]];
    let mut authority = Some(authority);
    for (number, key) in bits.into_iter().enumerate() {
        let own = authority.take().unwrap();
        let identity = own.issue(&format!("rsa{number}"), &Wanted { key, ..Wanted::default() });
        let secured = Secured::with(own, identity, &["-t", "1"]);
        let config = secured.authority.client_config(None);
        let address = secured.server.address();
        let shake = move || {
            let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
            let mut client = rustls::ClientConnection::new(config.clone(), name).unwrap();
            let mut socket = plain(address);
            while client.is_handshaking() {
                client.complete_io(&mut socket).unwrap();
            }
        };
        let mut inside = secured.connect();
        let before = secured.server.cpu_time();
        (0..40).for_each(|_| shake());
        let each = (secured.server.cpu_time() - before) / 40;
        let stop = std::sync::atomic::AtomicBool::new(false);
        let asked = 200;
        let shaken = std::sync::atomic::AtomicU32::new(0);
        let (took, shaken) = std::thread::scope(|scope| {
            for _ in 0..FLOOD {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        shake();
                        shaken.fetch_add(1, Relaxed);
                    }
                });
            }
            wait_until("the flood", || shaken.load(Relaxed) > 20);
            let (before, first) = (secured.server.cpu_time(), shaken.load(Relaxed));
            (0..asked).for_each(|_| echo(&mut inside, b"served"));
            let done = (secured.server.cpu_time() - before, shaken.load(Relaxed) - first);
            stop.store(true, Relaxed);
            done
        });
        println!("a handshake costs {each:?}, an answer among {shaken} of them {:?}", took / asked);
        assert!(took / asked < 2 * each + Duration::from_millis(2), "{:?}, {each:?} each", took / asked);
        authority = Some(secured.authority);
    }
}

#[test]
fn there_are_places_for_so_many_and_others_wait_for_theirs() {
    let secured = Secured::start(&["-t", "1"]);
    // More than there are places, and silent: after a second those who have one lose it.
    let strangers: Vec<TcpStream> =
        (0..1100).map(|_| TcpStream::connect(secured.server.address()).unwrap()).collect();
    secured.connect();
    secured.await_line("its TLS handshake was not over after 1 s");
    drop(strangers);
}

#[test]
fn a_handshake_has_ten_seconds() {
    let secured = Secured::start(&["-t", "1"]);
    let mut silent = plain(secured.server.address());
    let begun = Instant::now();
    let mut talks = plain(secured.server.address());
    let hello = hello(&secured);
    // It says a little again and again: that gives it no more time.
    for byte in &hello[..20] {
        talks.write_all(&[*byte]).unwrap();
        let mut none = [0; 1];
        talks.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
        if matches!(talks.read(&mut none), Ok(0)) || begun.elapsed() > Duration::from_secs(12) {
            break;
        }
    }
    assert_eq!(read_to_end(&mut silent), b"");
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    secured.await_line("its TLS handshake was not over after 10 s");
    secured.connect();
}

#[test]
fn who_leaves_in_a_handshake_leaves_nothing_behind() {
    let secured = Secured::start(&["-t", "2"]);
    let hello = hello(&secured);
    for number in 0..300 {
        let mut stranger = TcpStream::connect(secured.server.address()).unwrap();
        stranger.write_all(&hello[..hello.len() * (number % 4) / 3]).unwrap();
        if number % 2 == 0 {
            socket2::SockRef::from(&stranger).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", secured.server.pid())).unwrap().count();
    let mut inside = secured.connect();
    wait_until("their descriptors are closed", || descriptors() < 60);
    assert_eq!(counter(&mut inside, "sessions"), 1);
}
