//! One connection of a load thread: a link, and the role that uses it. Bytes become responses here and go to
//! the role.
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use ringgear_protocol::{DecodeError, Header, Request, Response};
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::job::link::{Link, Received, packets};
use crate::run::client::Client;
use crate::run::orders::Context;
use crate::run::stage::{Stage, Stand};
use crate::run::worker::Worker;

/// One connection of the thread.
#[derive(Debug)]
pub(crate) struct Conn {
    /// `None` after it was closed.
    pub(crate) link: Option<Link>,
    /// Who uses it.
    pub(crate) role: Role,
    /// The address that it comes from.
    source: Option<Ipv4Addr>,
    /// True once the job server has answered.
    ready: bool,
    /// True while epoll tells when the socket takes bytes again.
    blocked: bool,
    /// When to connect again, and after how long the next time, in nanoseconds.
    retry: Option<u64>,
    pause: u64,
}

/// The shortest and the longest time before a connection that broke is made again, in nanoseconds; it doubles in between.
const PAUSES: [u64; 2] = [20_000_000, 500_000_000];

/// Who uses a connection.
#[derive(Debug)]
pub(crate) enum Role {
    /// Becomes a client when the phase begins.
    Waiting(u32),
    /// Submits.
    Client(Client),
    /// Works.
    Worker(Worker),
    /// Does nothing.
    Idle,
}

/// What went wrong with one connection.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The socket.
    Io(io::Error),
    /// What came over it.
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

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Io(error) => error.fmt(f),
            Broken::Packet(error) => error.fmt(f),
        }
    }
}

impl Conn {
    /// A connection on which the job server has not answered yet.
    pub(crate) fn new(link: Link, role: Role, source: Option<Ipv4Addr>) -> Conn {
        Conn { link: Some(link), role, source, ready: false, blocked: false, retry: None, pause: PAUSES[0] }
    }

    /// True if the job server has answered on it.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready && self.link.is_some()
    }

    /// It broke at `now` and is to be made again: tells when. `None` if that was known already.
    pub(crate) fn lose(&mut self, now: u64, context: &mut Context<'_>) -> Option<u64> {
        self.link.take()?;
        context.counts.connecting += u64::from(self.ready);
        (self.ready, self.blocked) = (false, false);
        match &mut self.role {
            Role::Client(client) => client.lose(now, context),
            Role::Worker(worker) => worker.lose(context),
            Role::Waiting(_) | Role::Idle => {}
        }
        Some(self.again(now))
    }

    /// The time of the next try, after one that failed at `now`.
    fn again(&mut self, now: u64) -> u64 {
        let due = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        self.retry = Some(due);
        due
    }

    /// Connects again if it is time to; gives the time of the next try where that fails at once.
    pub(crate) fn retry(
        &mut self,
        now: u64,
        server: SocketAddr,
        epoll: &OwnedFd,
        token: EventData,
        context: &mut Context<'_>,
    ) -> Option<u64> {
        if self.link.is_some() || self.retry.is_none_or(|due| due > now) {
            return None;
        }
        self.retry = None;
        let mut link = match self.open(server, epoll, token) {
            Ok(link) => link,
            Err(_) => return Some(self.again(now)),
        };
        if let Role::Worker(worker) = &self.role {
            worker.register(context.cast, &mut link.out);
        }
        Request::EchoReq { data: b"hello" }.encode(&mut link.out);
        context.tally.reconnects += 1;
        self.link = Some(link);
        None
    }

    /// A new link, of which epoll tells.
    fn open(&self, server: SocketAddr, epoll: &OwnedFd, token: EventData) -> io::Result<Link> {
        let link = Link::begin(server, self.source)?;
        epoll::add(epoll, link.stream(), token, EventFlags::IN)?;
        Ok(link)
    }

    /// Makes the connection of one job, for a client that has one due and makes one for each.
    pub(crate) fn open_for_job(
        &mut self,
        now: u64,
        server: SocketAddr,
        epoll: &OwnedFd,
        token: EventData,
        context: &Context<'_>,
    ) -> Result<(), Broken> {
        let Role::Client(client) = &self.role else { return Ok(()) };
        if self.link.is_none() && client.wants(now, context) {
            let link = self.open(server, epoll, token)?;
            (self.link, self.blocked) = (Some(link), false);
        }
        Ok(())
    }

    /// The connection of a job broke at `now`. Gives the time at which to go on with the next.
    pub(crate) fn lose_job(&mut self, now: u64, context: &mut Context<'_>) -> u64 {
        self.link = None;
        if let Role::Client(client) = &mut self.role {
            client.lose(now, context);
        }
        now + PAUSES[0]
    }

    /// Closes the connection of a job that is answered, where each has its own.
    pub(crate) fn close_after_job(&mut self, context: &Context<'_>) {
        if let Role::Client(client) = &self.role
            && client.connects_each(context.cast)
            && client.is_idle()
        {
            self.link = None;
        }
    }

    /// Reads once and lets the role answer; what it answers waits to be flushed. `timer` takes the times at which
    /// to look again.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        stand: &Stand,
        stage: Stage,
        context: &mut Context<'_>,
        timer: &mut dyn FnMut(u64),
    ) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let received = link.receive(scratch)?;
        let now = stand.clock.now();
        let (role, ready, pause) = (&mut self.role, &mut self.ready, &mut self.pause);
        let mut each = |header: &Header, data: &[u8], out: &mut Vec<u8>| {
            let response = Response::decode(header, data)?;
            match (response, role as &mut Role) {
                (Response::EchoRes { .. }, role) => {
                    *pause = PAUSES[0];
                    echoed(role, ready, stage, now, context, out);
                }
                (_, Role::Client(client)) => client.receive(&response, now, context),
                (_, Role::Worker(worker)) => {
                    if let Some(due) = worker.receive(&response, now, context, out) {
                        timer(due);
                    }
                }
                (_, Role::Waiting(_) | Role::Idle) => {}
            }
            Ok::<_, Broken>(())
        };
        // The roles write while what was read is still borrowed, so the link lends its output.
        let mut out = std::mem::take(&mut link.out);
        let read = match received {
            Received::Nothing => Ok(()),
            Received::Closed => Err(Broken::Io(io::ErrorKind::UnexpectedEof.into())),
            Received::Bytes(count) => {
                let bytes = &scratch[..count];
                let read = packets(bytes, |header, data| each(header, data, &mut out));
                read.map(|(end, needed)| link.keep(&bytes[end..], needed))
            }
            Received::Large => {
                let packet = link.take_large();
                let read = packets(&packet, |header, data| each(header, data, &mut out));
                link.end_large(packet);
                read.map(|_| ())
            }
        };
        link.out = out;
        read?;
        if received == Received::Nothing {
            return Ok(());
        }
        context.counts.last = now;
        match &mut self.role {
            // The next job comes on another connection.
            Role::Client(client) if client.connects_each(context.cast) => {}
            Role::Client(client) => {
                if let Some(due) = client.submit(now, context, &mut link.out) {
                    timer(due);
                }
            }
            Role::Worker(worker) if stage >= Stage::Run => worker.settle(context, &mut link.out),
            _ => {}
        }
        Ok(())
    }

    /// Whether there is more to receive of which epoll does not tell.
    pub(crate) fn has_more(&mut self) -> bool {
        self.link.as_mut().is_some_and(Link::has_more)
    }

    /// Sends what waits; where the socket takes no more, epoll tells when it does.
    pub(crate) fn flush(&mut self, epoll: &OwnedFd, token: EventData) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if !link.is_unsent() {
            return Ok(());
        }
        let all = link.flush()?;
        if all == self.blocked {
            self.blocked = !all;
            let out = if all { EventFlags::empty() } else { EventFlags::OUT };
            epoll::modify(epoll, link.stream(), token, EventFlags::IN | out).map_err(io::Error::from)?;
        }
        Ok(())
    }

    /// Closes it because it broke; false if it was closed already.
    pub(crate) fn abandon(&mut self, context: &mut Context<'_>) -> bool {
        if self.link.take().is_none() {
            return false;
        }
        context.counts.broken += 1;
        context.counts.connecting -= u64::from(!self.ready);
        match &mut self.role {
            Role::Client(client) => client.abandon(context),
            Role::Waiting(_) => context.counts.submitting -= 1,
            Role::Worker(worker) => worker.abandon(context),
            Role::Idle => {}
        }
        true
    }
}

/// The job server answered an ECHO_REQ: the first on a connection, or a worker's last.
#[cold]
fn echoed(
    role: &mut Role,
    ready: &mut bool,
    stage: Stage,
    now: u64,
    context: &mut Context<'_>,
    out: &mut Vec<u8>,
) {
    if !*ready {
        *ready = true;
        context.counts.connecting -= 1;
        // One that was made again, while the phase goes on.
        match role {
            Role::Client(client) => client.resume(now),
            Role::Worker(worker) if (Stage::Run..Stage::Quiet).contains(&stage) => worker.begin(context, out),
            _ => {}
        }
    } else if let (Role::Worker(worker), Stage::Quiet) = (role, stage) {
        worker.part(context);
    }
}
