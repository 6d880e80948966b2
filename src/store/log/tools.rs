//! Offline tools for a data directory: whether it is as it was written, what is in it, and what can be saved of it.
//! Library functions; flags and printing are somebody else's. They refuse a directory that a server uses.
use super::block::{self, Head, ORDER};
use super::disk::Disk;
use super::files::{Access, Files};
use super::planted::Bug;
use super::recover;
use super::sector::{self, Found, Home, PAGE, ROOM, Role, SECTOR};
use super::single::{self, Singles};
use super::state;
use super::window::{Window, failed, segment_name, segment_number};
use super::{LogOptions, LogStore};
use crate::engine::{JobId, NotRestored, StoredJob};
use crate::store::record::{self, Record, RecordError};
use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of records that a salvage commits together.
const BATCH: usize = 1 << 20;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which file.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

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

/// Where a record stands, in the order in which jobs were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    /// Its order number, as far as is known.
    order: u64,
    /// The file, counted in [`Scan::files`].
    file: u32,
    /// The byte of the file at which it begins.
    at: u64,
}

/// What a scan tells of each record that is intact.
type Each<'e> = &'e mut dyn FnMut(Spot, Record<'_>, &[u8]);

/// A block in the middle of which the scan is, if all of its sectors so far are there.
#[derive(Clone, Copy, Debug)]
struct Course {
    end: u64,
    /// What the next sector is.
    role: Role,
}

/// Goes through everything that is there, whatever is wrong with it.
struct Scan<'a, D> {
    disk: &'a mut D,
    log: u32,
    /// The segments: the number that they say they have, their names and lengths.
    files: Vec<(u32, String, u64)>,
    segments: u64,
    blocks: u64,
    records: u64,
    problems: Vec<Problem>,
    /// The order number of the next record that is no copy, as far as is known.
    order: u64,
    /// What there is so far of the record that is read, with its order number if it is a copy, and where it begins:
    /// counted in bytes of sectors' contents. It may go on in the next sector.
    open: Vec<u8>,
    begun: Option<u64>,
    copies: bool,
    /// Where the block at work ends.
    block_end: u64,
    course: Option<Course>,
}

impl<'a, D: Disk> Scan<'a, D> {
    fn new(disk: &'a mut D) -> Result<Scan<'a, D>, StoreError> {
        let listed = disk.list().map_err(|error| failed(disk, "list", "", error))?;
        let files =
            listed.iter().filter_map(|(name, size)| Some((segment_number(name)?, name.clone(), *size)));
        let files = files.collect();
        let mut scan = Scan {
            disk,
            log: 0,
            files,
            segments: 0,
            blocks: 0,
            records: 0,
            problems: Vec::new(),
            order: 1,
            open: Vec::new(),
            begun: None,
            copies: false,
            block_end: 0,
            course: None,
        };
        match state::read(scan.disk, &listed) {
            Ok(Some(state)) => scan.log = state.log,
            Ok(None) => scan.log = scan.likely_log(),
            Err(StoreError::Corrupt { path, offset, what }) => {
                scan.problems.push(Problem { path, offset, what });
                scan.log = scan.likely_log();
            }
            Err(error) => return Err(error),
        }
        Ok(scan)
    }

    /// The log that most segments name.
    fn likely_log(&mut self) -> u32 {
        let mut votes: HashMap<u32, usize> = HashMap::new();
        for (_, name, size) in self.files.clone() {
            if let Some(home) = self.home(&name, size, |_| true) {
                *votes.entry(home.log).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|&(log, count)| (count, log)).map_or(0, |(log, _)| log)
    }

    /// What the first whole sector of a file says.
    fn home(&mut self, name: &str, size: u64, wanted: impl Fn(Home) -> bool) -> Option<Home> {
        let mut window = Window::new(name.to_owned(), size);
        (0..size / SECTOR as u64).find_map(|at| {
            let bytes = window.get(self.disk, at * SECTOR as u64, SECTOR).ok()?;
            sector::home(bytes, at).filter(|&home| wanted(home))
        })
    }

    fn problem(&mut self, name: &str, offset: u64, what: impl Into<String>) {
        self.problems.push(Problem { path: self.disk.path(name), offset, what: what.into() });
    }

    fn run(&mut self, each: Each<'_>) -> Result<(), StoreError> {
        // By what they say, not by their names: these may have been exchanged.
        let log = self.log;
        for (named, name, size) in self.files.clone() {
            if let Some(home) =
                self.home(&name, size, |home| home.log == log).filter(|home| home.segment != named)
            {
                let what = format!("it holds segment {}", home.segment);
                self.problem(&name, 0, what);
                self.files.iter_mut().filter(|file| file.1 == name).for_each(|file| file.0 = home.segment);
            }
        }
        self.files.sort_unstable();
        let mut expected = self.files.first().map_or(1, |&(number, ..)| number);
        for (file, (number, name, size)) in (0..).zip(self.files.clone()) {
            if number > expected {
                self.problem(&segment_name(expected), 0, "it is missing");
            }
            expected = number.saturating_add(1);
            self.segment(file, number, &name, size, each)?;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        file: u32,
        number: u32,
        name: &str,
        size: u64,
        each: Each<'_>,
    ) -> Result<(), StoreError> {
        let home = Home { log: self.log, segment: number };
        let mut window = Window::new(name.to_owned(), size);
        self.segments += 1;
        self.begun = None;
        self.course = None;
        self.block_end = 0;
        match recover::check_header(self.disk, &mut window, home, Bug::NONE) {
            Ok(()) => {}
            Err(StoreError::Corrupt { path, offset, what }) => {
                self.problems.push(Problem { path, offset, what });
            }
            Err(error) => return Err(error),
        }
        let mut damaged = false;
        for offset in (PAGE as u64..size - size % SECTOR as u64).step_by(SECTOR) {
            // A piece that cannot be read is as good as damaged.
            let bytes = window.get(self.disk, offset, SECTOR);
            let found = match &bytes {
                Ok(bytes) => sector::find(bytes, offset / SECTOR as u64, home, Bug::NONE),
                Err(_) => Found::Damaged("it cannot be read"),
            };
            let bytes = bytes.unwrap_or_default();
            match found {
                Found::Ours { role: Role::Segment, .. } => {}
                Found::Ours { role, first } => {
                    damaged = false;
                    if role.begins() {
                        self.begin(name, size, home, offset, bytes);
                    } else {
                        self.go_on(offset, role);
                    }
                    self.copies = role.copies();
                    let skip = if role.begins() { block::HEADER } else { 0 };
                    self.sector(file, offset, &bytes[..ROOM], skip, first, each);
                }
                Found::Nothing => {
                    if offset < self.block_end && !damaged {
                        self.problem(name, offset, "a part of a block was not written");
                        damaged = true;
                    }
                    (self.begun, self.course) = (None, None);
                }
                Found::Damaged(what) => {
                    if !damaged {
                        self.problem(name, offset, what);
                        damaged = true;
                    }
                    (self.begun, self.course) = (None, None);
                }
            }
        }
        Ok(())
    }

    /// A block begins.
    fn begin(&mut self, name: &str, size: u64, home: Home, offset: u64, sector: &[u8]) {
        (self.begun, self.course) = (None, None);
        if offset < self.block_end {
            self.problem(name, offset, "a block begins within another");
        }
        match block::head(sector, offset, size, home, Bug::NONE) {
            Head::Block { header, copies } => {
                self.block_end = offset + header.on_disk();
                let role = if copies { Role::CopiesGo } else { Role::Goes };
                self.course = Some(Course { end: self.block_end, role });
                if !copies {
                    self.order = self.order.max(header.order);
                }
            }
            Head::Nothing | Head::Damaged(_) => self.problem(name, offset, "a block has a wrong header"),
        }
    }

    /// A block goes on; it is whole if this was its last sector and none was missing.
    fn go_on(&mut self, offset: u64, role: Role) {
        self.course = self.course.filter(|course| course.role == role);
        if self.course.is_some_and(|course| course.end == offset + SECTOR as u64) {
            self.blocks += 1;
            self.course = None;
        }
    }

    /// Takes in a whole sector of a block: what goes on from the one before, and what begins in it. Each byte is copied
    /// once, however long the record is.
    fn sector(
        &mut self,
        file: u32,
        offset: u64,
        bytes: &[u8],
        skip: usize,
        first: Option<usize>,
        each: Each<'_>,
    ) {
        let here = offset / SECTOR as u64 * ROOM as u64;
        let from = match (self.begun, first) {
            (Some(_), _) => skip,
            (None, Some(first)) => {
                self.start(here + first as u64);
                first
            }
            (None, None) => return,
        };
        let prefix = if self.copies { ORDER } else { 0 };
        let mut at = from;
        // Until it makes no sense: what fills up the block, or a record that was never whole.
        while let (Some(begun), Ok(wanted)) = (self.begun, wanted(&self.open, prefix)) {
            let more = wanted - self.open.len();
            if more > 0 {
                let taken = more.min(bytes.len() - at);
                self.open.extend_from_slice(&bytes[at..at + taken]);
                at += taken;
                if taken < more {
                    return;
                }
                continue;
            }
            let order = match self.open.first_chunk() {
                Some(order) if self.copies => u64::from_le_bytes(*order),
                _ => self.order,
            };
            let begins = begun + prefix as u64;
            let (sector, within) = (begins / ROOM as u64, begins % ROOM as u64);
            let at_byte = sector * SECTOR as u64 + within;
            match record::read(&self.open[prefix..]) {
                Ok((record, _)) => each(Spot { order, file, at: at_byte }, record, &self.open[prefix..]),
                // It is intact, and nothing for this version; those behind it are.
                Err(error @ RecordError::Field(_)) => {
                    let name = self.files[file as usize].1.clone();
                    self.problem(&name, at_byte, error.to_string());
                    // What was put of the job before is not it any more.
                    let id = record::head(&self.open[prefix..]).and_then(|head| JobId::from_number(head.id));
                    if let Some(id) = id {
                        each(Spot { order, file, at: at_byte }, Record::Done(id), &[]);
                    }
                }
                Err(_) => break,
            }
            self.order += u64::from(!self.copies);
            self.records += 1;
            self.start(here + at as u64);
        }
        self.begun = None;
    }

    /// A record begins here.
    fn start(&mut self, at: u64) {
        self.open.clear();
        self.open.shrink_to(BATCH);
        self.begun = Some(at);
    }
}

/// How many bytes an open record has, behind `prefix` others, or how many it takes to know that.
fn wanted(open: &[u8], prefix: usize) -> Result<usize, RecordError> {
    match open.get(prefix..) {
        Some(begin) if begin.len() >= record::HEADER => Ok(prefix + record::length(begin)?),
        _ => Ok(prefix + record::HEADER),
    }
}
