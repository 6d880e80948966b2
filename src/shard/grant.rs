//! Rights of those who are there: each session is told what it may do before its first request, and again when the list was read
//! again. Where not everybody may do everything, one that is not told may do nothing (`Policy::rights_wanted`). Who may do what is said in `access/`, what follows of it is the engine's affair.
use super::pump::Pump;
use super::sockets::Token;
use super::table::ConnectionTable;
use crate::engine::{Input, Rights};

/// Connections that are looked at in one round, after the list was read again. One may have many registrations to look at.
const GRANTED_PER_ROUND: usize = 64;

/// How far those who were there have been looked at.
#[derive(Debug)]
pub(super) struct GrantProgress {
    /// The list that sessions know, or are being told of.
    edition: u64,
    /// The place in the table of connections where to go on; none when all were told.
    next: Option<usize>,
}

impl GrantProgress {
    /// Nobody is there yet.
    pub(super) fn new(edition: u64) -> GrantProgress {
        GrantProgress { edition, next: None }
    }
}

impl Pump {
    /// A session has begun, here or elsewhere: from its first request on it may do what is granted to whoever is behind it.
    pub(super) fn grant(&mut self, table: &mut ConnectionTable, token: Token) {
        let Some(connection) = table.peek(token) else { return };
        let rights = self.access.rights(&connection.subject, connection.door);
        // With everything it has begun, unless rights are wanted.
        if rights != Rights::ALL || self.rights_wanted {
            let session = connection.session;
            self.feed(table, Input::Rights(session, rights));
        }
    }
}

impl GrantProgress {
    /// Whether the list was read again, and not all who are there have been told.
    #[inline]
    pub(super) fn has_more(&self, pump: &Pump) -> bool {
        self.next.is_some() || pump.access.edition() != self.edition
    }

    /// Tells some of those who are there what they may do now.
    #[cold]
    pub(super) fn grant_some(&mut self, pump: &mut Pump, table: &mut ConnectionTable) {
        let edition = pump.access.edition();
        if edition != self.edition {
            *self = GrantProgress { edition, next: Some(0) };
        }
        let Some(from) = self.next else { return };
        let (tokens, next) = table.some(from, GRANTED_PER_ROUND);
        self.next = next;
        tokens.into_iter().for_each(|token| pump.grant(table, token));
    }
}
