//! Copies all jobs of a store into another one while no server uses either: any store into any. Nothing is lost silently:
//! what the target cannot represent is counted, and what was copied is taken back if not all of it can be. No command line
//! here.
use super::record;
use super::{Store, StoreError};
use crate::engine::slot::{SLOTS, Slot};
use crate::engine::{JobId, StoredJob};
use std::collections::HashSet;
use std::fmt;

/// Bytes of records that are committed together.
const BATCH: usize = 1 << 20;
/// Jobs that are taken back together.
const PIECE: usize = 1024;

/// What became of the jobs of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Jobs that are in the target now and were not before, dead ones included.
    pub jobs: u64,
    /// How many of them are dead. gearmand's tables have no row of those: they stand where only Ringgear sees them.
    pub dead: u64,
    /// How many have another number, and so another handle, than in the source. gearmand's have none there: they get one
    /// when the table is read.
    pub renumbered: u64,
    /// Jobs that were left out, because the target has one with the same function and unique: each would have joined it.
    pub joined: u64,
    /// Living ones among `jobs` of which the target does not keep when they were accepted.
    pub undated: u64,
    /// Reduce jobs among the living ones: gearmand runs them as plain ones.
    pub reduce: u64,
    /// Living ones that have lost attempts: gearmand counts anew.
    pub attempts: u64,
    /// Living ones without a unique, or with the unique `-`: gearmand shows a generated one, and submissions that would have
    /// joined by workload do not.
    pub generated_uniques: u64,
}

/// Which jobs the target may have before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// Any: those of the source come on top.
    Others,
    /// None.
    Nothing,
}

/// Why not all jobs were copied. What was copied is taken back, unless it says otherwise.
#[derive(Debug)]
pub enum TransferError {
    /// The source cannot be read.
    Source {
        /// Why.
        error: StoreError,
        /// Jobs in the target that could not be taken back.
        left: u64,
    },
    /// The target cannot be read or written.
    Target {
        /// Why.
        error: StoreError,
        /// Jobs in it that could not be taken back.
        left: u64,
    },
    /// The target was to have no jobs, and has so many.
    NotEmpty(u64),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::Source { error, left } | TransferError::Target { error, left } => match left {
                0 => write!(f, "{error}; nothing was copied: both stores have the jobs that they had"),
                _ => write!(
                    f,
                    "{error}; {left} jobs were copied before that and could not be taken back, and the source has them, \
                     too: start again into a new place"
                ),
            },
            TransferError::NotEmpty(jobs) => {
                write!(f, "the store to copy to has {jobs} jobs already; name another one")
            }
        }
    }
}

impl std::error::Error for TransferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TransferError::Source { error, .. } | TransferError::Target { error, .. } => Some(error),
            TransferError::NotEmpty(_) => None,
        }
    }
}

/// Copies all jobs of a store into another one; both are opened and not yet replayed, and are to be closed afterwards. The
/// source keeps its jobs: whoever starts a server on it again runs them again. Doing it twice adds only jobs without a
/// unique again.
pub fn transfer(
    from: &mut dyn Store,
    into: &mut dyn Store,
    onto: Onto,
) -> Result<Transferred, TransferError> {
    let mut numbers = Numbers::default();
    let mut known = HashSet::new();
    let mut there = 0;
    let replayed = into.replay(&mut |job| {
        there += 1;
        numbers.note(job.id);
        known.extend(identity(&job));
    });
    replayed.map_err(|error| TransferError::Target { error, left: 0 })?;
    if onto == Onto::Nothing && there > 0 {
        return Err(TransferError::NotEmpty(there));
    }
    let mut counts = Transferred::default();
    let mut copy = Copier::into(into);
    let told = from.replay(&mut |job| {
        if identity(&job).is_some_and(|identity| known.contains(&identity)) {
            counts.joined += 1;
            return;
        }
        let id = numbers.number(&job);
        counts.jobs += 1;
        counts.renumbered += u64::from(id != job.id);
        if job.death.is_some() {
            counts.dead += 1;
        } else {
            counts.reduce += u64::from(job.reducer.is_some());
            counts.attempts += u64::from(job.attempts > 0);
            counts.generated_uniques += u64::from(identity(&job).is_none());
            counts.undated += u64::from(job.accepted.is_some() && !copy.into.keeps_accepted(&job));
        }
        copy.add(&StoredJob { id, ..job });
    });
    match (told, copy.finish()) {
        (Ok(()), Ok(_)) => Ok(counts),
        // What stopped the copying comes first: after it the rest of the source was only read.
        (_, Err((error, copied))) => Err(TransferError::Target { error, left: take_back(into, &copied) }),
        (Err(error), Ok(copied)) => Err(TransferError::Source { error, left: take_back(into, &copied) }),
    }
}

/// Ends these jobs. Returns how many are left, because that could not be written.
fn take_back(store: &mut dyn Store, copied: &[JobId]) -> u64 {
    let mut left = copied.len();
    for piece in copied.chunks(PIECE) {
        let mut records = Vec::with_capacity(piece.len() * record::DONE);
        piece.iter().for_each(|&id| record::done(id, &mut records));
        if store.commit(&[&records]).dones.is_err() {
            break;
        }
        left -= piece.len();
    }
    left as u64
}

/// What a submission must have in common with a living job to join it; `None` if none can, or only by workload.
fn identity(job: &StoredJob<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let joins = job.death.is_none() && !job.unique.is_empty() && job.unique != b"-";
    joins.then(|| (job.function.to_vec(), job.unique.to_vec()))
}

/// Numbers for jobs that come in their order: a store may tell jobs in the order of their numbers, so within a function
/// they must go up.
#[derive(Debug)]
struct Numbers {
    /// The highest sequence so far, by slot.
    last: Vec<u64>,
    given: HashSet<JobId>,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { last: vec![0; usize::from(SLOTS)], given: HashSet::new() }
    }
}

impl Numbers {
    /// This number is taken.
    fn note(&mut self, id: JobId) {
        let last = self.last(id);
        *last = id.sequence().max(*last);
        self.given.insert(id);
    }

    /// The number that the next job gets: its own, if that is higher than those before.
    fn number(&mut self, job: &StoredJob<'_>) -> JobId {
        let slot = Slot::of(job.function);
        let mine = job.id;
        let last = *self.last(JobId::new(1, slot));
        // The dead stand in no queue.
        let fits = mine.sequence() > last || (job.death.is_some() && !self.given.contains(&mine));
        let id = if fits && mine.slot() == slot { mine } else { JobId::new(last + 1, slot) };
        self.note(id);
        id
    }

    fn last(&mut self, id: JobId) -> &mut u64 {
        // A slot is less than their number.
        &mut self.last[(id.number() % u64::from(SLOTS)) as usize]
    }
}

/// Gathers records and commits them in batches. The first error is kept, and nothing is copied after it.
struct Copier<'a> {
    into: &'a mut dyn Store,
    batch: Vec<u8>,
    /// Jobs that were handed to the target, those included that it refused: some of these may be there all the same.
    copied: Vec<JobId>,
    result: Result<(), StoreError>,
}

impl<'a> Copier<'a> {
    fn into(into: &'a mut dyn Store) -> Copier<'a> {
        Copier { into, batch: Vec::new(), copied: Vec::new(), result: Ok(()) }
    }

    fn add(&mut self, job: &StoredJob<'_>) {
        if self.result.is_ok() {
            record::put(job, &mut self.batch);
            self.copied.push(job.id);
            if self.batch.len() >= BATCH {
                self.commit();
            }
        }
    }

    fn commit(&mut self) {
        self.result = self.into.commit(&[&self.batch]).puts;
        self.batch.clear();
    }

    /// Commits the rest. Returns the jobs that were copied, with the error if there was one.
    fn finish(mut self) -> Result<Vec<JobId>, (StoreError, Vec<JobId>)> {
        if self.result.is_ok() && !self.batch.is_empty() {
            self.commit();
        }
        match self.result {
            Ok(()) => Ok(self.copied),
            Err(error) => Err((error, self.copied)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Death, DeathReason, Epoch};
    use crate::protocol::Priority;
    use crate::store::record::Record;
    use crate::store::{Committed, Progress};
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    fn job(sequence: u64, function: &'static [u8]) -> StoredJob<'static> {
        StoredJob {
            id: JobId::new(sequence, Slot::of(function)),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function,
            unique: b"",
            workload: b"",
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        }
    }

    /// A store in memory, with room for so many jobs, that cannot be read beyond a job.
    #[derive(Debug)]
    struct Memory {
        jobs: BTreeMap<JobId, Vec<u8>>,
        most: usize,
        damaged: Option<usize>,
        sealed: bool,
    }

    impl Memory {
        fn of(jobs: &[StoredJob<'_>]) -> Memory {
            let mut memory = Memory { jobs: BTreeMap::new(), most: usize::MAX, damaged: None, sealed: false };
            for job in jobs {
                let mut bytes = Vec::new();
                record::put(job, &mut bytes);
                memory.jobs.insert(job.id, bytes);
            }
            memory
        }

        fn sequences(&self) -> Vec<u64> {
            self.jobs.keys().map(|id| id.sequence()).collect()
        }
    }

    impl Store for Memory {
        fn replay_telling(
            &mut self,
            each: &mut dyn FnMut(StoredJob<'_>),
            _: &mut dyn FnMut(Progress),
        ) -> Result<(), StoreError> {
            for (at, bytes) in self.jobs.values().enumerate() {
                if self.damaged == Some(at) {
                    let (path, what) = ("source".into(), "a test".to_owned());
                    return Err(StoreError::Corrupt { path, offset: 0, what });
                }
                let Ok((Record::Put(job), _)) = record::read(bytes) else { panic!("only puts are kept") };
                each(job);
            }
            Ok(())
        }

        fn commit(&mut self, slices: &[&[u8]]) -> Committed {
            let full = || StoreError::Full { path: "target".into() };
            let mut puts = Ok(());
            for span in record::spans(slices) {
                match span.read(slices).unwrap() {
                    Record::Put(_) if self.jobs.len() == self.most => puts = Err(full()),
                    Record::Put(job) => self.jobs.extend(Memory::of(&[job]).jobs),
                    Record::Done(_) if self.sealed => {
                        return Committed::of(puts, Err(StoreError::Sealed));
                    }
                    Record::Done(id) => drop(self.jobs.remove(&id)),
                    Record::Attempts(..) => {}
                }
            }
            Committed::of(puts, Ok(()))
        }

        fn maintain(&mut self) -> Result<bool, StoreError> {
            Ok(false)
        }

        fn owes(&self) -> bool {
            false
        }

        fn close(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// A source with these jobs of one function, without uniques.
    fn source(sequences: &[u64]) -> Memory {
        Memory::of(&sequences.iter().map(|&sequence| job(sequence, b"f")).collect::<Vec<_>>())
    }

    #[test]
    fn jobs_come_on_top_of_others_or_not_at_all() {
        let mut target = source(&[5]);
        let refused = transfer(&mut source(&[1, 2]), &mut target, Onto::Nothing).unwrap_err();
        assert_eq!(refused.to_string(), "the store to copy to has 1 jobs already; name another one");
        assert_eq!(target.sequences(), [5]);
        let done = transfer(&mut source(&[1, 9]), &mut target, Onto::Others).unwrap();
        let wanted = Transferred { jobs: 2, renumbered: 1, generated_uniques: 2, ..Transferred::default() };
        assert_eq!((done, target.sequences()), (wanted, vec![5, 6, 9]));
    }

    #[test]
    fn a_job_that_would_join_one_is_left_out() {
        let with_unique = |sequence| StoredJob { unique: b"u", ..job(sequence, b"f") };
        let mut target = Memory::of(&[with_unique(5)]);
        let done = transfer(&mut Memory::of(&[with_unique(7)]), &mut target, Onto::Others).unwrap();
        assert_eq!(done, Transferred { joined: 1, ..Transferred::default() });
        assert_eq!(target.sequences(), [5]);
    }

    #[test]
    fn what_cannot_be_copied_as_a_whole_is_taken_back() {
        let mut target = Memory { most: 3, ..source(&[5]) };
        let refused = transfer(&mut source(&[6, 7, 8, 9]), &mut target, Onto::Others).unwrap_err();
        assert!(matches!(refused, TransferError::Target { left: 0, .. }), "{refused:?}");
        let said = "target is full: background jobs are refused until jobs end or there is more room; nothing was copied: \
                    both stores have the jobs that they had";
        assert_eq!((refused.to_string().as_str(), target.sequences()), (said, vec![5]));

        let mut damaged = Memory { damaged: Some(2), ..source(&[6, 7, 8]) };
        let mut target = source(&[5]);
        let refused = transfer(&mut damaged, &mut target, Onto::Others).unwrap_err();
        assert!(matches!(refused, TransferError::Source { left: 0, .. }), "{refused:?}");
        assert_eq!((damaged.sequences(), target.sequences()), (vec![6, 7, 8], vec![5]));
    }

    #[test]
    fn what_cannot_be_taken_back_is_told() {
        let mut target = Memory { sealed: true, ..source(&[]) };
        let mut damaged = Memory { damaged: Some(2), ..source(&[6, 7, 8]) };
        let refused = transfer(&mut damaged, &mut target, Onto::Nothing).unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("; 2 jobs were copied before that and could not be taken back"), "{told}");
        assert!(told.ends_with("start again into a new place"), "{told}");
    }

    #[test]
    fn numbers_go_up_within_a_function() {
        let mut numbers = Numbers::default();
        numbers.note(job(10, b"f").id);
        let sequences = |numbers: &mut Numbers, function, given: &[u64]| -> Vec<u64> {
            given.iter().map(|&sequence| numbers.number(&job(sequence, function)).sequence()).collect()
        };
        assert_eq!(sequences(&mut numbers, b"f", &[11, 5, 10, 12, 20, 14]), [11, 12, 13, 14, 20, 21]);
        // Another function stands in another queue.
        assert_eq!(sequences(&mut numbers, b"g", &[2, 3, 1]), [2, 3, 4]);
    }

    #[test]
    fn dead_jobs_keep_their_numbers_unless_they_are_taken() {
        let death = Death {
            reason: DeathReason::WorkerGone,
            at: Epoch(1),
            address: Ipv4Addr::LOCALHOST.into(),
            worker: b"",
        };
        let dead = |sequence| StoredJob { death: Some(death), ..job(sequence, b"f") };
        let mut numbers = Numbers::default();
        numbers.note(job(10, b"f").id);
        let sequences = [3, 10, 3, 11].map(|sequence| numbers.number(&dead(sequence)).sequence());
        assert_eq!(sequences, [3, 11, 12, 13]);
    }

    #[test]
    fn only_uniques_that_join_are_identities() {
        for (unique, joins) in [(&b"u"[..], true), (b"", false), (b"-", false)] {
            assert_eq!(identity(&StoredJob { unique, ..job(1, b"f") }).is_some(), joins);
        }
    }
}
