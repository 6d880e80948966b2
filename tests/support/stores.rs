//! What tests of stores put into them: records of jobs that say little. The stores themselves are opened by the tests.
use ringgear::engine::slot::Slot;
use ringgear::engine::{Death, DeathReason, Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::{Store, record};
use std::net::Ipv4Addr;

#[track_caller]
pub(crate) fn commit(store: &mut dyn Store, batch: &[u8]) {
    let committed = store.commit(&[batch]);
    committed.puts.unwrap_or_else(|error| panic!("{error}"));
    committed.dones.unwrap_or_else(|error| panic!("{error}"));
}

#[track_caller]
pub(crate) fn put(store: &mut dyn Store, jobs: &[StoredJob<'_>]) {
    let mut batch = Vec::new();
    jobs.iter().for_each(|job| record::put(job, &mut batch));
    commit(store, &batch);
}

#[track_caller]
pub(crate) fn done(store: &mut dyn Store, ids: &[JobId]) {
    let mut batch = Vec::new();
    ids.iter().for_each(|&id| record::done(id, &mut batch));
    commit(store, &batch);
}

pub(crate) fn job_of<'a>(
    function: &'a [u8],
    sequence: u64,
    unique: &'a [u8],
    workload: &'a [u8],
) -> StoredJob<'a> {
    StoredJob {
        id: JobId::new(sequence, Slot::of(function)),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function,
        unique,
        workload,
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    }
}

/// One of the function `f`.
pub(crate) fn job<'a>(sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
    job_of(b"f", sequence, unique, workload)
}

/// The same, out of attempts.
pub(crate) fn dead<'a>(sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
    let death = Death {
        reason: DeathReason::WorkerGone,
        at: Epoch(1_800_000_000_000),
        address: Ipv4Addr::LOCALHOST.into(),
        worker: b"w",
    };
    StoredJob { death: Some(death), attempts: 3, ..job(sequence, unique, workload) }
}
