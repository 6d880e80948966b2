//! Peers that are gone without a word: a worker in a network of its own whose link goes down. And peers that are not gone,
//! but do not read for a while. With TLS the far worker speaks it by openssl, for no tunnel reaches into that network.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::apart::Apart;
use support::packets::*;
use support::server::*;

/// A worker far away, ended with its handle.
struct Far(Child);

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The options by which a server speaks TLS, if it is to.
fn tls() -> Vec<&'static str> {
    #[cfg(feature = "tls")]
    if support::tunnel::is_wanted() {
        return support::tunnel::options().iter().map(String::as_str).collect();
    }
    Vec::new()
}

/// A server with two networks: one with the test in it, one with what is far away.
fn two_networks() -> Apart {
    let options = ["-t", "2", "-L", "10.77.0.1", "--verbose", "WARNING"];
    let keepalive = ["--keepalive-idle", "1", "--keepalive-interval", "1", "--keepalive-count", "2"];
    Apart::start("", &[], &[&options[..], &keepalive, &tls()].concat())
}

impl Apart {
    /// A worker far away that sends these packets and stays.
    fn far(&self, packets: &[Vec<u8>]) -> Far {
        let address = format!("10.77.0.1:{}", self.server.listening().port());
        // What they are given they pass on, and they stay as long as they may be given more.
        let words: &[&str] = match tls().is_empty() {
            true => &["bash", "-c", "exec 3<>/dev/tcp/${0/://}; exec cat >&3", &address],
            false => &["openssl", "s_client", "-quiet", "-connect", &address],
        };
        let away = [&["nsenter", "--net=/run/netns/away"], words].concat();
        let mut far = self.inside(&away).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        far.stdin.as_mut().unwrap().write_all(&packets.concat()).unwrap();
        Far(far)
    }

    fn connect(&self) -> UnixStream {
        Server::connect_by(&self.socket)
    }

    fn submit(&self, unique: &str) {
        let mut client = self.connect();
        client.write_all(&request(SUBMIT_JOB_BG, &[b"f", unique.as_bytes(), b"x"].join(&0))).unwrap();
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    }

    /// Waits until `status` says so of the function.
    #[track_caller]
    fn wait_for_status(&self, status: &str) {
        let mut admin = self.connect();
        wait_until(status, || ask(&mut admin, "status\n") == format!("f\t{status}\n.\n"));
    }

    /// Grabs a job: its unique.
    fn grab(&self, worker: &mut UnixStream) -> Option<Vec<u8>> {
        worker.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
        match read_packet(worker) {
            (JOB_ASSIGN_UNIQ, data) => Some(data.split(|&byte| byte == 0).nth(2).unwrap().to_vec()),
            _ => None,
        }
    }
}

#[test]
fn the_job_of_a_worker_that_is_gone_goes_to_another() {
    let apart = two_networks();
    apart.submit("only");
    let _far = apart.far(&[request(CAN_DO, b"f"), request(GRAB_JOB, b"")]);
    apart.wait_for_status("1\t1\t1");
    let mut other = apart.connect();
    other.write_all(&request(CAN_DO, b"f")).unwrap();
    other.write_all(&request(PRE_SLEEP, b"")).unwrap();
    apart.wait_for_status("1\t1\t2");
    apart.link("down");
    assert_eq!(read_packet(&mut other), (NOOP, Vec::new()));
    assert_eq!(apart.grab(&mut other).as_deref(), Some(&b"only"[..]));
    apart.wait_for_status("1\t1\t1");
}

/// The kernel's probes rest while something that was sent is not acknowledged.
#[test]
fn a_worker_that_owes_an_acknowledgement_is_noticed_too() {
    let apart = two_networks();
    apart.submit("first");
    let _far = apart.far(&[request(CAN_DO, b"f"), request(GRAB_JOB, b""), request(PRE_SLEEP, b"")]);
    apart.wait_for_status("1\t1\t1");
    apart.link("down");
    // It is woken, as far as the server knows.
    apart.submit("second");
    assert!(counter(&mut apart.connect(), "wakeups") >= 1);
    let mut other = apart.connect();
    other.write_all(&request(CAN_DO, b"f")).unwrap();
    assert_eq!(apart.grab(&mut other).as_deref(), Some(&b"second"[..]));
    other.write_all(&request(PRE_SLEEP, b"")).unwrap();
    assert_eq!(read_packet(&mut other), (NOOP, Vec::new()));
    assert_eq!(apart.grab(&mut other).as_deref(), Some(&b"first"[..]));
    let said = || apart.server.log().contains("closing connection of 10.77.0.2:");
    wait_until("it is said", said);
}

/// What the kernel will do is asked of it instead of waited for.
#[test]
fn connections_are_probed_by_default() {
    let server = Server::start(&["-t", "2"]);
    let mut peers = [server.connect(), server.connect()];
    peers.iter_mut().for_each(|peer| echo(peer, b""));
    let port = format!(":{:04X}", server.listening().port());
    wait_until("everything is acknowledged, and the next timer is that of probes", || {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
        let timers: Vec<(u32, u64)> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields[1].ends_with(&port) && fields[3] == "01")
            .map(|fields| {
                let (timer, when) = fields[5].split_once(':').unwrap();
                (timer.parse().unwrap(), u64::from_str_radix(when, 16).unwrap())
            })
            .collect();
        // Timer 2, due in hundredths of a second.
        timers.len() == 2 && timers.iter().all(|&(timer, when)| timer == 2 && (2_000..=3_000).contains(&when))
    });
}

/// Twice as long as a peer may be silent, nothing is read; its system says all the while that it has no room.
#[test]
fn who_does_not_read_for_a_while_is_not_gone() {
    let keepalive = ["--keepalive-idle", "1", "--keepalive-interval", "1", "--keepalive-count", "1"];
    let server = Server::start(&[&["-t", "1"][..], &keepalive].concat());
    let mut peer = server.connect();
    let load = vec![7; 20 << 20];
    peer.write_all(&request(ECHO_REQ, &load)).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let (_, echoed) = read_packet(&mut peer);
    assert!(echoed == load, "{} bytes came", echoed.len());
}
