//! Room on the disk that is held back, so that jobs can end on a full disk: a file of nothing, `FILE.ringgear-reserve`,
//! that is given up when there is no other room. When that is, and what is done with the room, is `sqlite/mod.rs`.
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of a reserve: this part of the file system, within these bounds.
const PART: u64 = 8;
const LEAST: u64 = 1 << 20;
const MOST: u64 = 40 << 20;

/// The reserve of one database.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Bytes that it has while it is held.
    length: u64,
    held: bool,
}

impl Reserve {
    /// For this database. One that a crash has left behind is given up.
    pub(super) fn of(database: &Path) -> Reserve {
        let mut name = OsString::from(database);
        name.push(".ringgear-reserve");
        let (total, _) = room(database);
        let length = (total / PART).clamp(LEAST, MOST);
        let mut reserve = Reserve { path: PathBuf::from(name), length, held: true };
        reserve.give_up();
        reserve
    }

    /// How long the write-ahead log may be when it is copied into the database, in bytes. Never more than the reserve,
    /// so that what the database grows by finds room at last; the fifth above it is for the commit that goes beyond.
    pub(super) fn log_bytes(&self) -> u64 {
        self.length / 5 * 4
    }

    /// Bytes that are certain to be there.
    pub(super) fn bytes(&self) -> u64 {
        if self.held { self.length } else { 0 }
    }

    /// Bytes that are free beside the reserve.
    pub(super) fn free(&self) -> u64 {
        room(&self.path).1
    }

    /// Whether the disk has so much room that a reserve and as much again fit: so one that was given up is not made
    /// from the room it has given.
    pub(super) fn fits(&self) -> bool {
        self.free() >= 2 * self.length
    }

    /// Whether the database may have grown by so much when its log is copied into it.
    pub(super) fn allows(&self, growth: u64) -> bool {
        growth <= self.bytes() || self.free() >= growth.saturating_mul(2).saturating_add(self.length)
    }

    /// Makes its room free for anything.
    pub(super) fn give_up(&mut self) {
        if self.held {
            // One that cannot be removed makes no room, which shows when there is none.
            let _ = fs::remove_file(&self.path);
            self.held = false;
        }
    }

    /// Takes room for it; false, and nothing is taken, if there is none.
    pub(super) fn hold(&mut self) -> bool {
        self.held = self.take().is_ok();
        if !self.held {
            let _ = fs::remove_file(&self.path);
        }
        self.held
    }

    fn take(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        if fallocate(&file, FallocateFlags::empty(), 0, self.length).is_ok() {
            return Ok(());
        }
        // Not every file system can do that; bytes take room everywhere.
        let bytes = vec![0xa5; 1 << 16];
        let mut left = self.length;
        while left > 0 {
            let now = left.min(1 << 16);
            file.write_all(&bytes[..now as usize])?;
            left -= now;
        }
        file.sync_all()
    }
}

/// Bytes of the file system that this path is on, and how many of them we may use. A file system that does not tell is
/// taken for endless: then it shows when a write is refused.
fn room(path: &Path) -> (u64, u64) {
    match path.parent().map(statvfs) {
        Some(Ok(told)) if told.f_blocks > 0 => {
            (told.f_blocks.saturating_mul(told.f_frsize), told.f_bavail.saturating_mul(told.f_frsize))
        }
        _ => (u64::MAX, u64::MAX),
    }
}
