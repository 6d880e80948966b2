//! Where a run goes: a job server that is there, one that a command starts for each run, or a Ringgear of
//! our own when nothing is there.
use std::net::SocketAddr;

use crate::args::Run;
use crate::machine::server::{Started, ringgear};
use crate::machine::{probe, server};
use crate::plan::terms::Plan;
use crate::run::conduct::{Finding, Setting, conduct};
use crate::run::progress::Progress;

/// Where a job server is looked for if none is named.
const USUAL: &str = "127.0.0.1:4730";

/// A job server to measure, as often as wanted.
#[derive(Debug)]
pub(crate) struct Target {
    label: String,
    place: Place,
    commit: Option<String>,
    load: Load,
    quiet: bool,
    json_lines: bool,
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
    probe: bool,
    agents: Vec<String>,
}

impl Load {
    fn new(run: &Run) -> Load {
        let cores = run.load_core.clone();
        let threads = match (run.threads, cores.len()) {
            (Some(threads), _) => usize::from(threads),
            (None, 0) => (crate::machine::cores::count() / 2).clamp(1, 64),
            (None, cores) => cores,
        };
        Load {
            threads,
            cores,
            spin: run.spin * 1000,
            patience: run.patience,
            probe: !run.no_probe && !run.tls,
            agents: run.agents.clone(),
        }
    }
}

impl Target {
    /// The job server that is measured. Starts nothing yet.
    pub(crate) fn of(run: &Run, plan: &Plan) -> Result<Target, String> {
        let mut label = run.label.as_deref().unwrap_or("server");
        let place = match (&run.server_command, &run.server) {
            (Some(command), _) => Place::Command { command: command.clone(), cores: run.server_core.clone() },
            (None, Some(server)) => Place::at(server, run.server_pid)?,
            // Whatever else names a job server is meant for one that is there: what was started instead would be
            // measured under its name.
            (None, None) if run.server_pid.is_some() || run.against.is_some() => {
                Place::at(USUAL, run.server_pid)?
            }
            (None, None) => Place::at(USUAL, None).or_else(|error| {
                label = run.label.as_deref().unwrap_or("ringgear");
                Place::own(run, plan, &error)
            })?,
        };
        let is_started = matches!(place, Place::Command { .. }) || run.against_command.is_some();
        if !run.server_core.is_empty() && !is_started {
            return Err(
                "--server-core is for job servers that are started here: it needs --server-command or \
                        --against-command; pin one that runs already with taskset"
                    .to_owned(),
            );
        }
        if matches!(place, Place::There { .. }) && plan.kills() {
            return Err("the plan kills the job server, which must be started for it: give --server-command"
                .to_owned());
        }
        Ok(Target {
            label: label.to_owned(),
            place,
            commit: run.commit.clone(),
            load: Load::new(run),
            quiet: run.quiet,
            json_lines: run.json_lines,
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
        let (quiet, json_lines) = (run.quiet, run.json_lines);
        Ok(Some(Target { label, place, commit: None, load: Load::new(run), quiet, json_lines }))
    }

    /// What it is called.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Carries out a plan against it.
    pub(crate) fn run(&self, plan: &Plan) -> Result<Finding, String> {
        let mut started = match &self.place {
            Place::There { .. } => None,
            Place::Command { command, cores } => {
                Some(Started::start(command, cores).map_err(|error| format!("{command}: {error}"))?)
            }
        };
        let (server, pid) = match (&self.place, &started) {
            (_, Some(started)) => (started.address(), None),
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
            probe: self.load.probe,
            agents: self.load.agents.clone(),
        };
        let progress = Progress::new(&self.label, self.quiet);
        let mut progress = if self.json_lines { progress.in_json() } else { progress };
        conduct(plan, &setting, started.as_mut(), &mut progress).map_err(|error| format!("{server}: {error}"))
    }
}

impl Place {
    fn at(text: &str, pid: Option<u32>) -> Result<Place, String> {
        let address = server::first_that_answers(&server::addresses(text)?)?;
        let local = address.ip().is_loopback().then(|| probe::listener(address.port())).flatten();
        Ok(Place::There { address, pid: pid.or(local) })
    }

    /// No job server was named, and none listens where one usually does: a Ringgear is started.
    fn own(run: &Run, plan: &Plan, error: &str) -> Result<Place, String> {
        let Some(program) = ringgear() else {
            return Err(format!(
                "{error}\nNo job server answers there, and there is no `ringgear` beside this program or on the path \
                 that could be started. Name a job server with --server or --server-command."
            ));
        };
        eprintln!(
            "No job server answers at {USUAL} ({error}): starting {} on a free port of the loopback interface for this run.",
            program.display()
        );
        let command = server::usual(&program, plan.kills());
        Ok(Place::Command { command, cores: run.server_core.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn target(options: &[&str]) -> Result<Target, String> {
        let words = [&["ringgear-load", "steady"], options].concat();
        let run = crate::args::Arguments::try_parse_from(words).unwrap().run;
        Target::of(&run, &crate::plan::overrides::plan(&run.plan).unwrap())
    }

    /// A green comparison of Ringgear with itself, labelled gearmand, was what came of this once.
    #[test]
    fn a_job_server_that_was_named_and_is_not_there_is_an_error() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = target(&["--server", &free, "--label", "gearmand"]).unwrap_err();
        assert!(error.contains(&free) && error.contains("refused"), "{error}");
    }

    #[test]
    fn cores_for_a_job_server_that_is_not_started_are_an_error() {
        let there = crate::machine::standin::StandIn::start(Default::default()).unwrap();
        let there = there.address().to_string();
        assert!(target(&["--server", &there, "--server-core", "0"]).unwrap_err().contains("--server-core"));
        assert!(target(&["--server", &there]).is_ok());
    }
}
