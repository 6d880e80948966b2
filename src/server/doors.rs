//! Opens the listening sockets: those for plain Gearman, and those for Gearman by TLS. How sockets are made is in `shard/listen/`.
use super::error::ServerError;
use super::options::ServerOptions;
use crate::access::{AccessBook, Door};
use crate::log_at;
use crate::logging::Level;
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
    let lists =
        [(false, &options.endpoints, &options.doors), (true, &options.tls_endpoints, &options.tls_doors)];
    for (tls, endpoints, doors) in lists {
        let (backlog, keepalive) = (options.backlog, &options.shard.keepalive);
        let made = listen::listen(endpoints, backlog, shards, listen::PATIENCE, keepalive);
        let made = made.map_err(|(endpoint, error)| ServerError::of_endpoint(endpoint, error))?;
        for (all, some) in opened.of_shards.iter_mut().zip(made.of_shards) {
            all.extend(some);
        }
        opened.entrances.extend(doors.iter().map(|&door| ListenerKind { tls, door }));
        opened.endpoints.extend(made.endpoints);
        opened.files.extend(made.files);
    }
    Ok(opened)
}

/// Says where the server listens; and once where whoever reaches an address may do anything there, and others can listen.
pub(super) fn tell(endpoints: &[Endpoint], entrances: &[ListenerKind], access: &AccessBook) {
    for (endpoint, entrance) in endpoints.iter().zip(entrances) {
        let how = if entrance.tls { ", by TLS" } else { "" };
        let what = match entrance.door.word() {
            "" => String::new(),
            word => format!(", {word}"),
        };
        log_at!(Level::Notice, "listening on {endpoint}{how}{what}");
    }
    let is_open = |(endpoint, entrance): (&Endpoint, &ListenerKind)| match endpoint {
        Endpoint::Tcp(address) => {
            !entrance.tls && entrance.door != Door::ReadOnly && !address.ip().to_canonical().is_loopback()
        }
        Endpoint::Unix { .. } => false,
    };
    let open = endpoints.iter().zip(entrances).find(|&one| !access.has_list() && is_open(one));
    if let Some((endpoint, _)) = open {
        log_at!(
            Level::Notice,
            "whoever reaches {endpoint} may do there what any client, worker or administrator may, and it is plain text: see \
             `ringgear help security` for TLS (--ssl) and access lists (--acl)"
        );
    }
}
