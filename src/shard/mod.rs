//! The shell of one shard: sockets, time and messages on the way to the engine and back. Decides nothing about jobs.
//!
//! A shard is a thread on a core of its own (`host.rs`), which takes one turn of it after the other (`Shard::turn`): let the
//! kernel finish what is ready (`sockets/`), read what arrived (`reader.rs`), feed the engine (`pump.rs`), hand
//! messages to other shards (`mesh/`), send what is to be sent, once for each connection. With nothing to do it
//! looks for work a little (`park.rs`), then sleeps until the kernel, another shard or the alarm wakes it.
//! `server/` starts shards and stops them.
pub mod error;
pub mod options;

mod accept;
#[cfg(feature = "measure")]
pub mod bench_api;
pub(crate) mod choose;
mod commit;
mod completed;
mod connection;
mod cover;
mod covered;
mod debtors;
mod ending;
mod evict;
mod grant;
mod greeting;
mod greetings;
mod host;
mod intake;
mod ledger;
pub(crate) mod listen;
mod liveness;
pub(crate) mod migrate;
mod moving;
#[cfg(test)]
#[cfg(feature = "tls")]
mod mutated;
mod news;
mod outbound;
mod parcel;
mod park;
mod pool;
mod pump;
mod rations;
mod reader;
mod rest;
mod round;
mod silent;
mod sockets;
mod table;
mod tell;

use crate::access::AccessBook;
use crate::engine::slot::ShardSet;
use crate::engine::{Board, Engine, Instant, Policy, ShardId, Topology};
use crate::frontend::SharedPort;
use crate::memory::{Large, Trim};
use crate::mesh::shared::{ServerPhase, Shared};
use crate::mesh::{Unheard, clock};
use crate::store::channel::StoreChannel;
use crate::tls::Certificates;
use accept::Acceptor;
use choose::Chosen;
use commit::Commit;
use error::ShardError;
use grant::GrantProgress;
use host::Turn;
use ledger::Ledger;
use liveness::Liveness;
use migrate::{MigrationPolicy, Migrations};
use options::{ListenerKind, ShardOptions};
use park::Parking;
use pump::Pump;
use rations::Rations;
use sockets::{Sockets, Token};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use table::ConnectionTable;

/// Rounds between two that let the runtime look after itself.
const ROUNDS_PER_YIELD: u32 = 1024;
/// Rounds after which those who were accepted last are read, after the last of them was accepted.
const ROUNDS_CLOSING: u8 = 3;
/// How long stopping may take.
const STOP_MAX: Duration = Duration::from_secs(1);

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) id: ShardId,
    /// What its engine and those of all other homes see of each other.
    pub(crate) board: Board,
    /// The processor to run on; none: any.
    pub(crate) core: Option<usize>,
    /// How sockets are served.
    pub(crate) sockets: Chosen,
    /// Whether other shards run on it too.
    pub(crate) crowded: bool,
    /// Listening sockets.
    pub(crate) listeners: Vec<OwnedFd>,
    /// For each of them what is expected of those who connect there.
    pub(crate) entrances: Vec<ListenerKind>,
    /// What TLS is spoken with, where an entrance wants that.
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) options: ShardOptions,
    pub(crate) policy: Arc<Policy>,
    pub(crate) frontend: SharedPort,
    pub(crate) shared: Arc<Shared>,
    pub(crate) migrations: Arc<Migrations>,
    /// Who may do what.
    pub(crate) access: Arc<AccessBook>,
    /// Where to have jobs stored, if anywhere.
    pub(crate) desk: Option<Arc<StoreChannel>>,
}

/// Runs a shard on this thread until [`ServerPhase::Stopping`]; calls `started` when it serves.
pub(crate) fn run(setup: Setup, started: impl FnOnce()) -> Result<(), ShardError> {
    // Before this thread has a core of its own, which others are not to be bound to.
    // A small part of the memory of which connections have a quarter.
    Large::have_freed(setup.options.connection_bytes_max / 8);
    // Before anything is allocated for it: memory comes from near the core that touches it first.
    setup.core.into_iter().for_each(host::bind);
    let (host, sockets) = setup.sockets.make(setup.options.receive_buffers)?;
    let shard = Shard::new(setup, sockets);
    started();
    host.run(shard, Shard::turn)
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
    topology: Topology,
    options: ShardOptions,
    shared: Arc<Shared>,
    migrations: Arc<Migrations>,
    sockets: Sockets,
    acceptor: Acceptor,
    entrances: Vec<ListenerKind>,
    certificates: Option<Arc<Certificates>>,
    table: ConnectionTable,
    pump: Pump,
    parking: Parking,
    trim: Trim,
    liveness: Liveness,
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
    /// Who was accepted and is not let in yet, by which listener, and how many were in this round.
    arrivals: VecDeque<(u32, OwnedFd)>,
    let_in: usize,
    /// What others have sent and was not heard yet.
    unheard: Unheard,
    /// Rounds that had something to do.
    rounds: u64,
    /// Rounds begun since nobody is accepted any more, up to [`ROUNDS_CLOSING`].
    rounds_not_accepting: u8,
    /// Connections in [`connection::Phase::Lingering`], and until when. In order of time.
    lingering: VecDeque<(Instant, Token)>,
    ledger: Ledger,
    granting: GrantProgress,
    _abort: AbortOnPanic,
}

impl Shard {
    fn new(setup: Setup, mut sockets: Sockets) -> Shard {
        let rights_wanted = setup.policy.rights_wanted;
        let Setup { id, board, options, shared, .. } = setup;
        let topology = board.topology();
        let ledger = Ledger::new(options.connection_bytes_max);
        sockets.listen(shared.mesh.eventfd(id));
        let acceptor = Acceptor::open(setup.listeners, &mut sockets);
        let pump = Pump {
            handle_prefix: setup.policy.handle_prefix.clone(),
            engine: Engine::new(id, board, setup.policy),
            frontend: setup.frontend,
            now: clock::now(),
            unread_max: options.unread_max,
            restoring: setup.desk.is_some(),
            store_away: false,
            lease: None,
            forgets: None,
            hands_over: false,
            asked_for_numbers: false,
            scratch: Vec::new(),
            commit: setup.desk.map(|desk| Commit::new(id, desk, options.store_bytes_max)),
            fed: 0,
            fed_max: 0,
            access: setup.access.clone(),
            rights_wanted,
            shared: shared.clone(),
            id,
            migration_policy: MigrationPolicy::new(id, topology, shared.clone(), options.settle),
        };
        Shard {
            id,
            topology,
            parking: Parking::new(options.spin, setup.crowded || topology.told_of().len() == 1),
            liveness: Liveness::new(&options.keepalive),
            hold: u64::try_from(options.hold.as_nanos()).unwrap_or(u64::MAX),
            options,
            shared,
            migrations: setup.migrations,
            sockets,
            acceptor,
            entrances: setup.entrances,
            certificates: setup.certificates,
            trim: Trim::default(),
            table: ConnectionTable::new(id),
            pump,
            crowded: setup.crowded,
            unrung: ShardSet::default(),
            unrung_since: None,
            rations: Rations::default(),
            arrivals: VecDeque::new(),
            let_in: 0,
            unheard: Unheard::new(),
            rounds: 0,
            rounds_not_accepting: 0,
            lingering: VecDeque::new(),
            ledger,
            granting: GrantProgress::new(setup.access.edition()),
            _abort: AbortOnPanic,
        }
    }

    /// Does what there is to do, or waits for it. Never waits for anything else.
    fn turn(&mut self) -> Result<Turn, ShardError> {
        match self.shared.phase() {
            ServerPhase::Serving => {}
            ServerPhase::Draining => self.stop_accepting(),
            ServerPhase::Stopping => {
                self.stop()?;
                return Ok(Turn::Over);
            }
        }
        let closing = (1..ROUNDS_CLOSING).contains(&self.rounds_not_accepting);
        if self.round()? || closing {
            self.rounds = self.rounds.wrapping_add(1);
            if self.rounds.is_multiple_of(ROUNDS_PER_YIELD.into()) {
                return Ok(Turn::Yield);
            }
        } else {
            self.idle()?;
        }
        Ok(Turn::Again)
    }

    /// Accepts nobody any more, and says so when what the last had sent is read.
    fn stop_accepting(&mut self) {
        self.acceptor.close(&mut self.sockets);
        if self.acceptor.is_closed() && self.arrivals.is_empty() && self.rounds_not_accepting < ROUNDS_CLOSING
        {
            self.rounds_not_accepting += 1;
            if self.rounds_not_accepting == ROUNDS_CLOSING {
                self.shared.accepts_no_more();
            }
        }
    }

    /// Closes the listeners: a ring of the kernel that just goes away keeps them for a while, and whoever starts the server again
    /// finds the port taken. Connections may take that while.
    fn stop(&mut self) -> Result<(), ShardError> {
        self.acceptor.close(&mut self.sockets);
        let until = clock::instant().after(STOP_MAX);
        let stored = |pump: &Pump| pump.commit.as_ref().is_none_or(Commit::is_idle);
        while !(self.acceptor.is_closed() && stored(&self.pump)) && clock::instant() < until {
            self.round()?;
        }
        Ok(())
    }

    /// Comes back when there may be something to do.
    fn idle(&mut self) -> Result<(), ShardError> {
        let since = clock::instant();
        self.shared.publish_idle(self.id, self.rounds, since);
        let waited = self.wait_for_something(since);
        self.shared.publish_busy(self.id, clock::instant().0.saturating_sub(since.0));
        waited
    }

    /// The same, `since` when there is nothing to do.
    fn wait_for_something(&mut self, since: Instant) -> Result<(), ShardError> {
        let phase = self.shared.phase();
        let until = Instant(since.0.saturating_add(self.parking.budget()));
        while clock::instant() < until {
            if self.sockets.has_more() || self.has_work(phase) {
                self.parking.paid();
                return Ok(());
            }
            std::hint::spin_loop();
        }
        self.shared.mesh.bell(self.id).lie_down();
        if !self.has_work(phase) {
            if let Some(deadline) = self.deadline() {
                self.sockets.set_alarm(deadline);
            }
            // Not by way of the runtime, which has nothing else to do on this thread and needs a dozen calls of the
            // kernel to find that out.
            self.sockets.wait()?;
        }
        self.shared.mesh.bell(self.id).get_up();
        self.parking.slept(clock::instant().0.saturating_sub(since.0));
        Ok(())
    }

    #[inline]
    fn has_work(&mut self, phase: ServerPhase) -> bool {
        !self.sockets.is_quiet()
            || self.is_sent_something()
            || self.shared.phase() != phase
            || self.pump.commit.as_ref().is_some_and(Commit::has_news)
            || (self.pump.restoring && self.shared.all_restored())
            || self.pump.forgets.is_some()
            || self.granting.has_more(&self.pump)
            || self.pump.hands_over
    }

    /// Whether messages or a connection from another shard wait for this one.
    #[inline]
    fn is_sent_something(&self) -> bool {
        self.shared.mesh.waits_for(self.id) || self.migrations.any_for(self.id)
    }

    /// When something is to be done at the latest.
    fn deadline(&self) -> Option<Instant> {
        let lingering = self.lingering.front().map(|&(at, _)| at);
        let (accepting, silence) = (self.acceptor.deadline(), self.liveness.deadline());
        [
            self.pump.engine.deadline(),
            accepting,
            silence,
            self.trim.deadline(),
            lingering,
            self.table.greetings.deadline(),
            self.ledger.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
