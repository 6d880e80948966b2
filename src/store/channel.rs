//! The channel between shards and the thread of the store: batches of records there, answers, errands and pieces of the
//! replay back. What the thread does with them is `thread.rs`.
//!
//! Nobody waits for room: a shard whose last batch was not taken yet takes it back and adds to it (`shard/commit.rs`).
use super::gathered::Gathered;
use super::times::CommitTimes;
use super::{BootTime, HoldUntil, ServerLoad, ServerShown};
use crate::engine::{JobId, NotRestored, ShardId, StoreSeq, Topology};
use crossbeam_queue::ArrayQueue;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

/// Pieces of a replay that may wait for one shard.
const PIECES: usize = 32;
/// Errands that may wait for one shard.
const ERRANDS: usize = 4;

/// Records of one shard.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its records.
    pub(crate) records: Gathered,
    /// How often the shard had heard that this server was taken over when the first of them was made.
    pub(crate) era: u64,
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
    pub(super) fn seq(&self, put: u32) -> StoreSeq {
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

/// Puts in order: the first and the last of each that follow one another.
pub(crate) type SeqRanges = Vec<(StoreSeq, StoreSeq)>;

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As in the batch.
    pub(crate) upto: StoreSeq,
    /// Its puts that are not kept.
    pub(crate) refused: SeqRanges,
    /// Its puts that are not kept because another server has such a job already, in order: which one.
    pub(crate) elsewhere: Vec<(StoreSeq, JobId)>,
    /// Whether this is the first answer of its commit.
    pub(crate) first: bool,
    /// How many bytes the batch had, those included that were shared with jobs.
    pub(crate) bytes: usize,
    /// Its buffer, empty, to be used again.
    pub(crate) buffer: Vec<u8>,
}

/// Jobs that were kept, on their way to their shard; in order with what changes whose jobs these are.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Put records.
    Records(Vec<u8>),
    /// This server was taken over, so often by now: all jobs that were kept before are another's.
    Fenced(u64),
    /// Jobs that will be accepted may have these sequences.
    Numbers(Range<u64>),
    /// Stored jobs that wait are left to others: see [`crate::engine::Input::HandOver`]. The shard says what stays.
    HandOver,
    /// That is done: what is wanted stored from now on is this server's.
    HandedOver,
    /// The store cannot be read yet, and nobody knows when: whatever needs nothing stored is done before that.
    Away,
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
struct ShardQueues {
    /// One: while it waits to be taken, the shard may take it back and add to it.
    batches: ArrayQueue<Batch>,
    /// One is under way, one waits to be committed, one is being handed over: there is always room.
    answers: ArrayQueue<Answer>,
    pieces: ArrayQueue<Piece>,
    errands: ArrayQueue<Errand>,
    /// How often the shard has heard that this server was taken over.
    era: AtomicU64,
    /// Bytes of its jobs.
    bytes: AtomicU64,
    /// Whether it wants more numbers for jobs.
    wants_numbers: AtomicBool,
    /// What has stayed of its stored jobs, once the rest is left to others.
    kept: Mutex<Option<Vec<JobId>>>,
}

/// What shards and the thread share.
pub(crate) struct StoreChannel {
    queues: Vec<ShardQueues>,
    /// Bytes of jobs that all shards together may have.
    bytes_max: u64,
    /// Until when stored jobs may be given to workers: [`BootTime`], or the highest number for ever.
    hold: AtomicU64,
    /// How long commits take.
    pub(crate) times: CommitTimes,
    /// Who shares the store.
    servers: Mutex<Arc<Vec<ServerShown>>>,
    thread: OnceLock<Thread>,
    stopping: AtomicBool,
    /// Every shard has ended, or need not be thought of.
    all_ended: AtomicBool,
    draining: AtomicBool,
}

impl fmt::Debug for StoreChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreChannel").field("shards", &self.queues.len()).finish_non_exhaustive()
    }
}

impl StoreChannel {
    /// For the shards of a topology; nobody answers before [`super::thread::run`].
    /// The shards together may have jobs of so many bytes.
    pub(crate) fn new(topology: Topology, bytes_max: u64) -> StoreChannel {
        let queues = |_| ShardQueues {
            batches: ArrayQueue::new(1),
            answers: ArrayQueue::new(4),
            pieces: ArrayQueue::new(PIECES),
            errands: ArrayQueue::new(ERRANDS),
            era: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            wants_numbers: AtomicBool::new(false),
            kept: Mutex::new(None),
        };
        StoreChannel {
            queues: topology.owners().map(queues).collect(),
            bytes_max,
            hold: AtomicU64::new(u64::MAX),
            times: CommitTimes::default(),
            servers: Mutex::new(Arc::default()),
            thread: OnceLock::new(),
            stopping: AtomicBool::new(false),
            all_ended: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// The batch that was handed over, if it was not taken yet: by the thread, or by its own shard, which adds to it.
    pub(crate) fn take_back(&self, shard: ShardId) -> Option<Batch> {
        self.queues[shard.index()].batches.pop()
    }

    /// Hands over a batch. Only by the shard itself, after [`StoreChannel::take_back`].
    pub(crate) fn hand_over(&self, shard: ShardId, batch: Batch) {
        let handed = self.queues[shard.index()].batches.push(batch);
        assert!(handed.is_ok(), "a shard hands over one batch at a time");
        self.wake();
    }

    /// Whether a batch of a shard waits to be taken.
    pub(super) fn has_batch(&self, shard: ShardId) -> bool {
        !self.queues[shard.index()].batches.is_empty()
    }

    /// The next answer for a shard.
    #[inline]
    pub(crate) fn answer(&self, shard: ShardId) -> Option<Answer> {
        self.queues[shard.index()].answers.pop()
    }

    /// The next piece of the replay for a shard.
    pub(crate) fn piece(&self, shard: ShardId) -> Option<Piece> {
        self.queues[shard.index()].pieces.pop()
    }

    /// The next errand for a shard.
    pub(crate) fn errand(&self, shard: ShardId) -> Option<Errand> {
        self.queues[shard.index()].errands.pop()
    }

    /// Whether something waits for a shard.
    #[inline]
    pub(crate) fn waits_for(&self, shard: ShardId) -> bool {
        let queues = &self.queues[shard.index()];
        !queues.answers.is_empty() || !queues.pieces.is_empty() || !queues.errands.is_empty()
    }

    /// Until when stored jobs may be given to workers.
    #[inline]
    pub(crate) fn hold(&self) -> HoldUntil {
        match self.hold.load(Ordering::Acquire) {
            u64::MAX => HoldUntil::Ever,
            time => HoldUntil::Time(BootTime(time)),
        }
    }

    /// For the thread: see [`StoreChannel::hold`]. Returns what it was.
    pub(super) fn set_hold(&self, until: HoldUntil) -> HoldUntil {
        let number = match until {
            HoldUntil::Ever => u64::MAX,
            HoldUntil::Time(time) => time.0.min(u64::MAX - 1),
        };
        match self.hold.swap(number, Ordering::AcqRel) {
            u64::MAX => HoldUntil::Ever,
            time => HoldUntil::Time(BootTime(time)),
        }
    }

    /// Notes that a shard has forgotten the jobs of earlier eras.
    pub(crate) fn heard_of_era(&self, shard: ShardId, era: u64) {
        self.queues[shard.index()].era.store(era, Ordering::Release);
        self.wake();
    }

    /// Whether every shard has.
    pub(super) fn all_heard_of_era(&self, era: u64) -> bool {
        self.queues.iter().all(|queues| queues.era.load(Ordering::Acquire) >= era)
    }

    /// Notes how many bytes the jobs of a shard have.
    #[inline]
    pub(crate) fn note_bytes(&self, shard: ShardId, bytes: u64) {
        self.queues[shard.index()].bytes.store(bytes, Ordering::Relaxed);
    }

    /// A shard wants more numbers for jobs.
    pub(crate) fn want_numbers(&self, shard: ShardId) {
        self.queues[shard.index()].wants_numbers.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether a shard wants more numbers, and has not got them.
    pub(super) fn wants_numbers(&self, shard: ShardId) -> bool {
        self.queues[shard.index()].wants_numbers.load(Ordering::Acquire)
    }

    /// What a shard wanted, it gets.
    pub(super) fn has_numbers(&self, shard: ShardId) {
        self.queues[shard.index()].wants_numbers.store(false, Ordering::Release);
    }

    /// What this server has to do.
    pub(super) fn load(&self) -> ServerLoad {
        let bytes = self.queues.iter().map(|queues| queues.bytes.load(Ordering::Relaxed)).sum();
        ServerLoad { bytes, room: self.bytes_max.saturating_sub(bytes) }
    }

    /// Who shares the store, as of the last look; nobody, if it is not shared.
    pub(crate) fn servers(&self) -> Arc<Vec<ServerShown>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For the thread: see [`StoreChannel::servers`].
    pub(super) fn set_servers(&self, servers: Vec<ServerShown>) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(servers);
    }

    /// This server drains: stored jobs that wait are for others, if there are any.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.wake();
    }

    /// For the thread: see [`StoreChannel::drain`].
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A shard has left the stored jobs that wait to others: these have stayed. What it wanted stored before was handed over.
    pub(crate) fn has_kept(&self, shard: ShardId, jobs: Vec<JobId>) {
        *self.queues[shard.index()].kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(jobs);
        self.wake();
    }

    /// For the thread: what has stayed on all shards, once all have said so.
    pub(super) fn kept(&self) -> Option<Vec<JobId>> {
        let mut all = Vec::new();
        for queues in &self.queues {
            all.extend(queues.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?);
        }
        Some(all)
    }

    /// Asks the thread to end when everything that was handed over is answered. `all_ended` says whether no shard can give out a job
    /// any more.
    pub(crate) fn stop(&self, all_ended: bool) {
        self.all_ended.store(all_ended, Ordering::Release);
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// For the thread, when it ends: see [`StoreChannel::stop`].
    pub(super) fn have_all_ended(&self) -> bool {
        self.all_ended.load(Ordering::Acquire)
    }

    /// Says which thread is to be woken when something was handed over.
    pub(super) fn served_by(&self, thread: Thread) {
        // Nobody else serves this channel.
        let _ = self.thread.set(thread);
    }

    /// Whether the thread is to end when nothing is left.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Answers a batch.
    pub(super) fn put_answer(&self, shard: ShardId, answer: Answer) {
        let answered = self.queues[shard.index()].answers.push(answer);
        assert!(answered.is_ok(), "a shard has no more than three batches under way");
    }

    /// Gives a shard an errand; it comes back if there is no room for it.
    pub(super) fn put_errand(&self, shard: ShardId, errand: Errand) -> Result<(), Errand> {
        self.queues[shard.index()].errands.push(errand)
    }

    /// Gives a shard a piece of the replay; it comes back if there is no room for it.
    pub(super) fn put_piece(&self, shard: ShardId, piece: Piece) -> Result<(), Piece> {
        self.queues[shard.index()].pieces.push(piece)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
