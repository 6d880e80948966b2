//! What the kernel knows of the peer of a TCP connection: whether it owes us an acknowledgement, and since when.
//! What follows from it is in `liveness.rs`.
#![allow(unsafe_code)]

use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// What a peer owes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unacked {
    /// Whether there are bytes that it has not acknowledged.
    pub(crate) owes: bool,
    /// How often in a row it was asked for them, or for room for them, without an answer.
    pub(crate) asked: u8,
    /// How long nothing at all was heard from it.
    pub(crate) silent: Duration,
}

/// Asks the kernel. An error on what is no TCP connection.
pub(crate) fn unacked(socket: BorrowedFd<'_>) -> Result<Unacked, Errno> {
    let mut info = [0_u8; INFO];
    let mut length = INFO as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which has as many, and what it wrote to `length`,
    // both before the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    Ok(read(&info))
}

/// Bytes of `struct tcp_info` (linux/tcp.h) up to what is read here; the kernel appends to it and changes nothing.
const INFO: usize = NOTSENT_BYTES + 4;
const RETRANSMITS: usize = 2;
const PROBES: usize = 3;
const UNACKED: usize = 24;
const LAST_ACK_RECV: usize = 56;
const NOTSENT_BYTES: usize = 144;

fn read(info: &[u8; INFO]) -> Unacked {
    let number = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    Unacked {
        owes: number(UNACKED) > 0 || number(NOTSENT_BYTES) > 0,
        asked: info[RETRANSMITS].max(info[PROBES]),
        silent: Duration::from_millis(number(LAST_ACK_RECV).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn who_does_not_read_owes_but_is_not_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_reader, _) = listener.accept().unwrap();
        assert!(!unacked(socket.as_fd()).unwrap().owes);
        socket.set_nonblocking(true).unwrap();
        while socket.write(&[7; 1 << 16]).is_ok() {}
        let unacked = unacked(socket.as_fd()).unwrap();
        assert!(unacked.owes && unacked.asked < 2, "{unacked:?}");
    }

    #[test]
    fn only_tcp_connections_are_known() {
        let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(unacked(here.as_fd()).is_err());
    }
}
