//! Sending: at once what the kernel has room for, the rest when it tells of room. In what order is said here, too.
use super::watched::Sending;
use super::{Epoll, OF_SOCKETS, SOCKET, calls, data};
use crate::shard::parcel::Parcel;
use crate::shard::sockets::portions::SHARED_AT_ONCE;
use crate::shard::sockets::{Completion, Token};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

impl Epoll {
    #[inline]
    pub(in crate::shard::sockets) fn send(&mut self, token: Token, socket: BorrowedFd<'_>, parcel: Parcel) {
        let known = self.watch(token, socket);
        let sending = &mut self.sockets[token.index as usize].sending;
        assert!(sending.parcel.is_empty() && !parcel.is_empty(), "one send at a time, of something");
        let plain = parcel.plain().is_some();
        *sending = Sending { left: parcel.len(), parcel, ..Sending::default() };
        match known {
            Err(error) => self.end_send(token, Err(error)),
            // What is small, or the beginning of it, leaves at once; large payloads take turns.
            Ok(()) if plain || (self.allowance > 0 && self.senders.is_empty()) => self.send_piece(token),
            Ok(()) => self.senders.push_back(token),
        }
    }

    /// Sends the next piece.
    #[inline]
    fn send_piece(&mut self, token: Token) {
        let watched = &mut self.sockets[token.index as usize];
        let sending = &mut watched.sending;
        let (result, piece) = calls::send(watched.socket, &sending.parcel, sending.at);
        let count = match result {
            Ok(0) => return self.end_send(token, Err(Errno::PIPE)),
            Ok(count) => count,
            Err(Errno::AGAIN) => 0,
            Err(error) => return self.end_send(token, Err(error)),
        };
        if sending.parcel.plain().is_none() {
            self.allowance = self.allowance.saturating_sub(count);
        }
        if count == sending.left {
            return self.end_send(token, Ok(count));
        }
        sending.at = sending.parcel.after(sending.at, count);
        sending.left -= count;
        if count > 0 {
            self.done.push_back(Completion::Sent { token, bytes: Ok(count), buffer: None });
        }
        if count == piece {
            self.senders.push_back(token);
            return;
        }
        sending.blocked = true;
        if !watched.tells_of_room {
            let data = data(SOCKET, token.index, token.generation);
            let flags = OF_SOCKETS | EventFlags::OUT;
            match calls::tell_of_room(self.epoll.as_fd(), watched.socket, data, flags) {
                // If there is room meanwhile, it tells so at once.
                Ok(()) => watched.tells_of_room = true,
                Err(error) => self.end_send(token, Err(error)),
            }
        }
    }

    #[inline]
    fn end_send(&mut self, token: Token, bytes: Result<usize, Errno>) {
        let sending = std::mem::take(&mut self.sockets[token.index as usize].sending);
        let buffer = Some(sending.parcel.into_buffer());
        self.done.push_back(Completion::Sent { token, bytes, buffer });
    }

    pub(in crate::shard::sockets) fn stop_sending(&mut self, token: Token) {
        let Some(watched) = self.sockets.get(token.index as usize) else { return };
        if watched.generation == token.generation && !watched.sending.parcel.is_empty() {
            self.senders.retain(|&waits| waits != token);
            self.end_send(token, Err(Errno::CANCELED));
        }
    }

    /// Sends pieces whose turn it is.
    pub(super) fn take_turns(&mut self) {
        self.allowance = SHARED_AT_ONCE;
        for _ in 0..self.senders.len() {
            if self.allowance == 0 {
                return;
            }
            let Some(token) = self.senders.pop_front() else { return };
            self.send_piece(token);
        }
    }
}
