//! What can be wrong with bytes ([`DecodeError`]: the connection is closed), and what is wrong with a
//! request although its bytes are right ([`Refusal`]: it is answered ERROR).
use core::error::Error;
use core::fmt;

use crate::packet::PacketType;

/// A request that the job server answers with ERROR. The connection stays open, but for
/// [`Refusal::PacketTooLarge`].
///
/// Codes and texts are those of gearmand 1.1.20, which sends no others; the seven marked "ours" are for
/// limits that it does not have, and the last is that of `geard`. libgearman compares codes with its own list, so no code is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A well-formed packet with the response magic.
    InvalidMagic,
    /// A known command that no client or worker may send.
    InvalidCommand,
    /// A unique (or, in the reduce forms, a reducer) of more than 64 bytes.
    UniqueTooLarge,
    /// WORK_FAIL with a handle of 64 bytes or more.
    HandleTooLarge,
    /// The packet is larger than the job server accepts; the connection is closed after this ERROR. Ours.
    PacketTooLarge,
    /// The function's maxqueue limit is reached.
    QueueFull,
    /// The store refused the job.
    StoreFailed,
    /// The limit on bytes of queued workloads is reached. Ours.
    QueuedBytesFull,
    /// No number is left for another job. Ours.
    NumbersUsedUp,
    /// The limit on the number of functions is reached. Ours.
    TooManyFunctions,
    /// The limit on the bytes that functions take is reached. Ours.
    FunctionBytesFull,
    /// The limit on abilities of one worker is reached. Ours.
    TooManyAbilities,
    /// OPTION_REQ with an option that is not known.
    UnknownOption,
    /// WORK_DATA or WORK_WARNING for a job that this connection does not hold.
    UpdateForUnknownJob,
    /// WORK_STATUS, WORK_COMPLETE or WORK_FAIL for a job that this connection does not hold.
    ResultForUnknownJob,
    /// WORK_EXCEPTION for a job that this connection does not hold.
    ExceptionForUnknownJob,
    /// The session has no right to what it asks for. As `geard` says it, with the NUL at the end.
    PermissionDenied,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 17] = [
        Refusal::InvalidMagic,
        Refusal::InvalidCommand,
        Refusal::UniqueTooLarge,
        Refusal::HandleTooLarge,
        Refusal::PacketTooLarge,
        Refusal::QueueFull,
        Refusal::StoreFailed,
        Refusal::QueuedBytesFull,
        Refusal::NumbersUsedUp,
        Refusal::TooManyFunctions,
        Refusal::FunctionBytesFull,
        Refusal::TooManyAbilities,
        Refusal::UnknownOption,
        Refusal::UpdateForUnknownJob,
        Refusal::ResultForUnknownJob,
        Refusal::ExceptionForUnknownJob,
        Refusal::PermissionDenied,
    ];

    /// The code in the ERROR packet.
    pub const fn code(self) -> &'static str {
        match self {
            Refusal::InvalidMagic => "INVALID_MAGIC",
            Refusal::InvalidCommand => "INVALID_COMMAND",
            Refusal::UniqueTooLarge | Refusal::HandleTooLarge | Refusal::PacketTooLarge => {
                "ARGUMENT_TOO_LARGE"
            }
            Refusal::QueueFull
            | Refusal::StoreFailed
            | Refusal::QueuedBytesFull
            | Refusal::NumbersUsedUp
            | Refusal::TooManyFunctions
            | Refusal::FunctionBytesFull
            | Refusal::TooManyAbilities => "QUEUE_ERROR",
            Refusal::UnknownOption => "UNKNOWN_OPTION",
            Refusal::UpdateForUnknownJob | Refusal::ResultForUnknownJob | Refusal::ExceptionForUnknownJob => {
                "JOB_NOT_FOUND"
            }
            Refusal::PermissionDenied => "0",
        }
    }

    /// Whether the packet is refused whatever it says: whoever reads it knows which it is.
    pub const fn is_of_packet(self) -> bool {
        matches!(self, Refusal::InvalidMagic | Refusal::InvalidCommand | Refusal::PacketTooLarge)
    }

    /// Which requests are so refused, for a person to read.
    pub const fn requests(self) -> &'static str {
        match self {
            Refusal::InvalidMagic | Refusal::InvalidCommand | Refusal::PacketTooLarge => "a packet",
            Refusal::UniqueTooLarge
            | Refusal::QueueFull
            | Refusal::StoreFailed
            | Refusal::QueuedBytesFull
            | Refusal::NumbersUsedUp => "a submission",
            Refusal::HandleTooLarge => "WORK_FAIL",
            Refusal::TooManyFunctions | Refusal::FunctionBytesFull => "CAN_DO or a submission",
            Refusal::TooManyAbilities => "CAN_DO",
            Refusal::UnknownOption => "OPTION_REQ",
            Refusal::UpdateForUnknownJob => "WORK_DATA or WORK_WARNING",
            Refusal::ResultForUnknownJob => "WORK_COMPLETE, WORK_FAIL or WORK_STATUS",
            Refusal::ExceptionForUnknownJob => "WORK_EXCEPTION",
            Refusal::PermissionDenied => "a submission or GET_STATUS",
        }
    }

    /// The text in the ERROR packet, for a person to read.
    pub const fn text(self) -> &'static str {
        match self {
            Refusal::InvalidMagic => "Request magic expected",
            Refusal::InvalidCommand => "Command not expected",
            Refusal::UniqueTooLarge => "Unique value too large",
            Refusal::HandleTooLarge => {
                "Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf"
            }
            Refusal::PacketTooLarge => "Packet is larger than the job server accepts",
            Refusal::QueueFull => "Job queue is full",
            Refusal::StoreFailed => "QUEUE_ERROR",
            Refusal::QueuedBytesFull => "Too many bytes are queued",
            Refusal::NumbersUsedUp => "No number is left for another job",
            Refusal::TooManyFunctions => "Too many functions",
            Refusal::FunctionBytesFull => "Functions take too many bytes",
            Refusal::TooManyAbilities => "Too many abilities",
            Refusal::UnknownOption => "Server does not recognize given option",
            Refusal::UpdateForUnknownJob => "Job does not exist on server",
            Refusal::ResultForUnknownJob => "Job given in work result not found",
            Refusal::ExceptionForUnknownJob => "An exception was received for a job that does not exist",
            Refusal::PermissionDenied => "Permission denied by ACL\0",
        }
    }
}

/// Why a packet is no [`Request`](crate::Request).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestError {
    /// Well-formed, but not for the job server: answer ERROR and go on with the next packet.
    Refused(Refusal),
    /// Not a packet: close the connection without a reply.
    Malformed(DecodeError),
}

impl From<DecodeError> for RequestError {
    #[inline]
    fn from(error: DecodeError) -> RequestError {
        RequestError::Malformed(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Refused(refusal) => f.write_str(refusal.text()),
            RequestError::Malformed(error) => error.fmt(f),
        }
    }
}

impl Error for RequestError {}

/// A way for bytes to be wrong. Each line says what the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// Began a packet with something else than `\0REQ` or `\0RES`.
    BadMagic {
        /// What it sent instead.
        magic: [u8; 4],
    },
    /// Sent command 0, which is no command on the wire (gearmand uses it inside, for its text protocol).
    CommandZero,
    /// Sent a command that the protocol does not know.
    UnknownCommand {
        /// The number that it sent.
        number: u32,
    },
    /// Announced more data than all arguments of a command without payload can have.
    ArgumentsTooLong {
        /// The command.
        command: PacketType,
        /// The bytes of data that it announced.
        length: u32,
    },
    /// Announced more data than we accept in one packet.
    TooLarge {
        /// The bytes of data that it announced.
        length: u32,
        /// The most that we accept.
        limit: u32,
    },
    /// Sent a packet that ends before the NUL of one of its arguments.
    MissingSeparator {
        /// The command.
        command: PacketType,
        /// The name of the argument.
        argument: &'static str,
    },
    /// Sent an argument of more than [`ARGUMENT_MAX`](crate::ARGUMENT_MAX) bytes.
    ArgumentTooLong {
        /// The command.
        command: PacketType,
        /// The name of the argument.
        argument: &'static str,
    },
    /// Sent something that is not an unsigned decimal number of 32 bits where only that makes sense.
    /// Only in responses: numbers in requests are passed on as text.
    NotANumber {
        /// The command.
        command: PacketType,
        /// The name of the argument.
        argument: &'static str,
    },
    /// Sent something else than `0` or `1` where only these make sense. Only in responses.
    NotAFlag {
        /// The command.
        command: PacketType,
        /// The name of the argument.
        argument: &'static str,
    },
    /// Sent a packet with the request magic where a response belongs.
    RequestMagic {
        /// The command.
        command: PacketType,
    },
    /// Sent a response with a command that no job server sends.
    NotAResponse {
        /// The command.
        command: PacketType,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::BadMagic { magic } => {
                write!(f, "the peer began a packet with \"{}\"", magic.escape_ascii())
            }
            DecodeError::CommandZero => f.write_str("the peer sent command 0"),
            DecodeError::UnknownCommand { number } => write!(f, "the peer sent the unknown command {number}"),
            DecodeError::ArgumentsTooLong { command, length } => {
                write!(f, "the peer announced {length} bytes of arguments for {}", command.name())
            }
            DecodeError::TooLarge { length, limit } => {
                write!(f, "the peer announced a packet of {length} bytes, the limit is {limit}")
            }
            DecodeError::MissingSeparator { command, argument } => {
                write!(f, "the peer sent {} without a NUL after its {argument}", command.name())
            }
            DecodeError::ArgumentTooLong { command, argument } => {
                write!(f, "the peer sent {} with too long a {argument}", command.name())
            }
            DecodeError::NotANumber { command, argument } => {
                write!(f, "the peer sent {} with a {argument} that is not a number", command.name())
            }
            DecodeError::NotAFlag { command, argument } => {
                write!(f, "the peer sent {} with a {argument} that is neither 0 nor 1", command.name())
            }
            DecodeError::RequestMagic { command } => {
                write!(f, "the peer sent {} as a request, a response was expected", command.name())
            }
            DecodeError::NotAResponse { command } => {
                write!(f, "the peer sent {} as a response, which no job server sends", command.name())
            }
        }
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    #[test]
    fn every_refusal_has_words_of_its_own() {
        let words: BTreeSet<_> =
            Refusal::ALL.iter().map(|refusal| (refusal.code(), refusal.text())).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
    }

    /// All that gearmand 1.1.20 says in an ERROR.
    #[test]
    fn gearmands_words_are_spelled_as_it_spells_them() {
        let cases = [
            (Refusal::InvalidMagic, "INVALID_MAGIC", "Request magic expected"),
            (Refusal::InvalidCommand, "INVALID_COMMAND", "Command not expected"),
            (Refusal::UniqueTooLarge, "ARGUMENT_TOO_LARGE", "Unique value too large"),
            (
                Refusal::HandleTooLarge,
                "ARGUMENT_TOO_LARGE",
                "Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf",
            ),
            (Refusal::QueueFull, "QUEUE_ERROR", "Job queue is full"),
            (Refusal::StoreFailed, "QUEUE_ERROR", "QUEUE_ERROR"),
            (Refusal::UnknownOption, "UNKNOWN_OPTION", "Server does not recognize given option"),
            (Refusal::UpdateForUnknownJob, "JOB_NOT_FOUND", "Job does not exist on server"),
            (Refusal::ResultForUnknownJob, "JOB_NOT_FOUND", "Job given in work result not found"),
            (
                Refusal::ExceptionForUnknownJob,
                "JOB_NOT_FOUND",
                "An exception was received for a job that does not exist",
            ),
        ];
        for (refusal, code, text) in cases {
            assert_eq!((refusal.code(), refusal.text()), (code, text));
        }
    }

    #[test]
    fn codes_are_those_that_libgearman_knows() {
        let known = [
            "INVALID_MAGIC",
            "INVALID_COMMAND",
            "ARGUMENT_TOO_LARGE",
            "QUEUE_ERROR",
            "UNKNOWN_OPTION",
            "JOB_NOT_FOUND",
            // geard's, which libgearman shows as it is.
            "0",
        ];
        for refusal in Refusal::ALL {
            assert!(known.contains(&refusal.code()), "{refusal:?}");
            // geard's text has one at its end.
            let text = refusal.text().strip_suffix('\0').unwrap_or(refusal.text());
            assert!(!text.contains('\0') && (text == refusal.text() || refusal == Refusal::PermissionDenied));
        }
    }

    #[test]
    fn an_error_tells_what_the_peer_did() {
        let error = DecodeError::MissingSeparator { command: PacketType::SubmitJob, argument: "unique" };
        assert_eq!(error.to_string(), "the peer sent SUBMIT_JOB without a NUL after its unique");
        let error = DecodeError::BadMagic { magic: *b"\0HTT" };
        assert_eq!(error.to_string(), "the peer began a packet with \"\\x00HTT\"");
    }
}
