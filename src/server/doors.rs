//! Opens the listening sockets: those for plain Gearman, and those for Gearman by TLS. How sockets are made is in `shard/listen/`.
use super::error::ServerError;
use super::options::ServerOptions;
use crate::shard::listen::{self, SocketFile};
use crate::shard::options::{Endpoint, ListenerKind};
use crate::tls::Certificates;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What shards get of it.
pub(super) struct Doors {
    /// For each shard a socket for each entrance.
    pub(super) of_shards: Vec<Vec<OwnedFd>>,
    pub(super) entrances: Vec<ListenerKind>,
    pub(super) certificates: Option<Arc<Certificates>>,
}

/// Everything that listens.
pub(super) struct Opened {
    /// For each shard a socket for each endpoint.
    pub(super) of_shards: Vec<Vec<OwnedFd>>,
    pub(super) endpoints: Vec<Endpoint>,
    /// For each endpoint what is expected there.
    pub(super) entrances: Vec<ListenerKind>,
    pub(super) files: Vec<SocketFile>,
}

/// Listens wherever that is wanted.
pub(super) fn open(options: &ServerOptions, shards: u16) -> Result<Opened, ServerError> {
    let mut opened = Opened {
        of_shards: (0..shards).map(|_| Vec::new()).collect(),
        endpoints: Vec::new(),
        entrances: Vec::new(),
        files: Vec::new(),
    };
    for (tls, endpoints) in [(false, &options.endpoints), (true, &options.tls_endpoints)] {
        let (backlog, keepalive) = (options.backlog, &options.shard.keepalive);
        let made = listen::listen(endpoints, backlog, shards, listen::PATIENCE, keepalive);
        let made = made.map_err(|(endpoint, error)| ServerError::of_endpoint(endpoint, error))?;
        for (all, some) in opened.of_shards.iter_mut().zip(made.of_shards) {
            all.extend(some);
        }
        opened.entrances.extend(made.endpoints.iter().map(|_| ListenerKind { tls }));
        opened.endpoints.extend(made.endpoints);
        opened.files.extend(made.files);
    }
    Ok(opened)
}
