//! What this shard wants stored, on its way to the thread of the store, and the answers. Group commit: while one batch
//! is under way, the next gathers here. How records look is `store/record.rs`.
use crate::engine::{Instant, JobId, JobsToKeep, SHARED_MIN, ShardId, StoreOp, StoreSeq};
use crate::store::channel::{Answer, Batch, StoreChannel};
use crate::store::gathered::Gathered;
use std::sync::Arc;

/// A piece of what the store has answered, for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// There was a commit.
    Commit,
    /// What was not answered up to here is kept.
    Kept(StoreSeq),
    /// What was not answered up to here is not kept.
    Refused(StoreSeq),
    /// This one is not kept, because another server has such a job: this one.
    Elsewhere(StoreSeq, JobId),
}

/// The store, as one shard sees it.
#[derive(Debug)]
pub(crate) struct Commit {
    shard: ShardId,
    desk: Arc<StoreChannel>,
    /// What gathers.
    records: Gathered,
    /// What was handed over goes up to here, and what gathers up to there.
    from: StoreSeq,
    upto: StoreSeq,
    /// Jobs that were to be put again and are not there.
    unknown: Vec<JobId>,
    /// Puts among what gathers that have no record.
    gaps: Vec<StoreSeq>,
    /// Since when something gathers; a put whose job is gone already is a number without a record.
    since: Option<Instant>,
    /// Bytes handed over and not answered, those included that are shared with jobs: they stay until the store has written
    /// them, also if their jobs end.
    under_way: usize,
    batches: u32,
    /// The engine was told of all puts up to here, and is being told of this.
    told: StoreSeq,
    answer: Option<Answer>,
    /// With more bytes waiting for the store, no more is to be put there.
    bytes_max: usize,
    /// What the engine was told of that.
    full_told: bool,
    spare: Vec<u8>,
    /// How often this server was taken over, as far as the engine knows, and how often when what gathers began to.
    era: u64,
    gathers_since_era: Option<u64>,
}

impl Commit {
    /// With so many bytes a commit costs by the byte, and waits for no more.
    const FULL: usize = 256 << 10;
    /// Buffers larger than this are not kept.
    const SPARE_MAX: usize = 1 << 20;
    /// Puts of which the engine is told at a time.
    const STEP: u64 = 256;

    pub(crate) fn new(shard: ShardId, desk: Arc<StoreChannel>, bytes_max: usize) -> Commit {
        Commit {
            shard,
            desk,
            records: Gathered::default(),
            from: StoreSeq::default(),
            upto: StoreSeq::default(),
            unknown: Vec::new(),
            gaps: Vec::new(),
            since: None,
            under_way: 0,
            batches: 0,
            told: StoreSeq::default(),
            answer: None,
            bytes_max,
            full_told: false,
            spare: Vec::new(),
            era: 0,
            gathers_since_era: None,
        }
    }

    /// Adds what the engine wants stored. The jobs are those that came with this.
    #[inline]
    pub(crate) fn add(&mut self, op: StoreOp, jobs: JobsToKeep<'_>, now: Instant) {
        self.since.get_or_insert(now);
        self.gathers_since_era.get_or_insert(self.era);
        match op {
            StoreOp::Put { seq, id } => {
                self.upto = seq;
                // A job that is gone already has a done record behind this, which does no harm alone.
                match jobs.find(id) {
                    Some(job) => {
                        let large = job.workload.len() >= SHARED_MIN;
                        let shared = if large { jobs.shared_workload(id) } else { None };
                        self.records.put(&job, shared);
                    }
                    None => self.gaps.push(seq),
                }
            }
            StoreOp::Attempts { id, attempts } => self.records.attempts(id, attempts),
            StoreOp::Done { id } => self.records.done(id),
            StoreOp::Unknown { id } => self.unknown.push(id),
        }
    }

    /// Whether something waits to be handed over.
    #[inline]
    pub(crate) fn gathers(&self) -> bool {
        self.since.is_some()
    }

    /// Hands over what has gathered, together with what was handed over and not taken yet: a commit costs the same
    /// whether it is of one job or of hundreds. `limit` is for how many nanoseconds it may gather in the hope of more.
    /// True if it goes on gathering for that hope.
    #[inline]
    pub(crate) fn hand_over(&mut self, now: Instant, limit: u64) -> bool {
        let Some(since) = self.since else { return false };
        if now.0.saturating_sub(since.0) < limit && self.records.len() < Self::FULL {
            return true;
        }
        self.since = None;
        let upto = self.upto;
        let mut unknown = std::mem::take(&mut self.unknown);
        let era = self.gathers_since_era.take().unwrap_or(self.era);
        let batch = match self.desk.take_back(self.shard) {
            Some(mut batch) => {
                batch.unknown.append(&mut unknown);
                self.under_way -= batch.records.len();
                self.batches -= 1;
                batch.records.append(&mut self.records);
                batch.gaps.append(&mut self.gaps);
                Batch { upto, era: batch.era.min(era), ..batch }
            }
            None => {
                let next = Gathered::within(std::mem::take(&mut self.spare));
                let records = std::mem::replace(&mut self.records, next);
                let gaps = std::mem::take(&mut self.gaps);
                Batch { records, era, from: self.from, upto, gaps, unknown }
            }
        };
        self.from = upto;
        self.under_way += batch.records.len();
        self.batches += 1;
        self.desk.hand_over(self.shard, batch);
        false
    }

    /// The next piece of what the store has answered.
    #[inline]
    pub(crate) fn tell(&mut self) -> Option<Told> {
        loop {
            match &mut self.answer {
                Some(answer) => {
                    if let Some(told) = Self::piece(answer, self.told) {
                        if let Told::Kept(upto) | Told::Refused(upto) | Told::Elsewhere(upto, _) = told {
                            self.told = upto;
                        }
                        return Some(told);
                    }
                    self.answer = None;
                }
                None => self.answer = Some(self.next_answer()?),
            }
        }
    }

    fn next_answer(&mut self) -> Option<Answer> {
        let mut answer = self.desk.answer(self.shard)?;
        self.under_way -= answer.bytes;
        self.batches -= 1;
        let buffer = std::mem::take(&mut answer.buffer);
        if buffer.capacity() > self.spare.capacity() && buffer.capacity() <= Self::SPARE_MAX {
            self.spare = buffer;
        }
        Some(answer)
    }

    /// What follows in an answer when the engine has been told so far; `None` at its end.
    fn piece(answer: &mut Answer, told: StoreSeq) -> Option<Told> {
        if std::mem::take(&mut answer.first) {
            return Some(Told::Commit);
        }
        // What is over.
        let over = answer.refused.iter().take_while(|(_, to)| *to <= told).count();
        answer.refused.drain(..over);
        let over = answer.elsewhere.iter().take_while(|(at, _)| *at <= told).count();
        answer.elsewhere.drain(..over);
        let step = |until: StoreSeq| StoreSeq(until.0.min(told.0 + Self::STEP));
        let elsewhere = answer.elsewhere.first().copied();
        match (answer.refused.first(), elsewhere) {
            (_, Some((at, there))) if at.0 == told.0 + 1 => Some(Told::Elsewhere(at, there)),
            (Some(&(from, to)), None) if from.0 <= told.0 + 1 => Some(Told::Refused(step(to))),
            (Some(&(from, to)), Some((at, _))) if from.0 <= told.0 + 1 => {
                Some(Told::Refused(step(to.min(StoreSeq(at.0 - 1)))))
            }
            (refused, elsewhere) => {
                let next = [refused.map(|(from, _)| *from), elsewhere.map(|(at, _)| at)];
                let upto = next.into_iter().flatten().min().map_or(answer.upto, |at| StoreSeq(at.0 - 1));
                (told < upto).then(|| Told::Kept(step(upto)))
            }
        }
    }

    /// From now on the engine knows that this server was taken over so often.
    pub(crate) fn is_of_era(&mut self, era: u64) {
        self.era = era;
        self.desk.heard_of_era(self.shard, era);
    }

    /// Whether an answer or a piece of a replay is there.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.answer.is_some() || self.desk.waits_for(self.shard)
    }

    /// Whether so much waits for the store that no more should be put there; if that is not what the engine was told last.
    #[inline]
    pub(crate) fn fullness(&mut self) -> Option<bool> {
        let full = self.records.len() + self.under_way > self.bytes_max;
        let changed = full != self.full_told;
        self.full_told = full;
        changed.then_some(full)
    }

    /// Whether nothing gathers and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        !self.gathers() && self.batches == 0 && self.answer.is_none()
    }

    /// Where pieces of a replay come from.
    pub(crate) fn desk(&self) -> &StoreChannel {
        &self.desk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Board, Engine, HandlePrefix, Policy, Topology};
    use crate::store::record;

    const LIMIT: u64 = 500;

    fn of_one_shard() -> (Commit, Arc<StoreChannel>, Engine) {
        let topology = Topology::new(1);
        let desk = Arc::new(StoreChannel::new(topology, u64::MAX));
        let engine = Engine::new(
            ShardId(0),
            Board::new(topology),
            Arc::new(Policy::new(HandlePrefix::new(b"H").unwrap())),
        );
        (Commit::new(ShardId(0), desk.clone(), 1 << 20), desk, engine)
    }

    fn done(number: u64) -> StoreOp {
        StoreOp::Done { id: JobId::from_number(1 << 40 | number).unwrap() }
    }

    fn record(number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        record::done(JobId::from_number(1 << 40 | number).unwrap(), &mut bytes);
        bytes
    }

    fn taken(desk: &StoreChannel) -> Vec<u8> {
        desk.take_back(ShardId(0)).unwrap().records.slices().concat()
    }

    #[test]
    fn gathers_while_there_is_hope_for_more_and_no_longer() {
        let (mut commit, desk, engine) = of_one_shard();
        assert!(!commit.hand_over(Instant(1000), LIMIT), "nothing gathers");
        commit.add(done(1), engine.jobs_to_keep(), Instant(1000));
        assert!(commit.hand_over(Instant(1000), LIMIT));
        commit.add(done(2), engine.jobs_to_keep(), Instant(1499));
        assert!(commit.hand_over(Instant(1499), LIMIT));
        assert!(desk.take_back(ShardId(0)).is_none() && !commit.is_idle());
        assert!(!commit.hand_over(Instant(1500), LIMIT));
        assert_eq!(taken(&desk), [record(1), record(2)].concat());

        commit.add(done(3), engine.jobs_to_keep(), Instant(1600));
        assert!(!commit.hand_over(Instant(1600), 0), "the shard has nothing else to do");
        assert_eq!(taken(&desk), record(3));
    }

    #[test]
    fn a_full_batch_waits_for_no_more() {
        let (mut commit, _desk, engine) = of_one_shard();
        while commit.records.len() < Commit::FULL {
            commit.add(done(1), engine.jobs_to_keep(), Instant(1000));
        }
        assert!(!commit.hand_over(Instant(1000), LIMIT));
    }

    #[test]
    fn what_was_not_taken_is_added_to() {
        let (mut commit, desk, engine) = of_one_shard();
        commit.add(done(1), engine.jobs_to_keep(), Instant(1000));
        commit.hand_over(Instant(1000), 0);
        commit.add(done(2), engine.jobs_to_keep(), Instant(1000));
        commit.hand_over(Instant(1000), 0);
        assert_eq!((commit.batches, commit.under_way), (1, 2 * record(1).len()));
        assert_eq!(taken(&desk), [record(1), record(2)].concat());

        // One that was taken is out of reach.
        commit.add(done(3), engine.jobs_to_keep(), Instant(1000));
        commit.hand_over(Instant(1000), 0);
        assert_eq!((commit.batches, commit.under_way), (2, 3 * record(1).len()));
        assert_eq!(taken(&desk), record(3));
    }

    #[test]
    fn the_engine_is_told_in_pieces() {
        let row = |from, to| (StoreSeq(from), StoreSeq(to));
        let pieces_of = |first, refused, elsewhere, mut told, upto| {
            let mut answer =
                Answer { upto: StoreSeq(upto), refused, elsewhere, first, bytes: 0, buffer: Vec::new() };
            let mut pieces = Vec::new();
            while let Some(piece) = Commit::piece(&mut answer, told) {
                if let Told::Kept(upto) | Told::Refused(upto) | Told::Elsewhere(upto, _) = piece {
                    told = upto;
                }
                pieces.push(piece);
            }
            pieces
        };
        let pieces = |first, refused, told, upto| pieces_of(first, refused, Vec::new(), told, upto);
        let kept = |upto| Told::Kept(StoreSeq(upto));
        let refused = |upto| Told::Refused(StoreSeq(upto));
        assert_eq!(pieces(true, Vec::new(), StoreSeq(7), 7), [Told::Commit]);
        assert_eq!(pieces(false, Vec::new(), StoreSeq(7), 600), [kept(263), kept(519), kept(600)]);
        let rows = vec![row(8, 8), row(10, 300), row(302, 302)];
        let all = [refused(8), kept(9), refused(265), refused(300), kept(301), refused(302)];
        assert_eq!(pieces(false, rows.clone(), StoreSeq(7), 302), all);
        assert_eq!(pieces(false, rows, StoreSeq(7), 303), [&all[..], &[kept(303)]].concat());
        let there = JobId::from_number(1 << 40).unwrap();
        let elsewhere = |seq| (StoreSeq(seq), there);
        let is = |seq| Told::Elsewhere(StoreSeq(seq), there);
        let some = vec![elsewhere(8), elsewhere(10), elsewhere(13)];
        assert_eq!(
            pieces_of(false, vec![row(11, 12)], some, StoreSeq(7), 14),
            [is(8), kept(9), is(10), refused(12), is(13), kept(14)]
        );
    }
}
