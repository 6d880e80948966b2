//! All connections of a shard, by the place that is in their tokens and sessions, and lists of those with which
//! something is to be done at the end of the round.
use super::connection::{Connection, Owed, Phase};
use super::debtors::{DebtorSeat, Debtors, class_of};
use super::greetings::Greetings;
use super::pool::BufferPool;
use super::sockets::Token;
use crate::engine::{CloseReason, Peer, SessionId, ShardId};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// A place.
#[derive(Debug)]
struct TablePlace {
    /// Of the connection that is here, or of the next one.
    generation: u32,
    /// Boxed, so that a growing table moves little.
    connection: Option<Box<Connection>>,
}

/// All connections of a shard.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    shard: ShardId,
    places: Vec<TablePlace>,
    /// Empty places; the last is used next.
    free: Vec<u32>,
    /// Those that have something to send or to end, each once. A token may be of a connection that is gone.
    pub(crate) listed: Vec<Token>,
    /// Those whose session is welcome again. As above, but not each once.
    pub(crate) resumed: Vec<Token>,
    /// Those whose requests wait until jobs that were kept are there. As above.
    pub(crate) waiting: Vec<Token>,
    /// Those from which the kernel is to receive again. As above.
    pub(crate) unarmed: Vec<Token>,
    /// Those for which a page of a report can be fetched. As above.
    pub(crate) roomy: VecDeque<Token>,
    /// Those that are to be given up; the engine knows. As above.
    pub(crate) broken: Vec<Token>,
    /// Those whose TLS handshake is not over.
    pub(super) greetings: Greetings,
    /// What all connections are charged with.
    pub(super) owed: Owed,
    /// Those that hold much.
    pub(super) debtors: Debtors,
    /// Sends in flight.
    pub(crate) sends: usize,
    /// Buffers that no connection uses now.
    pub(crate) pool: BufferPool,
}

impl ConnectionTable {
    /// Without connections.
    pub(crate) fn new(shard: ShardId) -> ConnectionTable {
        ConnectionTable {
            shard,
            places: Vec::new(),
            free: Vec::new(),
            listed: Vec::new(),
            resumed: Vec::new(),
            waiting: Vec::new(),
            unarmed: Vec::new(),
            roomy: VecDeque::new(),
            broken: Vec::new(),
            greetings: Greetings::default(),
            owed: Owed::default(),
            debtors: Debtors::default(),
            sends: 0,
            pool: BufferPool::default(),
        }
    }

    /// Adds a connection; `None` if there is no place.
    pub(crate) fn insert(&mut self, socket: OwnedFd, peer: Peer) -> Option<&mut Connection> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok().filter(|&i| i <= SessionId::INDEX_MAX)?;
                self.places.push(TablePlace { generation: 1, connection: None });
                index
            }
        };
        let place = &mut self.places[index as usize];
        let token = Token { index, generation: place.generation };
        let session = SessionId::new(self.shard, index, place.generation);
        Some(place.connection.insert(Box::new(Connection::new(token, session, peer, socket))))
    }

    /// Removes a connection; dropping it closes its socket.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Box<Connection>> {
        let place = &mut self.places[token.index as usize];
        if place.generation != token.generation {
            return None;
        }
        let mut connection = place.connection.take()?;
        place.generation = place.generation.checked_add(1).unwrap_or(1);
        self.free.push(token.index);
        self.owed.here -= connection.charged.here;
        self.owed.all -= connection.charged.all;
        if let Some(seat) = connection.seat.take() {
            self.rise(seat);
        }
        Some(connection)
    }

    /// Charges a connection with what it holds now. To be called after whatever may have changed that.
    #[inline]
    pub(crate) fn charge(&mut self, token: Token) {
        let Some(connection) = self.get(token) else { return };
        let (before, now) = (connection.charged, connection.bytes_held());
        connection.charged = now;
        let moves = connection.seat.map_or(0, |seat| seat.class) != class_of(now.all);
        self.owed.here = self.owed.here - before.here + now.here;
        self.owed.all = self.owed.all - before.all + now.all;
        if moves {
            self.seat(token);
        }
    }

    /// Gives a connection its place among those that hold much, or takes it. To be called, too, when it is left unread or
    /// read again.
    #[cold]
    pub(super) fn seat(&mut self, token: Token) {
        let Some(connection) = self.get(token) else { return };
        let (class, unread) = (class_of(connection.charged.all), connection.debtor);
        if let Some(seat) = connection.seat.take() {
            self.rise(seat);
        }
        if class > 0 || unread {
            let seat = self.debtors.sit(token, class, unread);
            let connection = self.get(token).expect("just seen");
            connection.seat = Some(seat);
        }
    }

    fn rise(&mut self, seat: DebtorSeat) {
        let moved = self.debtors.rise(seat).and_then(|token| self.get(token));
        if let Some(connection) = moved {
            connection.seat = Some(seat);
        }
    }

    /// Connections from a place on, of so many places; and where to go on, if there are more.
    pub(super) fn some(&self, from: usize, places: usize) -> (Vec<Token>, Option<usize>) {
        let to = self.places.len().min(from + places);
        let some = self.places.get(from..to).unwrap_or_default();
        let tokens =
            some.iter().filter_map(|place| place.connection.as_ref().map(|connection| connection.token));
        (tokens.collect(), (to < self.places.len()).then_some(to))
    }

    /// The connection with this token, unless it is gone; only to look at.
    pub(crate) fn peek(&self, token: Token) -> Option<&Connection> {
        let place = self.places.get(token.index as usize)?;
        place.connection.as_deref().filter(|_| place.generation == token.generation)
    }

    /// The connection with this token, unless it is gone.
    #[inline]
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Connection> {
        let place = self.places.get_mut(token.index as usize)?;
        if place.generation != token.generation {
            return None;
        }
        place.connection.as_deref_mut()
    }

    /// The connection of this session, unless it is gone.
    #[inline]
    pub(crate) fn of(&mut self, session: SessionId) -> Option<(&mut Connection, &mut BufferPool)> {
        debug_assert_eq!(session.shard(), self.shard);
        let place = self.places.get_mut(session.index())?;
        if place.generation != session.generation() {
            return None;
        }
        Some((place.connection.as_deref_mut()?, &mut self.pool))
    }

    /// Notes that the peer of a connection hears nothing any more. What it sent before is carried out, as after a
    /// half-close: until it has ended, it is received from, and then the session ends.
    pub(crate) fn lose(&mut self, token: Token, reason: CloseReason) {
        let place = &mut self.places[token.index as usize];
        let Some(connection) = place.connection.as_deref_mut() else { return };
        if connection.token != token || connection.lost.is_some() {
            return;
        }
        connection.lose(reason, &mut self.pool);
        match connection.phase {
            Phase::Open | Phase::Finishing => {
                self.resumed.push(token);
                if std::mem::replace(&mut connection.wants_room, false) {
                    // What it asked for in vain must be over before what stands behind it.
                    self.roomy.push_back(token);
                }
                // Its send is stopped there.
                if !std::mem::replace(&mut connection.listed, true) {
                    self.listed.push(token);
                }
            }
            // What came of it has its turn, or its end follows.
            Phase::Greeting => {}
            Phase::Flushing | Phase::Lingering | Phase::Dying => self.broken.push(token),
        }
    }

    /// Whether there is nothing to do for any connection.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        let lists = [&self.listed, &self.resumed, &self.unarmed, &self.broken];
        lists.iter().all(|list| list.is_empty()) && self.roomy.is_empty() && !self.greetings.has_turns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_with_another_generation() {
        let mut table = ConnectionTable::new(ShardId(3));
        let socket = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let peer = Peer { descriptor: 7, address: std::net::Ipv4Addr::LOCALHOST.into(), port: 0 };
        let old = table.insert(socket(), peer).unwrap().token;
        assert!(table.remove(old).is_some());
        assert!(table.remove(old).is_none());
        let new = table.insert(socket(), peer).unwrap();
        assert_eq!(new.session, SessionId::new(ShardId(3), 0, 2));
        let new = new.token;
        assert!(table.get(old).is_none() && table.get(new).is_some());
    }
}
