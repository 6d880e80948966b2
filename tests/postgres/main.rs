//! The PostgreSQL store with a real PostgreSQL, by itself, under Debian's gearmand in turn, and under a whole server. What needs
//! no database is tested beside its source.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod copies;
mod faults;
mod fence;
mod first_start;
mod gearmand;
mod histories;
mod leaving;
mod load;
mod loss;
mod mistakes;
mod partition;
mod pooler;
mod rows;
mod secret;
mod takeover;
mod whole;

use ringgear::engine::slot::Slot;
use ringgear::engine::{DeathReason, Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::postgres::{PostgresOptions, PostgresStore};
use ringgear::store::{Store, record};
use std::net::Ipv4Addr;
use support::kept::Kept;
use support::postgres::PostgresCluster;
// In the order of their numbers, the dead and those that stand alone last.
use support::scenarios::{expected, replayed};
use support::stores::*;

/// A time that does not come while the test runs, in seconds.
const LATER: u64 = 2_000_000_000;

/// The store on the usual table of this database.
#[track_caller]
fn open(conninfo: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::of(conninfo)).unwrap_or_else(|error| panic!("{error}"))
}
