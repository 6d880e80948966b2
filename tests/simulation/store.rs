//! A pretend store: what shards want kept becomes durable in batches, some time later; batches fail, wholly or in part;
//! single puts are refused; it hangs, and comes back late; and at any moment the power goes. It keeps promises and
//! nothing else: which is what the shards rely on.
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
    answers: VecDeque<Answer>,
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
    /// It does nothing at all.
    hung: bool,
}

/// What a shard is to be told of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) shard: ShardId,
    /// Up to where.
    pub(crate) upto: StoreSeq,
    pub(crate) kept: bool,
    /// The job, if its put alone was refused.
    pub(crate) alone: Option<Kept>,
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
        (!self.hung && !self.waiting.is_empty(), !self.hung && !self.answers.is_empty())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.answers.is_empty()
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.hung
    }

    pub(crate) fn hang(&mut self, hung: bool) {
        self.hung = hung;
    }

    /// How much of a shard waits.
    pub(crate) fn load(&self, of: ShardId) -> usize {
        self.waiting.iter().filter(|&&(shard, _)| shard == of).count()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Commits some of what waits. It fails so many times in a thousand: then some of it may be kept all the same. Of the
    /// puts of a batch that does not fail, so many in a thousand are refused.
    pub(crate) fn commit(&mut self, random: &mut Random, fails: u32, refuses: u32) -> Batch {
        let count = random.between(1, self.waiting.len() as u64) as usize;
        let failed = random.chance(fails);
        let dones_too = failed && random.chance(500);
        let mut batch = Batch { kept: Vec::new(), failed };
        let mut told: BTreeMap<ShardId, StoreSeq> = BTreeMap::new();
        for (shard, asked) in self.waiting.drain(..count).collect::<Vec<_>>() {
            let refused = !failed && matches!(asked, ToStore::Put(_, Some(_))) && random.chance(refuses);
            if let ToStore::Put(seq, job) = &asked {
                if refused {
                    let before = StoreSeq(seq.0 - 1);
                    self.answers.push_back(Answer { shard, upto: before, kept: true, alone: None });
                    self.answers.push_back(Answer { shard, upto: *seq, kept: false, alone: job.clone() });
                }
                told.insert(shard, *seq);
            }
            let lost = match asked {
                ToStore::Put(..) => (failed || refused) && random.chance(700),
                ToStore::Attempts(..) => failed,
                ToStore::Done(_) => dones_too,
                ToStore::Unknown(_) => false,
            };
            match asked {
                ToStore::Put(_, Some(job)) if lost => {
                    // The real one asks again.
                    self.unread.remove(&job.id);
                    self.outdated.insert(job.id);
                }
                ToStore::Attempts(id, _) if lost => {
                    self.outdated.insert(id);
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
                ToStore::Attempts(id, lost) => self.apply_attempts(id, lost),
                ToStore::Done(id) => self.apply_done(id),
                ToStore::Unknown(id) => self.apply_unknown(id),
            }
        }
        let kept = !failed;
        let answers = told.into_iter().map(|(shard, upto)| Answer { shard, upto, kept, alone: None });
        self.answers.extend(answers);
        batch
    }

    /// The next answer for a shard.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
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
                ToStore::Attempts(id, lost) => self.apply_attempts(id, lost),
                ToStore::Done(id) => self.apply_done(id),
                ToStore::Unknown(id) => self.apply_unknown(id),
            }
        }
        let lost = self.waiting.drain(..).filter_map(|(_, asked)| match asked {
            ToStore::Done(id) => Some(id),
            ToStore::Put(..) | ToStore::Attempts(..) | ToStore::Unknown(_) => None,
        });
        self.undone.extend(lost);
        self.answers.clear();
        self.outdated.clear();
        // It was read just before the power went.
        self.unread.clear();
        self.hung = false;
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

    fn apply_attempts(&mut self, id: JobId, lost: u8) {
        // Those of a dead job are in its put: this one was put back and run, and the put of that was refused.
        let kept = self.places.get(&id).and_then(|place| self.kept.get_mut(place));
        if let Some(job) = kept.filter(|job| job.death.is_none()) {
            job.attempts = lost;
        }
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
