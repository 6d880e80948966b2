//! Responses: what the job server sends. Decode and encode side by side.
//! Decoding is for those on the other end: the load generator and tests.
use alloc::vec::Vec;

use crate::args::{Reader, check, write_head};
use crate::error::{DecodeError, Refusal};
use crate::header::Header;
use crate::packet::{Magic, PacketType};

/// A response, borrowed from the bytes that it was decoded from or that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// JOB_CREATED
    JobCreated {
        /// The new job, or the one that the submission joined.
        handle: &'a [u8],
    },
    /// NOOP
    Noop,
    /// NO_JOB
    NoJob,
    /// JOB_ASSIGN
    JobAssign {
        /// The job.
        handle: &'a [u8],
        /// Its function.
        function: &'a [u8],
        /// Its workload; any bytes.
        workload: &'a [u8],
    },
    /// JOB_ASSIGN_UNIQ
    JobAssignUniq {
        /// The job.
        handle: &'a [u8],
        /// Its function.
        function: &'a [u8],
        /// Its unique, empty if it has none.
        unique: &'a [u8],
        /// Its workload; any bytes.
        workload: &'a [u8],
    },
    /// JOB_ASSIGN_ALL
    JobAssignAll {
        /// The job.
        handle: &'a [u8],
        /// Its function.
        function: &'a [u8],
        /// Its unique, empty if it has none.
        unique: &'a [u8],
        /// Its reducer.
        reducer: &'a [u8],
        /// Its workload; any bytes.
        workload: &'a [u8],
    },
    /// WORK_DATA
    WorkData {
        /// The job.
        handle: &'a [u8],
        /// A piece of its result; any bytes.
        data: &'a [u8],
    },
    /// WORK_WARNING
    WorkWarning {
        /// The job.
        handle: &'a [u8],
        /// What the worker warns of; any bytes.
        data: &'a [u8],
    },
    /// WORK_STATUS
    WorkStatus {
        /// The job.
        handle: &'a [u8],
        /// How much is done: text, as the worker sent it.
        numerator: &'a [u8],
        /// Of how much: text, as the worker sent it.
        denominator: &'a [u8],
    },
    /// WORK_COMPLETE
    WorkComplete {
        /// The job.
        handle: &'a [u8],
        /// Its result, or the end of it; any bytes.
        result: &'a [u8],
    },
    /// WORK_FAIL
    WorkFail {
        /// The job; nothing follows it. libgearman 1.1.20 waits forever if its length is not the handle's.
        handle: &'a [u8],
    },
    /// WORK_EXCEPTION
    WorkException {
        /// The job.
        handle: &'a [u8],
        /// What went wrong; any bytes.
        exception: &'a [u8],
    },
    /// STATUS_RES
    StatusRes {
        /// The handle that was asked for, up to its first NUL.
        handle: &'a [u8],
        /// True for a job that is queued or running.
        known: bool,
        /// True for a job that a worker holds.
        running: bool,
        /// The last numerator that the worker sent.
        numerator: u32,
        /// The last denominator that the worker sent.
        denominator: u32,
    },
    /// STATUS_RES_UNIQUE. Begins with the unique, not with a handle as the protocol document says: so
    /// does gearmand 1.1.20, and libgearman expects it.
    StatusResUnique {
        /// The unique that was asked for, up to its first NUL.
        unique: &'a [u8],
        /// True for a job that is queued or running.
        known: bool,
        /// True for a job that a worker holds.
        running: bool,
        /// The last numerator that the worker sent.
        numerator: u32,
        /// The last denominator that the worker sent.
        denominator: u32,
        /// How many clients wait for the job.
        clients: u32,
    },
    /// ECHO_RES
    EchoRes {
        /// What ECHO_REQ brought; any bytes.
        data: &'a [u8],
    },
    /// OPTION_RES
    OptionRes {
        /// The option as it was sent.
        option: &'a [u8],
    },
    /// ERROR
    Error {
        /// What is wrong, for programs: libgearman compares it with a list of names.
        code: &'a [u8],
        /// What is wrong, for people.
        text: &'a [u8],
    },
}

impl<'a> Response<'a> {
    /// Reads the response that `header` and `data` (exactly `header.length` bytes) are. Strict: a job server
    /// that sends numbers which are none is broken. Dropped on the way: data after a command that has
    /// none, and zeros in front of numbers.
    #[inline]
    pub fn decode(header: &Header, data: &'a [u8]) -> Result<Response<'a>, DecodeError> {
        debug_assert_eq!(header.length as usize, data.len());
        let command = header.packet_type()?;
        if header.magic == Magic::Request {
            return Err(DecodeError::RequestMagic { command });
        }
        let mut args = Reader::new(command, data);
        let response = match command {
            PacketType::JobCreated => Response::JobCreated { handle: args.last()? },
            PacketType::Noop => Response::Noop,
            PacketType::NoJob => Response::NoJob,
            PacketType::JobAssign => Response::JobAssign {
                handle: args.terminated()?,
                function: args.terminated()?,
                workload: args.payload(),
            },
            PacketType::JobAssignUniq => Response::JobAssignUniq {
                handle: args.terminated()?,
                function: args.terminated()?,
                unique: args.terminated()?,
                workload: args.payload(),
            },
            PacketType::JobAssignAll => Response::JobAssignAll {
                handle: args.terminated()?,
                function: args.terminated()?,
                unique: args.terminated()?,
                reducer: args.terminated()?,
                workload: args.payload(),
            },
            PacketType::WorkData => Response::WorkData { handle: args.terminated()?, data: args.payload() },
            PacketType::WorkWarning => {
                Response::WorkWarning { handle: args.terminated()?, data: args.payload() }
            }
            PacketType::WorkStatus => Response::WorkStatus {
                handle: args.terminated()?,
                numerator: args.terminated()?,
                denominator: args.last()?,
            },
            PacketType::WorkComplete => {
                Response::WorkComplete { handle: args.terminated()?, result: args.payload() }
            }
            PacketType::WorkFail => Response::WorkFail { handle: args.last()? },
            PacketType::WorkException => {
                Response::WorkException { handle: args.terminated()?, exception: args.payload() }
            }
            PacketType::StatusRes => Response::StatusRes {
                handle: args.terminated()?,
                known: flag(command, "known", args.terminated()?)?,
                running: flag(command, "running", args.terminated()?)?,
                numerator: number(command, "numerator", args.terminated()?)?,
                denominator: number(command, "denominator", args.last()?)?,
            },
            PacketType::StatusResUnique => Response::StatusResUnique {
                unique: args.terminated()?,
                known: flag(command, "known", args.terminated()?)?,
                running: flag(command, "running", args.terminated()?)?,
                numerator: number(command, "numerator", args.terminated()?)?,
                denominator: number(command, "denominator", args.terminated()?)?,
                clients: number(command, "clients", args.last()?)?,
            },
            PacketType::EchoRes => Response::EchoRes { data: args.payload() },
            PacketType::OptionRes => Response::OptionRes { option: args.last()? },
            PacketType::Error => Response::Error { code: args.terminated()?, text: args.last()? },
            _ => {
                check(command, data)?;
                return Err(DecodeError::NotAResponse { command });
            }
        };
        Ok(response)
    }

    /// Appends the response as one packet. Arguments are written as they are: all but the last of a
    /// command without payload must not contain a NUL.
    ///
    /// # Panics
    /// As [`write_packet`](crate::write_packet).
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let payload = self.payload();
        self.encode_reserving(out, payload.len());
        out.extend_from_slice(payload);
    }

    /// Appends the packet without its payload, and gives that: it must follow on the wire, but large
    /// ones need not be copied. A response without payload is written whole and gives nothing.
    ///
    /// # Panics
    /// As [`write_packet`](crate::write_packet).
    #[inline]
    pub fn encode_head(&self, out: &mut Vec<u8>) -> &'a [u8] {
        self.encode_reserving(out, 0);
        self.payload()
    }

    /// The payload: empty for commands that have none.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        match *self {
            Response::JobAssign { workload, .. }
            | Response::JobAssignUniq { workload, .. }
            | Response::JobAssignAll { workload, .. } => workload,
            Response::WorkData { data, .. }
            | Response::WorkWarning { data, .. }
            | Response::EchoRes { data } => data,
            Response::WorkComplete { result, .. } => result,
            Response::WorkException { exception, .. } => exception,
            Response::JobCreated { .. }
            | Response::Noop
            | Response::NoJob
            | Response::WorkStatus { .. }
            | Response::WorkFail { .. }
            | Response::StatusRes { .. }
            | Response::StatusResUnique { .. }
            | Response::OptionRes { .. }
            | Response::Error { .. } => b"",
        }
    }

    /// The command of the packet that this response is.
    #[inline]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Response::JobCreated { .. } => PacketType::JobCreated,
            Response::Noop => PacketType::Noop,
            Response::NoJob => PacketType::NoJob,
            Response::JobAssign { .. } => PacketType::JobAssign,
            Response::JobAssignUniq { .. } => PacketType::JobAssignUniq,
            Response::JobAssignAll { .. } => PacketType::JobAssignAll,
            Response::WorkData { .. } => PacketType::WorkData,
            Response::WorkWarning { .. } => PacketType::WorkWarning,
            Response::WorkStatus { .. } => PacketType::WorkStatus,
            Response::WorkComplete { .. } => PacketType::WorkComplete,
            Response::WorkFail { .. } => PacketType::WorkFail,
            Response::WorkException { .. } => PacketType::WorkException,
            Response::StatusRes { .. } => PacketType::StatusRes,
            Response::StatusResUnique { .. } => PacketType::StatusResUnique,
            Response::EchoRes { .. } => PacketType::EchoRes,
            Response::OptionRes { .. } => PacketType::OptionRes,
            Response::Error { .. } => PacketType::Error,
        }
    }

    /// Everything but the payload, with room for `spare` bytes more.
    #[inline]
    fn encode_reserving(&self, out: &mut Vec<u8>, spare: usize) {
        let command = self.packet_type();
        match *self {
            Response::Noop | Response::NoJob => last(out, command, [], b""),
            Response::JobCreated { handle } | Response::WorkFail { handle } => {
                last(out, command, [], handle);
            }
            Response::JobAssign { handle, function, workload } => {
                head(out, command, [handle, function], workload, spare);
            }
            Response::JobAssignUniq { handle, function, unique, workload } => {
                head(out, command, [handle, function, unique], workload, spare);
            }
            Response::JobAssignAll { handle, function, unique, reducer, workload } => {
                head(out, command, [handle, function, unique, reducer], workload, spare);
            }
            Response::WorkData { handle, data } | Response::WorkWarning { handle, data } => {
                head(out, command, [handle], data, spare);
            }
            Response::WorkComplete { handle, result } => head(out, command, [handle], result, spare),
            Response::WorkException { handle, exception } => head(out, command, [handle], exception, spare),
            Response::WorkStatus { handle, numerator, denominator } => {
                last(out, command, [handle, numerator], denominator);
            }
            Response::StatusRes { handle, known, running, numerator, denominator } => {
                let (numerator, denominator) = (Decimal::new(numerator), Decimal::new(denominator));
                let terminated = [handle, digit(known), digit(running), numerator.text()];
                last(out, command, terminated, denominator.text());
            }
            Response::StatusResUnique { unique, known, running, numerator, denominator, clients } => {
                let (numerator, denominator) = (Decimal::new(numerator), Decimal::new(denominator));
                let terminated = [unique, digit(known), digit(running), numerator.text(), denominator.text()];
                last(out, command, terminated, Decimal::new(clients).text());
            }
            Response::EchoRes { data } => head(out, command, [], data, spare),
            Response::OptionRes { option } => last(out, command, [], option),
            Response::Error { code, text } => last(out, command, [code], text),
        }
    }
}

impl From<Refusal> for Response<'static> {
    fn from(refusal: Refusal) -> Response<'static> {
        Response::Error { code: refusal.code().as_bytes(), text: refusal.text().as_bytes() }
    }
}

/// Writes what comes before a payload.
#[inline]
fn head<const N: usize>(
    out: &mut Vec<u8>,
    command: PacketType,
    terminated: [&[u8]; N],
    payload: &[u8],
    spare: usize,
) {
    write_head(out, Magic::Response, command, terminated, payload.len(), spare);
}

/// Writes a whole packet without payload, whose last argument is `last`.
#[inline]
fn last<const N: usize>(out: &mut Vec<u8>, command: PacketType, terminated: [&[u8]; N], last: &[u8]) {
    write_head(out, Magic::Response, command, terminated, last.len(), last.len());
    out.extend_from_slice(last);
}

/// A number as decimal text, on the stack.
struct Decimal {
    digits: [u8; Decimal::LONGEST],
    start: usize,
}

impl Decimal {
    /// 4294967295 has ten digits.
    const LONGEST: usize = 10;

    fn new(mut number: u32) -> Decimal {
        let mut digits = [b'0'; Decimal::LONGEST];
        let mut start = Decimal::LONGEST - 1;
        while number >= 10 {
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            start -= 1;
        }
        digits[start] = b'0' + number as u8;
        Decimal { digits, start }
    }

    fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

const fn digit(flag: bool) -> &'static [u8] {
    if flag { b"1" } else { b"0" }
}

fn flag(command: PacketType, argument: &'static str, text: &[u8]) -> Result<bool, DecodeError> {
    match text {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(DecodeError::NotAFlag { command, argument }),
    }
}

/// Digits only: the standard library's parser would also take a sign.
fn number(command: PacketType, argument: &'static str, text: &[u8]) -> Result<u32, DecodeError> {
    let value = text.iter().try_fold(0_u32, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    });
    value.filter(|_| !text.is_empty()).ok_or(DecodeError::NotANumber { command, argument })
}

#[cfg(test)]
mod tests;
