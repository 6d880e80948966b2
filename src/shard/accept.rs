//! The listeners of a shard: when to accept, whom to let in, what to do when descriptors run out. What a connection
//! is then is in `connection.rs`.
use super::sockets::Sockets;
use crate::engine::Instant;
use crate::logging::Level;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long to wait before trying to accept again when descriptors ran out and no connection of this shard closes.
const RETRY: Duration = Duration::from_millis(100);

/// The next of those who wait to be accepted on a listener that the kernel is done with; does not wait for anybody.
pub(crate) fn accept_waiting(listener: &OwnedFd) -> Option<OwnedFd> {
    rustix::io::ioctl_fionbio(listener, true).ok()?;
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).ok()
}

/// One listening socket.
#[derive(Debug)]
struct Listener {
    /// None when it is closed.
    socket: Option<OwnedFd>,
    /// Whether the kernel accepts from it.
    armed: bool,
}

/// The listeners of a shard.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    open: bool,
    /// When to try again where accepting stopped for want of descriptors.
    retry: Option<Instant>,
    /// Whether descriptors ran out and nobody was accepted since.
    exhausted: bool,
}

/// What came of an accept that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A connection was gone before it was accepted; or nobody is accepted any more.
    None,
    /// There are no descriptors, since just now.
    OutOfDescriptors,
}

impl Acceptor {
    /// Begins to accept.
    pub(crate) fn open(listeners: Vec<OwnedFd>, sockets: &mut Sockets) -> Acceptor {
        let listeners = listeners.into_iter().map(|socket| Listener { socket: Some(socket), armed: false });
        let mut acceptor =
            Acceptor { listeners: listeners.collect(), open: true, retry: None, exhausted: false };
        acceptor.arm(sockets);
        acceptor
    }

    /// Accepts wherever the kernel does not yet.
    fn arm(&mut self, sockets: &mut Sockets) {
        self.retry = None;
        if !self.open {
            return;
        }
        for (index, listener) in (0..).zip(&mut self.listeners) {
            if let Some(socket) = &listener.socket
                && !listener.armed
            {
                sockets.accept(index, socket.as_fd());
                listener.armed = true;
            }
        }
    }

    /// Stops accepting. Listeners close when the kernel is done with them: see [`Acceptor::disarmed`].
    pub(crate) fn close(&mut self, sockets: &mut Sockets) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        self.retry = None;
        for (index, listener) in (0..).zip(&mut self.listeners) {
            if listener.armed {
                sockets.stop_accepting(index);
            } else {
                listener.socket = None;
            }
        }
    }

    /// Whether all listeners are closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.listeners.iter().all(|listener| listener.socket.is_none())
    }

    /// Notes that the kernel accepts no more from a listener. One that is to close is handed out: dropping it resets who has
    /// connected and was not accepted, see [`accept_waiting`].
    pub(crate) fn disarmed(&mut self, listener: u32, sockets: &mut Sockets) -> Option<OwnedFd> {
        let listener = &mut self.listeners[listener as usize];
        listener.armed = false;
        if !self.open {
            return listener.socket.take();
        }
        if self.retry.is_none() {
            self.arm(sockets);
        }
        None
    }

    /// Notes that a connection was accepted.
    pub(crate) fn accepted(&mut self) {
        self.exhausted = false;
    }

    /// Notes why no connection was accepted; to be called before [`Acceptor::disarmed`].
    pub(crate) fn failed(&mut self, error: Errno, now: Instant) -> Trouble {
        match error {
            Errno::CONNABORTED | Errno::INTR | Errno::AGAIN | Errno::PROTO | Errno::CANCELED => Trouble::None,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                self.retry = Some(now.after(RETRY));
                if std::mem::replace(&mut self.exhausted, true) {
                    return Trouble::None;
                }
                crate::log_at!(
                    Level::Error,
                    "cannot accept connections ({error}): trying again when one closes; raise RLIMIT_NOFILE or lower --max-connections"
                );
                Trouble::OutOfDescriptors
            }
            error => {
                crate::log_at!(Level::Error, "cannot accept connections ({error}): trying again");
                self.retry = Some(now.after(RETRY));
                Trouble::None
            }
        }
    }

    /// Notes that a connection was refused because there are so many.
    pub(crate) fn refused(&self, most: usize) {
        crate::log_at!(Level::Warning, "refused a connection: there are {most} already (--max-connections)");
    }

    /// Notes that a connection has closed, which frees a descriptor.
    #[inline]
    pub(crate) fn relieved(&mut self, sockets: &mut Sockets) {
        if self.retry.is_some() {
            self.arm(sockets);
        }
    }

    /// When [`Acceptor::retry`] is due.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Tries again, if it is time.
    #[inline]
    pub(crate) fn retry(&mut self, now: Instant, sockets: &mut Sockets) {
        if self.retry.is_some_and(|at| at <= now) {
            self.arm(sockets);
        }
    }
}
