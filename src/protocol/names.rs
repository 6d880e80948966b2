//! Words of the protocol that are more than bytes, and how long the others may be. Names, uniques and
//! handles travel as `&[u8]`; what is done when one is too long is the engine's affair.

/// How urgent a job is. The order is Gearman's: `High` is taken before `Normal`, `Normal` before `Low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// SUBMIT_JOB_HIGH, SUBMIT_JOB_HIGH_BG.
    High,
    /// SUBMIT_JOB, SUBMIT_JOB_BG, SUBMIT_JOB_EPOCH and the reduce forms.
    Normal,
    /// SUBMIT_JOB_LOW, SUBMIT_JOB_LOW_BG.
    Low,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
}

/// The most bytes of data that one packet can be allowed to have: 2 GiB - 1. What is allowed is policy.
pub const PACKET_MAX: u32 = i32::MAX as u32;

/// The longest unique that a submission may have, in bytes. gearmand 1.1.20 answers a longer one with
/// ERROR `Unique value too large`. (It accepts 64 but stores 63 of them; 64 are meant to work.)
pub const UNIQUE_MAX: usize = 64;

/// The longest usable job handle, in bytes: gearmand 1.1.20 keeps handles in 64 bytes with a closing NUL.
pub const HANDLE_MAX: usize = 63;

/// The bytes of SET_CLIENT_ID that gearmand 1.1.20 keeps; it cuts longer ids, also at the first NUL.
pub const CLIENT_ID_MAX: usize = 127;

/// The longest option that OPTION_REQ may name, in bytes: gearmand 1.1.20 answers `UNKNOWN_OPTION` to
/// 64 and more.
pub const OPTION_MAX: usize = 63;

/// The longest reducer, in bytes. gearmand 1.1.20 answers a longer one with ERROR `Unique value too large`.
pub const REDUCER_MAX: usize = 64;

// How long a function's name may be is two things: `ARGUMENT_MAX` bounds it on the wire, policy below that.
