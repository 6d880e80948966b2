//! Why a shard cannot start or go on.
//! What the server makes of it is in `server/error.rs`.
use std::fmt;
use std::io;

/// Why a shard cannot start or go on. Printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum ShardError {
    /// io_uring is switched off, forbidden or too old here.
    Uring(io::Error),
    /// Too little memory may be locked.
    Memlock,
    /// Too few descriptors.
    Descriptors,
    /// Too few threads.
    Threads(io::Error),
    /// The system refused something else.
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Memory that a shard may have to lock, in KiB: the rings' own, and what the runtime insists on.
const MEMLOCK_KIB: u32 = 1024;

impl ShardError {
    /// Why a ring could not be made.
    pub(crate) fn of_ring(error: io::Error) -> ShardError {
        match error.raw_os_error() {
            Some(libc::ENOSYS | libc::EPERM | libc::EACCES | libc::EINVAL | libc::EOPNOTSUPP) => {
                ShardError::Uring(error)
            }
            _ => ShardError::of_system("make an io_uring", error),
        }
    }

    /// Why the system refused something else.
    pub(crate) fn of_system(what: &'static str, error: io::Error) -> ShardError {
        match error.raw_os_error() {
            Some(libc::ENOMEM) => ShardError::Memlock,
            Some(libc::EMFILE | libc::ENFILE) => ShardError::Descriptors,
            _ => ShardError::System { what, error },
        }
    }
}

impl fmt::Display for ShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardError::Uring(error) => write!(
                f,
                "io_uring cannot be used here ({error}): it needs Linux 6.1 or later, sysctl kernel.io_uring_disabled=0, \
                 and a container whose seccomp profile allows io_uring_setup, io_uring_enter and io_uring_register; \
                 or take --sockets auto, which does without"
            ),
            ShardError::Memlock => write!(
                f,
                "too little memory may be locked: raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=, --ulimit memlock=) to \
                 {MEMLOCK_KIB} KiB for each thread, or take --sockets auto, which does with less"
            ),
            ShardError::Descriptors => write!(
                f,
                "there are too few file descriptors to start: raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=) or take fewer \
                 --threads"
            ),
            ShardError::Threads(error) if is_refused(error) => write!(
                f,
                "cannot start a thread ({error}): {FILTER} must allow clone, and clone3 or say of it that there is none (as Docker does \
                 from 20.10.10 on)"
            ),
            ShardError::Threads(error) => write!(
                f,
                "cannot start a thread ({error}): raise RLIMIT_NPROC (ulimit -u, LimitNPROC=), TasksMax= of the unit or the \
                 limit on processes of the container, or take fewer --threads"
            ),
            ShardError::System { what, error } if is_refused(error) => {
                write!(f, "cannot {what}: {error}; {FILTER} must allow it")
            }
            ShardError::System { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

/// Who refuses calls that every kernel has.
const FILTER: &str =
    "the filter of system calls (SystemCallFilter= of a unit, the seccomp profile of a container)";

/// Whether a call was not done because somebody forbids it.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

impl std::error::Error for ShardError {}
