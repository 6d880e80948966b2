//! The arguments inside one packet's data: read one after the other, and written.
//! Nothing here looks past the data's end, whatever follows it in the stream.
use alloc::vec::Vec;

use memchr::memchr;

use crate::error::DecodeError;
use crate::header::Header;
use crate::packet::{ARGUMENT_MAX, Magic, PacketType};

/// Reads the arguments of one packet. gearmand 1.1.20 goes on searching a missing separator in the bytes
/// after the packet; here the data is all there is, and a missing separator is the peer's error.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    command: PacketType,
    rest: &'a [u8],
    /// Position of the next argument in the command's table row; only errors ask for it.
    index: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first argument of `data`.
    #[inline]
    pub(crate) fn new(command: PacketType, data: &'a [u8]) -> Reader<'a> {
        Reader { command, rest: data, index: 0 }
    }

    /// The next argument, which must end with a NUL.
    #[inline]
    pub(crate) fn terminated(&mut self) -> Result<&'a [u8], DecodeError> {
        let window = &self.rest[..self.rest.len().min(ARGUMENT_MAX)];
        let Some(end) = memchr(0, window) else {
            return Err(self.unterminated());
        };
        let argument = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        self.index += 1;
        Ok(argument)
    }

    /// The handle of a result and the payload behind it. Without any NUL all of it is the handle, and the payload is
    /// empty: so the Perl library's worker (Gearman::Worker 2.004) sends the results `""` and `"0"`. gearmand 1.1.20
    /// waits for the NUL and gives the job to the next worker when this one gives up, again and again.
    #[inline]
    pub(crate) fn handle_and_payload(mut self) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        match self.terminated() {
            Ok(handle) => Ok((handle, self.rest)),
            Err(DecodeError::MissingSeparator { .. }) if !self.rest.is_empty() => Ok((self.rest, &[])),
            Err(error) => Err(error),
        }
    }

    /// The last argument of a command without payload: the rest, NULs included.
    #[inline]
    pub(crate) fn last(self) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() > ARGUMENT_MAX {
            return Err(self.too_long());
        }
        Ok(self.rest)
    }

    /// The payload: the rest, of any length.
    #[inline]
    pub(crate) fn payload(self) -> &'a [u8] {
        self.rest
    }

    #[cold]
    fn unterminated(&self) -> DecodeError {
        match self.rest.len() {
            0..ARGUMENT_MAX => {
                DecodeError::MissingSeparator { command: self.command, argument: self.argument() }
            }
            _ => self.too_long(),
        }
    }

    #[cold]
    fn too_long(&self) -> DecodeError {
        DecodeError::ArgumentTooLong { command: self.command, argument: self.argument() }
    }

    fn argument(&self) -> &'static str {
        self.command.arguments().get(self.index).copied().unwrap_or("")
    }
}

/// Reads all arguments as the table says and forgets them: for packets that are refused, but only after
/// they parse.
pub(crate) fn check(command: PacketType, data: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(command, data);
    let count = command.arguments().len();
    if command.has_payload() {
        for _ in 0..count {
            reader.terminated()?;
        }
    } else if count > 0 {
        for _ in 1..count {
            reader.terminated()?;
        }
        reader.last()?;
    }
    Ok(())
}

/// Appends one packet to `out`: header, each of `terminated` with a NUL after it, then `rest` as it is (the
/// payload, or the last argument of a command without payload). Reserves once.
///
/// Counts and lengths are not compared with the command's table row, so that tests and tools can also
/// write packets that no peer should send.
///
/// # Panics
/// If the data is 4 GiB or more, which no packet can hold; in debug builds also if one of
/// `terminated` contains a NUL, because the reader would see other arguments than the writer meant.
#[inline]
pub fn write_packet<const N: usize>(
    out: &mut Vec<u8>,
    magic: Magic,
    command: PacketType,
    terminated: [&[u8]; N],
    rest: &[u8],
) {
    write_head(out, magic, command, terminated, rest.len(), rest.len());
    out.extend_from_slice(rest);
}

/// Appends a packet without its `rest`, which has `rest_len` bytes. Reserves room for `spare` bytes more.
#[inline]
pub(crate) fn write_head<const N: usize>(
    out: &mut Vec<u8>,
    magic: Magic,
    command: PacketType,
    terminated: [&[u8]; N],
    rest_len: usize,
    spare: usize,
) {
    let arguments: usize = terminated.iter().map(|argument| argument.len() + 1).sum();
    let length = u32::try_from(arguments + rest_len).expect("a packet holds less than 4 GiB");
    let header = Header { magic, number: command.number(), length }.encode();
    out.reserve(header.len() + arguments + spare);
    out.extend_from_slice(&header);
    for argument in terminated {
        debug_assert!(memchr(0, argument).is_none(), "{} with a NUL inside an argument", command.name());
        out.extend_from_slice(argument);
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn arguments_then_payload() {
        let mut reader = Reader::new(PacketType::SubmitJob, b"reverse\0\0te\0st");
        assert_eq!(reader.terminated(), Ok(&b"reverse"[..]));
        assert_eq!(reader.terminated(), Ok(&b""[..]));
        assert_eq!(reader.payload(), b"te\0st");
    }

    #[test]
    fn the_last_argument_keeps_its_nul() {
        let reader = Reader::new(PacketType::CanDo, b"reverse\0");
        assert_eq!(reader.last(), Ok(&b"reverse\0"[..]));
    }

    #[test]
    fn a_missing_separator_names_its_argument() {
        let mut reader = Reader::new(PacketType::SubmitJob, b"reverse\0unique");
        assert!(reader.terminated().is_ok());
        let error = DecodeError::MissingSeparator { command: PacketType::SubmitJob, argument: "unique" };
        assert_eq!(reader.terminated(), Err(error));
    }

    #[test]
    fn an_argument_has_at_most_8192_bytes_with_its_nul() {
        let command = PacketType::SubmitJob;
        let mut data = vec![b'f'; 8193];
        data[8191] = 0;
        assert_eq!(Reader::new(command, &data).terminated().map(<[u8]>::len), Ok(8191));
        data[8191] = b'f';
        data[8192] = 0;
        let error = DecodeError::ArgumentTooLong { command, argument: "function" };
        assert_eq!(Reader::new(command, &data).terminated(), Err(error));
    }

    #[test]
    fn checking_follows_the_table() {
        assert_eq!(check(PacketType::Noop, b"ignored"), Ok(()));
        assert_eq!(check(PacketType::Error, b"c\0t"), Ok(()));
        assert!(check(PacketType::Error, b"c").is_err());
        assert_eq!(check(PacketType::JobAssign, b"h\0f\0"), Ok(()));
        assert!(check(PacketType::JobAssign, b"h\0f").is_err());
        assert!(check(PacketType::SubmitJobSched, b"f\0u\0min\0h\0d\0m\0weekday-without-nul").is_err());
    }

    #[test]
    fn a_packet_is_written_whole() {
        let mut out = vec![];
        write_packet(&mut out, Magic::Request, PacketType::SubmitJob, [b"f", b""], b"w");
        assert_eq!(out, b"\0REQ\0\0\0\x07\0\0\0\x04f\0\0w");
    }
}
