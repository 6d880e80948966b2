//! One round of a shard: everything that is ready is done, then everything that came of it is sent. See `mod.rs` for
//! what happens between rounds.
use super::commit::Commit;
use super::connection::{Phase, Receiving};
use super::error::ShardError;
use super::rations::Rations;
use super::{Shard, clock};
use crate::engine::Input;

/// Batches taken from all other shards in one round.
const BATCHES_PER_ROUND: usize = 8;
/// Bytes that are sealed in one round, to within a send: a millisecond or two.
const SEALED_PER_ROUND: usize = 2 << 20;
/// Receives into large packets that are ordered in one round.
const DIRECT_AT_ONCE: usize = 8;

impl Shard {
    /// Does what is ready. False if there was nothing.
    ///
    /// In three parts: what came is given to the engine; what came of that leaves; what is over is closed, and the kernel
    /// asked for more. The parts are in this order so that all that a round leads to leaves in one piece for each shard, the
    /// store and each socket. Steps of which no comment says that they are behind or before another could be swapped.
    pub(super) fn round(&mut self) -> Result<bool, ShardError> {
        // First: the orders of the last round leave, and every completion of this one comes from here.
        self.sockets.enter()?;
        // Behind the kernel, which may have taken a while; before any input: a round happens at one time.
        self.pump.now = clock::now();
        // Before the completions: these two begin to count what the round may read and let in, and whoever had no room in
        // the last one goes before those who come now.
        self.begin();
        // Before whatever asks for jobs: one that this server must not give out any more is not given out.
        self.hear_lease();
        let mut busy = self.let_in_who_waits();
        while let Some(completion) = self.sockets.next() {
            busy = true;
            self.complete(completion);
        }
        // Behind the completions, which bring bytes of handshakes; before the messages, which answer nobody who is not let in.
        self.shake_hands();
        // Never left out, however much sockets have brought: neighbours and the store wait for no room in a round.
        busy |= self.hear() | self.hear_store();
        // Before requests are read: what was taken away is refused from here on.
        self.grant_again();
        // Behind the inputs, each of which has the engine do what is due: mostly nothing is left for a tick.
        self.look_at_the_clock();
        // Behind the completions, which say to whom enough was sent for a page more.
        if !self.table.roomy.is_empty() {
            self.pump.give_room(&mut self.table);
        }
        // Last of what feeds the engine, since it gets what the round has left; behind all that resumes sessions.
        self.read_what_waits();
        // Behind all inputs; before sockets are sent to, so that other shards work meanwhile.
        let left = self.shared.mesh.send_all(self.id, &mut self.pump.engine, &mut self.unrung);
        // Behind the messages: whoever is rung looks for them at once.
        self.ring_bells();
        // Behind all inputs, too. Before or behind the sockets is the same: nothing that is sent now depends on it.
        let gathers = self.pump.commit.as_ref().is_some_and(Commit::gathers) && self.hand_over();
        if left {
            // Others are slow to take messages; they may need this core for it. Behind the bells, or they sleep on.
            std::thread::yield_now();
        }
        // Behind all inputs: one send for each connection. Before the next three, which it gives work.
        self.flush();
        // Behind the sends, which say what connections still hold. It feeds the engine with what is counted only.
        self.keep_the_books();
        // Behind everything that breaks or ends a connection, so that its descriptor is free in the same round.
        self.take_down_broken();
        // Last of the orders: behind the messages, which may have made room for more, and behind whatever changes from whom
        // to receive. What moves to another shard leaves here, when nothing of it is in flight.
        self.receive_again();
        self.trim.look(self.pump.engine.jobs(), self.pump.now.instant);
        self.sockets.tend_buffers(self.rations.are_short());
        // At the end: a server that drains believes these numbers, so they must all be of one moment between two rounds.
        self.publish(left);
        Ok(busy
            || left
            || gathers
            || !self.unrung.is_empty()
            || !self.unheard.is_empty()
            || !self.table.is_quiet()
            || !self.rations.is_empty()
            || !self.arrivals.is_empty()
            || self.has_grants()
            // The engine has more to do at once: sockets come in between.
            || self.pump.engine.deadline().is_some_and(|at| at <= self.pump.now.instant))
    }

    /// Tells others how much there is here. `left` says whether messages found no room in the mesh.
    #[inline]
    fn publish(&self, left: bool) {
        let (engine, table) = (&self.pump.engine, &self.table);
        let storing = self.pump.commit.as_ref().is_some_and(|commit| !commit.is_idle());
        let waiting = table.listed.len() + table.resumed.len() + self.rations.len() + table.greetings.turns();
        let unsent = table.sends + waiting + usize::from(left || storing || engine.is_telling());
        if let Some(commit) = &self.pump.commit {
            commit.desk().note_bytes(self.id, engine.jobs_bytes());
        }
        self.shared.publish(self.id, engine.jobs(), engine.jobs_accepted(), unsent as u64);
    }

    /// Hands the engine what other shards sent. True if there was something.
    #[inline]
    fn hear(&mut self) -> bool {
        let mut heard = false;
        let mut batches = 0;
        // Messages and connections could be swapped: whoever moves is known to no shard yet, so no message is about it.
        while batches < BATCHES_PER_ROUND
            && let Some((from, batch)) = self.shared.mesh.hear(self.id, &mut self.unheard)
        {
            (batches, heard) = (batches + 1, true);
            for message in batch {
                self.pump.feed(&mut self.table, Input::Message(from, message));
            }
        }
        while let Some(migration) = self.migrations.receive(self.id) {
            heard = true;
            self.take_in(migration);
        }
        heard
    }

    /// Wakes those to whom something was sent. Where they share our core they could not run anyway while we do, so
    /// there it can wait for what else we have to say, for a moment.
    fn ring_bells(&mut self) {
        if self.unrung.is_empty() {
            return;
        }
        let now = self.pump.now.instant;
        let since = *self.unrung_since.get_or_insert(now);
        if self.crowded && now.0.saturating_sub(since.0) < self.hold && self.sockets.has_more() {
            return;
        }
        self.shared.mesh.wake(std::mem::take(&mut self.unrung));
        self.unrung_since = None;
    }

    /// Hands the store what has gathered, unless more is about to be read. True if it goes on gathering.
    fn hand_over(&mut self) -> bool {
        let limit = self.hold_now();
        let now = self.pump.now.instant;
        self.pump.commit.as_mut().is_some_and(|commit| commit.hand_over(now, limit))
    }

    /// For how many nanoseconds something may wait for company now: not at all where nothing is about to be read.
    #[inline]
    fn hold_now(&mut self) -> u64 {
        let more = self.sockets.has_more() || self.is_sent_something();
        if more { self.hold } else { 0 }
    }

    fn look_at_the_clock(&mut self) {
        let now = self.pump.now.instant;
        if self.pump.engine.deadline().is_some_and(|at| at <= now) {
            self.pump.feed(&mut self.table, Input::Tick);
        }
        self.acceptor.retry(now, &mut self.sockets);
        self.trim.act(self.pump.engine.jobs(), now);
        self.look_at_the_silent();
        self.end_lingering(now);
        self.end_greetings(now);
    }

    /// Reads what could not be read before: because of congestion, or because the session was paused.
    fn read_what_waits(&mut self) {
        // A little for those who send much, whatever others do.
        let mut least = 1;
        while (least > 0 || self.pump.has_room())
            && !self.pump.congested()
            && let Some((token, what)) = self.rations.next_late()
        {
            least = 0;
            self.take_kept(token, what);
        }
        self.pump.fed_max = self.pump.fed.max(self.pump.fed_max) + Rations::RESUMED;
        // What resumes from now on has its turn in the next round.
        let resumed = self.table.resumed.len();
        for at in 0..resumed {
            if self.pump.congested() || !self.pump.has_room() {
                self.table.resumed.drain(..at);
                return;
            }
            let token = self.table.resumed[at];
            self.pump.resume(&mut self.table, token);
            self.table.charge(token);
        }
        self.table.resumed.drain(..resumed);
    }

    /// Sends what waits, and ends connections of which everything is sent. While there is more to do than sending,
    /// some of it stays listed, for company.
    ///
    /// What is asked of a connection is in an order that must stay: whoever is to end is not held back; whoever is given up,
    /// or hears nothing any more, is not sent to; and only where nothing is left to send does a connection end.
    fn flush(&mut self) {
        if self.table.listed.is_empty() {
            // Whether there is more to do costs a call of the kernel with epoll.
            return;
        }
        // Before the sends: those that wait for their turn would look like more to do.
        let (now, limit) = (self.pump.now.instant, self.hold_now());
        let (mut held, mut sealed) = (0, 0);
        for at in 0..self.table.listed.len() {
            let token = self.table.listed[at];
            // Replies were written since it was last charged. A send changes nothing of that: bytes count until they are taken.
            self.table.charge(token);
            let Some(connection) = self.table.get(token) else { continue };
            let covered = connection.cover.is_some();
            if connection.phase < Phase::Flushing && connection.outbound.holds_back(now, limit)
                || covered && sealed > SEALED_PER_ROUND
            {
                // It stays listed, and keeps its place.
                self.table.listed[held] = token;
                held += 1;
                continue;
            }
            // Before anything that ends it, so that it can be listed again.
            connection.listed = false;
            if connection.phase == Phase::Dying {
                continue;
            }
            if connection.lost.is_some() {
                // Its completion says when the kernel is done with the socket.
                if connection.outbound.is_sending() {
                    self.sockets.stop_sending(token);
                }
                continue;
            }
            if covered {
                sealed += self.flush_sealed(token);
            } else if let Some(parcel) = connection.outbound.begin() {
                self.sockets.send(token, connection.socket(), parcel);
                self.table.sends += 1;
            } else if connection.phase == Phase::Flushing && !connection.outbound.is_sending() {
                self.end_flushed(token);
            }
        }
        self.table.listed.truncate(held);
    }

    /// Lets the kernel receive again where it stopped, unless too many messages wait for other shards.
    fn receive_again(&mut self) {
        if self.pump.congested() {
            return;
        }
        let (mut direct, mut later) = (0, 0);
        // Whoever is dying or moves wants no bytes, so the last two questions are about these alone; dying comes before moving:
        // who was given up on the way is closed here.
        for at in 0..self.table.unarmed.len() {
            let token = self.table.unarmed[at];
            let Some(connection) = self.table.get(token) else { continue };
            // Behind what is kept: it may be received into a packet that this belongs to.
            let nothing_kept = connection.kept == 0;
            if connection.receiving == Receiving::Not && nothing_kept && connection.wants_bytes() {
                if direct == DIRECT_AT_ONCE {
                    self.table.unarmed[later] = token;
                    later += 1;
                } else {
                    direct += usize::from(connection.receive(&mut self.sockets));
                }
            } else if connection.receiving == Receiving::Armed && connection.wants_direct() {
                connection.stop_receiving(&mut self.sockets);
            } else if connection.phase == Phase::Dying {
                self.close_when_free(token);
            } else if connection.moving_to.is_some() {
                self.hand_off(token);
            }
        }
        self.table.unarmed.truncate(later);
    }
}
