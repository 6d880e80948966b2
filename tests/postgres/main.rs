//! The PostgreSQL store with a real PostgreSQL, by itself, under Debian's gearmand in turn, and under a whole server. What needs
//! no database is tested beside its source.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod copies;
mod gearmand;
mod histories;
mod loss;
mod mistakes;
mod rows;
mod secret;
mod whole;

use ringgear::engine::slot::Slot;
use ringgear::engine::{Death, DeathReason, Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::postgres::{PostgresOptions, PostgresStore};
use ringgear::store::{Store, record};
use std::net::Ipv4Addr;
use support::kept::Kept;
use support::postgres::PostgresCluster;

/// A time that does not come while the test runs, in seconds.
const LATER: u64 = 2_000_000_000;

/// The store on the usual table of this database.
#[track_caller]
fn open(conninfo: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::of(conninfo)).unwrap_or_else(|error| panic!("{error}"))
}

/// All that a store tells.
#[track_caller]
fn replayed(store: &mut dyn Store) -> Vec<Kept> {
    let mut jobs = Vec::new();
    store.replay(&mut |job| jobs.push(Kept::of(&job))).unwrap_or_else(|error| panic!("{error}"));
    jobs
}

#[track_caller]
fn commit(store: &mut dyn Store, batch: &[u8]) {
    let committed = store.commit(&[batch]);
    committed.puts.unwrap_or_else(|error| panic!("{error}"));
    committed.dones.unwrap_or_else(|error| panic!("{error}"));
}

#[track_caller]
fn put(store: &mut dyn Store, jobs: &[StoredJob<'_>]) {
    let mut batch = Vec::new();
    jobs.iter().for_each(|job| record::put(job, &mut batch));
    commit(store, &batch);
}

#[track_caller]
fn done(store: &mut dyn Store, ids: &[JobId]) {
    let mut batch = Vec::new();
    ids.iter().for_each(|&id| record::done(id, &mut batch));
    commit(store, &batch);
}

fn job_of<'a>(function: &'a [u8], sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
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

fn job<'a>(sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
    job_of(b"f", sequence, unique, workload)
}

fn dead<'a>(sequence: u64, unique: &'a [u8], workload: &'a [u8]) -> StoredJob<'a> {
    let death = Death {
        reason: DeathReason::WorkerGone,
        at: Epoch(1_800_000_000_000),
        address: Ipv4Addr::LOCALHOST.into(),
        worker: b"w",
    };
    StoredJob { death: Some(death), attempts: 3, ..job(sequence, unique, workload) }
}

/// What a store is to tell of these jobs: in the order of their numbers, the dead and those that stand alone last.
fn expected(jobs: &[StoredJob<'_>]) -> Vec<Kept> {
    jobs.iter().map(Kept::of).collect()
}
