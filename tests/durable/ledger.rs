//! Who submitted what, what was answered, what was run: kept outside of the server, so that it outlives it.
use super::support::server::wait_until;
use crate::support::packets::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Submissions of one client that wait for their answers.
pub(crate) const AHEAD: usize = 8;

/// What is known from outside.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Uniques that were sent.
    submitted: Mutex<BTreeSet<String>>,
    /// Those that were answered JOB_CREATED, and when.
    answered: Mutex<BTreeMap<String, Instant>>,
    /// How often each was given to a worker.
    runs: Mutex<BTreeMap<String, u32>>,
    /// When a worker last said WORK_COMPLETE about each.
    completed: Mutex<BTreeMap<String, Instant>>,
    altered: Mutex<Vec<String>>,
}

/// What came of it all.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) answered: usize,
    pub(crate) runs: u32,
    pub(crate) repeats: u32,
    pub(crate) lost: Vec<String>,
    pub(crate) phantoms: Vec<String>,
    pub(crate) altered: Vec<String>,
}

impl Ledger {
    pub(crate) fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// When a job was answered JOB_CREATED.
    pub(crate) fn answered_at(&self, unique: &str) -> Instant {
        self.answered.lock().unwrap()[unique]
    }

    /// Jobs whose completion was sent within this time before a moment: these may run again if the server dies then.
    pub(crate) fn completed_since(&self, moment: Instant, window: Duration) -> u32 {
        let completed = self.completed.lock().unwrap();
        completed.values().filter(|&&at| at + window >= moment).count() as u32
    }

    pub(crate) fn sums(&self) -> Sums {
        let (submitted, answered) = (self.submitted.lock().unwrap(), self.answered.lock().unwrap());
        let runs = self.runs.lock().unwrap();
        Sums {
            answered: answered.len(),
            runs: runs.values().sum(),
            repeats: runs.values().map(|runs| runs - 1).sum(),
            lost: answered.keys().filter(|&unique| !runs.contains_key(unique)).cloned().collect(),
            phantoms: runs.keys().filter(|&unique| !submitted.contains(unique)).cloned().collect(),
            altered: self.altered.lock().unwrap().clone(),
        }
    }

    /// Has clients submit and workers work while something happens, which begins when 100 more jobs are answered.
    pub(crate) fn under_load(
        &self,
        address: SocketAddr,
        round: u32,
        submitters: usize,
        workers: usize,
        meanwhile: impl FnOnce(),
    ) {
        let stop = AtomicBool::new(false);
        let answered = self.answered();
        thread::scope(|scope| {
            // Whatever fails in here, the others end: they would wait for a server that nobody kills.
            let _ends = Ends(&stop);
            for submitter in 0..submitters {
                let stop = &stop;
                scope.spawn(move || self.submit(address, &format!("r{round}s{submitter}"), stop));
            }
            for _ in 0..workers {
                scope.spawn(|| self.work(address, false, &stop));
            }
            // A fresh store takes a while to be made.
            wait_until("jobs are answered", || self.answered() >= answered + 100);
            meanwhile();
        });
    }

    /// Submits background jobs until the server is gone or `stop` says so. `name` is used once.
    pub(crate) fn submit(&self, address: SocketAddr, name: &str, stop: &AtomicBool) {
        let Ok(mut stream) = connect(address) else { return };
        let mut waiting = std::collections::VecDeque::new();
        for number in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let unique = format!("{name}-{number}");
            self.submitted.lock().unwrap().insert(unique.clone());
            let kind = [SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG][number as usize % 3];
            let data = ["kept".as_bytes(), unique.as_bytes(), &workload(&unique)].join(&0);
            if stream.write_all(&super::support::server::request(kind, &data)).is_err() {
                return;
            }
            waiting.push_back(unique);
            while waiting.len() >= AHEAD {
                if !self.hear(&mut stream, &mut waiting) {
                    return;
                }
            }
        }
        while !waiting.is_empty() && self.hear(&mut stream, &mut waiting) {}
    }

    fn hear(&self, stream: &mut TcpStream, waiting: &mut std::collections::VecDeque<String>) -> bool {
        let Ok((kind, _)) = packet(stream) else { return false };
        let unique = waiting.pop_front().unwrap();
        if kind == JOB_CREATED {
            self.answered.lock().unwrap().insert(unique, Instant::now());
        }
        true
    }

    /// Works until the server is gone, `stop` says so, or, if `all`, there are no more jobs.
    pub(crate) fn work(&self, address: SocketAddr, all: bool, stop: &AtomicBool) {
        let Ok(mut stream) = connect(address) else { return };
        let request = super::support::server::request;
        if stream.write_all(&request(CAN_DO, b"kept")).is_err() {
            return;
        }
        while !stop.load(Ordering::Relaxed) {
            if stream.write_all(&request(GRAB_JOB_UNIQ, b"")).is_err() {
                return;
            }
            let Ok((kind, data)) = packet(&mut stream) else { return };
            match kind {
                NO_JOB if all => return,
                NO_JOB => std::thread::sleep(Duration::from_millis(1)),
                JOB_ASSIGN_UNIQ => {
                    let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
                    let unique = String::from_utf8(parts[2].to_vec()).unwrap();
                    *self.runs.lock().unwrap().entry(unique.clone()).or_default() += 1;
                    if parts[3] != workload(&unique) || parts[1] != b"kept" {
                        self.altered.lock().unwrap().push(unique.clone());
                    }
                    let complete = [parts[0], b"done"].join(&0);
                    self.completed.lock().unwrap().insert(unique, Instant::now());
                    if stream.write_all(&request(WORK_COMPLETE, &complete)).is_err() {
                        return;
                    }
                }
                other => panic!("a worker was sent {other}"),
            }
        }
    }
}

/// Says stop when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the job with this unique has as its workload: some bytes that follow from it, NUL among them.
fn workload(unique: &str) -> Vec<u8> {
    let seed = unique.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (0..seed % 300).map(|at| (seed.wrapping_mul(at + 1) >> 11) as u8).collect()
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(super::support::server::PATIENCE))?;
    Ok(stream)
}

fn packet(stream: &mut TcpStream) -> io::Result<(u32, Vec<u8>)> {
    let mut header = [0; 12];
    stream.read_exact(&mut header)?;
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut data = vec![0; number(8) as usize];
    stream.read_exact(&mut data)?;
    Ok((number(4), data))
}
