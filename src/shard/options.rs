//! What an operator may decide about sockets and threads of a shard. Values only; the command line that fills them
//! in is `config/mod.rs`, what they lead to is in the files beside this one.
use crate::access::Door;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port; port 0 is a free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix {
        /// Its name.
        path: PathBuf,
        /// Who may connect: the mode of the file, whatever the umask is.
        mode: u32,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => address.fmt(f),
            Endpoint::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is expected of those who connect to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerKind {
    /// Whether they speak TLS.
    pub tls: bool,
    /// What they may do there at most.
    pub door: Door,
}

/// How peers are noticed that are gone without a word (`--keepalive-idle`, `--keepalive-interval`, `--keepalive-count`).
/// SO_KEEPALIVE itself is always on; what is `None` here keeps the system's value, which is two hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time before the first probe; whole seconds, 1..=32767. Default: 30 s.
    pub idle: Option<Duration>,
    /// Time between probes; whole seconds, 1..=32767. Default: 10 s.
    pub interval: Option<Duration>,
    /// Unanswered probes before the connection is given up, 1..=127. Default: 3.
    pub count: Option<u32>,
}

impl Keepalive {
    /// How long a peer may be silent that owes an answer; none where a part of it is the system's.
    pub fn silence_max(&self) -> Option<Duration> {
        Some(self.idle? + self.interval? * self.count?)
    }
}

impl Default for Keepalive {
    fn default() -> Keepalive {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Keepalive { idle: seconds(30), interval: seconds(10), count: Some(3) }
    }
}

/// How long a shard that has nothing to do looks for new work before it sleeps. Looking costs CPU and saves the
/// delay of being woken, of which a job has several when its packets cross from shard to shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spin {
    /// Up to [`Spin::AUTO`], only while work lately kept arriving within that time, and never when there are more
    /// shards than cores, or one only: then nothing but sockets can bring work, and looking costs a third of the
    /// CPU time of a job at a moderate load. An idle server sleeps. The default.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always for so long; 1 µs to 1 ms. For machines that have nothing else to do.
    Always(Duration),
}

impl Spin {
    /// The most that [`Spin::Auto`] looks for work.
    pub const AUTO: Duration = Duration::from_micros(20);
}

/// How sockets are served: `--sockets`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketsChoice {
    /// By io_uring where that can be used, otherwise by epoll. The default.
    #[default]
    Auto,
    /// By io_uring, or not at all.
    Uring,
    /// By epoll.
    Epoll,
}

/// What an operator may decide about the shards, the same on every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardOptions {
    /// The longest packet in bytes, header not counted. Memory grows with what arrives, never with what a header
    /// announces. Default: 256 MiB.
    pub packet_max: u32,
    /// Bytes that may wait for one peer that does not read. With more than this unsent, the next reply disconnects
    /// it; one reply alone may be longer. Default: 64 MiB.
    pub unread_max: usize,
    /// Bytes that the connections of all shards together may hold: unfinished packets, replies that were not sent or wait
    /// for others, registrations. With three quarters of it the largest debtors are left unread, above it they are closed.
    /// Default: no limit.
    pub connection_bytes_max: u64,
    /// Connections of all shards together; those beyond are accepted and closed at once. 1 or more; never more than
    /// descriptors allow. Default: 1,048,576.
    pub connections_max: usize,
    /// How peers are noticed that are gone.
    pub keepalive: Keepalive,
    /// How long to look for work before sleeping.
    pub spin: Spin,
    /// How long JOB_CREATED and news of jobs may be held back while the shard has more to do than it can, so that
    /// several leave with one send; at most 10 ms, 0 sends everything in the round in which it is written. What
    /// workers wait for is never held back, nor anything when the shard would otherwise wait. Default: 250 µs.
    pub hold: Duration,
    /// How many connections a shard may have for more to come from other shards because of the functions that it
    /// owns: percent of what each would have if all had as many, besides the first 16. 0: none moves. Default: 150.
    pub settle: u32,
    /// Bytes of one shard that may wait for the store; with more, background submissions are refused. Default: 64 MiB.
    pub store_bytes_max: usize,
    /// Receive buffers of 8 KiB that serve all connections of a shard: a power of two, 16..=32768. Memory that was
    /// never needed is never touched. Default: 1024.
    pub receive_buffers: u16,
    /// Batches of messages that may wait between one shard and another, 1..=1024; what finds no room waits with the
    /// sender. Default: 16.
    pub mesh_capacity: usize,
}

impl ShardOptions {
    /// Bytes in one receive buffer. With twice as many as a client that floods sends at a time, few packets are torn.
    pub const RECEIVE_BUFFER: usize = 8 << 10;
}

impl Default for ShardOptions {
    fn default() -> ShardOptions {
        ShardOptions {
            packet_max: 256 << 20,
            unread_max: 64 << 20,
            connection_bytes_max: u64::MAX,
            connections_max: 1 << 20,
            keepalive: Keepalive::default(),
            spin: Spin::default(),
            hold: Duration::from_micros(250),
            settle: 150,
            store_bytes_max: 64 << 20,
            receive_buffers: 1024,
            mesh_capacity: 16,
        }
    }
}
