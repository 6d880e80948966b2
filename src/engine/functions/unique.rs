//! The index of uniques: which job a submission joins. In parts, so that growth never moves all of it at once.
use super::job::{FunctionIx, JobIx};
use crate::policy::{Planted, Policy};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Parts of the index. With a million jobs each holds some 4,000, and growing one takes well under a millisecond.
const PARTS: usize = 256;

/// Jobs by function and key. The key is the unique, or the workload where the unique is `-`.
#[derive(Debug)]
pub(crate) struct Uniques {
    parts: Box<[HashTable<u32>]>,
    count: u64,
}

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

    pub(crate) fn hash(&self, function: FunctionIx, key: &[u8]) -> KeyHash {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(if self.mixes_functions { 0 } else { function.0 });
        hasher.write(key);
        KeyHash(hasher.finish())
    }
}

/// A function and a key, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl Uniques {
    pub(crate) fn new() -> Uniques {
        let parts: Vec<HashTable<u32>> = (0..PARTS).map(|_| HashTable::new()).collect();
        Uniques { parts: parts.into_boxed_slice(), count: 0 }
    }

    /// Jobs in the index.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    fn part(hash: KeyHash) -> usize {
        // hashbrown uses the low bits for the bucket and the top seven for the tag; these are neither.
        (hash.0 >> 40) as usize % PARTS
    }

    /// The job with this hash that `is_it` accepts.
    pub(crate) fn find(&self, hash: KeyHash, mut is_it: impl FnMut(JobIx) -> bool) -> Option<JobIx> {
        self.parts[Self::part(hash)].find(hash.0, |&ix| is_it(JobIx(ix))).map(|&ix| JobIx(ix))
    }

    /// Files a job; `rehash` gives the hash of a filed job when its part grows.
    pub(crate) fn insert(&mut self, hash: KeyHash, job: JobIx, rehash: impl Fn(JobIx) -> KeyHash) {
        self.parts[Self::part(hash)].insert_unique(hash.0, job.0, |&ix| rehash(JobIx(ix)).0);
        self.count += 1;
    }

    /// Takes a filed job out. `rehash` as for [`Self::insert`]: a part that has become sparse is shrunk.
    pub(crate) fn remove(&mut self, hash: KeyHash, job: JobIx, rehash: impl Fn(JobIx) -> KeyHash) {
        let part = &mut self.parts[Self::part(hash)];
        let Ok(entry) = part.find_entry(hash.0, |&ix| ix == job.0) else {
            panic!("job at {job:?} is not filed under its key")
        };
        entry.remove();
        if part.capacity() > 64 && part.len() < part.capacity() / 8 {
            part.shrink_to(part.len() * 2, |&ix| rehash(JobIx(ix)).0);
        }
        self.count -= 1;
    }
}
