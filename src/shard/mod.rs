//! The shell of one shard: sockets, time and messages on the way to the engine and back. Decides nothing about jobs.
//!
//! A shard is a thread on a core of its own with one task, `Shard::serve`, which goes round and round: let the
//! kernel finish what is ready (`ring.rs`), read what arrived (`reader.rs`), feed the engine (`pump.rs`), hand
//! messages to other shards (`mesh.rs`), send what is to be sent, once for each connection. With nothing to do it
//! looks for work a little (`patience.rs`), then sleeps until the ring, another shard or the alarm wakes it.
//! `server.rs` starts shards and stops them.
pub mod error;
pub mod options;

mod bell;
mod clock;
mod commit;
pub(crate) mod commons;
mod connection;
mod debtors;
mod door;
mod intake;
mod ledger;
pub(crate) mod listen;
#[cfg(feature = "measure")]
pub mod measure;
mod mesh;
mod news;
mod outlet;
mod parcel;
mod patience;
mod pump;
mod rations;
mod reader;
mod rest;
mod ring;
mod round;
mod settle;
mod spares;
mod sync;
mod table;
mod tell;
mod watch;

use crate::engine::slot::ShardSet;
use crate::engine::{Engine, Instant, Policy, ShardId, Topology};
use crate::frontend::Frontend;
use crate::memory::{Large, Tidy};
use crate::store::channel::StoreChannel;
use commit::Commit;
use commons::{Commons, Phase};
use door::Door;
use error::ShardError;
use glommio::{GlommioError, LocalExecutorBuilder, Placement, ReactorErrorKind};
use ledger::Ledger;
use options::ShardOptions;
use patience::Patience;
use pump::Pump;
use rations::Rations;
use ring::{Ring, Token};
use settle::Settling;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use watch::Watch;

/// Memory for the runtime's own input and output, of which there is none: its least.
const RUNTIME_MEMORY: usize = 64 << 10;
/// Rounds between two that let the runtime look after itself.
const ROUNDS_PER_YIELD: u32 = 1024;
/// Rounds after which those who were accepted last are read, after the last of them was accepted.
const ROUNDS_CLOSING: u8 = 3;
/// How long stopping may take.
const STOP_MAX: Duration = Duration::from_secs(1);

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) id: ShardId,
    pub(crate) topology: Topology,
    /// The processor to run on.
    pub(crate) core: usize,
    /// Whether other shards run on it too.
    pub(crate) crowded: bool,
    /// Listening sockets.
    pub(crate) listeners: Vec<OwnedFd>,
    pub(crate) options: ShardOptions,
    pub(crate) policy: Arc<Policy>,
    pub(crate) frontend: Frontend,
    pub(crate) commons: Arc<Commons>,
    /// Where to have jobs stored, if anywhere.
    pub(crate) desk: Option<Arc<StoreChannel>>,
}

/// Says whether shards can run here, before any does: the runtime would say it less clearly.
pub(crate) fn check() -> Result<(), ShardError> {
    ring::probe().map_err(ShardError::of_ring)
}

/// Runs a shard on this thread until [`Phase::Stopping`]; calls `started` when it serves.
pub(crate) fn run(setup: Setup, started: impl FnOnce()) -> Result<(), ShardError> {
    // Before this thread has a core of its own, which others are not to be bound to.
    // A small part of the memory of which connections have a quarter.
    Large::have_freed(setup.options.connection_bytes_max / 8);
    let executor = LocalExecutorBuilder::new(Placement::Fixed(setup.core))
        .io_memory(RUNTIME_MEMORY)
        .make()
        .map_err(of_runtime)?;
    executor.run(async move {
        let shard = Shard::new(setup)?;
        started();
        shard.serve().await
    })
}

fn of_runtime(error: GlommioError<()>) -> ShardError {
    match error {
        GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(..)) => ShardError::Memlock,
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => {
            ShardError::of_ring(error)
        }
        error => ShardError::of_ring(io::Error::other(error.to_string())),
    }
}

/// A panic in one shard ends the process, also where panics unwind: a job server that lost a shard has lost a part
/// of every answer.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// One shard.
struct Shard {
    id: ShardId,
    shards: u16,
    options: ShardOptions,
    commons: Arc<Commons>,
    ring: Ring,
    door: Door,
    table: Table,
    pump: Pump,
    patience: Patience,
    tidy: Tidy,
    watch: Watch,
    /// Nanoseconds for which a reply may be held back: see [`ShardOptions::hold`].
    hold: u64,
    /// Whether other shards run on the same core.
    crowded: bool,
    /// Shards to which something was sent that may be asleep, and since when there are any.
    unrung: ShardSet,
    unrung_since: Option<Instant>,
    /// What arrived and was not read yet: for want of room in the round, or because too many messages wait for other
    /// shards. The receive buffers in it are not given back to the kernel, which soon has none; then peers must wait.
    rations: Rations,
    /// Who was accepted and is not let in yet, and how many were in this round.
    arrivals: VecDeque<OwnedFd>,
    let_in: usize,
    /// The shard that was heard last.
    heard_last: u16,
    /// Rounds begun since the door was closed, up to [`ROUNDS_CLOSING`].
    rounds_closed: u8,
    /// Connections in [`connection::Phase::Lingering`], and until when. In order of time.
    lingering: VecDeque<(Instant, Token)>,
    ledger: Ledger,
    _abort: AbortOnPanic,
}

impl Shard {
    fn new(setup: Setup) -> Result<Shard, ShardError> {
        let Setup { id, topology, options, commons, .. } = setup;
        let ledger = Ledger::new(options.connection_bytes_max);
        let mut ring = Ring::new(options.receive_buffers).map_err(ShardError::of_ring)?;
        ring.listen(commons.mesh.clapper(id));
        let door = Door::open(setup.listeners, &mut ring);
        let pump = Pump {
            handle_prefix: setup.policy.handle_prefix.clone(),
            engine: Engine::new(id, topology, setup.policy),
            frontend: setup.frontend,
            now: clock::now(),
            unread_max: options.unread_max,
            restoring: setup.desk.is_some(),
            commit: setup.desk.map(|desk| Commit::new(id, desk, options.store_bytes_max)),
            fed: 0,
            fed_max: 0,
            settling: Settling::new(id, topology, commons.clone(), options.settle),
        };
        Ok(Shard {
            id,
            shards: topology.shards(),
            patience: Patience::new(options.spin, setup.crowded || topology.shards() == 1),
            watch: Watch::new(&options.keepalive),
            hold: u64::try_from(options.hold.as_nanos()).unwrap_or(u64::MAX),
            options,
            commons,
            ring,
            door,
            tidy: Tidy::default(),
            table: Table::new(id),
            pump,
            crowded: setup.crowded,
            unrung: ShardSet::default(),
            unrung_since: None,
            rations: Rations::default(),
            arrivals: VecDeque::new(),
            let_in: 0,
            heard_last: 0,
            rounds_closed: 0,
            lingering: VecDeque::new(),
            ledger,
            _abort: AbortOnPanic,
        })
    }

    async fn serve(mut self) -> Result<(), ShardError> {
        let mut rounds = 0_u32;
        loop {
            match self.commons.phase() {
                Phase::Serving => {}
                Phase::Draining => self.close_door(),
                Phase::Stopping => return self.stop(),
            }
            let closing = (1..ROUNDS_CLOSING).contains(&self.rounds_closed);
            if self.round()? || closing {
                rounds = rounds.wrapping_add(1);
                if rounds.is_multiple_of(ROUNDS_PER_YIELD) {
                    glommio::executor().yield_task_queue_now().await;
                }
            } else {
                self.idle()?;
            }
        }
    }

    /// Accepts nobody any more, and says so when what the last had sent is read.
    fn close_door(&mut self) {
        self.door.close(&mut self.ring);
        if self.door.is_closed() && self.arrivals.is_empty() && self.rounds_closed < ROUNDS_CLOSING {
            self.rounds_closed += 1;
            if self.rounds_closed == ROUNDS_CLOSING {
                self.commons.door_closed();
            }
        }
    }

    /// Closes the listeners: a ring that just goes away keeps them for a while, and whoever starts the server again
    /// finds the port taken. Connections may take that while.
    fn stop(&mut self) -> Result<(), ShardError> {
        self.door.close(&mut self.ring);
        let until = clock::instant().after(STOP_MAX);
        let stored = |pump: &Pump| pump.commit.as_ref().is_none_or(Commit::is_idle);
        while !(self.door.is_closed() && stored(&self.pump)) && clock::instant() < until {
            self.round()?;
        }
        Ok(())
    }

    /// Comes back when there may be something to do.
    fn idle(&mut self) -> Result<(), ShardError> {
        let since = clock::instant();
        let phase = self.commons.phase();
        let until = Instant(since.0.saturating_add(self.patience.budget()));
        while clock::instant() < until {
            if self.ring.has_more() || self.has_work(phase) {
                self.patience.paid();
                return Ok(());
            }
            std::hint::spin_loop();
        }
        self.commons.mesh.bell(self.id).lie_down();
        if !self.has_work(phase) {
            if let Some(deadline) = self.deadline() {
                self.ring.set_alarm(deadline);
            }
            // Not by way of the runtime, which has nothing else to do on this thread and needs a dozen calls of the
            // kernel to find that out.
            self.ring.wait().map_err(|error| ShardError::of_system("wait for an io_uring", error))?;
        }
        self.commons.mesh.bell(self.id).get_up();
        self.patience.slept(clock::instant().0.saturating_sub(since.0));
        Ok(())
    }

    #[inline]
    fn has_work(&mut self, phase: Phase) -> bool {
        !self.ring.is_quiet()
            || self.commons.mesh.waits_for(self.id)
            || self.commons.phase() != phase
            || self.pump.commit.as_ref().is_some_and(Commit::has_news)
            || (self.pump.restoring && self.commons.all_restored())
    }

    /// When something is to be done at the latest.
    fn deadline(&self) -> Option<Instant> {
        let lingering = self.lingering.front().map(|&(at, _)| at);
        let (door, watch) = (self.door.deadline(), self.watch.deadline());
        [self.pump.engine.deadline(), door, watch, self.tidy.deadline(), lingering, self.ledger.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
