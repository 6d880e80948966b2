//! A stored job that owns its parts: what a pretend store holds. Real stores hold bytes.
use ringgear_engine::{Death, DeathReason, Epoch, JobId, StoredJob};
use ringgear_protocol::Priority;
use std::net::IpAddr;

/// A [`StoredJob`], copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) id: JobId,
    pub(crate) priority: Priority,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) attempts: u8,
    pub(crate) function: Vec<u8>,
    pub(crate) unique: Vec<u8>,
    pub(crate) workload: Vec<u8>,
    pub(crate) reducer: Option<Vec<u8>>,
    /// Reason, time, and the last worker's address and id.
    pub(crate) death: Option<(DeathReason, Epoch, IpAddr, Vec<u8>)>,
    pub(crate) accepted: Option<Epoch>,
    pub(crate) more: Vec<u8>,
}

impl Kept {
    pub(crate) fn of(job: &StoredJob<'_>) -> Kept {
        Kept {
            id: job.id,
            priority: job.priority,
            epoch: job.epoch,
            attempts: job.attempts,
            function: job.function.to_vec(),
            unique: job.unique.to_vec(),
            workload: job.workload.to_vec(),
            reducer: job.reducer.map(<[u8]>::to_vec),
            death: job.death.map(|death| (death.reason, death.at, death.address, death.worker.to_vec())),
            accepted: job.accepted,
            more: job.more.to_vec(),
        }
    }

    pub(crate) fn stored(&self) -> StoredJob<'_> {
        let death = self.death.as_ref().map(|(reason, at, address, worker)| Death {
            reason: *reason,
            at: *at,
            address: *address,
            worker,
        });
        StoredJob {
            id: self.id,
            priority: self.priority,
            epoch: self.epoch,
            attempts: self.attempts,
            function: &self.function,
            unique: &self.unique,
            workload: &self.workload,
            reducer: self.reducer.as_deref(),
            death,
            accepted: self.accepted,
            more: &self.more,
        }
    }
}
