//! Connections move to where their functions live: a job is cheapest when client, worker and function share a shard.
//!
//! A connection moves at most once, before the first request that concerns a function: then nothing that another
//! shard knows must be told. It stays if the owner of that function has more than its share of connections already,
//! so one hot function does not draw all work to one core. Moving is: stop receiving, wait for the kernel, hand the
//! socket and the bytes that were not used yet to the other shard, which goes on where this one stopped. With TLS, what it takes to go
//! on with that goes along, and its handshake is over: before it there is no request.
use super::connection::Connection;
use super::cover::Cover;
use super::parcel::Parcel;
use super::rest::Rest;
use crate::access::Door;
use crate::engine::{CloseReason, Introduction, Peer, ShardId, Subject, Topology};
use crate::frontend::{Concern, Incoming};
use crate::mesh::shared::Shared;
use crossbeam_queue::ArrayQueue;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A connection on its way to another shard.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
    pub(super) subject: Subject,
    pub(super) door: Door,
    pub(super) introduction: Introduction,
    /// Bytes that arrived and were not used, the request that made it move the first of them.
    pub(super) unread: Rest,
    /// Replies that were not sent.
    pub(super) unsent: Parcel,
    /// Its TLS, with bytes that came of a record which is not whole, and replies that were not sealed.
    pub(super) cover: Option<Box<Cover>>,
    /// See [`Connection::ended`] and [`Connection::lost`].
    pub(super) ended: bool,
    pub(super) lost: Option<CloseReason>,
}

/// Connections that may be on their way to one shard; one more stays where it is.
const MOVING_MAX: usize = 256;

/// Connections on their way, a queue for each shard, from whomever. Between all shards of a server, like the mesh, which
/// carries values only.
#[derive(Debug)]
pub(crate) struct Migrations {
    queues: Vec<ArrayQueue<Migration>>,
}

impl Migrations {
    /// For the shards of a topology.
    pub(crate) fn new(topology: Topology) -> Migrations {
        Migrations { queues: topology.owners().map(|_| ArrayQueue::new(MOVING_MAX)).collect() }
    }

    /// Sends a connection to a shard, which is to be woken then ([`Mesh::nudge`]); it comes back if too many are on their
    /// way.
    ///
    /// [`Mesh::nudge`]: crate::mesh::Mesh::nudge
    // It is given back as it came, and that is rare.
    #[allow(clippy::result_large_err)]
    pub(super) fn send(&self, to: ShardId, migration: Migration) -> Result<(), Migration> {
        self.queues[to.index()].push(migration)
    }

    /// The next connection that comes to a shard.
    #[inline]
    pub(super) fn receive(&self, to: ShardId) -> Option<Migration> {
        self.queues[to.index()].pop()
    }

    /// Whether a connection waits for a shard.
    #[inline]
    pub(super) fn any_for(&self, shard: ShardId) -> bool {
        !self.queues[shard.index()].is_empty()
    }

    /// Connections that are on their way anywhere.
    pub(crate) fn waiting(&self) -> usize {
        self.queues.iter().map(ArrayQueue::len).sum()
    }
}

/// Says which connections move, and where to.
#[derive(Debug)]
pub(crate) struct MigrationPolicy {
    here: ShardId,
    topology: Topology,
    shared: Arc<Shared>,
    /// See [`super::options::ShardOptions::settle`].
    percent: u32,
}

impl MigrationPolicy {
    pub(crate) fn new(
        here: ShardId,
        topology: Topology,
        shared: Arc<Shared>,
        percent: u32,
    ) -> MigrationPolicy {
        MigrationPolicy { here, topology, shared, percent }
    }

    /// Whether a connection that may still move does so before this request. `true` also counts it as moved; the
    /// connection then knows where to.
    #[cold]
    pub(crate) fn moves(&self, connection: &mut Connection, item: &Incoming<'_>) -> bool {
        let slot = match item.concern() {
            Concern::Connection => return false,
            Concern::Function(slot) if self.percent > 0 => slot,
            Concern::Function(_) | Concern::Everything => {
                connection.stays = true;
                return false;
            }
        };
        connection.stays = true;
        let owner = self.topology.owner(slot);
        if owner == self.here || !self.shared.move_over(self.here, owner, self.percent.into()) {
            return false;
        }
        connection.moving_to = Some(owner);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::frontend::Decoded;
    use crate::shard::sockets::Token;
    use std::net::Ipv4Addr;

    /// Where a connection of shard 0 of 3 goes after these packets or lines, and whether it stays where it is then.
    fn goes(percent: u32, requests: &[&[u8]]) -> (Option<ShardId>, bool) {
        let topology = Topology::new(3);
        let shared = Arc::new(Shared::new(topology, 1).unwrap());
        let policy = MigrationPolicy::new(ShardId(0), topology, shared, percent);
        let socket = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let peer = Peer { descriptor: 7, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        let session = crate::engine::SessionId::new(ShardId(0), 1, 1);
        let mut connection = Connection::new(Token { index: 1, generation: 1 }, session, peer, socket);
        let frontend = crate::frontend::SharedPort::for_tests();
        for request in requests {
            let Decoded::One { item, .. } = frontend.decode(request) else { panic!("{request:?}") };
            if connection.stays || policy.moves(&mut connection, &item) {
                break;
            }
        }
        (connection.moving_to, connection.stays)
    }

    const CAN_DO: &[u8] = b"\0REQ\0\0\0\x01\0\0\0\x03rev";
    const SUBMIT: &[u8] = b"\0REQ\0\0\0\x07\0\0\0\x05rev\0\0";
    const CLIENT_ID: &[u8] = b"\0REQ\0\0\0\x16\0\0\0\x02me";
    const GRAB: &[u8] = b"\0REQ\0\0\0\x09\0\0\0\0";

    #[test]
    fn the_first_request_that_concerns_a_function_decides() {
        let owner = Topology::new(3).owner(Slot::of(b"rev"));
        assert_ne!(owner, ShardId(0), "choose another name");
        assert_eq!(goes(150, &[CLIENT_ID, CAN_DO]), (Some(owner), true));
        assert_eq!(goes(150, &[SUBMIT]), (Some(owner), true));
        assert_eq!(goes(150, &[CLIENT_ID]), (None, false));
        assert_eq!(goes(150, &[GRAB, CAN_DO]), (None, true));
        assert_eq!(goes(150, &[b"status\n", CAN_DO]), (None, true));
        assert_eq!(goes(0, &[CAN_DO]), (None, true));
    }
}
