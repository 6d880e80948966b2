//! Many connections, and too few descriptors for them.
use crate::bystander::Bystander;
use crate::support::server::*;
use crate::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// What the server may take in all with ten thousand connections that say nothing: 100 MiB, 10 KiB for each.
const IDLE_MEMORY: u64 = 100 << 20;

/// The same with a thousand connections in the middle of a packet.
const DRIBBLE_MEMORY: u64 = 80 << 20;

/// Connections that close without leaving anything behind in the kernel.
fn crowd(server: &Server, count: usize) -> Vec<TcpStream> {
    let connect = || {
        let stream = server.connect();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        stream
    };
    (0..count).map(|_| connect()).collect()
}

/// Each sends a byte of a packet at a time, and half of them announce far more than they will ever send.
#[test]
fn a_thousand_connections_that_dribble() {
    const COUNT: usize = 1000;
    need_descriptors(COUNT as u64 + 200);
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    let mut crowd = crowd(&server, COUNT);
    let mut small = request(ECHO_REQ, b"dribble");
    let mut large = request(ECHO_REQ, b"dribble");
    large[8..12].copy_from_slice(&(100_u32 << 20).to_be_bytes());
    // All but the last byte, a round over all connections for each.
    let last = small.pop().unwrap();
    large.pop();
    for at in 0..small.len() {
        for (number, stream) in crowd.iter_mut().enumerate() {
            let bytes = if number % 2 == 0 { &small } else { &large };
            stream.write_all(&bytes[at..=at]).unwrap();
        }
        bystander.is_served();
    }
    // None was forgotten: the packets become whole and are answered.
    for stream in crowd.iter_mut().step_by(2) {
        stream.write_all(&[last]).unwrap();
        assert_eq!(read_packet(stream), (17, b"dribble".to_vec()));
    }
    // The bystander's two, and the one that asks.
    assert_eq!(server.counter("sessions"), COUNT as u64 + 3);
    bystander.finish();
    assert!(server.memory_peak() < DRIBBLE_MEMORY, "{} bytes", server.memory_peak());
    drop(crowd);
    wait_until("the crowd has left", || server.counter("sessions") == 1);
}

/// By a tunnel they are fewer: its threads would be more than many a machine has room for.
#[test]
fn ten_thousand_idle_connections() {
    let count = if is_tunneled() { 2_000 } else { 10_000 };
    // The server raises its own limit as far as it may; it inherits how far that is.
    need_descriptors(count + 1000);
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    let mut crowd = crowd(&server, count as usize);
    wait_until("all are in", || server.counter("sessions") == count + 3);
    bystander.is_served();
    // Any of them can begin at any time.
    for stream in crowd.iter_mut().step_by(97) {
        echo(stream, b"awake");
    }
    bystander.is_served();
    assert_eq!((server.counter("connections_refused"), server.counter("accept_out_of_descriptors")), (0, 0));
    assert!(server.memory_peak() < IDLE_MEMORY, "{} bytes", server.memory_peak());
    drop(crowd);
    wait_until("the crowd has left", || server.counter("sessions") == 3);
    bystander.finish();
}

/// A server that may have 64 descriptors goes on with those that it has, says so once, and does not spin.
#[test]
fn sixty_four_descriptors() {
    let server = Server::start_by(&["prlimit", "--nofile=64"], &["--threads", "1"]);
    let start = Instant::now();
    let bystander = Bystander::start(&server);
    let mut inside = server.connect();
    echo(&mut inside, b"inside");
    let crowd = crowd(&server, 200);
    wait_until("descriptors run out", || counter(&mut inside, "accept_out_of_descriptors") > 0);
    // Handshakes of those who are in may take a little longer.
    let mut sessions = 0;
    wait_until("nobody is half in", || {
        bystander.is_served();
        thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut sessions, counter(&mut inside, "sessions")) == sessions
    });
    // Whoever is inside is served; the others wait outside, and nobody is half in.
    let served = crowd.iter().filter(|stream| answers(stream)).count();
    let sessions = counter(&mut inside, "sessions") as usize;
    assert!(served < 64 && sessions == served + 3, "{served} served, {sessions} sessions");
    bystander.finish();
    let before = server.cpu_time();
    // What is measured is a stretch of time.
    thread::sleep(Duration::from_millis(600));
    let used = server.cpu_time() - before;
    assert!(used < Duration::from_millis(200), "used {used:?}");
    // Each time that they run out anew, but not each time that it tries.
    told(&server, "cannot accept connections", start);
    // Room again for those who wait.
    drop(crowd);
    echo(&mut server.connect(), b"at last");
}

/// Whether somebody answers there now, or soon.
fn answers(mut stream: &TcpStream) -> bool {
    stream.write_all(&request(ECHO_REQ, b"x")).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    match stream.read(&mut [0; 13]) {
        Ok(length) => length == 13,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

/// Four connections submit as fast as they can, as small jobs as there are. Whoever asks for little meanwhile is answered:
/// each gets its ration of a round, and what it sent beyond waits behind others. The time is generous; without rations it
/// was ten times as long.
#[test]
fn a_flood_of_submissions_delays_nobody() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const MOST: Duration = Duration::from_millis(500);
    for threads in ["1", "2"] {
        let server = Server::start(&["--threads", threads, "--max-queued-bytes", "50000000"]);
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let floods: Vec<_> = (0..4)
            .map(|number| {
                let (mut stream, stop) = (server.connect(), stop.clone());
                let answers = stream.try_clone().unwrap();
                thread::spawn(move || std::io::copy(&mut &answers, &mut std::io::sink()).ok());
                let submits = request(SUBMIT_JOB_BG, format!("flood{number}\0\0x").as_bytes()).repeat(2000);
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        stream.write_all(&submits).unwrap();
                    }
                    stream.shutdown(std::net::Shutdown::Both).unwrap();
                })
            })
            .collect();
        let mut other = server.connect();
        wait_until("there is a flood", || counter(&mut other, "jobs_accepted") > 50_000);
        let mut waits: Vec<_> = (0..100)
            .map(|_| {
                let since = Instant::now();
                echo(&mut other, b"meanwhile");
                since.elapsed()
            })
            .collect();
        waits.sort();
        stop.store(true, Ordering::Relaxed);
        floods.into_iter().for_each(|flood| flood.join().unwrap());
        assert!(waits[90] < MOST, "{waits:?}");
    }
}
