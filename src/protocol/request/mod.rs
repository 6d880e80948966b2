//! Requests: what clients and workers send. Decode and encode side by side.
//! What a request does, and which lengths and numbers in it are acceptable, is the engine's affair.
use alloc::vec::Vec;

use crate::args::{Reader, check, write_packet};
use crate::error::{DecodeError, Refusal, RequestError};
use crate::header::Header;
use crate::names::Priority;
use crate::packet::{ARGUMENT_MAX, Magic, PacketType};

/// What a worker wants to hear about the job that it grabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrabKind {
    /// GRAB_JOB: answered JOB_ASSIGN.
    Plain,
    /// GRAB_JOB_UNIQ: answered JOB_ASSIGN_UNIQ.
    Unique,
    /// GRAB_JOB_ALL: answered JOB_ASSIGN_ALL for a job with a reducer, JOB_ASSIGN_UNIQ for others.
    All,
}

/// One of the submissions (SUBMIT_JOB and its eight variants). Fields are as sent, unchecked beyond framing.
///
/// There is no command for every combination of fields: see [`Submit::normalised`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit<'a> {
    /// The function's name; any bytes but NUL, may be empty.
    pub function: &'a [u8],
    /// The unique; empty means none, `-` means that the workload is the key.
    pub unique: &'a [u8],
    /// The workload; any bytes.
    pub workload: &'a [u8],
    /// The priority that the command stands for.
    pub priority: Priority,
    /// True where the submitter wants JOB_CREATED and nothing else.
    pub background: bool,
    /// SUBMIT_JOB_EPOCH: the text of the earliest run time (decimal seconds since 1970).
    pub epoch: Option<&'a [u8]>,
    /// The reduce forms: the reducer.
    pub reducer: Option<&'a [u8]>,
}

/// A request, borrowed from the bytes that it was decoded from.
///
/// Every `handle`, `function`, `unique`, `id` and `option` that is the last argument of a command without
/// payload runs to the end of the packet: a NUL that the peer put there is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// CAN_DO
    CanDo {
        /// The function that the worker can do.
        function: &'a [u8],
    },
    /// CAN_DO_TIMEOUT
    CanDoTimeout {
        /// The function that the worker can do.
        function: &'a [u8],
        /// How long a job may take: text, decimal milliseconds.
        timeout: &'a [u8],
    },
    /// CANT_DO
    CantDo {
        /// The function that the worker can do no longer.
        function: &'a [u8],
    },
    /// RESET_ABILITIES
    ResetAbilities,
    /// MASS_DO (101, an extension of OpenStack's Zuul): replaces all abilities.
    MassDo {
        /// The functions' names with NUL between them: see [`mass_do_functions`].
        functions: &'a [u8],
    },
    /// SET_CLIENT_ID
    SetClientId {
        /// What the worker wants to be called.
        id: &'a [u8],
    },
    /// PRE_SLEEP
    PreSleep,
    /// GRAB_JOB, GRAB_JOB_UNIQ, GRAB_JOB_ALL
    Grab(GrabKind),
    /// SUBMIT_JOB and variants
    Submit(Submit<'a>),
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
        /// How much is done: text.
        numerator: &'a [u8],
        /// Of how much: text.
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
        /// The job.
        handle: &'a [u8],
    },
    /// WORK_EXCEPTION
    WorkException {
        /// The job.
        handle: &'a [u8],
        /// What went wrong; any bytes.
        exception: &'a [u8],
    },
    /// GET_STATUS
    GetStatus {
        /// The job.
        handle: &'a [u8],
    },
    /// GET_STATUS_UNIQUE
    GetStatusUnique {
        /// The job's unique.
        unique: &'a [u8],
    },
    /// ECHO_REQ
    EchoReq {
        /// What to send back; any bytes.
        data: &'a [u8],
    },
    /// OPTION_REQ
    OptionReq {
        /// The option's name; gearmand 1.1.20 knows `exceptions`.
        option: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads the request that `header` and `data` (exactly `header.length` bytes) are.
    ///
    /// - [`RequestError::Malformed`]: an unknown command, a missing separator, too long an argument. The
    ///   peer and we do not speak the same language: close the connection without a reply.
    /// - [`RequestError::Refused`]: `InvalidMagic` for a packet with the response magic, `InvalidCommand` for
    ///   a command that is not for the job server; both only once the data parses, as in gearmand
    ///   1.1.20, which looks at the magic first.
    ///
    /// Dropped on the way: data after a command that has none, and the unused fourth argument of the
    /// reduce forms.
    #[inline]
    pub fn decode(header: &Header, data: &'a [u8]) -> Result<Request<'a>, RequestError> {
        debug_assert_eq!(header.length as usize, data.len());
        let command = header.packet_type()?;
        if header.magic == Magic::Response {
            return Err(refused(command, data, Refusal::InvalidMagic));
        }
        let mut args = Reader::new(command, data);
        let request = match command {
            PacketType::GrabJob => Request::Grab(GrabKind::Plain),
            PacketType::GrabJobUniq => Request::Grab(GrabKind::Unique),
            PacketType::GrabJobAll => Request::Grab(GrabKind::All),
            PacketType::PreSleep => Request::PreSleep,
            PacketType::ResetAbilities => Request::ResetAbilities,

            PacketType::SubmitJob => submit(args, Priority::Normal, false)?,
            PacketType::SubmitJobBg => submit(args, Priority::Normal, true)?,
            PacketType::SubmitJobHigh => submit(args, Priority::High, false)?,
            PacketType::SubmitJobHighBg => submit(args, Priority::High, true)?,
            PacketType::SubmitJobLow => submit(args, Priority::Low, false)?,
            PacketType::SubmitJobLowBg => submit(args, Priority::Low, true)?,
            PacketType::SubmitJobEpoch => submit_epoch(args)?,
            PacketType::SubmitReduceJob => submit_reduce(args, false)?,
            PacketType::SubmitReduceJobBackground => submit_reduce(args, true)?,

            PacketType::WorkComplete => {
                let (handle, result) = args.handle_and_payload()?;
                Request::WorkComplete { handle, result }
            }
            PacketType::WorkData => {
                let (handle, data) = args.handle_and_payload()?;
                Request::WorkData { handle, data }
            }
            PacketType::WorkWarning => {
                let (handle, data) = args.handle_and_payload()?;
                Request::WorkWarning { handle, data }
            }
            PacketType::WorkException => {
                let (handle, exception) = args.handle_and_payload()?;
                Request::WorkException { handle, exception }
            }
            PacketType::WorkStatus => Request::WorkStatus {
                handle: args.terminated()?,
                numerator: args.terminated()?,
                denominator: args.last()?,
            },
            PacketType::WorkFail => Request::WorkFail { handle: args.last()? },

            PacketType::CanDo => Request::CanDo { function: args.last()? },
            PacketType::CanDoTimeout => {
                Request::CanDoTimeout { function: args.terminated()?, timeout: args.last()? }
            }
            PacketType::CantDo => Request::CantDo { function: args.last()? },
            PacketType::MassDo => mass_do(data)?,
            PacketType::SetClientId => Request::SetClientId { id: args.last()? },

            PacketType::GetStatus => Request::GetStatus { handle: args.last()? },
            PacketType::GetStatusUnique => Request::GetStatusUnique { unique: args.last()? },
            PacketType::EchoReq => Request::EchoReq { data: args.payload() },
            PacketType::OptionReq => Request::OptionReq { option: args.last()? },

            PacketType::Unused
            | PacketType::Noop
            | PacketType::JobCreated
            | PacketType::NoJob
            | PacketType::JobAssign
            | PacketType::EchoRes
            | PacketType::Error
            | PacketType::StatusRes
            | PacketType::AllYours
            | PacketType::OptionRes
            | PacketType::JobAssignUniq
            | PacketType::SubmitJobSched
            | PacketType::JobAssignAll
            | PacketType::StatusResUnique => return Err(refused(command, data, Refusal::InvalidCommand)),
        };
        Ok(request)
    }

    /// Appends the request as one packet. Arguments are written as they are: the peer reads the same request
    /// (but for [`Submit::normalised`]) if they are at most [`ARGUMENT_MAX`] bytes with their NUL and contain
    /// none, the last argument of a command without payload excepted.
    ///
    /// # Panics
    /// As [`write_packet`].
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let command = self.packet_type();
        match *self {
            Request::Grab(_) | Request::PreSleep | Request::ResetAbilities => put(out, command, [], b""),
            Request::Submit(ref submission) => submission.encode(out),
            Request::WorkComplete { handle, result } => put(out, command, [handle], result),
            Request::WorkData { handle, data } => put(out, command, [handle], data),
            Request::WorkWarning { handle, data } => put(out, command, [handle], data),
            Request::WorkException { handle, exception } => put(out, command, [handle], exception),
            Request::WorkStatus { handle, numerator, denominator } => {
                put(out, command, [handle, numerator], denominator);
            }
            Request::WorkFail { handle } => put(out, command, [], handle),
            Request::CanDo { function } => put(out, command, [], function),
            Request::CanDoTimeout { function, timeout } => put(out, command, [function], timeout),
            Request::CantDo { function } => put(out, command, [], function),
            Request::MassDo { functions } => put(out, command, [], functions),
            Request::SetClientId { id } => put(out, command, [], id),
            Request::GetStatus { handle } => put(out, command, [], handle),
            Request::GetStatusUnique { unique } => put(out, command, [], unique),
            Request::EchoReq { data } => put(out, command, [], data),
            Request::OptionReq { option } => put(out, command, [], option),
        }
    }

    /// The command of the packet that this request is.
    #[inline]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Request::CanDo { .. } => PacketType::CanDo,
            Request::CanDoTimeout { .. } => PacketType::CanDoTimeout,
            Request::CantDo { .. } => PacketType::CantDo,
            Request::ResetAbilities => PacketType::ResetAbilities,
            Request::MassDo { .. } => PacketType::MassDo,
            Request::SetClientId { .. } => PacketType::SetClientId,
            Request::PreSleep => PacketType::PreSleep,
            Request::Grab(GrabKind::Plain) => PacketType::GrabJob,
            Request::Grab(GrabKind::Unique) => PacketType::GrabJobUniq,
            Request::Grab(GrabKind::All) => PacketType::GrabJobAll,
            Request::Submit(submission) => submission.packet_type(),
            Request::WorkData { .. } => PacketType::WorkData,
            Request::WorkWarning { .. } => PacketType::WorkWarning,
            Request::WorkStatus { .. } => PacketType::WorkStatus,
            Request::WorkComplete { .. } => PacketType::WorkComplete,
            Request::WorkFail { .. } => PacketType::WorkFail,
            Request::WorkException { .. } => PacketType::WorkException,
            Request::GetStatus { .. } => PacketType::GetStatus,
            Request::GetStatusUnique { .. } => PacketType::GetStatusUnique,
            Request::EchoReq { .. } => PacketType::EchoReq,
            Request::OptionReq { .. } => PacketType::OptionReq,
        }
    }
}

impl<'a> Submit<'a> {
    /// The command that carries this submission, or its [`normalised`](Submit::normalised) form.
    #[inline]
    pub const fn packet_type(&self) -> PacketType {
        match (self.reducer, self.epoch, self.priority, self.background) {
            (Some(_), _, _, false) => PacketType::SubmitReduceJob,
            (Some(_), _, _, true) => PacketType::SubmitReduceJobBackground,
            (None, Some(_), _, _) => PacketType::SubmitJobEpoch,
            (None, None, Priority::High, false) => PacketType::SubmitJobHigh,
            (None, None, Priority::High, true) => PacketType::SubmitJobHighBg,
            (None, None, Priority::Normal, false) => PacketType::SubmitJob,
            (None, None, Priority::Normal, true) => PacketType::SubmitJobBg,
            (None, None, Priority::Low, false) => PacketType::SubmitJobLow,
            (None, None, Priority::Low, true) => PacketType::SubmitJobLowBg,
        }
    }

    /// What the job server will read when this submission is encoded.
    ///
    /// Gearman has no command for three combinations, and the nearest one is sent instead: a reducer with
    /// an epoch goes without the epoch; a reducer or an epoch with another priority goes as
    /// [`Priority::Normal`]; an epoch in the foreground goes to the background. Every decoded submission is
    /// normalised already; a caller who must not lose anything compares.
    pub const fn normalised(self) -> Submit<'a> {
        match self.packet_type() {
            PacketType::SubmitReduceJob | PacketType::SubmitReduceJobBackground => {
                Submit { priority: Priority::Normal, epoch: None, ..self }
            }
            PacketType::SubmitJobEpoch => Submit { priority: Priority::Normal, background: true, ..self },
            _ => self,
        }
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        let Submit { function, unique, workload, .. } = *self;
        let command = self.packet_type();
        match (self.reducer, self.epoch) {
            (Some(reducer), _) => put(out, command, [function, unique, reducer, b""], workload),
            (None, Some(epoch)) => put(out, command, [function, unique, epoch], workload),
            (None, None) => put(out, command, [function, unique], workload),
        }
    }
}

/// The names in the data of MASS_DO, in order.
///
/// Zuul joins names with NUL; others may end each with one, so one NUL at the very end is not the
/// start of another name. No data, no names. Empty names inside are kept, as CAN_DO keeps them.
pub fn mass_do_functions(functions: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = functions.strip_suffix(b"\0").unwrap_or(functions);
    let none = functions.is_empty();
    names.split(|&byte| byte == 0).filter(move |_| !none)
}

#[inline]
fn submit(mut args: Reader<'_>, priority: Priority, background: bool) -> Result<Request<'_>, DecodeError> {
    let function = args.terminated()?;
    let unique = args.terminated()?;
    let workload = args.payload();
    Ok(Request::Submit(Submit {
        function,
        unique,
        workload,
        priority,
        background,
        epoch: None,
        reducer: None,
    }))
}

fn submit_epoch(mut args: Reader<'_>) -> Result<Request<'_>, DecodeError> {
    let function = args.terminated()?;
    let unique = args.terminated()?;
    let epoch = Some(args.terminated()?);
    let workload = args.payload();
    let priority = Priority::Normal;
    Ok(Request::Submit(Submit {
        function,
        unique,
        workload,
        priority,
        background: true,
        epoch,
        reducer: None,
    }))
}

fn submit_reduce(mut args: Reader<'_>, background: bool) -> Result<Request<'_>, DecodeError> {
    let function = args.terminated()?;
    let unique = args.terminated()?;
    let reducer = Some(args.terminated()?);
    // libgearman puts something there, nobody reads it.
    let _unused = args.terminated()?;
    let workload = args.payload();
    let priority = Priority::Normal;
    Ok(Request::Submit(Submit { function, unique, workload, priority, background, epoch: None, reducer }))
}

/// The names come as payload, but each is held to the bound that it has as the argument of CAN_DO.
fn mass_do(functions: &[u8]) -> Result<Request<'_>, DecodeError> {
    if mass_do_functions(functions).any(|name| name.len() > ARGUMENT_MAX) {
        return Err(DecodeError::ArgumentTooLong { command: PacketType::MassDo, argument: "function" });
    }
    Ok(Request::MassDo { functions })
}

#[cold]
fn refused(command: PacketType, data: &[u8], refusal: Refusal) -> RequestError {
    match check(command, data) {
        Ok(()) => RequestError::Refused(refusal),
        Err(error) => RequestError::Malformed(error),
    }
}

#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, command: PacketType, terminated: [&[u8]; N], rest: &[u8]) {
    write_packet(out, Magic::Request, command, terminated, rest);
}

#[cfg(test)]
mod tests;
