//! News from the thread of the store: what it has kept or refused, what it cannot read any more, and at the start the jobs that
//! it has. What goes to it is `commit.rs`.
use super::Shard;
use super::commit::{Commit, Told};
use crate::engine::{Engine, Event, Input, Instant, JobId, NotRestored, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::channel::{Errand, Piece};
use crate::store::replay;
use crate::store::{BootTime, HoldUntil};

/// Ends of leases that are so close to each other, in nanoseconds, are the same.
const LEASE_STEP: u64 = 1_000_000;
/// Pieces of what the store has answered of which the engine is told in one round: a thousand or two puts.
const TOLD_PER_ROUND: usize = 8;

impl Shard {
    /// Tells the engine what the store has kept or refused, and hands it jobs that were kept before. True if there was
    /// something.
    pub(super) fn hear_store(&mut self) -> bool {
        if self.pump.restoring && self.restore() {
            return true;
        }
        let mut heard = self.take_in_stored();
        for _ in 0..TOLD_PER_ROUND {
            let Some(told) = self.pump.commit.as_mut().and_then(Commit::tell) else { break };
            heard = true;
            let input = match told {
                Told::Commit => Input::Count(Event::Commit),
                Told::Kept(upto) => Input::Stored(upto),
                Told::Refused(upto) => Input::StoreFailed(upto),
                Told::Elsewhere(seq, there) => Input::StoredElsewhere(seq, there),
            };
            self.pump.feed(&mut self.table, input);
        }
        while let Some(errand) = self.pump.commit.as_ref().and_then(|commit| commit.desk().errand(self.id)) {
            heard = true;
            self.do_errand(errand);
        }
        heard
    }

    #[cold]
    fn do_errand(&mut self, errand: Errand) {
        let input = match &errand {
            Errand::PutAgain(jobs) => Input::PutAgain(jobs),
            Errand::Repaired => Input::Count(Event::StoreRepaired),
            Errand::Lost(job) => {
                let handle = self.handle(*job);
                log_at!(Level::Alert, "a stored job is lost, which the store cannot read any more: {handle}");
                Input::Count(Event::StoredJobLost)
            }
        };
        self.pump.feed(&mut self.table, input);
    }

    fn handle(&self, job: JobId) -> String {
        String::from_utf8_lossy(&self.pump.handle_prefix.handle(job)).into_owned()
    }

    /// Takes one piece of the jobs that were kept. Once every shard has all of its own, requests are welcome.
    fn restore(&mut self) -> bool {
        let Some(commit) = &self.pump.commit else { return false };
        let (engine, now) = (&mut self.pump.engine, self.pump.now);
        match commit.desk().piece(self.id) {
            Some(Piece::Records(records)) => {
                let mut aside = Vec::new();
                for job in replay::jobs_in(&records) {
                    if let Err(why) = engine.restore(now, &job) {
                        aside.push((job.id, why));
                    }
                }
                self.pump.feed(&mut self.table, Input::Tick);
                aside.into_iter().for_each(|(id, why)| self.set_aside(id, why));
            }
            Some(Piece::SetAside(id, why)) => {
                engine.keep_clear_of(id);
                self.set_aside(id, why);
            }
            Some(Piece::Numbers(range)) => self.pump.feed(&mut self.table, Input::Numbers(range)),
            // Nobody is taken over, or leaves something to others, before he has begun.
            Some(Piece::Fenced(_) | Piece::HandOver | Piece::HandedOver) => {}
            Some(Piece::Away) => {
                self.pump.store_away = true;
                self.pump.feed(&mut self.table, Input::StoreAway(true));
                self.welcome();
            }
            Some(Piece::End { sequence }) => {
                engine.sequence_at_least(sequence);
                self.shared.restored();
            }
            None if self.shared.all_restored() => self.welcome(),
            None => return false,
        }
        true
    }

    /// Requests wait no longer.
    fn welcome(&mut self) {
        self.pump.restoring = false;
        let waiting = std::mem::take(&mut self.table.waiting);
        for token in waiting {
            if let Some(connection) = self.table.get(token) {
                connection.paused = false;
                self.table.resumed.push(token);
            }
        }
    }

    /// Takes what others share with this server while it serves: a piece in each round. True if there was one.
    fn take_in_stored(&mut self) -> bool {
        if self.pump.engine.wants_numbers() {
            self.ask_for_numbers();
        }
        let forgetting = self.pump.engine.is_forgetting();
        let Some(commit) = self.pump.commit.as_mut().filter(|_| !forgetting) else { return false };
        if let Some(era) = self.pump.forgets.take() {
            // Everything is forgotten: whoever is told so may let stored jobs be given out again.
            commit.is_of_era(era);
            self.pump.lease = None;
        }
        if std::mem::take(&mut self.pump.hands_over) {
            // Everything else is forgotten. What was wanted stored before goes first.
            let kept = self.pump.engine.take_kept();
            commit.hand_over(self.pump.now.instant, 0);
            commit.desk().has_kept(self.id, kept);
        }
        let Some(piece) = commit.desk().piece(self.id) else { return false };
        self.take_in_piece(piece);
        true
    }

    #[cold]
    fn take_in_piece(&mut self, piece: Piece) {
        match piece {
            Piece::Records(records) => {
                let (engine, now) = (&mut self.pump.engine, self.pump.now);
                let jobs = replay::jobs_in(&records);
                let late = self.pump.store_away;
                let take = |engine: &mut Engine, job: &StoredJob<'_>| match late {
                    true => engine.restore(now, job),
                    false => engine.take_over(now, job),
                };
                let aside: Vec<_> =
                    jobs.filter_map(|job| Some((job.id, take(engine, &job).err()?))).collect();
                self.pump.feed(&mut self.table, Input::Tick);
                aside.into_iter().for_each(|(id, why)| self.set_aside(id, why));
            }
            Piece::SetAside(id, why) => {
                self.pump.engine.keep_clear_of(id);
                self.set_aside(id, why);
            }
            Piece::Fenced(era) => {
                self.pump.forgets = Some(era);
                self.pump.feed(&mut self.table, Input::Fenced);
            }
            Piece::HandOver => {
                self.pump.hands_over = true;
                self.pump.feed(&mut self.table, Input::StoreAway(true));
                self.pump.feed(&mut self.table, Input::HandOver);
            }
            Piece::HandedOver => self.pump.feed(&mut self.table, Input::StoreAway(false)),
            Piece::Numbers(range) => {
                self.pump.asked_for_numbers = false;
                self.pump.feed(&mut self.table, Input::Numbers(range));
            }
            Piece::Away => {}
            Piece::End { sequence } => {
                self.pump.engine.sequence_at_least(sequence);
                self.pump.store_away = false;
                self.pump.feed(&mut self.table, Input::StoreAway(false));
                self.shared.restored();
            }
        }
    }

    #[cold]
    fn ask_for_numbers(&mut self) {
        if let Some(commit) = &self.pump.commit
            && !std::mem::replace(&mut self.pump.asked_for_numbers, true)
        {
            commit.desk().want_numbers(self.id);
        }
    }

    /// Tells the engine until when it may give out stored jobs, before anybody asks it for one in this round. The end is told on the
    /// engine's clock, which stands still while the machine is suspended, and looked at each time on one that does not.
    #[inline]
    pub(super) fn hear_lease(&mut self) {
        let Some(commit) = &self.pump.commit else { return };
        let hold = commit.desk().hold();
        if hold == HoldUntil::Ever && self.pump.lease == Some(Instant(u64::MAX)) {
            return;
        }
        let now = self.pump.now.instant;
        let until = match hold {
            HoldUntil::Ever => Instant(u64::MAX),
            HoldUntil::Time(time) => {
                let left = time.since(BootTime::now());
                // What is over is over, however long ago.
                if left.is_zero() { Instant(0) } else { now.after(left) }
            }
        };
        let told = self.pump.lease;
        if told.is_none_or(|told| until.0.abs_diff(told.0) > LEASE_STEP) {
            self.pump.lease = Some(until);
            self.pump.feed(&mut self.table, Input::Lease(until));
        }
    }

    /// A job of the store cannot be one of ours. It stays there, for somebody to look at, and is no reason not to start.
    #[cold]
    fn set_aside(&mut self, id: JobId, why: NotRestored) {
        let handle = self.handle(id);
        log_at!(Level::Alert, "a stored job is set aside, kept and not run: {handle}: {why}");
        self.pump.feed(&mut self.table, Input::Count(Event::SetAside));
    }
}
