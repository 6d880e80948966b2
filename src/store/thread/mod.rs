//! The thread that a store runs on: it makes one commit of all that has come while the last commit was under way, and
//! answers each shard. The way there and back is `channel.rs`, what is read at the start `replay.rs`; what there is to do where
//! servers share the store is `among.rs`.
mod among;

use super::channel::{Answer, Batch, Errand, Piece, SeqRanges, StoreChannel};
use super::dues::Dues;
use super::replay::{self, Replay, Wake};
use super::{Repaired, Store, StoreError, parts};
use crate::engine::{JobId, ShardId, StoreSeq, Topology};
use crate::log_at;
use crate::logging::Level;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Without commits for so long, the thread sleeps until there is one, unless the store owes something. Until then it
/// looks after the store.
const ACTIVE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks after a store that owes something, when there are no commits.
const LOOK_OWING: Duration = Duration::from_secs(1);
/// Commits between two looks after the store when there is no rest.
const COMMITS_PER_MAINTENANCE: u32 = 16;

/// The store, as its thread has it.
struct StoreThread {
    store: Dues,
    channel: Arc<StoreChannel>,
    topology: Topology,
    wake: Wake,
    /// Errands for which there was no room yet. Few: a store wants little at a time.
    errands: VecDeque<(ShardId, Errand)>,
    /// Pieces for which there was no room yet. What one attendance tells, which is little, and never more than that.
    pieces: VecDeque<(ShardId, Piece)>,
    /// How often this server was taken over, as shards were told last.
    era_told: u64,
    complained: Option<Instant>,
    leaving: Leaving,
}

/// How far stored jobs that wait are left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// Shards were asked to forget them.
    Asked,
    /// They are others'.
    Over,
}

/// Replays and then keeps, on this thread, until [`StoreChannel::stop`]. `tell` hears how far the replay is; after an
/// error the thread ends.
pub(crate) fn run(
    store: Box<dyn Store>,
    channel: Arc<StoreChannel>,
    topology: Topology,
    wake: Wake,
    tell: &dyn Fn(Replay),
) -> Result<(), StoreError> {
    channel.served_by(thread::current());
    let (store, errands, pieces) = (Dues::of(store), VecDeque::new(), VecDeque::new());
    let mut this = StoreThread {
        store,
        channel,
        topology,
        wake,
        errands,
        pieces,
        era_told: 0,
        complained: None,
        leaving: Leaving::No,
    };
    let StoreThread { store, channel, wake, .. } = &mut this;
    let jobs = replay::run(store, channel, topology, wake, tell);
    let failed = jobs.is_err();
    tell(Replay::Over(jobs));
    if failed { Ok(()) } else { this.serve() }
}

impl StoreThread {
    fn serve(mut self) -> Result<(), StoreError> {
        let mut last = Instant::now();
        let mut since_maintenance = 0;
        loop {
            // Asked before the batches are taken: whatever was handed over before the stop is among these, or there are
            // more. The other way round, the last batch could go unanswered.
            let stopping = self.channel.is_stopping();
            self.attend();
            let batches = self.gather();
            if !batches.is_empty() {
                self.commit(batches);
                last = Instant::now();
                since_maintenance += 1;
                // Behind the answers: nobody who waits for a commit waits for this, too.
                if since_maintenance >= COMMITS_PER_MAINTENANCE {
                    since_maintenance = 0;
                    self.maintain();
                }
            } else if stopping {
                // Only with nothing left to commit: what was handed over is answered before the store is closed.
                if !self.channel.have_all_ended() {
                    self.store.stays_silent();
                }
                return self.store.close();
            } else if !self.maintain() {
                let time = rest(last.elapsed(), self.store.owes() || !self.errands.is_empty());
                match [time, self.until_attending()].into_iter().flatten().min() {
                    Some(time) => thread::park_timeout(time),
                    None => thread::park(),
                }
            }
        }
    }

    fn gather(&self) -> Vec<(ShardId, Batch)> {
        self.topology.owners().filter_map(|shard| Some((shard, self.channel.take_back(shard)?))).collect()
    }

    fn commit(&mut self, mut batches: Vec<(ShardId, Batch)>) {
        // Checksums first, here: a shard has no time for those of large workloads.
        batches.iter_mut().for_each(|(_, batch)| batch.records.seal());
        let era = self.store.standing().era;
        let records: Vec<Vec<&[u8]>> = batches.iter().map(|(_, batch)| kept_records(batch, era)).collect();
        self.channel.times.begin(batches.iter().map(|(_, batch)| batch.records.len()).sum());
        let parts::Outcome { refused, elsewhere, errors } = parts::commit(&mut self.store, &records);
        self.channel.times.end();
        errors.iter().for_each(complain);
        self.renew_standing();
        let mut refused = refused.into_iter().peekable();
        let mut elsewhere = elsewhere.into_iter().peekable();
        for (at, (shard, batch)) in batches.into_iter().enumerate() {
            // After the commit: what was put again in it is not lost.
            if !batch.unknown.is_empty() {
                self.store.unknown(&batch.unknown);
            }
            let mut here = Vec::new();
            if batch.era < era && batch.from < batch.upto {
                here.push((StoreSeq(batch.from.0 + 1), batch.upto));
            }
            while let Some((_, put)) = refused.next_if(|&(batch, _)| batch == at) {
                add_to_ranges(&mut here, batch.seq(put));
            }
            let mut there = Vec::new();
            while let Some((_, put, job)) = elsewhere.next_if(|&(batch, ..)| batch == at) {
                there.push((batch.seq(put), job));
            }
            let bytes = batch.records.len();
            // What jobs that have ended meanwhile have left is freed here.
            let (upto, buffer) = (batch.upto, batch.records.into_buffer());
            let answer = Answer { upto, refused: here, elsewhere: there, first: at == 0, bytes, buffer };
            self.channel.put_answer(shard, answer);
            (self.wake)(shard);
        }
    }

    /// Has the shards put again what the store cannot read any more, and tells them what came of it.
    fn repair(&mut self) {
        let mut wanted: Vec<Vec<JobId>> = Vec::new();
        for job in self.store.wanted() {
            wanted.resize_with(self.topology.owners().len(), Vec::new);
            wanted[self.topology.owner(job.slot()).index()].push(job);
        }
        for (shard, jobs) in self.topology.owners().zip(wanted).filter(|(_, jobs)| !jobs.is_empty()) {
            self.errands.push_back((shard, Errand::PutAgain(jobs)));
        }
        let Repaired { pieces, lost } = self.store.repaired();
        let lost = lost.into_iter().map(|job| (self.topology.owner(job.slot()), Errand::Lost(job)));
        self.errands.extend(lost);
        self.errands.extend((0..pieces).map(|_| (ShardId(0), Errand::Repaired)));
        while let Some((shard, errand)) = self.errands.pop_front() {
            if let Err(errand) = self.channel.put_errand(shard, errand) {
                self.errands.push_front((shard, errand));
                return;
            }
            (self.wake)(shard);
        }
    }

    /// True if there is more to do at once.
    fn maintain(&mut self) -> bool {
        // What was found damaged just now is asked for at once.
        let more = self.maintain_store();
        self.repair();
        more
    }

    fn maintain_store(&mut self) -> bool {
        self.store.maintain().unwrap_or_else(|error| {
            complain(&error);
            false
        })
    }
}

/// The records of a batch that are to be kept. What a shard wanted kept before it heard that this server was taken over is about
/// jobs that are another's now, and their ends, too: the other one has them in memory and runs them, and whoever has joined one there
/// was promised its row.
fn kept_records(batch: &Batch, era: u64) -> Vec<&[u8]> {
    if batch.era >= era { batch.records.slices() } else { Vec::new() }
}

/// Adds a put that comes behind those that are there.
fn add_to_ranges(ranges: &mut SeqRanges, seq: StoreSeq) {
    match ranges.last_mut() {
        Some((_, last)) if last.0 + 1 == seq.0 => *last = seq,
        _ => ranges.push((seq, seq)),
    }
}

fn complain(error: &StoreError) {
    log_at!(Level::Error, "the store: {error}");
}

/// How long the thread sleeps if nothing wakes it, so long after the last commit; `None` is until something does.
fn rest(idle: Duration, owes: bool) -> Option<Duration> {
    match (idle < ACTIVE, owes) {
        (true, _) => Some(LOOK),
        (false, true) => Some(LOOK_OWING),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests;
