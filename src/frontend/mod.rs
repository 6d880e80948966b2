//! The front end of the shared port: bytes to requests and queries, replies to bytes. Pure functions: no sockets, no
//! clock, no state of jobs. Packets and lines are told apart in `gear.rs`; the administrators' lines are in `text.rs`.
mod gear;
mod text;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::engine::slot::Slot;
use crate::engine::{Compat, HandlePrefix, Query, Reply};
use crate::protocol::{DecodeError, Refusal, Request, mass_do_functions};
use bytes::Bytes;
use std::fmt;

/// The version that `-V` and the log tell. The suffix says that it is no gearmand, whose numbers are others.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+ringgear");

/// What `version` tells on the port: the gearmand that is followed, then our own version. Libraries compare the first three
/// numbers with gearmand's, to find out what a server can do.
pub fn version(compat: Compat) -> &'static str {
    match compat {
        Compat::V1_1 => concat!("1.1.20+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_0 => concat!("2.0.0+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_1 => concat!("2.1.0+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_2 => concat!("2.2.0+ringgear-", env!("CARGO_PKG_VERSION")),
    }
}

/// What the front end must know to read and write for one job server. The same on every shard.
#[derive(Clone, Debug)]
pub struct Frontend {
    /// The most bytes of data in one packet, its header not counted (`--max-packet-size`).
    pub packet_max: u32,
    /// What `version` tells: see [`version`].
    pub version: &'static str,
    /// The name of the log level, which `verbose` tells.
    pub verbosity: &'static str,
    /// The process, which `getpid` tells.
    pub pid: u32,
    /// What job handles begin with.
    pub handle_prefix: HandlePrefix,
    /// The gearmand whose columns to print.
    pub compat: Compat,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// The beginning of something, all right so far.
    Incomplete {
        /// How many bytes must be there before asking again makes sense, counted from the beginning: more than there
        /// are now.
        needed: usize,
    },
    /// A whole packet or line.
    One {
        /// What it says.
        item: Incoming<'a>,
        /// Its length: the next one begins there.
        consumed: usize,
    },
    /// A packet that could be right but is larger than [`Frontend::packet_max`]: to be answered
    /// [`crate::protocol::Refusal::PacketTooLarge`], and the connection closed.
    TooLarge,
    /// Not Gearman's: the connection is to be closed without a word.
    Malformed(Wrong),
}

/// What is wrong with bytes that are not Gearman's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A packet that is none.
    Packet(DecodeError),
    /// A line that is too long.
    LongLine,
    /// A line of too many words.
    ManyWords,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Packet(error) => error.fmt(f),
            Wrong::LongLine => write!(f, "the peer sent a line of more than {} bytes", text::LINE_MAX),
            Wrong::ManyWords => write!(f, "the peer sent a line of more than {} words", text::WORDS_MAX),
        }
    }
}

/// What a peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A request, borrowed from the bytes.
    Request(Request<'a>),
    /// A question or an order of an administrator.
    Query(Query),
    /// Something whose answer is known already. It still takes its turn among the replies.
    Answer(Reply),
}

/// What has to do with what a peer said. By it the shell decides where a connection lives, and what waits until stored jobs
/// are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The connection itself, no function and no job.
    Connection,
    /// The function of this slot.
    Function(Slot),
    /// More than one function, or what cannot be told from the bytes alone.
    Everything,
}

impl Incoming<'_> {
    /// What it has to do with.
    pub fn concern(&self) -> Concern {
        let Incoming::Request(request) = self else { return Concern::Everything };
        match request {
            Request::SetClientId { .. } | Request::OptionReq { .. } | Request::EchoReq { .. } => {
                Concern::Connection
            }
            Request::Submit(submit) => Concern::Function(Slot::of(submit.function)),
            Request::CanDo { function } | Request::CanDoTimeout { function, .. } => {
                Concern::Function(Slot::of(function))
            }
            Request::MassDo { functions } => match mass_do_functions(functions).next() {
                Some(function) => Concern::Function(Slot::of(function)),
                None => Concern::Connection,
            },
            _ => Concern::Everything,
        }
    }

    /// Whether the peer waits from now on for a result, which comes later than the answer: see [`Reply::ends_a_wait`].
    #[inline]
    pub fn begins_a_wait(&self) -> bool {
        matches!(self, Incoming::Request(Request::Submit(submit)) if !submit.background)
    }

    /// Whether the answer tells counters: what was counted elsewhere is to be added before.
    #[inline]
    pub fn reads_counters(&self) -> bool {
        matches!(self, Incoming::Query(Query::Counters))
    }

    /// Why the front end refuses it, if it does.
    #[inline]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Incoming::Answer(reply) => reply.refusal(),
            Incoming::Request(_) | Incoming::Query(_) => None,
        }
    }
}

impl Frontend {
    /// Reads one packet or line at the beginning of `bytes`. A pure function: call it again with the same bytes and
    /// more behind them.
    #[inline]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Decoded<'a> {
        gear::decode(self, bytes)
    }

    /// Appends what the peer is to be sent, but for a payload of at least [`crate::engine::SHARED_MIN`] bytes: that is given back,
    /// shared with the reply, and comes next on the wire.
    #[inline]
    #[must_use = "the peer waits for the payload"]
    pub fn encode(&self, reply: &Reply, out: &mut Vec<u8>) -> Option<Bytes> {
        gear::encode(self, reply, out)
    }
}

/// The bytes before the first NUL, where gearmand ends what it prints.
fn until_nul(bytes: &[u8]) -> &[u8] {
    match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => &bytes[..end],
        None => bytes,
    }
}

#[cfg(test)]
impl Frontend {
    /// A front end for tests, with handles like `H:host:1024`.
    pub(crate) fn for_tests() -> Frontend {
        Frontend {
            packet_max: 1 << 20,
            version: "1.2.3+test",
            verbosity: "INFO",
            pid: 4711,
            handle_prefix: HandlePrefix::new(b"H:host").unwrap(),
            compat: Compat::V1_1,
        }
    }
}
