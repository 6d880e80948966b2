//! Sockets by a private io_uring: accept, receive, send, one alarm. With the files beside its folder the one unsafe place of the shell;
//! the server has two more, `memory/` and `process/daemon.rs`.
//!
//! What each order promises stands at the methods of [`super::Sockets`], which have the same names. The receive buffers are in `buffers.rs`, the send in flight of each connection is in
//! `flight.rs`.
#![allow(unsafe_code)]

mod buffers;
mod flight;
mod obstacle;
mod operation;
mod size;
mod trial;

use super::portions::{DIRECT_PIECE, SHARED_AT_ONCE};
use super::{Buffer, Completion, Received, Token};
use crate::engine::Instant;
use crate::memory::Large;
use crate::shard::error::ShardError;
use crate::shard::parcel::Parcel;
use buffers::Buffers;
use flight::Flight;
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};
pub(crate) use obstacle::RingObstacle;
use operation::{ALARM, BELL, Operation, number};
use rustix::io::Errno;
pub(crate) use size::RingSize;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The group of the receive buffers: there is one.
const GROUP: u16 = 0;

/// A ring, on the thread that made it.
pub(crate) struct Uring {
    io: IoUring,
    buffers: Buffers,
    /// By index of the token.
    flights: Vec<Flight>,
    /// What is received into by [`Uring::receive_direct`], by index of the token.
    direct: Vec<Large>,
    /// Whose next piece waits for its turn, oldest first, and how many bytes of shared payloads may still be ordered
    /// before the kernel is called.
    turns: VecDeque<Token>,
    allowance: usize,
    /// Orders that found no room in the submission queue, oldest first.
    backlog: VecDeque<squeue::Entry>,
    /// Whether the kernel's sign that it could do more is left over from work that is done: it may put up the sign
    /// after we have seen the work, and takes it down only with the next.
    stale: bool,
    /// When the alarm goes off, if it is set.
    alarm: Option<Instant>,
    /// The alarm's time for the kernel, which reads it when the order is submitted.
    alarm_time: Box<types::Timespec>,
}

fn make(size: RingSize) -> io::Result<IoUring> {
    // Completions are only worked off when we ask for them, on this thread: without that, a job costs twice as much.
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(size.completions)
        .build(size.submissions)
}

impl Uring {
    /// A ring with so many receive buffers, a power of two.
    pub(super) fn new(size: RingSize, buffers: u16) -> Result<Uring, ShardError> {
        Ok(Uring::try_new(size, buffers)?)
    }

    fn try_new(size: RingSize, buffers: u16) -> Result<Uring, RingObstacle> {
        let io = make(size).map_err(RingObstacle::of_call("io_uring_setup"))?;
        let buffers =
            Buffers::new(&io, GROUP, buffers).map_err(RingObstacle::of_call("io_uring_register"))?;
        Ok(Uring {
            io,
            buffers,
            flights: Vec::new(),
            direct: Vec::new(),
            turns: VecDeque::new(),
            allowance: SHARED_AT_ONCE,
            backlog: VecDeque::new(),
            stale: false,
            alarm: None,
            alarm_time: Box::new(types::Timespec::new()),
        })
    }

    pub(super) fn listen(&mut self, bell: BorrowedFd<'_>) {
        let entry =
            opcode::PollAdd::new(types::Fd(bell.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        self.order(entry.user_data(BELL));
    }

    pub(super) fn accept(&mut self, listener: u32, socket: BorrowedFd<'_>) {
        let token = Token { index: listener, generation: 0 };
        let entry = opcode::AcceptMulti::new(types::Fd(socket.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.order(entry.user_data(number(Operation::Accept, token)));
    }

    pub(super) fn stop_accepting(&mut self, listener: u32) {
        self.cancel(number(Operation::Accept, Token { index: listener, generation: 0 }));
    }

    #[inline]
    pub(super) fn receive(&mut self, token: Token, socket: BorrowedFd<'_>) {
        let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), GROUP).build();
        self.order(entry.user_data(number(Operation::Receive, token)));
    }

    pub(super) fn receive_once(&mut self, token: Token, socket: BorrowedFd<'_>) {
        let entry = opcode::Recv::new(types::Fd(socket.as_raw_fd()), std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.order(entry.user_data(number(Operation::Receive, token)));
    }

    /// At most [`DIRECT_PIECE`].
    pub(super) fn receive_direct(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        mut buffer: Large,
        bytes: usize,
    ) {
        let index = token.index as usize;
        if self.direct.len() <= index {
            self.direct.resize_with(index + 1, Large::default);
        }
        let bytes = bytes.min(DIRECT_PIECE);
        let room = buffer.spare_capacity_mut();
        assert!((1..=room.len()).contains(&bytes), "there is room");
        let start = room.as_mut_ptr().cast::<u8>();
        // The length fits: it is at most DIRECT_PIECE.
        let entry = opcode::Recv::new(types::Fd(socket.as_raw_fd()), start, bytes as u32)
            .flags(libc::MSG_WAITALL)
            .build();
        assert!(self.direct[index].capacity() == 0, "one at a time");
        self.direct[index] = buffer;
        self.order(entry.user_data(number(Operation::Direct, token)));
    }

    pub(super) fn stop_direct(&mut self, token: Token) {
        self.cancel(number(Operation::Direct, token));
    }

    fn received_direct(&mut self, token: Token, result: Result<usize, Errno>) -> Completion {
        let mut buffer = std::mem::take(&mut self.direct[token.index as usize]);
        let length = buffer.len() + result.unwrap_or(0);
        assert!(length <= buffer.capacity() && buffer.capacity() > 0, "the kernel fills what it was lent");
        // SAFETY: the kernel has written so many bytes behind those that were there, and is done with them.
        unsafe { buffer.set_len(length) };
        Completion::Received { token, what: Received::Direct(buffer, result), more: false }
    }

    pub(super) fn stop_receiving(&mut self, token: Token) {
        self.cancel(number(Operation::Receive, token));
    }

    #[inline]
    pub(super) fn send(&mut self, token: Token, socket: BorrowedFd<'_>, parcel: Parcel) {
        let index = token.index as usize;
        if self.flights.len() <= index {
            self.flights.resize_with(index + 1, Flight::default);
        }
        let flight = &mut self.flights[index];
        assert!(flight.parcel.is_empty() && !parcel.is_empty(), "one send at a time, of something");
        *flight = Flight::new(parcel, token.generation, socket.as_raw_fd());
        self.send_piece(token);
    }

    #[inline]
    fn send_piece(&mut self, token: Token) {
        let flight = &mut self.flights[token.index as usize];
        if flight.parcel.plain().is_none() && (self.allowance == 0 || !self.turns.is_empty()) {
            self.turns.push_back(token);
            return;
        }
        self.order_piece(token);
    }

    #[inline]
    fn order_piece(&mut self, token: Token) {
        let flight = &mut self.flights[token.index as usize];
        if flight.parcel.plain().is_none() {
            self.allowance = self.allowance.saturating_sub(flight.piece());
        }
        let entry = flight.order();
        self.order(entry.user_data(number(Operation::Send, token)));
    }

    /// Orders pieces whose turn it is.
    fn take_turns(&mut self) {
        self.allowance = SHARED_AT_ONCE;
        while self.allowance > 0
            && let Some(token) = self.turns.pop_front()
        {
            self.order_piece(token);
        }
    }

    pub(super) fn stop_sending(&mut self, token: Token) {
        self.flights[token.index as usize].stopped = true;
        match self.turns.iter().position(|&waits| waits == token) {
            // The kernel does not know of it: its answer is to say that nothing was sent.
            Some(at) => {
                self.turns.remove(at);
                self.order(opcode::Nop::new().build().user_data(number(Operation::Send, token)));
            }
            None => self.cancel(number(Operation::Send, token)),
        }
    }

    pub(super) fn set_alarm(&mut self, at: Instant) {
        if self.alarm.is_some_and(|set| set <= at) {
            return;
        }
        // The remainder is below 10^9.
        *self.alarm_time =
            types::Timespec::new().sec(at.0 / 1_000_000_000).nsec((at.0 % 1_000_000_000) as u32);
        let time: *const types::Timespec = &*self.alarm_time;
        let entry = if self.alarm.is_none() {
            opcode::Timeout::new(time).flags(types::TimeoutFlags::ABS).build().user_data(ALARM)
        } else {
            opcode::TimeoutUpdate::new(ALARM, time).flags(types::TimeoutFlags::ABS).build()
        };
        self.alarm = Some(at);
        self.order(entry);
    }

    fn cancel(&mut self, order: u64) {
        let entry = opcode::AsyncCancel::new(order).build();
        self.order(entry.user_data(number(Operation::Nothing, Token { index: 0, generation: 0 })));
    }

    #[inline]
    fn order(&mut self, entry: squeue::Entry) {
        // SAFETY: what the entry points to lives until its completion. Sends point into the parcels of `flights`,
        // or at a list of slices of such a parcel, boxed in the flight; neither is touched nor dropped before; direct receives point
        // into the spare room of vectors in `direct`, for which the same holds; the alarm's time is boxed and lives as long as the ring, and the
        // kernel only reads it within `enter`, on this thread; receive buffers are in `buffers`, which lives as
        // long as the ring. Nothing else points anywhere.
        let pushed = self.backlog.is_empty() && unsafe { self.io.submission().push(&entry) }.is_ok();
        if !pushed {
            self.backlog.push_back(entry);
        }
    }

    /// An error means that the ring is broken.
    pub(super) fn enter(&mut self) -> Result<(), ShardError> {
        self.take_turns();
        loop {
            self.buffers.publish();
            let (orders, work) = {
                let queue = self.io.submission();
                (queue.len(), queue.taskrun() || queue.cq_overflow())
            };
            if orders == 0 && !work {
                return Ok(());
            }
            self.call(orders, 0).map_err(|error| ShardError::of_system("use an io_uring", error))?;
            self.stale = work && self.io.completion().is_empty() && self.io.submission().taskrun();
            if self.backlog.is_empty() {
                return Ok(());
            }
            while let Some(entry) = self.backlog.pop_front() {
                // SAFETY: as in `order`.
                if unsafe { self.io.submission().push(&entry) }.is_err() {
                    self.backlog.push_front(entry);
                    break;
                }
            }
        }
    }

    /// Submits so many orders and comes back when at least so many completions are there.
    fn call(&mut self, orders: usize, least: u32) -> io::Result<()> {
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, and there are so many entries in the queue.
        let done = unsafe { self.io.submitter().enter::<libc::sigset_t>(orders as u32, least, flags, None) };
        match done {
            Ok(_) => Ok(()),
            // Too much is going on, or a debugger: what was not done is done next time.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN | libc::EINTR)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    #[inline]
    pub(super) fn has_more(&mut self) -> bool {
        (!self.stale && self.io.submission().taskrun())
            || !self.io.completion().is_empty()
            || !self.turns.is_empty()
    }

    #[inline]
    pub(super) fn is_quiet(&mut self) -> bool {
        self.backlog.is_empty() && self.turns.is_empty() && self.io.completion().is_empty()
    }

    pub(super) fn wait(&mut self) -> Result<(), ShardError> {
        self.buffers.publish();
        let orders = self.io.submission().len();
        self.call(orders, 1).map_err(|error| ShardError::of_system("wait for an io_uring", error))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Completion> {
        loop {
            let entry = self.io.completion().next()?;
            if let Some(completion) = self.read(&entry) {
                return Some(completion);
            }
        }
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

    #[inline]
    fn read(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let order = entry.user_data();
        let token = Token { index: (order >> 32) as u32 & 0x00ff_ffff, generation: order as u32 };
        let more = cqueue::more(entry.flags());
        let result = match entry.result() {
            error @ ..0 => Err(Errno::from_raw_os_error(-error)),
            // Not negative.
            count => Ok(count as usize),
        };
        const ACCEPT: u8 = Operation::Accept as u8;
        const RECEIVE: u8 = Operation::Receive as u8;
        const DIRECT: u8 = Operation::Direct as u8;
        const SEND: u8 = Operation::Send as u8;
        match (order >> 56) as u8 {
            ACCEPT => {
                // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
                let socket = result.map(|_| unsafe { OwnedFd::from_raw_fd(entry.result()) });
                Some(Completion::Accepted { listener: token.index, socket, more })
            }
            RECEIVE => {
                let filled = cqueue::buffer_select(entry.flags())
                    .map(|id| self.buffers.received(id, result.unwrap_or(0)));
                let what = match (result, filled) {
                    (Ok(1..), Some(buffer)) => Received::Bytes(buffer),
                    (result, filled) => {
                        filled.into_iter().for_each(|buffer| self.buffers.recycle(buffer));
                        result.map_or_else(Received::Failed, |_| Received::End)
                    }
                };
                Some(Completion::Received { token, what, more })
            }
            SEND => self.sent(token, result),
            DIRECT => Some(self.received_direct(token, result)),
            operation if operation == Operation::Alarm as u8 => {
                self.alarm = None;
                Some(Completion::Alarm)
            }
            operation if operation == Operation::Bell as u8 => Some(Completion::Rung { more }),
            _ => None,
        }
    }

    fn sent(&mut self, token: Token, mut bytes: Result<usize, Errno>) -> Option<Completion> {
        let flight = &mut self.flights[token.index as usize];
        assert_eq!(flight.generation, token.generation, "a connection goes after its send has ended");
        let mut left = true;
        match bytes {
            Ok(0) => bytes = Err(Errno::PIPE),
            Ok(count) => left = flight.took(count),
            Err(Errno::INTR | Errno::AGAIN) if !flight.stopped => {
                self.send_piece(token);
                return None;
            }
            Err(_) => {}
        }
        if bytes.is_ok() && left {
            if !flight.stopped {
                self.send_piece(token);
                return Some(Completion::Sent { token, bytes, buffer: None });
            }
            bytes = Err(Errno::CANCELED);
        }
        let buffer = std::mem::take(flight).parcel.into_buffer();
        Some(Completion::Sent { token, bytes, buffer: Some(buffer) })
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The kernel may still be reading these, and nobody waits for it: a ring ends when the process does.
        for flight in self.flights.drain(..).filter(|flight| !flight.parcel.is_empty()) {
            std::mem::forget(flight);
        }
        self.direct.drain(..).for_each(std::mem::forget);
    }
}

#[cfg(test)]
impl Uring {
    /// How many receive buffers the kernel may have now.
    pub(super) fn portion(&self) -> u16 {
        self.buffers.lending.portion()
    }
}
