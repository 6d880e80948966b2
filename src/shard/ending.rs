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

    /// Gives up connections that are broken or over, of which the engine knows. Whoever is listed twice is given up once more,
    /// which does no harm, unless the first time closed it: then the table knows it no more.
    pub(super) fn take_down_broken(&mut self) {
        for at in 0..self.table.broken.len() {
            let token = self.table.broken[at];
            let Some(connection) = self.table.get(token) else { continue };
            if connection.phase == Phase::Greeting && connection.cover.is_some() {
                self.table.greetings.leave();
            }
            let Some(connection) = self.table.get(token) else { continue };
            // From here on nothing is read, sent or received for it, whatever lists it stands in. Closing asks for this.
            connection.phase = Phase::Dying;
            // This acts at once; what is stopped below is told the kernel in the next round. The three could be swapped.
            if connection.is_in_kernel() {
                connection.shut();
            }
            connection.stop_receiving(&mut self.sockets);
            if connection.outbound.is_sending() {
                self.sockets.stop_sending(token);
            }
            // Only what waits here: what is in flight belongs to the kernel until its completion, which comes back here
            // (`sent` lists it again) or to `receive_again`.
            let waiting = connection.outbound.take_waiting().into_buffer();
            let rest = std::mem::take(&mut connection.rest);
            self.table.pool.give(waiting);
            self.table.pool.give(rest.bytes);
            // Last: it may be gone behind this.
            self.close_when_free(token);
        }
        self.table.broken.clear();
    }

    /// Closes the socket of a connection that is given up, as soon as the kernel is done with it: a descriptor that is closed
    /// before may be another connection's when the kernel gets to the order. The place in the table goes with the socket, so
    /// the completions of a connection find it or nothing.
    pub(super) fn close_when_free(&mut self, token: Token) {
        if self.table.get(token).is_some_and(|c| c.phase == Phase::Dying && !c.is_in_kernel()) {
            if let Some(to) = self.table.remove(token).and_then(|connection| connection.moving_to) {
                self.shared.stay(self.id, to);
            }
            self.shared.dismiss(self.id);
            // Behind the removal, which has closed the descriptor that accepting may want.
            self.acceptor.relieved(&mut self.sockets);
        }
    }
}
