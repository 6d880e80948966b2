//! Peers that do not read.
use crate::bystander::Bystander;
use crate::support::server::*;
use crate::*;
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// What may wait for one peer, in the options and in bytes.
const UNREAD: &str = "4000000";

/// Ten peers may each have what is unread, twice, for buffers grow in steps; the rest is the server itself.
const MEMORY: u64 = 150 << 20;

/// Clients ask and ask and never read: each is disconnected when it has had its share, is counted, and told.
#[test]
fn clients_that_never_read() {
    const COUNT: usize = 10;
    let server = Server::start(&["--threads", "2", "--verbose", "WARNING", "--max-unread-bytes", UNREAD]);
    let bystander = Bystander::start(&server);
    let start = Instant::now();
    let packet = request(ECHO_REQ, &[7; 100_000]);
    let mut peers: Vec<_> = (0..COUNT).map(|_| (server.connect(), 0)).collect();
    peers.iter().for_each(|(peer, _)| peer.set_nonblocking(true).unwrap());
    wait_until("all of them are disconnected", || {
        peers.retain_mut(|(peer, written)| {
            loop {
                match peer.write(&packet[*written..]) {
                    Ok(count) => *written = (*written + count) % packet.len(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
            }
        });
        peers.is_empty()
    });
    bystander.finish();
    assert_eq!(server.counter("sessions_slow_reader"), COUNT as u64);
    told(&server, "does not read", start);
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
}

/// A client submits, its worker works, and the client never reads its results: the worker notices nothing.
#[test]
fn a_client_that_never_reads_its_results() {
    let server = Server::start(&["--threads", "2", "--verbose", "WARNING", "--max-unread-bytes", UNREAD]);
    let bystander = Bystander::start(&server);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"much")).unwrap();
    echo(&mut worker, b"knows");
    let mut client = server.connect();
    client.write_all(&request(SUBMIT_JOB, b"much\0\0x")).unwrap();
    let assigned = loop {
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        match read_packet(&mut worker) {
            (JOB_ASSIGN, data) => break data,
            (packet, _) => assert_eq!(packet, NO_JOB),
        }
    };
    let handle = assigned.split(|&byte| byte == 0).next().unwrap();
    let data = [handle, b"\0", &[7; 100_000]].concat();
    for _ in 0..400 {
        worker.write_all(&request(WORK_DATA, &data)).unwrap();
    }
    worker.write_all(&request(WORK_COMPLETE, &[handle, b"\0done"].concat())).unwrap();
    echo(&mut worker, b"still here");
    assert_eq!(server.counter("sessions_slow_reader"), 1);
    bystander.finish();
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
    // It is told by the end of its connection: what it reads is not all, and then nothing.
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(read_to_end(&mut client).len() < 400 * 100_000);
}
