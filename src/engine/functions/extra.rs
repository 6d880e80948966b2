//! What few jobs have: kept apart from the job, so that it stays small. What all have is `job.rs`.
use super::attachments::{Attachments, Joiners};
use super::telling::Telling;
use crate::persist::{DeathReason, StoreSeq};
use crate::slot::SessionId;
use crate::time::{Epoch, Instant};
use alloc::boxed::Box;
use bytes::Bytes;
use core::net::IpAddr;

/// What few jobs have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Clients that attached when the first was there, in the order in which they came.
    pub(crate) joined: Joiners,
    /// What these are still to hear.
    pub(crate) telling: Option<Box<Telling>>,
    /// Not before this time; `Scheduled` jobs have it.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) reducer: Option<Box<[u8]>>,
    /// When the holder has had enough time; also in `timers.rs`.
    pub(crate) deadline: Option<Instant>,
    /// The put that submissions wait for which joined a job that was not stored; see `Job::pending`.
    pub(crate) pending: Option<StoreSeq>,
    /// Who held it last, if its time limit took it away and nobody has had it since.
    pub(crate) late: Option<SessionId>,
    /// `Dead` jobs have it, and no others.
    pub(crate) death: Option<Box<CauseOfDeath>>,
    pub(crate) carried: Option<Box<Carried>>,
    /// It was a stored job, which another server has taken over. See `fence.rs`.
    pub(super) disowned: bool,
    /// From the last WORK_STATUS of this attempt.
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
    /// Since when it could be given to a worker, if not since it was accepted: its time came later, or an attempt was lost.
    pub(crate) ready: Option<Instant>,
    /// What all this was last charged with. Kept by `Job::charge`.
    pub(super) charged: u64,
}

impl Extra {
    /// Bytes that one takes, its timer included.
    const EACH: usize = size_of::<Extra>() + 16 + 40;

    pub(super) fn bytes(&self) -> usize {
        let reducer = self.reducer.as_ref().map_or(0, |reducer| reducer.len() + 16);
        let death = self.death.as_ref().map_or(0, |death| CauseOfDeath::EACH + death.worker.len());
        let telling = self.telling.as_ref().map_or(0, |telling| telling.bytes());
        let carried = self.carried.as_ref().map_or(0, |carried| Carried::EACH + carried.more.len());
        Self::EACH + carried + Attachments::BYTES * self.joined.count as usize + reducer + death + telling
    }
}

/// What the store knew of a job at the start, and only has to get back.
#[derive(Debug)]
pub(crate) struct Carried {
    /// When it was accepted, if that does not fit into the job.
    pub(crate) accepted: Option<Epoch>,
    /// See [`crate::StoredJob::more`].
    pub(crate) more: Box<[u8]>,
}

impl Carried {
    /// Bytes that one takes.
    const EACH: usize = size_of::<Carried>() + 16 + 16;
}

/// How a job ran out of attempts.
#[derive(Clone, Debug)]
pub(crate) struct CauseOfDeath {
    pub(crate) reason: DeathReason,
    pub(crate) at: Epoch,
    /// Of the last worker.
    pub(crate) address: IpAddr,
    /// What the last worker called itself; empty if nothing.
    pub(crate) worker: Bytes,
}

impl CauseOfDeath {
    /// Bytes that one takes, with the places of the job among the dead of its function and of its shard.
    const EACH: usize = size_of::<CauseOfDeath>() + 16 + 16 + 16;
}
