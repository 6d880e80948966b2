//! The 12-byte header that every packet begins with. Which commands there are is `packet.rs`; what the data behind it holds
//! is read in `request/mod.rs` and `response/mod.rs`.
use crate::error::DecodeError;
use crate::packet::{ARGUMENT_MAX, Magic, PacketType};

/// Bytes of the header: magic, command number, length of the data (4 each).
pub const HEADER_LEN: usize = 12;

/// The header of one packet. Its number and length are as sent: [`Header::check`] judges them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The direction.
    pub magic: Magic,
    /// The command number, known or not.
    pub number: u32,
    /// Bytes of data that follow the header.
    pub length: u32,
}

impl Header {
    /// Reads a header; the only error is [`DecodeError::BadMagic`].
    #[inline]
    pub const fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Header, DecodeError> {
        let [m0, m1, m2, m3, n0, n1, n2, n3, l0, l1, l2, l3] = *bytes;
        let Some(magic) = Magic::from_bytes([m0, m1, m2, m3]) else {
            return Err(DecodeError::BadMagic { magic: [m0, m1, m2, m3] });
        };
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        Ok(Header { magic, number, length })
    }

    /// The header's bytes.
    #[inline]
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let [m0, m1, m2, m3] = self.magic.bytes();
        let [n0, n1, n2, n3] = self.number.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [m0, m1, m2, m3, n0, n1, n2, n3, l0, l1, l2, l3]
    }

    /// The command; [`DecodeError::CommandZero`] or [`DecodeError::UnknownCommand`] if there is none.
    #[inline]
    pub const fn packet_type(&self) -> Result<PacketType, DecodeError> {
        match (PacketType::from_number(self.number), self.number) {
            (Some(command), _) => Ok(command),
            (None, 0) => Err(DecodeError::CommandZero),
            (None, number) => Err(DecodeError::UnknownCommand { number }),
        }
    }

    /// Everything that can be said before the data is there: the command is known, the length is one that
    /// it can have, and not over `limit` (bytes of data, the header not counted).
    ///
    /// A length that no well-formed packet of the command has is the peer's error
    /// ([`DecodeError::ArgumentsTooLong`]) also where it is over `limit`: gearmand 1.1.20 closes such
    /// connections without a word, and only what it would have accepted deserves an answer.
    #[inline]
    pub const fn check(&self, limit: u32) -> Result<PacketType, DecodeError> {
        let command = match self.packet_type() {
            Ok(command) => command,
            Err(error) => return Err(error),
        };
        // No command without payload has more than a few arguments: the table is only asked for long ones.
        if self.length > ARGUMENT_MAX as u32
            && let Some(longest) = command.data_max()
            && self.length > longest
        {
            return Err(DecodeError::ArgumentsTooLong { command, length: self.length });
        }
        if self.length > limit {
            return Err(DecodeError::TooLarge { length: self.length, limit });
        }
        Ok(command)
    }

    /// Bytes of the whole packet, header and data.
    #[inline]
    pub const fn packet_len(&self) -> usize {
        HEADER_LEN + self.length as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_twelve_bytes() {
        let header = Header { magic: Magic::Request, number: 16, length: 5 };
        assert_eq!(&header.encode(), b"\0REQ\0\0\0\x10\0\0\0\x05");
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        assert_eq!(header.packet_len(), 17);
        let bad = Header::decode(b"\0REX\0\0\0\x10\0\0\0\x05");
        assert_eq!(bad, Err(DecodeError::BadMagic { magic: *b"\0REX" }));
    }

    #[test]
    fn a_header_is_judged_before_its_data() {
        let header = |number, length| Header { magic: Magic::Request, number, length };
        assert_eq!(header(0, 0).check(10), Err(DecodeError::CommandZero));
        assert_eq!(header(43, 0).check(10), Err(DecodeError::UnknownCommand { number: 43 }));
        assert_eq!(header(7, 10).check(10), Ok(PacketType::SubmitJob));
        assert_eq!(header(7, 11).check(10), Err(DecodeError::TooLarge { length: 11, limit: 10 }));
        assert_eq!(header(1, 8192).check(u32::MAX), Ok(PacketType::CanDo));
        assert_eq!(header(23, 16384).check(u32::MAX), Ok(PacketType::CanDoTimeout));
        let command = PacketType::CanDo;
        assert_eq!(header(1, 8193).check(10), Err(DecodeError::ArgumentsTooLong { command, length: 8193 }));
    }
}
