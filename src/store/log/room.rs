//! How much room there is in the segments, what of it is kept free, and how it is made. Where files come from is `supply.rs`.
use super::disk::Disk;
use super::options::{Durability, Usage};
use super::segments::Segments;
use super::supply::{InUse, PIECE, full, write_zeros};
use super::window::{failed, segment_name};
use crate::store::StoreError;

impl<D: Disk> Segments<D> {
    fn in_use(&self) -> InUse {
        let bytes = self.segments.iter().map(|segment| segment.size).sum();
        InUse { files: self.segments.len(), bytes }
    }

    /// Bytes that can be written without a new file.
    pub(super) fn free(&self) -> u64 {
        self.left() + self.supply.files() as u64 * self.room_of_segment()
    }

    /// Bytes of all files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.in_use().bytes + self.supply.bytes()
    }

    /// What is kept free for the ends of jobs: with this much the oldest segments can be emptied one by one, and each
    /// gives back at least as much as its jobs take elsewhere.
    pub(super) fn reserve(&self) -> u64 {
        self.options.segment_bytes + self.options.segment_bytes / 4
    }

    /// Whether a file should be made ahead.
    pub(super) fn wants_spare(&mut self) -> bool {
        let now = self.disk.now();
        self.free() < self.reserve() + self.options.segment_bytes / 4 && !self.supply.is_full(now)
    }

    /// Makes sure that puts leave the reserve as it is.
    pub(super) fn room_for_puts(&mut self, cost: u64) -> Result<(), StoreError> {
        while self.free() < cost + self.reserve() {
            self.make_spare()?;
        }
        Ok(())
    }

    /// Makes room for ends of jobs, if need be by emptying segments at once.
    pub(super) fn room_for_dones(&mut self, cost: u64) -> Result<(), StoreError> {
        let wanted = cost + self.options.segment_bytes;
        // A new file first: that is quicker than to copy what stands in an old one.
        while self.free() < wanted {
            match self.make_spare() {
                Ok(()) => {}
                Err(StoreError::Full { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        // Never what is newer than the newest of now: the copies would be emptied again, without end.
        let newest = self.segments.back().map_or(0, |segment| segment.number);
        while self.free() < wanted && self.empty_oldest(newest)? {}
        if self.free() < cost { Err(full(&self.disk)) } else { Ok(()) }
    }

    /// Makes a whole file, unless one cannot be had.
    fn make_spare(&mut self) -> Result<(), StoreError> {
        let in_use = self.in_use();
        self.supply.make(&mut self.disk, in_use)
    }

    /// Writes some more zeros ahead. Returns whether a file was completed.
    pub(super) fn make_piece(&mut self) -> Result<bool, StoreError> {
        let in_use = self.in_use();
        self.supply.make_piece(&mut self.disk, in_use)
    }

    /// Whether the limits allow for another file of this size.
    pub(super) fn may_make(&mut self, size: u64) -> Result<(), StoreError> {
        let in_use = self.in_use();
        self.supply.may_make(&mut self.disk, in_use, size)
    }

    /// Writes some zeros where files are only allocated: behind the end of the newest segment first. Returns whether there was
    /// something to write.
    pub(super) fn write_ahead(&mut self) -> Result<bool, StoreError> {
        // Where commits do not wait for the disk there is nothing to be gained, and each piece would sync what they have written.
        if self.options.durability == Durability::Written {
            return Ok(false);
        }
        let Some(&newest) = self.segments.back() else { return Ok(false) };
        let from = self.written.max(newest.end);
        if from >= newest.size {
            return self.supply.write_piece(&mut self.disk);
        }
        let piece = (newest.size - from).min(PIECE);
        // If it fails it is not tried again: whether the file can be written shows when it must be.
        self.written = newest.size;
        let name = segment_name(newest.number);
        write_zeros(&mut self.disk, &name, from, piece)
            .map_err(|error| failed(&self.disk, "write to", &name, error))?;
        self.written = from + piece;
        Ok(true)
    }

    /// A file of this size, which becomes a segment next, and up to where it need not be written ahead.
    pub(super) fn take_spare(&mut self, size: u64) -> Result<(String, u64), StoreError> {
        let in_use = self.in_use();
        self.supply.take(&mut self.disk, in_use, size)
    }

    /// Takes the file of a segment that the log does not need any more: to use it again, or to remove it.
    pub(super) fn take_back(&mut self, name: &str, size: u64) -> Result<(), StoreError> {
        let again = self.free() < self.reserve() + self.options.segment_bytes / 2;
        let spare = self.supply.take_back(&mut self.disk, name, size, again).inspect_err(|_| {
            // Whether the file is gone is not known.
            self.sealed = true;
        })?;
        // Before anything is written to it, and before the next segment goes.
        self.sync_dir(name)?;
        self.supply.add(spare);
        Ok(())
    }

    /// What it holds and takes.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            jobs: self.live.len() as u64,
            live_bytes: self.live_bytes,
            segments: self.segments.len() as u64,
            log_bytes: self.segments.iter().map(|segment| segment.size).sum(),
            disk_bytes: self.disk_bytes(),
        }
    }
}
