//! One non-blocking connection: bytes in and out, whole packets kept apart from what is still missing of
//! the next. Knows no roles. TLS, where it is spoken, is in `cover.rs`.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use crate::job::cover::Cover;
use ringgear_protocol::{Frame, Header, frame};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// The largest packet that a plan may cause, data without header.
pub(crate) const PACKET_MAX: u32 = 256 << 20;

/// Bytes that a load thread reads at once.
pub(crate) const SCRATCH: usize = 256 * 1024;

/// Above this a packet is received straight into its own buffer instead of being pieced together.
const LARGE: usize = SCRATCH / 4;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    /// Its TLS, if the job server speaks it.
    cover: Option<Box<Cover>>,
    /// The beginning of a packet whose end has not come yet. For a large one it has the size of the whole.
    partial: Vec<u8>,
    /// Bytes of `partial` that have come.
    filled: usize,
    /// True while `partial` has the size of the packet that is being received.
    large: bool,
    /// Requests, appended by the roles and sent by [`Link::flush`].
    pub(crate) out: Vec<u8>,
    /// Bytes of `out` that have been sent.
    written: usize,
}

/// What [`Link::receive`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes stand at the beginning of the scratch buffer.
    Bytes(usize),
    /// The large packet is complete: take it with [`Link::take_large`].
    Large,
    /// Nothing yet.
    Nothing,
    /// The job server closed the connection.
    Closed,
}

impl Link {
    /// Connects, from `source` if given, and waits for it.
    pub(crate) fn connect(server: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<Link> {
        let stream = match source {
            None => TcpStream::connect(server)?,
            Some(source) => connect_from(server, source)?,
        };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Link::over(stream, Cover::begin()?))
    }

    /// Begins to connect, from `source` if given, and does not wait for it: what is sent before the connection is there waits,
    /// and the first read tells if there never will be one.
    pub(crate) fn begin(server: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<Link> {
        let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        if let Some(source) = source {
            sockopt::set_socket_reuseaddr(socket.as_fd(), true)?;
            rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        match rustix::net::connect(&socket, &server) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Link::over(stream, Cover::begin()?))
    }

    /// Over a socket that does not block.
    pub(crate) fn over(stream: TcpStream, cover: Option<Box<Cover>>) -> Link {
        Link { stream, cover, partial: vec![], filled: 0, large: false, out: vec![], written: 0 }
    }

    /// For epoll.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once. Small packets come in `scratch`, with whatever was left of the last time before them.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Received> {
        if self.large {
            let read = read(&mut self.stream, &mut self.cover, &mut self.partial[self.filled..])?;
            return Ok(match read {
                None => Received::Nothing,
                Some(0) => Received::Closed,
                Some(read) => {
                    self.filled += read;
                    if self.filled == self.partial.len() { Received::Large } else { Received::Nothing }
                }
            });
        }
        let kept = self.partial.len();
        scratch[..kept].copy_from_slice(&self.partial);
        Ok(match read(&mut self.stream, &mut self.cover, &mut scratch[kept..])? {
            None => Received::Nothing,
            Some(0) => Received::Closed,
            Some(read) => {
                self.partial.clear();
                Received::Bytes(kept + read)
            }
        })
    }

    /// Keeps the bytes after the last whole packet for the next time.
    pub(crate) fn keep(&mut self, rest: &[u8], needed: usize) {
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        if rest.len() + needed > LARGE {
            self.filled = rest.len();
            self.partial.resize(rest.len() + needed, 0);
            self.large = true;
        }
    }

    /// The large packet that [`Received::Large`] announced; give its buffer back with [`Link::end_large`].
    pub(crate) fn take_large(&mut self) -> Vec<u8> {
        self.large = false;
        self.filled = 0;
        std::mem::take(&mut self.partial)
    }

    /// Takes the buffer of a large packet back, to spare the next one the allocation.
    pub(crate) fn end_large(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.partial = buffer;
    }

    /// Whether there is more to receive of which epoll does not tell.
    pub(crate) fn has_more(&mut self) -> bool {
        self.cover.as_mut().is_some_and(|cover| cover.has_more())
    }

    /// Sends what `out` holds; false if the socket takes no more for now.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        if let Some(cover) = &mut self.cover {
            cover.take(&self.out)?;
            self.out.clear();
            return cover.send(&mut self.stream);
        }
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.written += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// Whether something waits to be sent.
    pub(crate) fn is_unsent(&self) -> bool {
        self.written < self.out.len() || self.cover.as_ref().is_some_and(|cover| cover.wants_to_send())
    }
}

/// Calls `each` for every whole packet at the beginning of `bytes`; gives what they take up and how many
/// bytes the next one lacks.
#[inline]
pub(crate) fn packets<E: From<ringgear_protocol::DecodeError>>(
    bytes: &[u8],
    mut each: impl FnMut(&Header, &[u8]) -> Result<(), E>,
) -> Result<(usize, usize), E> {
    let mut at = 0;
    loop {
        match frame(&bytes[at..], PACKET_MAX)? {
            Frame::Packet { header, data, consumed } => {
                each(&header, data)?;
                at += consumed;
            }
            Frame::Incomplete { needed } => return Ok((at, needed)),
        }
    }
}

/// `None` when nothing is there, 0 at the end.
fn read(
    stream: &mut TcpStream,
    cover: &mut Option<Box<Cover>>,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    if let Some(cover) = cover {
        return cover.read(stream, buffer);
    }
    loop {
        match stream.read(buffer) {
            Ok(read) => return Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn connect_from(server: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(socket.as_fd(), true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    rustix::net::connect(&socket, &server)?;
    Ok(socket.into())
}
