//! How many bytes connections may hold, here and on the other shards, and since when they hold too much. Who is charged
//! with what is in `connection.rs` and `table.rs`, what follows when it is too much in `evict.rs`.
use crate::engine::Instant;
use std::time::Duration;

/// How long debtors are left unread before the largest is closed: they may all wait for the rest of a packet.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The limit, and who is held back because of it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Bytes that the connections of all shards may hold.
    pub(super) limit: u64,
    /// Since when there has been too much without a change for the better.
    pub(super) since: Option<Instant>,
    /// There is more to do at once.
    pub(super) again: bool,
}

impl Ledger {
    /// Nobody is held back.
    pub(crate) fn new(limit: u64) -> Ledger {
        Ledger { limit, since: None, again: false }
    }

    /// With more than this the largest debtors are left unread.
    pub(super) fn mark(&self) -> u64 {
        self.limit / 4 * 3
    }

    /// When to look again, though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.again { Some(Instant::default()) } else { self.since.map(|since| since.after(PATIENCE)) }
    }
}
