//! What is asked of the kernel about one socket: receive, send. One call each, none of which waits. When to ask is in `mod.rs`.
#![allow(unsafe_code)]

use crate::memory::Large;
use crate::shard::parcel::{Parcel, ParcelPosition};
use crate::shard::sockets::portions::{PIECE, SHARED_PIECE, SLICES};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// The descriptor of an order, which its owner keeps open until the completion.
#[inline]
fn borrow<'a>(socket: RawFd) -> BorrowedFd<'a> {
    // SAFETY: whoever orders something keeps the socket open until the completion (see the methods of `Sockets`), and
    // descriptors are used here only while there is an order.
    unsafe { BorrowedFd::borrow_raw(socket) }
}

/// Has a call made again that a signal interrupted.
#[inline]
fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Receives what fits.
#[inline]
pub(super) fn receive(socket: RawFd, into: &mut [u8]) -> Result<usize, Errno> {
    uninterrupted(|| rustix::net::recv(borrow(socket), &mut *into, RECEIVE)).map(|(_, count)| count)
}

/// Receives at most so many bytes behind those that are in the buffer, which has room for them.
pub(super) fn receive_behind(socket: RawFd, buffer: &mut Large, most: usize) -> Result<usize, Errno> {
    let length = buffer.len();
    let room = &mut buffer.spare_capacity_mut()[..most];
    let received = uninterrupted(|| {
        rustix::net::recv(borrow(socket), &mut *room, RECEIVE).map(|((received, _), _)| received.len())
    })?;
    // SAFETY: the kernel has written so many bytes behind those that were there.
    unsafe { buffer.set_len(length + received) };
    Ok(received)
}

/// Sends what stands at the position, at most one piece: how many bytes the kernel took, of how many.
#[inline]
pub(super) fn send(socket: RawFd, parcel: &Parcel, at: ParcelPosition) -> (Result<usize, Errno>, usize) {
    if parcel.plain().is_some() {
        let slice = parcel.slices(at).next().unwrap_or_default();
        let piece = &slice[..slice.len().min(PIECE)];
        return (uninterrupted(|| rustix::net::send(borrow(socket), piece, SEND)), piece.len());
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let (mut count, mut bytes) = (0, 0);
    for (slot, slice) in slices.iter_mut().zip(parcel.slices(at)) {
        let part = &slice[..slice.len().min(SHARED_PIECE - bytes)];
        *slot = IoSlice::new(part);
        (count, bytes) = (count + 1, bytes + part.len());
        if bytes == SHARED_PIECE {
            break;
        }
    }
    let call = || {
        let mut nothing = SendAncillaryBuffer::default();
        rustix::net::sendmsg(borrow(socket), &slices[..count], &mut nothing, SEND)
    };
    (uninterrupted(call), bytes)
}

/// Accepts whoever waits on a listener that does not block.
pub(super) fn accept(listener: RawFd) -> Result<std::os::fd::OwnedFd, Errno> {
    uninterrupted(|| rustix::net::accept_with(borrow(listener), rustix::net::SocketFlags::CLOEXEC))
}

/// Has the kernel tell of a socket that it already tells of, of room to send as well.
pub(super) fn tell_of_room(
    epoll: BorrowedFd<'_>,
    socket: RawFd,
    data: rustix::event::epoll::EventData,
    flags: rustix::event::epoll::EventFlags,
) -> Result<(), Errno> {
    rustix::event::epoll::modify(epoll, borrow(socket), data, flags)
}

/// Has the kernel tell no more of a socket.
pub(super) fn forget(epoll: BorrowedFd<'_>, socket: RawFd) {
    // It fails only where the kernel does not know it.
    let _ = rustix::event::epoll::delete(epoll, borrow(socket));
}

/// Room for so many events.
pub(super) const EVENTS: usize = 256;

/// Waits until the kernel has something to tell, and has it written to the list, whose room is for [`EVENTS`]; without waiting, if
/// so ordered. (With a feature that the load generator switches on, rustix makes this a call that Linux has since 5.11 only, and
/// that filters of containers do not know.)
pub(super) fn wait(
    epoll: BorrowedFd<'_>,
    events: &mut Vec<libc::epoll_event>,
    waiting: bool,
) -> Result<(), Errno> {
    events.clear();
    events.reserve_exact(EVENTS);
    let timeout = if waiting { -1 } else { 0 };
    // SAFETY: there is room for so many behind the none that are in the list, and the kernel writes no more than that, before
    // the call returns.
    let count =
        unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as libc::c_int, timeout) };
    let Ok(count) = usize::try_from(count) else {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    };
    // SAFETY: the kernel has written so many.
    unsafe { events.set_len(count) };
    Ok(())
}
