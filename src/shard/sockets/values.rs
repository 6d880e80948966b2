//! Whom an order is for, and what came of it: tokens and completions. Values only.
//! The orders themselves are the methods of [`super::Sockets`].
use crate::memory::Large;
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Whom an order was for: a place in the table of connections, and which of those that had this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Below 2^24.
    pub(crate) index: u32,
    /// Never the same for two that had the same index, until it wraps.
    pub(crate) generation: u32,
}

/// A filled buffer. It is read with [`super::Sockets::bytes`] and given back with [`super::Sockets::recycle`].
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(super) id: u16,
    /// At most [`crate::shard::options::ShardOptions::RECEIVE_BUFFER`].
    pub(super) length: u16,
}

impl Buffer {
    /// How many bytes are in it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.length)
    }
}

/// What the kernel did.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A connection, or why there is none.
    Accepted {
        /// Which listener, as given to [`super::Sockets::accept`].
        listener: u32,
        /// The socket.
        socket: Result<OwnedFd, Errno>,
        /// Whether more will follow; if not, accepting must be ordered again.
        more: bool,
    },
    /// Bytes, the end of them, or why there are none.
    Received {
        /// Whose.
        token: Token,
        /// What.
        what: Received,
        /// Whether more will follow; if not, receiving must be ordered again.
        more: bool,
    },
    /// A send went on or ended.
    Sent {
        /// Whose.
        token: Token,
        /// Bytes that the kernel took.
        bytes: Result<usize, Errno>,
        /// The buffer, if the send has ended.
        buffer: Option<Vec<u8>>,
    },
    /// The alarm went off.
    Alarm,
    /// The bell was rung.
    Rung {
        /// Whether the bell is still listened to; if not, that must be ordered again.
        more: bool,
    },
}

impl Received {
    /// How many bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Received::Bytes(buffer) => buffer.len(),
            Received::Direct(_, result) => result.unwrap_or(0),
            Received::End | Received::Failed(_) => 0,
        }
    }
}

/// What came from a socket.
#[derive(Debug)]
pub(crate) enum Received {
    /// Bytes.
    Bytes(Buffer),
    /// Bytes behind those that were in a buffer already: how many, 0 if the peer will send no more.
    Direct(Large, Result<usize, Errno>),
    /// The peer will send no more.
    End,
    /// Nothing: there was no buffer (ENOBUFS), receiving was stopped (ECANCELED), or the connection is broken.
    Failed(Errno),
}
