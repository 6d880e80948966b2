//! From received bytes to the engine. A packet that is whole in the receive buffer is decoded there; only an
//! incomplete rest is copied, into a buffer that grows with what arrives.
use super::connection::{Connection, Phase};
use super::pump::Pump;
use super::rest::{Packet, Rest};
use super::sockets::Token;
use super::table::ConnectionTable;
use super::tell;
use crate::engine::{CloseReason, Event, Input, Reply, Right, SessionId};
use crate::frontend::{Concern, Decoded, Incoming};
use crate::logging;
use crate::memory::Large;
use crate::protocol::Refusal;
use crate::store::ServerShown;
use bytes::Bytes;

/// After a large packet, so many receives are for the beginning of the next one only.
const EXPECT_LARGE: u8 = 16;

/// How far decoding came.
struct DecodeProgress {
    /// Bytes used.
    used: usize,
    /// How many of the others there must be before it makes sense to look at them again.
    needed: usize,
    /// Whether it stopped because the round has had enough.
    stopped: bool,
}

impl Pump {
    /// Takes bytes that arrived on a connection.
    pub(crate) fn read(&mut self, table: &mut ConnectionTable, token: Token, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(connection) = table.get(token) else { return };
            if connection.cover.is_some() {
                return self.read_covered(table, token, bytes);
            }
            if connection.phase != Phase::Open {
                return;
            }
            if let Packet::Coming { .. } = connection.rest.packet {
                bytes = connection.rest.fill(bytes);
                self.read_packet(table, token);
                continue;
            }
            // A whole packet waits for `resume`, and what comes behind it waits, too.
            let waits = matches!(connection.rest.packet, Packet::Whole(_));
            if waits || connection.paused || connection.moving_to.is_some() {
                keep(table, token, bytes, 0);
                return;
            }
            if connection.rest.is_empty() {
                let session = connection.session;
                let progress = self.decode(table, session, bytes, None);
                keep(table, token, &bytes[progress.used..], progress.needed);
                if progress.stopped {
                    table.resumed.push(token);
                }
                return;
            }
            // A packet gets just what it lacks, so that those behind it are decoded in place. Of a line one
            // cannot know.
            let missing = connection.rest.needed.saturating_sub(connection.rest.len());
            let taken = if missing > 1 { missing.min(bytes.len()) } else { bytes.len() };
            connection.rest.add(&bytes[..taken]);
            bytes = &bytes[taken..];
            if taken >= missing {
                self.read_rest(table, token);
            }
        }
    }

    /// Goes on with a session whose requests are welcome again.
    pub(crate) fn resume(&mut self, table: &mut ConnectionTable, token: Token) {
        let Some(connection) = table.get(token) else { return };
        if connection.phase == Phase::Finishing
            && let Some(reason) = connection.lost
        {
            return self.part(table, token, reason);
        }
        if !connection.takes_requests() {
            return;
        }
        self.read_packet(table, token);
        if let Some(connection) = table.get(token)
            && connection.takes_requests()
            && matches!(connection.rest.packet, Packet::None)
            && !connection.rest.is_empty()
            && self.read_rest(table, token)
        {
            return;
        }
        let Some(connection) = table.get(token) else { return };
        if connection.takes_requests() && connection.ended && connection.kept == 0 {
            match connection.lost {
                None => self.finish(table, token, CloseReason::Peer),
                Some(reason) => self.part(table, token, reason),
            }
        }
        table.unarmed.push(token);
    }

    /// Ends a session to which nothing more can be said, after all that it has sent.
    #[cold]
    fn part(&mut self, table: &mut ConnectionTable, token: Token, reason: CloseReason) {
        let Some(connection) = table.get(token) else { return };
        connection.phase = Phase::Dying;
        let session = connection.session;
        table.broken.push(token);
        self.feed(table, Input::Closed(session, reason));
    }

    /// Takes back a large packet of which the kernel has received more.
    pub(crate) fn take_back(&mut self, table: &mut ConnectionTable, token: Token, bytes: Large) {
        let Some(connection) = table.get(token) else { return };
        if connection.phase == Phase::Open {
            connection.rest.take_back(bytes);
            self.read_packet(table, token);
        }
    }

    /// Gives the engine a large packet if it is whole and welcome.
    fn read_packet(&mut self, table: &mut ConnectionTable, token: Token) {
        let Some(connection) = table.get(token) else { return };
        if !connection.takes_requests() || !matches!(connection.rest.packet, Packet::Whole(_)) {
            return;
        }
        let session = connection.session;
        let Packet::Whole(packet) = std::mem::take(&mut connection.rest.packet) else { return };
        let progress = self.decode(table, session, &packet, Some(&packet));
        if progress.used == 0
            && let Some(connection) = table.get(token)
            && connection.phase == Phase::Open
        {
            connection.rest.packet = Packet::Whole(packet);
        }
    }

    /// Notes that no more bytes will come.
    pub(crate) fn end(&self, table: &mut ConnectionTable, token: Token) {
        let Some(connection) = table.get(token) else { return };
        connection.ended = true;
        match connection.phase {
            // Bytes that wait for their turn come first: see `greeting.rs`.
            Phase::Greeting if connection.cover.as_ref().is_some_and(|cover| !cover.arrived.is_empty()) => {}
            // Requests that wait come first: see `resume`.
            Phase::Open => table.resumed.push(token),
            Phase::Greeting | Phase::Lingering => table.broken.push(token),
            Phase::Finishing | Phase::Flushing | Phase::Dying => {}
        }
    }

    fn finish(&mut self, table: &mut ConnectionTable, token: Token, reason: CloseReason) {
        let Some(connection) = table.get(token) else { return };
        connection.phase = Phase::Finishing;
        let session = connection.session;
        let rest = std::mem::take(&mut connection.rest);
        table.pool.give(rest.bytes);
        self.feed(table, Input::Finish(session, reason));
    }

    /// Decodes what an earlier arrival left. True if it stopped because the round has had enough: it goes on in the next.
    fn read_rest(&mut self, table: &mut ConnectionTable, token: Token) -> bool {
        let Some(connection) = table.get(token) else { return false };
        let session = connection.session;
        let mut rest = std::mem::take(&mut connection.rest);
        let progress = self.decode(table, session, &rest.bytes[rest.start..], None);
        rest.start += progress.used;
        rest.needed = progress.needed;
        if rest.needed >= Rest::LARGE {
            expect_large(table, token, rest.needed, &rest.bytes[rest.start..]);
            table.pool.give(rest.bytes);
            return false;
        }
        match table.get(token) {
            Some(connection) if connection.phase == Phase::Open && !rest.is_empty() => connection.rest = rest,
            _ => table.pool.give(rest.bytes),
        }
        if progress.stopped {
            table.resumed.push(token);
        }
        progress.stopped
    }

    /// Gives the engine one packet after the other, as long as it wants them and they are whole. `packet` is a large
    /// one, of which the bytes are all.
    #[inline]
    fn decode(
        &mut self,
        table: &mut ConnectionTable,
        session: SessionId,
        bytes: &[u8],
        packet: Option<&Bytes>,
    ) -> DecodeProgress {
        let mut used = 0;
        while used < bytes.len() {
            if packet.is_none() && !self.has_room() {
                return DecodeProgress { used, needed: 0, stopped: true };
            }
            match self.frontend.decode(&bytes[used..]) {
                Decoded::Incomplete { needed } => return DecodeProgress { used, needed, stopped: false },
                Decoded::One { item, consumed } => {
                    let Some((connection, _)) = table.of(session) else { break };
                    let token = connection.token;
                    if self.restoring && item.concern() != Concern::Connection {
                        connection.paused = true;
                        table.waiting.push(token);
                        break;
                    }
                    if !connection.stays && self.migration_policy.moves(connection, &item) {
                        table.unarmed.push(token);
                        break;
                    }
                    if item.begins_a_wait() {
                        connection.outbound.expect();
                    }
                    self.shared.traffic(self.id).requested(&bytes[used..]);
                    if let Some(refusal) = item.refusal() {
                        let (compat, packet) = (self.frontend.compat, &bytes[used..]);
                        tell::refused_packet(&self.engine, connection, refusal, compat, packet);
                    }
                    used += consumed;
                    if item.reads_counters() {
                        self.count_lost_lines(table);
                    }
                    let input = self.input(session, item, packet);
                    self.feed(table, input);
                }
                Decoded::TooLarge => {
                    if let Some((connection, _)) = table.of(session) {
                        let (compat, packet) = (self.frontend.compat, &bytes[used..]);
                        tell::refused_packet(
                            &self.engine,
                            connection,
                            Refusal::PacketTooLarge,
                            compat,
                            packet,
                        );
                    }
                    self.feed(table, Input::Count(Event::PacketTooLarge));
                    self.feed(table, Input::Answer(session, Reply::Error(Refusal::PacketTooLarge)));
                    self.refuse(table, session);
                }
                Decoded::Malformed(wrong) => {
                    if let Some((connection, _)) = table.of(session) {
                        tell::malformed(&self.engine, connection, &wrong);
                    }
                    self.refuse(table, session);
                }
            }
            if !table.of(session).is_some_and(|(connection, _)| connection.takes_requests()) {
                break;
            }
        }
        DecodeProgress { used, needed: 0, stopped: false }
    }

    #[inline]
    fn input<'a>(&self, session: SessionId, item: Incoming<'a>, packet: Option<&'a Bytes>) -> Input<'a> {
        match item {
            Incoming::Request(request) => match packet {
                None => Input::Request(session, request),
                Some(packet) => Input::Large(session, request, packet),
            },
            Incoming::Ask(ask) => Input::Ask(session, ask),
            Incoming::Answer(reply) => Input::Answer(session, reply),
            Incoming::Servers => Input::AnswerIf(session, Right::Read, self.servers()),
            Incoming::Acl { list } => self.acl(session, list),
        }
    }

    /// What `geard` answers to `acl` and a word. Changing the list has no working users there either.
    #[cold]
    fn acl(&self, session: SessionId, list: bool) -> Input<'static> {
        let text = |text: &'static str| Reply::Text(Bytes::from_static(text.as_bytes()));
        match self.access.told() {
            None => Input::Answer(session, text("ERR ACL_DISABLED\n")),
            Some(_) if !list => Input::Answer(session, text("ERR UNKNOWN_ACL_VERB\n")),
            Some(told) => Input::AnswerIf(session, Right::Read, Reply::Text(told.into())),
        }
    }

    /// Who shares the store, a line each, as for other reports of the text protocol.
    #[cold]
    fn servers(&self) -> Reply {
        let servers = self.commit.as_ref().map(|commit| commit.desk().servers()).unwrap_or_default();
        let mut text = String::new();
        for server in servers.iter() {
            let ServerShown { name, id, own, state, seconds, jobs, bytes, version } = server;
            let who = if *own { "this" } else { "other" };
            let name = name.replace(char::is_control, "_");
            text += &format!("{name}\t{id}\t{who}\t{state}\t{seconds}\t{jobs}\t{bytes}\t{version}\n");
        }
        text += ".\n";
        Reply::Text(text.into())
    }

    /// Lines of the log that were never written are counted for the first who asks.
    #[cold]
    fn count_lost_lines(&mut self, table: &mut ConnectionTable) {
        let (dropped, withheld) = logging::take_lost();
        self.feed(table, Input::Count(Event::LogLinesDropped(dropped)));
        self.feed(table, Input::Count(Event::LogLinesWithheld(withheld)));
    }

    #[cold]
    fn refuse(&mut self, table: &mut ConnectionTable, session: SessionId) {
        if let Some((connection, _)) = table.of(session) {
            let token = connection.token;
            self.finish(table, token, CloseReason::Malformed);
        }
    }
}

/// Keeps bytes that cannot be used yet.
fn keep(table: &mut ConnectionTable, token: Token, bytes: &[u8], needed: usize) {
    if bytes.is_empty() {
        return;
    }
    if needed >= Rest::LARGE {
        expect_large(table, token, needed, bytes);
        return;
    }
    let mut fresh = None;
    if table.get(token).is_some_and(|connection| connection.rest.bytes.capacity() == 0) {
        fresh = Some(table.pool.take());
    }
    if let Some(Connection { phase: Phase::Open, rest, .. }) = table.get(token) {
        if let Some(bytes) = fresh {
            // A large packet may stand before them.
            (rest.bytes, rest.start) = (bytes, 0);
        }
        rest.add(bytes);
        rest.needed = needed;
    }
}

/// A large packet has begun: it gets an allocation of its own, into which the rest of it is received.
#[cold]
fn expect_large(table: &mut ConnectionTable, token: Token, length: usize, beginning: &[u8]) {
    if let Some(connection) = table.get(token)
        && connection.phase == Phase::Open
    {
        connection.rest = Rest::of_packet(length, beginning);
        connection.expects_large = EXPECT_LARGE;
        table.unarmed.push(token);
    }
}
