//! The program: a subcommand (`cli/`), or the server: reads its command line, becomes the process that was asked for, runs the
//! server in it, tells the operator why it ended.
use ringgear::cli;
use ringgear::config::{Config, Origins, program};
use ringgear::log_at;
use ringgear::logging::{self, Level, Target};
use ringgear::process::{Entered, Process, ProcessError};
use ringgear::server::{self, ServerError, Signals};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Nobody may read what is printed; that changes nothing.
fn main() -> ExitCode {
    if let Some(status) = cli::run(std::env::args_os().skip(1)) {
        return status;
    }
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let origins = config.origins.clone();
    match serve(config, &origins) {
        Ok(status) => status,
        Err(failure) => {
            let from = origins.told(failure.options());
            let _ = writeln!(io::stderr(), "{}: {failure}{from}", program().display());
            failure.status()
        }
    }
}

/// Up to the log, which has a thread, there is one thread only: see [`Process::enter`] and [`Signals::hold_back`].
fn serve(mut config: Config, origins: &Origins) -> Result<ExitCode, Failure> {
    let mut process = match Process::enter(&config.process)? {
        Entered::Server(process) => process,
        Entered::Parent(status) => return Ok(status),
    };
    let signals = Signals::hold_back()?;
    config.frontend.pid = std::process::id();
    config.start_log();
    let printed = config.log.target == Target::Stderr;
    let served = run(config, &mut process, signals);
    if let Err(failure) = &served
        && !printed
    {
        log_at!(Level::Fatal, "{failure}{}", origins.told(failure.options()));
    }
    drop(process);
    logging::flush();
    served.map(|()| ExitCode::SUCCESS)
}

fn run(config: Config, process: &mut Process, signals: Signals) -> Result<(), Failure> {
    let server = server::start(config.server, config.frontend, signals)?;
    process.ready()?;
    Ok(server.serve(&mut |stage| process.tell(stage))?)
}

/// Why there is no server, or no more.
enum Failure {
    Process(ProcessError),
    Server(ServerError),
}

impl Failure {
    /// The options that it is about, by their long names.
    fn options(&self) -> &'static [&'static str] {
        match self {
            Failure::Process(error) => error.options(),
            Failure::Server(error) => error.options(),
        }
    }

    fn status(&self) -> ExitCode {
        match self {
            Failure::Process(_) => ExitCode::FAILURE,
            Failure::Server(error) => ExitCode::from(error.exit_code()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Process(error) => error.fmt(f),
            Failure::Server(error) => error.fmt(f),
        }
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Failure {
        Failure::Process(error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        Failure::Server(error)
    }
}
