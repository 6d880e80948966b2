//! How connections end: whoever was told everything lingers until the peer closes, what is broken is given up, and a socket is
//! closed when the kernel is done with it.
use super::Shard;
use super::connection::Phase;
use super::sockets::Token;
use crate::engine::Instant;
use std::time::Duration;

/// How long a connection that we closed may stay until its peer closes it too.
const LINGER: Duration = Duration::from_secs(2);

impl Shard {
    /// Everything is sent to a connection of which the engine knows nothing more: it lingers, unless its peer has closed.
    pub(super) fn end_flushed(&mut self, token: Token) {
        let Some(connection) = self.table.get(token) else { return };
        if connection.ended {
            self.table.broken.push(token);
        } else {
            connection.phase = Phase::Lingering;
            connection.shut_writing();
            self.lingering.push_back((self.pump.now.instant.after(LINGER), token));
            // Its socket may have been left unread; now its end is waited for.
            self.table.unarmed.push(token);
        }
    }

    /// Gives up whoever has lingered long enough.
    pub(super) fn end_lingering(&mut self, now: Instant) {
        while let Some(&(until, token)) = self.lingering.front()
            && until <= now
        {
            self.lingering.pop_front();
            if self.table.get(token).is_some_and(|connection| connection.phase == Phase::Lingering) {
                self.table.broken.push(token);
            }
        }
    }

    /// Gives up connections that are broken or over, of which the engine knows.
    pub(super) fn take_down_broken(&mut self) {
        for at in 0..self.table.broken.len() {
            let token = self.table.broken[at];
            let Some(connection) = self.table.get(token) else { continue };
            connection.phase = Phase::Dying;
            if connection.is_in_kernel() {
                connection.shut();
            }
            connection.stop_receiving(&mut self.sockets);
            if connection.outbound.is_sending() {
                self.sockets.stop_sending(token);
            }
            let waiting = connection.outbound.take_waiting().into_buffer();
            let rest = std::mem::take(&mut connection.rest);
            self.table.pool.give(waiting);
            self.table.pool.give(rest.bytes);
            self.close_when_free(token);
        }
        self.table.broken.clear();
    }

    /// Closes the socket of a connection that is given up, as soon as the kernel is done with it.
    pub(super) fn close_when_free(&mut self, token: Token) {
        if self.table.get(token).is_some_and(|c| c.phase == Phase::Dying && !c.is_in_kernel()) {
            if let Some(to) = self.table.remove(token).and_then(|connection| connection.moving_to) {
                self.shared.stay(self.id, to);
            }
            self.shared.dismiss(self.id);
            self.acceptor.relieved(&mut self.sockets);
        }
    }
}
