//! From a stream of bytes to packets, for one direction of one connection. Admin lines (first byte not
//! 0) are told apart before; what a packet's data means is read in `request/mod.rs` and `response/mod.rs`.
use alloc::vec::Vec;

use crate::error::DecodeError;
use crate::header::{HEADER_LEN, Header};

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The beginning of a packet, all right so far.
    Incomplete {
        /// How many bytes are missing at least, never 0: to the end of the header while that is not there,
        /// then to the end of the packet.
        needed: usize,
    },
    /// A whole packet.
    Packet {
        /// Its header; the command is known and the length within the limit.
        header: Header,
        /// Its data, `header.length` bytes.
        data: &'a [u8],
        /// Bytes of header and data together, at which the next packet begins.
        consumed: usize,
    },
}

/// Looks for one packet at the beginning of `bytes`. `limit` bounds its data, in bytes without header.
///
/// A pure function: call it again with the same bytes and more behind them. Errors come as soon as the header
/// is there, before its data, and are those of [`Header::decode`] and [`Header::check`]. After an error the
/// stream has lost its place and nothing more can be read from it.
#[inline]
pub fn frame(bytes: &[u8], limit: u32) -> Result<Frame<'_>, DecodeError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Ok(Frame::Incomplete { needed: HEADER_LEN - bytes.len() });
    };
    let header = Header::decode(header)?;
    header.check(limit)?;
    let length = header.length as usize;
    match rest.get(..length) {
        Some(data) => Ok(Frame::Packet { header, data, consumed: HEADER_LEN + length }),
        None => Ok(Frame::Incomplete { needed: length - rest.len() }),
    }
}

/// Turns bytes that come in pieces into packets. Keeps what it is given until it was read, so it
/// grows with what arrived and never with what a header announces: at most one packet within the
/// limit, plus whatever is pushed at once.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Bytes pushed and not yet dropped. `start <= buffer.len()`.
    buffer: Vec<u8>,
    /// Where in `buffer` the next packet begins; everything before was handed out.
    start: usize,
    limit: u32,
}

/// The room that an empty [`Decoder`] keeps for the next packets; what one large packet needed beyond
/// that is given back.
const KEPT_CAPACITY: usize = 64 * 1024;

impl Decoder {
    /// A decoder at the beginning of a stream. `limit` is the most bytes of data in one packet.
    pub const fn new(limit: u32) -> Decoder {
        Decoder { buffer: Vec::new(), start: 0, limit }
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.drop_read();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet, or `None` until more was pushed. After an error it gives the same error again.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(Header, &[u8])>, DecodeError> {
        match frame(&self.buffer[self.start..], self.limit)? {
            Frame::Incomplete { .. } => Ok(None),
            Frame::Packet { header, data, consumed } => {
                self.start += consumed;
                Ok(Some((header, data)))
            }
        }
    }

    /// The bytes that were pushed and are not yet part of a packet that [`Decoder::next`] gave.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Drops what was read, but moves the rest only when that is the smaller part: so each byte moves a
    /// bounded number of times, whatever the pattern of pushes.
    fn drop_read(&mut self) {
        let pending = self.buffer.len() - self.start;
        if pending == 0 {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_CAPACITY);
            self.start = 0;
        } else if self.start >= pending {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Magic, PacketType};
    use std::vec;

    const ECHO: &[u8] = b"\0REQ\0\0\0\x10\0\0\0\x05hello";

    #[test]
    fn a_packet_and_what_follows() {
        let bytes = [ECHO, b"\0R"].concat();
        let header = Header { magic: Magic::Request, number: 16, length: 5 };
        assert_eq!(frame(&bytes, 5), Ok(Frame::Packet { header, data: b"hello", consumed: 17 }));
    }

    #[test]
    fn incomplete_says_how_much_is_missing() {
        for end in 0..HEADER_LEN {
            assert_eq!(frame(&ECHO[..end], 5), Ok(Frame::Incomplete { needed: HEADER_LEN - end }));
        }
        for end in HEADER_LEN..ECHO.len() {
            assert_eq!(frame(&ECHO[..end], 5), Ok(Frame::Incomplete { needed: ECHO.len() - end }));
        }
    }

    #[test]
    fn a_bad_header_is_refused_when_it_is_whole() {
        let cases: [(&[u8; HEADER_LEN], DecodeError); 5] = [
            (b"\0REX\0\0\0\x10\0\0\0\x05", DecodeError::BadMagic { magic: *b"\0REX" }),
            (b"\0REQ\0\0\0\0\0\0\0\0", DecodeError::CommandZero),
            (b"\0REQ\0\0\0\x2b\0\0\0\0", DecodeError::UnknownCommand { number: 43 }),
            (b"\0REQ\0\0\0\x10\0\x01\0\0", DecodeError::TooLarge { length: 65536, limit: 65535 }),
            (
                b"\0REQ\0\0\0\x01\0\0\x20\x01",
                DecodeError::ArgumentsTooLong { command: PacketType::CanDo, length: 8193 },
            ),
        ];
        for (header, error) in cases {
            assert!(matches!(frame(&header[..11], 65535), Ok(Frame::Incomplete { needed: 1 })));
            assert_eq!(frame(header, 65535), Err(error));
        }
    }

    #[test]
    fn a_decoder_puts_pieces_together() {
        let mut decoder = Decoder::new(1024);
        for piece in ECHO.chunks(1).chain(ECHO.chunks(7)) {
            assert_eq!(decoder.next(), Ok(None));
            decoder.push(piece);
            if decoder.pending().len() == ECHO.len() {
                assert_eq!(decoder.next().unwrap().unwrap().1, b"hello");
            }
        }
        assert!(decoder.pending().is_empty());
    }

    #[test]
    fn an_announced_length_costs_nothing_before_it_arrives() {
        let mut decoder = Decoder::new(u32::MAX);
        decoder.push(b"\0REQ\0\0\0\x10\xff\xff\xff\xff");
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.buffer.capacity() < 1024);
    }

    #[test]
    fn a_large_packet_leaves_no_large_buffer() {
        let mut decoder = Decoder::new(u32::MAX);
        decoder.push(b"\0REQ\0\0\0\x10\0\x10\0\0");
        decoder.push(&vec![7; 1 << 20]);
        assert!(decoder.next().unwrap().is_some());
        decoder.push(ECHO);
        assert!(decoder.buffer.capacity() <= KEPT_CAPACITY);
        assert!(decoder.next().unwrap().is_some());
    }

    #[test]
    fn an_error_stays() {
        let mut decoder = Decoder::new(1024);
        decoder.push(b"GET / HTTP/1.1\r\n");
        let error = DecodeError::BadMagic { magic: *b"GET " };
        assert_eq!(decoder.next(), Err(error));
        decoder.push(ECHO);
        assert_eq!(decoder.next(), Err(error));
    }
}
