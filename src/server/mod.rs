//! Starts the shards and the store. What follows is in `running.rs`, what a shard does in `shard/`; options come from
//! `config/`.
#[cfg(feature = "http")]
mod control;
mod doors;
mod error;
mod expiry;
mod news;
mod options;
mod pauses;
mod room;
mod running;
mod seats;
mod signals;

pub use error::ServerError;
pub use options::{ControlOptions, Descriptors, ServerOptions};
pub use running::{Running, Stage};
pub use signals::Signals;

use crate::access::AccessBook;
use crate::engine::slot::SHARDS_MAX;
use crate::engine::{Board, Policy, ShardId, Topology};
use crate::frontend::{SharedPort, VERSION};
use crate::log_at;
use crate::logging::{self, Level};
use crate::mesh::shared::Shared;
use crate::shard::choose::{Chosen, choose};
use crate::shard::error::ShardError;
use crate::shard::migrate::Migrations;
use crate::shard::{self, Setup};
use crate::store::channel::StoreChannel;
use crate::store::thread;
use crate::store::{Store, StoreOptions};
use crate::tls::Certificates;
use doors::Doors;
use expiry::Expiry;
use news::News;
use room::{Cores, ask_for_descriptors, ask_for_memory, spawn};
use seats::Seats;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// Starts a job server: it listens when this returns, and every shard runs. The store is open then, if there is one; its
/// jobs are read from now on, while requests wait.
pub fn start(options: ServerOptions, frontend: SharedPort, signals: Signals) -> Result<Running, ServerError> {
    let (tell, news) = channel();
    let boot = signals.forward(tell.clone())?;
    let cores = Cores::ask();
    let shards = shards_for(&options, &cores);
    let topology = Topology::new(shards);
    if options.endpoints.is_empty() && options.tls_endpoints.is_empty() {
        return Err(ServerError::NoAddress);
    }
    ask_for_memory();
    // Before anything is opened: it says what stands in the way, and nothing has to be put away.
    let sockets = choose(options.sockets, shards)?;
    log_at!(Level::Notice, "{sockets}");
    let doors = options.endpoints.len() + options.tls_endpoints.len();
    ask_for_descriptors(shards, sockets.descriptors(), doors, options.descriptors)?;
    // Both by the user that the server is from now on, as whom they are read again.
    let access = Arc::new(AccessBook::open(options.access.clone())?);
    // Before the port is taken: whoever sees it open sees a server that can shake hands.
    let certificates = options.tls.clone().map(Certificates::load).transpose()?.map(Arc::new);
    let store = options.store.as_ref().map(StoreOptions::open).transpose()?;
    // Behind the store, whose lock says that nobody else uses the folder.
    let paused = pauses::read(&options)?;
    let listeners = doors::open(&options, shards)?;
    #[cfg(feature = "http")]
    let mut control = control::Control::open(&options, certificates.as_ref())?;
    #[cfg(feature = "http")]
    let topology = topology.with_observers(control.observers());
    let shared = Shared::new(topology, options.shard.mesh_capacity)
        .map_err(|e| ShardError::of_system("make event descriptors", e))?;
    let desk = store.as_ref().map(|_| Arc::new(StoreChannel::new(topology, options.policy.queued_bytes)));
    let writes_at_end = options.store.as_ref().is_some_and(StoreOptions::writes_at_end);
    let complete = store.is_none();
    let (shared, migrations) = (Arc::new(shared), Arc::new(Migrations::new(topology)));
    let files = listeners.files;
    let descriptors = options.descriptors;
    let expiry = Expiry::of(certificates.clone());
    let server = Running {
        expiry,
        shared,
        migrations,
        shards,
        desk,
        files,
        control_files: Vec::new(),
        renewals: Vec::new(),
        writes_at_end,
        news,
        complete,
        descriptors,
        access,
    };
    // The first shard that runs acknowledges jobs.
    boot.over();
    let entrances = options.doors.iter().chain(&options.tls_doors).copied();
    let rights_wanted = server.access.holds_back(entrances);
    let policy = Arc::new(Policy { paused, rights_wanted, ..options.policy.clone() });
    let seats = Seats { board: Board::new(topology), policy, frontend };
    let doors =
        Doors { of_shards: listeners.of_shards, entrances: listeners.entrances.clone(), certificates };
    server.start_shards(options, &seats, (&cores, &sockets), doors, &tell)?;
    server.await_start(&tell)?;
    #[cfg(feature = "http")]
    let server =
        Running { control_files: std::mem::take(&mut control.files), renewals: control.renewals(), ..server };
    #[cfg(feature = "http")]
    control.start(seats, server.shared.clone(), server.expiry.certificates(), server.desk.clone(), &tell)?;
    if let Some(store) = store {
        server.start_store(store, topology, &tell)?;
    }
    log_at!(Level::Notice, "ringgear {VERSION} started, threads: {shards}, cores: {}", cores.count);
    doors::tell(&listeners.endpoints, &listeners.entrances, &server.access);
    server.expiry.tell();
    Ok(server)
}

/// How many shards there are: one for each core, unless it is said. More than cores is said to be no help.
fn shards_for(options: &ServerOptions, cores: &Cores) -> u16 {
    let shards = match options.threads {
        0 => u16::try_from(cores.count).unwrap_or(SHARDS_MAX),
        threads => threads,
    }
    .clamp(1, SHARDS_MAX);
    if usize::from(options.threads) > cores.count {
        let cores = cores.count;
        log_at!(
            Level::Warning,
            "--threads {}: more threads than cores do not help, and this process may use {cores}; 0 is one for each core{}",
            options.threads,
            options.threads_from
        );
    }
    shards
}

impl Running {
    fn start_shards(
        &self,
        options: ServerOptions,
        seats: &Seats,
        (cores, sockets): (&Cores, &Chosen),
        doors: Doors,
        tell: &Sender<News>,
    ) -> Result<(), ServerError> {
        let Seats { board, policy, frontend } = seats;
        let crowded = usize::from(self.shards) > cores.count;
        for (id, listeners) in board.topology().owners().zip(doors.of_shards) {
            let setup = Setup {
                id,
                board: board.clone(),
                core: cores.of_shard(id.index()),
                sockets: sockets.clone(),
                crowded,
                listeners,
                entrances: doors.entrances.clone(),
                certificates: doors.certificates.clone(),
                options: options.shard.clone(),
                policy: policy.clone(),
                frontend: frontend.clone(),
                shared: self.shared.clone(),
                migrations: self.migrations.clone(),
                access: self.access.clone(),
                desk: self.desk.clone(),
            };
            let tell = tell.clone();
            spawn(format!("shard-{}", id.0), move || run_shard(id, setup, &tell))?;
        }
        Ok(())
    }

    /// Has the store tell what it keeps, and then keep what the shards want kept. Connections are accepted meanwhile, and
    /// their requests wait.
    fn start_store(
        &self,
        store: Box<dyn Store>,
        topology: Topology,
        tell: &Sender<News>,
    ) -> Result<(), ServerError> {
        let Some(desk) = self.desk.clone() else { return Ok(()) };
        let (shared, tell) = (self.shared.clone(), tell.clone());
        spawn("store".to_owned(), move || {
            let wake = Box::new(move |shard| shared.mesh.nudge(shard));
            let replay = |replay| drop(tell.send(News::Replay(replay)));
            let result = thread::run(store, desk, topology, wake, &replay);
            // Nobody listens any more only when the process ends.
            let _ = tell.send(News::Closed(result));
        })
    }

    /// Waits until every shard serves, or one says why it cannot.
    fn await_start(&self, tell: &Sender<News>) -> Result<(), ServerError> {
        let mut early = Vec::new();
        let mut waiting = self.shards;
        while waiting > 0 {
            match self.news.recv() {
                Ok(News::Started) => waiting -= 1,
                Ok(News::Ended(Err(error))) => return Err(error.into()),
                // What they ask for is done when everything runs.
                Ok(News::Signal(signal)) => early.push(signal),
                // The store has not begun.
                Ok(News::Ended(Ok(())) | News::Replay(_) | News::Closed(_)) | Err(_) => return Ok(()),
            }
        }
        for signal in early {
            // The other end is here.
            let _ = tell.send(News::Signal(signal));
        }
        Ok(())
    }
}

fn run_shard(id: ShardId, setup: Setup, tell: &Sender<News>) {
    logging::on_shard(id.0);
    // Nobody listens any more only when the process ends.
    let result = shard::run(setup, || drop(tell.send(News::Started)));
    let _ = tell.send(News::Ended(result));
}
