//! The HTTP side (`--control`): numbers for Prometheus, lists as JSON, a page, for looking only. A thread with a runtime of its own, and
//! never a shard: it may be slow, flooded or stuck, and no job notices. What it asks goes through an engine of its own (`home.rs`),
//! like any session's.
//!
//! `serve.rs` has the connections and `bounds.rs` what they may take, `route.rs` who answers what, `desk.rs` what answers are made of,
//! `metrics.rs`, `api/` and `page.rs` the answers. Nothing here knows sockets or jobs of shards.
mod answer;
mod api;
mod bounds;
mod desk;
mod home;
mod hosts;
mod metrics;
mod names;
mod overview;
mod page;
mod route;
mod serve;
mod stalls;
mod target;

use crate::engine::{Board, Policy, ShardId};
use crate::frontend::SharedPort;
use crate::mesh::shared::Shared;
use crate::tls::Certificates;
use desk::{Desk, DeskSetup};
use home::Observer;
use hosts::Hosts;
pub(crate) use serve::Door;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// What the HTTP side is made of.
pub(crate) struct HttpSetup {
    /// Its place in the mesh: that of the observer.
    pub(crate) id: ShardId,
    pub(crate) board: Board,
    pub(crate) policy: Arc<Policy>,
    pub(crate) shared: Arc<Shared>,
    /// What the job port speaks TLS with, of which it is told when that expires.
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) frontend: SharedPort,
    pub(crate) doors: Vec<Door>,
    /// Whether jobs are read from a store at the start.
    pub(crate) restores: bool,
    /// Functions of which `/metrics` tells one by one.
    pub(crate) function_stats: usize,
}

/// Serves on this thread until the server stops.
pub(crate) fn run(setup: HttpSetup) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let HttpSetup { id, board, policy, shared, certificates, frontend, doors, restores, function_stats } =
        setup;
    let hosts = Hosts::of(doors.iter().filter_map(|door| door.address));
    let shards = board.topology().owners().len();
    let observer = Rc::new(Observer::new(id, board, policy, shared.clone()));
    let desk = Desk::new(
        observer.clone(),
        DeskSetup { shared, certificates, frontend, hosts, restores, function_stats, shards },
    );
    LocalSet::new().block_on(&runtime, async move {
        serve::open(doors, Rc::new(desk))?;
        observer.listen().await
    })
}
