//! Emptying old segments: live jobs of the oldest are copied to the end of the log, then its file is used again. Always
//! the oldest first, so that the end of a job never goes before its beginning. In pieces of a few milliseconds.
use super::block::{self, BLOCK_MAX, ORDER};
use super::copying::Source;
use super::disk::Disk;
use super::planted::PlantedBug;
use super::sector::PAGE;
use super::segments::Segments;
use super::window::segment_name;
use crate::store::StoreError;

impl<D: Disk> Segments<D> {
    /// See [`crate::store::Store::maintain`].
    pub(super) fn maintain(&mut self) -> Result<bool, StoreError> {
        if self.sealed {
            return Ok(false);
        }
        // The order: what waits is synced first, since a segment goes only when a durable block says that it is not needed.
        // Then segments that hold nothing go, which costs next to nothing; only then is there copying to make more of them.
        self.sync_if_due()?;
        self.end_repair();
        if self.release_oldest()? || self.pass_dead()? {
            return Ok(true);
        }
        if self.write_ahead()? {
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
        let early = bug.is(PlantedBug::ReuseEarly) || bug.is(PlantedBug::DeleteEarly);
        let needed = if early { self.needed } else { self.needed_durable };
        let Some(&oldest) = self.segments.front().filter(|oldest| oldest.number < needed) else {
            return Ok(false);
        };
        // Oldest first, always: the end of a job stands in a newer segment than its beginning, or in the same one, and may go
        // only together with it or after it. Otherwise the job would come back.
        assert!(oldest.live == 0, "a segment that goes has no jobs");
        self.segments.pop_front();
        self.copying.freed += oldest.end - PAGE as u64;
        if self.damage.is_damaged(oldest.number) {
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
        // Before the block is written, which says so; the segments go when it is durable.
        self.needed = self.segments[dead].number;
        if !self.options.bug().is(PlantedBug::ReuseEarly) {
            self.write_block(false)?;
            if !self.options.bug().is(PlantedBug::DeleteEarly) {
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
        let bug = self.options.bug();
        let Segments { disk, log_number, live, attempts, copying, damage, .. } = self;
        copying.begin(oldest.number);
        let mut source = Source { disk, log: *log_number, live, attempts, bug };
        copying.pick(oldest, &mut source, damage);
        let picked = copying.take_picked();
        let written = self.write_copies(&picked.0, &picked.1);
        self.copying.wrote(picked, written.is_ok());
        if self.copying.is_through(oldest.end) && written.is_ok() {
            self.copying.end();
            // Not what the oldest was when it was read: the copies do not stand there any more.
            let left = self.segments.front().map_or(0, |segment| segment.live);
            if left > 0 {
                self.begin_repair(oldest.number);
            }
        }
        written
    }

    /// Writes records as copies, each with its order number.
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
