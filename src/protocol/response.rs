//! Responses: what the job server sends. Decode and encode side by side.

/// A response, borrowed from the bytes that it was decoded from or that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// JOB_CREATED
    JobCreated { handle: &'a [u8] },
    /// NOOP
    Noop,
    /// NO_JOB
    NoJob,
    /// JOB_ASSIGN
    JobAssign { handle: &'a [u8], function: &'a [u8], workload: &'a [u8] },
    /// JOB_ASSIGN_UNIQ
    JobAssignUniq { handle: &'a [u8], function: &'a [u8], unique: &'a [u8], workload: &'a [u8] },
    /// JOB_ASSIGN_ALL
    JobAssignAll {
        handle: &'a [u8],
        function: &'a [u8],
        unique: &'a [u8],
        reducer: &'a [u8],
        workload: &'a [u8],
    },
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
    /// STATUS_RES
    StatusRes { handle: &'a [u8], known: bool, running: bool, numerator: u32, denominator: u32 },
    /// STATUS_RES_UNIQUE
    StatusResUnique {
        unique: &'a [u8],
        known: bool,
        running: bool,
        numerator: u32,
        denominator: u32,
        clients: u32,
    },
    /// ECHO_RES
    EchoRes { data: &'a [u8] },
    /// OPTION_RES
    OptionRes { option: &'a [u8] },
    /// ERROR
    Error { code: &'a [u8], text: &'a [u8] },
}
