//! Feeds the engine and carries out what it wants. Everything that happens to the engine of a shard goes through
//! [`Pump::feed`], one thing at a time, and is done when that returns. Never waits.
use super::commit::Commit;
use super::connection::Phase;
use super::migrate::MigrationPolicy;
use super::table::ConnectionTable;
use super::tell;
use crate::access::AccessBook;
use crate::engine::{
    CloseReason, Engine, HandlePrefix, Input, Instant, Now, Output, Reply, SessionHolds, SessionId, ShardId,
    Urgency,
};
use crate::frontend::SharedPort;
use crate::logging::{self, Level};
use crate::mesh::shared::Shared;
use std::sync::Arc;

/// What the engine finds so wrong that there is no answer.
const HOPELESS: &str = "the peer sent a number, handle or unique that cannot be one \
                        (in CAN_DO_TIMEOUT, SUBMIT_JOB_EPOCH, GET_STATUS or GET_STATUS_UNIQUE)";

/// A page of a report is fetched while less than this waits to be sent to whoever asked for it.
pub(crate) const ROOM: usize = 32 << 10;

/// Pages of reports that are fetched in one round.
const PAGES_PER_ROUND: usize = 4;

/// The engine of a shard, and what it needs of the world.
pub(crate) struct Pump {
    pub(crate) engine: Engine,
    pub(crate) frontend: SharedPort,
    /// The time of this round.
    pub(crate) now: Now,
    /// What handles begin with, for the log.
    pub(crate) handle_prefix: HandlePrefix,
    /// See [`super::options::ShardOptions::unread_max`].
    pub(crate) unread_max: usize,
    /// The way to the store, if there is one.
    pub(crate) commit: Option<Commit>,
    /// Whether jobs that were kept are still being read: requests that concern jobs wait until that is done.
    pub(crate) restoring: bool,
    /// Whether requests wait no longer although not all of them are read, since the store cannot be reached.
    pub(crate) store_away: bool,
    /// Until when the engine was told that it may give out stored jobs.
    pub(crate) lease: Option<Instant>,
    /// So often this server was taken over, once the engine has forgotten everything.
    pub(crate) forgets: Option<u64>,
    /// Whether stored jobs are being left to others, and what stays is to be said once that is done.
    pub(crate) hands_over: bool,
    /// Whether more numbers are on their way.
    pub(crate) asked_for_numbers: bool,
    /// Inputs of this round so far, and after how many nothing more is read.
    pub(crate) fed: u32,
    pub(crate) fed_max: u32,
    /// Who may do what.
    pub(crate) access: Arc<AccessBook>,
    /// Whether sessions that were not told may do nothing.
    pub(crate) rights_wanted: bool,
    /// Where what came by TLS is opened; nothing of it is needed afterwards.
    pub(crate) scratch: Vec<u8>,
    /// Where what is read is counted.
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: ShardId,
    /// Which connections move to other shards.
    pub(crate) migration_policy: MigrationPolicy,
}

impl Pump {
    /// Tells the engine that something happened and does what it wants done.
    ///
    /// The outputs of one input are carried out before the next input, in the order in which they were made: replies of a
    /// session leave in that order, a pause holds before the next of its requests, and a job that is to be stored is still the
    /// one that it was.
    #[inline]
    pub(crate) fn feed(&mut self, table: &mut ConnectionTable, input: Input<'_>) {
        self.fed += 1;
        self.engine.handle(self.now, input);
        self.drain(table);
        // Behind the outputs, which have just added to what waits for the store: the next submission is to know.
        if let Some(full) = self.commit.as_mut().and_then(Commit::fullness) {
            self.engine.handle(self.now, Input::StoreFull(full));
            self.drain(table);
        }
    }

    /// Whether the round has room for more requests.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.fed < self.fed_max
    }

    /// Whether no more should be read from sockets for now: too much waits for other shards. Whatever waits for the
    /// store holds up nobody else.
    #[inline]
    pub(crate) fn congested(&self) -> bool {
        self.engine.congested()
    }

    #[inline]
    fn drain(&mut self, table: &mut ConnectionTable) {
        while let Some((output, jobs)) = self.engine.output() {
            match output {
                Output::Reply(session, reply) => self.reply(table, session, &reply),
                Output::Pause(session) => {
                    if let Some((connection, _)) = table.of(session) {
                        connection.paused = true;
                    }
                }
                Output::Resume(session) => {
                    if let Some((connection, _)) = table.of(session) {
                        connection.paused = false;
                        let token = connection.token;
                        table.resumed.push(token);
                    }
                }
                Output::Holds(session, held) => self.holds(table, session, held),
                Output::WantsRoom(session) => {
                    if let Some((connection, _)) = table.of(session) {
                        let token = connection.token;
                        table.roomy.push_back(token);
                    }
                }
                Output::Close(session) => {
                    if let Some((connection, _)) = table.of(session)
                        && connection.phase < Phase::Flushing
                    {
                        if connection.phase == Phase::Open {
                            // The engine's own decision: a request so wrong that it has no answer.
                            tell::malformed(&self.engine, connection, &HOPELESS);
                        }
                        // Behind the line of the log, which asks for the phase before.
                        connection.phase = Phase::Flushing;
                        connection.paused = false;
                        if connection.lost.is_some() {
                            let token = connection.token;
                            table.broken.push(token);
                        } else if !std::mem::replace(&mut connection.listed, true) {
                            let token = connection.token;
                            table.listed.push(token);
                        }
                    }
                }
                Output::Dismiss(session) => {
                    if let Some((connection, _)) = table.of(session) {
                        let token = connection.token;
                        tell::dismissed(&self.engine, connection);
                        // What it has sent is carried out, and no more is read.
                        connection.ended = true;
                        connection.forget_unsent();
                        table.lose(token, CloseReason::Dismissed);
                    }
                }
                Output::Store(op) => {
                    let commit = self.commit.as_mut().expect("the policy says whether there is a store");
                    commit.add(op, jobs, self.now.instant);
                }
                Output::Note(note) => {
                    logging::note(&note, &self.handle_prefix, &mut |session| match table.of(session) {
                        Some((connection, _)) => tell::subject(&self.engine, connection),
                        None => "somebody who is gone".to_owned(),
                    })
                }
            }
        }
    }

    #[inline]
    fn reply(&mut self, table: &mut ConnectionTable, session: SessionId, reply: &Reply) {
        let Some((connection, pool)) = table.of(session) else { return };
        if !connection.hears() {
            return;
        }
        // Before the reply is written: one reply alone may be longer than the bound.
        if connection.unread() > self.unread_max {
            return self.give_up_slow(table, session);
        }
        let out = connection.outbound.waiting();
        if out.capacity() == 0 {
            *out = pool.take();
        }
        // The payload right behind what was written for it.
        if let Some(payload) = self.frontend.encode(reply, out) {
            connection.outbound.share(payload);
        }
        if let Some(refusal) = reply.refusal() {
            tell::refused(&self.engine, connection, refusal, self.frontend.compat);
        }
        // Before the next reply asks whether others are waited for; for this one the two could be swapped.
        if reply.ends_a_wait() {
            connection.outbound.expect_no_more();
        }
        let urgent = match reply.urgency() {
            Urgency::Now => true,
            Urgency::WithoutOthers => !connection.outbound.expects_several(),
            Urgency::Later => false,
        };
        connection.outbound.wrote(self.now.instant, urgent);
        if !connection.listed {
            connection.listed = true;
            let token = connection.token;
            table.listed.push(token);
        }
    }

    /// The engine holds so much for a session now. With too much unread, one reply more is too many, also where it waits
    /// for earlier ones.
    #[cold]
    fn holds(&mut self, table: &mut ConnectionTable, session: SessionId, held: SessionHolds) {
        let Some((connection, _)) = table.of(session) else { return };
        let too_many = connection.unread() > self.unread_max && held.unread > connection.held.unread;
        connection.held = held;
        let token = connection.token;
        if too_many && connection.phase < Phase::Flushing && connection.hears() {
            self.give_up_slow(table, session);
        }
        table.charge(token);
    }

    /// Has pages of reports fetched for those who read: so many that sockets are not kept waiting. Where much waits to be
    /// sent, the next page waits until it was.
    #[cold]
    pub(crate) fn give_room(&mut self, table: &mut ConnectionTable) {
        for _ in 0..PAGES_PER_ROUND {
            if self.engine.congested() {
                return;
            }
            let Some(token) = table.roomy.pop_front() else { return };
            let Some(connection) = table.get(token) else { continue };
            if connection.unsent() >= ROOM && connection.lost.is_none() {
                connection.wants_room = true;
                continue;
            }
            let session = connection.session;
            self.feed(table, Input::Room(session));
        }
    }

    /// From now on replies are dropped and nothing more is read; what was received is carried out.
    #[cold]
    fn give_up_slow(&self, table: &mut ConnectionTable, session: SessionId) {
        let Some((connection, _)) = table.of(session) else { return };
        let (peer, unsent) = (tell::who(&self.engine, connection), connection.unread());
        crate::log_at!(
            Level::Warning,
            "closing connection of {peer}: it does not read, {unsent} bytes wait for it"
        );
        connection.ended = true;
        connection.forget_unsent();
        let token = connection.token;
        table.lose(token, CloseReason::SlowReader);
    }
}
