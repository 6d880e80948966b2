//! What a shard takes in during a round: who is let in, what is read at once and what later. How much that may be is said in
//! `rations.rs`, the order of a round in `round.rs`.
use super::connection::Receiving;
use super::rations::Rations;
use super::sockets::{Received, Token};
use super::{Shard, listen};
use crate::engine::{Event, Input, Peer, Subject};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Connections accepted in one round: each costs some calls of the kernel.
pub(super) const ACCEPTED_PER_ROUND: usize = 64;

impl Shard {
    /// A round has not read anything yet. What found no room in the last one comes first.
    pub(super) fn begin(&mut self) {
        self.rations.begin();
        (self.pump.fed, self.pump.fed_max) = (0, Rations::ROUND);
        while self.pump.has_room()
            && !self.pump.congested()
            && let Some((token, what)) = self.rations.next_soon()
        {
            self.take_kept(token, what);
        }
    }

    /// Lets in some of those who were accepted when enough had been. True if there were any.
    pub(super) fn let_in_who_waits(&mut self) -> bool {
        self.let_in = 0;
        let some = !self.arrivals.is_empty();
        while self.let_in < ACCEPTED_PER_ROUND
            && let Some((listener, socket)) = self.arrivals.pop_front()
        {
            self.accepted(listener, socket);
        }
        some
    }

    /// Lets in somebody who was accepted, unless there are too many. Where TLS is spoken, the session begins when the handshake is
    /// over.
    pub(super) fn accepted(&mut self, listener: u32, socket: OwnedFd) {
        self.acceptor.accepted();
        self.let_in += 1;
        let most = self.options.connections_max;
        let caller = listen::caller(socket.as_fd());
        if !self.shared.admit(self.id, most) {
            drop(socket);
            self.acceptor.refused(most);
            self.pump.feed(&mut self.table, Input::Count(Event::ConnectionRefused));
            return;
        }
        // A descriptor is not negative.
        let descriptor = socket.as_raw_fd() as u32;
        let peer = Peer { descriptor, address: caller.address(), port: caller.port() };
        let user = listen::local_user(socket.as_fd(), &caller);
        let Some(connection) = self.table.insert(socket, peer) else {
            self.shared.dismiss(self.id);
            return;
        };
        connection.subject = Subject { user, ..Subject::at(peer.address) };
        let (token, session) = (connection.token, connection.session);
        let entrance = self.entrances.get(listener as usize).copied().unwrap_or_default();
        connection.door = entrance.door;
        if entrance.tls {
            return self.begin_greeting(token);
        }
        self.pump.feed(&mut self.table, Input::Opened(session, peer));
        self.pump.grant(&mut self.table, token);
        self.table.unarmed.push(token);
    }

    /// Reads what arrived, or keeps it for later.
    #[inline]
    pub(super) fn ration(&mut self, token: Token, what: Received) {
        let bytes = what.len();
        let room = self.pump.has_room() && !self.pump.congested();
        let Some(connection) = self.table.get(token) else { return self.take(token, what) };
        if self.rations.admits(connection, bytes, room) {
            return self.take(token, what);
        }
        self.rations.keep(connection, what, bytes);
        if connection.receiving == Receiving::Armed && !connection.wants_bytes() {
            connection.stop_receiving(&mut self.sockets);
        }
    }

    /// Reads what was kept.
    pub(super) fn take_kept(&mut self, token: Token, what: Received) {
        if let Some(connection) = self.table.get(token) {
            connection.kept -= 1;
            if connection.kept == 0 {
                let ended = connection.ended;
                // It may be received from again, or leave the shard.
                self.table.unarmed.push(token);
                if ended {
                    self.table.resumed.push(token);
                }
            }
        }
        self.take(token, what);
    }
}
