//! Offline tools for a data directory: whether it is as it was written, what is in it, and what can be saved of it.
//! Library functions; flags and printing are somebody else's. They refuse a directory that a server uses.
use super::disk::Disk;
use super::files::{Access, Files};
use super::planted::Bug;
use super::recover;
pub use super::scan::Problem;
use super::scan::{Scan, Spot};
use super::single::{self, Singles};
use super::window::segment_name;
use super::{LogOptions, LogStore};
use crate::engine::{NotRestored, StoredJob};
use crate::store::record::{self, Record};
use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::path::Path;

/// Bytes of records that a salvage commits together.
const BATCH: usize = 1 << 20;

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments looked at.
    pub segments: u64,
    /// Whole blocks.
    pub blocks: u64,
    /// Whole records.
    pub records: u64,
    /// Jobs that a server would start with; 0 if it would not start.
    pub jobs: u64,
    /// Whether the last server ended in order.
    pub closed: bool,
    /// Whether the log ends with a write that was not finished, which a server would cut off.
    pub torn: bool,
    /// Whether a server would start.
    pub starts: bool,
    /// Everything that is wrong, in the order of files and offsets.
    pub problems: Vec<Problem>,
    /// Jobs among `jobs` that cannot be ones of this job server, by number, and why: a start sets them aside, they are
    /// kept and not run.
    pub set_aside: Vec<(u64, NotRestored)>,
}

/// What [`salvage`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Whole records found.
    pub records: u64,
    /// Jobs written to the new directory.
    pub jobs: u64,
    /// Places where something was missing or damaged.
    pub problems: Vec<Problem>,
}

/// Looks at a directory without changing anything. An error means that it could not be looked at.
pub fn check(dir: &Path) -> Result<CheckReport, StoreError> {
    check_on(&mut reading(dir)?)
}

/// The same on any disk.
#[doc(hidden)]
pub fn check_on<D: Disk>(disk: &mut D) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    let mut scan = Scan::new(disk)?;
    // What was last said of each number.
    let mut unsound: HashMap<u64, NotRestored> = HashMap::new();
    scan.run(&mut |_, record, _| {
        if let Record::Put(job) = record {
            match job.sound() {
                Ok(()) => drop(unsound.remove(&job.id.number())),
                Err(why) => drop(unsound.insert(job.id.number(), why)),
            }
        }
    })?;
    report.segments = scan.segments;
    report.blocks = scan.blocks;
    report.records = scan.records;
    report.problems = scan.problems;
    match recover::read(disk, Bug::NONE, &mut |_| {}) {
        Ok(Some(found)) => {
            report.starts = true;
            report.jobs = found.live.len() as u64;
            report.closed = found.state.closed;
            report.torn = !found.torn.is_empty();
            report.set_aside = unsound.into_iter().filter(|&(id, _)| found.live.get(id).is_some()).collect();
            report.set_aside.sort_unstable_by_key(|&(id, _)| id);
            // What a start cuts off is not a problem.
            if let Some(newest) = found.segments.back() {
                let path = disk.path(&segment_name(newest.number));
                report.problems.retain(|problem| problem.path != path || problem.offset < newest.end);
            }
        }
        Ok(None) => report.starts = true,
        Err(StoreError::Corrupt { path, offset, what }) => {
            let known = |problem: &Problem| problem.path == path && problem.offset == offset;
            if !report.problems.iter().any(known) {
                report.problems.push(Problem { path, offset, what });
            }
        }
        Err(error) => return Err(error),
    }
    report.problems.sort_by(|a, b| (&a.path, a.offset).cmp(&(&b.path, b.offset)));
    Ok(report)
}

/// Tells every job of a directory without changing anything. As strict as a start. Returns how many.
pub fn dump(dir: &Path, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<u64, StoreError> {
    let mut disk = reading(dir)?;
    let Some(found) = recover::read(&mut disk, Bug::NONE, &mut |_| {})? else { return Ok(0) };
    single::tell(&mut disk, &found, each)?;
    Ok(found.live.len() as u64)
}

/// Writes every job whose record is intact to a new directory, which must be empty or not there. `from` is not changed.
/// A job whose end is what was damaged comes back.
pub fn salvage(from: &Path, to: &Path) -> Result<SalvageReport, StoreError> {
    let mut disk = reading(from)?;
    let there = std::fs::read_dir(to).is_ok_and(|mut files| files.next().is_some());
    if there {
        let source = std::io::ErrorKind::DirectoryNotEmpty.into();
        return Err(StoreError::Io { doing: "salvage into", path: to.to_owned(), source });
    }
    let mut store = LogStore::open(LogOptions::new(to))?;
    let report = salvage_on(&mut disk, &mut store)?;
    store.close()?;
    Ok(report)
}

/// The same from any disk into any empty store, which is left open. Reads everything twice: first which records count,
/// then these, in the order in which jobs were accepted. So it takes some 40 bytes of memory for each job, and room for
/// the longest record.
#[doc(hidden)]
pub fn salvage_on<D: Disk>(disk: &mut D, to: &mut dyn Store) -> Result<SalvageReport, StoreError> {
    let mut jobs: HashMap<u64, Spot> = HashMap::new();
    let mut attempts: HashMap<u64, (u64, u8)> = HashMap::new();
    let mut scan = Scan::new(disk)?;
    scan.run(&mut |spot, record, _| match record {
        Record::Put(job) => drop(jobs.insert(job.id.number(), spot)),
        Record::Done(id) => drop(jobs.remove(&id.number())),
        Record::Attempts(id, lost) => drop(attempts.insert(id.number(), (spot.order, lost))),
    })?;
    let Scan { files, records, problems, .. } = scan;
    let mut report = SalvageReport { records, problems, jobs: 0 };
    let lost =
        |id, spot: &Spot| attempts.get(&id).filter(|(since, _)| *since > spot.order).map(|&(_, lost)| lost);
    let mut jobs: Vec<(Spot, Option<u8>)> =
        jobs.into_iter().map(|(id, spot)| (spot, lost(id, &spot))).collect();
    jobs.sort_unstable();
    to.replay(&mut |_| {})?;
    let mut singles = Singles::default();
    let (mut batch, mut changed, mut gathered) = (Vec::new(), Vec::new(), 0);
    for (Spot { file, at, .. }, lost) in jobs {
        let (_, name, size) = &files[file as usize];
        let bytes = match singles.get(disk, file, || (name.clone(), *size), at) {
            Ok(bytes) if record::read(bytes).is_ok() => bytes,
            // It was intact a moment ago.
            other => {
                let what = other.err().map_or("it has changed".to_owned(), |error| error.to_string());
                report.problems.push(Problem { path: disk.path(name), offset: at, what });
                continue;
            }
        };
        let bytes = match lost {
            Some(lost) => {
                changed.clear();
                changed.extend_from_slice(bytes);
                record::set_attempts(&mut changed, lost);
                &changed[..]
            }
            None => bytes,
        };
        if gathered > 0 && batch.len() + bytes.len() > BATCH {
            to.commit(&[&batch]).puts?;
            report.jobs += std::mem::take(&mut gathered);
            batch.clear();
        }
        // A long one goes alone, and is not copied.
        let bytes = if bytes.len() > BATCH {
            bytes
        } else {
            batch.extend_from_slice(bytes);
            &[]
        };
        gathered += 1;
        if !bytes.is_empty() {
            to.commit(&[bytes]).puts?;
            report.jobs += std::mem::take(&mut gathered);
        }
    }
    if gathered > 0 {
        to.commit(&[&batch]).puts?;
        report.jobs += gathered;
    }
    Ok(report)
}

fn reading(dir: &Path) -> Result<Files, StoreError> {
    let io = |doing, source| StoreError::Io { doing, path: dir.to_owned(), source };
    let mut disk = Files::open(dir, Access::Read).map_err(|source| io("open the directory", source))?;
    match disk.lock() {
        Ok(true) => Ok(disk),
        Ok(false) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(source) => Err(io("lock", source)),
    }
}
