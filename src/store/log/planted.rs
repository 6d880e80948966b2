//! Bugs that tests plant, to see that they would be found. Nothing else names them.

/// A bug.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
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
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 11] = [
        Planted::AnswerBeforeSync,
        Planted::SkipChecksum,
        Planted::RetrySync,
        Planted::ForgetDirSync,
        Planted::ReuseEarly,
        Planted::LoseEpoch,
        Planted::DeleteEarly,
        Planted::ReorderBatch,
        Planted::IgnoreShortWrite,
        Planted::ForgetUnread,
        Planted::RepairAtEnd,
    ];
}
