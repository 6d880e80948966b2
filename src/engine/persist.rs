//! What the engine asks of a store, and what a store gives back at the next start. Values only: how jobs are kept is
//! the store's affair, when they are answered is `functions/storing.rs`.
use crate::slot::{JobId, Slot};
use crate::time::Epoch;
use core::fmt;
use core::net::IpAddr;
use ringgear_protocol::{CLIENT_ID_MAX, Priority, REDUCER_MAX, UNIQUE_MAX};

/// Counts what one shard wants stored. The store answers in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreSeq(pub u64);

/// What is to be stored, in the order in which it happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// The job is to be kept as it is now: the [`crate::JobsToKeep`] that come with this have it. It replaces what was
    /// kept under this id. [`crate::Input::Stored`] or [`crate::Input::StoreFailed`] answers it.
    Put {
        /// Which answer is for it.
        seq: StoreSeq,
        /// The job.
        id: JobId,
    },
    /// So many attempts of the job are lost. Rides along with what is kept next, and may be lost with it: not answered,
    /// and nothing waits for it. Of what is behind the last put of this job, the last one counts.
    Attempts {
        /// The job.
        id: JobId,
        /// Lost attempts.
        attempts: u8,
    },
    /// The job has ended: it need not be kept. Not answered, and nothing waits for it.
    Done {
        /// The job.
        id: JobId,
    },
    /// There is no such background job, of those that were to be put again; if it has ended, that was said before. Not
    /// answered.
    Unknown {
        /// The job.
        id: JobId,
    },
}

/// The most bytes of fields that a job carries along for other versions: see [`StoredJob::more`].
pub const MORE_MAX: usize = 500;

/// A background job as a store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredJob<'a> {
    /// Its number, and so its handle. A store that keeps no handles makes new ones.
    pub id: JobId,
    /// How urgent.
    pub priority: Priority,
    /// Not before this time.
    pub epoch: Option<Epoch>,
    /// Attempts that were lost.
    pub attempts: u8,
    /// The function's name; no NUL in it.
    pub function: &'a [u8],
    /// The unique, at most 64 bytes; no NUL in it. May be empty or `-`.
    pub unique: &'a [u8],
    /// Any bytes.
    pub workload: &'a [u8],
    /// The reducer of a reduce job.
    pub reducer: Option<&'a [u8]>,
    /// Why it is not to be run any more, if it is out of attempts.
    pub death: Option<Death<'a>>,
    /// When it was accepted, if the store knows that.
    pub accepted: Option<Epoch>,
    /// What a later version keeps of it and this one does not know, at most [`MORE_MAX`] bytes: given back as they are, and
    /// not looked into. How they look is the store's affair.
    pub more: &'a [u8],
}

impl StoredJob<'_> {
    /// Whether it can be one of a job server's: what no job can be, whatever a store says.
    pub fn sound(&self) -> Result<(), NotRestored> {
        if self.id.slot() != Slot::of(self.function) || self.id.number() > JobId::NUMBER_MAX {
            return Err(NotRestored::Number);
        }
        let reducer = self.reducer.unwrap_or_default();
        let worker = self.death.map_or(0, |death| death.worker.len());
        let fits = self.function.len() <= usize::from(u16::MAX)
            && self.unique.len() <= UNIQUE_MAX
            && reducer.len() <= REDUCER_MAX
            && worker <= CLIENT_ID_MAX
            && self.more.len() <= MORE_MAX;
        if !fits || [self.function, self.unique, reducer].iter().any(|text| text.contains(&0)) {
            return Err(NotRestored::Name);
        }
        Ok(())
    }
}

/// How a job ran out of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death<'a> {
    /// What the last worker did.
    pub reason: DeathReason,
    /// When.
    pub at: Epoch,
    /// Where that worker was.
    pub address: IpAddr,
    /// What that worker called itself (SET_CLIENT_ID); at most 127 bytes, empty if nothing.
    pub worker: &'a [u8],
}

/// Why a job was lost the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DeathReason {
    /// The worker's connection ended.
    WorkerGone = 1,
    /// The worker said CANT_DO or RESET_ABILITIES while it held the job.
    AbilityDropped = 2,
    /// The worker took longer than it may (CAN_DO_TIMEOUT).
    TimedOut = 3,
}

/// Why a job that a store has kept cannot be one of this job server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// Its number does not belong to its function, or is larger than any that is given.
    Number,
    /// Another job has its number.
    Twice,
    /// Its function, unique, reducer or worker's id is longer than the protocol allows, or has a NUL in it; or it carries
    /// more along than it may.
    Name,
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotRestored::Number => "its number is too large, or not one of its function",
            NotRestored::Twice => "another stored job has the same number",
            NotRestored::Name => {
                "no job can have its function, unique or reducer, or as much of a later version"
            }
        })
    }
}

impl core::error::Error for NotRestored {}
