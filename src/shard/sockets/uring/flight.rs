//! The send in flight of one connection: how far it is, and the list of slices of which the kernel reads. Part of
//! `mod.rs` and of its promise: what a flight holds is neither touched nor dropped while the kernel has it.
use crate::shard::parcel::{Parcel, ParcelPosition};
use crate::shard::sockets::portions::{PIECE, SHARED_PIECE, SLICES};
use io_uring::{opcode, squeue, types};
use std::os::fd::RawFd;

/// What `sendmsg` reads: boxed, because flights move when there are more of them.
struct SendMsg {
    header: libc::msghdr,
    slices: [libc::iovec; SLICES],
}

/// The send in flight of one connection.
#[derive(Default)]
pub(super) struct Flight {
    /// What is being sent; empty when nothing is. Not touched while it is in flight.
    pub(super) parcel: Parcel,
    /// Where the piece begins that is in flight.
    at: ParcelPosition,
    /// Bytes behind that place.
    left: usize,
    /// The generation of the token, and the socket.
    pub(super) generation: u32,
    socket: RawFd,
    /// Whether no other piece is to follow.
    pub(super) stopped: bool,
    /// Only while large payloads are sent. Not touched while they are in flight.
    message: Option<Box<SendMsg>>,
}

impl Flight {
    #[inline]
    pub(super) fn new(parcel: Parcel, generation: u32, socket: RawFd) -> Flight {
        let left = parcel.len();
        Flight {
            parcel,
            at: ParcelPosition::default(),
            left,
            generation,
            socket,
            stopped: false,
            message: None,
        }
    }

    /// The bytes that the next piece has.
    #[inline]
    pub(super) fn piece(&self) -> usize {
        self.left.min(if self.parcel.plain().is_some() { PIECE } else { SHARED_PIECE })
    }

    /// Notes that the kernel took so many bytes. True if some are left.
    #[inline]
    pub(super) fn took(&mut self, bytes: usize) -> bool {
        self.at = self.parcel.after(self.at, bytes);
        self.left -= bytes;
        self.left > 0
    }

    /// The order to send the next piece.
    #[inline]
    pub(super) fn order(&mut self) -> squeue::Entry {
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let socket = types::Fd(self.socket);
        let most = self.piece();
        match self.parcel.plain() {
            Some(_) => {
                let piece = self.parcel.slices(self.at).next().unwrap_or_default();
                // The length fits: it is at most PIECE.
                opcode::Send::new(socket, piece.as_ptr(), most as u32).flags(flags).build()
            }
            None => {
                let header: *const libc::msghdr = self.message(most);
                opcode::SendMsg::new(socket, header).flags(flags as u32).build()
            }
        }
    }

    /// Lists the slices of the next piece.
    fn message(&mut self, most: usize) -> &libc::msghdr {
        let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let message = self.message.get_or_insert_with(|| {
            // SAFETY: all zero is an empty message: no name, no slices, no control data.
            let header = unsafe { std::mem::zeroed() };
            Box::new(SendMsg { header, slices: [none; SLICES] })
        });
        let (mut count, mut left) = (0, most);
        for (slot, slice) in message.slices.iter_mut().zip(self.parcel.slices(self.at)) {
            // The kernel only reads them.
            *slot =
                libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len().min(left) };
            (count, left) = (count + 1, left - slot.iov_len);
            if left == 0 {
                break;
            }
        }
        message.header.msg_iov = message.slices.as_mut_ptr();
        message.header.msg_iovlen = count;
        &message.header
    }
}
