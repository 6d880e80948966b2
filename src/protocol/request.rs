//! Requests: what clients and workers send. Decode and encode side by side.
//! What a request does, and which lengths and numbers in it are acceptable, is the engine's affair.
use alloc::vec::Vec;

use crate::args::{ARGUMENT_MAX, Reader, check, write_packet};
use crate::error::{DecodeError, Refusal, RequestError};
use crate::names::Priority;
use crate::packet::{Header, Magic, PacketType};

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
mod tests {
    use super::*;
    use crate::framing::{Frame, frame};
    use crate::packet::Handling;
    use std::vec;

    /// Frames and decodes one whole packet.
    fn decode(bytes: &[u8]) -> Result<Request<'_>, RequestError> {
        match frame(bytes, u32::MAX)? {
            Frame::Packet { header, data, consumed } => {
                assert_eq!(consumed, bytes.len());
                Request::decode(&header, data)
            }
            incomplete => panic!("{incomplete:?}"),
        }
    }

    fn packet(command: PacketType, data: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        put(&mut out, command, [], data);
        out
    }

    fn submission(
        function: &'static [u8],
        unique: &'static [u8],
        workload: &'static [u8],
    ) -> Submit<'static> {
        Submit {
            function,
            unique,
            workload,
            priority: Priority::Normal,
            background: false,
            epoch: None,
            reducer: None,
        }
    }

    /// Bytes that gearmand 1.1.20 was sent and understood, and what they mean. They encode back to
    /// themselves.
    #[test]
    fn packets_seen_on_the_wire() {
        let high = Submit { priority: Priority::High, ..submission(b"f", b"same", b"second") };
        let high_bg =
            Submit { priority: Priority::High, background: true, ..submission(b"p", b"", b"high1") };
        let low_bg = Submit { priority: Priority::Low, background: true, ..submission(b"p", b"", b"low1") };
        let background = Submit { background: true, ..submission(b"bg", b"u1", b"data") };
        let epoch = Submit { background: true, epoch: Some(b"12345"), ..submission(b"f", b"u0", b"x") };
        let cases: &[(&[u8], Request)] = &[
            (b"\0REQ\0\0\0\x10\0\0\0\x05hello", Request::EchoReq { data: b"hello" }),
            (b"\0REQ\0\0\0\x01\0\0\0\x07reverse", Request::CanDo { function: b"reverse" }),
            (b"\0REQ\0\0\0\x02\0\0\0\x03two", Request::CantDo { function: b"two" }),
            (b"\0REQ\0\0\0\x03\0\0\0\0", Request::ResetAbilities),
            (b"\0REQ\0\0\0\x04\0\0\0\0", Request::PreSleep),
            (b"\0REQ\0\0\0\x09\0\0\0\0", Request::Grab(GrabKind::Plain)),
            (b"\0REQ\0\0\0\x1e\0\0\0\0", Request::Grab(GrabKind::Unique)),
            (b"\0REQ\0\0\0\x27\0\0\0\0", Request::Grab(GrabKind::All)),
            (
                b"\0REQ\0\0\0\x07\0\0\0\x0dreverse\0\0test",
                Request::Submit(submission(b"reverse", b"", b"test")),
            ),
            (b"\0REQ\0\0\0\x12\0\0\0\x0abg\0u1\0data", Request::Submit(background)),
            (b"\0REQ\0\0\0\x15\0\0\0\x0df\0same\0second", Request::Submit(high)),
            (b"\0REQ\0\0\0\x20\0\0\0\x08p\0\0high1", Request::Submit(high_bg)),
            (b"\0REQ\0\0\0\x22\0\0\0\x07p\0\0low1", Request::Submit(low_bg)),
            (b"\0REQ\0\0\0\x24\0\0\0\x0cf\0u0\x0012345\0x", Request::Submit(epoch)),
            (
                b"\0REQ\0\0\0\x0d\0\0\0\x0bH:vm:1\0tset",
                Request::WorkComplete { handle: b"H:vm:1", result: b"tset" },
            ),
            (
                b"\0REQ\0\0\0\x0c\0\0\0\x0aH:vm:1\x001\x002",
                Request::WorkStatus { handle: b"H:vm:1", numerator: b"1", denominator: b"2" },
            ),
            (b"\0REQ\0\0\0\x0e\0\0\0\x06H:vm:1", Request::WorkFail { handle: b"H:vm:1" }),
            (
                b"\0REQ\0\0\0\x19\0\0\0\x0bH:vm:1\0boom",
                Request::WorkException { handle: b"H:vm:1", exception: b"boom" },
            ),
            (b"\0REQ\0\0\0\x0f\0\0\0\x06H:vm:1", Request::GetStatus { handle: b"H:vm:1" }),
            (b"\0REQ\0\0\0\x29\0\0\0\x04same", Request::GetStatusUnique { unique: b"same" }),
            (b"\0REQ\0\0\0\x16\0\0\0\x08worker-7", Request::SetClientId { id: b"worker-7" }),
            (
                b"\0REQ\0\0\0\x17\0\0\0\x06f\x001000",
                Request::CanDoTimeout { function: b"f", timeout: b"1000" },
            ),
            (b"\0REQ\0\0\0\x1a\0\0\0\x0aexceptions", Request::OptionReq { option: b"exceptions" }),
        ];
        for (bytes, request) in cases {
            assert_eq!(decode(bytes), Ok(*request));
            assert_eq!(
                Ok(request.packet_type()),
                Header::decode(bytes[..12].try_into().unwrap()).unwrap().packet_type()
            );
            let mut out = vec![];
            request.encode(&mut out);
            assert_eq!(out, *bytes);
        }
    }

    #[test]
    fn the_fourth_argument_of_the_reduce_forms_is_ignored() {
        let bytes = b"\0REQ\0\0\0\x25\0\0\0\x19map\0u\0reduce\0aggr\0payload";
        let reduce = Submit { reducer: Some(b"reduce"), ..submission(b"map", b"u", b"payload") };
        assert_eq!(decode(bytes), Ok(Request::Submit(reduce)));
        let mut out = vec![];
        Request::Submit(reduce).encode(&mut out);
        assert_eq!(out, b"\0REQ\0\0\0\x25\0\0\0\x15map\0u\0reduce\0\0payload");

        let background = b"\0REQ\0\0\0\x26\0\0\0\x15map\0u2\0reduce\0aggr\0p2";
        let reduce = Submit { background: true, ..submission(b"map", b"u2", b"p2") };
        let reduce = Submit { reducer: Some(b"reduce"), ..reduce };
        assert_eq!(decode(background), Ok(Request::Submit(reduce)));
    }

    #[test]
    fn a_reduce_job_as_the_protocol_document_has_it_is_malformed() {
        let three = packet(PacketType::SubmitReduceJob, b"map\0u\0reduce\0payload");
        let command = PacketType::SubmitReduceJob;
        let error = DecodeError::MissingSeparator { command, argument: "unused" };
        assert_eq!(decode(&three), Err(RequestError::Malformed(error)));
    }

    /// What gearmand 1.1.20 answers with INVALID_COMMAND, as it was sent.
    #[test]
    fn every_refused_command_is_refused_when_it_parses() {
        let cases: &[(&[u8], PacketType)] = &[
            (b"", PacketType::Unused),
            (b"", PacketType::Noop),
            (b"h", PacketType::JobCreated),
            (b"", PacketType::NoJob),
            (b"h\0f\0w", PacketType::JobAssign),
            (b"", PacketType::EchoRes),
            (b"c\0t", PacketType::Error),
            (b"h\x000\x000\x000\x000", PacketType::StatusRes),
            (b"", PacketType::AllYours),
            (b"x", PacketType::OptionRes),
            (b"h\0f\0u\0w", PacketType::JobAssignUniq),
            (b"f\0u\x001\x002\x003\x004\x005\0w", PacketType::SubmitJobSched),
            (b"h\0f\0u\0r\0w", PacketType::JobAssignAll),
            (b"u\x000\x000\x000\x000\x000", PacketType::StatusResUnique),
        ];
        let refused = PacketType::ALL.iter().filter(|command| command.handling() == Handling::Refused);
        assert!(refused.eq(cases.iter().map(|(_, command)| command)));
        for (data, command) in cases {
            let bytes = packet(*command, data);
            assert_eq!(decode(&bytes), Err(RequestError::Refused(Refusal::InvalidCommand)));
            if command.arguments().len() > 1 {
                let broken = packet(*command, b"x");
                assert!(matches!(decode(&broken), Err(RequestError::Malformed(_))));
            }
        }
    }

    #[test]
    fn the_table_and_the_decoder_agree_on_what_is_handled() {
        let data = b"a\0b\0c\0d\0e\0f\0g\0h";
        for &command in PacketType::ALL {
            let bytes = packet(command, data);
            match command.handling() {
                Handling::Handled => assert_eq!(decode(&bytes).map(|_| ()), Ok(())),
                Handling::Refused => {
                    assert_eq!(decode(&bytes), Err(RequestError::Refused(Refusal::InvalidCommand)))
                }
            }
        }
    }

    #[test]
    fn the_response_magic_is_refused_when_the_packet_parses() {
        let echo = decode(b"\0RES\0\0\0\x10\0\0\0\x05hello");
        assert_eq!(echo, Err(RequestError::Refused(Refusal::InvalidMagic)));
        // Also for a command that would be refused with the right magic.
        assert_eq!(decode(b"\0RES\0\0\0\x06\0\0\0\0"), Err(RequestError::Refused(Refusal::InvalidMagic)));
        let broken = decode(b"\0RES\0\0\0\x0d\0\0\0\x06H:vm:1");
        assert!(matches!(broken, Err(RequestError::Malformed(DecodeError::MissingSeparator { .. }))));
    }

    #[test]
    fn data_after_a_command_without_any_is_ignored() {
        assert_eq!(decode(&packet(PacketType::GrabJob, &[7; 10_000])), Ok(Request::Grab(GrabKind::Plain)));
    }

    #[test]
    fn a_nul_at_the_end_of_the_last_argument_is_part_of_it() {
        let bytes = packet(PacketType::WorkFail, b"H:vm:1\0");
        assert_eq!(decode(&bytes), Ok(Request::WorkFail { handle: b"H:vm:1\0" }));
    }

    #[test]
    fn a_result_without_a_nul_is_an_empty_one() {
        let command = PacketType::WorkComplete;
        let complete = Request::WorkComplete { handle: b"H:vm:1", result: b"" };
        assert_eq!(decode(&packet(command, b"H:vm:1")), Ok(complete));
        let data = Request::WorkData { handle: b"H:vm:1", data: b"" };
        assert_eq!(decode(&packet(PacketType::WorkData, b"H:vm:1")), Ok(data));
        // But it has a handle, of no more than an argument's length.
        let error = DecodeError::MissingSeparator { command, argument: "handle" };
        assert_eq!(decode(&packet(command, b"")), Err(RequestError::Malformed(error)));
        let error = DecodeError::ArgumentTooLong { command, argument: "handle" };
        assert_eq!(decode(&packet(command, &[b'h'; 8192])), Err(RequestError::Malformed(error)));
    }

    #[test]
    fn function_names_have_a_longest() {
        assert!(decode(&packet(PacketType::CanDo, &[b'f'; 8192])).is_ok());
        assert!(matches!(decode(&packet(PacketType::CanDo, &[b'f'; 8193])), Err(RequestError::Malformed(_))));
        let submit = |length| [&vec![b'f'; length][..], b"\0\0"].concat();
        assert!(decode(&packet(PacketType::SubmitJob, &submit(8191))).is_ok());
        let command = PacketType::SubmitJob;
        let error = DecodeError::ArgumentTooLong { command, argument: "function" };
        assert_eq!(decode(&packet(command, &submit(8192))), Err(RequestError::Malformed(error)));
    }

    #[test]
    fn mass_do_names_are_separated_or_terminated() {
        let names = |data| mass_do_functions(data).collect::<Vec<&[u8]>>();
        assert_eq!(names(b""), [b""; 0]);
        assert_eq!(names(b"a"), [b"a"]);
        assert_eq!(names(b"a\0bc"), [&b"a"[..], b"bc"]);
        assert_eq!(names(b"a\0bc\0"), [&b"a"[..], b"bc"]);
        assert_eq!(names(b"a\0\0b"), [&b"a"[..], b"", b"b"]);
        assert_eq!(names(b"\0"), [b""]);
        let long = [&[b'f'; 8192][..], b"\0", &[b'g'; 8192]].concat();
        assert!(decode(&packet(PacketType::MassDo, &long)).is_ok());
        assert!(decode(&packet(PacketType::MassDo, &[b'f'; 8193])).is_err());
    }

    #[test]
    fn combinations_without_a_command_go_as_the_nearest() {
        let plain = submission(b"f", b"u", b"w");
        assert_eq!(plain.normalised(), plain);
        let high_epoch = Submit { priority: Priority::High, epoch: Some(b"1"), ..plain };
        let sent = Submit { background: true, epoch: Some(b"1"), ..plain };
        assert_eq!(high_epoch.normalised(), sent);
        let low_reduce = Submit { priority: Priority::Low, reducer: Some(b"r"), ..high_epoch };
        assert_eq!(low_reduce.normalised(), Submit { reducer: Some(b"r"), ..plain });
    }
}
