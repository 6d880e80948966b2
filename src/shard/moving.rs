//! Hands a connection over to another shard, and takes in one that comes from there. Which connections move is said in
//! `migrate.rs`.
use super::Shard;
use super::connection::Phase;
use super::migrate::Migration;
use super::sockets::Token;
use crate::engine::{Input, ShardId};

impl Shard {
    /// Hands over a connection that moves, as soon as the kernel is done with it.
    pub(super) fn hand_off(&mut self, token: Token) {
        let Some(connection) = self.table.get(token) else { return };
        let Some(to) = connection.moving_to else { return };
        connection.stop_receiving(&mut self.sockets);
        // What it sent must have been read.
        if connection.is_in_kernel() || connection.kept > 0 || connection.phase != Phase::Open {
            return;
        }
        let (session, peer, subject) = (connection.session, connection.peer, connection.subject.clone());
        let Some(introduction) = self.pump.engine.let_go(session) else {
            return self.keep_here(token, to);
        };
        let Some(mut connection) = self.table.remove(token) else { return };
        self.sockets.release(token, connection.socket());
        let unread = std::mem::take(&mut connection.rest);
        let (door, ended, lost) = (connection.door, connection.ended, connection.lost);
        let (socket, unsent, cover) = connection.into_parts();
        let migration =
            Migration { socket, peer, subject, door, introduction, unread, unsent, cover, ended, lost };
        match self.migrations.send(to, migration) {
            Ok(()) => self.shared.mesh.nudge(to),
            Err(migration) => {
                // So many at once: this one lives on here.
                self.shared.stay(self.id, to);
                self.take_in(migration);
            }
        }
    }

    /// The connection does not move after all.
    fn keep_here(&mut self, token: Token, to: ShardId) {
        let Some(connection) = self.table.get(token) else { return };
        connection.moving_to = None;
        self.shared.stay(self.id, to);
        self.table.resumed.push(token);
    }

    /// Takes in a connection that comes from another shard.
    pub(super) fn take_in(&mut self, migration: Migration) {
        let Migration { socket, peer, subject, door, introduction, unread, unsent, cover, ended, lost } =
            migration;
        let Some(connection) = self.table.insert(socket, peer) else {
            return self.shared.dismiss(self.id);
        };
        (connection.stays, connection.lost) = (true, lost);
        (connection.rest, connection.cover) = (unread, cover);
        (connection.subject, connection.door) = (subject, door);
        let (token, session) = (connection.token, connection.session);
        if !unsent.is_empty() || connection.cover.as_mut().is_some_and(|cover| cover.has_more()) {
            connection.outbound.put_waiting(unsent);
            connection.listed = true;
            self.table.listed.push(token);
        }
        self.pump.feed(&mut self.table, Input::Adopted(session, peer, introduction));
        // By what is granted now: the list may have been read again on the way.
        self.pump.grant(&mut self.table, token);
        self.pump.resume(&mut self.table, token);
        if ended {
            self.pump.end(&mut self.table, token);
        }
        self.table.unarmed.push(token);
    }
}
