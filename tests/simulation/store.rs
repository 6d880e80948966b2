//! A pretend store: what shards want kept becomes durable in batches, some time later; batches fail, wholly or in part;
//! and at any moment the power goes. It keeps promises and nothing else: which is what the shards rely on.
use crate::cluster::ToStore;
use crate::kept::Kept;
use crate::random::Random;
use ringgear_engine::{JobId, ShardId, StoreSeq};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Not begun, in the order in which shards asked.
    waiting: VecDeque<(ShardId, ToStore)>,
    /// Shards that are to be told of a batch: up to where, and whether it was kept.
    answers: VecDeque<(ShardId, StoreSeq, bool)>,
    /// By the place that each job got when it was first kept.
    kept: BTreeMap<u64, Kept>,
    places: BTreeMap<JobId, u64>,
    next: u64,
    /// Jobs whose end could not be kept.
    undone: BTreeSet<JobId>,
    /// Jobs of which something later than what is kept could not be kept.
    outdated: BTreeSet<JobId>,
    /// Jobs that are kept and cannot be read any more, until they are put again.
    unread: BTreeSet<JobId>,
    /// The largest sequence of a job that was ever to be kept.
    sequence: u64,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Jobs that are kept now, perhaps though it failed.
    pub(crate) kept: Vec<JobId>,
    pub(crate) failed: bool,
}

/// What is there after a crash.
#[derive(Debug)]
pub(crate) struct Remains {
    /// In the order in which the jobs were first kept.
    pub(crate) jobs: Vec<Kept>,
    /// Jobs that had ended, which the store was told and has not kept.
    pub(crate) undone: BTreeSet<JobId>,
}

impl Store {
    pub(crate) fn ask(&mut self, shard: ShardId, asked: ToStore) {
        if let ToStore::Put(_, Some(job)) = &asked {
            self.sequence = self.sequence.max(job.id.sequence());
        }
        self.waiting.push_back((shard, asked));
    }

    /// Whether a batch could be committed, and whether an answer could be given.
    pub(crate) fn has_work(&self) -> (bool, bool) {
        (!self.waiting.is_empty(), !self.answers.is_empty())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.has_work() == (false, false)
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Commits some of what waits. It fails so many times in a thousand: then some of it may be kept all the same.
    pub(crate) fn commit(&mut self, random: &mut Random, fails: u32) -> Batch {
        let count = random.between(1, self.waiting.len() as u64) as usize;
        let failed = random.chance(fails);
        let dones_too = failed && random.chance(500);
        let mut batch = Batch { kept: Vec::new(), failed };
        let mut told: BTreeMap<ShardId, StoreSeq> = BTreeMap::new();
        for (shard, asked) in self.waiting.drain(..count).collect::<Vec<_>>() {
            if let ToStore::Put(seq, _) = asked {
                told.insert(shard, seq);
            }
            let lost = match asked {
                ToStore::Put(..) => failed && random.chance(700),
                ToStore::Done(_) => dones_too,
                ToStore::Unknown(_) => false,
            };
            match asked {
                ToStore::Put(_, Some(job)) if failed && lost => {
                    // The real one asks again.
                    self.unread.remove(&job.id);
                    self.outdated.insert(job.id);
                }
                ToStore::Done(id) if lost => {
                    self.unread.remove(&id);
                    self.undone.insert(id);
                }
                ToStore::Put(_, Some(job)) => {
                    batch.kept.push(job.id);
                    self.apply_put(job);
                }
                ToStore::Put(_, None) => {}
                ToStore::Done(id) => self.apply_done(id),
                ToStore::Unknown(id) => self.apply_unknown(id),
            }
        }
        self.answers.extend(told.into_iter().map(|(shard, seq)| (shard, seq, !failed)));
        batch
    }

    /// The next answer for a shard.
    pub(crate) fn answer(&mut self) -> Option<(ShardId, StoreSeq, bool)> {
        self.answers.pop_front()
    }

    /// The power goes: some of what waits, the first of it, may have been kept.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Remains {
        // Often nearly all of it, so that what belongs together is torn apart.
        let most = self.waiting.len() as u64;
        let count =
            if random.chance(500) { random.below(most + 1) } else { most.saturating_sub(random.below(3)) };
        for (_, asked) in self.waiting.drain(..count as usize).collect::<Vec<_>>() {
            match asked {
                ToStore::Put(_, Some(job)) => self.apply_put(job),
                ToStore::Put(_, None) => {}
                ToStore::Done(id) => self.apply_done(id),
                ToStore::Unknown(id) => self.apply_unknown(id),
            }
        }
        let lost = self.waiting.drain(..).filter_map(|(_, asked)| match asked {
            ToStore::Done(id) => Some(id),
            ToStore::Put(..) | ToStore::Unknown(_) => None,
        });
        self.undone.extend(lost);
        self.answers.clear();
        self.outdated.clear();
        // It was read just before the power went.
        self.unread.clear();
        Remains { jobs: self.kept.values().cloned().collect(), undone: std::mem::take(&mut self.undone) }
    }

    /// What is kept of jobs that have not ended as far as the store was told, and whether it is up to date.
    pub(crate) fn living(&self) -> impl Iterator<Item = (&Kept, bool)> {
        let living = self.kept.values().filter(|job| !self.undone.contains(&job.id));
        living.map(|job| (job, !self.outdated.contains(&job.id)))
    }

    /// A piece of what is kept cannot be read any more: these jobs.
    pub(crate) fn rot(&mut self, random: &mut Random) -> Vec<JobId> {
        let all: Vec<JobId> = self.kept.values().map(|job| job.id).collect();
        let first = random.below(all.len() as u64 + 1) as usize;
        let rotten: Vec<JobId> = all[first..].iter().take(1 + random.below(4) as usize).copied().collect();
        self.unread.extend(&rotten);
        rotten
    }

    /// What cannot be read, and was neither put again nor has ended.
    pub(crate) fn unread(&self) -> &BTreeSet<JobId> {
        &self.unread
    }

    fn apply_unknown(&mut self, id: JobId) {
        // Its end was said before, whether or not it could be kept.
        let ended = !self.places.contains_key(&id) || self.undone.contains(&id);
        assert!(ended, "[whoever has a job puts it again] {id:?}");
        self.unread.remove(&id);
    }

    fn apply_put(&mut self, job: Kept) {
        self.unread.remove(&job.id);
        // A job that could not be kept may be wanted again later.
        self.undone.remove(&job.id);
        self.outdated.remove(&job.id);
        let place = *self.places.entry(job.id).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.kept.insert(place, job);
    }

    fn apply_done(&mut self, id: JobId) {
        self.unread.remove(&id);
        self.undone.remove(&id);
        self.outdated.remove(&id);
        if let Some(place) = self.places.remove(&id) {
            self.kept.remove(&place);
        }
    }
}
