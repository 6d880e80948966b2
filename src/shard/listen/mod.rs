//! Makes the listening sockets, and gives them the options that accepted ones inherit. Accepting itself is in `accept.rs`; the files of unix
//! sockets are in `local.rs`.
mod local;

use super::options::{Endpoint, Keepalive};
use super::sockets::former_peer;
use crate::engine::LocalUser;
use crate::log_at;
use crate::logging::Level;
pub(crate) use local::SocketFile;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, getpeername};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Listening sockets for every shard.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// For each shard, a socket for each endpoint.
    pub(crate) of_shards: Vec<Vec<OwnedFd>>,
    /// Where they listen: what was asked for, with a port where that was 0.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The files of unix sockets. They go with their handles.
    pub(crate) files: Vec<SocketFile>,
}

/// How long a server tries again when a port is taken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How often it does.
const PAUSE: Duration = Duration::from_millis(10);

/// Listens on all endpoints, for each shard. TCP has a socket for each shard, and the kernel spreads connections over them;
/// of a unix socket each shard has a copy, and whichever is awake accepts.
///
/// What another process has is tried again for this long in all, and a line says so: scripts start the new server while the
/// old one is still ending, and the kernel closes the sockets in a ring a little after the process is gone. gearmand
/// tries for 20 seconds; whoever starts two servers by mistake learns it sooner here.
pub(crate) fn listen(
    endpoints: &[Endpoint],
    backlog: u32,
    shards: u16,
    patience: Duration,
    keepalive: &Keepalive,
) -> Result<Listeners, (Endpoint, io::Error)> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut made = Listeners {
        of_shards: (0..shards).map(|_| Vec::new()).collect(),
        endpoints: Vec::new(),
        files: Vec::new(),
    };
    let wait = Wait { until: Instant::now() + patience, patience };
    for endpoint in endpoints {
        made.add(endpoint, backlog, &wait, keepalive).map_err(|error| (endpoint.clone(), error))?;
    }
    Ok(made)
}

impl Listeners {
    fn add(
        &mut self,
        endpoint: &Endpoint,
        backlog: i32,
        wait: &Wait,
        keepalive: &Keepalive,
    ) -> io::Result<()> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let mut address = *address;
                if address.port() == 0 {
                    let ports = self.endpoints.iter().find_map(|endpoint| match endpoint {
                        Endpoint::Tcp(address) => Some(address.port()),
                        Endpoint::Unix { .. } => None,
                    });
                    address.set_port(ports.unwrap_or(0));
                }
                let address = wait.on(endpoint, || probe(address))?;
                for sockets in &mut self.of_shards {
                    sockets.push(share(address, backlog, keepalive)?.into());
                }
                self.endpoints.push(Endpoint::Tcp(address));
            }
            Endpoint::Unix { path, mode } => {
                let (socket, file) = wait.on(endpoint, || local::listen(path, *mode, backlog))?;
                for sockets in &mut self.of_shards {
                    sockets.push(socket.try_clone()?.into());
                }
                self.files.push(file);
                self.endpoints.push(endpoint.clone());
            }
        }
        Ok(())
    }
}

/// How long we wait for others.
struct Wait {
    until: Instant,
    patience: Duration,
}

impl Wait {
    /// Tries again while somebody else has it.
    fn on<T>(&self, endpoint: &Endpoint, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut told = false;
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < self.until => {
                    if !std::mem::replace(&mut told, true) {
                        let seconds = self.patience.as_secs();
                        log_at!(
                            Level::Notice,
                            "{endpoint} is in use by another process; trying again for {seconds} s"
                        );
                    }
                    std::thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }
}

/// Whether an address is free; with port 0 it finds a free one. Without this, a second server of ours would silently
/// share the port of the first: SO_REUSEPORT allows that to processes of one user.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn share(address: SocketAddr, backlog: i32, keepalive: &Keepalive) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
    prepare(&socket, keepalive);
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // As gearmand: both families are bound side by side.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Who is at the other end of an accepted socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody at this address.
    Tcp(SocketAddr),
    /// Somebody on this machine, by a unix socket.
    Local,
    /// Somebody who is gone already.
    Gone,
}

impl Caller {
    /// The address for lists. A unix socket has none; who uses it is here. One that is gone may have none any more.
    pub(crate) fn address(&self) -> IpAddr {
        match self {
            Caller::Tcp(address) => address.ip().to_canonical(),
            Caller::Local => Ipv4Addr::LOCALHOST.into(),
            Caller::Gone => Ipv4Addr::UNSPECIFIED.into(),
        }
    }

    /// The port at that address; 0 where there is none.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Caller::Tcp(address) => address.port(),
            Caller::Local | Caller::Gone => 0,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Tcp(address) => address.fmt(f),
            Caller::Local => f.write_str("a unix socket"),
            Caller::Gone => f.write_str("a peer that is gone"),
        }
    }
}

/// Who is at the other end, or was.
pub(crate) fn caller(socket: BorrowedFd<'_>) -> Caller {
    let address = match getpeername(socket) {
        Ok(Some(address)) if address.address_family() == AddressFamily::UNIX => return Caller::Local,
        Ok(address) => address.and_then(|address| SocketAddr::try_from(address).ok()),
        // Whoever has reset the connection is not told by that call, but what it sent is there.
        Err(_) => former_peer(socket),
    };
    address.map_or(Caller::Gone, Caller::Tcp)
}

/// Whose process is at the other end of a unix socket, or was when it connected.
pub(crate) fn local_user(socket: BorrowedFd<'_>, caller: &Caller) -> Option<LocalUser> {
    if *caller != Caller::Local {
        return None;
    }
    let said = socket_peercred(socket).ok()?;
    Some(LocalUser { uid: said.uid.as_raw(), gid: said.gid.as_raw() })
}

/// Gives a listener the options of the connections that it accepts: they inherit them. None of these can fail on a TCP
/// socket; if one does, connections are of use without it.
fn prepare(socket: &Socket, keepalive: &Keepalive) {
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_keepalive(true);
    let mut options = TcpKeepalive::new();
    if let Some(idle) = keepalive.idle {
        options = options.with_time(idle);
    }
    if let Some(interval) = keepalive.interval {
        options = options.with_interval(interval);
    }
    if let Some(count) = keepalive.count {
        options = options.with_retries(count);
    }
    let _ = socket.set_tcp_keepalive(&options);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(address.parse().unwrap())
    }

    #[test]
    fn shards_share_a_port_but_servers_do_not() {
        let first = listen(&[tcp("127.0.0.1:0")], 8, 2, SHORT, &Keepalive::default()).unwrap();
        assert_eq!(first.of_shards.len(), 2);
        let (_, error) = listen(&first.endpoints, 8, 2, SHORT, &Keepalive::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_foreign_address_is_refused() {
        // From the block for documentation.
        let (endpoint, error) =
            listen(&[tcp("192.0.2.1:0")], 8, 1, PATIENCE, &Keepalive::default()).unwrap_err();
        assert_eq!(endpoint.to_string(), "192.0.2.1:0");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_free_port_is_one_for_all_addresses() {
        let made =
            listen(&[tcp("127.0.0.1:0"), tcp("127.0.0.2:0")], 8, 1, SHORT, &Keepalive::default()).unwrap();
        let [Endpoint::Tcp(first), Endpoint::Tcp(second)] = made.endpoints[..] else { panic!("{made:?}") };
        assert_eq!(first.port(), second.port());
        assert_ne!(first.ip(), second.ip());
    }

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let second = Duration::from_secs(1);
        let accept = |address: &str, keepalive: &Keepalive| {
            let made = listen(&[tcp(address)], 8, 1, SHORT, keepalive).unwrap();
            let Endpoint::Tcp(address) = made.endpoints[0] else { panic!("{made:?}") };
            let _peer = std::net::TcpStream::connect(address).unwrap();
            let listener = std::net::TcpListener::from(made.of_shards[0][0].try_clone().unwrap());
            Socket::from(listener.accept().unwrap().0)
        };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = accept(address, &Keepalive::default());
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), 30 * second);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), 10 * second);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        }
        let system = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let keepalive = Keepalive { idle: Some(7 * second), interval: None, count: Some(4) };
        let socket = accept("127.0.0.1:0", &keepalive);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), 7 * second);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), system.tcp_keepalive_interval().unwrap());
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
    }

    #[test]
    fn addresses_of_callers() {
        let mapped = Caller::Tcp("[::ffff:192.0.2.7]:80".parse().unwrap());
        assert_eq!(mapped.address().to_string(), "192.0.2.7");
        let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
        let local = caller(std::os::fd::AsFd::as_fd(&here));
        assert_eq!((local, local.address().to_string()), (Caller::Local, "127.0.0.1".to_owned()));
    }

    #[test]
    fn silence_is_counted_where_it_is_ours() {
        assert_eq!(Keepalive::default().silence_max(), Some(Duration::from_secs(60)));
        assert_eq!(Keepalive { count: None, ..Keepalive::default() }.silence_max(), None);
    }
}
