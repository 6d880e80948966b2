//! Emptying old segments: live jobs of the oldest are copied to the end of the log, then its file is used again. Always
//! the oldest first, so that the end of a job never goes before its beginning. In pieces of a few milliseconds.
use super::block::{self, Body, Head, ORDER};
use super::disk::Disk;
use super::planted::{Bug, Planted};
use super::recover::{self, RecordsError, Segment};
use super::sector::{Home, PAGE, SECTOR};
use super::segments::{BLOCK_MAX, Segments};
use super::window::{Window, corrupt, segment_name};
use crate::engine::StoredJob;
use crate::store::StoreError;
use crate::store::record::{self, Record};

/// How often a block is read that cannot be read, before it is given up.
const TRIES: u32 = 3;

/// How far copying has come.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The segment that is read.
    segment: u32,
    offset: u64,
    window: Option<Window>,
    contents: Vec<u8>,
    /// Records to be copied: jobs, order numbers, bytes in `bytes`.
    picked: Vec<(u64, u64, usize)>,
    bytes: Vec<u8>,
    /// How often the block at `offset` could not be read.
    tries: u32,
    /// Where the next block begins is not known: it is looked for.
    seeking: bool,
    /// Order numbers: of the first record of the block where copying is, and of the last one that was read in this
    /// segment, if they are known.
    first_order: Option<u64>,
    last_order: Option<u64>,
    /// Emptying segments freed nothing when jobs took so many bytes.
    futile: Option<u64>,
    /// For want of room: the newest segment when it began.
    round: Option<u32>,
    /// Bytes that the segments took which have gone since, and that the copies of their jobs take.
    freed: u64,
    copied: u64,
}

impl<D: Disk> Segments<D> {
    /// See [`crate::store::Store::tidy`].
    pub(super) fn tidy(&mut self) -> Result<bool, StoreError> {
        if self.sealed {
            return Ok(false);
        }
        self.sync_if_due()?;
        self.end_repair();
        if self.release_oldest()? || self.pass_dead()? {
            return Ok(true);
        }
        if self.wants_spare() {
            match self.make_piece() {
                Ok(_) => return Ok(true),
                Err(StoreError::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.wants_copying() {
            return Ok(false);
        }
        match self.copy_piece() {
            Ok(()) => Ok(true),
            Err(StoreError::Full { .. }) if !self.sealed => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes back the file of the oldest segment, if a durable block says that it is not needed.
    fn release_oldest(&mut self) -> Result<bool, StoreError> {
        let bug = self.options.bug();
        let early = bug.is(Planted::ReuseEarly) || bug.is(Planted::DeleteEarly);
        let needed = if early { self.needed } else { self.needed_durable };
        let Some(&oldest) = self.segments.front().filter(|oldest| oldest.number < needed) else {
            return Ok(false);
        };
        assert!(oldest.live == 0, "a segment that goes has no jobs");
        self.segments.pop_front();
        self.copying.freed += oldest.end - PAGE as u64;
        if self.repair.is_damaged(oldest.number) {
            self.move_aside(oldest.number)?;
        } else {
            self.take_back(&segment_name(oldest.number), oldest.size)?;
        }
        Ok(true)
    }

    /// Says that the oldest segments are not needed, if they hold no jobs.
    fn pass_dead(&mut self) -> Result<bool, StoreError> {
        let newest = self.segments.len().saturating_sub(1);
        let dead = self.segments.iter().take(newest).take_while(|segment| segment.live == 0).count();
        if dead == 0 || self.segments[dead].number <= self.needed {
            return Ok(false);
        }
        self.block.clear(2 * BLOCK_MAX as usize);
        if self.left() < PAGE as u64 {
            match self.begin_segment(PAGE as u64) {
                Ok(()) => {}
                Err(StoreError::Full { .. }) if !self.sealed => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.needed = self.segments[dead].number;
        if !self.options.bug().is(Planted::ReuseEarly) {
            self.write_block(false)?;
            if !self.options.bug().is(Planted::DeleteEarly) {
                self.sync()?;
            }
        }
        Ok(true)
    }

    /// Bytes that blocks take, those of the newest segment included.
    fn used(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end - PAGE as u64).sum()
    }

    /// Bytes that the jobs would take side by side.
    fn dense(&self) -> u64 {
        self.live_bytes + self.live_bytes / 16
    }

    fn wants_copying(&mut self) -> bool {
        let Some(&oldest) = self.segments.front() else { return false };
        if self.segments.len() < 2 || oldest.live == 0 || self.repairs() {
            return false;
        }
        let segment = self.options.segment_bytes;
        if self.free() < block::framed(oldest.live + oldest.live / 16) + 2 * PAGE as u64 {
            return false;
        }
        if self.used() > 2 * self.dense() + segment {
            return true;
        }
        // For want of room.
        if self.free() >= self.reserve() + segment / 4 || self.used() < self.dense() + segment / 4 {
            self.copying.round = None;
            return false;
        }
        let newest = self.segments.back().map_or(0, |segment| segment.number);
        match self.copying.round {
            Some(last) if oldest.number <= last => {}
            Some(_) => {
                // All were emptied once.
                self.copying.round = None;
                let gained = self.copying.freed > self.copying.copied + segment / 8;
                self.copying.futile = (!gained).then_some(self.live_bytes);
            }
            None => {
                self.copying.round = Some(newest);
                (self.copying.freed, self.copying.copied) = (0, 0);
            }
        }
        self.copying.futile.is_none_or(|bytes| self.live_bytes + segment / 8 <= bytes)
    }

    /// Does a piece of emptying the oldest segment, as long as it is not newer than `newest` and there is something to
    /// be gained. Returns whether there is more to do.
    pub(super) fn empty_oldest(&mut self, newest: u32) -> Result<bool, StoreError> {
        let oldest = self.segments.front().map_or(u32::MAX, |segment| segment.number);
        let gain = self.used() >= self.dense() + self.options.segment_bytes / 4;
        self.end_repair();
        if oldest > newest || self.segments.len() < 2 || self.repairs() || !gain {
            return Ok(false);
        }
        if self.release_oldest()? || self.pass_dead()? {
            return Ok(true);
        }
        if self.segments.front().is_none_or(|oldest| oldest.live == 0) {
            // There was no room to say that it is not needed.
            return Ok(false);
        }
        match self.copy_piece() {
            Ok(()) => Ok(true),
            Err(error) if self.sealed => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Copies some jobs of the oldest segment. What cannot be read is left, and repaired when the rest is copied.
    fn copy_piece(&mut self) -> Result<(), StoreError> {
        let Some(&oldest) = self.segments.front() else { return Ok(()) };
        if self.copying.segment != oldest.number {
            self.copying.segment = oldest.number;
            self.copying.offset = PAGE as u64;
            self.copying.window = None;
            self.copying.last_order = None;
            (self.copying.tries, self.copying.seeking) = (0, false);
        }
        self.pick(oldest);
        let copied = self.write_picked();
        if self.copying.offset >= oldest.end && copied.is_ok() {
            self.copying.segment = 0;
            self.copying.window = None;
            let left = self.segments.front().map_or(0, |segment| segment.live);
            if left > 0 {
                self.begin_repair(oldest.number);
            }
        }
        copied
    }

    /// Reads blocks, until there is enough to write or the segment ends, and picks what is kept there.
    fn pick(&mut self, oldest: Segment) {
        self.copying.picked.clear();
        self.copying.bytes.clear();
        let begin = self.copying.offset;
        while self.copying.offset < oldest.end
            && self.copying.offset - begin < BLOCK_MAX
            && (self.copying.bytes.len() as u64) < BLOCK_MAX / 2
        {
            let at = self.copying.offset;
            let picked = self.copying.picked.len();
            let length = match self.pick_block(oldest) {
                Ok(length) => {
                    (self.copying.tries, self.copying.seeking) = (0, false);
                    self.repair.passed(self.copying.first_order);
                    length
                }
                Err(_) if self.copying.seeking => PAGE as u64,
                // It may be read the next time.
                Err(_) if self.copying.tries + 1 < TRIES => {
                    self.copying.tries += 1;
                    self.copying.window = None;
                    0
                }
                Err((error, length)) => {
                    self.copying.tries = 0;
                    self.copying.seeking = length.is_none();
                    let order = self.copying.first_order.or(self.copying.last_order);
                    self.found_damage(oldest.number, at, order, &error);
                    length.unwrap_or(PAGE as u64)
                }
            };
            if length == 0 {
                // What was picked of it is picked again.
                let kept: usize = self.copying.picked[..picked].iter().map(|&(.., length)| length).sum();
                self.copying.picked.truncate(picked);
                self.copying.bytes.truncate(kept);
            }
            self.copying.offset += length;
        }
    }

    /// Picks what is kept of the block where copying is; returns how long the block is. An error comes with that length
    /// if the block's beginning is whole.
    fn pick_block(&mut self, oldest: Segment) -> Result<u64, (StoreError, Option<u64>)> {
        let Segment { number, size, end, .. } = oldest;
        let Copying { offset, window, contents, picked, bytes, first_order, last_order, .. } =
            &mut self.copying;
        *first_order = None;
        let window = window.get_or_insert_with(|| Window::new(segment_name(number), size));
        let (at, home) = (*offset, Home { log: self.log_number, segment: number });
        let unreadable =
            |disk: &D, name: &str, at| corrupt(disk, name, at, "a block cannot be read any more");
        let sector = window.get(&mut self.disk, at, SECTOR).map_err(|error| (error, None))?;
        let Head::Block { header, copies } = block::head(sector, at, end, home, Bug::NONE) else {
            return Err((unreadable(&self.disk, window.name(), at), None));
        };
        *first_order = (!copies).then_some(header.order);
        let length = header.on_disk();
        let whole = window.get(&mut self.disk, at, length as usize).map_err(|error| (error, Some(length)))?;
        if block::body(whole, at, home, Bug::NONE) != Body::Whole {
            return Err((unreadable(&self.disk, window.name(), at), Some(length)));
        }
        block::contents(whole, &header, contents);
        let (live, attempts) = (&self.live, &self.attempts);
        let mut order = header.order;
        let read = recover::records(contents, copies, |record, whole, copied, distance| {
            let this = copied.unwrap_or(order);
            order += 1;
            *last_order = Some(this);
            first_order.get_or_insert(this);
            if let Record::Put(job) = record {
                let id = job.id.number();
                let here = |place: super::live::Place| {
                    place.segment == number as u16 && u64::from(place.at) == at + distance
                };
                let dropped = self.options.bug().is(Planted::DropUnsound) && job.sound().is_err();
                if live.get(id).is_some_and(here) && !dropped {
                    let from = bytes.len();
                    if self.options.bug().is(Planted::LoseEpoch) {
                        record::put(&StoredJob { epoch: None, ..job }, bytes);
                    } else {
                        bytes.extend_from_slice(whole);
                    }
                    if let Some(&lost) = attempts.get(&id) {
                        // What says so may go before the copy does.
                        record::set_attempts(&mut bytes[from..], lost);
                    }
                    picked.push((id, this, bytes.len() - from));
                }
            }
            Ok::<(), ()>(())
        });
        match read {
            Ok(_) | Err(RecordsError::Each(())) => Ok(length),
            Err(RecordsError::Record(distance, error)) => {
                Err((corrupt(&self.disk, window.name(), at + distance, error.to_string()), Some(length)))
            }
        }
    }

    /// Writes what was picked.
    fn write_picked(&mut self) -> Result<(), StoreError> {
        let picked = std::mem::take(&mut self.copying.picked);
        let bytes = std::mem::take(&mut self.copying.bytes);
        let written = self.write_copies(&picked, &bytes);
        self.copying.picked = picked;
        self.copying.bytes = bytes;
        if written.is_err() {
            // From the beginning, if it is tried again: some of it may have been copied.
            self.copying.segment = 0;
        }
        self.copying.bytes.shrink_to(2 * BLOCK_MAX as usize);
        self.copying.contents.shrink_to(2 * BLOCK_MAX as usize);
        written
    }

    pub(super) fn write_copies(
        &mut self,
        picked: &[(u64, u64, usize)],
        mut bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.block.clear(2 * BLOCK_MAX as usize);
        let mut added: Vec<(u64, u64, usize)> = Vec::with_capacity(picked.len());
        for &(id, order, length) in picked {
            let (record, rest) = bytes.split_at(length);
            bytes = rest;
            if !self.fits(ORDER + length, BLOCK_MAX) {
                self.write_copied(&mut added)?;
            }
            if !self.fits(ORDER + length, u64::MAX) {
                self.begin_segment(block::framed((block::HEADER + ORDER + length) as u64))?;
            }
            if (ORDER + length) as u64 > BLOCK_MAX {
                let at = self.write_long(Some(order), [record, &[]])?;
                self.copying.copied += block::framed((block::HEADER + ORDER + length) as u64);
                self.place(id, at, length);
                continue;
            }
            let at = self.block.add(Some(order), [record, &[]]);
            added.push((id, at, length));
        }
        self.write_copied(&mut added)
    }

    fn write_copied(&mut self, added: &mut Vec<(u64, u64, usize)>) -> Result<(), StoreError> {
        if added.is_empty() {
            return Ok(());
        }
        let offset = self.write_block(true)?;
        let end = self.segments.back().map_or(offset, |segment| segment.end);
        self.copying.copied += end - offset;
        for (id, at, length) in added.drain(..) {
            self.place(id, offset + at, length);
        }
        Ok(())
    }
}
