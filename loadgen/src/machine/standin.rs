//! A job server in this process, as small as one can be: what the load generator is measured against to know
//! its own ceiling, and, made to misbehave, what proves that its checks see everything.
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringgear_protocol::{Priority, Request, RequestError, Response};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::job::link::packets;

/// What it does wrong, once for every so many jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Accepts background jobs and keeps none: for measuring who submits.
    Discard,
    /// Drops a job that it accepted.
    Lose,
    /// Gives a job to workers twice.
    Double,
    /// Changes a byte of a workload.
    AlterWorkload,
    /// Changes a byte of a result.
    AlterResult,
    /// Calls the function by another name.
    Misname,
    /// Sends a result to another client too, instead of to its own.
    Misdeliver,
    /// Takes the youngest job before older ones.
    Reorder,
    /// Answers ERROR instead of accepting a job.
    Refuse,
    /// Stands still for 300 ms, once.
    Stall,
    /// Stands still for good.
    Hang,
    /// Closes the connection of a client.
    Close,
    /// Closes all connections.
    Die,
    /// Closes all connections once for every 500 jobs, and gives what workers had to others.
    Break,
    /// The same, and forgets what they had.
    Forget,
    /// Never gives out every fiftieth job, but says that it has it.
    Withhold,
}

/// Those that a name can mean.
const FAULTS: [Fault; 7] =
    [Fault::None, Fault::Lose, Fault::Stall, Fault::Hang, Fault::Die, Fault::Break, Fault::Forget];

/// It goes wrong once for so many jobs.
const EVERY: u64 = 50;

/// A running stand-in; ends when dropped.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    tid: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one on a free port of the loopback interface.
    #[cfg(test)]
    pub(crate) fn start(fault: Fault) -> io::Result<StandIn> {
        StandIn::start_at((Ipv4Addr::LOCALHOST, 0), fault)
    }

    /// Starts so many at one port of the loopback interface: the kernel deals connections to them. They know nothing of each other, so
    /// that only background jobs can be sent there.
    pub(crate) fn start_several(count: usize, fault: Fault) -> io::Result<Vec<StandIn>> {
        let mut port = 0;
        let mut all = vec![];
        for _ in 0..count {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
            sockopt::set_socket_reuseport(&socket, true)?;
            rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
            rustix::net::listen(&socket, 128)?;
            let one = StandIn::start_on(TcpListener::from(socket), fault)?;
            port = one.address.port();
            all.push(one);
        }
        Ok(all)
    }

    /// Starts one at this address.
    fn start_at(at: (Ipv4Addr, u16), fault: Fault) -> io::Result<StandIn> {
        StandIn::start_on(TcpListener::bind(at)?, fault)
    }

    fn start_on(listener: TcpListener, fault: Fault) -> io::Result<StandIn> {
        let address = listener.local_addr()?;
        let (over, tid) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (ending, telling) = (Arc::clone(&over), Arc::clone(&tid));
        let builder = thread::Builder::new().name("stand-in".to_owned());
        let thread = builder.spawn(move || {
            telling.store(rustix::thread::gettid().as_raw_nonzero().get() as u32, Ordering::Relaxed);
            if let Err(error) = serve(&listener, fault, &ending) {
                eprintln!("the stand-in gave up: {error}");
            }
        })?;
        Ok(StandIn { address, over, tid, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that it used so far, in nanoseconds.
    pub(crate) fn cpu(&self) -> u64 {
        crate::machine::probe::own_thread(self.tid.load(Ordering::Relaxed))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Is a stand-in until the process is asked to end. `fault` is the name of one, in small letters.
pub(crate) fn stand_in(at: (Ipv4Addr, u16), fault: &str) -> Result<u8, String> {
    let named = |known: &&Fault| format!("{known:?}").eq_ignore_ascii_case(fault);
    let fault = *FAULTS.iter().find(named).ok_or_else(|| format!("--fault {fault}: one of {FAULTS:?}"))?;
    let _stand_in = StandIn::start_at(at, fault)
        .map_err(|error| format!("--address {} --port {}: {error}", at.0, at.1))?;
    while crate::machine::interrupt::caught().is_none() {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(0)
}

#[derive(Debug)]
struct Peer {
    stream: Option<TcpStream>,
    pending: Vec<u8>,
    out: Vec<u8>,
    /// Functions that it can do.
    can: Vec<Vec<u8>>,
    asleep: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    handle: u64,
    function: Vec<u8>,
    unique: Vec<u8>,
    workload: Vec<u8>,
}

#[derive(Debug)]
struct Standing {
    fault: Fault,
    peers: Vec<Peer>,
    /// By function, three queues by priority.
    queues: HashMap<Vec<u8>, [VecDeque<Waiting>; 3]>,
    /// Who waits for the result of a job.
    clients: HashMap<u64, usize>,
    /// What workers have, and which, where connections break.
    held: HashMap<u64, (usize, Waiting)>,
    jobs: u64,
    results: u64,
    /// Jobs that are kept for ever.
    withheld: u64,
    stalled: bool,
    /// True once it does nothing more.
    hung: bool,
    /// Peers that are to be closed.
    closing: Vec<usize>,
}

fn serve(listener: &TcpListener, fault: Fault, over: &AtomicBool) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(u64::MAX), EventFlags::IN)?;
    let mut state = Standing {
        fault,
        peers: vec![],
        queues: HashMap::new(),
        clients: HashMap::new(),
        held: HashMap::new(),
        jobs: 0,
        results: 0,
        withheld: 0,
        stalled: false,
        hung: false,
        closing: vec![],
    };
    let mut scratch = vec![0; 256 * 1024];
    while !over.load(Ordering::Relaxed) {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 256];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let (events, _) = match epoll::wait(&epoll, &mut events[..], Some(&timeout)) {
            Ok(events) => events,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if state.hung {
            thread::sleep(Duration::from_millis(5));
            continue;
        }
        for event in events {
            match event.data.u64() {
                u64::MAX => accept(listener, &epoll, &mut state)?,
                at => state.read(at as usize, &mut scratch),
            }
        }
        state.flush();
    }
    Ok(())
}

fn accept(listener: &TcpListener, epoll: &impl std::os::fd::AsFd, state: &mut Standing) -> io::Result<()> {
    while let Ok((stream, _)) = listener.accept() {
        // Writing waits: a stand-in need not survive clients that do not read.
        stream.set_nodelay(true)?;
        epoll::add(epoll, &stream, EventData::new_u64(state.peers.len() as u64), EventFlags::IN)?;
        state.peers.push(Peer {
            stream: Some(stream),
            pending: vec![],
            out: vec![],
            can: vec![],
            asleep: false,
        });
    }
    Ok(())
}

impl Standing {
    fn read(&mut self, at: usize, scratch: &mut [u8]) {
        let Some(stream) = &mut self.peers[at].stream else { return };
        match stream.read(scratch) {
            Ok(read) if read > 0 => {
                let mut bytes = std::mem::take(&mut self.peers[at].pending);
                bytes.extend_from_slice(&scratch[..read]);
                if bytes == b"version\n" {
                    self.peers[at].out.extend_from_slice(b"OK stand-in\n");
                    return;
                }
                if bytes == b"status\n" {
                    let status = self.status();
                    self.peers[at].out.extend_from_slice(&status);
                    return;
                }
                let took = packets::<RequestError>(&bytes, |header, data| {
                    self.request(at, &Request::decode(header, data)?);
                    Ok(())
                });
                match took {
                    Ok((end, _)) => {
                        bytes.drain(..end);
                        self.peers[at].pending = bytes;
                    }
                    Err(_) => self.peers[at].stream = None,
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            _ => self.peers[at].stream = None,
        }
    }

    /// Functions with jobs in their queues and at workers.
    fn status(&self) -> Vec<u8> {
        let mut text = vec![];
        for (name, queues) in &self.queues {
            let waiting: u64 = queues.iter().map(|queue| queue.len() as u64).sum();
            let running = self.held.values().filter(|(_, job)| job.function == *name).count() as u64;
            let total = waiting + running + self.withheld;
            text.extend_from_slice(name);
            text.extend_from_slice(format!("\t{total}\t{running}\t1\n").as_bytes());
        }
        text.extend_from_slice(b".\n");
        text
    }

    fn flush(&mut self) {
        for at in std::mem::take(&mut self.closing) {
            self.peers[at].stream = None;
            self.peers[at].can.clear();
            let theirs = self.held.extract_if(|_, (peer, _)| *peer == at).map(|(_, (_, job))| job);
            let theirs: Vec<Waiting> = theirs.collect();
            if self.fault == Fault::Break {
                theirs.into_iter().for_each(|job| self.queue(job, Priority::Normal, false));
            }
        }
        for peer in &mut self.peers {
            if let Some(stream) = &mut peer.stream
                && !peer.out.is_empty()
                && stream.write_all(&peer.out).is_err()
            {
                peer.stream = None;
            }
            peer.out.clear();
        }
    }

    fn request(&mut self, at: usize, request: &Request<'_>) {
        match *request {
            Request::EchoReq { data } => Response::EchoRes { data }.encode(&mut self.peers[at].out),
            Request::CanDo { function } => self.peers[at].can.push(function.to_vec()),
            Request::PreSleep => self.pre_sleep(at),
            Request::Grab(_) => self.grab(at),
            Request::Submit(submit) => {
                self.jobs += 1;
                let wrong = self.jobs.is_multiple_of(EVERY);
                if wrong && self.fault == Fault::Refuse {
                    let error = Response::Error { code: b"QUEUE_ERROR", text: b"Job queue is full" };
                    return error.encode(&mut self.peers[at].out);
                }
                let handle = self.jobs;
                Response::JobCreated { handle: name(handle).as_bytes() }.encode(&mut self.peers[at].out);
                if wrong && self.fault == Fault::Stall && !self.stalled {
                    self.stalled = true;
                    thread::sleep(Duration::from_millis(300));
                }
                if wrong && self.fault == Fault::Hang {
                    self.hung = true;
                }
                if wrong && self.fault == Fault::Close && !self.stalled {
                    self.stalled = true;
                    self.closing.push(at);
                }
                if wrong && self.fault == Fault::Die {
                    self.closing.extend(0..self.peers.len());
                }
                if matches!(self.fault, Fault::Break | Fault::Forget) && self.jobs.is_multiple_of(10 * EVERY)
                {
                    self.closing.extend(0..self.peers.len());
                }
                if wrong && self.fault == Fault::Withhold {
                    self.queues.entry(submit.function.to_vec()).or_default();
                    self.withheld += 1;
                    return;
                }
                if self.fault == Fault::Discard && submit.background || wrong && self.fault == Fault::Lose {
                    return;
                }
                if !submit.background {
                    self.clients.insert(handle, at);
                }
                let job = Waiting {
                    handle,
                    function: submit.function.to_vec(),
                    unique: submit.unique.to_vec(),
                    workload: submit.workload.to_vec(),
                };
                self.queue(job, submit.priority, wrong);
            }
            Request::WorkComplete { handle, result } => self.complete(handle, result),
            Request::WorkFail { handle } => self.fail(handle),
            _ => {}
        }
    }

    fn queue(&mut self, mut job: Waiting, priority: Priority, wrong: bool) {
        for peer in &mut self.peers {
            if peer.asleep && peer.can.contains(&job.function) {
                peer.asleep = false;
                Response::Noop.encode(&mut peer.out);
            }
        }
        if wrong && self.fault == Fault::AlterWorkload {
            let middle = job.workload.len() / 2;
            job.workload[middle] ^= 0x40;
        }
        let queues = self.queues.entry(job.function.clone()).or_default();
        if wrong && self.fault == Fault::Misname {
            job.function.push(b'x');
        }
        let queue = &mut queues[priority as usize];
        if wrong && self.fault == Fault::Double {
            queue.push_back(job.clone());
        }
        queue.push_back(job);
        if wrong && self.fault == Fault::Reorder {
            queue.rotate_right(1);
        }
    }

    fn pre_sleep(&mut self, at: usize) {
        let some = |queues: &[VecDeque<Waiting>; 3]| queues.iter().any(|queue| !queue.is_empty());
        let work = self.peers[at].can.iter().any(|function| self.queues.get(function).is_some_and(some));
        if work {
            Response::Noop.encode(&mut self.peers[at].out);
        }
        self.peers[at].asleep = !work;
    }

    fn grab(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        peer.asleep = false;
        for priority in 0..3 {
            for function in &peer.can {
                let queue = self.queues.get_mut(function).map(|queues| &mut queues[priority]);
                if let Some(job) = queue.and_then(VecDeque::pop_front) {
                    let handle = name(job.handle);
                    let assign = Response::JobAssignUniq {
                        handle: handle.as_bytes(),
                        function: &job.function,
                        unique: &job.unique,
                        workload: &job.workload,
                    };
                    assign.encode(&mut peer.out);
                    if matches!(self.fault, Fault::Break | Fault::Forget) {
                        self.held.insert(job.handle, (at, job));
                    }
                    return;
                }
            }
        }
        Response::NoJob.encode(&mut peer.out);
    }

    fn fail(&mut self, handle: &[u8]) {
        if let Some(&client) = number(handle).and_then(|number| self.clients.get(&number)) {
            Response::WorkFail { handle }.encode(&mut self.peers[client].out);
        }
    }

    fn complete(&mut self, handle: &[u8], result: &[u8]) {
        let number = number(handle);
        if let Some(number) = number {
            self.held.remove(&number);
        }
        let Some(&client) = number.and_then(|number: u64| self.clients.get(&number)) else { return };
        self.results += 1;
        let wrong = self.results.is_multiple_of(EVERY);
        let mut changed = result.to_vec();
        if wrong && self.fault == Fault::AlterResult {
            let middle = changed.len() / 2;
            changed[middle] ^= 0x40;
        }
        let misdelivered = wrong && self.fault == Fault::Misdeliver;
        let other = || self.clients.values().copied().find(|other| *other != client);
        let to = misdelivered.then(other).flatten().unwrap_or(client);
        Response::WorkComplete { handle, result: &changed }.encode(&mut self.peers[to].out);
    }
}

fn number(handle: &[u8]) -> Option<u64> {
    std::str::from_utf8(handle).ok()?.rsplit(':').next()?.parse().ok()
}

fn name(handle: u64) -> String {
    format!("H:stand-in:{handle}")
}
