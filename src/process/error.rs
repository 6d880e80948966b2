//! Why a process cannot become what the operator wants.
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a process cannot become what the operator wants. Printed as one sentence.
#[derive(Debug)]
pub enum ProcessError {
    /// The limit on descriptors cannot be so high.
    Descriptors(u64, io::Error),
    /// Nobody has this name.
    NoUser(String),
    /// Only root may switch the user.
    NotRoot(String),
    /// The user's rights cannot be had.
    Switch(String, io::Error),
    /// The system refused a step of leaving the terminal.
    Daemon(&'static str, io::Error),
    /// The daemon ended before it listened, and could not say why.
    Gone(String),
    /// The pid file cannot be written.
    PidFile(PathBuf, io::Error),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Descriptors(number, error) => {
                write!(
                    f,
                    "cannot allow {number} file descriptors (--file-descriptors): {error}; ask for fewer, or start the server as root"
                )
            }
            ProcessError::NoUser(name) => {
                write!(f, "there is no user {name} (--user); make that user, or name another")
            }
            ProcessError::NotRoot(name) => {
                write!(f, "only root can switch to user {name} (--user); start the server as that user")
            }
            ProcessError::Switch(name, error) => {
                write!(f, "cannot switch to user {name} (--user): {error}; start the server as that user")
            }
            ProcessError::Daemon(step, error) => {
                write!(
                    f,
                    "cannot run in the background (--daemon): {step}: {error}; start it without, under a service manager"
                )
            }
            ProcessError::Gone(how) => write!(
                f,
                "the daemon ended before it listened: {how}; start it without --daemon to see what it does"
            ),
            ProcessError::PidFile(path, error) => {
                write!(
                    f,
                    "cannot write the pid file {}: {error}; choose another place with --pid-file",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for ProcessError {}

impl ProcessError {
    /// The options that it is about, by their long names.
    pub fn options(&self) -> &'static [&'static str] {
        match self {
            ProcessError::Descriptors(..) => &["file-descriptors"],
            ProcessError::NoUser(_) | ProcessError::NotRoot(_) | ProcessError::Switch(..) => &["user"],
            ProcessError::Daemon(..) | ProcessError::Gone(_) => &["daemon"],
            ProcessError::PidFile(..) => &["pid-file"],
        }
    }
}
