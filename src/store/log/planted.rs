//! Bugs that tests plant, to see that they would be found. They can be planted only where the crate is built with its feature
//! `planted`, which no release has.

/// A bug.
#[doc(hidden)]
#[cfg_attr(not(feature = "planted"), allow(unreachable_pub))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// What was written is acknowledged before it is synced.
    AnswerBeforeSync,
    /// Sectors are believed whatever their checksum.
    SkipChecksum,
    /// A sync that failed is tried again, and believed.
    RetrySync,
    /// A new segment is used before its name is durable.
    ForgetDirSync,
    /// A segment is used again while the log still needs it.
    ReuseEarly,
    /// Copies are made without the time before which a job is not to run.
    LoseEpoch,
    /// A segment is removed before the copies of its jobs are durable.
    DeleteEarly,
    /// Records of a batch are written in another order.
    ReorderBatch,
    /// A write that wrote less than it should is taken for a whole one.
    IgnoreShortWrite,
    /// Jobs that cannot be read any more are forgotten.
    ForgetUnread,
    /// Jobs that are put again come behind all others.
    RepairAtEnd,
    /// Jobs that cannot be ones of this job server are not copied.
    DropUnsound,
}

#[cfg(feature = "planted")]
impl PlantedBug {
    /// All of them.
    pub const ALL: [PlantedBug; 12] = [
        PlantedBug::AnswerBeforeSync,
        PlantedBug::SkipChecksum,
        PlantedBug::RetrySync,
        PlantedBug::ForgetDirSync,
        PlantedBug::ReuseEarly,
        PlantedBug::LoseEpoch,
        PlantedBug::DeleteEarly,
        PlantedBug::ReorderBatch,
        PlantedBug::IgnoreShortWrite,
        PlantedBug::ForgetUnread,
        PlantedBug::RepairAtEnd,
        PlantedBug::DropUnsound,
    ];
}

/// The bug that was planted, if any. Nothing, and optimised away, without the feature `planted`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bug {
    #[cfg(feature = "planted")]
    planted: Option<PlantedBug>,
}

impl Bug {
    /// None.
    pub(super) const NONE: Bug = Bug {
        #[cfg(feature = "planted")]
        planted: None,
    };

    /// This one.
    #[cfg(feature = "planted")]
    pub(super) fn of(planted: Option<PlantedBug>) -> Bug {
        Bug { planted }
    }

    /// Whether it is this one.
    #[inline]
    pub(super) fn is(self, bug: PlantedBug) -> bool {
        #[cfg(feature = "planted")]
        return self.planted == Some(bug);
        #[cfg(not(feature = "planted"))]
        {
            let _ = bug;
            false
        }
    }
}
