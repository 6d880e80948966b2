//! Where files for segments come from, and how much room there is: zeros written ahead, files used again, limits. What is
//! written to a segment is not here.
use super::aligned::Aligned;
use super::disk::Disk;
use super::recover;
use super::segments::Segments;
use super::state;
use super::window::{failed, spare_name};
use super::{LogOptions, segments};
use crate::store::StoreError;
use std::collections::VecDeque;
use std::time::Duration;

/// How many bytes of zeros are written in one piece of tidying.
const PIECE: u64 = 1 << 20;
/// When the disk was full: how long no new file is tried.
const FULL: Duration = Duration::from_secs(1);
/// The most files: places hold 16 bits of a segment's number.
const FILES_MAX: usize = 60_000;

/// Files that wait to become segments. Each has the usual length of a segment.
#[derive(Debug)]
pub(super) struct Supply {
    spares: VecDeque<u32>,
    next: u32,
    /// A file in the making, and how long it is.
    making: Option<(u32, u64)>,
    /// When a new file may be tried again.
    full_until: Duration,
}

impl Supply {
    /// What is there from before.
    pub(super) fn open<D: Disk>(disk: &mut D, options: &LogOptions) -> Result<Supply, StoreError> {
        let files = disk.list().map_err(|error| failed(disk, "list", "", error))?;
        let mut found = recover::spares(&files);
        found.sort_unstable();
        let mut supply =
            Supply { spares: VecDeque::new(), next: 1, making: None, full_until: Duration::ZERO };
        for (spare, size) in found {
            supply.next = supply.next.max(spare.saturating_add(1));
            if size == options.segment_bytes {
                supply.spares.push_back(spare);
            } else {
                // Unfinished, or of another size.
                let name = spare_name(spare);
                disk.remove(&name).map_err(|error| failed(disk, "remove", &name, error))?;
            }
        }
        Ok(supply)
    }

    fn name(&mut self) -> (u32, String) {
        let spare = self.next;
        self.next += 1;
        (spare, spare_name(spare))
    }

    /// Whether there is nothing to be had for some time.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        now < self.full_until
    }
}

impl<D: Disk> Segments<D> {
    /// Bytes that can be written without a new file.
    pub(super) fn free(&self) -> u64 {
        self.left() + self.supply.spares.len() as u64 * self.room_of_segment()
    }

    /// Bytes of all files.
    pub(super) fn disk_bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.size).sum();
        let making = self.supply.making.map_or(0, |_| self.options.segment_bytes);
        segments + self.supply.spares.len() as u64 * self.options.segment_bytes + making
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
        while self.free() < wanted {
            match self.make_spare() {
                Ok(()) => {}
                Err(StoreError::Full { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let newest = self.segments.back().map_or(0, |segment| segment.number);
        while self.free() < wanted && self.empty_oldest(newest)? {}
        if self.free() < cost { Err(self.full()) } else { Ok(()) }
    }

    fn full(&self) -> StoreError {
        StoreError::Full { path: self.disk.path("") }
    }

    /// Makes a whole file, unless one cannot be had.
    fn make_spare(&mut self) -> Result<(), StoreError> {
        while !self.make_piece()? {}
        Ok(())
    }

    /// Writes some more zeros ahead. Returns whether a file was completed.
    pub(super) fn make_piece(&mut self) -> Result<bool, StoreError> {
        let size = self.options.segment_bytes;
        let (spare, length) = match self.supply.making {
            Some(making) => making,
            None => {
                self.may_make(size)?;
                let (spare, name) = self.supply.name();
                self.disk.create(&name).map_err(|error| self.not_made(&name, "create", error))?;
                (spare, 0)
            }
        };
        let name = spare_name(spare);
        let piece = (size - length).min(PIECE);
        self.supply.making = None;
        self.write_zeros(&name, length, piece)?;
        if length + piece < size {
            self.supply.making = Some((spare, length + piece));
            return Ok(false);
        }
        self.supply.spares.push_back(spare);
        Ok(true)
    }

    /// Whether the limits allow for another file of this size.
    pub(super) fn may_make(&mut self, size: u64) -> Result<(), StoreError> {
        let most = self.options.max_bytes;
        let now = self.disk.now();
        let files = self.segments.len() + self.supply.spares.len();
        let over = most > 0 && self.disk_bytes() + size > most;
        if over || files >= FILES_MAX || self.supply.is_full(now) { Err(self.full()) } else { Ok(()) }
    }

    fn write_zeros(&mut self, name: &str, offset: u64, length: u64) -> Result<(), StoreError> {
        let zeros = Aligned::new(length as usize);
        let written = state::write_whole(&mut self.disk, name, offset, &zeros);
        let made = written.and_then(|()| self.disk.sync(name));
        made.map_err(|error| {
            // It may be the file's own space that is missing elsewhere. If it stays, the next start removes it.
            let _ = self.disk.remove(name);
            self.not_made(name, "write to", error)
        })
    }

    fn not_made(&mut self, name: &str, doing: &'static str, error: std::io::Error) -> StoreError {
        self.supply.full_until = self.disk.now() + FULL;
        failed(&self.disk, doing, name, error)
    }

    /// A file of this size, which becomes a segment next.
    pub(super) fn take_spare(&mut self, size: u64) -> Result<String, StoreError> {
        if size == self.options.segment_bytes {
            if self.supply.spares.is_empty() {
                self.make_spare()?;
            }
            return self.supply.spares.pop_front().map(spare_name).ok_or_else(|| self.full());
        }
        self.may_make(size)?;
        let (_, name) = self.supply.name();
        self.disk.create(&name).map_err(|error| self.not_made(&name, "create", error))?;
        for offset in (0..size).step_by(segments::BLOCK_MAX as usize) {
            self.write_zeros(&name, offset, (size - offset).min(segments::BLOCK_MAX))?;
        }
        Ok(name)
    }

    /// Takes the file of a segment that the log does not need any more: to use it again, or to remove it.
    pub(super) fn take_back(&mut self, name: &str, size: u64) -> Result<(), StoreError> {
        let again = self.free() < self.reserve() + self.options.segment_bytes / 2;
        let (spare, spare_name) = self.supply.name();
        let (doing, done) = if again && size == self.options.segment_bytes {
            ("rename", self.disk.rename(name, &spare_name))
        } else {
            ("remove", self.disk.remove(name))
        };
        if let Err(error) = done {
            self.sealed = true;
            return Err(failed(&self.disk, doing, name, error));
        }
        // Before anything is written to it, and before the next segment goes.
        self.sync_dir(name)?;
        if doing == "rename" {
            self.supply.spares.push_back(spare);
        }
        self.supply.full_until = Duration::ZERO;
        Ok(())
    }
}
