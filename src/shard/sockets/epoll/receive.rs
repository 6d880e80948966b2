//! Receiving: the orders, and what is done when it is a socket's turn. When that is is said in `mod.rs`.
use super::buffers::SIZE;
use super::watched::Receive;
use super::{Epoll, InLine, calls};
use crate::memory::Large;
use crate::shard::sockets::portions::DIRECT_PIECE;
use crate::shard::sockets::{Completion, Received, Token};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Bytes of a large packet that count as one receive buffer: they are not looked at, so they take less of a round.
const DIRECT_PER_BUFFER: usize = 4 * SIZE;

impl Epoll {
    #[inline]
    pub(in crate::shard::sockets) fn receive(&mut self, token: Token, socket: BorrowedFd<'_>) {
        self.order_receive(token, socket, Receive::All);
    }

    pub(in crate::shard::sockets) fn receive_once(&mut self, token: Token, socket: BorrowedFd<'_>) {
        self.order_receive(token, socket, Receive::Once);
    }

    /// At most [`DIRECT_PIECE`].
    pub(in crate::shard::sockets) fn receive_direct(
        &mut self,
        token: Token,
        socket: BorrowedFd<'_>,
        buffer: Large,
        bytes: usize,
    ) {
        let missing = bytes.min(DIRECT_PIECE);
        assert!((1..=buffer.capacity() - buffer.len()).contains(&missing), "there is room");
        self.order_receive(token, socket, Receive::Direct { buffer, missing, came: 0 });
    }

    #[inline]
    fn order_receive(&mut self, token: Token, socket: BorrowedFd<'_>, receive: Receive) {
        let known = self.watch(token, socket);
        let watched = &mut self.sockets[token.index as usize];
        assert!(matches!(watched.receive, Receive::Nothing), "one at a time");
        watched.receive = receive;
        match known {
            Ok(()) if watched.readable => self.line_up(InLine::Socket(token.index)),
            Ok(()) => {}
            Err(error) => self.end_receive(token.index, error),
        }
    }

    pub(in crate::shard::sockets) fn stop_direct(&mut self, token: Token) {
        self.end_receive(token.index, Errno::CANCELED);
    }

    pub(in crate::shard::sockets) fn stop_receiving(&mut self, token: Token) {
        self.end_receive(token.index, Errno::CANCELED);
    }

    /// Ends what is received, if anything is: a completion says why, or how much came of a large packet.
    fn end_receive(&mut self, index: u32, why: Errno) {
        let watched = &mut self.sockets[index as usize];
        let what = match std::mem::take(&mut watched.receive) {
            Receive::Nothing => return,
            Receive::All | Receive::Once => Received::Failed(why),
            Receive::Direct { buffer, came: 0, .. } => Received::Direct(buffer, Err(why)),
            Receive::Direct { buffer, came, .. } => Received::Direct(buffer, Ok(came)),
        };
        let token = watched.token(index);
        self.done.push_back(Completion::Received { token, what, more: false });
    }

    #[inline]
    pub(super) fn receive_next(&mut self, index: u32) -> Option<Completion> {
        let watched = &mut self.sockets[index as usize];
        watched.in_line = false;
        let once = match &watched.receive {
            Receive::Nothing => return None,
            Receive::Direct { .. } => return self.receive_next_direct(index),
            Receive::All => false,
            Receive::Once => true,
        };
        let token = watched.token(index);
        let Some((id, bytes)) = self.buffers.spare() else {
            watched.receive = Receive::Nothing;
            let what = Received::Failed(Errno::NOBUFS);
            return Some(Completion::Received { token, what, more: false });
        };
        let (what, more) = match calls::receive(watched.socket, bytes) {
            Ok(0) => (Received::End, false),
            Ok(count) => {
                watched.readable = count == SIZE || watched.to_the_end;
                (Received::Bytes(self.buffers.received(id, count)), !once)
            }
            Err(Errno::AGAIN) => {
                watched.readable = false;
                return None;
            }
            Err(error) => (Received::Failed(error), false),
        };
        if !more {
            watched.receive = Receive::Nothing;
        } else if watched.readable {
            self.line_up(InLine::Socket(index));
        }
        Some(Completion::Received { token, what, more })
    }

    /// Receives into a large packet. It is over when all that was ordered is there.
    fn receive_next_direct(&mut self, index: u32) -> Option<Completion> {
        let watched = &mut self.sockets[index as usize];
        let Receive::Direct { buffer, missing, came } = &mut watched.receive else { return None };
        let result = calls::receive_behind(watched.socket, buffer, *missing);
        match result {
            Ok(count @ 1..) => {
                self.turns_left = self.turns_left.saturating_sub(count / DIRECT_PER_BUFFER);
                (*missing, *came) = (*missing - count, *came + count);
                watched.readable = *missing == 0 || watched.to_the_end;
                if *missing > 0 {
                    if watched.readable {
                        self.line_up(InLine::Socket(index));
                    }
                    return None;
                }
            }
            Err(Errno::AGAIN) => {
                watched.readable = false;
                return None;
            }
            Ok(_) | Err(_) => {}
        }
        let Receive::Direct { buffer, came, .. } = std::mem::take(&mut watched.receive) else { return None };
        // What came before the end, or an error, counts first: they are there the next time, too.
        let result = if came > 0 { Ok(came) } else { result };
        let token = watched.token(index);
        Some(Completion::Received { token, what: Received::Direct(buffer, result), more: false })
    }
}
