//! Reading a log as a start needs it: strictly, from the oldest segment to the newest. Changes nothing on disk; what is
//! to be put right is said, `segments.rs` does it. Looking at what is damaged is `tools.rs`.
use super::block::{self, BlockBody, BlockHead, BlockHeader};
use super::disk::Disk;
use super::live::{Live, Location, Size};
use super::planted::Bug;
use super::sector::{self, Found, Home, PAGE, Role, SECTOR};
use super::state::{self, State};
use super::window::{Window, corrupt, segment_name, segment_number, spare_number, unusable};
use crate::store::record::{self, Record, RecordError};
use crate::store::{Progress, StoreError};
use std::collections::{HashMap, VecDeque};

/// A segment of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogSegment {
    /// Counts from 1.
    pub(super) number: u32,
    /// The length of its file.
    pub(super) size: u64,
    /// Where the next block goes.
    pub(super) end: u64,
    /// Bytes of records of jobs that are kept here.
    pub(super) live: u64,
}

/// A put that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptPut {
    pub(super) order: u64,
    pub(super) id: u64,
    pub(super) place: Location,
}

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The segments that count, oldest first; at least one.
    pub(super) segments: VecDeque<LogSegment>,
    /// Segments that are not needed any more.
    pub(super) leftovers: Vec<u32>,
    /// Where each job is.
    pub(super) live: Live,
    /// The jobs in the order in which they were accepted.
    pub(super) kept: Vec<KeptPut>,
    /// Attempts that jobs have lost since their last put.
    pub(super) attempts: HashMap<u64, u8>,
    /// The number of the next block.
    pub(super) next_block: u64,
    /// The order number of the next record.
    pub(super) next_order: u64,
    /// What the state says.
    pub(super) state: State,
    /// Pages of the newest segment, as offset and length, that hold pieces of blocks that were not finished.
    pub(super) torn: Vec<(u64, u64)>,
    /// Where the blocks of the newest segment begin that may not be durable; its end if there are none.
    pub(super) uncertain: u64,
}

/// Spare files, with their lengths.
pub(super) fn spares(files: &[(String, u64)]) -> Vec<(u32, u64)> {
    files.iter().filter_map(|(name, size)| Some((spare_number(name)?, *size))).collect()
}

/// Reads a log; `None` if there is none yet.
pub(super) fn read<D: Disk>(
    disk: &mut D,
    bug: Bug,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Recovered>, StoreError> {
    let files = disk.list().map_err(|error| super::window::failed(disk, "list", "", error))?;
    let state = state::read(disk, &files)?;
    let mut found: Vec<(u32, u64)> =
        files.iter().filter_map(|(name, size)| Some((segment_number(name)?, *size))).collect();
    found.sort_unstable();
    let Some(state) = state else {
        return match found[..] {
            [] => Ok(None),
            // A first start that did not come far.
            [(1, size)] if untouched(disk, size)? => Ok(None),
            _ => Err(corrupt(disk, state::NAME, 0, "it is missing")),
        };
    };
    let Some(&(first, _)) = found.first() else {
        return Err(corrupt(disk, &segment_name(1), 0, "there is no segment"));
    };
    if let Some((number, _)) = (first..).zip(&found).find(|(number, segment)| segment.0 != *number) {
        return Err(corrupt(disk, &segment_name(number), 0, "it is missing"));
    }
    let mut reading = Reading::new(state, bug);
    let of = found.iter().map(|&(_, size)| size).sum();
    let mut before = 0;
    for (at, &(number, size)) in found.iter().enumerate() {
        let mut until = |offset| progress(Progress::Reading { bytes: before + offset, of });
        reading.segment(disk, number, size, at + 1 == found.len(), &mut until)?;
        until(size);
        before += size;
    }
    reading.finish(disk).map(Some)
}

/// Whether the only segment has a header at the most.
fn untouched<D: Disk>(disk: &mut D, size: u64) -> Result<bool, StoreError> {
    let mut window = Window::new(segment_name(1), size);
    for at in (PAGE as u64..size.max(PAGE as u64)).step_by(PAGE) {
        if window.get(disk, at, PAGE)?.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The header of a segment as it is written.
pub(super) fn segment_header(out: &mut [u8], home: Home, size: u64) {
    out.fill(0);
    out[..16].copy_from_slice(state::MAGIC);
    out[16..20].copy_from_slice(&state::VERSION.to_le_bytes());
    out[24..32].copy_from_slice(&size.to_le_bytes());
    sector::seal(&mut out[..SECTOR], 0, home, Role::Segment, None);
}

/// Checks the header of a segment.
pub(super) fn check_header<D: Disk>(
    disk: &mut D,
    window: &mut Window,
    home: Home,
    bug: Bug,
) -> Result<(), StoreError> {
    let (name, size) = (window.name().to_owned(), window.size());
    if size < 2 * PAGE as u64 || !size.is_multiple_of(PAGE as u64) || size > u64::from(u32::MAX) {
        return Err(corrupt(disk, &name, size, "its length is wrong"));
    }
    let bytes = window.get(disk, 0, PAGE)?.to_vec();
    for (at, sector) in bytes.chunks_exact(SECTOR).enumerate() {
        let offset = (at * SECTOR) as u64;
        let what = match sector::find(sector, at as u64, home, bug) {
            Found::Ours { role: Role::Segment, .. } if at == 0 => {
                state::version(disk, &name, 0, sector)?;
                let stated: [u8; 8] = std::array::from_fn(|byte| sector[24 + byte]);
                match u64::from_le_bytes(stated) == size {
                    true => continue,
                    false => "its length is not what its header says",
                }
            }
            // Another version may have other checksums.
            Found::Damaged(what) if at == 0 && sector[..16] == *state::MAGIC => {
                state::version(disk, &name, 0, sector)?;
                what
            }
            Found::Nothing if at > 0 => continue,
            Found::Nothing => "it has the header of another segment, or none",
            Found::Ours { .. } => "its header makes no sense",
            Found::Damaged(what) => what,
        };
        return Err(corrupt(disk, &name, offset, what));
    }
    Ok(())
}

/// Splits the records of a block: what each says, its order number if it is a copy, and its distance from the beginning
/// of the block. `each` may stop it with an error; so does a record that cannot be read, with its distance.
pub(super) fn records<E>(
    contents: &[u8],
    copies: bool,
    mut each: impl FnMut(Record<'_>, &[u8], Option<u64>, u64) -> Result<(), E>,
) -> Result<u32, RecordsError<E>> {
    let (mut at, mut count) = (0, 0);
    while at < contents.len() {
        let mut order = None;
        let begin = at;
        let distance = |at: usize| block::distance(block::HEADER + at) as u64;
        if copies {
            let Some(bytes) = contents[at..].first_chunk() else {
                return Err(RecordsError::Record(distance(begin), RecordError::Short));
            };
            order = Some(u64::from_le_bytes(*bytes));
            at += block::ORDER;
        }
        let (read, length) =
            record::read(&contents[at..]).map_err(|error| RecordsError::Record(distance(begin), error))?;
        each(read, &contents[at..at + length], order, distance(at)).map_err(RecordsError::Each)?;
        at += length;
        count += 1;
    }
    Ok(count)
}

/// Why the records of a block were not all read.
#[derive(Debug)]
pub(super) enum RecordsError<E> {
    /// The one at this distance cannot be read.
    Record(u64, RecordError),
    /// What was called for each said so.
    Each(E),
}

/// What is wrong with a whole block.
enum BlockFault {
    /// This, with all of it.
    Block(String),
    /// The record at this distance from its beginning cannot be used.
    Record(u64, RecordError),
}

struct Reading {
    state: State,
    bug: Bug,
    segments: VecDeque<LogSegment>,
    live: Live,
    puts: Vec<KeptPut>,
    /// By job: the order number of the last attempts record, and what it says.
    attempts: HashMap<u64, (u64, u8)>,
    /// The last block, and what it said.
    last: Option<BlockHeader>,
    next_order: u64,
    /// Blocks of the newest segment that no later block calls durable: number and offset.
    uncertain: VecDeque<(u64, u64)>,
    torn: Vec<(u64, u64)>,
    contents: Vec<u8>,
}

impl Reading {
    fn new(state: State, bug: Bug) -> Reading {
        Reading {
            state,
            bug,
            segments: VecDeque::new(),
            live: Live::new(),
            puts: Vec::new(),
            attempts: HashMap::new(),
            last: None,
            next_order: 1,
            uncertain: VecDeque::new(),
            torn: Vec::new(),
            contents: Vec::new(),
        }
    }

    /// Reads a segment; `until` is told the offset that it has come to.
    fn segment<D: Disk>(
        &mut self,
        disk: &mut D,
        number: u32,
        size: u64,
        newest: bool,
        until: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        let home = Home { log: self.state.log, segment: number };
        let mut window = Window::new(segment_name(number), size);
        check_header(disk, &mut window, home, self.bug)?;
        self.segments.push_back(LogSegment { number, size, end: PAGE as u64, live: 0 });
        self.uncertain.clear();
        let mut offset = PAGE as u64;
        while offset < size {
            let sector = window.get(disk, offset, SECTOR)?;
            let header = match block::head(sector, offset, size, home, self.bug) {
                BlockHead::Nothing => break,
                BlockHead::Damaged(what) => return Err(corrupt(disk, window.name(), offset, what)),
                BlockHead::Block { header, copies } => {
                    let length = header.on_disk() as usize;
                    let bytes = window.get(disk, offset, length)?;
                    match block::body(bytes, offset, home, self.bug) {
                        BlockBody::Torn => break,
                        BlockBody::Damaged(at, what) => {
                            let at = offset + (at * SECTOR) as u64;
                            return Err(corrupt(disk, window.name(), at, what));
                        }
                        BlockBody::Whole => {}
                    }
                    let mut contents = std::mem::take(&mut self.contents);
                    block::contents(bytes, &header, &mut contents);
                    let read = self.block(&header, copies, offset, &contents);
                    self.contents = contents;
                    read.map_err(|wrong| match wrong {
                        BlockFault::Block(what) => corrupt(disk, window.name(), offset, what),
                        BlockFault::Record(at, error) => unusable(disk, window.name(), offset + at, error),
                    })?;
                    header
                }
            };
            offset += header.on_disk();
            until(offset);
            if let Some(segment) = self.segments.back_mut() {
                segment.end = offset;
            }
        }
        self.rest(disk, &mut window, home, offset, newest)
    }

    /// Takes in a whole block.
    fn block(
        &mut self,
        header: &BlockHeader,
        copies: bool,
        offset: u64,
        contents: &[u8],
    ) -> Result<(), BlockFault> {
        let expected = match self.last {
            Some(last) => last.number + 1,
            None if self.segments.len() == 1 => header.number,
            None => return Err(BlockFault::Block("segments before this one are empty".to_owned())),
        };
        if header.number != expected {
            let what = format!("block {} stands where block {expected} should be", header.number);
            return Err(BlockFault::Block(what));
        }
        let contradicts =
            || BlockFault::Block(format!("block {} contradicts the blocks before it", header.number));
        let before = self.last.map_or(0, |last| last.durable);
        let oldest = self.last.map_or(0, |last| last.oldest);
        let here = self.segments.back().map_or(0, |segment| segment.number);
        if header.durable < before || header.durable >= header.number {
            return Err(contradicts());
        }
        if header.oldest < oldest || header.oldest > here || (!copies && header.order < self.next_order) {
            return Err(contradicts());
        }
        let mut order = header.order;
        let count = records(contents, copies, |record, bytes, copied, at| {
            let this = copied.unwrap_or(order);
            order += u64::from(!copies);
            self.record(&record, bytes.len() as u64, this, offset + at);
            Ok::<(), ()>(())
        });
        match count {
            Ok(count) if count == header.count => {}
            Ok(count) => {
                return Err(BlockFault::Block(format!("a block of {} records holds {count}", header.count)));
            }
            Err(RecordsError::Record(at, error)) => return Err(BlockFault::Record(at, error)),
            Err(RecordsError::Each(())) => {}
        }
        self.next_order = self.next_order.max(order);
        self.last = Some(*header);
        self.uncertain.push_back((header.number, offset));
        while self.uncertain.front().is_some_and(|&(number, _)| number <= header.durable) {
            self.uncertain.pop_front();
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>, length: u64, order: u64, at: u64) {
        let here = self.segments.back().map_or(0, |segment| segment.number);
        let was = match record {
            Record::Put(job) => {
                let place = Location { segment: here as u16, at: at as u32, size: Size::of(length) };
                let id = job.id.number();
                self.puts.push(KeptPut { order, id, place });
                if let Some(segment) = self.segments.back_mut() {
                    segment.live += place.size.bytes();
                }
                self.live.insert(id, place)
            }
            Record::Done(id) => self.live.remove(id.number()),
            Record::Attempts(id, lost) => {
                self.attempts.insert(id.number(), (order, *lost));
                None
            }
        };
        if let Some(was) = was {
            release(&mut self.segments, was);
        }
    }

    /// Looks at what is behind the last block of a segment: nothing, unless it is the newest.
    fn rest<D: Disk>(
        &mut self,
        disk: &mut D,
        window: &mut Window,
        home: Home,
        from: u64,
        newest: bool,
    ) -> Result<(), StoreError> {
        let missing = self.last.map_or(1, |last| last.number + 1);
        for offset in (from..window.size()).step_by(PAGE) {
            let page = window.get(disk, offset, PAGE)?;
            let mut ours = false;
            for (at, sector) in page.chunks_exact(SECTOR).enumerate() {
                let here = offset + (at * SECTOR) as u64;
                match sector::find(sector, here / SECTOR as u64, home, self.bug) {
                    Found::Nothing => continue,
                    Found::Damaged(what) => return Err(corrupt(disk, window.name(), here, what)),
                    Found::Ours { role, .. } => {
                        if role.begins() && BlockHeader::read(sector).durable >= missing {
                            let what =
                                format!("block {missing} is missing or torn, and later ones are there");
                            return Err(corrupt(disk, window.name(), from, what));
                        }
                        ours = true;
                    }
                }
            }
            if !ours {
                continue;
            }
            if !newest || self.state.closed {
                let what = format!("block {missing} is not whole");
                return Err(corrupt(disk, window.name(), offset, what));
            }
            match self.torn.last_mut() {
                Some((begin, length)) if *begin + *length == offset => *length += PAGE as u64,
                _ => self.torn.push((offset, PAGE as u64)),
            }
        }
        Ok(())
    }

    fn finish<D: Disk>(mut self, disk: &mut D) -> Result<Recovered, StoreError> {
        let first = self.segments.front().map_or(0, |segment| segment.number);
        let newest = self.segments.back().map_or(0, |segment| segment.number);
        let end = self.segments.back().map_or(0, |segment| segment.end);
        let last = self.last.map_or(0, |last| last.number);
        let State { closed, last: stated, .. } = self.state;
        if last < stated || closed && last > stated {
            let what = format!("the log ends with block {last}, and should with block {stated}");
            return Err(corrupt(disk, &segment_name(newest), end, what));
        }
        let oldest = self.last.map_or(first, |last| last.oldest);
        if first > oldest {
            return Err(corrupt(disk, &segment_name(oldest), 0, "it is missing"));
        }
        let mut leftovers = Vec::new();
        while let Some(segment) = self.segments.front().filter(|segment| segment.number < oldest) {
            if segment.live > 0 {
                let what = "jobs stand here that should have been copied";
                return Err(corrupt(disk, &segment_name(segment.number), 0, what));
            }
            leftovers.push(segment.number);
            self.segments.pop_front();
        }
        let live = &self.live;
        self.puts.retain(|put| live.get(put.id) == Some(put.place));
        // Jobs that were put again from memory may have one order number: see `repair.rs`.
        let place = |put: &KeptPut| (put.order, put.id);
        if !self.puts.is_sorted_by_key(place) {
            self.puts.sort_unstable_by_key(place);
        }
        let counts = |put: &KeptPut| {
            let (order, lost) = self.attempts.get(&put.id)?;
            (*order > put.order).then_some((put.id, *lost))
        };
        Ok(Recovered {
            segments: self.segments,
            leftovers,
            attempts: self.puts.iter().filter_map(counts).collect(),
            live: self.live,
            kept: self.puts,
            next_block: last + 1,
            next_order: self.next_order,
            state: self.state,
            torn: self.torn,
            uncertain: self.uncertain.front().map_or(end, |&(_, offset)| offset),
        })
    }
}

/// A job is not kept at this place any more.
pub(super) fn release(segments: &mut VecDeque<LogSegment>, place: Location) {
    let Some(first) = segments.front().map(|segment| segment.number) else { return };
    // Fewer than 65536 segments stand in a row: 16 bits tell them apart.
    let at = usize::from(place.segment.wrapping_sub(first as u16));
    assert!(at < segments.len(), "a job is kept in a segment that is there");
    let segment = &mut segments[at];
    assert!(segment.live >= place.size.bytes(), "what is released was counted");
    segment.live -= place.size.bytes();
}
