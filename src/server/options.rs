//! What an operator may decide about the server as a whole. Values only; the command line that fills them in is `config/`.
use crate::access::{AccessOptions, Door};
use crate::engine::Policy;
use crate::shard::options::{Endpoint, ShardOptions, SocketsChoice};
use crate::store::StoreOptions;
use crate::tls::TlsOptions;
use std::path::PathBuf;

/// What an operator may decide about the server as a whole.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen; at least one, here or in the next list. Port 0 takes a free one, the same for all addresses of a list.
    pub endpoints: Vec<Endpoint>,
    /// What each of them is for, in the same order.
    pub doors: Vec<Door>,
    /// Where to listen for those who speak TLS.
    pub tls_endpoints: Vec<Endpoint>,
    /// What each of these is for.
    pub tls_doors: Vec<Door>,
    /// The certificates for it, and for TLS of the HTTP side; needed where the list of these is not empty, or that has TLS.
    pub tls: Option<TlsOptions>,
    /// Connections that may wait to be accepted, for each address and shard; 1..=65535. The system may cut it
    /// (net.core.somaxconn).
    pub backlog: u32,
    /// Shards, each on a thread and core of its own; at most [`SHARDS_MAX`](crate::engine::slot::SHARDS_MAX). 0: one for each core that this process
    /// may use.
    pub threads: u16,
    /// Where that is from, for the end of a message about it; nothing if it is the command line.
    pub threads_from: String,
    /// How sockets are served.
    pub sockets: SocketsChoice,
    /// For the engines.
    pub policy: Policy,
    /// For the shards.
    pub shard: ShardOptions,
    /// Who may do what.
    pub access: AccessOptions,
    /// Where jobs are kept; nowhere without.
    pub store: Option<StoreOptions>,
    /// Which limit on descriptors to use.
    pub descriptors: Descriptors,
    /// Where the server can be looked at over HTTP.
    pub control: ControlOptions,
}

/// The HTTP side, which is there only with the feature `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlOptions {
    /// Where it listens: without tokens addresses of loopback, and unix sockets. Without any there is none.
    pub endpoints: Vec<Endpoint>,
    /// Where it listens besides, if there is a place for it: nobody has asked for it.
    pub usual_socket: Option<Endpoint>,
    /// The file of tokens: who may do what.
    pub tokens: Option<PathBuf>,
    /// What requests may call the server, beside its addresses.
    pub names: Vec<String>,
    /// The port of gearmand's HTTP, which is on all addresses where the server listens.
    pub gateway: Option<u16>,
    /// Whether its addresses speak TLS, with the certificates of the job port. Unix sockets are plain.
    pub tls: bool,
    /// Whether gearmand's HTTP does.
    pub gateway_tls: bool,
    /// Where these are from, for the end of a message about them; nothing if it is the command line.
    pub from: String,
    /// Functions of which `/metrics` tells one by one, 0..=10,000; the others are told together.
    pub metrics_functions: usize,
}

/// The limit on descriptors, and with it on connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Descriptors {
    /// As many as the process may have: its limit is raised as far as it may be.
    #[default]
    Most,
    /// The limit is as somebody wanted it.
    AsSet,
}
