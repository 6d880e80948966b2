//! Connections with TLS: what came is opened before it is read, and what is to go is sealed before it is sent. The bytes themselves are in
//! `cover.rs`, handshakes in `greeting.rs`.
use super::Shard;
use super::connection::{Connection, Phase};
use super::cover::Cover;
use super::parcel::Parcel;
use super::pump::Pump;
use super::sockets::Token;
use super::table::ConnectionTable;
use super::tell;
use crate::engine::CloseReason;
use crate::tls::TlsTrouble;

impl ConnectionTable {
    fn begin_sealed(&mut self, token: Token) -> Result<Option<Parcel>, TlsTrouble> {
        let Some(session) = self.get(token).map(|connection| connection.session) else { return Ok(None) };
        let Some((connection, pool)) = self.of(session) else { return Ok(None) };
        let last = connection.phase == Phase::Flushing;
        let Connection { cover: Some(cover), outbound, .. } = connection else { return Ok(None) };
        cover.begin(outbound, pool, last)
    }
}

impl Shard {
    /// Sends what waits on a connection with TLS, or ends it if everything was sent and that is all. How many bytes were sealed.
    pub(super) fn flush_sealed(&mut self, token: Token) -> usize {
        let begun = self.table.begin_sealed(token);
        let Some(connection) = self.table.get(token) else { return 0 };
        match begun {
            Ok(Some(parcel)) => {
                let bytes = parcel.len();
                self.sockets.send(token, connection.socket(), parcel);
                self.table.sends += 1;
                return bytes;
            }
            Ok(None) => {
                if connection.phase == Phase::Flushing && !connection.outbound.is_sending() {
                    self.end_flushed(token);
                }
            }
            Err(trouble) => {
                tell::malformed(&self.pump.engine, connection, &trouble);
                connection.shut();
                self.table.lose(token, CloseReason::Peer);
            }
        }
        0
    }
}

impl Pump {
    /// Opens bytes that arrived on a connection with TLS, and reads what was in them.
    pub(super) fn read_covered(&mut self, table: &mut ConnectionTable, token: Token, bytes: &[u8]) {
        let Some(connection) = table.get(token) else { return };
        match connection.phase {
            Phase::Open => {}
            Phase::Greeting => return table.await_turn(token, bytes),
            // Nobody wants them.
            Phase::Finishing | Phase::Flushing | Phase::Lingering | Phase::Dying => return,
        }
        let Some(mut cover) = connection.cover.take() else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let opened = cover.stream.open(bytes, &mut scratch, &mut |plain| self.read(table, token, plain));
        self.scratch = scratch;
        self.cover_again(table, token, cover);
        if let Err(trouble) = opened {
            let Some(connection) = table.get(token) else { return };
            tell::malformed(&self.engine, connection, &trouble);
            // Nothing can be said to it any more; what it has sent before is carried out.
            table.lose(token, CloseReason::Malformed);
            self.end(table, token);
        }
    }

    /// Reads what was opened, with the cover put aside.
    pub(super) fn read_opened(&mut self, table: &mut ConnectionTable, token: Token, plain: &[u8]) {
        let Some(cover) = table.get(token).and_then(|connection| connection.cover.take()) else { return };
        self.read(table, token, plain);
        self.cover_again(table, token, cover);
    }

    /// Puts a cover back on, and does what follows from what came.
    fn cover_again(&mut self, table: &mut ConnectionTable, token: Token, mut cover: Box<Cover>) {
        let Some(connection) = table.get(token) else { return };
        let (ended, more) = (cover.stream.has_ended(), cover.has_more());
        if connection.lost.is_some() {
            cover.forget();
        }
        connection.cover = Some(cover);
        let ends = ended && !connection.ended;
        if more && !std::mem::replace(&mut connection.listed, true) {
            table.listed.push(token);
        }
        if ends {
            self.end(table, token);
        }
    }
}
