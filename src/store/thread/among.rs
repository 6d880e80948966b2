//! What the thread does where servers share the store: has it attend when that is due, and hands shards what comes of it, in order: jobs
//! that are ours from now on, that all before are another's, numbers; and until when they may go on. Who is taken over, and how, is
//! each store's affair.
use super::{Leaving, StoreThread};
use crate::engine::{JobId, ShardId, StoredJob, Topology};
use crate::log_at;
use crate::logging::Level;
use crate::store::channel::Piece;
use crate::store::replay::PIECE;
use crate::store::{BootTime, HoldUntil, ServerStanding, Store, StoreError, record};
use std::time::{Duration, Instant};

/// Between two tries to hand over a piece, and how long a hold must last not to be looked at.
const PAUSE: Duration = Duration::from_millis(1);
const MARGIN: Duration = Duration::from_millis(20);
/// Between two lines about the same.
const REPEAT: Duration = Duration::from_secs(60);

impl StoreThread {
    /// Does what is due among servers that share the store.
    pub(super) fn attend(&mut self) {
        if self.store.attend_at().is_none() {
            return;
        }
        let (mut more, mut attended_once) = (true, false);
        while more && self.hand_out() && self.store.attend_at().is_some_and(|at| at <= Instant::now()) {
            attended_once = true;
            let load = self.channel.load();
            let mut told = ToldJobs::new(self.topology);
            let attended = self.store.attend(load, &mut |job| told.add(&job));
            self.note_era();
            self.pieces.extend(told.pieces());
            more = match attended {
                Ok(more) => more && self.channel_is_idle(),
                Err(error) => {
                    self.complain(&error);
                    false
                }
            };
        }
        self.hand_over();
        self.look_for_numbers();
        self.renew_standing();
        if attended_once {
            self.channel.set_servers(self.store.servers());
        }
    }

    /// If this server drains, leaves stored jobs that wait to others who can run them at once: shards forget them first, then the store
    /// hears what has stayed.
    fn hand_over(&mut self) {
        match self.leaving {
            Leaving::No if self.channel.is_draining() && self.store.begin_hand_over() => {
                self.leaving = Leaving::Asked;
                self.pieces.extend(self.topology.owners().map(|shard| (shard, Piece::HandOver)));
            }
            Leaving::Asked => {
                let Some(kept) = self.channel.kept() else { return };
                // What shards wanted before they said so: ends of jobs above all.
                let batches = self.gather();
                if !batches.is_empty() {
                    self.commit(batches);
                }
                match self.store.hand_over(&kept) {
                    Ok(()) => {
                        self.leaving = Leaving::Over;
                        self.pieces.extend(self.topology.owners().map(|shard| (shard, Piece::HandedOver)));
                    }
                    Err(error) => self.complain(&error),
                }
            }
            Leaving::No | Leaving::Over => {}
        }
        self.hand_out();
    }

    /// Whether nobody waits for a commit: what is told in many pieces goes on behind it.
    fn channel_is_idle(&self) -> bool {
        self.topology.owners().all(|shard| !self.channel.has_batch(shard))
    }

    fn complain(&mut self, error: &StoreError) {
        if self.complained.is_none_or(|at| at.elapsed() >= REPEAT) {
            self.complained = Some(Instant::now());
            log_at!(Level::Error, "the store: {error}");
        }
    }

    /// How long until there is something to do here, if nothing else happens.
    pub(super) fn until_attending(&self) -> Option<Duration> {
        let at = self.store.attend_at()?;
        if !self.pieces.is_empty() {
            return Some(PAUSE);
        }
        Some(at.saturating_duration_since(Instant::now()).max(PAUSE))
    }

    /// Hands shards what waits for them. True if nothing waits any more.
    fn hand_out(&mut self) -> bool {
        while let Some((shard, piece)) = self.pieces.pop_front() {
            if let Err(piece) = self.channel.put_piece(shard, piece) {
                self.pieces.push_front((shard, piece));
                return false;
            }
            (self.wake)(shard);
        }
        true
    }

    /// Tells shards that this server was taken over, if it was.
    fn note_era(&mut self) {
        let era = self.store.standing().era;
        if era > self.era_told {
            self.era_told = era;
            self.pieces.extend(self.topology.owners().map(|shard| (shard, Piece::Fenced(era))));
        }
    }

    /// Tells shards until when they may go on. Whoever has not heard yet that jobs are another's gives none to workers.
    pub(super) fn renew_standing(&mut self) {
        let ServerStanding { era, until } = self.store.standing();
        let until = match self.channel.all_heard_of_era(era) {
            true => until,
            false => HoldUntil::Time(BootTime::default()),
        };
        let before = self.channel.set_hold(until);
        let over = |hold| matches!(hold, HoldUntil::Time(time) if time <= BootTime::now().after(MARGIN));
        // Who sleeps is to look at its queues again, or to hear that it must not.
        if before != until && (over(before) || over(until) || matches!(before, HoldUntil::Ever)) {
            self.topology.owners().for_each(|shard| (self.wake)(shard));
        }
    }

    /// Has numbers for whoever wants some. One shard's numbers are no other's.
    fn look_for_numbers(&mut self) {
        for shard in self.topology.owners().filter(|&shard| self.channel.wants_numbers(shard)) {
            match self.store.numbers(1) {
                Ok(range) => {
                    self.channel.has_numbers(shard);
                    self.pieces.push_back((shard, Piece::Numbers(range)));
                }
                Err(error) => return self.complain(&error),
            }
        }
    }
}

/// Jobs on their way to their shards.
struct ToldJobs {
    topology: Topology,
    gathered: Vec<Vec<u8>>,
    pieces: Vec<(ShardId, Piece)>,
}

impl ToldJobs {
    fn new(topology: Topology) -> ToldJobs {
        ToldJobs { topology, gathered: topology.owners().map(|_| Vec::new()).collect(), pieces: Vec::new() }
    }

    fn add(&mut self, job: &StoredJob<'_>) {
        let owner = self.topology.owner(JobId::slot(job.id));
        if let Err(why) = job.sound() {
            self.pieces.push((owner, Piece::SetAside(job.id, why)));
            return;
        }
        let gathered = &mut self.gathered[owner.index()];
        record::put(job, gathered);
        if gathered.len() >= PIECE {
            self.pieces.push((owner, Piece::Records(std::mem::take(gathered))));
        }
    }

    fn pieces(mut self) -> Vec<(ShardId, Piece)> {
        let rest = self.topology.owners().zip(self.gathered).filter(|(_, gathered)| !gathered.is_empty());
        self.pieces.extend(rest.map(|(owner, gathered)| (owner, Piece::Records(gathered))));
        self.pieces
    }
}
