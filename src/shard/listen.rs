//! Makes the listening sockets, and gives accepted ones their options. Accepting itself is in `door.rs`.
use super::options::Keepalive;
use rustix::net::getpeername;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Listening sockets for every shard.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// For each shard, a socket for each address.
    pub(crate) of_shards: Vec<Vec<OwnedFd>>,
    /// Where they listen: what was asked for, with a port where that was 0.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// How long to try again when a port is taken, and how often.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// Listens on all addresses, once for each shard: the kernel spreads connections over them.
///
/// A port that another process has is refused after half a second. A server of ours that was killed may have it so
/// long: the kernel closes the sockets in a ring a little after the process is gone. gearmand tries for 22 seconds;
/// whoever starts two servers by mistake learns it sooner here, and whoever restarts one has a supervisor that
/// tries again.
pub(crate) fn listen(
    addresses: &[SocketAddr],
    backlog: u32,
    shards: u16,
) -> Result<Listeners, (SocketAddr, io::Error)> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut made = Listeners { of_shards: (0..shards).map(|_| Vec::new()).collect(), addresses: Vec::new() };
    for &asked in addresses {
        let mut address = asked;
        if address.port() == 0 {
            address.set_port(made.addresses.first().map_or(0, SocketAddr::port));
        }
        let until = Instant::now() + PATIENCE;
        let address = loop {
            match probe(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                    std::thread::sleep(PAUSE);
                }
                probed => break probed.map_err(|e| (asked, e))?,
            }
        };
        for sockets in &mut made.of_shards {
            let socket = share(address, backlog).map_err(|e| (asked, e))?;
            sockets.push(socket.into());
        }
        made.addresses.push(address);
    }
    Ok(made)
}

/// Whether an address is free; with port 0 it finds a free one. Without this, a second server of ours would silently
/// share the port of the first: SO_REUSEPORT allows that to processes of one user.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn share(address: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
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

/// Gives an accepted socket its options. None of them can fail on a socket that is a TCP connection; if one does,
/// the connection is of use without it.
pub(crate) fn prepare(socket: BorrowedFd<'_>, keepalive: &Keepalive) {
    let socket = socket2::SockRef::from(&socket);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_keepalive(true);
    if *keepalive != Keepalive::default() {
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
}

/// The address of the other end; a connection that is broken already has none.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SocketAddr::try_from(getpeername(socket).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_port_but_servers_do_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = listen(&[any], 8, 2).unwrap();
        assert_eq!(first.of_shards.len(), 2);
        let (_, error) = listen(&first.addresses, 8, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_foreign_address_is_refused() {
        // From the block for documentation.
        let (address, error) = listen(&["192.0.2.1:0".parse().unwrap()], 8, 1).unwrap_err();
        assert_eq!(address.to_string(), "192.0.2.1:0");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn accepted_sockets_get_their_options() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let second = std::time::Duration::from_secs(1);
        let keepalive = Keepalive { idle: Some(7 * second), interval: None, count: Some(3) };
        prepare(std::os::fd::AsFd::as_fd(&socket), &keepalive);
        let socket = socket2::SockRef::from(&socket);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), 7 * second);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
