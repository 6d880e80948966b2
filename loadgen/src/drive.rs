//! The loop of one load thread: wait, read, answer, write, look at the timers. It moves bytes and times
//! between sockets and roles and decides nothing about jobs.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender};

use ringgear_protocol::{DecodeError, Header, Request, Response};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::thread::{CpuSet, gettid, sched_setaffinity, set_current_timer_slack};

use crate::cast::Cast;
use crate::check::Tally;
use crate::client::Client;
use crate::link::{Link, Received, SCRATCH, packets};
use crate::record::Recorder;
use crate::stage::{Counts, Stage, Stand};
use crate::worker::Worker;

/// What one connection is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The client connection of this number.
    Client(u32),
    /// A worker of this crew, and which of them.
    Worker(usize, u32),
    /// Nothing but there.
    Idle,
}

/// What one load thread is to do in one phase.
#[derive(Debug)]
pub(crate) struct Orders<'a> {
    /// Which of the threads it is.
    pub(crate) thread: usize,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// Its connections, each with the address that it comes from.
    pub(crate) parts: Vec<(Part, Option<Ipv4Addr>)>,
    /// Who plays.
    pub(crate) cast: &'a Cast,
    /// Where the phase stands.
    pub(crate) stand: &'a Stand,
    /// True if the phase has clients at all.
    pub(crate) has_clients: bool,
    /// Nanoseconds between two ticks.
    pub(crate) tick: u64,
    /// Nanoseconds before a timer from which on the thread does not sleep.
    pub(crate) spin: u64,
    /// The core that it is pinned to.
    pub(crate) core: Option<usize>,
    /// Takes what was measured.
    pub(crate) ticks: Sender<Tick>,
    /// Gives back what was read of that, empty.
    pub(crate) spares: Receiver<Box<Recorder>>,
}

/// What a thread measured since its last tick.
#[derive(Debug)]
pub(crate) struct Tick {
    /// Counts the ticks from the beginning of the phase.
    pub(crate) index: u64,
    /// The thread that it comes from.
    pub(crate) thread: usize,
    /// The latencies.
    pub(crate) recorder: Box<Recorder>,
    /// True if it is the thread's last.
    pub(crate) last: bool,
}

/// What the roles of one thread share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Who plays.
    pub(crate) cast: &'a Cast,
    /// Latencies.
    pub(crate) recorder: Box<Recorder>,
    /// What the conductor sees.
    pub(crate) counts: Counts,
    /// What went wrong.
    pub(crate) tally: Tally,
    /// Where a payload is made before it is copied into a packet.
    pub(crate) scratch: Vec<u8>,
    /// What is intended before is not measured.
    pub(crate) from: u64,
    /// What is intended from then on is not submitted.
    pub(crate) stop: u64,
    /// True when workers are to take no more jobs.
    pub(crate) quiet: bool,
    /// True if the phase has clients; if not, jobs of earlier phases are measured.
    pub(crate) has_clients: bool,
}

/// One connection of the thread.
#[derive(Debug)]
struct Conn {
    /// `None` after it was closed.
    link: Option<Link>,
    role: Role,
    /// True once the job server has answered.
    ready: bool,
    /// True while epoll tells when the socket takes bytes again.
    blocked: bool,
}

#[derive(Debug)]
enum Role {
    /// Becomes a client when the phase begins.
    Waiting(u32),
    Client(Client),
    Worker(Worker),
    Idle,
}

/// What went wrong with one connection.
#[derive(Debug)]
enum Broken {
    Io(io::Error),
    Packet(DecodeError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Broken {
        Broken::Packet(error)
    }
}

/// The longest that a thread does not look where the phase stands.
const LOOK: u64 = 5_000_000;

/// Connections that wait for their first answer at a time; more could overflow the server's backlog.
const CONNECTING: u64 = 64;

/// Runs one phase on the calling thread. Errors are those that leave nothing to measure.
pub(crate) fn drive(orders: Orders<'_>) -> io::Result<Tally> {
    if let Some(core) = orders.core {
        pin(&[core])?;
    }
    orders.stand.enlist(orders.thread, gettid().as_raw_nonzero().get() as u32);
    // The kernel otherwise gathers timers within 50 microseconds. It may refuse; timer error shows it.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    let mut driver = Driver::new(&orders)?;
    driver.connect()?;
    driver.run()?;
    driver.tick(true);
    Ok(driver.context.tally)
}

/// Lets the calling thread, and what it starts, run on these cores only.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(io::Error::other(format!("there is no core {core}")));
        }
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

struct Driver<'a> {
    orders: &'a Orders<'a>,
    epoll: OwnedFd,
    conns: Vec<Conn>,
    context: Context<'a>,
    /// When to look at which connection again.
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    scratch: Box<[u8]>,
    stage: Stage,
    next_tick: u64,
    ticks: u64,
    /// True once closed loops were told that the time is over.
    stopped: bool,
}

impl<'a> Driver<'a> {
    fn new(orders: &'a Orders<'a>) -> io::Result<Driver<'a>> {
        let cast = orders.cast;
        let context = Context {
            cast,
            recorder: Box::new(Recorder::new(cast.groups.len())),
            counts: Counts::default(),
            tally: Tally::default(),
            scratch: Vec::new(),
            from: 0,
            stop: u64::MAX,
            quiet: false,
            has_clients: orders.has_clients,
        };
        Ok(Driver {
            orders,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            conns: Vec::with_capacity(orders.parts.len()),
            context,
            timers: BinaryHeap::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            stage: Stage::Connect,
            next_tick: u64::MAX,
            ticks: 0,
            stopped: false,
        })
    }

    /// Makes all connections; returns when the job server has answered on each, or the phase is given up.
    fn connect(&mut self) -> io::Result<()> {
        self.context.counts.connecting = self.orders.parts.len() as u64;
        let mut waiting = 0;
        for (made, &(part, source)) in self.orders.parts.iter().enumerate() {
            let mut link = Link::connect(self.orders.server, source)?;
            let role = match part {
                Part::Client(conn) => {
                    self.context.counts.submitting += 1;
                    Role::Waiting(conn)
                }
                Part::Worker(crew, index) => {
                    self.context.counts.busy_workers += 1;
                    Role::Worker(Worker::new(self.context.cast, crew, index, &mut link.out))
                }
                Part::Idle => Role::Idle,
            };
            Request::EchoReq { data: b"hello" }.encode(&mut link.out);
            let token = EventData::new_u64(made as u64);
            epoll::add(&self.epoll, link.stream(), token, EventFlags::IN)?;
            self.conns.push(Conn { link: Some(link), role, ready: false, blocked: false });
            self.flush(made);
            waiting += 1;
            if waiting == CONNECTING {
                let left = (self.orders.parts.len() - made - 1) as u64;
                while self.context.counts.connecting > left && self.orders.stand.stage() == Stage::Connect {
                    self.round()?;
                }
                waiting = 0;
            }
        }
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        while self.stage != Stage::End {
            let stage = self.orders.stand.stage();
            if stage > self.stage {
                self.enter(stage);
            }
            self.round()?;
        }
        Ok(())
    }

    fn enter(&mut self, stage: Stage) {
        if self.stage == Stage::Connect {
            let (start, from, stop) = self.orders.stand.times();
            (self.context.from, self.context.stop) = (from, stop);
            self.next_tick = start + self.orders.tick;
        }
        self.stage = stage;
        self.context.quiet = stage >= Stage::Quiet;
        for at in 0..self.conns.len() {
            let conn = &mut self.conns[at];
            let Some(link) = &mut conn.link else { continue };
            match &mut conn.role {
                Role::Waiting(number) => {
                    let (start, ..) = self.orders.stand.times();
                    conn.role = Role::Client(Client::new(self.context.cast, *number, start));
                    self.submit(at);
                }
                Role::Worker(worker) if stage == Stage::Run => {
                    worker.begin(&self.context, &mut link.out);
                    self.flush(at);
                }
                Role::Worker(worker) if stage == Stage::Quiet => {
                    worker.settle(&mut self.context, &mut link.out);
                    self.flush(at);
                }
                _ => {}
            }
        }
    }

    /// Timers, then one wait for sockets and everything that they have.
    fn round(&mut self) -> io::Result<()> {
        self.timers();
        let now = self.orders.stand.clock.now();
        if now >= self.next_tick {
            self.tick(false);
        }
        if now >= self.context.stop && !self.stopped {
            self.stop();
        }
        self.orders.stand.publish(self.orders.thread, &self.context.counts);

        let due = self.timers.peek().map_or(u64::MAX, |Reverse((due, _))| *due);
        let ahead = due.saturating_sub(now).saturating_sub(self.orders.spin).min(LOOK);
        let timeout = Timespec { tv_sec: 0, tv_nsec: ahead as i64 };
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 256];
        let (events, _) = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok(events) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if events.is_empty() {
            if ahead == 0 {
                self.context.counts.spun += self.orders.stand.clock.now() - now;
            }
            return Ok(());
        }
        for event in events {
            let at = event.data.u64() as usize;
            let flags = event.flags;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                if let Err(broken) = self.receive(at) {
                    self.broken(at, &broken);
                }
            } else {
                self.flush(at);
            }
        }
        Ok(())
    }

    fn timers(&mut self) {
        while let Some(&Reverse((due, at))) = self.timers.peek() {
            let now = self.orders.stand.clock.now();
            if due > now {
                return;
            }
            self.timers.pop();
            let conn = &mut self.conns[at];
            let Some(link) = &mut conn.link else { continue };
            match &mut conn.role {
                Role::Client(client) => {
                    client.disarm();
                    self.submit(at);
                }
                Role::Worker(worker) => {
                    worker.work(now, &mut self.context, &mut link.out);
                    worker.settle(&mut self.context, &mut link.out);
                    self.context.counts.last = now;
                    self.flush(at);
                }
                Role::Waiting(_) | Role::Idle => {}
            }
        }
    }

    /// The time of closed loops is over; open ones have sent, or will send, what was due before.
    fn stop(&mut self) {
        self.stopped = true;
        for conn in &mut self.conns {
            if let Role::Client(client) = &mut conn.role
                && client.is_closed()
            {
                client.stop(&mut self.context);
            }
        }
    }

    fn submit(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        let (Some(link), Role::Client(client)) = (&mut conn.link, &mut conn.role) else { return };
        let now = self.orders.stand.clock.now();
        if let Some(due) = client.submit(now, &mut self.context, &mut link.out) {
            self.timers.push(Reverse((due, at)));
        }
        self.flush(at);
    }

    fn receive(&mut self, at: usize) -> Result<(), Broken> {
        let Driver { conns, scratch, orders, context, timers, .. } = self;
        let conn = &mut conns[at];
        let Some(link) = &mut conn.link else { return Ok(()) };
        let received = link.receive(scratch)?;
        let now = orders.stand.clock.now();
        let (role, ready, stage) = (&mut conn.role, &mut conn.ready, self.stage);
        let mut each = |header: &Header, data: &[u8], out: &mut Vec<u8>| {
            let response = Response::decode(header, data)?;
            if let Response::EchoRes { .. } = response {
                echoed(role, ready, stage, context);
                return Ok(());
            }
            match role {
                Role::Client(client) => client.receive(&response, now, context),
                Role::Worker(worker) => {
                    if let Some(due) = worker.receive(&response, now, context, out) {
                        timers.push(Reverse((due, at)));
                    }
                }
                Role::Waiting(_) | Role::Idle => {}
            }
            Ok::<_, Broken>(())
        };
        match received {
            Received::Nothing => return Ok(()),
            Received::Closed => return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into())),
            Received::Bytes(count) => {
                // The roles write while the scratch buffer is read, so the link lends only its output.
                let mut out = std::mem::take(&mut link.out);
                let bytes = &scratch[..count];
                let read = packets(bytes, |header, data| each(header, data, &mut out));
                link.out = out;
                let (end, needed) = read?;
                link.keep(&bytes[end..], needed);
            }
            Received::Large => {
                let packet = link.take_large();
                let mut out = std::mem::take(&mut link.out);
                let read = packets(&packet, |header, data| each(header, data, &mut out));
                link.out = out;
                read?;
                link.end_large(packet);
            }
        }
        self.context.counts.last = now;
        match &mut conn.role {
            Role::Client(client) => {
                if let Some(due) = client.submit(now, &mut self.context, &mut link.out) {
                    self.timers.push(Reverse((due, at)));
                }
            }
            Role::Worker(worker) if self.stage >= Stage::Run => {
                worker.settle(&mut self.context, &mut link.out);
            }
            _ => {}
        }
        self.flush(at);
        Ok(())
    }

    fn flush(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        let Some(link) = &mut conn.link else { return };
        if link.unsent() == 0 {
            return;
        }
        let flushed = link.flush().and_then(|all| {
            if all == conn.blocked {
                conn.blocked = !all;
                let out = if all { EventFlags::empty() } else { EventFlags::OUT };
                let token = EventData::new_u64(at as u64);
                epoll::modify(&self.epoll, link.stream(), token, EventFlags::IN | out)?;
            }
            Ok(())
        });
        if let Err(error) = flushed {
            self.broken(at, &Broken::Io(error));
        }
    }

    #[cold]
    fn broken(&mut self, at: usize, broken: &Broken) {
        let conn = &mut self.conns[at];
        if conn.link.take().is_none() {
            return;
        }
        // The first few say enough.
        if self.context.tally.closed < 3 {
            match broken {
                Broken::Io(error) => eprintln!("a connection broke: {error}"),
                Broken::Packet(error) => eprintln!("a connection broke: {error}"),
            }
        }
        self.context.tally.closed += 1;
        self.context.counts.connecting -= u64::from(!conn.ready);
        match &mut conn.role {
            Role::Client(client) => client.abandon(&mut self.context),
            Role::Waiting(_) => self.context.counts.submitting -= 1,
            Role::Worker(worker) => worker.abandon(&mut self.context),
            Role::Idle => {}
        }
    }

    /// Sends what was measured to the reporter.
    fn tick(&mut self, last: bool) {
        let fresh = self.orders.spares.try_recv();
        let groups = self.context.cast.groups.len();
        let fresh = fresh.unwrap_or_else(|_| Box::new(Recorder::new(groups)));
        let recorder = std::mem::replace(&mut self.context.recorder, fresh);
        let (index, thread) = (self.ticks, self.orders.thread);
        // Nobody listens any more when the run was given up.
        let _ = self.orders.ticks.send(Tick { index, thread, recorder, last });
        self.ticks += 1;
        self.next_tick = self.next_tick.saturating_add(self.orders.tick);
    }
}

/// The job server answered an ECHO_REQ: the first on a connection, or a worker's last.
#[cold]
fn echoed(role: &mut Role, ready: &mut bool, stage: Stage, context: &mut Context<'_>) {
    if !*ready {
        *ready = true;
        context.counts.connecting -= 1;
    } else if let (Role::Worker(worker), Stage::Quiet) = (role, stage) {
        worker.part(context);
    }
}
