//! The loop of one load thread: wait, read, answer, write, look at the timers. It moves bytes and times
//! between sockets and roles and decides nothing about jobs.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::OwnedFd;

use ringgear_protocol::Request;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::thread::gettid;

use crate::job::check::Tally;
use crate::job::link::{Link, SCRATCH};
use crate::machine::cores::{pin, wake_exactly};
use crate::result::record::Recorder;
use crate::run::client::Client;
use crate::run::conn::{Broken, Conn, Role};
use crate::run::marks::Marks;
use crate::run::orders::{Context, Orders, Part, Tick};
use crate::run::stage::{Counts, Stage};
use crate::run::worker::Worker;

/// The longest that a thread does not look where the phase stands.
const LOOK: u64 = 5_000_000;

/// A wait for sockets that took less nanoseconds did not sleep.
const SLEPT: u64 = 5_000;

/// Connections that wait for their first answer at a time; more could overflow the server's backlog.
const CONNECTING: u64 = 64;

/// Runs one phase on the calling thread. Errors are those that leave nothing to measure.
///
/// Gives what went wrong, and the marks: other threads may still send some.
pub(crate) fn drive(orders: Orders<'_>, marks: Marks) -> io::Result<(Tally, Marks)> {
    if let Some(core) = orders.core {
        pin(&[core])?;
    }
    orders.stand.enlist(orders.thread, gettid().as_raw_nonzero().get() as u32);
    wake_exactly();
    let mut driver = Driver::new(&orders, marks)?;
    driver.connect()?;
    driver.run()?;
    driver.close();
    driver.context.exchange();
    driver.orders.stand.publish(driver.orders.thread, &driver.context.counts);
    driver.tick();
    Ok((driver.context.tally, driver.context.marks))
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
    /// When the last tick was.
    ticked: u64,
    /// True once closed loops were told that the time is over.
    stopped: bool,
    /// When the last wait for sockets returned.
    waited: u64,
}

impl<'a> Driver<'a> {
    fn new(orders: &'a Orders<'a>, marks: Marks) -> io::Result<Driver<'a>> {
        let cast = orders.cast;
        let context = Context {
            cast,
            recorder: Box::new(Recorder::new(cast.groups.len())),
            counts: Counts::default(),
            tally: Tally::default(),
            marks,
            scratch: Vec::new(),
            from: 0,
            stop: u64::MAX,
            quiet: false,
            has_clients: orders.has_clients,
            has_service: orders.has_service,
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
            ticked: 0,
            stopped: false,
            waited: 0,
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
            self.conns.push(Conn::new(link, role, source));
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
            (self.ticked, self.next_tick) = (start, start + self.orders.tick);
        }
        if stage == Stage::Stop {
            (_, _, self.context.stop) = self.orders.stand.times();
            self.stop();
        }
        self.stage = stage;
        self.context.quiet = stage >= Stage::Quiet;
        for at in 0..self.conns.len() {
            let conn = &mut self.conns[at];
            let Some(link) = &mut conn.link else {
                self.enter_unconnected(at, stage);
                continue;
            };
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
                // What was due before is sent, and then no more.
                Role::Client(_) if stage == Stage::Stop => self.submit(at),
                Role::Worker(worker) if stage == Stage::Quiet => {
                    worker.settle(&mut self.context, &mut link.out);
                    self.flush(at);
                }
                _ => {}
            }
        }
    }

    /// What a stage is to a connection that is not there.
    fn enter_unconnected(&mut self, at: usize, stage: Stage) {
        match &mut self.conns[at].role {
            Role::Worker(worker) if stage >= Stage::Quiet => worker.part(&mut self.context),
            Role::Waiting(number) => {
                let (start, ..) = self.orders.stand.times();
                self.conns[at].role = Role::Client(Client::new(self.context.cast, *number, start));
            }
            Role::Client(_) if stage == Stage::Stop => self.submit(at),
            _ => {}
        }
    }

    /// Timers, then one wait for sockets and everything that they have.
    fn round(&mut self) -> io::Result<()> {
        self.timers();
        let now = self.orders.stand.clock.now();
        if now >= self.next_tick {
            self.tick();
        }
        if now >= self.context.stop && !self.stopped {
            self.stop();
        }
        self.context.exchange();
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
            self.waited = self.orders.stand.clock.now();
            if ahead == 0 {
                self.context.counts.spun += self.orders.stand.clock.now() - now;
            }
            return Ok(());
        }
        let back = self.orders.stand.clock.now();
        // What was there before it was waited for came at some time since the last wait.
        let arrived = if back - now < SLEPT { self.waited } else { back };
        self.waited = back;
        for event in events {
            let at = event.data.u64() as usize;
            if self.orders.stand.stage() == Stage::Run && back >= self.context.from {
                let read = self.orders.stand.clock.now();
                self.context.recorder.receive_lag.saturating_record(read - arrived);
            }
            let flags = event.flags;
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.receive(at);
                while self.conns[at].has_more() {
                    self.receive(at);
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
            if self.conns[at].link.is_none() && self.orders.reconnect && self.stage < Stage::Quiet {
                self.retry(at, now);
            }
            let conn = &mut self.conns[at];
            if let Role::Client(client) = &mut conn.role {
                client.disarm();
                self.submit(at);
                continue;
            }
            let Some(link) = &mut conn.link else { continue };
            match &mut conn.role {
                Role::Worker(worker) => {
                    worker.work(now, &mut self.context, &mut link.out);
                    worker.settle(&mut self.context, &mut link.out);
                    self.context.counts.last = now;
                    self.flush(at);
                }
                Role::Waiting(_) | Role::Idle | Role::Client(_) => {}
            }
        }
    }

    /// Connects again where that is due.
    #[cold]
    fn retry(&mut self, at: usize, now: u64) {
        let Driver { conns, orders, epoll, context, timers, .. } = self;
        let token = EventData::new_u64(at as u64);
        if let Some(due) = conns[at].retry(now, orders.server, epoll, token, context) {
            timers.push(Reverse((due, at)));
        }
        self.flush(at);
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
        let now = self.orders.stand.clock.now();
        let conn = &mut self.conns[at];
        let Role::Client(client) = &mut conn.role else { return };
        if client.connects_each(self.context.cast) {
            return self.submit_alone(at, now);
        }
        if !conn.is_ready() {
            return;
        }
        let (Some(link), Role::Client(client)) = (&mut conn.link, &mut conn.role) else { return };
        if let Some(due) = client.submit(now, &mut self.context, &mut link.out) {
            self.timers.push(Reverse((due, at)));
        }
        self.flush(at);
    }

    /// The same for a client that makes a connection for each job.
    fn submit_alone(&mut self, at: usize, now: u64) {
        let token = EventData::new_u64(at as u64);
        let opened = self.conns[at].open_for_job(now, self.orders.server, &self.epoll, token, &self.context);
        if let Err(broken) = opened {
            return self.broken(at, &broken);
        }
        let conn = &mut self.conns[at];
        let Role::Client(client) = &mut conn.role else { return };
        // Without a connection nothing is due, and only the time of the next is asked for.
        let mut none = vec![];
        let out = conn.link.as_mut().map_or(&mut none, |link| &mut link.out);
        if let Some(due) = client.submit(now, &mut self.context, out) {
            self.timers.push(Reverse((due, at)));
        }
        self.flush(at);
    }

    fn receive(&mut self, at: usize) {
        let Driver { conns, scratch, orders, context, timers, stage, .. } = self;
        let received = conns[at].receive(scratch, orders.stand, *stage, context, &mut |due| {
            timers.push(Reverse((due, at)));
        });
        match received {
            Ok(()) if matches!(&conns[at].role, Role::Client(client) if client.connects_each(context.cast)) =>
            {
                conns[at].close_after_job(context);
                self.submit(at);
            }
            Ok(()) => self.flush(at),
            Err(broken) => self.broken(at, &broken),
        }
    }

    fn flush(&mut self, at: usize) {
        let token = EventData::new_u64(at as u64);
        if let Err(broken) = self.conns[at].flush(&self.epoll, token) {
            self.broken(at, &broken);
        }
    }

    #[cold]
    fn broken(&mut self, at: usize, broken: &Broken) {
        let now = self.orders.stand.clock.now();
        let alone =
            matches!(&self.conns[at].role, Role::Client(client) if client.connects_each(self.context.cast));
        if alone && self.stage < Stage::Quiet {
            let due = self.conns[at].lose_job(now, &mut self.context);
            self.timers.push(Reverse((due, at)));
            match self.orders.reconnect {
                true => self.context.tally.reconnects += 1,
                false => self.tell(broken),
            }
            return;
        }
        if self.orders.reconnect && self.stage < Stage::Quiet {
            if let Some(due) = self.conns[at].lose(now, &mut self.context) {
                self.timers.push(Reverse((due, at)));
            }
            return;
        }
        if self.conns[at].abandon(&mut self.context) {
            self.tell(broken);
        }
    }

    /// Counts a connection that broke for good.
    fn tell(&mut self, broken: &Broken) {
        // The first few say enough.
        if self.context.tally.closed < 3 {
            eprintln!("a connection broke: {broken}");
        }
        self.context.tally.closed += 1;
    }

    /// The phase is over: what was not answered is counted as such.
    fn close(&mut self) {
        let now = self.orders.stand.clock.now();
        // One that was broken off would have gone on until its planned end.
        let planned = if self.context.stop == u64::MAX { 0 } else { self.context.stop };
        for conn in &mut self.conns {
            if let Role::Client(client) = &mut conn.role {
                client.close(now.max(planned), &mut self.context);
            }
        }
    }

    /// Sends what was measured to the reporter.
    fn tick(&mut self) {
        let fresh = self.orders.spares.try_recv();
        let groups = self.context.cast.groups.len();
        let fresh = fresh.unwrap_or_else(|_| Box::new(Recorder::new(groups)));
        let recorder = std::mem::replace(&mut self.context.recorder, fresh);
        let (index, thread) = (self.ticks, self.orders.thread);
        let from = self.ticked;
        // Workers that found their jobs waiting may be done before the time at which clients were to begin.
        let to = self.orders.stand.clock.now().max(from + 1000);
        // Nobody listens any more when the run was given up.
        let _ = self.orders.ticks.send(Tick { index, thread, from, to, recorder });
        (self.ticks, self.ticked) = (self.ticks + 1, to);
        self.next_tick = self.next_tick.saturating_add(self.orders.tick);
    }
}
