//! The log: our own store. Blocks of records in preallocated segments, each written once and synced before it is
//! acknowledged. What is on disk is told below, byte by byte; this file is the way in, what is decided is `segments.rs`.
#![doc = include_str!("FORMAT.md")]
mod aligned;
mod block;
mod compact;
mod disk;
mod files;
mod live;
mod planted;
mod recover;
mod repair;
mod scan;
mod sector;
mod segments;
mod single;
mod state;
mod supply;
#[cfg(test)]
mod tests;
pub mod tools;
mod window;

pub use disk::Disk;
pub use files::Files;
#[cfg(feature = "planted")]
#[doc(hidden)]
pub use planted::Planted;

use super::{Committed, Progress, Repaired, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use files::Access;
use planted::Bug;
use sector::PAGE;
use segments::Segments;
use std::path::PathBuf;

/// The shortest segment, in bytes.
const SEGMENT_MIN: u64 = 4 * PAGE as u64;
/// The longest: places hold 32 bits.
const SEGMENT_MAX: u64 = 1 << 30;

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on stable storage.
    Synced,
    /// The operating system has it; it is synced within a second, if [`Store::tidy`] is called at least twice a second.
    Written,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The directory. It is made if it is not there.
    pub dir: PathBuf,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Bytes of a segment's file, from 16 KiB to 1 GiB; rounded up to a multiple of 4096. Segments that are there keep
    /// their length.
    pub segment_bytes: u64,
    /// The most that all files may take, in bytes; 0 is no limit. Segments are made shorter if fewer than eight would
    /// fit. About one segment and a quarter of it are kept free for the ends of jobs. A start may exceed the limit by
    /// one segment, if the log is as long as that already. Files of damaged segments that were moved aside do not count:
    /// they are no part of the log, and are few.
    pub max_bytes: u64,
    /// A bug to be found by tests.
    #[cfg(feature = "planted")]
    #[doc(hidden)]
    pub planted: Option<Planted>,
}

impl LogOptions {
    /// A log in this directory: synced, segments of 64 MiB, no limit.
    pub fn new(dir: impl Into<PathBuf>) -> LogOptions {
        let (durability, segment_bytes) = (Durability::Synced, 64 << 20);
        LogOptions {
            dir: dir.into(),
            durability,
            segment_bytes,
            max_bytes: 0,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// The bug that was planted; without the feature `planted` there is none.
    fn bug(&self) -> Bug {
        #[cfg(feature = "planted")]
        return Bug::of(self.planted);
        #[cfg(not(feature = "planted"))]
        Bug::NONE
    }

    fn sensible(mut self) -> LogOptions {
        if self.max_bytes > 0 {
            self.segment_bytes = self.segment_bytes.min(self.max_bytes / 8);
        }
        self.segment_bytes = self.segment_bytes.clamp(SEGMENT_MIN, SEGMENT_MAX).next_multiple_of(PAGE as u64);
        self
    }
}

/// What a log holds and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Jobs that are kept.
    pub jobs: u64,
    /// Bytes of their records.
    pub live_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of the segments' files.
    pub log_bytes: u64,
    /// Bytes of all files, those included that wait to be segments.
    pub disk_bytes: u64,
}

/// A log.
#[derive(Debug)]
pub struct LogStore<D: Disk = Files> {
    options: LogOptions,
    stage: Stage<D>,
}

#[derive(Debug)]
enum Stage<D> {
    /// Locked, not read.
    Shut(D),
    Open(Box<Segments<D>>),
    /// Reading failed.
    Unusable,
}

impl LogStore<Files> {
    /// The log in a directory. Only one server at a time: [`StoreError::Locked`] otherwise. Nothing is read yet.
    pub fn open(mut options: LogOptions) -> Result<LogStore, StoreError> {
        let access = match options.durability {
            Durability::Synced => Access::Durable,
            Durability::Written => Access::Cached,
        };
        let disk = Files::open(&options.dir, access);
        let disk = disk.map_err(|source| {
            let doing = "open the directory";
            StoreError::Io { doing, path: options.dir.clone(), source }
        })?;
        // On a small file system, too, there must be room for several segments.
        let room = disk.room().unwrap_or(u64::MAX);
        options.segment_bytes = options.segment_bytes.min(room / 8);
        LogStore::over(disk, options)
    }
}

impl<D: Disk> LogStore<D> {
    /// The log on this disk; `options.dir` is not looked at.
    pub fn over(mut disk: D, options: LogOptions) -> Result<LogStore<D>, StoreError> {
        match disk.lock() {
            Ok(true) => Ok(LogStore { options: options.sensible(), stage: Stage::Shut(disk) }),
            Ok(false) => Err(StoreError::Locked { path: disk.path("") }),
            Err(error) => Err(window::failed(&disk, "lock", "lock", error)),
        }
    }

    /// What it holds and takes; `None` before [`Store::replay`].
    pub fn usage(&self) -> Option<Usage> {
        match &self.stage {
            Stage::Open(segments) => Some(segments.usage()),
            _ => None,
        }
    }

    fn segments(&mut self) -> Result<&mut Segments<D>, StoreError> {
        assert!(!matches!(self.stage, Stage::Shut(_)), "a log is read before it is written");
        match &mut self.stage {
            Stage::Open(segments) => Ok(segments),
            _ => Err(StoreError::Sealed),
        }
    }
}

impl<D: Disk> Store for LogStore<D> {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let Stage::Shut(mut disk) = std::mem::replace(&mut self.stage, Stage::Unusable) else {
            return Err(StoreError::Sealed);
        };
        let mut found = recover::read(&mut disk, self.options.bug(), progress)?;
        if let Some(found) = &found {
            if let (Some((offset, _)), Some(newest)) = (found.torn.first(), found.segments.back()) {
                let path = disk.path(&window::segment_name(newest.number));
                let path = path.display();
                log_at!(
                    Level::Warning,
                    "{path} ends at byte {offset} with a write that was not finished; it is cut off there"
                );
            }
            progress(Progress::Telling { jobs: found.kept.len() as u64 });
            single::tell(&mut disk, found, each)?;
        }
        self.stage = Stage::Open(Box::new(Segments::open(disk, self.options.clone(), found.as_mut())?));
        Ok(())
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        match self.segments() {
            Ok(segments) => segments.commit(slices),
            Err(_) => Committed { puts: Err(StoreError::Sealed), dones: Err(StoreError::Sealed) },
        }
    }

    fn alone(&self) -> usize {
        match &self.stage {
            Stage::Open(segments) => segments.alone(),
            _ => usize::MAX,
        }
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.segments()?.tidy()
    }

    /// With [`Durability::Written`], the sync of what was written; and jobs that are to be put again.
    fn owes(&self) -> bool {
        matches!(&self.stage, Stage::Open(segments) if segments.owes_sync() || segments.repairs())
    }

    fn wanted(&mut self) -> Vec<JobId> {
        self.segments().map_or_else(|_| Vec::new(), Segments::wanted)
    }

    fn unknown(&mut self, jobs: &[JobId]) {
        if let Ok(segments) = self.segments() {
            segments.unknown(jobs);
        }
    }

    fn repaired(&mut self) -> Repaired {
        self.segments().map_or_else(|_| Repaired::default(), Segments::repaired)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.segments()?.close()
    }
}
