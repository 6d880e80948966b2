//! The log as it is written: which block goes where, what is acknowledged, what a failure means. Works on a [`Disk`]; where
//! room comes from is `room.rs`, how old segments are emptied is `compact.rs`, how a log is read is `recover.rs`.
use super::aligned::Aligned;
use super::block::{self, BLOCK_MAX, Block, BlockHeader, Long};
use super::copying::Copying;
use super::damage::Damage;
use super::disk::Disk;
use super::live::{Live, Location, Size};
use super::options::{Durability, LogOptions};
use super::planted::{Bug, PlantedBug};
use super::recover::{self, LogSegment, Recovered};
use super::sector::{Home, PAGE};
use super::state::{self, State};
use super::supply::Supply;
use super::window::{Window, failed, segment_name};
use crate::store::record::{self, RecordHead, RecordKind, Span};
use crate::store::{Committed, StoreError};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long what was written may wait to be synced ([`Durability::Written`]): in a commit, and when there is time.
const UNSYNCED_MAX: Duration = Duration::from_secs(1);
const UNSYNCED_IDLE: Duration = Duration::from_millis(250);

// The longest record fits into a segment of its own, whose bytes are counted in 32 bits.
const _: () = {
    let record = record::HEADER as u64 + record::LENGTH_MAX as u64;
    assert!(PAGE as u64 + block::framed((block::HEADER + block::ORDER) as u64 + record) <= u32::MAX as u64);
};

/// An open log.
#[derive(Debug)]
pub(super) struct Segments<D> {
    pub(super) disk: D,
    pub(super) options: LogOptions,
    pub(super) log_number: u32,
    /// Oldest first; the last one is written.
    pub(super) segments: VecDeque<LogSegment>,
    pub(super) supply: Supply,
    /// Up to where the file of the newest segment was ever written, if that is known to be less than all of it: the rest is
    /// allocated.
    pub(super) written: u64,
    pub(super) live: Live,
    /// Bytes of the records of all jobs.
    pub(super) live_bytes: u64,
    /// Attempts that jobs have lost since their last put.
    pub(super) attempts: HashMap<u64, u8>,
    next_block: u64,
    next_order: u64,
    /// The last block that is durable.
    durable: u64,
    /// The oldest segment that is needed: as known, as written in the last block, as is durable.
    pub(super) needed: u32,
    needed_written: u32,
    pub(super) needed_durable: u32,
    unsynced_since: Option<Duration>,
    /// Changes of the file `state`.
    turn: u64,
    /// A write failed: nothing is written any more.
    pub(super) sealed: bool,
    pub(super) block: Block,
    pub(super) copying: Copying,
    pub(super) damage: Damage,
    items: Vec<Span>,
}

/// A record of the block at work, and its distance from the block's beginning.
#[derive(Clone, Copy, Debug)]
struct Added {
    head: RecordHead,
    at: u64,
    /// The last byte of the record: what an attempts record says.
    last: u8,
}

impl<D: Disk> Segments<D> {
    /// Opens what was found, or begins a log, and puts right what a crash left.
    pub(super) fn open(
        mut disk: D,
        options: LogOptions,
        found: Option<&mut Recovered>,
    ) -> Result<Segments<D>, StoreError> {
        let supply = Supply::open(&mut disk, &options)?;
        let mut log = Segments {
            log_number: disk.random() as u32,
            disk,
            options,
            segments: VecDeque::new(),
            supply,
            written: u64::MAX,
            live: Live::new(),
            live_bytes: 0,
            attempts: HashMap::new(),
            next_block: 1,
            next_order: 1,
            durable: 0,
            needed: 1,
            needed_written: 1,
            needed_durable: 1,
            unsynced_since: None,
            turn: 0,
            sealed: false,
            block: Block::new(),
            copying: Copying::default(),
            damage: Damage::default(),
            items: Vec::new(),
        };
        match found {
            Some(found) => log.take_over(found)?,
            None => {
                log.begin_segment(0)?;
                state::create(&mut log.disk, State { log: log.log_number, closed: false, last: 0, turn: 0 })?;
                log.turn = 1;
            }
        }
        log.write_state(false)?;
        Ok(log)
    }

    fn take_over(&mut self, found: &mut Recovered) -> Result<(), StoreError> {
        self.log_number = found.state.log;
        self.turn = found.state.turn;
        self.segments = found.segments.clone();
        self.live = std::mem::replace(&mut found.live, Live::new());
        self.attempts = std::mem::take(&mut found.attempts);
        self.live_bytes = self.segments.iter().map(|segment| segment.live).sum();
        self.next_block = found.next_block;
        self.next_order = found.next_order;
        self.durable = found.next_block - 1;
        self.needed = self.segments.front().map_or(1, |segment| segment.number);
        (self.needed_written, self.needed_durable) = (self.needed, self.needed);
        // The order: names are durable before anything relies on them; what is not needed goes, and pieces of a write that was
        // not finished, before a new block is written behind them; and what nobody knows to be durable is written and synced
        // before anything is acknowledged that stands behind it.
        // Names that are there may not be durable, if the last server could not sync them.
        self.sync_dir(state::NAME)?;
        for &number in &found.leftovers {
            let name = segment_name(number);
            self.disk.remove(&name).map_err(|error| failed(&self.disk, "remove", &name, error))?;
            self.sync_dir(&name)?;
        }
        let Some(&newest) = self.segments.back() else { return Ok(()) };
        let name = segment_name(newest.number);
        // What was not finished is wiped out, so that no later block can be mixed up with it.
        for &(offset, length) in &found.torn {
            let zeros = Aligned::new(length as usize);
            state::write_all(&mut self.disk, &name, offset, &zeros)?;
        }
        // What nobody knows to be durable is written once more: a sync that failed may have left it in memory only.
        let mut window = Window::new(name.clone(), newest.size);
        let mut offset = found.uncertain;
        while offset < newest.end {
            let length = (newest.end - offset).min(BLOCK_MAX) as usize;
            let mut bytes = Aligned::new(length);
            bytes.copy_from_slice(window.get(&mut self.disk, offset, length)?);
            state::write_all(&mut self.disk, &name, offset, &bytes)?;
            offset += length as u64;
        }
        self.disk.sync(&name).map_err(|error| failed(&self.disk, "sync", &name, error))
    }

    /// See [`crate::store::Store::commit`].
    pub(super) fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        if self.sealed {
            return Committed::of(Err(StoreError::Sealed), Err(StoreError::Sealed));
        }
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        items.extend(record::spans(slices));
        if self.options.bug().is(PlantedBug::ReorderBatch) {
            items.reverse();
        }
        if self.repairs() {
            self.put_again(slices, &mut items);
            if self.sealed {
                return Committed::of(Err(StoreError::Sealed), Err(StoreError::Sealed));
            }
        }
        // Puts and ends in one go, in the order in which they came: a job may be put and end in one commit. Only if there is no
        // room for the puts, the ends are written without them: they make room.
        let puts = items.iter().any(|item| item.head.kind == RecordKind::Put);
        let refused = if puts { self.keep(slices, &items).err() } else { None };
        let dones = match refused {
            Some(_) if self.sealed => Err(StoreError::Sealed),
            None if puts => Ok(()),
            _ => {
                // Whatever is not kept needs no end.
                items.retain(|item| {
                    item.head.kind != RecordKind::Put && self.live.get(item.head.id).is_some()
                });
                self.end(slices, &items)
            }
        };
        items.clear();
        items.shrink_to(1 << 16);
        self.items = items;
        Committed::of(refused.map_or(Ok(()), Err), dones)
    }

    /// Writes everything, if there is room for it beyond what ends of jobs may need. What needs a file of its own takes
    /// nothing from the others but what is left of the newest segment; whether there can be such a file is asked first.
    fn keep(&mut self, slices: &[&[u8]], items: &[Span]) -> Result<(), StoreError> {
        let most = self.alone();
        let own = |item: &&Span| item.head.length > most;
        let files: u64 = items.iter().filter(own).map(|item| self.own_segment(item.head.length)).sum();
        if files == 0 {
            self.room_for_puts(self.cost(items))?;
        } else {
            self.may_make(files)?;
            let others: Vec<Span> = items.iter().filter(|item| !own(item)).copied().collect();
            self.room_for_puts(self.left() + self.cost(&others))?;
        }
        self.write_items(slices, items)
    }

    /// Records of more bytes than this need a file of their own.
    pub(super) fn alone(&self) -> usize {
        (block::room(self.room_of_segment()) as usize).saturating_sub(block::HEADER)
    }

    /// How long the file of such a record is.
    fn own_segment(&self, record: usize) -> u64 {
        let block = block::framed((block::HEADER + record) as u64);
        (block + PAGE as u64).max(self.options.segment_bytes)
    }

    /// Writes ends of jobs.
    fn end(&mut self, slices: &[&[u8]], items: &[Span]) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        self.room_for_dones(self.cost(items))?;
        self.write_items(slices, items)
    }

    /// What the records need on disk, at the most.
    pub(super) fn cost(&self, items: &[Span]) -> u64 {
        let bytes: u64 = items.iter().map(|item| item.head.length as u64).sum();
        let longest = items.iter().map(|item| item.head.length as u64).max().unwrap_or(0);
        // A record that does not fit at the end of a segment leaves room there.
        block::framed(bytes + longest + block::HEADER as u64) + (2 + bytes / BLOCK_MAX) * PAGE as u64
    }

    fn write_items(&mut self, slices: &[&[u8]], items: &[Span]) -> Result<(), StoreError> {
        let mut added = Vec::with_capacity(items.len().min(1 << 12));
        self.block.clear(2 * BLOCK_MAX as usize);
        for item in items {
            let parts = item.parts(slices);
            if !self.fits(item.head.length, BLOCK_MAX) {
                self.write_added(&mut added)?;
            }
            if !self.fits(item.head.length, u64::MAX) {
                self.begin_segment(block::framed((block::HEADER + item.head.length) as u64))?;
            }
            if item.head.length as u64 > BLOCK_MAX {
                let at = self.write_long(None, parts)?;
                self.take_in(Added { head: item.head, at, last: 0 }, 0);
                continue;
            }
            let last = parts[0].last().copied().unwrap_or_default();
            added.push(Added { head: item.head, at: self.block.add(None, parts), last });
        }
        self.write_added(&mut added)
    }

    /// Whether the block at work can hold so much more, in this segment and within `most` bytes.
    pub(super) fn fits(&self, bytes: usize, most: u64) -> bool {
        let room = block::room(self.left().min(most));
        (self.block.length() + bytes) as u64 <= room
    }

    fn write_added(&mut self, added: &mut Vec<Added>) -> Result<(), StoreError> {
        if added.is_empty() {
            return Ok(());
        }
        let offset = self.write_block(false)?;
        added.drain(..).for_each(|added| self.take_in(added, offset));
        Ok(())
    }

    /// A record was written, in a block at this offset.
    fn take_in(&mut self, added: Added, offset: u64) {
        let id = added.head.id;
        match added.head.kind {
            RecordKind::Put => {
                self.attempts.remove(&id);
                self.place(id, offset + added.at, added.head.length);
            }
            RecordKind::Attempts if self.live.get(id).is_some() => {
                self.attempts.insert(id, added.last);
            }
            RecordKind::Attempts => {}
            RecordKind::Done => {
                self.attempts.remove(&id);
                if let Some(was) = self.live.remove(id) {
                    self.live_bytes -= was.size.bytes();
                    recover::release(&mut self.segments, was);
                }
            }
        }
    }

    /// The job stands at this byte of the newest segment now.
    pub(super) fn place(&mut self, id: u64, at: u64, length: usize) {
        let Some(segment) = self.segments.back_mut() else { return };
        let place = Location { segment: segment.number as u16, at: at as u32, size: Size::of(length as u64) };
        segment.live += place.size.bytes();
        self.live_bytes += place.size.bytes();
        if let Some(was) = self.live.insert(id, place) {
            self.live_bytes -= was.size.bytes();
            recover::release(&mut self.segments, was);
        }
    }

    /// Writes the block at work to the newest segment, where there is room for it, and empties it. Returns its offset.
    /// When it returns, the block is as durable as blocks are to be.
    pub(super) fn write_block(&mut self, copies: bool) -> Result<u64, StoreError> {
        let header = self.header();
        let (home, offset) = self.end_of_log()?;
        let count = u64::from(self.block.count());
        let bytes = self.block.seal(header, home, offset, copies);
        let (length, bug) = (bytes.len() as u64, self.options.bug());
        // Nothing is counted before it is written: after a failure the log in memory is as it was, and takes nothing any more.
        if let Err(error) = put_on_disk(&mut self.disk, home, offset, bytes, bug) {
            self.sealed = true;
            return Err(error);
        }
        self.block.clear(2 * BLOCK_MAX as usize);
        self.wrote(length, copies, count)?;
        Ok(offset)
    }

    /// The same with a block of one long record, which is a copy if it has an order number. Returns the record's offset.
    pub(super) fn write_long(&mut self, order: Option<u64>, record: [&[u8]; 2]) -> Result<u64, StoreError> {
        let long = Long::new(self.header(), order, record);
        let (home, offset) = self.end_of_log()?;
        let (disk, bug) = (&mut self.disk, self.options.bug());
        let mut length = 0;
        let written = long.seal(home, offset, |at, bytes| {
            length += bytes.len() as u64;
            put_on_disk(disk, home, at, bytes, bug)
        });
        if let Err(error) = written {
            self.sealed = true;
            return Err(error);
        }
        self.wrote(length, order.is_some(), 1)?;
        Ok(offset + long.distance())
    }

    /// The header of the next block, but for its length and count.
    fn header(&self) -> BlockHeader {
        let (number, durable) = (self.next_block, self.durable);
        BlockHeader { length: 0, count: 0, number, durable, order: self.next_order, oldest: self.needed }
    }

    /// Where the next block goes.
    fn end_of_log(&self) -> Result<(Home, u64), StoreError> {
        let segment = self.segments.back().ok_or(StoreError::Sealed)?;
        Ok((Home { log: self.log_number, segment: segment.number }, segment.end))
    }

    /// A block of so many bytes was written.
    fn wrote(&mut self, length: u64, copies: bool, count: u64) -> Result<(), StoreError> {
        let Some(segment) = self.segments.back_mut() else { return Err(StoreError::Sealed) };
        segment.end += length;
        assert!(segment.end <= segment.size, "a block fits into its segment");
        self.next_block += 1;
        self.next_order += if copies { 0 } else { count };
        self.needed_written = self.needed;
        let now = self.disk.now();
        let since = *self.unsynced_since.get_or_insert(now);
        let bug = self.options.bug();
        let later =
            bug.is(PlantedBug::AnswerBeforeSync) || bug.is(PlantedBug::DeleteEarly) && (copies || count == 0);
        let at_once = self.options.durability == Durability::Synced && !later;
        if at_once || now.saturating_sub(since) >= UNSYNCED_MAX {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes durable what was written. If that fails nobody knows what is durable, and a second attempt may succeed
    /// without having written anything: the log is not written any more.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if self.unsynced_since.is_none() {
            return Ok(());
        }
        let Some(segment) = self.segments.back() else { return Ok(()) };
        let name = segment_name(segment.number);
        let mut synced = self.disk.sync(&name);
        if synced.is_err() && self.options.bug().is(PlantedBug::RetrySync) {
            synced = self.disk.sync(&name);
        }
        if let Err(error) = synced {
            self.sealed = true;
            return Err(failed(&self.disk, "sync", &name, error));
        }
        self.unsynced_since = None;
        self.durable = self.next_block - 1;
        self.needed_durable = self.needed_written;
        Ok(())
    }

    /// Syncs if it is time.
    pub(super) fn sync_if_due(&mut self) -> Result<(), StoreError> {
        let now = self.disk.now();
        match self.unsynced_since {
            Some(since) if now.saturating_sub(since) >= UNSYNCED_IDLE => self.sync(),
            _ => Ok(()),
        }
    }

    /// Whether something was written that is yet to be synced.
    pub(super) fn owes_sync(&self) -> bool {
        self.unsynced_since.is_some() && !self.sealed
    }

    /// Makes the names of files durable. After a failure nothing is written any more.
    pub(super) fn sync_dir(&mut self, name: &str) -> Result<(), StoreError> {
        self.disk.sync_dir().map_err(|error| {
            self.sealed = true;
            failed(&self.disk, "sync the directory of", name, error)
        })
    }

    /// Begins a segment, in which a block of `block` bytes has room.
    pub(super) fn begin_segment(&mut self, block: u64) -> Result<(), StoreError> {
        // Before the next segment has a name: a start takes what stands in any but the newest one for durable.
        self.sync()?;
        let number = self.segments.back().map_or(1, |segment| segment.number + 1);
        let size = (block + PAGE as u64).max(self.options.segment_bytes);
        let (spare, written) = self.take_spare(size)?;
        let name = segment_name(number);
        let mut header = Aligned::new(PAGE);
        recover::segment_header(&mut header, Home { log: self.log_number, segment: number }, size);
        // Whole before it has its name, and its name before anything is written to it.
        state::write_all(&mut self.disk, &spare, 0, &header)?;
        self.disk.sync(&spare).map_err(|error| failed(&self.disk, "sync", &spare, error))?;
        self.disk.rename(&spare, &name).map_err(|error| {
            self.sealed = true;
            failed(&self.disk, "rename", &spare, error)
        })?;
        if !self.options.bug().is(PlantedBug::ForgetDirSync) {
            self.sync_dir(&name)?;
        }
        self.segments.push_back(LogSegment { number, size, end: PAGE as u64, live: 0 });
        self.written = written;
        Ok(())
    }

    /// Bytes left in the newest segment.
    pub(super) fn left(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.size - segment.end)
    }

    /// Bytes of blocks that an ordinary segment holds.
    pub(super) fn room_of_segment(&self) -> u64 {
        self.options.segment_bytes - PAGE as u64
    }

    /// An orderly end.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        if self.sealed {
            return Err(StoreError::Sealed);
        }
        // The state says where the log ends: first that end is durable.
        self.sync()?;
        self.write_state(true)?;
        // Whoever writes after this would contradict the state.
        self.sealed = true;
        Ok(())
    }

    fn write_state(&mut self, closed: bool) -> Result<(), StoreError> {
        self.turn += 1;
        let (log, last, turn) = (self.log_number, self.next_block - 1, self.turn);
        state::write(&mut self.disk, State { log, closed, last, turn })
    }
}

fn put_on_disk<D: Disk>(
    disk: &mut D,
    home: Home,
    offset: u64,
    bytes: &[u8],
    bug: Bug,
) -> Result<(), StoreError> {
    let name = segment_name(home.segment);
    if bug.is(PlantedBug::IgnoreShortWrite) {
        return disk
            .write_at(&name, offset, bytes)
            .map(drop)
            .map_err(|error| failed(disk, "write to", &name, error));
    }
    state::write_all(disk, &name, offset, bytes)
}
