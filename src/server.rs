//! Starts the shards, waits for signals, stops. What a shard does is in `shard/`; options come from `config.rs`.
use crate::shard::options::ShardOptions;
use ringgear_engine::Policy;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What an operator may decide about the server as a whole.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen; at least one. Port 0 takes a free one, the same for all addresses.
    pub addresses: Vec<SocketAddr>,
    /// Connections that may wait to be accepted, for each address and shard; 1..=65535. The system may cut it
    /// (net.core.somaxconn).
    pub backlog: u32,
    /// Shards, each on a thread and core of its own; at most [`ringgear_engine::slot::SHARDS_MAX`]. 0: one for each
    /// core that this process may use.
    pub threads: u16,
    /// For the engines.
    pub policy: Policy,
    /// For the shards.
    pub shard: ShardOptions,
}

/// Why the server could not start. Each is printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum ServerError {
    /// No address was given.
    NoAddress,
    /// The port belongs to another process.
    PortTaken(SocketAddr),
    /// The port may not be used by this user.
    PortForbidden(SocketAddr),
    /// The address cannot be listened on.
    Address(SocketAddr, io::Error),
    /// io_uring is switched off, forbidden or too old here.
    Uring(io::Error),
    /// Too little memory may be locked.
    Memlock,
    /// Too few descriptors.
    Descriptors,
    /// The system refused something else.
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Memory that may have to be locked for each shard, in KiB, on kernels that count it.
const MEMLOCK_KIB_PER_SHARD: u32 = 512;

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::NoAddress => write!(f, "there is no address to listen on; name one with --listen"),
            ServerError::PortTaken(address) => write!(
                f,
                "cannot listen on {address}: the port is in use; stop the process that has it, or choose another port with --port"
            ),
            ServerError::PortForbidden(address) => write!(
                f,
                "cannot listen on {address}: not permitted; choose a port above 1023 with --port, or grant CAP_NET_BIND_SERVICE"
            ),
            ServerError::Address(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; choose an address of this machine with --listen"
            ),
            ServerError::Uring(error) => write!(
                f,
                "io_uring cannot be used here ({error}); Linux 6.1 or later is needed, with sysctl kernel.io_uring_disabled=0 and a container profile (seccomp) that allows io_uring"
            ),
            ServerError::Memlock => write!(
                f,
                "too little memory may be locked; raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) to {MEMLOCK_KIB_PER_SHARD} KiB for each thread or more"
            ),
            ServerError::Descriptors => write!(
                f,
                "too few file descriptors; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=), or use fewer --threads"
            ),
            ServerError::System { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

impl ServerError {
    /// The exit status for it, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        const EX_USAGE: u8 = 64;
        const EX_UNAVAILABLE: u8 = 69;
        const EX_OSERR: u8 = 71;
        const EX_NOPERM: u8 = 77;
        match self {
            ServerError::NoAddress => EX_USAGE,
            ServerError::PortTaken(_) | ServerError::Address(..) | ServerError::Uring(_) => EX_UNAVAILABLE,
            ServerError::PortForbidden(_) => EX_NOPERM,
            ServerError::Memlock | ServerError::Descriptors | ServerError::System { .. } => EX_OSERR,
        }
    }
}
