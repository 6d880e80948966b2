//! The thread that a store runs on, and the way there and back. Shards hand over batches of records and go on; the
//! thread makes one commit of all that has come while the last commit was under way, and answers each shard.
//!
//! Nobody waits for room: a shard whose last batch was not taken yet takes it back and adds to it (`shard/commit.rs`).
use super::dues::Dues;
use super::gathered::Gathered;
use super::record::{self, Record};
use super::{Repaired, Store, StoreError, parts, progress};
use crate::engine::{JobId, NotRestored, ShardId, StoreSeq, StoredJob, Topology};
use crate::log_at;
use crate::logging::Level;
use crossbeam_queue::ArrayQueue;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of one piece of a replay.
const PIECE: usize = 64 << 10;
/// Pieces of a replay that may wait for one shard.
const PIECES: usize = 32;
/// Errands that may wait for one shard.
const ERRANDS: usize = 4;
/// How long the thread waits for a shard that has no room for more pieces.
const PAUSE: Duration = Duration::from_micros(200);
/// Without commits for so long, the thread sleeps until there is one, unless the store owes something. Until then it
/// looks after the store.
const ACTIVE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks after a store that owes something, when there are no commits.
const LOOK_OWING: Duration = Duration::from_secs(1);
/// Commits between two looks after the store when there is no rest.
const COMMITS_PER_TIDY: u32 = 16;

/// Records of one shard.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its records.
    pub(crate) records: Gathered,
    /// All puts up to here were in earlier batches, or had no record.
    pub(crate) from: StoreSeq,
    /// All puts up to here are in this batch or in earlier ones.
    pub(crate) upto: StoreSeq,
    /// Those between the two that have no record, because their jobs had ended; in order.
    pub(crate) gaps: Vec<StoreSeq>,
    /// Jobs that were to be put again and that the shard does not have.
    pub(crate) unknown: Vec<JobId>,
}

impl Batch {
    /// Which put it is whose record is this one of the batch's put records, counted from 0.
    fn seq(&self, put: u32) -> StoreSeq {
        let mut seq = self.from.0 + 1 + u64::from(put);
        for gap in &self.gaps {
            if gap.0 > seq {
                break;
            }
            seq += 1;
        }
        StoreSeq(seq)
    }
}

/// What the thread wants of a shard, or tells it, besides answers.
#[derive(Debug)]
pub(crate) enum Errand {
    /// These jobs cannot be read any more: they are to be put again.
    PutAgain(Vec<JobId>),
    /// The store has made itself whole again.
    Repaired,
    /// This job cannot be read any more, and is not in memory.
    Lost(JobId),
}

/// Puts in order: the first and the last of each row of them.
pub(crate) type Rows = Vec<(StoreSeq, StoreSeq)>;

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As in the batch.
    pub(crate) upto: StoreSeq,
    /// Its puts that are not kept.
    pub(crate) refused: Rows,
    /// Whether this is the first answer of its commit.
    pub(crate) first: bool,
    /// How many bytes the batch had, those included that were shared with jobs.
    pub(crate) bytes: usize,
    /// Its buffer, empty, to be used again.
    pub(crate) buffer: Vec<u8>,
}

/// Jobs that were kept, on their way to their shard.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Put records.
    Records(Vec<u8>),
    /// This one cannot be one of ours. It stays in the store.
    SetAside(JobId, NotRestored),
    /// There are no more; jobs that will be accepted have sequences of at least this.
    End {
        /// See above.
        sequence: u64,
    },
}

/// Between one shard and the thread.
#[derive(Debug)]
struct Port {
    /// One: while it waits to be taken, the shard may take it back and add to it.
    batches: ArrayQueue<Batch>,
    /// One is under way, one waits to be committed, one is being handed over: there is always room.
    answers: ArrayQueue<Answer>,
    pieces: ArrayQueue<Piece>,
    errands: ArrayQueue<Errand>,
}

/// What shards and the thread share.
pub(crate) struct Desk {
    ports: Vec<Port>,
    thread: OnceLock<Thread>,
    stopping: AtomicBool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("ports", &self.ports.len()).finish_non_exhaustive()
    }
}

impl Desk {
    /// For the shards of a topology; nobody answers before [`start`].
    pub(crate) fn new(topology: Topology) -> Desk {
        let port = |_| Port {
            batches: ArrayQueue::new(1),
            answers: ArrayQueue::new(4),
            pieces: ArrayQueue::new(PIECES),
            errands: ArrayQueue::new(ERRANDS),
        };
        Desk {
            ports: topology.owners().map(port).collect(),
            thread: OnceLock::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The batch that was handed over, if it was not taken yet.
    pub(crate) fn take_back(&self, shard: ShardId) -> Option<Batch> {
        self.ports[shard.index()].batches.pop()
    }

    /// Hands over a batch. Only by the shard itself, after [`Desk::take_back`].
    pub(crate) fn hand_over(&self, shard: ShardId, batch: Batch) {
        let handed = self.ports[shard.index()].batches.push(batch);
        assert!(handed.is_ok(), "a shard hands over one batch at a time");
        self.wake();
    }

    /// The next answer for a shard.
    #[inline]
    pub(crate) fn answer(&self, shard: ShardId) -> Option<Answer> {
        self.ports[shard.index()].answers.pop()
    }

    /// The next piece of the replay for a shard.
    pub(crate) fn piece(&self, shard: ShardId) -> Option<Piece> {
        self.ports[shard.index()].pieces.pop()
    }

    /// The next errand for a shard.
    pub(crate) fn errand(&self, shard: ShardId) -> Option<Errand> {
        self.ports[shard.index()].errands.pop()
    }

    /// Whether something waits for a shard.
    #[inline]
    pub(crate) fn waits_for(&self, shard: ShardId) -> bool {
        let port = &self.ports[shard.index()];
        !port.answers.is_empty() || !port.pieces.is_empty() || !port.errands.is_empty()
    }

    /// Asks the thread to end when everything that was handed over is answered.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// How far the stored jobs are read.
#[derive(Debug)]
pub(crate) enum Replay {
    /// Where it is, in words.
    Progress(String),
    /// All of them, so many, or why not.
    Over(Result<u64, StoreError>),
}

/// Wakes a shard for which there is something.
pub(crate) type Wake = Box<dyn Fn(ShardId) + Send>;

/// The store, as its thread sees it.
struct Keeper {
    store: Dues,
    desk: Arc<Desk>,
    topology: Topology,
    wake: Wake,
    /// Errands for which there was no room yet. Few: a store wants little at a time.
    errands: VecDeque<(ShardId, Errand)>,
}

/// Replays and then keeps, on this thread, until [`Desk::stop`]. `tell` hears how far the replay is; after an
/// error the thread ends.
pub(crate) fn run(
    store: Box<dyn Store>,
    desk: Arc<Desk>,
    topology: Topology,
    wake: Wake,
    tell: &dyn Fn(Replay),
) -> Result<(), StoreError> {
    // Nobody else runs a keeper of this desk.
    let _ = desk.thread.set(thread::current());
    let mut keeper = Keeper { store: Dues::of(store), desk, topology, wake, errands: VecDeque::new() };
    let jobs = keeper.replay(tell);
    let failed = jobs.is_err();
    tell(Replay::Over(jobs));
    if failed { Ok(()) } else { keeper.serve() }
}

impl Keeper {
    fn replay(&mut self, tell: &dyn Fn(Replay)) -> Result<u64, StoreError> {
        let Keeper { store, desk, topology, wake, .. } = self;
        let mut pieces: Vec<Vec<u8>> = topology.owners().map(|_| Vec::new()).collect();
        let mut sequence = 0;
        let begin = Instant::now();
        let mut each = |job: StoredJob<'_>| {
            let owner = topology.owner(job.id.slot());
            // What is far beyond all others sets no mark: see `Engine::keep_clear_of`.
            if job.id.sequence() <= JobId::SEQUENCE_HINT_MAX {
                sequence = sequence.max(job.id.sequence());
            }
            if let Err(why) = job.sound() {
                send_piece(desk, wake, owner, Piece::SetAside(job.id, why));
                return;
            }
            let piece = &mut pieces[owner.index()];
            record::put(&job, piece);
            if piece.len() >= PIECE {
                send_piece(desk, wake, owner, Piece::Records(std::mem::take(piece)));
            }
        };
        let mut say = |line: String| {
            log_at!(Level::Notice, "{line}");
            tell(Replay::Progress(line));
        };
        let jobs = progress::replay(store, &Instant::now, &mut say, &mut each)?;
        let sequence = floor().max(sequence + 1);
        for (owner, piece) in topology.owners().zip(pieces) {
            if !piece.is_empty() {
                send_piece(desk, wake, owner, Piece::Records(piece));
            }
            send_piece(desk, wake, owner, Piece::End { sequence });
        }
        log_at!(Level::Notice, "read {jobs} stored jobs in {:.3} s", begin.elapsed().as_secs_f64());
        Ok(jobs)
    }

    fn serve(mut self) -> Result<(), StoreError> {
        let mut last = Instant::now();
        let mut since_tidy = 0;
        loop {
            let stopping = self.desk.stopping.load(Ordering::Acquire);
            let batches = self.gather();
            if !batches.is_empty() {
                self.commit(batches);
                last = Instant::now();
                since_tidy += 1;
                if since_tidy >= COMMITS_PER_TIDY {
                    since_tidy = 0;
                    self.tidy();
                }
            } else if stopping {
                return self.store.close();
            } else if !self.tidy() {
                match rest(last.elapsed(), self.store.owes() || !self.errands.is_empty()) {
                    Some(time) => thread::park_timeout(time),
                    None => thread::park(),
                }
            }
        }
    }

    fn gather(&self) -> Vec<(ShardId, Batch)> {
        let ports = self.topology.owners().zip(&self.desk.ports);
        ports.filter_map(|(shard, port)| Some((shard, port.batches.pop()?))).collect()
    }

    fn commit(&mut self, mut batches: Vec<(ShardId, Batch)>) {
        batches.iter_mut().for_each(|(_, batch)| batch.records.seal());
        let records: Vec<Vec<&[u8]>> = batches.iter().map(|(_, batch)| batch.records.slices()).collect();
        let parts::Outcome { refused, errors } = parts::commit(&mut self.store, &records);
        errors.iter().for_each(complain);
        let mut refused = refused.into_iter().peekable();
        for (at, (shard, batch)) in batches.into_iter().enumerate() {
            if !batch.unknown.is_empty() {
                self.store.unknown(&batch.unknown);
            }
            let mut here = Vec::new();
            while let Some((_, put)) = refused.next_if(|&(batch, _)| batch == at) {
                add_to_rows(&mut here, batch.seq(put));
            }
            let bytes = batch.records.len();
            // What jobs that have ended meanwhile have left is freed here.
            let (upto, buffer) = (batch.upto, batch.records.into_buffer());
            let answer = Answer { upto, refused: here, first: at == 0, bytes, buffer };
            let answered = self.desk.ports[shard.index()].answers.push(answer);
            assert!(answered.is_ok(), "a shard has no more than three batches under way");
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
            if let Err(errand) = self.desk.ports[shard.index()].errands.push(errand) {
                self.errands.push_front((shard, errand));
                return;
            }
            (self.wake)(shard);
        }
    }

    /// True if there is more to do at once.
    fn tidy(&mut self) -> bool {
        let more = self.tidy_store();
        self.repair();
        more
    }

    fn tidy_store(&mut self) -> bool {
        self.store.tidy().unwrap_or_else(|error| {
            complain(&error);
            false
        })
    }
}

/// Adds a put that comes behind those that are there.
fn add_to_rows(rows: &mut Rows, seq: StoreSeq) {
    match rows.last_mut() {
        Some((_, last)) if last.0 + 1 == seq.0 => *last = seq,
        _ => rows.push((seq, seq)),
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

/// Where sequences begin: above those of jobs that have ended and are not in the store any more, or a handle that somebody
/// has kept would one day mean another job. A million for each second since 2025 is more than is ever accepted.
fn floor() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    floor_at(now).unwrap_or_else(|| {
        log_at!(
            Level::Alert,
            "the clock says {now} seconds since 1970, which cannot be right: the numbers of jobs begin behind those of \
             stored jobs, so that handles of earlier jobs may be given again"
        );
        0
    })
}

/// The same at this second; `None` if it is so late that a clock must be wrong: that must not use up the numbers.
fn floor_at(now: u64) -> Option<u64> {
    const YEAR_2025: u64 = 1_735_689_600;
    let floor = now.saturating_sub(YEAR_2025).saturating_mul(1_000_000);
    (floor <= JobId::SEQUENCE_HINT_MAX).then_some(floor)
}

fn send_piece(desk: &Desk, wake: &Wake, to: ShardId, mut piece: Piece) {
    while let Err(back) = desk.ports[to.index()].pieces.push(piece) {
        piece = back;
        thread::sleep(PAUSE);
    }
    wake(to);
}

/// The jobs in a piece.
pub(crate) fn jobs_in(mut records: &[u8]) -> impl Iterator<Item = StoredJob<'_>> {
    std::iter::from_fn(move || {
        let (record, length) = record::read(records).ok()?;
        records = &records[length..];
        match record {
            Record::Put(job) => Some(job),
            Record::Done(_) | Record::Attempts(..) => None,
        }
    })
}

#[cfg(test)]
mod tests;
