//! A client and a worker that keep to the rules and go on working while others do not: every job has its answer, and it is
//! the right one.
use crate::support::server::{Server, read_packet, request, wait_until};
use crate::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// No script has a function of this name.
const FUNCTION: &str = "bystander-4c1f";

/// Jobs that must have been answered after something for it to count as served.
const SERVED: u64 = 20;

/// The pair at work.
pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    /// The longest that a job took, in microseconds.
    worst: Arc<AtomicU64>,
    client: JoinHandle<()>,
    worker: JoinHandle<()>,
}

impl Bystander {
    /// Begins to work. Returns when the first job is done.
    pub(crate) fn start(server: &Server) -> Bystander {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let worst = Arc::new(AtomicU64::new(0));
        let (client, worker) = (server.connect(), server.connect());
        let worker = thread::spawn(move || work(worker));
        let client = {
            let (stop, done, worst) = (stop.clone(), done.clone(), worst.clone());
            thread::spawn(move || submit(client, &stop, &done, &worst))
        };
        let bystander = Bystander { stop, done, worst, client, worker };
        bystander.is_served();
        bystander
    }

    /// Waits until some more jobs have been answered: others are served now.
    #[track_caller]
    pub(crate) fn is_served(&self) {
        let before = self.done.load(Ordering::Relaxed);
        wait_until("bystanders are served", || {
            assert!(!self.client.is_finished() && !self.worker.is_finished(), "a bystander gave up");
            self.done.load(Ordering::Relaxed) >= before + SERVED
        });
    }

    /// The longest that a job took so far, once some more have been answered.
    #[track_caller]
    pub(crate) fn worst(&self) -> Duration {
        self.is_served();
        Duration::from_micros(self.worst.load(Ordering::Relaxed))
    }

    /// Ends, and says how many jobs were answered.
    #[track_caller]
    pub(crate) fn finish(self) -> u64 {
        self.is_served();
        self.stop.store(true, Ordering::Relaxed);
        self.client.join().expect("every job of the bystander had its answer");
        self.worker.join().expect("the bystander worked to the end");
        self.done.load(Ordering::Relaxed)
    }
}

/// Submits jobs one by one. The last one, which is empty, ends the worker.
fn submit(mut stream: TcpStream, stop: &AtomicBool, done: &AtomicU64, worst: &AtomicU64) {
    for number in 1_u64.. {
        let last = stop.load(Ordering::Relaxed);
        let workload = if last { String::new() } else { format!("workload {number}") };
        let begin = Instant::now();
        let mut data = format!("{FUNCTION}\0\0").into_bytes();
        data.extend(workload.bytes());
        stream.write_all(&request(SUBMIT_JOB, &data)).unwrap();
        let (packet, handle) = read_packet(&mut stream);
        assert_eq!(packet, JOB_CREATED, "{:?}", String::from_utf8_lossy(&handle));
        let answer: Vec<u8> = [&handle[..], b"\0", &reversed(workload.as_bytes())].concat();
        assert_eq!(read_packet(&mut stream), (WORK_COMPLETE, answer));
        worst.fetch_max(begin.elapsed().as_micros() as u64, Ordering::Relaxed);
        done.fetch_add(1, Ordering::Relaxed);
        if last {
            return;
        }
    }
}

/// Works, asleep in between, until an empty job.
fn work(mut stream: TcpStream) {
    stream.write_all(&request(CAN_DO, FUNCTION.as_bytes())).unwrap();
    loop {
        stream.write_all(&request(GRAB_JOB, b"")).unwrap();
        let (mut packet, data) = read_packet(&mut stream);
        while packet == NOOP {
            packet = read_packet(&mut stream).0;
        }
        if packet == NO_JOB {
            stream.write_all(&request(PRE_SLEEP, b"")).unwrap();
            assert_eq!(read_packet(&mut stream).0, NOOP);
            continue;
        }
        assert_eq!(packet, JOB_ASSIGN);
        let mut parts = data.splitn(3, |&byte| byte == 0);
        let (handle, function, workload) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(function, FUNCTION.as_bytes());
        let result = [handle, b"\0", &reversed(workload)].concat();
        stream.write_all(&request(WORK_COMPLETE, &result)).unwrap();
        if workload.is_empty() {
            return;
        }
    }
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}
