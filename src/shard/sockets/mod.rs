//! The sockets of a shard: orders to the kernel, and what came of them. One interface, in which nothing says how the kernel is
//! asked: that is in `uring/` and `epoll/`, and which of them it is, `shard/choose.rs` says. What the kernel knows of a peer is asked in
//! `unacked.rs` and `peer.rs`. Which connections there are, and what the bytes mean, is none of its business.
//!
//! Towards the shard it is a queue of orders and a queue of [`Completion`]s. It owns every byte that the kernel
//! reads or writes until the completion says that the kernel is done.
mod epoll;
mod lending;
mod peer;
mod portions;
mod unacked;
mod uring;
mod values;

use super::error::ShardError;
use super::parcel::Parcel;
use crate::engine::Instant;
use crate::memory::Large;
use epoll::Epoll;
pub(crate) use peer::former_peer;
use std::os::fd::BorrowedFd;
pub(crate) use unacked::{Unacked, unacked};
use uring::Uring;
pub(crate) use uring::{RingObstacle, RingSize};
pub(crate) use values::{Buffer, Completion, Received, Token};

/// How the sockets of a shard are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketsKind {
    /// By a private io_uring of this size.
    Uring(RingSize),
    /// By epoll.
    Epoll,
}

/// Whether so many shards can have their sockets served by io_uring here, and how large their rings may be.
pub(crate) fn try_uring(shards: u16) -> Result<RingSize, RingObstacle> {
    Uring::trial(shards)
}

/// Whether sockets can be served by epoll here.
pub(crate) fn try_epoll() -> Result<(), ShardError> {
    Epoll::new(16).map(drop)
}

/// The sockets of a shard, on the thread that made it. To each variant belongs a file or folder that knows how.
pub(crate) enum Sockets {
    /// By a private io_uring.
    Uring(Uring),
    /// By epoll.
    Epoll(Epoll),
}

impl Sockets {
    /// With so many receive buffers, a power of two.
    pub(crate) fn new(kind: SocketsKind, buffers: u16) -> Result<Sockets, ShardError> {
        Ok(match kind {
            SocketsKind::Uring(size) => Sockets::Uring(Uring::new(size, buffers)?),
            SocketsKind::Epoll => Sockets::Epoll(Epoll::new(buffers)?),
        })
    }

    /// Listens to a bell, an event descriptor that stays open as long as this: ringing it ends [`Sockets::wait`].
    pub(crate) fn listen(&mut self, bell: BorrowedFd<'_>) {
        match self {
            Sockets::Uring(ring) => ring.listen(bell),
            Sockets::Epoll(epoll) => epoll.listen(bell),
        }
    }

    /// Accepts connections of a listener, which stays open until a completion says that no more will follow.
    pub(crate) fn accept(&mut self, listener: u32, socket: BorrowedFd<'_>) {
        match self {
            Sockets::Uring(ring) => ring.accept(listener, socket),
            Sockets::Epoll(epoll) => epoll.accept(listener, socket),
        }
    }

    /// Stops accepting: a completion without more follows.
    pub(crate) fn stop_accepting(&mut self, listener: u32) {
        match self {
            Sockets::Uring(ring) => ring.stop_accepting(listener),
            Sockets::Epoll(epoll) => epoll.stop_accepting(listener),
        }
    }

    /// Receives from a socket, which stays open until a completion says that no more will follow.
    #[inline]
    pub(crate) fn receive(&mut self, token: Token, socket: BorrowedFd<'_>) {
        match self {
            Sockets::Uring(ring) => ring.receive(token, socket),
            Sockets::Epoll(epoll) => epoll.receive(token, socket),
        }
    }

    /// Receives once, as much as a receive buffer holds. The socket stays open until the completion.
    pub(crate) fn receive_once(&mut self, token: Token, socket: BorrowedFd<'_>) {
        match self {
            Sockets::Uring(ring) => ring.receive_once(token, socket),
            Sockets::Epoll(epoll) => epoll.receive_once(token, socket),
        }
    }

    /// Receives so many bytes behind those that are in the buffer, which has room for them: all of them, unless they are too
    /// many for one piece, or the peer's end or [`Sockets::stop_direct`] comes before. The socket stays open, and nothing
    /// else is received, until a completion gives the buffer back.
    pub(crate) fn receive_direct(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        buffer: Large,
        bytes: usize,
    ) {
        match self {
            Sockets::Uring(ring) => ring.receive_direct(token, socket, buffer, bytes),
            Sockets::Epoll(epoll) => epoll.receive_direct(token, socket, buffer, bytes),
        }
    }

    /// Stops such a receive: its completion follows, with what has come.
    pub(crate) fn stop_direct(&mut self, token: Token) {
        match self {
            Sockets::Uring(ring) => ring.stop_direct(token),
            Sockets::Epoll(epoll) => epoll.stop_direct(token),
        }
    }

    /// Stops receiving: a completion without more follows.
    pub(crate) fn stop_receiving(&mut self, token: Token) {
        match self {
            Sockets::Uring(ring) => ring.stop_receiving(token),
            Sockets::Epoll(epoll) => epoll.stop_receiving(token),
        }
    }

    /// Sends a parcel that is not empty. The socket stays open, and nothing else is sent for this token, until a
    /// completion gives the parcel's buffer back.
    #[inline]
    pub(crate) fn send(&mut self, token: Token, socket: BorrowedFd<'_>, parcel: Parcel) {
        match self {
            Sockets::Uring(ring) => ring.send(token, socket, parcel),
            Sockets::Epoll(epoll) => epoll.send(token, socket, parcel),
        }
    }

    /// A socket leaves this shard and stays open. No order is left, and no completion.
    pub(crate) fn release(&mut self, token: Token, socket: BorrowedFd<'_>) {
        match self {
            // The kernel knows orders only.
            Sockets::Uring(_) => {}
            Sockets::Epoll(epoll) => epoll.release(token, socket),
        }
    }

    /// Stops a send: a completion with the buffer follows.
    pub(crate) fn stop_sending(&mut self, token: Token) {
        match self {
            Sockets::Uring(ring) => ring.stop_sending(token),
            Sockets::Epoll(epoll) => epoll.stop_sending(token),
        }
    }

    /// Sets the alarm to this time, if it is not set to an earlier one. It may go off too early, never too late.
    pub(crate) fn set_alarm(&mut self, at: Instant) {
        match self {
            Sockets::Uring(ring) => ring.set_alarm(at),
            Sockets::Epoll(epoll) => epoll.set_alarm(at),
        }
    }

    /// Hands all orders to the kernel and lets it finish what is ready. Never blocks. An error means that no socket can be
    /// served any more.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), ShardError> {
        match self {
            Sockets::Uring(ring) => ring.enter(),
            Sockets::Epoll(epoll) => epoll.enter(),
        }
    }

    /// Whether the kernel has done more, or could at once.
    #[inline]
    pub(crate) fn has_more(&mut self) -> bool {
        match self {
            Sockets::Uring(ring) => ring.has_more(),
            Sockets::Epoll(epoll) => epoll.has_more(),
        }
    }

    /// Whether nothing stands in the way of [`Sockets::wait`]: no order waits behind others, no completion to be read.
    #[inline]
    pub(crate) fn is_quiet(&mut self) -> bool {
        match self {
            Sockets::Uring(ring) => ring.is_quiet(),
            Sockets::Epoll(epoll) => epoll.is_quiet(),
        }
    }

    /// Hands all orders to the kernel and sleeps until it has finished something.
    pub(crate) fn wait(&mut self) -> Result<(), ShardError> {
        match self {
            Sockets::Uring(ring) => ring.wait(),
            Sockets::Epoll(epoll) => epoll.wait(),
        }
    }

    /// The next thing that the kernel did.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Completion> {
        match self {
            Sockets::Uring(ring) => ring.next(),
            Sockets::Epoll(epoll) => epoll.next(),
        }
    }

    /// The bytes in a buffer.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        match self {
            Sockets::Uring(ring) => ring.bytes(buffer),
            Sockets::Epoll(epoll) => epoll.bytes(buffer),
        }
    }

    /// Takes a buffer back, for other bytes.
    #[inline]
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        match self {
            Sockets::Uring(ring) => ring.recycle(buffer),
            Sockets::Epoll(epoll) => epoll.recycle(buffer),
        }
    }

    /// Has more buffers filled at a time, because there were none when bytes arrived.
    pub(crate) fn lend_more(&mut self) {
        match self {
            Sockets::Uring(ring) => ring.lend_more(),
            Sockets::Epoll(epoll) => epoll.lend_more(),
        }
    }

    /// To be called once a round: fewer buffers are filled after a calm time, and few while many wait to be read.
    #[inline]
    pub(crate) fn tend_buffers(&mut self, short: bool) {
        match self {
            Sockets::Uring(ring) => ring.tend_buffers(short),
            Sockets::Epoll(epoll) => epoll.tend_buffers(short),
        }
    }
}

#[cfg(test)]
mod tests;
