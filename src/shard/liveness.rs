//! Finds peers that are gone while they still owe us an acknowledgement. Where nothing is under way the kernel's probes
//! find them (`listen/`); while something is, the kernel does not probe but send again, for a quarter of an hour.
//!
//! TCP_USER_TIMEOUT would bound that, but it also ends connections of peers that are well and just do not read for a
//! while: a client that takes a minute for a result while others wait. So we look ourselves, at those to whom
//! something was sent, a few times within the time that a peer may be silent; with nobody to look at there is no alarm.
use super::connection::Connection;
use super::options::Keepalive;
use super::sockets::{Token, Unacked};
use crate::engine::Instant;
use std::time::Duration;

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

    /// Whether it is time to look; those that are watched are looked at then.
    pub(super) fn begins(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        if self.looking.is_empty() {
            std::mem::swap(&mut self.watched, &mut self.looking);
        }
        true
    }

    /// The next to be looked at this time.
    pub(super) fn next(&mut self) -> Option<Token> {
        self.looking.pop()
    }

    /// Whether a peer with this debt is gone.
    pub(super) fn is_gone(&self, unacked: &Unacked) -> bool {
        unacked.asked >= ATTEMPTS && self.silence.is_some_and(|silence| unacked.silent >= silence)
    }

    /// A connection is to be looked at next time, too.
    pub(super) fn again(&mut self, token: Token) {
        self.watched.push(token);
    }

    /// So many were looked at as one round may. If those were all, the next time is in a while.
    pub(super) fn looked(&mut self, now: Instant) {
        if self.looking.is_empty() {
            let some = !self.watched.is_empty();
            self.due = some.then(|| now.after(self.pause));
        }
    }
}
