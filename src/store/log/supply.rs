//! Files that wait to become segments: zeros written ahead, files used again. How many there are to be, and how much of them
//! is kept free, is `room.rs`; what is written to a segment is not here.
use super::aligned::Aligned;
use super::block::BLOCK_MAX;
use super::disk::Disk;
use super::options::LogOptions;
use super::recover;
use super::state;
use super::window::{failed, spare_name};
use crate::store::StoreError;
use std::collections::VecDeque;
use std::time::Duration;

/// How many bytes of zeros are written in one piece of maintenance.
const PIECE: u64 = 1 << 20;
/// And in one write where a commit waits for the file: each write is one wait for the disk.
const AT_ONCE: u64 = 8 << 20;
/// When the disk was full: how long no new file is tried.
const FULL: Duration = Duration::from_secs(1);
/// The most files: places hold 16 bits of a segment's number.
const FILES_MAX: usize = 60_000;

/// What the segments take that there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct InUse {
    /// Their number.
    pub(super) files: usize,
    /// Bytes of their files.
    pub(super) bytes: u64,
}

/// Files that wait to become segments. Each has the usual length of a segment.
#[derive(Debug)]
pub(super) struct Supply {
    spares: VecDeque<u32>,
    next: u32,
    /// A file in the making, and how long it is.
    making: Option<(u32, u64)>,
    /// When a new file may be tried again.
    full_until: Duration,
    /// The usual length.
    segment_bytes: u64,
    /// The most that all files may take; 0 is no limit.
    max_bytes: u64,
}

impl Supply {
    /// What is there from before.
    pub(super) fn open<D: Disk>(disk: &mut D, options: &LogOptions) -> Result<Supply, StoreError> {
        let files = disk.list().map_err(|error| failed(disk, "list", "", error))?;
        let mut found = recover::spares(&files);
        found.sort_unstable();
        let &LogOptions { segment_bytes, max_bytes, .. } = options;
        let mut supply = Supply {
            spares: VecDeque::new(),
            next: 1,
            making: None,
            full_until: Duration::ZERO,
            segment_bytes,
            max_bytes,
        };
        for (spare, size) in found {
            supply.next = supply.next.max(spare.saturating_add(1));
            if size == segment_bytes {
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

    /// How many files wait.
    pub(super) fn files(&self) -> usize {
        self.spares.len()
    }

    /// Bytes of the files, the one in the making included.
    pub(super) fn bytes(&self) -> u64 {
        let making = self.making.map_or(0, |_| self.segment_bytes);
        self.spares.len() as u64 * self.segment_bytes + making
    }

    /// Whether the limits allow for another file of this size.
    pub(super) fn may_make<D: Disk>(&self, disk: &mut D, in_use: InUse, size: u64) -> Result<(), StoreError> {
        let now = disk.now();
        let over = self.max_bytes > 0 && in_use.bytes + self.bytes() + size > self.max_bytes;
        let files = in_use.files + self.spares.len();
        if over || files >= FILES_MAX || self.is_full(now) { Err(full(disk)) } else { Ok(()) }
    }

    /// Makes a whole file, unless one cannot be had.
    pub(super) fn make<D: Disk>(&mut self, disk: &mut D, in_use: InUse) -> Result<(), StoreError> {
        while !self.make_part(disk, in_use, AT_ONCE)? {}
        Ok(())
    }

    /// Writes some more zeros ahead. Returns whether a file was completed.
    pub(super) fn make_piece<D: Disk>(&mut self, disk: &mut D, in_use: InUse) -> Result<bool, StoreError> {
        self.make_part(disk, in_use, PIECE)
    }

    fn make_part<D: Disk>(&mut self, disk: &mut D, in_use: InUse, most: u64) -> Result<bool, StoreError> {
        let size = self.segment_bytes;
        let (spare, length) = match self.making {
            Some(making) => making,
            None => {
                self.may_make(disk, in_use, size)?;
                let (spare, name) = self.name();
                disk.create(&name).map_err(|error| self.not_made(disk, &name, "create", error))?;
                (spare, 0)
            }
        };
        let name = spare_name(spare);
        let piece = (size - length).min(most);
        // Before the write: if it fails, the file is removed, and the next piece begins another one.
        self.making = None;
        self.write_zeros(disk, &name, length, piece)?;
        if length + piece < size {
            self.making = Some((spare, length + piece));
            return Ok(false);
        }
        self.spares.push_back(spare);
        Ok(true)
    }

    fn write_zeros<D: Disk>(
        &mut self,
        disk: &mut D,
        name: &str,
        offset: u64,
        length: u64,
    ) -> Result<(), StoreError> {
        let zeros = Aligned::new(length as usize);
        let written = state::write_whole(disk, name, offset, &zeros);
        let made = written.and_then(|()| disk.sync(name));
        made.map_err(|error| {
            // It may be the file's own space that is missing elsewhere. If it stays, the next start removes it.
            let _ = disk.remove(name);
            self.not_made(disk, name, "write to", error)
        })
    }

    fn not_made<D: Disk>(
        &mut self,
        disk: &mut D,
        name: &str,
        doing: &'static str,
        error: std::io::Error,
    ) -> StoreError {
        self.full_until = disk.now() + FULL;
        failed(disk, doing, name, error)
    }

    /// A file of this size, which becomes a segment next.
    pub(super) fn take<D: Disk>(
        &mut self,
        disk: &mut D,
        in_use: InUse,
        size: u64,
    ) -> Result<String, StoreError> {
        if size == self.segment_bytes {
            if self.spares.is_empty() {
                self.make(disk, in_use)?;
            }
            return self.spares.pop_front().map(spare_name).ok_or_else(|| full(disk));
        }
        self.may_make(disk, in_use, size)?;
        let (_, name) = self.name();
        disk.create(&name).map_err(|error| self.not_made(disk, &name, "create", error))?;
        for offset in (0..size).step_by(BLOCK_MAX as usize) {
            self.write_zeros(disk, &name, offset, (size - offset).min(BLOCK_MAX))?;
        }
        Ok(name)
    }

    /// Takes the file of a segment that the log does not need any more: to be used again, if that is wanted and it has the
    /// usual length, or else to be removed. Returns the spare that it is to be, once its name is durable: see
    /// [`Supply::add`].
    pub(super) fn take_back<D: Disk>(
        &mut self,
        disk: &mut D,
        name: &str,
        size: u64,
        again: bool,
    ) -> Result<Option<u32>, StoreError> {
        let (spare, spare_name) = self.name();
        let again = again && size == self.segment_bytes;
        let (doing, done) =
            if again { ("rename", disk.rename(name, &spare_name)) } else { ("remove", disk.remove(name)) };
        match done {
            Ok(()) => Ok(again.then_some(spare)),
            Err(error) => Err(failed(disk, doing, name, error)),
        }
    }

    /// The directory is durable after [`Supply::take_back`]: the file may be written, and there is room on the disk.
    pub(super) fn add(&mut self, spare: Option<u32>) {
        self.spares.extend(spare);
        self.full_until = Duration::ZERO;
    }
}

/// There is no room.
pub(super) fn full<D: Disk>(disk: &D) -> StoreError {
    StoreError::Full { path: disk.path("") }
}
