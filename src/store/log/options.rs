//! What an operator may decide about a log, and what it says of itself.
use super::planted::Bug;
#[cfg(feature = "planted")]
use super::planted::PlantedBug;
use super::sector::PAGE;
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
    /// The operating system has it; it is synced within a second, if [`maintain`](crate::store::Store::maintain) is called at
    /// least twice a second.
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
    pub planted: Option<PlantedBug>,
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
    pub(super) fn bug(&self) -> Bug {
        #[cfg(feature = "planted")]
        return Bug::of(self.planted);
        #[cfg(not(feature = "planted"))]
        Bug::NONE
    }

    pub(super) fn sensible(mut self) -> LogOptions {
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
