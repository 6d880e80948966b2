//! What follows when connections hold too many bytes, here and on the other shards (`ledger.rs`): the largest debtors are left
//! unread for a while, or closed. "Largest" is to within a factor of two (`debtors.rs`).
use super::Shard;
use super::connection::Phase;
use super::ledger::PATIENCE;
use super::sockets::Token;
use super::tell;
use crate::engine::{CloseReason, Event, Input};
use crate::log_at;
use crate::logging::Level;

/// Debtors that are read again or closed in one round; the rest follows in the next.
const AT_ONCE: usize = 16;

impl Shard {
    /// Looks whether connections hold too much, once a round.
    #[inline]
    pub(super) fn keep_the_books(&mut self) {
        let owed = self.table.owed;
        self.pump.engine.note_connections_bytes(owed.here);
        self.shared.publish_owed(self.id, owed.all);
        // As long as each shard has less than its share of the mark, there is room.
        let share = self.ledger.mark() / self.topology.owners().len() as u64;
        let held_back = self.table.debtors.smallest_unread().is_some();
        if owed.all > share || held_back || self.ledger.since.is_some() {
            self.press();
        }
    }

    #[cold]
    fn press(&mut self) {
        let (mark, limit) = (self.ledger.mark(), self.ledger.limit);
        let mut all = self.shared.owed();
        self.ledger.again = false;
        if all <= mark - mark / 8 {
            self.ledger.again = (0..AT_ONCE).all(|_| self.read_smallest_again());
        } else if all <= mark {
            // There is little room: one may go on, or nobody ever would.
            self.read_smallest_again();
        }
        // Elsewhere there are larger debtors.
        if all <= mark || self.table.owed.all <= mark / self.topology.owners().len() as u64 {
            self.ledger.since = None;
            return;
        }
        let now = self.pump.now.instant;
        let since = *self.ledger.since.get_or_insert(now);
        if since.after(PATIENCE) <= now {
            self.ledger.since = Some(now);
            all = all.saturating_sub(self.close_largest());
        }
        let mut closed = 0;
        while all > limit && closed < AT_ONCE {
            match self.close_largest() {
                0 => break,
                bytes => all = all.saturating_sub(bytes),
            }
            closed += 1;
        }
        self.ledger.again = all > limit && closed == AT_ONCE;
        if all > mark {
            self.leave_largest_unread();
        }
    }

    /// Reads again from one of the smallest debtors that are left unread. False if there is none.
    fn read_smallest_again(&mut self) -> bool {
        let Some(token) = self.table.debtors.smallest_unread() else { return false };
        self.read_again(token);
        true
    }

    fn read_again(&mut self, token: Token) {
        if let Some(connection) = self.table.get(token)
            && std::mem::replace(&mut connection.debtor, false)
        {
            self.table.unarmed.push(token);
            self.table.seat(token);
        }
    }

    /// Reads no more from one of the largest debtors from which it still reads.
    fn leave_largest_unread(&mut self) {
        let open = |token: &Token| self.table.peek(*token).is_some_and(|debtor| debtor.phase == Phase::Open);
        let Some(token) = self.table.debtors.largest_read().find(open) else { return };
        let Some(connection) = self.table.get(token) else { return };
        connection.debtor = true;
        connection.stop_receiving(&mut self.sockets);
        self.table.seat(token);
        self.pump.feed(&mut self.table, Input::Count(Event::DebtorUnread));
    }

    /// Closes one of the largest debtors. Returns how many bytes that frees.
    fn close_largest(&mut self) -> u64 {
        let open = |token: &Token| {
            let debtor = self.table.peek(*token);
            debtor.is_some_and(|debtor| debtor.hears() && debtor.holds_much())
        };
        let found = self.table.debtors.largest().find(open);
        let Some(connection) = found.and_then(|token| self.table.peek(token)) else { return 0 };
        let (token, owes) = (connection.token, connection.charged.all);
        let peer = tell::who(&self.pump.engine, connection);
        log_at!(
            Level::Warning,
            "closing connection of {peer}: connections hold too much, and it is one of those that hold most: {owes} bytes"
        );
        let Some(connection) = self.table.get(token) else { return 0 };
        // The requests that it has sent are carried out, as with one who does not read.
        connection.ended = true;
        connection.forget_unsent();
        self.table.lose(token, CloseReason::Debtor);
        self.table.charge(token);
        // What it has sent before is carried out.
        self.read_again(token);
        owes
    }
}
