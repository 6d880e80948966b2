//! One socket: what is known about it, and its life from accept to close. Bytes are read in `reader.rs`, all
//! connections of a shard are in `table.rs`.
use super::cover::Cover;
use super::debtors::DebtorSeat;
use super::outbound::Outbound;
use super::parcel::Parcel;
use super::pool::BufferPool;
use super::rest::Rest;
use super::sockets::{Sockets, Token};
use crate::access::Door;
use crate::engine::{CloseReason, Peer, SessionHolds, SessionId, ShardId, Subject};
use rustix::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How far a connection has come. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Its TLS handshake is not over, see `greeting.rs`: the engine does not know it.
    Greeting,
    /// Requests are welcome.
    Open,
    /// The engine was told that no more requests will come; it still answers those that did.
    Finishing,
    /// The engine has forgotten the session: what waits is sent, then the connection closed.
    Flushing,
    /// Everything is sent, and that we send no more. What the peer still sends is dropped, for a while, until it
    /// closes: closing first would reset the connection and might destroy what it has not read yet.
    Lingering,
    /// Given up, the engine knows: nothing is sent or read; the kernel lets go of the socket.
    Dying,
}

/// Whether the kernel receives from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// No.
    Not,
    /// Yes, again and again, into receive buffers.
    Armed,
    /// Once, into a receive buffer: the beginning of a packet that is expected to be large.
    Once,
    /// Into a large packet's own bytes, see `rest.rs`.
    Direct,
    /// Until it notices that it should not.
    Stopping,
}

/// Bytes that are charged to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Here: what was received and not used yet, and what was not sent.
    pub(crate) here: u64,
    /// With what the engine holds.
    pub(crate) all: u64,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its place, for orders.
    pub(crate) token: Token,
    /// Its name, for the engine. Says the same as `token`, and the shard.
    pub(crate) session: SessionId,
    /// Who is there, for the engine.
    pub(crate) peer: Peer,
    /// Who is there for certain. Complete when the engine hears of the session.
    pub(crate) subject: Subject,
    /// Where it came in.
    pub(crate) door: Door,
    socket: OwnedFd,
    pub(crate) phase: Phase,
    pub(crate) receiving: Receiving,
    /// Whether no more bytes will come.
    pub(crate) ended: bool,
    /// Why the peer hears nothing any more, if so: replies are dropped from then on. What it had sent before is carried
    /// out all the same; the session ends behind that.
    pub(crate) lost: Option<CloseReason>,
    /// Whether the engine wants no requests for now.
    pub(crate) paused: bool,
    /// Whether a page of a report is to be fetched as soon as less waits to be sent.
    pub(crate) wants_room: bool,
    /// Whether it is in the table's list of those that have something to send or to end.
    pub(crate) listed: bool,
    /// Whether it is among those that are watched for silence, see `liveness.rs`.
    pub(crate) watched: bool,
    /// Whether it stays on this shard for good.
    pub(crate) stays: bool,
    /// The shard to which it goes as soon as the kernel is done with it. Until then nothing is read from it.
    pub(crate) moving_to: Option<ShardId>,
    /// What the engine holds for it.
    pub(crate) held: SessionHolds,
    /// What it was last charged with. Kept by the table.
    pub(super) charged: Owed,
    /// Whether it is left unread because it holds more than others do. Kept by the ledger.
    pub(crate) debtor: bool,
    /// Its place among those that hold much. Kept by the table.
    pub(super) seat: Option<DebtorSeat>,
    pub(crate) rest: Rest,
    /// How many times more to receive once only, because a large packet came lately.
    pub(crate) expects_large: u8,
    /// What arrived of it and was not read: buffers that are kept, see `rations.rs`.
    pub(crate) kept: u32,
    /// The last round in which something arrived, and how many bytes that were.
    pub(crate) round: u32,
    pub(crate) taken: usize,
    pub(crate) outbound: Outbound,
    /// Its TLS, if it has any.
    pub(crate) cover: Option<Box<Cover>>,
}

impl Connection {
    /// Bytes that a paused session may hold before its socket is left unread.
    const HELD_MAX: usize = 64 * 1024;

    /// Buffers of it that may wait to be read before its socket is left alone.
    const KEPT_MAX: u32 = 8;

    /// A connection that was just accepted.
    pub(crate) fn new(token: Token, session: SessionId, peer: Peer, socket: OwnedFd) -> Connection {
        Connection {
            token,
            session,
            peer,
            subject: Subject::at(peer.address),
            door: Door::Jobs,
            socket,
            phase: Phase::Open,
            receiving: Receiving::Not,
            ended: false,
            lost: None,
            paused: false,
            wants_room: false,
            listed: false,
            watched: false,
            stays: false,
            moving_to: None,
            held: SessionHolds::default(),
            charged: Owed::default(),
            debtor: false,
            seat: None,
            rest: Rest::default(),
            expects_large: 0,
            kept: 0,
            round: 0,
            taken: 0,
            outbound: Outbound::default(),
            cover: None,
        }
    }

    /// The socket.
    #[inline]
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Bytes that wait here for the peer to read them.
    #[inline]
    pub(crate) fn unsent(&self) -> usize {
        self.outbound.unsent() + self.cover.as_ref().map_or(0, |cover| cover.unsealed())
    }

    /// Bytes that wait for the peer to read them, here and in the engine.
    #[inline]
    pub(crate) fn unread(&self) -> usize {
        self.unsent() + self.held.unread
    }

    /// What the connection is to be charged with: nothing once it is given up, and what it holds is about to go.
    #[inline]
    pub(crate) fn bytes_held(&self) -> Owed {
        if self.lost.is_some() {
            return Owed::default();
        }
        let cover = self.cover.as_ref().map_or(0, |cover| cover.held());
        let here = (self.rest.held() + self.unsent() + cover) as u64;
        Owed { here, all: here + (self.held.unread + self.held.other) as u64 }
    }

    /// Whether it is charged with so much that closing it makes room.
    pub(super) fn holds_much(&self) -> bool {
        self.seat.is_some_and(|seat| seat.class > 0)
    }

    /// Whether requests may be read from it and given to the engine.
    #[inline]
    pub(crate) fn takes_requests(&self) -> bool {
        self.phase == Phase::Open && !self.paused && self.moving_to.is_none()
    }

    /// Whether replies are of any use.
    #[inline]
    pub(crate) fn hears(&self) -> bool {
        self.phase <= Phase::Flushing && self.lost.is_none()
    }

    /// Notes that the peer hears nothing any more; what waits for it goes. What is in flight is to be stopped, and what
    /// was received is to be carried out: see [`super::table::ConnectionTable::lose`].
    pub(crate) fn lose(&mut self, reason: CloseReason, pool: &mut BufferPool) {
        self.lost.get_or_insert(reason);
        pool.give(self.outbound.take_waiting().into_buffer());
        if let Some(cover) = &mut self.cover {
            cover.forget();
        }
    }

    /// Whether the kernel should receive from it. Not only for requests: also what is dropped must be received, or
    /// the end behind it is never seen.
    #[inline]
    pub(crate) fn wants_bytes(&self) -> bool {
        let full = self.paused && self.rest.len() > Self::HELD_MAX;
        !self.ended
            && !full
            && !self.debtor
            && (self.phase != Phase::Greeting || self.awaits_greeting())
            && self.kept < Self::KEPT_MAX
            && self.phase != Phase::Dying
            && self.moving_to.is_none()
    }

    /// Whether the next bytes of its handshake are welcome: it has a place, and none wait for their turn.
    fn awaits_greeting(&self) -> bool {
        self.cover.as_ref().is_some_and(|cover| cover.arrived.is_empty())
    }

    /// Whether a large packet is received into its own bytes from now on. Never with TLS: those are others.
    #[inline]
    pub(crate) fn wants_direct(&self) -> bool {
        self.cover.is_none() && self.rest.wants_direct()
    }

    /// Has the kernel receive what is to come next. True if that is part of a large packet, and goes into it directly.
    #[inline]
    pub(crate) fn receive(&mut self, sockets: &mut Sockets) -> bool {
        if self.cover.is_some() {
            if self.phase == Phase::Greeting {
                // No more than a buffer is taken before that was looked at.
                self.receiving = Receiving::Once;
                sockets.receive_once(self.token, self.socket.as_fd());
            } else {
                self.receiving = Receiving::Armed;
                sockets.receive(self.token, self.socket.as_fd());
            }
            return false;
        }
        if let Some((bytes, missing)) = self.rest.lend() {
            self.receiving = Receiving::Direct;
            sockets.receive_direct(self.token, self.socket.as_fd(), bytes, missing);
            return true;
        }
        if let Some(left) = self.expects_large.checked_sub(1) {
            self.expects_large = left;
            self.receiving = Receiving::Once;
            sockets.receive_once(self.token, self.socket.as_fd());
        } else {
            self.receiving = Receiving::Armed;
            sockets.receive(self.token, self.socket.as_fd());
        }
        false
    }

    /// Has the kernel stop receiving, if it does.
    pub(crate) fn stop_receiving(&mut self, sockets: &mut Sockets) {
        match self.receiving {
            Receiving::Armed | Receiving::Once => sockets.stop_receiving(self.token),
            Receiving::Direct => sockets.stop_direct(self.token),
            Receiving::Not | Receiving::Stopping => return,
        }
        self.receiving = Receiving::Stopping;
    }

    /// Whether the kernel uses the socket or its bytes: if not, the socket can be closed.
    pub(crate) fn is_in_kernel(&self) -> bool {
        self.receiving != Receiving::Not || self.outbound.is_sending()
    }

    /// The socket, replies that were not sent, and its TLS with those that were not sealed. No send is in flight.
    pub(crate) fn into_parts(mut self) -> (OwnedFd, Parcel, Option<Box<Cover>>) {
        let unsent = self.outbound.take_waiting();
        (self.socket, unsent, self.cover)
    }

    /// Tells the peer that we send no more.
    pub(crate) fn shut_writing(&self) {
        // It fails only when the connection is gone already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Ends the connection, whatever is under way. What has arrived can still be received, and then the end.
    pub(crate) fn shut(&self) {
        // As above.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    /// Has closing reset the connection and drop what is unsent, so that a peer that does not read costs the
    /// kernel no memory either.
    pub(crate) fn forget_unsent(&self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(std::time::Duration::ZERO));
    }
}
