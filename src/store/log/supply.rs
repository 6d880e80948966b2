//! Files that wait to become segments: zeros written ahead, files used again. How many there are to be, and how much of them
//! is kept free, is `room.rs`; what is written to a segment is not here.
//!
//! A commit to a file that was written once costs the disk one write; where only its space was allocated, the file system must note
//! besides what is written now. But nobody waits for 64 MiB of zeros: a file that is needed at once is allocated, and written later.
use super::aligned::Aligned;
use super::block::BLOCK_MAX;
use super::disk::Disk;
use super::options::LogOptions;
use super::recover;
use super::state;
use super::window::{failed, spare_name};
use crate::store::StoreError;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// How many bytes of zeros are written in one piece of maintenance.
pub(super) const PIECE: u64 = 1 << 20;
/// And in one write where a commit waits for the file and it cannot be allocated: each write is one wait for the disk.
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
    /// Spares that were allocated, and up to where they are written; the one that is taken next first.
    raw: VecDeque<(u32, u64)>,
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
            raw: VecDeque::new(),
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

    /// Makes a whole file at once, unless one cannot be had: what is not written yet of the one in the making is allocated.
    pub(super) fn make<D: Disk>(&mut self, disk: &mut D, in_use: InUse) -> Result<(), StoreError> {
        let (spare, length) = self.begin(disk, in_use)?;
        // Before it is changed: if that fails, the file is removed, and the next try begins another one.
        self.making = None;
        if self.allocate(disk, &spare_name(spare), self.segment_bytes)? {
            self.spares.push_back(spare);
            self.raw.push_back((spare, length));
            return Ok(());
        }
        self.making = Some((spare, length));
        while !self.make_part(disk, in_use, AT_ONCE)? {}
        Ok(())
    }

    /// Gives a file its length without writing it; false if that cannot be had.
    fn allocate<D: Disk>(&mut self, disk: &mut D, name: &str, length: u64) -> Result<bool, StoreError> {
        disk.allocate(name, length).map_err(|error| {
            let _ = disk.remove(name);
            self.not_made(disk, name, "allocate", error)
        })
    }

    /// Writes some more zeros ahead. Returns whether a file was completed.
    pub(super) fn make_piece<D: Disk>(&mut self, disk: &mut D, in_use: InUse) -> Result<bool, StoreError> {
        self.make_part(disk, in_use, PIECE)
    }

    /// Writes some of what is only allocated. Returns whether there was something.
    pub(super) fn write_piece<D: Disk>(&mut self, disk: &mut D) -> Result<bool, StoreError> {
        let Some((spare, length)) = self.raw.pop_front() else { return Ok(false) };
        let piece = (self.segment_bytes - length).min(PIECE);
        let name = spare_name(spare);
        // If it fails the file stays as it is: whether it can be written shows when it must be.
        write_zeros(disk, &name, length, piece).map_err(|error| failed(disk, "write to", &name, error))?;
        if length + piece < self.segment_bytes {
            self.raw.push_front((spare, length + piece));
        }
        Ok(true)
    }

    /// The file in the making, or a new one.
    fn begin<D: Disk>(&mut self, disk: &mut D, in_use: InUse) -> Result<(u32, u64), StoreError> {
        if let Some(making) = self.making {
            return Ok(making);
        }
        self.may_make(disk, in_use, self.segment_bytes)?;
        let (spare, name) = self.name();
        disk.create(&name).map_err(|error| self.not_made(disk, &name, "create", error))?;
        Ok((spare, 0))
    }

    fn make_part<D: Disk>(&mut self, disk: &mut D, in_use: InUse, most: u64) -> Result<bool, StoreError> {
        let size = self.segment_bytes;
        let (spare, length) = self.begin(disk, in_use)?;
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
        write_zeros(disk, name, offset, length).map_err(|error| {
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
        error: io::Error,
    ) -> StoreError {
        self.full_until = disk.now() + FULL;
        failed(disk, doing, name, error)
    }

    /// A file of this size, which becomes a segment next, and up to where it need not be written ahead.
    pub(super) fn take<D: Disk>(
        &mut self,
        disk: &mut D,
        in_use: InUse,
        size: u64,
    ) -> Result<(String, u64), StoreError> {
        if size == self.segment_bytes {
            if self.spares.is_empty() {
                self.make(disk, in_use)?;
            }
            let spare = self.spares.pop_front().ok_or_else(|| full(disk))?;
            let raw = self.raw.pop_front_if(|&mut (raw, _)| raw == spare);
            return Ok((spare_name(spare), raw.map_or(size, |(_, length)| length)));
        }
        self.may_make(disk, in_use, size)?;
        let (_, name) = self.name();
        disk.create(&name).map_err(|error| self.not_made(disk, &name, "create", error))?;
        // The job that it is for fills it.
        if self.allocate(disk, &name, size)? {
            return Ok((name, size));
        }
        for offset in (0..size).step_by(BLOCK_MAX as usize) {
            self.write_zeros(disk, &name, offset, (size - offset).min(BLOCK_MAX))?;
        }
        Ok((name, size))
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

/// Writes zeros, durably.
pub(super) fn write_zeros<D: Disk>(disk: &mut D, name: &str, offset: u64, length: u64) -> io::Result<()> {
    state::write_whole(disk, name, offset, &Aligned::new(length as usize))?;
    disk.sync(name)
}

/// There is no room.
pub(super) fn full<D: Disk>(disk: &D) -> StoreError {
    StoreError::Full { path: disk.path("") }
}
