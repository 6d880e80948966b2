//! Who was at the other end of a TCP connection that the peer has reset: `getpeername` does not tell that any more, but the
//! kernel still knows it, and still has what the peer had sent.
#![allow(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of an address, in the kernel's form: family, port, and the address itself from there.
const IPV4: (usize, usize) = (16, 4);
const IPV6: (usize, usize) = (28, 8);

/// The address of the peer, if the kernel still has it.
#[cold]
pub(crate) fn former_peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let mut bytes = [0_u8; IPV6.0];
    let port = |bytes: &[u8]| u16::from_be_bytes([bytes[2], bytes[3]]);
    let is = |bytes: &[u8], family: i32| i32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) == family;
    // It insists on a length that the address has at least.
    if ask(socket, &mut bytes) && is(&bytes, libc::AF_INET6) {
        let address: [u8; 16] = bytes[IPV6.1..][..16].try_into().ok()?;
        return Some(SocketAddr::new(Ipv6Addr::from(address).into(), port(&bytes)));
    }
    if ask(socket, &mut bytes[..IPV4.0]) && is(&bytes, libc::AF_INET) {
        let address: [u8; 4] = bytes[IPV4.1..][..4].try_into().ok()?;
        return Some(SocketAddr::new(Ipv4Addr::from(address).into(), port(&bytes)));
    }
    None
}

fn ask(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> bool {
    // At most 28.
    let mut length = bytes.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `bytes`, which has as many, and what it wrote to `length`,
    // both before the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERNAME,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    #[test]
    fn who_has_reset_the_connection_is_still_known_and_so_is_what_it_sent() {
        for here in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(here).unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let address = peer.local_addr().unwrap();
            peer.write_all(b"sent before").unwrap();
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
            let mut socket = listener.accept().unwrap().0;
            // On loopback the reset has arrived when the call is through.
            assert!(socket.peer_addr().is_err());
            assert_eq!(former_peer(socket.as_fd()), Some(address));
            let mut bytes = [0; 100];
            assert_eq!(socket.read(&mut bytes).unwrap(), 11);
        }
    }
}
