//! Going through all of a log, whatever is wrong with it: every record that is intact, and what is not as it was written.
//! What follows from that is `tools.rs`; how a start reads is `recover.rs`.
use super::block::{self, BlockHead, ORDER};
use super::disk::Disk;
use super::planted::Bug;
use super::recover;
use super::sector::{self, Found, Home, PAGE, ROOM, Role, SECTOR};
use super::state;
use super::window::{Window, failed, segment_name, segment_number};
use crate::engine::JobId;
use crate::store::StoreError;
use crate::store::record::{self, Record, RecordError};
use std::collections::HashMap;
use std::path::PathBuf;

/// Memory that is kept for the next record.
const KEPT: usize = 1 << 20;

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

/// Where a record stands, in the order in which jobs were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Its order number, as far as is known.
    pub(super) order: u64,
    /// The file, counted in [`Scan::files`].
    pub(super) file: u32,
    /// The byte of the file at which it begins.
    pub(super) at: u64,
}

/// What a scan tells of each record that is intact.
pub(super) type Each<'e> = &'e mut dyn FnMut(Spot, Record<'_>, &[u8]);

/// A block in the middle of which the scan is, if all of its sectors so far are there.
#[derive(Clone, Copy, Debug)]
struct OpenBlock {
    end: u64,
    /// What the next sector is.
    role: Role,
}

/// Goes through everything that is there, whatever is wrong with it.
pub(super) struct Scan<'a, D> {
    disk: &'a mut D,
    log: u32,
    /// The segments: the number that they say they have, their names and lengths.
    pub(super) files: Vec<(u32, String, u64)>,
    pub(super) segments: u64,
    pub(super) blocks: u64,
    pub(super) records: u64,
    pub(super) problems: Vec<Problem>,
    /// The order number of the next record that is no copy, as far as is known.
    order: u64,
    /// What there is so far of the record that is read, with its order number if it is a copy, and where it begins:
    /// counted in bytes of sectors' contents. It may go on in the next sector.
    open: Vec<u8>,
    begun: Option<u64>,
    copies: bool,
    /// Where the block at work ends.
    block_end: u64,
    course: Option<OpenBlock>,
}

impl<'a, D: Disk> Scan<'a, D> {
    pub(super) fn new(disk: &'a mut D) -> Result<Scan<'a, D>, StoreError> {
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

    pub(super) fn run(&mut self, each: Each<'_>) -> Result<(), StoreError> {
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
            BlockHead::Block { header, copies } => {
                self.block_end = offset + header.on_disk();
                let role = if copies { Role::CopiesGo } else { Role::Goes };
                self.course = Some(OpenBlock { end: self.block_end, role });
                if !copies {
                    self.order = self.order.max(header.order);
                }
            }
            BlockHead::Nothing | BlockHead::Damaged(_) => {
                self.problem(name, offset, "a block has a wrong header")
            }
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
        self.open.shrink_to(KEPT);
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
