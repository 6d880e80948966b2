//! Import from gearmand's SQLite table and export to it, offline, from and into any store. Nothing is lost silently:
//! what a side cannot represent is counted. No command line here.
use super::record;
use super::sqlite::{SqliteOptions, SqliteStore};
use super::{Store, StoreError};
use crate::engine::slot::{SLOTS, Slot};
use crate::engine::{JobId, StoredJob};
use std::collections::HashSet;

/// Bytes of records that are committed together.
const BATCH: usize = 1 << 20;

/// What became of the jobs of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Jobs that are in the store now and were not before, dead ones included.
    pub jobs: u64,
    /// How many of them are dead.
    pub dead: u64,
    /// How many of them have another number, and so another handle, than in the table. gearmand's have none there: they
    /// get one when the table is read.
    pub renumbered: u64,
    /// Jobs that were left out, because the store has one with the same function and unique: each would have joined it.
    pub joined: u64,
}

/// What became of the jobs of a store, and what gearmand will make of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Jobs that gearmand will run.
    pub jobs: u64,
    /// Dead jobs: they stand in our own table beside gearmand's, where only Ringgear sees them.
    pub dead: u64,
    /// Reduce jobs among `jobs`: gearmand runs them as plain ones.
    pub reduce: u64,
    /// Jobs among `jobs` that have lost attempts: gearmand counts anew.
    pub attempts: u64,
    /// Jobs among `jobs` without a unique, or with the unique `-`: gearmand shows a generated one, and submissions that
    /// would have joined by workload do not.
    pub generated_uniques: u64,
    /// Jobs among `jobs` of which it is not kept when they were accepted: no column of the table is for that.
    pub undated: u64,
    /// Jobs that have another number, and so another handle, than in the store.
    pub renumbered: u64,
}

/// Copies all jobs of a table into a store, which is opened and not yet replayed. The table keeps its jobs: whoever
/// starts a server on it again runs them again. Importing twice adds only jobs without a unique again.
pub fn import(from: SqliteOptions, into: &mut dyn Store) -> Result<Imported, StoreError> {
    let mut numbers = Numbers::default();
    let mut known = HashSet::new();
    into.replay(&mut |job| {
        numbers.note(job.id);
        known.extend(identity(&job));
    })?;
    let mut table = SqliteStore::open(from)?;
    let mut counts = Imported::default();
    let mut copy = Copier::into(into);
    table.replay(&mut |job| {
        if identity(&job).is_some_and(|identity| known.contains(&identity)) {
            counts.joined += 1;
            return;
        }
        let id = numbers.number(&job);
        counts.jobs += 1;
        counts.dead += u64::from(job.death.is_some());
        counts.renumbered += u64::from(id != job.id);
        copy.add(&StoredJob { id, ..job });
    })?;
    copy.finish()?;
    table.close()?;
    Ok(counts)
}

/// Copies all jobs of a store, which is opened and not yet replayed, into a table without jobs, and closes the
/// database, so that gearmand can have it. The store keeps its jobs.
pub fn export(from: &mut dyn Store, to: SqliteOptions) -> Result<Exported, StoreError> {
    let to = SqliteOptions { on_shutdown_only: false, ..to };
    let (name, place) = (to.table.clone(), to.file.display().to_string());
    let mut table = SqliteStore::open(to)?;
    table.replay(&mut |_| {})?;
    let (living, dead) = table.counts()?;
    if living + dead > 0 {
        let what = format!("table {name} has {} jobs already; name another table or file", living + dead);
        return Err(StoreError::Database { name: place, what });
    }
    let mut numbers = Numbers::default();
    let mut counts = Exported::default();
    let mut copy = Copier::into(&mut table);
    from.replay(&mut |job| {
        let id = numbers.number(&job);
        counts.renumbered += u64::from(id != job.id);
        if job.death.is_some() {
            counts.dead += 1;
        } else {
            counts.jobs += 1;
            counts.reduce += u64::from(job.reducer.is_some());
            counts.attempts += u64::from(job.attempts > 0);
            counts.generated_uniques += u64::from(identity(&job).is_none());
            counts.undated += u64::from(job.accepted.is_some() && SqliteStore::is_plain(&job));
        }
        copy.add(&StoredJob { id, ..job });
    })?;
    copy.finish()?;
    table.close()?;
    Ok(counts)
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
    result: Result<(), StoreError>,
}

impl<'a> Copier<'a> {
    fn into(into: &'a mut dyn Store) -> Copier<'a> {
        Copier { into, batch: Vec::new(), result: Ok(()) }
    }

    fn add(&mut self, job: &StoredJob<'_>) {
        if self.result.is_ok() {
            record::put(job, &mut self.batch);
            if self.batch.len() >= BATCH {
                self.commit();
            }
        }
    }

    fn commit(&mut self) {
        self.result = self.into.commit(&[&self.batch]).puts;
        self.batch.clear();
    }

    fn finish(mut self) -> Result<(), StoreError> {
        if self.result.is_ok() && !self.batch.is_empty() {
            self.commit();
        }
        self.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Death, DeathReason, Epoch};
    use crate::protocol::Priority;
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
