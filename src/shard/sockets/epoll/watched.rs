//! What is known of one socket: which orders there are, and what the kernel said of it. Values only.
//! What follows from it is in `mod.rs`.
use crate::memory::Large;
use crate::shard::parcel::{Parcel, ParcelPosition};
use crate::shard::sockets::Token;
use std::os::fd::RawFd;

/// What is to be received.
#[derive(Debug, Default)]
pub(super) enum Receive {
    /// Nothing.
    #[default]
    Nothing,
    /// Whatever comes, into receive buffers.
    All,
    /// One receive buffer.
    Once,
    /// So many bytes more behind those in the buffer, of which so many came since the order.
    Direct { buffer: Large, missing: usize, came: usize },
}

/// The send under way, if its parcel is not empty.
#[derive(Debug, Default)]
pub(super) struct Sending {
    pub(super) parcel: Parcel,
    /// What comes behind this place is to be sent.
    pub(super) at: ParcelPosition,
    /// So many bytes.
    pub(super) left: usize,
    /// Whether the kernel had no room: it tells when there is some.
    pub(super) blocked: bool,
}

/// One socket, by the index of its token.
#[derive(Debug, Default)]
pub(super) struct WatchedSocket {
    pub(super) generation: u32,
    /// Used only while there is an order.
    pub(super) socket: RawFd,
    /// Whether the kernel tells of it, and whether of room to send, too.
    pub(super) known: bool,
    pub(super) tells_of_room: bool,
    /// Whether there may be something to be received.
    pub(super) readable: bool,
    /// Whether a receive that was not filled says nothing about what is left: the peer's end, an error or urgent data has come.
    pub(super) to_the_end: bool,
    /// Whether it is in the line of those to be received from.
    pub(super) in_line: bool,
    pub(super) receive: Receive,
    pub(super) sending: Sending,
}

impl WatchedSocket {
    pub(super) fn token(&self, index: u32) -> Token {
        Token { index, generation: self.generation }
    }

    /// Whether something is to be received and may be there.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.readable && !matches!(self.receive, Receive::Nothing)
    }
}

/// A listener, by its index.
#[derive(Debug, Default)]
pub(super) struct WatchedListener {
    /// Used only while accepting is ordered.
    pub(super) socket: RawFd,
    /// Whether the kernel tells of it.
    pub(super) known: bool,
    /// Whether accepting is ordered.
    pub(super) accepts: bool,
    /// Whether it is in the line.
    pub(super) in_line: bool,
}
