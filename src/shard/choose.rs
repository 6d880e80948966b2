//! How sockets are served here: by io_uring where that can be used, by epoll where it cannot. It is tried once, before anything
//! is opened. How each of them works is in `sockets/`.
use super::error::ShardError;
use super::host::Host;
use super::options::SocketsChoice;
use super::sockets::{self, RingObstacle, RingSize, Sockets, SocketsKind};
use crate::log_at;
use crate::logging::Level;
use std::fmt;
use std::thread;

/// How sockets are served.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    kind: SocketsKind,
    /// Whether epoll may stand in for io_uring.
    may_change: bool,
    /// Why not by io_uring, where that was not the operator's wish.
    why: Option<String>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.why) {
            (SocketsKind::Uring(RingSize::FULL), _) => f.write_str("sockets are served by io_uring"),
            (SocketsKind::Uring(_), _) => f.write_str(
                "sockets are served by io_uring, with small queues, for little memory may be locked (RLIMIT_MEMLOCK, ulimit -l)",
            ),
            (SocketsKind::Epoll, Some(why)) => {
                write!(f, "sockets are served by epoll, io_uring cannot be used: {why}")
            }
            (SocketsKind::Epoll, None) => f.write_str("sockets are served by epoll"),
        }
    }
}

/// What the operator wants, or what can be had, for so many shards.
pub(crate) fn choose(wanted: SocketsChoice, shards: u16) -> Result<Chosen, ShardError> {
    let may_change = wanted == SocketsChoice::Auto;
    let mut why = None;
    if wanted != SocketsChoice::Epoll {
        match apart(|| try_uring(shards)) {
            Ok(size) => return Ok(Chosen { kind: SocketsKind::Uring(size), may_change, why }),
            Err((_, error)) if !may_change => return Err(error),
            Err((reason, _)) => why = Some(reason),
        }
    }
    sockets::try_epoll()?;
    Ok(Chosen { kind: SocketsKind::Epoll, may_change, why })
}

/// Does something on a thread of its own. What is left of a ring when it has been closed interrupts the thread that had it, a moment later: a
/// receive with a time limit fails there then, and the drivers of databases on this thread take that for a broken connection.
fn apart<T: Send>(what: impl Fn() -> T + Sync) -> T {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &what) {
        Ok(running) => running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // No thread can be had. Whoever starts shards hears of it.
        Err(_) => what(),
    })
}

/// Whether io_uring can be used, and the runtime that stands under a shard then; why not, for the log and as an error.
fn try_uring(shards: u16) -> Result<RingSize, (String, ShardError)> {
    let size = sockets::try_uring(shards).map_err(|obstacle| (obstacle.to_string(), obstacle.into()))?;
    match Host::glommio() {
        Ok(_) => Ok(size),
        Err(error) => Err((reason(&error), error)),
    }
}

/// What stands in the way, for whoever gets epoll instead.
fn reason(error: &ShardError) -> String {
    match error {
        ShardError::Memlock => RingObstacle::Memlock.to_string(),
        error => error.to_string(),
    }
}

impl Chosen {
    /// What a shard stands on, on this thread. Somebody else of this user may have locked memory since it was tried: then epoll
    /// stands in, if it may.
    pub(super) fn make(&self, buffers: u16) -> Result<(Host, Sockets), ShardError> {
        let make = || match self.kind {
            SocketsKind::Uring(_) => Ok((Host::glommio()?, Sockets::new(self.kind, buffers)?)),
            SocketsKind::Epoll => Ok((Host::Plain, Sockets::new(self.kind, buffers)?)),
        };
        match make() {
            Err(error) if self.may_change && self.kind != SocketsKind::Epoll => {
                log_at!(Level::Warning, "sockets of this thread are served by epoll: {}", reason(&error));
                Ok((Host::Plain, Sockets::new(SocketsKind::Epoll, buffers)?))
            }
            made => made,
        }
    }

    /// Descriptors that a shard needs for it.
    pub(crate) fn descriptors(&self) -> usize {
        match self.kind {
            // The ring, and those of the runtime.
            SocketsKind::Uring(_) => 7,
            // The list of sockets, and the timer.
            SocketsKind::Epoll => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    /// Drivers of databases wait for an answer so long, on the thread that has tried the sockets before.
    #[test]
    fn whoever_has_tried_is_not_interrupted_afterwards() {
        for _ in 0..300 {
            choose(SocketsChoice::Auto, 2).unwrap();
            let (mut socket, _other) = UnixStream::pair().unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(3))).unwrap();
            let error = socket.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        }
    }
}
