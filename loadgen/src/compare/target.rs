//! Where a run goes: a job server that is there, one that a command starts for each run, or a Ringgear of
//! our own when nothing is there.
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::args::Run;
use crate::machine::probe;
use crate::machine::server::{Started, ringgear};
use crate::plan::terms::Plan;
use crate::run::conduct::{Finding, Setting, conduct};
use crate::run::progress::Progress;

/// A job server to measure, as often as wanted.
#[derive(Debug)]
pub(crate) struct Target {
    label: String,
    place: Place,
    commit: Option<String>,
    load: Load,
    quiet: bool,
}

#[derive(Debug)]
enum Place {
    /// It runs.
    There { address: SocketAddr, pid: Option<u32> },
    /// It is started for each run, so that each finds it as empty as the last.
    Command { command: String, cores: Vec<usize> },
}

/// How the load generator runs.
#[derive(Clone, Debug)]
struct Load {
    threads: usize,
    cores: Vec<usize>,
    spin: u64,
    patience: f64,
}

impl Load {
    fn new(run: &Run) -> Load {
        let cores = run.load_core.clone();
        let threads = match (run.threads, cores.len()) {
            (Some(threads), _) => usize::from(threads),
            (None, 0) => (crate::machine::cores::count() / 2).clamp(1, 8),
            (None, cores) => cores,
        };
        Load { threads, cores, spin: run.spin * 1000, patience: run.patience }
    }
}

impl Target {
    /// The job server that is measured. Starts nothing yet.
    pub(crate) fn of(run: &Run) -> Result<Target, String> {
        let place = match &run.server_command {
            Some(command) => Place::Command { command: command.clone(), cores: run.server_core.clone() },
            None => Place::at(&run.server, run.server_pid).or_else(|error| Place::own(run, &error))?,
        };
        Ok(Target {
            label: run.label.clone(),
            place,
            commit: run.commit.clone(),
            load: Load::new(run),
            quiet: run.quiet,
        })
    }

    /// The job server that it is compared with, if there is one.
    pub(crate) fn against(run: &Run) -> Result<Option<Target>, String> {
        let place = match (&run.against, &run.against_command) {
            (Some(address), _) => Place::at(address, None)?,
            (None, Some(command)) => {
                Place::Command { command: command.clone(), cores: run.server_core.clone() }
            }
            (None, None) => return Ok(None),
        };
        let label = run.against_label.clone();
        Ok(Some(Target { label, place, commit: None, load: Load::new(run), quiet: run.quiet }))
    }

    /// What it is called.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Carries out a plan against it.
    pub(crate) fn run(&self, plan: &Plan) -> Result<Finding, String> {
        let started = match &self.place {
            Place::There { .. } => None,
            Place::Command { command, cores } => {
                Some(Started::start(command, cores).map_err(|error| format!("{command}: {error}"))?)
            }
        };
        let (server, pid) = match (&self.place, &started) {
            (_, Some(started)) => (started.address(), Some(started.pid())),
            (Place::There { address, pid }, None) => (*address, *pid),
            (Place::Command { .. }, None) => return Err("the job server was not started".to_owned()),
        };
        let setting = Setting {
            label: self.label.clone(),
            server,
            pid,
            commit: self.commit.clone(),
            threads: self.load.threads,
            cores: self.load.cores.clone(),
            spin: self.load.spin,
            patience: self.load.patience,
        };
        let mut progress = Progress::new(&self.label, self.quiet);
        conduct(plan, &setting, &mut progress).map_err(|error| format!("{server}: {error}"))
    }
}

impl Place {
    fn at(text: &str, pid: Option<u32>) -> Result<Place, String> {
        let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{text}: no address"))?;
        TcpStream::connect_timeout(&address, Duration::from_secs(2))
            .map_err(|error| format!("{text}: {error}"))?;
        let local = address.ip().is_loopback().then(|| probe::listener(address.port())).flatten();
        Ok(Place::There { address, pid: pid.or(local) })
    }

    /// Nothing listens where it is looked for by default: a Ringgear is started.
    fn own(run: &Run, error: &str) -> Result<Place, String> {
        if run.server != "127.0.0.1:4730" || run.against.is_some() {
            return Err(error.to_owned());
        }
        let Some(program) = ringgear() else {
            return Err(format!(
                "{error}\nNothing listens there, and there is no `ringgear` beside this program or on the path \
                 that could be started. Name a job server with --server or --server-command."
            ));
        };
        eprintln!(
            "Nothing listens at {}: starting {} on a free port of the loopback interface for this run.",
            run.server,
            program.display()
        );
        let command = format!("'{}' --port {{port}} --listen 127.0.0.1", program.display());
        Ok(Place::Command { command, cores: run.server_core.clone() })
    }
}
