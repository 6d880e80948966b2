//! The process around the server: its limits and its user, daemon and pid file, and what the service manager hears.
//! What it serves is in `server/`, the order of all this at a start in `main.rs`.
mod daemon;
mod error;
mod pid_file;
mod user;

pub use error::ProcessError;

use crate::log_at;
use crate::logging::Level;
use crate::server::Stage;
use daemon::{Link, Side};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pid_file::PidFile;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::process::ExitCode;

/// What an operator may decide about the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// The limit on descriptors (RLIMIT_NOFILE); `None` raises it as far as it may be raised.
    pub descriptors: Option<u64>,
    /// Whom to become, by name.
    pub user: Option<String>,
    /// Whether the kernel may write a core file although the user was switched.
    pub core_dump: bool,
    /// Whether to leave the terminal.
    pub daemon: bool,
    /// Where to write the process id.
    pub pid_file: Option<PidPath>,
}

/// Where to write the process id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidPath {
    /// The file.
    pub path: PathBuf,
    /// Whether the server does not start without.
    pub required: bool,
}

/// Which process goes on.
#[derive(Debug)]
pub enum Entered {
    /// The one that is to be the server.
    Server(Process),
    /// The one that started a daemon, when that listens or has failed: it ends with this status.
    Parent(ExitCode),
}

/// The process of a server.
#[derive(Debug)]
pub struct Process {
    pid_path: Option<PidPath>,
    pid_file: Option<PidFile>,
    link: Option<Link>,
}

impl Process {
    /// Makes this process, or a new one, what the operator wants, in gearmand's order: limits, user, daemon. Everything
    /// that is opened later, log, store and sockets among it, is opened by that user. To be called before any thread
    /// starts.
    pub fn enter(options: &ProcessOptions) -> Result<Entered, ProcessError> {
        if let Some(number) = options.descriptors {
            limit_descriptors(number)?;
        }
        if let Some(name) = &options.user {
            user::switch(name)?;
            if options.core_dump {
                // The kernel takes it away from whoever switches the user. Without, a crash leaves no file.
                let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
            }
        }
        let link = match options.daemon {
            true => match daemon::detach()? {
                Side::Child(link) => Some(link),
                Side::Parent(status) => return Ok(Entered::Parent(status)),
            },
            false => None,
        };
        Ok(Entered::Server(Process { pid_path: options.pid_file.clone(), pid_file: None, link }))
    }

    /// The server listens: writes the pid file and tells those who wait for it. Not earlier, so that a start that finds its
    /// port taken leaves the file of the server that has it alone.
    pub fn ready(&mut self) -> Result<(), ProcessError> {
        if let Some(PidPath { path, required }) = &self.pid_path {
            match PidFile::write(path) {
                Ok(file) => self.pid_file = Some(file),
                Err(error) if *required => return Err(ProcessError::PidFile(path.clone(), error)),
                Err(error) => {
                    log_at!(Level::Warning, "{}", ProcessError::PidFile(path.clone(), error));
                }
            }
        }
        notify(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
        if let Some(link) = self.link.take() {
            link.ready()?;
        }
        Ok(())
    }

    /// Tells the service manager what the server is doing.
    pub fn tell(&mut self, stage: Stage<'_>) {
        match stage {
            Stage::Reading(how_far) => notify(&[NotifyState::Status(how_far)]),
            Stage::Serving => notify(&[NotifyState::Status("serving")]),
            Stage::Draining(jobs) => {
                notify(&[NotifyState::Status(&format!("ending when no jobs are left: there are {jobs}"))]);
            }
            Stage::Renewing => self.write_pid_file_again(),
            Stage::Stopping => notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]),
        }
    }
}

impl Process {
    /// A pid file that could not be written, and need not be there, may be possible now.
    fn write_pid_file_again(&mut self) {
        if self.pid_file.is_none()
            && let Some(PidPath { path, .. }) = &self.pid_path
        {
            match PidFile::write(path) {
                Ok(file) => self.pid_file = Some(file),
                Err(error) => log_at!(Level::Warning, "{}", ProcessError::PidFile(path.clone(), error)),
            }
        }
    }
}

/// A service manager that does not listen misses nothing that the server needs.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log_at!(
            Level::Warning,
            "cannot tell the service manager (NOTIFY_SOCKET in the environment): {error}"
        );
    }
}

/// Sets the limit, and raises what it may be raised to if that is less, which needs root.
fn limit_descriptors(number: u64) -> Result<(), ProcessError> {
    getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, maximum)| setrlimit(Resource::RLIMIT_NOFILE, number, maximum.max(number)))
        .map_err(|error| ProcessError::Descriptors(number, error.into()))
}
