//! What this shard wants stored, on its way to the thread of the store, and the answers. Group commit: while one batch
//! is under way, the next gathers here. How records look is `store/record.rs`.
use crate::engine::{Engine, ShardId, StoreOp, StoreSeq};
use crate::store::keeper::{Answer, Batch, Desk};
use crate::store::record;
use std::sync::Arc;

/// The store, as one shard sees it.
#[derive(Debug)]
pub(crate) struct Commit {
    shard: ShardId,
    desk: Arc<Desk>,
    /// What gathers.
    records: Vec<u8>,
    upto: StoreSeq,
    /// Whether something gathers; a put whose job is gone already is a number without a record.
    pending: bool,
    /// Bytes handed over and not answered.
    under_way: usize,
    batches: u32,
    /// With so many bytes waiting for the store, sockets are not read.
    bytes_max: usize,
    spare: Vec<u8>,
}

impl Commit {
    /// Buffers larger than this are not kept.
    const SPARE_MAX: usize = 1 << 20;

    pub(crate) fn new(shard: ShardId, desk: Arc<Desk>, bytes_max: usize) -> Commit {
        Commit {
            shard,
            desk,
            records: Vec::new(),
            upto: StoreSeq::default(),
            pending: false,
            under_way: 0,
            batches: 0,
            bytes_max,
            spare: Vec::new(),
        }
    }

    /// Adds what the engine wants stored. To be called before the engine gets its next input.
    #[inline]
    pub(crate) fn add(&mut self, op: StoreOp, engine: &Engine) {
        self.pending = true;
        match op {
            StoreOp::Put { seq, id } => {
                self.upto = seq;
                // A job that is gone already has a done record behind this, which does no harm alone.
                if let Some(job) = engine.stored_job(id) {
                    record::put(&job, &mut self.records);
                }
            }
            StoreOp::Done { id } => record::done(id, &mut self.records),
        }
    }

    /// Hands over what has gathered, if the last batch was taken.
    #[inline]
    pub(crate) fn hand_over(&mut self) {
        if !self.pending || !self.desk.has_room(self.shard) {
            return;
        }
        self.pending = false;
        let records = std::mem::replace(&mut self.records, std::mem::take(&mut self.spare));
        self.under_way += records.len();
        self.batches += 1;
        self.desk.hand_over(self.shard, Batch { records, upto: self.upto });
    }

    /// The next answer: up to where, whether it is kept, and whether it is the first of its commit.
    #[inline]
    pub(crate) fn answer(&mut self) -> Option<(StoreSeq, bool, bool)> {
        let Answer { upto, kept, first, bytes, buffer } = self.desk.answer(self.shard)?;
        self.under_way -= bytes;
        self.batches -= 1;
        if buffer.capacity() > self.spare.capacity() && buffer.capacity() <= Self::SPARE_MAX {
            self.spare = buffer;
        }
        Some((upto, kept, first))
    }

    /// Whether an answer or a piece of a replay is there.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.desk.waits_for(self.shard)
    }

    /// Whether so much waits for the store that no more should be read from sockets.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.records.len() + self.under_way > self.bytes_max
    }

    /// Whether nothing gathers and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        !self.pending && self.batches == 0
    }

    /// Where pieces of a replay come from.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }
}
