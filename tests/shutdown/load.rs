//! The end under load: whoever waits for the answer to a foreground job gets it, or a closed connection.
use super::*;
use crate::support::packets::*;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// Jobs of one client that wait for their end at any time.
const DEPTH: u64 = 4;

/// A packet, or `None` where the connection ends. Waiting in vain fails the test.
fn next_packet(stream: &mut TcpStream) -> Option<(u32, Vec<u8>)> {
    let mut header = [0; 12];
    read_or_end(stream, &mut header)?;
    assert_eq!(&header[..4], b"\0RES");
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut data = vec![0; number(8) as usize];
    read_or_end(stream, &mut data)?;
    Some((number(4), data))
}

fn read_or_end(stream: &mut TcpStream, bytes: &mut [u8]) -> Option<()> {
    match stream.read_exact(bytes) {
        Ok(()) => Some(()),
        Err(error) if is_end(error.kind()) => None,
        Err(error) => panic!("neither an answer nor an end: {error}"),
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    match stream.write_all(bytes) {
        Ok(()) => Some(()),
        Err(error) if is_end(error.kind()) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Works until the connection ends.
fn work(mut stream: TcpStream) -> Option<()> {
    write(&mut stream, &request(CAN_DO, b"f"))?;
    loop {
        write(&mut stream, &request(GRAB_JOB, b""))?;
        match next_packet(&mut stream)? {
            (JOB_ASSIGN, data) => {
                let handle = data.split(|&byte| byte == 0).next().unwrap();
                write(&mut stream, &request(WORK_COMPLETE, &[handle, b"\0result"].concat()))?;
            }
            (NO_JOB, _) => {
                write(&mut stream, &request(PRE_SLEEP, b""))?;
                assert_eq!(next_packet(&mut stream)?.0, NOOP);
            }
            (NOOP, _) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What a client has seen.
#[derive(Debug, Default)]
struct Seen {
    created: u64,
    completed: u64,
    /// Whether the server ended the connection.
    ended: bool,
}

/// Submits up to so many jobs, some at a time, until all are done or the connection ends. Counts what is done.
fn submit_many(mut stream: TcpStream, jobs: u64, done: &AtomicU64) -> Seen {
    let mut seen = Seen::default();
    let mut submitted = 0;
    let ended = (|| {
        while seen.completed < jobs {
            while submitted < jobs && submitted - seen.completed < DEPTH {
                write(&mut stream, &request(SUBMIT_JOB, b"f\0\0payload"))?;
                submitted += 1;
            }
            match next_packet(&mut stream)? {
                (JOB_CREATED, _) => seen.created += 1,
                (WORK_COMPLETE, _) => {
                    seen.completed += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                other => panic!("{other:?}"),
            }
        }
        Some(())
    })()
    .is_none();
    seen.ended = ended;
    seen
}

/// Connects, submits a job, and again, until there is no server any more.
fn come_and_go(address: SocketAddr, done: &AtomicU64) {
    while let Ok(stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        submit_many(stream, 1, done);
    }
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(run)
}

/// Moments that differ from run to run.
fn moments() -> impl Iterator<Item = u64> {
    use std::hash::{BuildHasher, RandomState};
    (0..4_u64).map(|round| RandomState::new().hash_one(round) % 1000)
}

#[test]
fn nobody_waits_for_a_server_that_was_stopped() {
    for moment in moments() {
        with_servers(|server| {
            let done = Arc::new(AtomicU64::new(0));
            let workers: Vec<_> =
                (0..4).map(|_| server.connect()).map(|stream| spawn(|| work(stream))).collect();
            let clients: Vec<_> = (0..8)
                .map(|_| (server.connect(), done.clone()))
                .map(|(stream, done)| spawn(move || submit_many(stream, u64::MAX, &done)))
                .collect();
            let address = server.address();
            let others: Vec<_> =
                (0..4).map(|_| done.clone()).map(|done| spawn(move || come_and_go(address, &done))).collect();
            wait_until("jobs are done", || done.load(Ordering::Relaxed) > moment);
            server.signal(Signal::TERM);
            assert!(server.wait().success());
            for client in clients {
                let seen = client.join().unwrap();
                assert!(seen.ended && seen.completed <= seen.created, "{seen:?}");
            }
            workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), None));
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}

/// One job keeps the server from ending until everybody else has had what they wanted: all of it.
#[test]
fn a_draining_server_leaves_no_job_behind() {
    const JOBS: u64 = 300;
    with_servers(|server| {
        let mut last = server.connect();
        last.write_all(&request(SUBMIT_JOB, b"g\0\0last")).unwrap();
        let (_, handle) = read_packet(&mut last);
        let mut worker = server.connect();
        worker.write_all(&request(CAN_DO, b"g")).unwrap();
        assert_eq!(grab(&mut worker), handle);

        let done = Arc::new(AtomicU64::new(0));
        let workers: Vec<_> = (0..4).map(|_| server.connect()).map(|stream| spawn(|| work(stream))).collect();
        let clients: Vec<_> = (0..8)
            .map(|_| (server.connect(), done.clone()))
            .map(|(stream, done)| spawn(move || submit_many(stream, JOBS, &done)))
            .collect();
        let address = server.address();
        let other = spawn({
            let done = done.clone();
            move || come_and_go(address, &done)
        });
        wait_until("jobs are done", || done.load(Ordering::Relaxed) > JOBS);
        server.signal(Signal::USR1);
        other.join().unwrap();
        for client in clients {
            let seen = client.join().unwrap();
            assert_eq!((seen.created, seen.completed, seen.ended), (JOBS, JOBS, false));
        }
        assert!(server.ended().is_none());
        complete(&mut worker, &handle);
        assert_eq!(read_packet(&mut last), (WORK_COMPLETE, [&handle[..], b"\0result"].concat()));
        assert!(server.wait().success());
        workers.into_iter().for_each(|worker| assert_eq!(worker.join().unwrap(), None));
    });
}

/// Answers for a peer that does not take them hold nothing up.
#[test]
fn a_peer_that_does_not_read_does_not_delay_the_end() {
    with_servers(|server| {
        let mut deaf = server.connect();
        let mut bytes = 0;
        deaf.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let echo = request(16, &[7; 60_000]);
        // The server reads on, up to its bound, while what it has to say waits.
        while bytes < 30 << 20 && deaf.write_all(&echo).is_ok() {
            bytes += echo.len();
        }
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    });
}
