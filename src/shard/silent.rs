//! Looks at the peers that may be gone while they owe an acknowledgement, when `liveness.rs` says so, and closes the
//! connections of those that are.
use super::sockets::{Token, unacked};
use super::{Shard, listen};
use crate::engine::CloseReason;
use crate::log_at;
use crate::logging::Level;

/// Connections looked at in one round: each costs a call of the kernel.
const LOOKS_PER_ROUND: usize = 64;

impl Shard {
    /// Looks at those that are watched, if it is time, and gives up whoever is gone.
    pub(super) fn look_at_the_silent(&mut self) {
        let now = self.pump.now.instant;
        if !self.liveness.begins(now) {
            return;
        }
        for _ in 0..LOOKS_PER_ROUND {
            let Some(token) = self.liveness.next() else { break };
            self.look_at(token);
        }
        self.liveness.looked(now);
    }

    fn look_at(&mut self, token: Token) {
        let Some(connection) = self.table.get(token) else { return };
        let Ok(unacked) = unacked(connection.socket()) else {
            // A unix socket, which knows when its peer is gone: it stays marked, so it is not looked at again.
            return;
        };
        if !unacked.owes {
            connection.watched = false;
            return;
        }
        if !self.liveness.is_gone(&unacked) {
            self.liveness.again(token);
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
