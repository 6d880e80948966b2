//! What connections have this shard and the others keep, in bytes, and what follows when it is too much: the largest
//! debtors are left unread for a while, or closed. Who is charged with what is in `connection.rs` and `table.rs`.
use super::Shard;
use super::connection::{Connection, Phase};
use super::ring::Token;
use super::tell;
use crate::engine::{CloseReason, Event, Input, Instant};
use crate::log_at;
use crate::logging::Level;
use std::time::Duration;

/// With less than this a connection is no debtor.
const DEBTOR_MIN: usize = 64 << 10;
/// How long debtors are left unread before the largest is closed: they may all wait for the rest of a packet.
const PATIENCE: Duration = Duration::from_secs(2);

/// The limit, and who is held back because of it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Bytes that the connections of all shards may hold.
    limit: u64,
    /// Those that are left unread. They may be gone.
    unread: Vec<Token>,
    /// Since when there has been too much without a change for the better.
    since: Option<Instant>,
}

impl Ledger {
    /// Nobody is held back.
    pub(crate) fn new(limit: u64) -> Ledger {
        Ledger { limit, unread: Vec::new(), since: None }
    }

    /// With more than this the largest debtors are left unread.
    fn mark(&self) -> u64 {
        self.limit / 4 * 3
    }

    /// When to look again, though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since.after(PATIENCE))
    }
}

impl Shard {
    /// Looks whether connections hold too much, once a round.
    #[inline]
    pub(super) fn keep_the_books(&mut self) {
        let owed = self.table.owed;
        self.pump.engine.note_connections_bytes(owed.here);
        self.commons.publish_owed(self.id, owed.all);
        // As long as each shard has less than its share of the mark, there is room.
        let share = self.ledger.mark() / u64::from(self.shards);
        if owed.all > share || !self.ledger.unread.is_empty() || self.ledger.since.is_some() {
            self.press();
        }
    }

    #[cold]
    fn press(&mut self) {
        let (mark, limit) = (self.ledger.mark(), self.ledger.limit);
        let mut all = self.commons.owed();
        if all <= mark - mark / 8 {
            while self.read_smallest_again() {}
        } else if all <= mark {
            // There is little room: one may go on, or nobody ever would.
            self.read_smallest_again();
        }
        // Elsewhere there are larger debtors.
        if all <= mark || self.table.owed.all <= mark / u64::from(self.shards) {
            self.ledger.since = None;
            return;
        }
        let now = self.pump.now.instant;
        let since = *self.ledger.since.get_or_insert(now);
        if since.after(PATIENCE) <= now {
            self.ledger.since = Some(now);
            all = all.saturating_sub(self.close_largest());
        }
        while all > limit {
            match self.close_largest() {
                0 => break,
                bytes => all = all.saturating_sub(bytes),
            }
        }
        if all > mark {
            self.leave_largest_unread();
        }
    }

    /// Reads again from the smallest debtor of those that are left unread. False if there is none.
    fn read_smallest_again(&mut self) -> bool {
        let Ledger { unread, .. } = &mut self.ledger;
        let table = &self.table;
        // Those that are gone make room for nobody.
        unread.retain(|&token| table.peek(token).is_some_and(Connection::hears));
        let owes = |&token: &Token| table.peek(token).map_or(0, |connection| connection.owes());
        let Some(at) = (0..unread.len()).min_by_key(|&at| owes(&unread[at])) else { return false };
        let token = unread.swap_remove(at);
        if let Some(connection) = self.table.get(token) {
            connection.debtor = false;
            self.table.unarmed.push(token);
        }
        true
    }

    /// Reads no more from the largest debtor from which it still reads.
    fn leave_largest_unread(&mut self) {
        let largest = self.table.iter().filter(|connection| {
            connection.owes() >= DEBTOR_MIN && !connection.debtor && connection.phase == Phase::Open
        });
        let Some(token) =
            largest.max_by_key(|connection| connection.owes()).map(|connection| connection.token)
        else {
            return;
        };
        let Some(connection) = self.table.get(token) else { return };
        connection.debtor = true;
        connection.stop_receiving(&mut self.ring);
        self.ledger.unread.push(token);
        self.pump.feed(&mut self.table, Input::Count(Event::DebtorUnread));
    }

    /// Closes the largest debtor. Returns how many bytes that frees.
    fn close_largest(&mut self) -> u64 {
        let open =
            self.table.iter().filter(|connection| connection.hears() && connection.owes() >= DEBTOR_MIN);
        let Some(connection) = open.max_by_key(|connection| connection.owes()) else { return 0 };
        let (token, owes) = (connection.token, connection.owes());
        let peer = tell::who(&self.pump.engine, connection);
        log_at!(
            Level::Warning,
            "closing connection of {peer}: connections hold too much, and it holds most: {owes} bytes"
        );
        let Some(connection) = self.table.get(token) else { return 0 };
        // The requests that it has sent are carried out, as with one who does not read.
        connection.ended = true;
        connection.forget_unsent();
        self.table.lose(token, CloseReason::Debtor);
        self.table.charge(token);
        owes as u64
    }
}
