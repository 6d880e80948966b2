//! Starts the shards, waits for signals, stops. What a shard does is in `shard/`; options come from `config.rs`.
use crate::engine::slot::SHARDS_MAX;
use crate::engine::{Policy, ShardId, Topology};
use crate::frontend::{Frontend, VERSION};
use crate::log_at;
use crate::logging::{self, Level};
use crate::shard::commons::{Commons, Phase};
use crate::shard::error::ShardError;
use crate::shard::listen::{self, SocketFile};
use crate::shard::options::{Endpoint, ShardOptions};
use crate::shard::{self, Setup};
use crate::store::keeper::{self, Desk};
use crate::store::{Store, StoreError, StoreOptions};
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::sched_getaffinity;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What an operator may decide about the server as a whole.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen; at least one. Port 0 takes a free one, the same for all addresses.
    pub endpoints: Vec<Endpoint>,
    /// Connections that may wait to be accepted, for each address and shard; 1..=65535. The system may cut it
    /// (net.core.somaxconn).
    pub backlog: u32,
    /// Shards, each on a thread and core of its own; at most [`SHARDS_MAX`]. 0: one for each core that this process
    /// may use.
    pub threads: u16,
    /// For the engines.
    pub policy: Policy,
    /// For the shards.
    pub shard: ShardOptions,
    /// Where jobs are kept; nowhere without.
    pub store: Option<StoreOptions>,
}

/// How often a draining server looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// How long a draining server waits for peers to take their last replies when no jobs are left.
const DRAIN_FLUSH: Duration = Duration::from_secs(10);
/// How long the store may take to come to an end.
const CLOSE_MAX: Duration = Duration::from_secs(30);
/// How long shards may take to stop before the process ends without them.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Something that the control thread waits for.
enum News {
    /// A shard serves.
    Started,
    /// A shard has ended.
    Ended(Result<(), ShardError>),
    /// The operator wants something.
    Signal(Signal),
    /// All jobs that were kept are there, or cannot be read.
    Replayed(Result<u64, StoreError>),
    /// The store has ended.
    Closed(Result<(), StoreError>),
}

/// Runs a job server until it is told to stop: by SIGTERM or SIGINT at once, by SIGUSR1 as soon as there are no jobs.
pub fn run(options: ServerOptions, frontend: Frontend) -> Result<(), ServerError> {
    // Before any thread starts, so that all of them leave the signals to `forward_signals`.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP]);
    signals.thread_block().map_err(|e| ServerError::system("block signals", e.into()))?;

    let cores = cores()?;
    let shards = match options.threads {
        0 => u16::try_from(cores.len()).unwrap_or(SHARDS_MAX),
        threads => threads,
    }
    .clamp(1, SHARDS_MAX);
    let topology = Topology::new(shards);
    if options.endpoints.is_empty() {
        return Err(ServerError::NoAddress);
    }
    ask_for_room(shards, options.endpoints.len())?;
    shard::check()?;
    let store = options.store.as_ref().map(StoreOptions::open).transpose()?;
    let listeners = listen::listen(&options.endpoints, options.backlog, shards)
        .map_err(|(endpoint, error)| ServerError::of_endpoint(endpoint, error))?;
    let commons = Commons::new(topology, options.shard.mesh_capacity)
        .map_err(|e| ShardError::of_system("make event descriptors", e))?;

    let desk = store.as_ref().map(|_| Arc::new(Desk::new(topology)));
    let mut server = Server { commons: Arc::new(commons), shards, desk, files: listeners.files };
    let (tell, news) = channel();
    server.start(options, frontend, topology, &cores, listeners.of_shards, &tell)?;
    server.await_start(&news)?;
    if let Some(store) = store {
        server.start_store(store, topology, &tell)?;
    }
    forward_signals(signals, tell)?;
    log_at!(Level::Notice, "ringgear {VERSION} started, threads: {shards}, cores: {}", cores.len());
    for endpoint in &listeners.endpoints {
        log_at!(Level::Notice, "listening on {endpoint}");
    }
    server.serve(&news)?;
    server.stop(&news);
    Ok(())
}

/// A running server, as the control thread sees it.
struct Server {
    commons: Arc<Commons>,
    shards: u16,
    /// To the store, if there is one.
    desk: Option<Arc<Desk>>,
    /// The files of unix sockets, removed when nobody listens on them any more.
    files: Vec<SocketFile>,
}

impl Server {
    fn start(
        &self,
        options: ServerOptions,
        frontend: Frontend,
        topology: Topology,
        cores: &[usize],
        listeners: Vec<Vec<OwnedFd>>,
        tell: &Sender<News>,
    ) -> Result<(), ServerError> {
        let policy = Arc::new(options.policy);
        let crowded = usize::from(self.shards) > cores.len();
        for (id, listeners) in topology.all().zip(listeners) {
            let setup = Setup {
                id,
                topology,
                core: cores[id.index() % cores.len()],
                crowded,
                listeners,
                options: options.shard.clone(),
                policy: policy.clone(),
                frontend: frontend.clone(),
                commons: self.commons.clone(),
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
        let (commons, tell) = (self.commons.clone(), tell.clone());
        spawn("store".to_owned(), move || {
            let wake = Box::new(move |shard| commons.mesh.nudge(shard));
            let replayed = |result| drop(tell.send(News::Replayed(result)));
            let result = keeper::run(store, desk, topology, wake, replayed);
            // Nobody listens any more only when the process ends.
            let _ = tell.send(News::Closed(result));
        })
    }

    /// Waits until every shard serves, or one says why it cannot.
    fn await_start(&self, news: &Receiver<News>) -> Result<(), ServerError> {
        for _ in 0..self.shards {
            match news.recv() {
                Ok(News::Started) => {}
                Ok(News::Ended(Err(error))) => return Err(error.into()),
                Ok(News::Ended(Ok(())) | News::Signal(_) | News::Replayed(_) | News::Closed(_)) | Err(_) => {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Waits for what the operator wants, and comes back when it is to end.
    fn serve(&mut self, news: &Receiver<News>) -> Result<(), ServerError> {
        loop {
            match news.recv() {
                Ok(News::Signal(Signal::SIGHUP)) => logging::reopen(),
                Ok(News::Signal(Signal::SIGUSR1)) => {
                    log_at!(
                        Level::Notice,
                        "SIGUSR1, accepting no more connections, stopping when no jobs are left"
                    );
                    return self.drain(news);
                }
                Ok(News::Signal(signal)) => {
                    log_at!(Level::Notice, "{signal}, stopping");
                    return Ok(());
                }
                Ok(News::Ended(result)) => return result.map_err(ServerError::from),
                Ok(News::Replayed(result)) => drop(result?),
                Ok(News::Closed(result)) => return result.map_err(ServerError::from),
                Ok(News::Started) => {}
                Err(_) => return Ok(()),
            }
        }
    }

    /// Serves those who are connected until no job is left.
    fn drain(&mut self, news: &Receiver<News>) -> Result<(), ServerError> {
        self.files.clear();
        self.commons.enter(Phase::Draining);
        let mut last = None;
        let mut idle_since: Option<Instant> = None;
        loop {
            match news.recv_timeout(DRAIN_LOOK) {
                Ok(News::Signal(Signal::SIGHUP)) => logging::reopen(),
                Ok(News::Signal(Signal::SIGUSR1) | News::Started) | Err(RecvTimeoutError::Timeout) => {}
                Ok(News::Signal(_)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(News::Ended(result)) => return result.map_err(ServerError::from),
                Ok(News::Replayed(result)) => drop(result?),
                Ok(News::Closed(result)) => return result.map_err(ServerError::from),
            }
            // A job that is on its way from one shard to another may be on no shard's board, so one look is not
            // enough.
            let sums = self.commons.sums();
            let same = last.replace(sums) == Some(sums);
            if sums.jobs > 0 || !same {
                idle_since = None;
                continue;
            }
            let flushed = sums.unsent == 0;
            if flushed || idle_since.get_or_insert_with(Instant::now).elapsed() > DRAIN_FLUSH {
                log_at!(Level::Notice, "no jobs are left, stopping");
                return Ok(());
            }
        }
    }

    /// Has all shards close everything, and waits for them a little.
    fn stop(&mut self, news: &Receiver<News>) {
        self.files.clear();
        self.commons.enter(Phase::Stopping);
        let until = Instant::now() + STOP_MAX;
        // Ends when all shards, which have the other ends of the channel, have ended, but for the thread that
        // waits for signals.
        let mut running = self.shards;
        while running > 0
            && let Ok(news) = news.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            running -= u16::from(matches!(news, News::Ended(_)));
        }
        if let Some(desk) = &self.desk {
            desk.stop();
            let until = Instant::now() + CLOSE_MAX;
            loop {
                match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(News::Closed(Ok(()))) => break,
                    Ok(News::Closed(Err(error))) => {
                        log_at!(Level::Error, "closing the store: {error}");
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => {
                        log_at!(Level::Error, "the store does not come to an end; what was answered is kept");
                        break;
                    }
                }
            }
        }
        log_at!(Level::Notice, "stopped");
    }
}

fn run_shard(id: ShardId, setup: Setup, tell: &Sender<News>) {
    logging::on_shard(id.0);
    // Nobody listens any more only when the process ends.
    let result = shard::run(setup, || drop(tell.send(News::Started)));
    let _ = tell.send(News::Ended(result));
}

fn forward_signals(signals: SigSet, tell: Sender<News>) -> Result<(), ServerError> {
    spawn("signals".to_owned(), move || {
        while let Ok(signal) = signals.wait() {
            if tell.send(News::Signal(signal)).is_err() {
                return;
            }
        }
    })
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), ServerError> {
    match thread::Builder::new().name(name).spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(ServerError::system("start a thread", error)),
    }
}

/// The processors that this process may use: those of its affinity mask, fewer if its container grants less time.
fn cores() -> Result<Vec<usize>, ServerError> {
    let mask =
        sched_getaffinity(None).map_err(|e| ServerError::system("ask which cores may be used", e.into()))?;
    let mut cores: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect();
    let granted = thread::available_parallelism().map_or(cores.len(), |count| count.get());
    cores.truncate(granted.max(1));
    Ok(cores)
}

/// Raises the limits on descriptors and on locked memory as far as they may be raised, and says if that is too little
/// to start. (The runtime would say it less clearly, some of it in a panic.)
fn ask_for_room(shards: u16, addresses: usize) -> Result<(), ShardError> {
    /// Descriptors of a shard besides its listeners: its ring, its bell, and those of the runtime.
    const PER_SHARD: usize = 8;
    /// Descriptors for everything else, a few connections among it.
    const BESIDES: usize = 32;
    /// Bytes that the runtime wants to be able to lock.
    const MEMLOCK: u64 = 512 << 10;

    let descriptors = BESIDES + usize::from(shards) * (PER_SHARD + addresses);
    if raise(Resource::Nofile) < descriptors as u64 {
        return Err(ShardError::Descriptors);
    }
    if raise(Resource::Memlock) < MEMLOCK {
        return Err(ShardError::Memlock);
    }
    Ok(())
}

/// Raises a limit as far as it may be raised, and says how far that is.
fn raise(resource: Resource) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let raised = current != maximum && setrlimit(resource, Rlimit { current: maximum, maximum }).is_ok();
    // No limit at all is `None`.
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}

/// Why the server could not start. Each is printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum ServerError {
    /// No address was given.
    NoAddress,
    /// The port or path belongs to another process.
    PortTaken(Endpoint),
    /// The port or path may not be used by this user.
    PortForbidden(Endpoint),
    /// The address or path cannot be listened on.
    Address(Endpoint, io::Error),
    /// A shard could not start, or not go on.
    Shard(ShardError),
    /// The store cannot be used.
    Store(StoreError),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::NoAddress => write!(f, "there is no address to listen on; name one with --listen"),
            ServerError::PortTaken(path @ Endpoint::Unix { .. }) => write!(
                f,
                "cannot listen on {path}: another process listens there; stop it, or choose another path with --listen"
            ),
            ServerError::PortForbidden(path @ Endpoint::Unix { .. }) => write!(
                f,
                "cannot listen on {path}: not permitted; choose a path with --listen in a folder where this user may make files"
            ),
            ServerError::Address(path @ Endpoint::Unix { .. }, error) => {
                write!(f, "cannot listen on {path}: {error}; choose another path with --listen")
            }
            ServerError::PortTaken(address) => write!(
                f,
                "cannot listen on {address}: the port is in use; stop the process that has it, or choose another port with --port"
            ),
            ServerError::PortForbidden(address) => write!(
                f,
                "cannot listen on {address}: not permitted; choose a port above 1023 with --port, or grant CAP_NET_BIND_SERVICE"
            ),
            ServerError::Address(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; choose an address of this machine with --listen"
            ),
            ServerError::Shard(error) => error.fmt(f),
            ServerError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<StoreError> for ServerError {
    fn from(error: StoreError) -> ServerError {
        ServerError::Store(error)
    }
}

impl From<ShardError> for ServerError {
    fn from(error: ShardError) -> ServerError {
        ServerError::Shard(error)
    }
}

impl ServerError {
    fn system(what: &'static str, error: io::Error) -> ServerError {
        ServerError::Shard(ShardError::of_system(what, error))
    }

    fn of_endpoint(endpoint: Endpoint, error: io::Error) -> ServerError {
        match error.kind() {
            io::ErrorKind::AddrInUse => ServerError::PortTaken(endpoint),
            io::ErrorKind::PermissionDenied => ServerError::PortForbidden(endpoint),
            _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                ServerError::Shard(ShardError::Descriptors)
            }
            _ => ServerError::Address(endpoint, error),
        }
    }

    /// The exit status for it, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        const EX_USAGE: u8 = 64;
        const EX_UNAVAILABLE: u8 = 69;
        const EX_OSERR: u8 = 71;
        const EX_IOERR: u8 = 74;
        const EX_NOPERM: u8 = 77;
        match self {
            ServerError::NoAddress => EX_USAGE,
            ServerError::PortTaken(_) | ServerError::Address(..) => EX_UNAVAILABLE,
            ServerError::PortForbidden(_) => EX_NOPERM,
            ServerError::Shard(ShardError::Uring(_)) => EX_UNAVAILABLE,
            ServerError::Shard(_) => EX_OSERR,
            ServerError::Store(StoreError::Locked { .. }) => EX_UNAVAILABLE,
            ServerError::Store(_) => EX_IOERR,
        }
    }
}
