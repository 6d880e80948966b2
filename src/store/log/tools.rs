//! Offline tools for a data directory: whether it is as it was written, what is in it, and what can be saved of it.
//! Library functions; flags and printing are somebody else's. They refuse a directory that a server uses.
use super::block::{self, Body, Head, ORDER};
use super::disk::Disk;
use super::files::{Access, Files};
use super::recover;
use super::sector::{self, Found, Home, PAGE, ROOM, Role, SECTOR};
use super::state;
use super::window::{Window, failed, segment_name, segment_number};
use super::{LogOptions, LogStore};
use crate::engine::StoredJob;
use crate::store::record::{self, Record, RecordError};
use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
    scan.run(&mut |_, _| ())?;
    report.segments = scan.segments;
    report.blocks = scan.blocks;
    report.records = scan.records;
    report.problems = scan.problems;
    match recover::read(disk, None, &mut |_| {}) {
        Ok(Some(found)) => {
            report.starts = true;
            report.jobs = found.live.len() as u64;
            report.closed = found.state.closed;
            report.torn = !found.torn.is_empty();
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
    let Some(found) = recover::read(&mut disk, None, &mut |_| {})? else { return Ok(0) };
    recover::tell(&mut disk, &found, each)?;
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

/// The same from any disk into any empty store, which is left open.
#[doc(hidden)]
pub fn salvage_on<D: Disk>(disk: &mut D, to: &mut dyn Store) -> Result<SalvageReport, StoreError> {
    let mut jobs: HashMap<u64, (u64, Vec<u8>)> = HashMap::new();
    let mut scan = Scan::new(disk)?;
    scan.run(&mut |order, bytes| {
        if let Ok((record, _)) = record::read(bytes) {
            match record {
                Record::Put(job) => drop(jobs.insert(job.id.number(), (order, bytes.to_vec()))),
                Record::Done(id) => drop(jobs.remove(&id.number())),
            }
        }
    })?;
    let mut report =
        SalvageReport { records: scan.records, problems: scan.problems, ..SalvageReport::default() };
    let mut jobs: Vec<(u64, Vec<u8>)> = jobs.into_values().collect();
    jobs.sort_unstable();
    to.replay(&mut |_| {})?;
    for some in jobs.chunks(1000) {
        let batches: Vec<&[u8]> = some.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        to.commit(&batches).puts?;
        report.jobs += some.len() as u64;
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
    /// A record that goes on in the next sector, and whether it is a copy.
    open: Option<Vec<u8>>,
    copies: bool,
    /// Where the block at work ends.
    block_end: u64,
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
            open: None,
            copies: false,
            block_end: 0,
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

    fn run(&mut self, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), StoreError> {
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
        for (number, name, size) in self.files.clone() {
            if number > expected {
                self.problem(&segment_name(expected), 0, "it is missing");
            }
            expected = number.saturating_add(1);
            self.segment(number, &name, size, each)?;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        number: u32,
        name: &str,
        size: u64,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), StoreError> {
        let home = Home { log: self.log, segment: number };
        let mut window = Window::new(name.to_owned(), size);
        self.segments += 1;
        self.open = None;
        self.block_end = 0;
        match recover::check_header(self.disk, &mut window, home, None) {
            Ok(()) => {}
            Err(StoreError::Corrupt { path, offset, what }) => {
                self.problems.push(Problem { path, offset, what });
            }
            Err(error) => return Err(error),
        }
        let mut damaged = false;
        for offset in (PAGE as u64..size - size % SECTOR as u64).step_by(SECTOR) {
            // A piece that cannot be read is as good as damaged.
            let bytes = window.get(self.disk, offset, SECTOR).map(<[u8]>::to_vec);
            let found = match &bytes {
                Ok(bytes) => sector::find(bytes, offset / SECTOR as u64, home, None),
                Err(_) => Found::Damaged("it cannot be read"),
            };
            let bytes = bytes.unwrap_or_default();
            match found {
                Found::Ours { role: Role::Segment, .. } => {}
                Found::Ours { role, first } => {
                    damaged = false;
                    if role.begins() {
                        self.begin(&mut window, home, offset, &bytes);
                    }
                    self.copies = role.copies();
                    let skip = if role.begins() { block::HEADER } else { 0 };
                    self.sector(&bytes[..ROOM], skip, first, each);
                }
                Found::Nothing => {
                    if offset < self.block_end && !damaged {
                        self.problem(name, offset, "a part of a block was not written");
                        damaged = true;
                    }
                    self.open = None;
                }
                Found::Damaged(what) => {
                    if !damaged {
                        self.problem(name, offset, what);
                        damaged = true;
                    }
                    self.open = None;
                }
            }
        }
        Ok(())
    }

    /// A block begins.
    fn begin(&mut self, window: &mut Window, home: Home, offset: u64, sector: &[u8]) {
        self.open = None;
        let (name, size) = (window.name().to_owned(), window.size());
        if offset < self.block_end {
            self.problem(&name, offset, "a block begins within another");
        }
        match block::head(sector, offset, size, home, None) {
            Head::Block { header, copies } => {
                self.block_end = offset + header.on_disk();
                if !copies {
                    self.order = self.order.max(header.order);
                }
                let bytes = window.get(self.disk, offset, header.on_disk() as usize);
                if bytes.is_ok_and(|bytes| block::body(bytes, offset, home, None) == Body::Whole) {
                    self.blocks += 1;
                }
            }
            Head::Nothing | Head::Damaged(_) => self.problem(&name, offset, "a block has a wrong header"),
        }
    }

    /// Takes in a whole sector of a block: what goes on from the one before, and what begins in it.
    fn sector(&mut self, bytes: &[u8], skip: usize, first: Option<usize>, each: &mut dyn FnMut(u64, &[u8])) {
        let mut open = match (self.open.take(), first) {
            (Some(open), _) => [&open[..], &bytes[skip..]].concat(),
            (None, Some(first)) => bytes[first..].to_vec(),
            (None, None) => return,
        };
        let mut at = 0;
        let prefix = if self.copies { ORDER } else { 0 };
        loop {
            let rest = &open[at..];
            match record::read(rest.get(prefix..).unwrap_or_default()) {
                Ok((_, length)) => {
                    let order = match rest.first_chunk() {
                        Some(order) if self.copies => u64::from_le_bytes(*order),
                        _ => self.order,
                    };
                    self.order += u64::from(!self.copies);
                    self.records += 1;
                    each(order, &rest[prefix..prefix + length]);
                    at += prefix + length;
                }
                // It goes on in the next sector.
                Err(RecordError::Short) => {
                    self.open = Some(open.split_off(at));
                    return;
                }
                // What fills up the block; or a record that was never whole.
                Err(_) => return,
            }
        }
    }
}
