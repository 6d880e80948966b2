//! What can be wrong with a command line, each in one sentence.
use super::machine::UNIX_PATH_MAX;
use super::origins::{Origins, ValueOrigin};
use crate::engine::slot::PrefixTooLong;
use crate::engine::slot::SHARDS_MAX;
use clap::error::ErrorKind;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What is wrong with a command line.
#[derive(Debug)]
pub(super) enum Mistake {
    /// It cannot be parsed.
    Flags(clap::Error),
    /// A value from elsewhere than the command line is wrong.
    At(ValueOrigin, Box<Mistake>),
    /// The value of this option is not UTF-8, and has to be.
    NotText(String),
    /// The configuration file cannot be read.
    NoFile(PathBuf, io::Error),
    /// This option has no meaning in a configuration file.
    NotInFile(String),
    /// There is a `=` and nothing behind it.
    NoValue(String),
    /// This server does not have what an option is about: its name, and what is to be said of it.
    Unsupported(&'static str, String),
    /// The port is neither a number nor a service.
    Port(String),
    /// So is what GEARMAND_PORT says.
    PortVariable(String),
    /// There cannot be so many threads.
    Threads(i64),
    /// So many connections cannot wait.
    Backlog(i64),
    /// The name to listen on has no address.
    Listen(String, io::Error),
    /// There cannot be a unix socket of this name.
    UnixPath(String),
    /// What stands behind an address to listen on means nothing: the whole value, and why.
    Door(String, String),
    /// The HTTP side cannot be there: what was said, and why not.
    Control(String, &'static str),
    /// TLS cannot be as it is asked for: the option, and why.
    Tls(&'static str, String),
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
            Mistake::Flags(error) => write_flags(error, f),
            Mistake::NotText(option) => {
                write!(f, "the value of --{option} is not UTF-8; write it so")
            }
            Mistake::At(origin, mistake) => write!(f, "{origin}: {mistake}"),
            Mistake::NoFile(path, error) => {
                write!(
                    f,
                    "cannot read the configuration file {}: {error}; name one that can be read, or none",
                    path.display()
                )
            }
            Mistake::NotInFile(name) => {
                write!(f, "--{name} cannot stand in a configuration file; say it on the command line")
            }
            Mistake::NoValue(option) => {
                write!(f, "a value is required behind '{option}' but none was supplied; write one, or leave the option out")
            }
            Mistake::Unsupported(_, refusal) => f.write_str(refusal),
            Mistake::Port(port) => write!(
                f,
                "--port {port} is neither a number up to 65535 nor a service in /etc/services; name one of these"
            ),
            Mistake::PortVariable(port) => write!(
                f,
                "GEARMAND_PORT={port} in the environment is neither a number up to 65535 nor a service in /etc/services; \
                 set it to one of these, or unset it"
            ),
            Mistake::Threads(number) => write!(
                f,
                "--threads {number}: there can be {SHARDS_MAX} at most, and more than there are cores do not help; 0 is one \
                 for each core"
            ),
            Mistake::Backlog(number) => write!(
                f,
                "--backlog {number} is less than none; say how many connections may wait, or leave it out"
            ),
            Mistake::Listen(host, error) => write!(
                f,
                "--listen {host} has no address: {error}; name an address of this machine, or a name that stands for one"
            ),
            Mistake::UnixPath(path) => write!(
                f,
                "--listen unix:{path}: the path of a unix socket has 1 to {} bytes, none of them 0; choose such a path",
                UNIX_PATH_MAX
            ),
            Mistake::Door(value, why) => write!(f, "--listen {value}: {why}"),
            Mistake::Control(value, why) => write!(f, "--control {value}: {why}"),
            Mistake::Tls(option, why) => write!(f, "--{option}: {why}"),
            Mistake::JobRetries(number) => {
                write!(
                    f,
                    "--job-retries {number} is not within -1 to 255, as --compat 2.1 and later want it; say -1 for no limit"
                )
            }
            Mistake::Store(what) => f.write_str(what),
            Mistake::PrefixTooLong(error) => {
                write!(f, "--job-handle-prefix: {error}; choose a shorter one")
            }
            Mistake::PrefixNotOneWord => {
                f.write_str(
                "--job-handle-prefix: blanks and control characters cannot stand in a job handle, of which reports make \
                 words; write others in their place",
            )
            }
        }
    }
}

impl Mistake {
    /// The same, with the place where the value stands.
    pub(super) fn blamed(self, origins: &Origins) -> Mistake {
        let origin = match &self {
            Mistake::Door(value, _) => origins.of_value("listen", value),
            Mistake::Listen(value, _) => origins.of_value("listen", value),
            Mistake::UnixPath(path) => origins.of_value("listen", &format!("unix:{path}")),
            Mistake::Control(value, _) => {
                origins.of_value("control", value).or_else(|| origins.of(&["control"]))
            }
            _ => origins.of(&self.options()),
        };
        match origin {
            Some(origin) => Mistake::At(origin.clone(), Box::new(self)),
            None => self,
        }
    }

    /// The options that it is about, the guilty one first.
    pub(super) fn options(&self) -> Vec<&str> {
        match self {
            Mistake::Unsupported(option, _) | Mistake::Tls(option, _) => vec![option],
            Mistake::Port(_) => vec!["port"],
            Mistake::Threads(_) => vec!["threads"],
            Mistake::Backlog(_) => vec!["backlog"],
            Mistake::Listen(..) | Mistake::UnixPath(_) | Mistake::Door(..) => vec!["listen"],
            Mistake::Control(..) => vec!["control"],
            Mistake::JobRetries(_) => vec!["job-retries", "compat"],
            Mistake::PrefixTooLong(_) | Mistake::PrefixNotOneWord => vec!["job-handle-prefix"],
            // It begins with the name of one.
            Mistake::Store(what) => match what.split(' ').next() {
                Some("-q") => vec!["queue-type"],
                Some(option) => vec![option.trim_start_matches('-')],
                None => Vec::new(),
            },
            Mistake::Flags(_)
            | Mistake::NotText(_)
            | Mistake::At(..)
            | Mistake::NoFile(..)
            | Mistake::NotInFile(_)
            | Mistake::NoValue(_)
            // Its message names the variable.
            | Mistake::PortVariable(_) => Vec::new(),
        }
    }
}

/// clap's message, and what to do where it says only what cannot be.
fn write_flags(error: &clap::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let said = first_paragraph(&error.to_string());
    match error.kind() {
        ErrorKind::UnknownArgument => write!(f, "{said}; --help lists all options"),
        ErrorKind::ArgumentConflict => write!(f, "{said}; leave one of them out"),
        ErrorKind::TooManyValues => write!(f, "{}; leave it out", said.split("; ").next().unwrap_or(&said)),
        _ => f.write_str(&said),
    }
}

/// clap's message without its usage and hints, as gearmand prints one line.
fn first_paragraph(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
