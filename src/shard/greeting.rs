//! TLS handshakes, and how much of them is done in a round. A handshake costs as much as a thousand requests, and whoever begins one is
//! not known yet: so it has a turn, at the end of which others are served. Who waits, and for how long, is in `greetings.rs`.
//!
//! Whoever has no place is not received from: its bytes are the kernel's. Whoever has one costs what the library takes, and a
//! buffer.
use super::Shard;
use super::connection::Phase;
use super::cover::Cover;
use super::listen;
use super::sockets::Token;
use super::table::ConnectionTable;
use crate::engine::{Event, Input, Instant};
use crate::log_at;
use crate::logging::Level;
use crate::mesh::clock;
use crate::tls::{Greeting, TlsTrouble};
use std::sync::Arc;

impl ConnectionTable {
    /// Keeps bytes of a handshake until their turn.
    pub(super) fn await_turn(&mut self, token: Token, bytes: &[u8]) {
        if let Some(connection) = self.get(token)
            && let Some(cover) = &mut connection.cover
        {
            cover.arrived.extend_from_slice(bytes);
            self.greetings.turns.push_back(token);
        }
    }
}

impl Shard {
    /// Somebody connected where TLS is spoken.
    pub(super) fn begin_greeting(&mut self, token: Token) {
        if let Some(connection) = self.table.get(token) {
            connection.phase = Phase::Greeting;
            self.table.greetings.outside.push_back((self.pump.now.instant, token));
        }
        self.give_places();
    }

    /// Gives places to those who wait for one.
    #[cfg_attr(not(feature = "tls"), allow(unreachable_code))]
    fn give_places(&mut self) {
        while let Some(token) = self.table.greetings.next_outside() {
            let Some(connection) = self.table.get(token) else { continue };
            if connection.phase != Phase::Greeting {
                continue;
            }
            match self.certificates.as_ref().map(|certificates| certificates.stream()) {
                Some(Ok(stream)) => connection.cover = Some(Box::new(Cover::new(stream))),
                // Without certificates no entrance wants TLS.
                Some(Err(_)) | None => {
                    self.table.broken.push(token);
                    continue;
                }
            }
            self.table.greetings.enter(token, self.pump.now.instant);
            self.table.unarmed.push(token);
        }
    }

    /// Goes on with handshakes of which bytes arrived, as far as a round may.
    #[inline]
    pub(super) fn shake_hands(&mut self) {
        if self.table.greetings.has_turns() || !self.table.greetings.outside.is_empty() {
            self.take_turns();
        }
    }

    #[cold]
    fn take_turns(&mut self) {
        self.give_places();
        let Some(mut round) = self.table.greetings.begin_round(clock::instant()) else { return };
        while let Some(token) = self.table.greetings.next_turn(&mut round, clock::instant()) {
            self.shake(token);
            self.table.charge(token);
        }
    }

    fn shake(&mut self, token: Token) {
        let Some(connection) = self.table.get(token) else { return };
        if connection.phase != Phase::Greeting {
            return;
        }
        let Some(cover) = &mut connection.cover else { return };
        let arrived = std::mem::take(&mut cover.arrived);
        let greeted = cover.stream.greet(&arrived);
        let (names, more) = (cover.stream.names(), cover.has_more());
        let ended = connection.ended;
        if matches!(greeted, Ok(Greeting::Over(_))) {
            connection.subject.certificate = names.map(Arc::new);
            connection.phase = Phase::Open;
        }
        if more && !std::mem::replace(&mut connection.listed, true) {
            self.table.listed.push(token);
        }
        match greeted {
            Ok(Greeting::Awaited) if ended => self.table.broken.push(token),
            Ok(Greeting::Awaited) => self.table.unarmed.push(token),
            Ok(Greeting::Over(plain)) => {
                self.table.greetings.leave();
                self.let_in(token, &plain);
            }
            Err(trouble) => self.refuse_greeting(token, &trouble),
        }
    }

    /// A handshake is over: the session begins, with the bytes behind it.
    fn let_in(&mut self, token: Token, plain: &[u8]) {
        let Some(connection) = self.table.get(token) else { return };
        let (session, peer, ended) = (connection.session, connection.peer, connection.ended);
        self.pump.feed(&mut self.table, Input::Opened(session, peer));
        self.pump.grant(&mut self.table, token);
        self.pump.read_opened(&mut self.table, token, plain);
        if ended {
            self.pump.end(&mut self.table, token);
        }
        self.table.unarmed.push(token);
    }

    /// A handshake has failed: the peer is told why, as far as TLS has words for it, and the connection ends.
    fn refuse_greeting(&mut self, token: Token, trouble: &TlsTrouble) {
        let Some(connection) = self.table.get(token) else { return };
        let caller = listen::caller(connection.socket());
        log_at!(Level::Warning, "closing connection of {caller}: {trouble}");
        connection.phase = Phase::Flushing;
        if connection.lost.is_some() {
            self.table.broken.push(token);
        } else if !std::mem::replace(&mut connection.listed, true) {
            self.table.listed.push(token);
        }
        self.table.greetings.leave();
        self.pump.feed(&mut self.table, Input::Count(Event::HandshakeFailed));
    }

    /// Gives up those whose handshake takes too long.
    pub(super) fn end_greetings(&mut self, now: Instant) {
        while let Some((token, patience)) = self.table.greetings.overdue(now) {
            let Some(connection) = self.table.get(token) else { continue };
            if connection.phase != Phase::Greeting {
                continue;
            }
            let caller = listen::caller(connection.socket());
            let seconds = patience.as_secs();
            log_at!(
                Level::Warning,
                "closing connection of {caller}: its TLS handshake was not over after {seconds} s"
            );
            self.table.broken.push(token);
            self.pump.feed(&mut self.table, Input::Count(Event::HandshakeFailed));
        }
    }
}
