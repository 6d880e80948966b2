//! The index of uniques: which job a submission joins, and which job with a unique came last in any function. In parts, so
//! that growth never moves all of it at once.
//!
//! A job is found by its key alone, so that both questions are one look-up in one table. Where jobs of several functions
//! share a key, its entry leads to a [`Crowd`]: however many they are, finding, adding and removing one stays cheap.
use super::function::FunctionTable;
use super::index::{FunctionIx, JobIx};
use super::jobs::Jobs;
use crate::policy::{Planted, Policy};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Parts of the index. With a million jobs each holds some 4,000, and growing one takes well under a millisecond.
const PARTS: usize = 256;

/// Set in an entry that is no job's place but that of a crowd.
const CROWD: u32 = 1 << 31;

/// The most jobs of a crowd that are looked through one by one.
const FEW: usize = 8;
/// Of a larger crowd so many of the latest are looked at to find one that counts.
const LOOKS: usize = 64;

/// What a job is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// Its unique.
    Unique(&'a [u8]),
    /// Its workload: its unique is `-`.
    Workload(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The key of a job with this unique and workload; `None` if nothing may join it.
    pub(crate) fn of(unique: &'a [u8], workload: &'a [u8]) -> Option<Key<'a>> {
        match unique {
            b"-" => (!workload.is_empty()).then_some(Key::Workload(workload)),
            _ => (!unique.is_empty()).then_some(Key::Unique(unique)),
        }
    }
}

/// What a key hashes to: it is wanted twice if a job is looked for, not found, and made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash(u64);

/// Hashes keys, with the seed of the policy.
#[derive(Debug)]
pub(crate) struct KeyHasher {
    hasher: FixedState,
    /// A planted bug: functions share their keys.
    mixes_functions: bool,
}

impl KeyHasher {
    pub(crate) fn new(policy: &Policy) -> KeyHasher {
        KeyHasher {
            hasher: FixedState::with_seed(policy.hash_seed),
            mixes_functions: policy.plants(Planted::WrongCoalescing),
        }
    }

    pub(crate) fn hash(&self, key: Key<'_>) -> KeyHash {
        let (kind, bytes) = match key {
            Key::Unique(bytes) => (0, bytes),
            Key::Workload(bytes) => (1, bytes),
        };
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(kind);
        hasher.write(bytes);
        KeyHash(hasher.finish())
    }
}

/// What the index must know of the jobs in it, which it does not keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filed<'a> {
    pub(crate) jobs: &'a Jobs,
    pub(crate) functions: &'a FunctionTable,
    pub(crate) keys: &'a KeyHasher,
}

impl<'a> Filed<'a> {
    /// The key of a job; `None` if it is never filed.
    #[inline(always)]
    pub(crate) fn key(self, ix: JobIx) -> Option<Key<'a>> {
        let job = self.jobs.get(ix);
        let function_len = self.functions.get(job.function).name.len();
        Key::of(job.unique(function_len), job.workload(function_len))
    }

    /// Whether a job is filed under this key, if it is filed.
    #[inline(always)]
    fn has_key(self, ix: JobIx, key: Key<'_>) -> bool {
        let job = self.jobs.get(ix);
        let function_len = self.functions.get(job.function).name.len();
        match key {
            Key::Unique(unique) => job.unique(function_len) == unique,
            Key::Workload(workload) => {
                job.unique(function_len) == b"-" && job.workload(function_len) == workload
            }
        }
    }

    fn hash(self, ix: JobIx) -> u64 {
        self.keys.hash(self.key(ix).expect("a filed job has a key")).0
    }

    fn function(self, ix: JobIx) -> FunctionIx {
        self.jobs.get(ix).function
    }

    fn sequence(self, ix: JobIx) -> u64 {
        self.jobs.get(ix).id.sequence()
    }
}

/// Jobs that share a key: at most one of each function.
#[derive(Debug)]
enum Crowd {
    Few(Vec<JobIx>),
    Many {
        by_function: BTreeMap<FunctionIx, JobIx>,
        /// By when they were accepted.
        by_sequence: BTreeSet<(u64, JobIx)>,
    },
}

impl Crowd {
    fn count(&self) -> usize {
        match self {
            Crowd::Few(jobs) => jobs.len(),
            Crowd::Many { by_sequence, .. } => by_sequence.len(),
        }
    }

    /// Any of them.
    fn any(&self) -> JobIx {
        let any = match self {
            Crowd::Few(jobs) => jobs.first().copied(),
            Crowd::Many { by_sequence, .. } => by_sequence.first().map(|&(_, ix)| ix),
        };
        any.expect("a crowd has members")
    }

    fn of_function(&self, filed: Filed<'_>, function: FunctionIx) -> Option<JobIx> {
        match self {
            Crowd::Few(jobs) => jobs.iter().copied().find(|&ix| filed.function(ix) == function),
            Crowd::Many { by_function, .. } => by_function.get(&function).copied(),
        }
    }

    fn latest(&self, filed: Filed<'_>, counts: impl Fn(JobIx) -> bool) -> Option<JobIx> {
        match self {
            Crowd::Few(jobs) => {
                jobs.iter().copied().filter(|&ix| counts(ix)).max_by_key(|&ix| filed.sequence(ix))
            }
            Crowd::Many { by_sequence, .. } => {
                by_sequence.iter().rev().take(LOOKS).map(|&(_, ix)| ix).find(|&ix| counts(ix))
            }
        }
    }

    fn add(&mut self, filed: Filed<'_>, job: JobIx) {
        match self {
            Crowd::Few(jobs) if jobs.len() < FEW => jobs.push(job),
            Crowd::Few(jobs) => {
                jobs.push(job);
                let by_function = jobs.iter().map(|&ix| (filed.function(ix), ix)).collect();
                let by_sequence = jobs.iter().map(|&ix| (filed.sequence(ix), ix)).collect();
                *self = Crowd::Many { by_function, by_sequence };
            }
            Crowd::Many { by_function, by_sequence } => {
                by_function.insert(filed.function(job), job);
                by_sequence.insert((filed.sequence(job), job));
            }
        }
    }

    fn remove(&mut self, filed: Filed<'_>, job: JobIx) {
        match self {
            Crowd::Few(jobs) => jobs.retain(|&ix| ix != job),
            Crowd::Many { by_function, by_sequence } => {
                by_function.remove(&filed.function(job));
                by_sequence.remove(&(filed.sequence(job), job));
                if by_sequence.len() <= FEW / 2 {
                    *self = Crowd::Few(by_sequence.iter().map(|&(_, ix)| ix).collect());
                }
            }
        }
    }
}

/// A part of the index: the entries whose hashes are alike in some bits.
#[derive(Debug, Default)]
struct IndexPart {
    /// Places of jobs and, marked with [`CROWD`], of crowds.
    entries: HashTable<u32>,
    crowds: Vec<Crowd>,
    /// Places of crowds that are empty now.
    vacant: Vec<u32>,
}

/// Any job of an entry: all of them have its key.
fn any(crowds: &[Crowd], entry: u32) -> JobIx {
    if entry & CROWD == 0 { JobIx(entry) } else { crowds[(entry & !CROWD) as usize].any() }
}

impl IndexPart {
    fn crowd(&self, entry: u32) -> Option<&Crowd> {
        (entry & CROWD != 0).then(|| &self.crowds[(entry & !CROWD) as usize])
    }

    #[cold]
    fn crowd_of(crowds: &mut Vec<Crowd>, vacant: &mut Vec<u32>, jobs: Vec<JobIx>) -> u32 {
        let crowd = Crowd::Few(jobs);
        let at = match vacant.pop() {
            Some(at) => {
                crowds[at as usize] = crowd;
                at
            }
            None => {
                crowds.push(crowd);
                crowds.len() as u32 - 1
            }
        };
        at | CROWD
    }

    /// A crowd has lost a member. What its entry is from now on.
    #[cold]
    fn leave_crowd(
        crowds: &mut Vec<Crowd>,
        vacant: &mut Vec<u32>,
        entry: u32,
        filed: Filed<'_>,
        job: JobIx,
    ) -> u32 {
        let at = entry & !CROWD;
        let crowd = &mut crowds[at as usize];
        crowd.remove(filed, job);
        if crowd.count() > 1 {
            return entry;
        }
        let left = crowd.any();
        *crowd = Crowd::Few(Vec::new());
        vacant.push(at);
        if vacant.len() == crowds.len() {
            (*crowds, *vacant) = (Vec::new(), Vec::new());
        }
        left.0
    }
}

/// Jobs by key and function.
#[derive(Debug)]
pub(crate) struct Uniques {
    parts: Box<[IndexPart]>,
    count: u64,
}

impl Uniques {
    pub(crate) fn new() -> Uniques {
        Uniques { parts: (0..PARTS).map(|_| IndexPart::default()).collect(), count: 0 }
    }

    /// Jobs in the index.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the index can hold a job with this place. One that it cannot hold is just not joined.
    #[inline(always)]
    pub(crate) fn holds(ix: JobIx) -> bool {
        ix.0 & CROWD == 0
    }

    fn part(hash: u64) -> usize {
        // hashbrown uses the low bits for the bucket and the top seven for the tag; these are neither.
        (hash >> 40) as usize % PARTS
    }

    #[inline(always)]
    fn entry(&self, filed: Filed<'_>, key: Key<'_>, KeyHash(hash): KeyHash) -> Option<(&IndexPart, u32)> {
        let part = &self.parts[Self::part(hash)];
        let has_key = |&entry: &u32| filed.has_key(any(&part.crowds, entry), key);
        part.entries.find(hash, has_key).map(|&entry| (part, entry))
    }

    /// The job of a function that is filed under this key.
    pub(crate) fn find(&self, filed: Filed<'_>, function: FunctionIx, key: Key<'_>) -> Option<JobIx> {
        self.find_hashed(filed, function, key, filed.keys.hash(key))
    }

    /// The same, for a key that is hashed already.
    #[inline(always)]
    pub(crate) fn find_hashed(
        &self,
        filed: Filed<'_>,
        function: FunctionIx,
        key: Key<'_>,
        hash: KeyHash,
    ) -> Option<JobIx> {
        let (part, entry) = self.entry(filed, key, hash)?;
        match part.crowd(entry) {
            Some(crowd) => crowd.of_function(filed, function),
            None => {
                let is_its = filed.function(JobIx(entry)) == function || filed.keys.mixes_functions;
                is_its.then_some(JobIx(entry))
            }
        }
    }

    /// The job, of any function, that is filed under this key, counts, and was accepted last.
    pub(crate) fn latest(
        &self,
        filed: Filed<'_>,
        key: Key<'_>,
        counts: impl Fn(JobIx) -> bool,
    ) -> Option<JobIx> {
        let (part, entry) = self.entry(filed, key, filed.keys.hash(key))?;
        match part.crowd(entry) {
            Some(crowd) => crowd.latest(filed, counts),
            None => Some(JobIx(entry)).filter(|&ix| counts(ix)),
        }
    }

    /// Files a job; none of its function has this key.
    #[inline(always)]
    pub(crate) fn insert(&mut self, filed: Filed<'_>, key: Key<'_>, KeyHash(hash): KeyHash, job: JobIx) {
        let IndexPart { entries, crowds, vacant } = &mut self.parts[Self::part(hash)];
        let has_key = |&entry: &u32| filed.has_key(any(crowds, entry), key);
        match entries.entry(hash, has_key, |&entry| filed.hash(any(crowds, entry))) {
            Entry::Vacant(place) => {
                place.insert(job.0);
            }
            Entry::Occupied(mut place) => match *place.get() {
                entry if entry & CROWD != 0 => crowds[(entry & !CROWD) as usize].add(filed, job),
                entry => {
                    let both = [JobIx(entry), job].to_vec();
                    *place.get_mut() = IndexPart::crowd_of(crowds, vacant, both);
                }
            },
        }
        self.count += 1;
    }

    /// Takes a filed job out. A part that has become sparse is shrunk.
    pub(crate) fn remove(&mut self, filed: Filed<'_>, key: Key<'_>, job: JobIx) {
        let KeyHash(hash) = filed.keys.hash(key);
        let IndexPart { entries, crowds, vacant } = &mut self.parts[Self::part(hash)];
        let is_it =
            |&entry: &u32| entry == job.0 || entry & CROWD != 0 && filed.has_key(any(crowds, entry), key);
        let Ok(mut place) = entries.find_entry(hash, is_it) else {
            panic!("job at {job:?} is not filed under its key")
        };
        if *place.get() == job.0 {
            place.remove();
        } else {
            let entry = *place.get();
            *place.get_mut() = IndexPart::leave_crowd(crowds, vacant, entry, filed, job);
        }
        if entries.capacity() > 64 && entries.len() < entries.capacity() / 8 {
            entries.shrink_to(entries.len() * 2, |&entry| filed.hash(any(crowds, entry)));
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Job;
    use super::*;
    use crate::slot::{HandlePrefix, JobId, ShardId, Slot};
    use ringgear_protocol::Priority;

    struct World {
        jobs: Jobs,
        functions: FunctionTable,
        keys: KeyHasher,
        uniques: Uniques,
        sequence: u64,
    }

    impl World {
        fn new() -> World {
            let policy = Policy::new(HandlePrefix::new(b"H").unwrap());
            World {
                jobs: Jobs::default(),
                functions: FunctionTable::new(
                    ShardId(0),
                    &policy,
                    crate::board::Board::new(crate::slot::Topology::new(1)),
                ),
                keys: KeyHasher::new(&policy),
                uniques: Uniques::new(),
                sequence: 0,
            }
        }

        fn filed(&self) -> Filed<'_> {
            Filed { jobs: &self.jobs, functions: &self.functions, keys: &self.keys }
        }

        fn submit(&mut self, function: &[u8], unique: &[u8]) -> JobIx {
            let ix = self.functions.find_or_create(function).unwrap();
            self.sequence += 1;
            let id = JobId::new(self.sequence, Slot::of(function));
            let body = [function, b"\0", unique, b"\0w"].concat().into_boxed_slice();
            let len = unique.len() as u8;
            let ix =
                self.jobs.insert(Job::new(id, ix, Priority::Normal, true, len, body.into_vec().into(), 0));
            let filed = Filed { jobs: &self.jobs, functions: &self.functions, keys: &self.keys };
            let key = filed.key(ix).unwrap();
            self.uniques.insert(filed, key, filed.keys.hash(key), ix);
            ix
        }

        fn end(&mut self, ix: JobIx) {
            let filed = Filed { jobs: &self.jobs, functions: &self.functions, keys: &self.keys };
            self.uniques.remove(filed, filed.key(ix).unwrap(), ix);
            self.jobs.remove(ix);
        }

        fn latest(&self, unique: &[u8]) -> Option<JobIx> {
            self.uniques.latest(self.filed(), Key::Unique(unique), |_| true)
        }
    }

    /// The crowd of one key grows and shrinks, and each change is one step whatever its size.
    #[test]
    fn the_latest_of_all_functions_is_known_whoever_ends() {
        let mut world = World::new();
        let other = world.submit(b"other", b"v");
        let jobs: Vec<JobIx> =
            (0..3000).map(|n| world.submit(alloc::format!("f{n}").as_bytes(), b"u")).collect();
        assert_eq!(world.latest(b"u"), jobs.last().copied());
        for (n, &job) in jobs.iter().enumerate() {
            let function = world.functions.find(alloc::format!("f{n}").as_bytes()).unwrap();
            assert_eq!(world.uniques.find(world.filed(), function, Key::Unique(b"u")), Some(job));
            assert_eq!(world.uniques.find(world.filed(), function, Key::Unique(b"v")), None);
        }
        let mut living = jobs;
        while let Some(last) = living.pop() {
            assert_eq!(world.latest(b"u"), Some(last));
            world.end(last);
            if living.len().is_multiple_of(3) && !living.is_empty() {
                world.end(living.remove(living.len() / 2));
            }
        }
        assert_eq!((world.latest(b"u"), world.latest(b"v")), (None, Some(other)));
        assert!(world.uniques.parts.iter().all(|part| part.crowds.is_empty() && part.vacant.is_empty()));
        assert_eq!(world.uniques.count(), 1);
    }

    #[test]
    fn the_workload_of_one_is_not_the_unique_of_another() {
        let mut world = World::new();
        let by_unique = world.submit(b"f", b"w");
        let by_workload = world.submit(b"f", b"-");
        let function = world.functions.find(b"f").unwrap();
        let find = |key| world.uniques.find(world.filed(), function, key);
        assert_eq!(find(Key::Unique(b"w")), Some(by_unique));
        assert_eq!(find(Key::Workload(b"w")), Some(by_workload));
        assert_eq!(Key::of(b"", b"w"), None);
    }
}
