//! What can be wrong with a command line, each in one sentence.
use super::machine::UNIX_PATH_MAX;
use crate::engine::slot::PrefixTooLong;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What is wrong with a command line.
#[derive(Debug)]
pub(super) enum Mistake {
    /// It cannot be parsed.
    Flags(clap::Error),
    /// The configuration file cannot be parsed.
    File(PathBuf, clap::Error),
    /// The configuration file cannot be read.
    NoFile(PathBuf, io::Error),
    /// This option has no meaning in a configuration file.
    NotInFile(PathBuf, String),
    /// There is a `=` and nothing behind it.
    NoValue(String),
    /// This server does not have what an option is about.
    Unsupported(String),
    /// The port is neither a number nor a service.
    Port(String),
    /// The name to listen on has no address.
    Listen(String, io::Error),
    /// There cannot be a unix socket of this name.
    UnixPath(String),
    /// With this `--compat` such a number of retries means nothing.
    JobRetries(i64),
    /// What is wrong with the options of the store.
    Store(String),
    /// Handles made of this prefix would be too long.
    PrefixTooLong(PrefixTooLong),
    /// Handles made of this prefix could not be written in a line.
    PrefixNotOneWord,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::Flags(error) => f.write_str(&first_paragraph(&error.to_string())),
            Mistake::File(path, error) => {
                write!(f, "{}: {}", path.display(), first_paragraph(&error.to_string()))
            }
            Mistake::NoFile(path, error) => {
                write!(f, "cannot read the configuration file {}: {error}", path.display())
            }
            Mistake::NotInFile(path, name) => {
                write!(f, "{}: --{name} cannot stand in a configuration file", path.display())
            }
            Mistake::NoValue(option) => {
                write!(f, "a value is required behind '{option}' but none was supplied")
            }
            Mistake::Unsupported(refusal) => f.write_str(refusal),
            Mistake::Port(port) => {
                write!(f, "--port {port} is neither a number up to 65535 nor a service in /etc/services")
            }
            Mistake::Listen(host, error) => write!(f, "--listen {host} has no address: {error}"),
            Mistake::UnixPath(path) => write!(
                f,
                "--listen unix:{path}: the path of a unix socket has 1 to {} bytes, none of them 0",
                UNIX_PATH_MAX
            ),
            Mistake::JobRetries(number) => {
                write!(f, "--job-retries {number} is not within -1 to 255, as --compat 2.1 and later want it")
            }
            Mistake::Store(what) => f.write_str(what),
            Mistake::PrefixTooLong(error) => write!(f, "--job-handle-prefix: {error}"),
            Mistake::PrefixNotOneWord => {
                f.write_str("--job-handle-prefix: blanks and control characters cannot stand in a job handle")
            }
        }
    }
}

/// clap's message without its usage and hints, as gearmand prints one line.
fn first_paragraph(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
