//! Load on several servers that share a table, with a ledger: clients that submit with uniques and go to the next server when one does
//! not answer, workers at each server. What was acknowledged must run; what runs twice must have run first where something was
//! wrong just then. What goes wrong is in `faults.rs` and `partition.rs`.
use super::support::packets::*;
use super::support::server::request;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Without an answer for so long, clients and workers go elsewhere.
const ANSWER: Duration = Duration::from_millis(1500);
/// How long everything may take that is left when all is well again.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is written and read around a fault is part of it.
const MARGIN: Duration = Duration::from_secs(1);
const CLIENTS: usize = 3;
const WORKERS: usize = 2;

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(crate) trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

impl Door {
    fn connect(&self) -> io::Result<Box<dyn Line>> {
        match self {
            Door::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, ANSWER)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Box::new(stream))
            }
            Door::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// Sends a packet and reads one.
fn ask(line: &mut dyn Line, number: u32, data: &[u8]) -> io::Result<(u32, Vec<u8>)> {
    line.write_all(&request(number, data))?;
    let mut header = [0; 12];
    line.read_exact(&mut header)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut data = vec![0; word(8) as usize];
    line.read_exact(&mut data)?;
    Ok((word(4), data))
}

/// One thing that went wrong: where (everywhere, if it is not said), and from when until when.
#[derive(Clone, Copy, Debug)]
struct Fault {
    server: Option<usize>,
    from: Instant,
    until: Instant,
}

#[derive(Debug, Default)]
struct Ledger {
    acknowledged: HashSet<u64>,
    refused: u64,
    /// Submitted all at once, and not acknowledged yet.
    piled: Vec<u64>,
    /// How often each was submitted without an acknowledgement: each of these may come to be a job, too, if it has run meanwhile.
    unknown: BTreeMap<u64, usize>,
    /// Which servers have given out each job, and when.
    runs: BTreeMap<u64, Vec<(usize, Instant)>>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Ground {
    doors: Mutex<Vec<Door>>,
    ledger: Mutex<Ledger>,
    next: AtomicU64,
    submits: AtomicBool,
    works: AtomicBool,
    workload: usize,
}

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Load {
    ground: Arc<Ground>,
    clients: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) acknowledged: usize,
    pub(crate) refused: u64,
    pub(crate) repeats: usize,
    /// Jobs that ran again though nothing was wrong where they had run.
    unexplained: Vec<String>,
    lost: Vec<u64>,
}

impl Load {
    /// On these servers, with workloads of so many bytes.
    pub(crate) fn start(doors: Vec<Door>, workload: usize) -> Load {
        let servers = doors.len();
        let ground = Arc::new(Ground {
            doors: Mutex::new(doors),
            ledger: Mutex::default(),
            next: AtomicU64::new(0),
            submits: AtomicBool::new(true),
            works: AtomicBool::new(true),
            workload,
        });
        let spawn = |run: fn(&Ground, usize), at: usize| {
            let ground = ground.clone();
            thread::spawn(move || run(&ground, at))
        };
        let clients = (0..CLIENTS).map(|at| spawn(submit, at)).collect();
        let workers = (0..servers * WORKERS).map(|at| spawn(work, at % servers)).collect();
        Load { ground, clients, workers }
    }

    /// A server is somewhere else now.
    pub(crate) fn moved(&self, server: usize, door: Door) {
        self.ground.doors.lock().unwrap()[server] = door;
    }

    /// Puts so many jobs there, faster than they can be done.
    #[track_caller]
    pub(crate) fn pile(&self, server: usize, many: usize) {
        let door = self.ground.doors.lock().unwrap()[server].clone();
        let mut line = door.connect().unwrap();
        for _ in 0..many {
            let job = self.ground.next.fetch_add(1, Ordering::Relaxed);
            let data = [b"f", format!("j{job}").as_bytes(), b"piled"].join(&0);
            line.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
            self.ground.ledger.lock().unwrap().piled.push(job);
        }
        let mut header = [0; 12];
        for _ in 0..many {
            line.read_exact(&mut header).unwrap();
            assert_eq!(u32::from_be_bytes([header[4], header[5], header[6], header[7]]), JOB_CREATED);
            let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
            line.read_exact(&mut vec![0; length as usize]).unwrap();
        }
        let mut ledger = self.ground.ledger.lock().unwrap();
        let piled = std::mem::take(&mut ledger.piled);
        ledger.acknowledged.extend(piled);
    }

    /// Something goes wrong there, or everywhere, while this is done.
    pub(crate) fn fault<T>(&self, server: Option<usize>, what: impl FnOnce() -> T) -> T {
        let from = Instant::now();
        let done = what();
        self.ground.ledger.lock().unwrap().faults.push(Fault { server, from, until: Instant::now() });
        done
    }

    /// How many submissions were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.ground.ledger.lock().unwrap().acknowledged.len()
    }

    /// How many were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.ground.ledger.lock().unwrap().refused
    }

    /// Waits until so many more were.
    #[track_caller]
    pub(crate) fn goes_on(&self, many: usize) {
        let (begin, before) = (Instant::now(), self.acknowledged());
        while self.acknowledged() < before + many {
            assert!(begin.elapsed() < PATIENCE, "nothing is acknowledged any more");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nobody submits any more; everything is worked off until `is_empty` says so of the table. Prints what came of it.
    #[track_caller]
    pub(crate) fn finish(self, what: &str, is_empty: impl Fn() -> bool) -> Outcome {
        self.ground.submits.store(false, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        let begin = Instant::now();
        let all_run = || {
            let ledger = self.ground.ledger.lock().unwrap();
            ledger.acknowledged.iter().all(|job| ledger.runs.contains_key(job))
        };
        while !(all_run() && is_empty()) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        let emptied = is_empty();
        self.ground.works.store(false, Ordering::Relaxed);
        self.workers.into_iter().for_each(|worker| worker.join().unwrap());
        let outcome = self.ground.ledger.lock().unwrap().outcome();
        println!(
            "{what}: {} acknowledged, {} refused, {} lost, {} repeats",
            outcome.acknowledged,
            outcome.refused,
            outcome.lost.len(),
            outcome.repeats
        );
        assert!(outcome.lost.is_empty(), "{what}: lost {:?}", outcome.lost);
        assert!(emptied, "{what}: rows are left");
        assert!(outcome.unexplained.is_empty(), "{what}: {:#?}", outcome.unexplained);
        outcome
    }
}

impl Ledger {
    fn outcome(&self) -> Outcome {
        let excused = |&(server, at): &(usize, Instant)| {
            self.faults.iter().any(|fault| {
                fault.server.is_none_or(|there| there == server)
                    && at + MARGIN >= fault.from
                    && at <= fault.until + MARGIN
            })
        };
        let mut unexplained = Vec::new();
        let mut repeats = 0;
        for (job, runs) in &self.runs {
            repeats += runs.len() - 1;
            let again: Vec<String> = runs
                .windows(2)
                .filter(|pair| !excused(&pair[0]))
                .map(|pair| {
                    format!("{job} at {}, at {} {:?} later", pair[0].0, pair[1].0, pair[1].1 - pair[0].1)
                })
                .collect();
            if again.len() > self.unknown.get(job).copied().unwrap_or(0) {
                unexplained.extend(again);
            }
        }
        let lost = self.acknowledged.iter().filter(|job| !self.runs.contains_key(job)).copied().collect();
        let (acknowledged, refused) = (self.acknowledged.len(), self.refused);
        Outcome { acknowledged, refused, repeats, unexplained, lost }
    }
}

/// One submits job after job, each until somebody has acknowledged it.
fn submit(ground: &Ground, client: usize) {
    let (mut line, mut at): (Option<Box<dyn Line>>, usize) = (None, client);
    while ground.submits.load(Ordering::Relaxed) {
        let job = ground.next.fetch_add(1, Ordering::Relaxed);
        let unique = format!("j{job}");
        let data = [b"f", unique.as_bytes(), &vec![b'x'; ground.workload]].join(&0);
        while ground.submits.load(Ordering::Relaxed) {
            if line.is_none() {
                let door = {
                    let doors = ground.doors.lock().unwrap();
                    at = (at + 1) % doors.len();
                    doors[at].clone()
                };
                line = door.connect().ok();
            }
            let answer = line.as_mut().map(|line| ask(line, SUBMIT_JOB_BG, &data));
            match answer {
                Some(Ok((JOB_CREATED, _))) => {
                    ground.ledger.lock().unwrap().acknowledged.insert(job);
                    // So that one is on average elsewhere.
                    if job % 16 == 0 {
                        line = None;
                    }
                    break;
                }
                Some(answer) => {
                    let mut ledger = ground.ledger.lock().unwrap();
                    ledger.refused += u64::from(answer.is_ok());
                    *ledger.unknown.entry(job).or_default() += 1;
                    line = None;
                }
                None => {}
            }
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// One works at one server.
fn work(ground: &Ground, server: usize) {
    let mut line: Option<Box<dyn Line>> = None;
    while ground.works.load(Ordering::Relaxed) {
        if line.is_none() {
            let door = ground.doors.lock().unwrap()[server].clone();
            line = door.connect().ok().and_then(|mut line| {
                line.write_all(&request(CAN_DO, b"f")).ok()?;
                Some(line)
            });
        }
        let answer = line.as_mut().map(|line| ask(line, GRAB_JOB_UNIQ, b""));
        match answer {
            Some(Ok((JOB_ASSIGN_UNIQ, data))) => {
                let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
                let job = String::from_utf8_lossy(&parts[2][1..]).parse().unwrap();
                ground.ledger.lock().unwrap().runs.entry(job).or_default().push((server, Instant::now()));
                // Some run for a while.
                if job % 8 == 0 {
                    thread::sleep(Duration::from_millis(30));
                }
                let complete = request(WORK_COMPLETE, &[parts[0], b"\0"].concat());
                if line.as_mut().is_some_and(|line| line.write_all(&complete).is_err()) {
                    line = None;
                }
            }
            Some(Ok(_)) => thread::sleep(Duration::from_millis(10)),
            Some(Err(_)) | None => {
                line = None;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
