//! What is read in one round: how many requests in all, and how many bytes of one connection before others have their
//! turn. Whoever sends more waits behind those who do not; a queue of what arrived, nothing else.
//!
//! A connection that sends a little is served in the round in which it arrives, however much others send: what is beyond a
//! connection's ration stands in `late`, first in, first out, and gets what a round has left. What found no room in the round
//! although its connection kept within its ration stands in `soon`, and goes before all others in the next.
use super::connection::Connection;
use super::sockets::{Received, Token};
use std::collections::VecDeque;

/// What arrived and was not read yet.
#[derive(Debug, Default)]
pub(crate) struct Rations {
    soon: VecDeque<(Token, Received)>,
    late: VecDeque<(Token, Received)>,
    /// Counts rounds.
    round: u32,
}

impl Rations {
    /// Inputs of the engine after which a round reads no more: one to two milliseconds.
    pub(crate) const ROUND: u32 = 1024;
    /// Inputs that resumed sessions may have in a round, whatever others have had.
    pub(crate) const RESUMED: u32 = 512;
    /// Bytes of one connection in one round before others have their turn.
    pub(crate) const CONNECTION: usize = 8 << 10;
    /// So many buffers that wait are many: the kernel is lent few more.
    const MANY: usize = 64;

    /// A round begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Whether bytes that have just arrived are to be read at once. `room` says whether the round has room for more.
    #[inline]
    pub(crate) fn admits(&self, connection: &mut Connection, bytes: usize, room: bool) -> bool {
        if connection.round != self.round {
            (connection.round, connection.taken) = (self.round, 0);
        }
        // The first of a round is always within its ration.
        let within = connection.taken == 0 || connection.taken + bytes <= Self::CONNECTION;
        connection.taken += bytes;
        room && within && connection.kept == 0
    }

    /// Keeps what is not read at once. In the order of arrival for each connection.
    pub(crate) fn keep(&mut self, connection: &mut Connection, what: Received, bytes: usize) {
        let within = connection.kept == 0 && connection.taken == bytes;
        connection.kept += 1;
        let queue = if within { &mut self.soon } else { &mut self.late };
        queue.push_back((connection.token, what));
    }

    /// The next that may be read whatever the round has had; counted as read.
    pub(crate) fn next_soon(&mut self) -> Option<(Token, Received)> {
        self.soon.pop_front()
    }

    /// The next of those that wait for what a round has left, once nothing else waits; counted as read.
    pub(crate) fn next_late(&mut self) -> Option<(Token, Received)> {
        if self.soon.is_empty() { self.late.pop_front() } else { None }
    }

    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.late.is_empty()
    }

    /// How much waits.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.soon.len() + self.late.len()
    }

    /// Whether so much waits that the kernel should be lent few buffers.
    #[inline]
    pub(crate) fn are_short(&self) -> bool {
        self.late.len() >= Self::MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Peer, SessionId, ShardId};
    use std::net::Ipv4Addr;
    use std::os::fd::OwnedFd;

    fn connection(index: u32) -> Connection {
        let socket = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let peer = Peer { descriptor: 7, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        let token = Token { index, generation: 1 };
        Connection::new(token, SessionId::new(ShardId(0), index, 1), peer, socket)
    }

    /// What one connection has read in one round while it sends without end, and what the next does that sends little.
    #[test]
    fn a_flood_gets_its_ration_and_others_are_read_at_once() {
        let mut rations = Rations::default();
        let (mut flood, mut other) = (connection(1), connection(2));
        const FULL: usize = Rations::CONNECTION;
        rations.begin();
        let mut read = 0;
        for _ in 0..64 {
            if rations.admits(&mut flood, FULL, true) {
                read += FULL;
            } else {
                rations.keep(&mut flood, Received::End, FULL);
            }
        }
        assert_eq!((read, rations.len()), (FULL, 63));
        assert!(rations.admits(&mut other, 50, true), "it waits for nobody");
        assert!(!rations.are_short());
        // What has no room in this round goes first in the next.
        let mut third = connection(3);
        assert!(!rations.admits(&mut third, 50, false));
        rations.keep(&mut third, Received::End, 50);
        assert!(rations.next_late().is_none(), "not before those");
        assert_eq!(rations.next_soon().map(|(token, _)| token.index), Some(3));
        assert_eq!(rations.next_late().map(|(token, _)| token.index), Some(1));
        // As long as something of a connection waits, nothing of it overtakes.
        rations.begin();
        assert!(!rations.admits(&mut flood, 1, true));
        rations.keep(&mut flood, Received::End, 1);
        assert_eq!((rations.len(), rations.are_short()), (63, false));
    }

    #[test]
    fn packets_of_a_few_bytes_are_within_the_ration_until_it_is_full() {
        let mut rations = Rations::default();
        let mut peer = connection(1);
        rations.begin();
        let read = (0..100).filter(|_| rations.admits(&mut peer, 1000, true)).count();
        assert_eq!(read, 8);
        rations.begin();
        assert!(rations.admits(&mut peer, 1000, true));
    }
}
