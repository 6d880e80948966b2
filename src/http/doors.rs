//! What the HTTP side listens on, as it is handed in.
use crate::tls::Certificates;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What is behind a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorKind {
    /// The HTTP side (`--control`).
    Control,
    /// gearmand's HTTP (`--protocol http`).
    Gateway,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct ControlDoor {
    pub(crate) kind: DoorKind,
    /// Its address; none for a unix socket.
    pub(crate) address: Option<SocketAddr>,
    /// What TLS is spoken with there; plain without.
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) socket: OwnedFd,
}
