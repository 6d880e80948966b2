//! One connection of a load thread: a link, and the role that uses it. Bytes become responses here and go to
//! the role.
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use ringgear_protocol::{DecodeError, Header, Response};
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
    /// True once the job server has answered.
    ready: bool,
    /// True while epoll tells when the socket takes bytes again.
    blocked: bool,
}

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
    pub(crate) fn new(link: Link, role: Role) -> Conn {
        Conn { link: Some(link), role, ready: false, blocked: false }
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
        let (role, ready) = (&mut self.role, &mut self.ready);
        let mut each = |header: &Header, data: &[u8], out: &mut Vec<u8>| {
            let response = Response::decode(header, data)?;
            match (response, role as &mut Role) {
                (Response::EchoRes { .. }, role) => echoed(role, ready, stage, context),
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

    /// Sends what waits; where the socket takes no more, epoll tells when it does.
    pub(crate) fn flush(&mut self, epoll: &OwnedFd, token: EventData) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if link.unsent() == 0 {
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
        context.tally.closed += 1;
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
fn echoed(role: &mut Role, ready: &mut bool, stage: Stage, context: &mut Context<'_>) {
    if !*ready {
        *ready = true;
        context.counts.connecting -= 1;
    } else if let (Role::Worker(worker), Stage::Quiet) = (role, stage) {
        worker.part(context);
    }
}
