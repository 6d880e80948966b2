//! Finds peers that are gone while they still owe us an acknowledgement. Where nothing is under way the kernel's probes
//! find them (`listen/`); while something is, the kernel does not probe but send again, for a quarter of an hour.
//!
//! TCP_USER_TIMEOUT would bound that, but it also ends connections of peers that are well and just do not read for a
//! while: a client that takes a minute for a result while others wait. So we look ourselves, at those to whom
//! something was sent, a few times within the time that a peer may be silent; with nobody to look at there is no alarm.
use super::connection::Connection;
use super::options::Keepalive;
use super::sockets::{self, Token};
use super::{Shard, listen};
use crate::engine::{CloseReason, Instant};
use crate::log_at;
use crate::logging::Level;
use std::time::Duration;

/// Connections looked at in one round: each costs a call of the kernel.
const LOOKS_PER_ROUND: usize = 64;
/// Unanswered attempts that are no accident.
const ATTEMPTS: u8 = 2;

/// Connections whose peers may owe something.
#[derive(Debug)]
pub(crate) struct Liveness {
    /// A peer that was silent for so long is gone; none: nobody is watched. Three quarters of what is promised.
    silence: Option<Duration>,
    /// Between two looks: the other quarter.
    pause: Duration,
    /// To be looked at next time, each once. Some may be gone.
    watched: Vec<Token>,
    /// Still to be looked at this time.
    looking: Vec<Token>,
    due: Option<Instant>,
}

impl Liveness {
    pub(crate) fn new(keepalive: &Keepalive) -> Liveness {
        let promised = keepalive.silence_max();
        Liveness {
            silence: promised.map(|most| most * 3 / 4),
            pause: promised.unwrap_or_default() / 4,
            watched: Vec::new(),
            looking: Vec::new(),
            due: None,
        }
    }

    /// Watches a connection to which something was sent.
    #[inline]
    pub(crate) fn add(&mut self, connection: &mut Connection, now: Instant) {
        if connection.watched || self.silence.is_none() {
            return;
        }
        connection.watched = true;
        self.watched.push(connection.token);
        self.due.get_or_insert(now.after(self.pause));
    }

    /// When it is time to look.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Shard {
    /// Looks at those that are watched, if it is time, and gives up whoever is gone.
    pub(super) fn look_at_the_silent(&mut self) {
        let now = self.pump.now.instant;
        if self.liveness.due.is_none_or(|due| due > now) {
            return;
        }
        if self.liveness.looking.is_empty() {
            std::mem::swap(&mut self.liveness.watched, &mut self.liveness.looking);
        }
        for _ in 0..LOOKS_PER_ROUND {
            let Some(token) = self.liveness.looking.pop() else { break };
            self.look_at(token);
        }
        if self.liveness.looking.is_empty() {
            let some = !self.liveness.watched.is_empty();
            self.liveness.due = some.then(|| now.after(self.liveness.pause));
        }
    }

    fn look_at(&mut self, token: Token) {
        let Some(connection) = self.table.get(token) else { return };
        let Ok(unacked) = sockets::unacked(connection.socket()) else {
            // A unix socket, which knows when its peer is gone: it stays marked, so it is not looked at again.
            return;
        };
        if !unacked.owes {
            connection.watched = false;
            return;
        }
        if unacked.asked < ATTEMPTS || self.liveness.silence.is_none_or(|silence| unacked.silent < silence) {
            self.liveness.watched.push(token);
            return;
        }
        let caller = listen::caller(connection.socket());
        let seconds = unacked.silent.as_secs();
        log_at!(
            Level::Warning,
            "closing connection of {caller}: nothing was heard from it for {seconds} s, though it was sent something"
        );
        connection.forget_unsent();
        connection.shut();
        self.table.lose(token, CloseReason::Peer);
    }
}
