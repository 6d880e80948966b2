//! Requests: what clients and workers send. Decode and encode side by side.
use crate::Priority;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// CAN_DO
    CanDo { function: &'a [u8] },
    /// CAN_DO_TIMEOUT; `timeout` is text, milliseconds.
    CanDoTimeout { function: &'a [u8], timeout: &'a [u8] },
    /// CANT_DO
    CantDo { function: &'a [u8] },
    /// RESET_ABILITIES
    ResetAbilities,
    /// MASS_DO (101, an extension of OpenStack's gear): replaces all abilities; names separated by NUL.
    MassDo { functions: &'a [u8] },
    /// SET_CLIENT_ID
    SetClientId { id: &'a [u8] },
    /// PRE_SLEEP
    PreSleep,
    /// GRAB_JOB, GRAB_JOB_UNIQ, GRAB_JOB_ALL
    Grab(GrabKind),
    /// SUBMIT_JOB and variants
    Submit(Submit<'a>),
    /// WORK_DATA
    WorkData { handle: &'a [u8], data: &'a [u8] },
    /// WORK_WARNING
    WorkWarning { handle: &'a [u8], data: &'a [u8] },
    /// WORK_STATUS; both numbers are text.
    WorkStatus { handle: &'a [u8], numerator: &'a [u8], denominator: &'a [u8] },
    /// WORK_COMPLETE
    WorkComplete { handle: &'a [u8], result: &'a [u8] },
    /// WORK_FAIL
    WorkFail { handle: &'a [u8] },
    /// WORK_EXCEPTION
    WorkException { handle: &'a [u8], exception: &'a [u8] },
    /// GET_STATUS
    GetStatus { handle: &'a [u8] },
    /// GET_STATUS_UNIQUE
    GetStatusUnique { unique: &'a [u8] },
    /// ECHO_REQ
    EchoReq { data: &'a [u8] },
    /// OPTION_REQ
    OptionReq { option: &'a [u8] },
}
