//! The log: our own store. Blocks of records in preallocated segments, each written once and synced before it is
//! acknowledged. What is on disk is told below, byte by byte; this file is the way in, what is decided is `segments.rs`.
#![doc = include_str!("FORMAT.md")]
mod aligned;
mod block;
mod compact;
mod copying;
mod damage;
mod disk;
mod files;
mod live;
mod options;
mod planted;
mod recover;
mod repair;
mod room;
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
pub use options::{Durability, LogOptions, Usage};
#[cfg(feature = "planted")]
#[doc(hidden)]
pub use planted::PlantedBug;

use super::{Committed, Progress, Repaired, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use files::Access;
use segments::Segments;

/// A log.
#[derive(Debug)]
pub struct LogStore<D: Disk = Files> {
    options: LogOptions,
    condition: Condition<D>,
}

#[derive(Debug)]
enum Condition<D> {
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
            Ok(true) => Ok(LogStore { options: options.sensible(), condition: Condition::Shut(disk) }),
            Ok(false) => Err(StoreError::Locked { path: disk.path("") }),
            Err(error) => Err(window::failed(&disk, "lock", "lock", error)),
        }
    }

    /// What it holds and takes; `None` before [`Store::replay`].
    pub fn usage(&self) -> Option<Usage> {
        match &self.condition {
            Condition::Open(segments) => Some(segments.usage()),
            _ => None,
        }
    }

    fn segments(&mut self) -> Result<&mut Segments<D>, StoreError> {
        assert!(!matches!(self.condition, Condition::Shut(_)), "a log is read before it is written");
        match &mut self.condition {
            Condition::Open(segments) => Ok(segments),
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
        let Condition::Shut(mut disk) = std::mem::replace(&mut self.condition, Condition::Unusable) else {
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
        self.condition =
            Condition::Open(Box::new(Segments::open(disk, self.options.clone(), found.as_mut())?));
        Ok(())
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        match self.segments() {
            Ok(segments) => segments.commit(slices),
            Err(_) => Committed::of(Err(StoreError::Sealed), Err(StoreError::Sealed)),
        }
    }

    fn alone(&self) -> usize {
        match &self.condition {
            Condition::Open(segments) => segments.alone(),
            _ => usize::MAX,
        }
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        self.segments()?.maintain()
    }

    /// With [`Durability::Written`], the sync of what was written; and jobs that are to be put again.
    fn owes(&self) -> bool {
        matches!(&self.condition, Condition::Open(segments) if segments.owes_sync() || segments.repairs())
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
        if let Condition::Shut(_) = self.condition {
            // It was not read, and nothing of it was changed.
            return Ok(());
        }
        self.segments()?.close()
    }
}
