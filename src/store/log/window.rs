//! Reading a file from front to back in large pieces, and naming files. What the bytes mean is not here.
use super::aligned::Aligned;
use super::disk::Disk;
use super::sector::PAGE;
use crate::store::StoreError;
use crate::store::record::RecordError;
use std::io;

/// What is read at a time, in bytes.
const PIECE: u64 = 1 << 20;

/// The file of a segment.
pub(super) fn segment_name(segment: u32) -> String {
    format!("segment-{segment:010}")
}

/// The number in the name of a segment's file.
pub(super) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("segment-")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// The file of a segment that was damaged, and is not part of the log any more.
pub(super) fn aside_name(segment: u32) -> String {
    format!("damaged-{segment:010}")
}

/// The number in the name of such a file.
pub(super) fn aside_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("damaged-")?.parse().ok()?;
    (aside_name(number) == name).then_some(number)
}

/// A file that waits to become a segment.
pub(super) fn spare_name(spare: u32) -> String {
    format!("spare-{spare:010}")
}

/// The number in the name of a spare file.
pub(super) fn spare_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("spare-")?.parse().ok()?;
    (spare_name(number) == name).then_some(number)
}

/// An error of the disk, as a sentence. No room has an error of its own.
pub(super) fn failed<D: Disk>(disk: &D, doing: &'static str, name: &str, source: io::Error) -> StoreError {
    let path = disk.path(name);
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
        _ => StoreError::Io { doing, path, source },
    }
}

/// A file is not as it was written.
pub(super) fn corrupt<D: Disk>(disk: &D, name: &str, offset: u64, what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { path: disk.path(name), offset, what: what.into() }
}

/// A record cannot be used.
pub(super) fn unusable<D: Disk>(disk: &D, name: &str, offset: u64, error: RecordError) -> StoreError {
    match error {
        RecordError::Field(tag) => {
            StoreError::Field { path: disk.path(name), place: format!("byte {offset}"), tag }
        }
        error => corrupt(disk, name, offset, error.to_string()),
    }
}

/// A piece of a file in memory.
#[derive(Debug)]
pub(super) struct Window {
    name: String,
    size: u64,
    piece: u64,
    bytes: Aligned,
    /// Where the bytes stand in the file, and how many of them are filled.
    offset: u64,
    filled: usize,
    /// Something before this offset cannot be read: until there, only what is asked for is read.
    careful_until: u64,
}

impl Window {
    /// A window on a file of this length.
    pub(super) fn new(name: String, size: u64) -> Window {
        Window { name, size, piece: PIECE, bytes: Aligned::new(0), offset: 0, filled: 0, careful_until: 0 }
    }

    /// The same with another size of pieces, a multiple of 4096.
    pub(super) fn with_piece(name: String, size: u64, piece: u64) -> Window {
        Window { piece, ..Window::new(name, size) }
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file's length.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// These bytes of the file, which must lie within its length.
    pub(super) fn get<D: Disk>(
        &mut self,
        disk: &mut D,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], StoreError> {
        let end = offset + length as u64;
        if end > self.size {
            return Err(corrupt(disk, &self.name, self.size, "the file ends too early"));
        }
        if offset < self.offset || end > self.offset + self.filled as u64 {
            let ahead = if offset < self.careful_until { 0 } else { self.piece };
            match self.fill(disk, offset, end, ahead) {
                Err(StoreError::Io { .. }) if ahead > 0 => {
                    // What cannot be read may stand behind what is wanted; or it can be read the second time.
                    self.careful_until = offset.saturating_add(ahead);
                    self.fill(disk, offset, end, 0)?;
                }
                filled => filled?,
            }
        }
        let from = (offset - self.offset) as usize;
        Ok(&self.bytes[from..from + length])
    }

    /// Reads from `offset` to `end`, and further if that is less than `ahead` bytes.
    fn fill<D: Disk>(&mut self, disk: &mut D, offset: u64, end: u64, ahead: u64) -> Result<(), StoreError> {
        let page = PAGE as u64;
        let from = offset - offset % page;
        let until = end.max(from + ahead).min(self.size).next_multiple_of(page);
        let wanted = (until - from) as usize;
        self.filled = 0;
        self.offset = from;
        if self.bytes.len() < wanted {
            self.bytes = Aligned::new(wanted);
        }
        while from + (self.filled as u64) < until {
            let at = from + self.filled as u64;
            let read = disk
                .read_at(&self.name, at, &mut self.bytes[self.filled..wanted])
                .map_err(|error| failed(disk, "read", &self.name, error))?;
            self.filled += read;
            if read == 0 || self.offset + self.filled as u64 >= self.size {
                break;
            }
            // Direct reads go on at pages only.
            self.filled -= self.filled % PAGE;
            if self.offset + (self.filled as u64) < at + 1 {
                break;
            }
        }
        if self.offset + (self.filled as u64) < end {
            let at = self.offset + self.filled as u64;
            return Err(corrupt(disk, &self.name, at, "the file ends too early"));
        }
        Ok(())
    }
}
