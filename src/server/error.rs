//! Why a server does not start or go on, and the exit status for each reason.
//! Where they arise is in the files beside this one.
use crate::access::AccessError;
use crate::shard::error::ShardError;
use crate::shard::options::Endpoint;
use crate::store::StoreError;
use crate::tls::TlsError;
use std::fmt;
use std::io;

/// Why the server could not start. Each is printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum ServerError {
    /// No address was given.
    NoAddress,
    /// The port or path belongs to another process.
    PortTaken(Endpoint),
    /// The port or path may not be used by this user.
    PortForbidden(Endpoint),
    /// The address or path cannot be listened on.
    Address(Endpoint, io::Error),
    /// A shard could not start, or not go on.
    Shard(ShardError),
    /// The store cannot be used.
    Store(StoreError),
    /// gearmand's HTTP cannot be listened for there.
    Gateway(Endpoint, io::Error),
    /// The file of tokens for HTTP cannot be used, for this reason.
    Tokens(String),
    /// It is not known who may do what.
    Access(AccessError),
    /// Certificates or keys cannot be used.
    Tls(TlsError),
    /// The file of paused functions cannot be read: a sentence.
    Pauses(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::NoAddress => write!(f, "there is no address to listen on; name one with --listen"),
            ServerError::PortTaken(path @ Endpoint::Unix { .. }) => write!(
                f,
                "cannot listen on {path}: another process listens there; stop it, or choose another path with --listen"
            ),
            ServerError::PortForbidden(path @ Endpoint::Unix { .. }) => write!(
                f,
                "cannot listen on {path}: not permitted; choose a path with --listen in a folder where this user may make files"
            ),
            ServerError::Address(path @ Endpoint::Unix { .. }, error) => {
                write!(f, "cannot listen on {path}: {error}; choose another path with --listen")
            }
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
            ServerError::Shard(error) => error.fmt(f),
            ServerError::Store(error) => error.fmt(f),
            ServerError::Gateway(endpoint, error) => write!(
                f,
                "cannot listen on {endpoint} for HTTP: {error}; choose another port with --http-port, or leave --protocol http out"
            ),
            ServerError::Tokens(why) => write!(f, "--control-tokens: {why}"),
            ServerError::Access(error) => write!(f, "{error} (--acl)"),
            ServerError::Tls(error) => error.fmt(f),
            ServerError::Pauses(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<AccessError> for ServerError {
    fn from(error: AccessError) -> ServerError {
        ServerError::Access(error)
    }
}

impl From<StoreError> for ServerError {
    fn from(error: StoreError) -> ServerError {
        ServerError::Store(error)
    }
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> ServerError {
        ServerError::Tls(error)
    }
}

impl From<ShardError> for ServerError {
    fn from(error: ShardError) -> ServerError {
        ServerError::Shard(error)
    }
}

impl ServerError {
    pub(super) fn system(what: &'static str, error: io::Error) -> ServerError {
        ServerError::Shard(ShardError::of_system(what, error))
    }

    pub(super) fn of_endpoint(endpoint: Endpoint, error: io::Error) -> ServerError {
        match error.kind() {
            io::ErrorKind::AddrInUse => ServerError::PortTaken(endpoint),
            io::ErrorKind::PermissionDenied => ServerError::PortForbidden(endpoint),
            _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                ServerError::Shard(ShardError::Descriptors)
            }
            _ => ServerError::Address(endpoint, error),
        }
    }

    /// The options that it is about, by their long names.
    pub fn options(&self) -> &'static [&'static str] {
        match self {
            ServerError::PortTaken(Endpoint::Tcp(_)) | ServerError::PortForbidden(Endpoint::Tcp(_)) => {
                &["port", "listen"]
            }
            ServerError::NoAddress
            | ServerError::PortTaken(_)
            | ServerError::PortForbidden(_)
            | ServerError::Address(..) => &["listen"],
            ServerError::Shard(ShardError::Descriptors) => &["threads", "file-descriptors"],
            ServerError::Shard(_) => &["threads"],
            ServerError::Gateway(..) => &["http-port", "protocol"],
            ServerError::Tokens(_) => &["control-tokens"],
            ServerError::Access(_) => &["acl"],
            ServerError::Tls(error) => match error.option {
                "ssl-key" => &["ssl-key"],
                "ssl-ca-file" => &["ssl-ca-file"],
                _ => &["ssl-certificate"],
            },
            ServerError::Pauses(_) => &["data-dir"],
            ServerError::Store(_) => {
                &["data-dir", "libsqlite3-db", "libsqlite3-table", "libpq-conninfo", "libpq-table"]
            }
        }
    }

    /// The exit status for it, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        const EX_USAGE: u8 = 64;
        const EX_UNAVAILABLE: u8 = 69;
        const EX_OSERR: u8 = 71;
        const EX_IOERR: u8 = 74;
        const EX_NOPERM: u8 = 77;
        const EX_CONFIG: u8 = 78;
        match self {
            ServerError::NoAddress | ServerError::Tokens(_) => EX_USAGE,
            ServerError::PortTaken(_) | ServerError::Address(..) | ServerError::Gateway(..) => EX_UNAVAILABLE,
            ServerError::PortForbidden(_) => EX_NOPERM,
            ServerError::Shard(ShardError::Uring(_)) => EX_UNAVAILABLE,
            ServerError::Shard(_) => EX_OSERR,
            ServerError::Store(StoreError::Locked { .. }) => EX_UNAVAILABLE,
            ServerError::Access(_) => EX_CONFIG,
            ServerError::Tls(_) => EX_CONFIG,
            ServerError::Store(_) | ServerError::Pauses(_) => EX_IOERR,
        }
    }
}
