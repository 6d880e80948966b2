//! What the front end knows of the shared port, and what it finds there. How bytes are read and written is in `gear.rs` and
//! `text.rs`.
use crate::engine::{Ask, Compat, HandlePrefix, Reply};
use crate::protocol::{DecodeError, Request};
use std::fmt;

/// The longest line, its CR included and its LF not. A longer one closes the connection.
pub(super) const LINE_MAX: usize = 8191;

/// The most words in a line. More close the connection.
pub(super) const WORDS_MAX: usize = 5;

/// What the front end must know to read and write for one job server. The same on every shard.
#[derive(Clone, Debug)]
pub struct SharedPort {
    /// The most bytes of data in one packet, its header not counted (`--max-packet-size`).
    pub packet_max: u32,
    /// What `version` tells: see [`super::version`].
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
    /// A packet that could be right but is larger than [`SharedPort::packet_max`]: to be answered
    /// [`crate::protocol::Refusal::PacketTooLarge`], and the connection closed.
    TooLarge,
    /// Not Gearman's: the connection is to be closed without a word.
    Malformed(WireError),
}

/// What is wrong with bytes that are not Gearman's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// A packet that is none.
    Packet(DecodeError),
    /// A line that is too long.
    LongLine,
    /// A line of too many words.
    ManyWords,
    /// The beginning of a TLS handshake.
    Tls,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Packet(error) => error.fmt(f),
            WireError::LongLine => write!(f, "the peer sent a line of more than {} bytes", LINE_MAX),
            WireError::Tls => f.write_str(
                "the peer speaks TLS, which this port does not (--ssl and --ssl-port say which one does)",
            ),
            WireError::ManyWords => write!(f, "the peer sent a line of more than {} words", WORDS_MAX),
        }
    }
}

/// What a peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A request, borrowed from the bytes.
    Request(Request<'a>),
    /// A question or an order of an administrator.
    Ask(Ask),
    /// `show servers`: who shares the store, which the shell knows.
    Servers,
    /// `acl` and a word, in `geard`'s form: to tell who may do what, or to change it.
    Acl {
        /// Whether it is to be told.
        list: bool,
    },
    /// Something whose answer is known already. It still takes its turn among the replies.
    Answer(Reply),
}

/// The bytes before the first NUL, where gearmand ends what it prints.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => &bytes[..end],
        None => bytes,
    }
}

#[cfg(test)]
impl SharedPort {
    /// A front end for tests, with handles like `H:host:1024`.
    pub(crate) fn for_tests() -> SharedPort {
        SharedPort {
            packet_max: 1 << 20,
            version: "1.2.3+test",
            verbosity: "INFO",
            pid: 4711,
            handle_prefix: HandlePrefix::new(b"H:host").unwrap(),
            compat: Compat::V1_1,
        }
    }
}
