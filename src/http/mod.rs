//! The HTTP side (`--control`): numbers for Prometheus, lists as JSON, pages, jobs to be submitted, and orders for those who may give them.
//! A thread with a runtime of its own, and never a shard: it may be slow, flooded or stuck, and no job notices. What it asks goes through
//! an engine of its own (`home.rs`), like any session's.
//!
//! `serve.rs` has the connections, `greet.rs` their TLS, `bounds.rs` what they may take and `linger.rs` how they end, `guard.rs` who somebody is (`tokens.rs`, `logins.rs`) and `roles.rs`
//! what he may, `route.rs` who answers what, `desk.rs` what answers are made of, with a look at all functions (`outline.rs`), `metrics.rs` (written by `exposition.rs`), `api/`,
//! `pages/`, `workload.rs` and `login.rs` the answers; `history.rs` remembers what was counted a while ago, `audit.rs` what was done. `submit/` has jobs
//! that are submitted here, `gateway.rs` those by gearmand's own HTTP. Nothing here knows sockets or jobs of shards.
mod answer;
mod api;
mod audit;
mod bodies;
mod bounds;
mod case;
mod clients;
mod denial;
mod desk;
mod doors;
mod events;
mod exposition;
mod failures;
mod gateway;
mod greet;
mod guard;
mod hangups;
mod history;
mod home;
mod hosts;
mod keep;
mod level;
mod limited;
mod linger;
mod login;
mod logins;
mod methods;
mod metrics;
mod multipart;
mod names;
mod outline;
mod overview;
mod pages;
mod remembered;
mod roles;
mod route;
mod secrets;
mod serve;
mod stalls;
mod standing;
mod streams;
mod submit;
mod target;
mod tokens;
mod trails;
mod watch;
mod why;
mod words;
mod workload;

use crate::engine::{Board, Policy, ShardId};
use crate::frontend::SharedPort;
use crate::mesh::shared::Shared;
use crate::store::channel::StoreChannel;
use crate::tls::Certificates;
use bodies::TransferBytes;
use desk::{Desk, DeskSetup};
pub(crate) use doors::{ControlDoor, DoorKind};
use guard::Guard;
use home::Observer;
use hosts::Hosts;
pub(crate) use roles::RoleSet;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
pub(crate) use tokens::{TokenFile, make as make_token};
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
    pub(crate) doors: Vec<ControlDoor>,
    /// What requests may call this server, beside addresses that are listened on.
    pub(crate) names: Vec<String>,
    pub(crate) tokens: Option<Arc<TokenFile>>,
    /// The way to the store, if there is one: at the start its jobs are read.
    pub(crate) store: Option<Arc<StoreChannel>>,
    /// Functions of which `/metrics` tells one by one.
    pub(crate) metrics_functions: usize,
    /// Where paused functions are kept over a restart, if anywhere.
    pub(crate) pauses: Option<PathBuf>,
    /// Has the server accept nobody any more, and end when its queue is empty.
    pub(crate) drain: Box<dyn Fn() + Send>,
}

/// Serves on this thread until the server stops.
pub(crate) fn run(setup: HttpSetup) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let HttpSetup {
        id,
        board,
        policy,
        shared,
        certificates,
        frontend,
        doors,
        names,
        tokens,
        store,
        metrics_functions,
        pauses,
        drain,
    } = setup;
    let guard = Guard::new(Hosts::of(doors.iter().filter_map(|door| door.address), names), tokens);
    let shards = board.topology().owners().len();
    let bodies = TransferBytes::new(frontend.packet_max as usize + bounds::UPLOAD_BESIDE);
    // Who may what is asked here before anything is asked of the engine (`roles.rs`): its sessions may do everything.
    let policy = Arc::new(Policy { rights_wanted: false, ..Policy::clone(&policy) });
    let observer = Rc::new(Observer::new(id, board, policy, shared.clone(), bodies.clone()));
    let setup = DeskSetup { shared, certificates, frontend, store, metrics_functions, shards, pauses, drain };
    let desk = Desk::new(observer.clone(), guard, bodies, setup);
    LocalSet::new().block_on(&runtime, async move {
        serve::open(doors, Rc::new(desk))?;
        observer.listen().await
    })
}
