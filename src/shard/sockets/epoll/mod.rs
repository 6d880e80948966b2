//! Sockets by epoll, edge-triggered: where io_uring is forbidden, missing or too old. Nothing newer than Linux 4.18 is used.
//!
//! What each order promises stands at the methods of [`super::Sockets`], which have the same names. The kernel tells of sockets
//! (`collect`); what is ready stands in line, and becomes a completion when the shard asks for the next one: so a buffer is
//! filled when it is about to be read, and whoever sends much stands behind the others again after each buffer. The receive
//! buffers are in `buffers.rs`, what is known of a socket is in `watched.rs`, receiving and sending are in files of their names, the
//! calls are in `calls.rs`.
mod buffers;
mod calls;
mod receive;
mod send;
mod watched;

use super::portions::SHARED_AT_ONCE;
use super::{Buffer, Completion, Token};
use crate::engine::Instant;
use crate::shard::error::ShardError;
use buffers::ReceiveBuffers;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use watched::{WatchedListener, WatchedSocket};

/// Connections accepted in one round: the others wait in the kernel.
const ACCEPTED_AT_ONCE: usize = 64;

/// What the kernel tells of a socket: bytes, their end, urgent data, errors (these always).
const OF_SOCKETS: EventFlags =
    EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::PRI).union(EventFlags::ET);
/// Of a listener: one of the shards that share a unix socket is woken.
const OF_LISTENERS: EventFlags = EventFlags::IN.union(EventFlags::ET).union(EventFlags::EXCLUSIVE);
const OF_OTHERS: EventFlags = EventFlags::IN.union(EventFlags::ET);

/// What an event is about, in its upper byte; below are index and generation of a token.
const SOCKET: u8 = 0;
const LISTENER: u8 = 1;
const BELL: u8 = 2;
const ALARM: u8 = 3;

fn data(about: u8, index: u32, generation: u32) -> EventData {
    EventData::new_u64(u64::from(about) << 56 | u64::from(index) << 32 | u64::from(generation))
}

/// Who stands in line: a listener or a socket, by index.
#[derive(Clone, Copy, Debug)]
enum InLine {
    Listener(u32),
    Socket(u32),
}

/// Sockets that the kernel tells of, on one thread.
pub(crate) struct Epoll {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// Room for what the kernel tells.
    events: Vec<libc::epoll_event>,
    buffers: ReceiveBuffers,
    /// By index of the token.
    sockets: Vec<WatchedSocket>,
    listeners: Vec<WatchedListener>,
    /// Completions that are there.
    done: VecDeque<Completion>,
    /// Whoever may have something for us, each once.
    line: VecDeque<InLine>,
    /// How many more of them have their turn in this round.
    turns_left: usize,
    /// How many more may be accepted in this round, and the listeners whose turn is in the next one.
    accepts_left: usize,
    later: Vec<u32>,
    /// Whose next piece is to be sent, oldest first, and how many bytes may still be sent in this round.
    senders: VecDeque<Token>,
    allowance: usize,
    /// Whether the kernel was asked since the last round began, and whether the last round did without.
    asked: bool,
    skipped: bool,
    /// When the alarm goes off, if it is set.
    alarm: Option<Instant>,
    /// Why no socket can be served any more, if so.
    broken: Option<Errno>,
}

fn refused(error: Errno) -> ShardError {
    ShardError::of_system("make an epoll", error.into())
}

impl Epoll {
    /// With at most so many receive buffers.
    pub(super) fn new(buffers: u16) -> Result<Epoll, ShardError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(refused)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(|error| ShardError::of_system("make a timer", error.into()))?;
        epoll::add(&epoll, &timer, data(ALARM, 0, 0), OF_OTHERS).map_err(refused)?;
        Ok(Epoll {
            epoll,
            timer,
            events: Vec::new(),
            buffers: ReceiveBuffers::new(buffers),
            sockets: Vec::new(),
            listeners: Vec::new(),
            done: VecDeque::new(),
            line: VecDeque::new(),
            turns_left: 0,
            accepts_left: 0,
            later: Vec::new(),
            senders: VecDeque::new(),
            allowance: SHARED_AT_ONCE,
            asked: false,
            skipped: false,
            alarm: None,
            broken: None,
        })
    }

    pub(super) fn listen(&mut self, bell: BorrowedFd<'_>) {
        match epoll::add(&self.epoll, bell, data(BELL, 0, 0), OF_OTHERS) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => self.broken = Some(error),
        }
    }

    pub(super) fn accept(&mut self, listener: u32, socket: BorrowedFd<'_>) {
        let index = listener as usize;
        if self.listeners.len() <= index {
            self.listeners.resize_with(index + 1, WatchedListener::default);
        }
        let watched = &mut self.listeners[index];
        watched.socket = socket.as_raw_fd();
        if !watched.known {
            let asked = rustix::io::ioctl_fionbio(socket, true)
                .and_then(|()| epoll::add(&self.epoll, socket, data(LISTENER, listener, 0), OF_LISTENERS));
            if let Err(error) = asked {
                let socket = Err(error);
                self.done.push_back(Completion::Accepted { listener, socket, more: false });
                return;
            }
            watched.known = true;
        }
        watched.accepts = true;
        // Whoever has connected while nobody was accepted was told of long ago.
        self.line_up(InLine::Listener(listener));
    }

    pub(super) fn stop_accepting(&mut self, listener: u32) {
        let Some(watched) = self.listeners.get_mut(listener as usize) else { return };
        if std::mem::take(&mut watched.accepts) {
            // Closing does not do it: other shards have copies of a unix socket.
            calls::forget(self.epoll.as_fd(), watched.socket);
            watched.known = false;
            let socket = Err(Errno::CANCELED);
            self.done.push_back(Completion::Accepted { listener, socket, more: false });
        }
    }

    /// Has the kernel tell of a socket, if it does not yet.
    #[inline]
    fn watch(&mut self, token: Token, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let index = token.index as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, WatchedSocket::default);
        }
        let watched = &mut self.sockets[index];
        if watched.known && watched.generation == token.generation {
            return Ok(());
        }
        // Whoever was here before is closed, and the kernel tells no more of it. What stands in line belongs to the place.
        let in_line = watched.in_line;
        *watched = WatchedSocket {
            generation: token.generation,
            socket: socket.as_raw_fd(),
            in_line,
            ..WatchedSocket::default()
        };
        epoll::add(&self.epoll, socket, data(SOCKET, token.index, token.generation), OF_SOCKETS)?;
        watched.known = true;
        // Where descriptors come along with bytes, a receive ends, although there is more.
        watched.to_the_end = socket_domain(socket) == Ok(AddressFamily::UNIX);
        Ok(())
    }

    /// A socket leaves with its orders done: the kernel is to tell no more of it, although it stays open.
    pub(super) fn release(&mut self, token: Token, socket: BorrowedFd<'_>) {
        if let Some(watched) = self.sockets.get_mut(token.index as usize)
            && watched.generation == token.generation
            && std::mem::take(&mut watched.known)
        {
            calls::forget(self.epoll.as_fd(), socket.as_raw_fd());
        }
    }

    pub(super) fn set_alarm(&mut self, at: Instant) {
        if self.alarm.is_some_and(|set| set <= at) {
            return;
        }
        self.alarm = Some(at);
        // Both fit. All zero would be no alarm.
        let (sec, nsec) = ((at.0 / 1_000_000_000) as i64, (at.0 % 1_000_000_000).max(1) as i64);
        let time = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: sec, tv_nsec: nsec },
        };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &time) {
            self.broken = Some(error);
        }
    }

    #[inline]
    fn line_up(&mut self, who: InLine) {
        let in_line = match who {
            InLine::Listener(index) => &mut self.listeners[index as usize].in_line,
            InLine::Socket(index) => &mut self.sockets[index as usize].in_line,
        };
        if !std::mem::replace(in_line, true) {
            self.line.push_back(who);
        }
    }

    /// An error means that the kernel tells of nothing any more. It is asked in every round while there is something else to
    /// do, so that nobody is overlooked; otherwise in every other one, for [`Epoll::wait`] asks, too.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), ShardError> {
        if let Some(error) = self.broken {
            return Err(ShardError::of_system("use an epoll", error.into()));
        }
        if self.turns_left == 0 && !self.line.is_empty() && !self.buffers.lending.are_short() {
            // Many have sent something.
            self.buffers.lending.more();
        }
        self.turns_left = self.buffers.lending.portion().into();
        self.accepts_left = ACCEPTED_AT_ONCE;
        self.line.extend(self.later.drain(..).map(InLine::Listener));
        self.take_turns();
        if std::mem::take(&mut self.asked) {
            return Ok(());
        }
        if self.is_quiet() && !self.skipped {
            self.skipped = true;
            return Ok(());
        }
        self.collect(false)
    }

    /// Asks the kernel of which sockets it has to tell, and waits for the first, if so ordered.
    fn collect(&mut self, waiting: bool) -> Result<(), ShardError> {
        self.skipped = false;
        match calls::wait(self.epoll.as_fd(), &mut self.events, waiting) {
            Ok(()) | Err(Errno::INTR) => {}
            Err(error) => return Err(ShardError::of_system("wait for an epoll", io::Error::from(error))),
        }
        // There may be more than found room.
        self.asked = self.events.len() < calls::EVENTS;
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.note(event);
        }
        self.events = events;
        Ok(())
    }

    #[inline]
    fn note(&mut self, event: libc::epoll_event) {
        let (number, flags) = (event.u64, EventFlags::from_bits_retain(event.events));
        let (index, generation) = ((number >> 32) as u32 & 0x00ff_ffff, number as u32);
        match (number >> 56) as u8 {
            SOCKET => self.note_socket(Token { index, generation }, flags),
            LISTENER => self.line_up(InLine::Listener(index)),
            BELL => self.done.push_back(Completion::Rung { more: true }),
            ALARM => {
                self.alarm = None;
                self.done.push_back(Completion::Alarm);
            }
            _ => {}
        }
    }

    #[inline]
    fn note_socket(&mut self, token: Token, flags: EventFlags) {
        const ENDS: EventFlags =
            EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);
        const ROOM: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);
        let Some(watched) = self.sockets.get_mut(token.index as usize) else { return };
        if watched.generation != token.generation {
            // Told before it was closed.
            return;
        }
        if flags.intersects(EventFlags::IN.union(ENDS)) {
            watched.readable = true;
            watched.to_the_end |= flags.intersects(ENDS);
        }
        if flags.intersects(ROOM) && std::mem::take(&mut watched.sending.blocked) {
            self.senders.push_back(token);
        }
        if self.sockets[token.index as usize].is_ready() {
            self.line_up(InLine::Socket(token.index));
        }
    }

    #[inline]
    pub(super) fn has_more(&mut self) -> bool {
        // An error is seen by whoever enters or waits next.
        !self.is_quiet() || (self.collect(false).is_ok() && !self.is_quiet())
    }

    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        let nobody_waits = self.line.is_empty() && self.later.is_empty() && self.senders.is_empty();
        nobody_waits && self.done.is_empty() && self.broken.is_none()
    }

    pub(super) fn wait(&mut self) -> Result<(), ShardError> {
        self.collect(true)
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Completion> {
        loop {
            if let Some(completion) = self.done.pop_front() {
                return Some(completion);
            }
            if self.turns_left == 0 {
                return None;
            }
            let next = self.line.pop_front()?;
            self.turns_left -= 1;
            let completion = match next {
                InLine::Listener(index) => self.accept_next(index),
                InLine::Socket(index) => self.receive_next(index),
            };
            if completion.is_some() {
                return completion;
            }
        }
    }

    fn accept_next(&mut self, listener: u32) -> Option<Completion> {
        let watched = &mut self.listeners[listener as usize];
        if watched.accepts && self.accepts_left == 0 {
            self.later.push(listener);
            return None;
        }
        watched.in_line = false;
        if !watched.accepts {
            return None;
        }
        self.accepts_left -= 1;
        let socket = match calls::accept(watched.socket) {
            Err(Errno::AGAIN) => return None,
            socket => socket,
        };
        let more = socket.is_ok();
        watched.accepts = more;
        if more {
            self.line_up(InLine::Listener(listener));
        }
        Some(Completion::Accepted { listener, socket, more })
    }

    #[inline]
    pub(super) fn bytes<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        self.buffers.bytes(buffer)
    }

    #[inline]
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.recycle(buffer);
    }

    pub(super) fn lend_more(&mut self) {
        self.buffers.lending.more();
    }

    #[inline]
    pub(super) fn tend_buffers(&mut self, short: bool) {
        self.buffers.lending.tend(short);
    }
}

#[cfg(test)]
impl Epoll {
    /// How many receive buffers may be filled in a round now.
    pub(super) fn portion(&self) -> u16 {
        self.buffers.lending.portion()
    }
}
