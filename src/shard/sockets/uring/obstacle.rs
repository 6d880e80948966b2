//! Why there can be no ring, as it is said: values and words. What finds out is `trial.rs`.
use crate::shard::error::ShardError;
use std::fmt;
use std::io;

/// Why there can be no ring.
#[derive(Debug)]
pub(crate) enum RingObstacle {
    /// A call of the kernel fails.
    Call(&'static str, io::Error),
    /// The kernel does not know a kind of order.
    Missing(&'static str),
    /// The kernel does not do what was ordered.
    NotDone(&'static str),
    /// Too little memory may be locked for so many shards.
    Memlock,
    /// Something else of the system.
    Other(ShardError),
}

impl RingObstacle {
    pub(super) fn of_call(call: &'static str) -> impl Fn(io::Error) -> RingObstacle {
        move |error| match error.raw_os_error() {
            Some(libc::ENOMEM) => RingObstacle::Memlock,
            _ => RingObstacle::Call(call, error),
        }
    }
}

impl fmt::Display for RingObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingObstacle::Call(call, error) => match (error.raw_os_error(), disabled()) {
                (Some(libc::EPERM | libc::EACCES), Some(by)) => {
                    write!(f, "sysctl kernel.io_uring_disabled is {by}")
                }
                (Some(libc::EPERM | libc::EACCES), None) => {
                    write!(
                        f,
                        "{call} is forbidden ({error}), as by the seccomp profile of a container or a unit"
                    )
                }
                (Some(libc::ENOSYS), _) => {
                    write!(f, "the kernel has no {call}, or a seccomp profile hides it")
                }
                (Some(libc::EINVAL), _) => {
                    write!(
                        f,
                        "the kernel is too old for it ({call}: {error}), Linux 6.1 or later has all of it"
                    )
                }
                _ => write!(f, "{call} fails ({error})"),
            },
            RingObstacle::Missing(what) => {
                write!(f, "the kernel cannot {what} by it, Linux 6.1 or later can")
            }
            RingObstacle::NotDone(what) => write!(f, "the kernel does not {what} as ordered"),
            RingObstacle::Memlock => {
                write!(f, "too little memory may be locked for so many threads (RLIMIT_MEMLOCK, ulimit -l)")
            }
            RingObstacle::Other(error) => error.fmt(f),
        }
    }
}

impl From<RingObstacle> for ShardError {
    fn from(obstacle: RingObstacle) -> ShardError {
        match obstacle {
            RingObstacle::Call(_, error) => ShardError::of_ring(error),
            RingObstacle::Memlock => ShardError::Memlock,
            RingObstacle::Missing(_) | RingObstacle::NotDone(_) => {
                ShardError::Uring(io::Error::from(io::ErrorKind::Unsupported))
            }
            RingObstacle::Other(error) => error,
        }
    }
}

/// What the sysctl says, where it forbids anything.
fn disabled() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    let value = text.trim().to_owned();
    (value != "0").then_some(value)
}
