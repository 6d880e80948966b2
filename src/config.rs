//! The command line becomes one [`Config`], made of the option types of the parts. Nothing is opened or started here;
//! what the flags are called is in `config/flags.rs`, what the machine is asked in `config/machine.rs`.
mod flags;
mod machine;
pub mod offline;

use crate::engine::slot::PrefixTooLong;
use crate::engine::{Compat, HandlePrefix, Policy, Wakeup};
use crate::frontend::{Frontend, VERSION};
use crate::log_at;
use crate::logging::{self, Level, LogOptions, Target};
use crate::server::ServerOptions;
use crate::shard::options::{Endpoint, Keepalive, ShardOptions};
use crate::store::StoreOptions;
use crate::store::log::{self, Durability};
#[cfg(feature = "sqlite")]
use crate::store::sqlite::SqliteOptions;
use clap::Parser;
use clap::error::ErrorKind;
use flags::{DEFAULT_PORT, Flags, Storing};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::io::Write;
use std::num::NonZeroU8;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Everything that an operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// For the server and its shards.
    pub server: ServerOptions,
    /// For reading and writing on the shared port.
    pub frontend: Frontend,
    /// For the log.
    pub log: LogOptions,
    /// What the operator should know about how the command line was understood.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads this process's command line and environment. Otherwise the process has nothing more to do than to end
    /// with the status: help or version were asked for and printed, or a mistake was.
    pub fn from_process() -> Result<Config, ExitCode> {
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| "ringgear".into());
        match read(arguments, std::env::var_os("GEARMAND_PORT")) {
            Ok(Asked::Config(mut config)) => {
                if let Some(name) = &mut config.log.syslog
                    && let Some(file) = Path::new(&program).file_name()
                {
                    *name = file.to_string_lossy().into_owned();
                }
                Ok(*config)
            }
            Ok(Asked::Text(text)) => {
                // Whoever closed the pipe does not want to read on.
                let _ = io::stdout().write_all(text.as_bytes());
                Err(ExitCode::SUCCESS)
            }
            Err(mistake) => {
                let _ = writeln!(io::stderr(), "{}: {mistake}", program.display());
                Err(ExitCode::FAILURE)
            }
        }
    }

    /// Starts the log and writes the notices to it.
    pub fn start_log(&self) {
        logging::start(&self.log);
        for notice in &self.notices {
            log_at!(Level::Notice, "{notice}");
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
enum Asked {
    /// A running server.
    Config(Box<Config>),
    /// A text: help or version.
    Text(String),
}

/// What is wrong with a command line.
#[derive(Debug)]
enum Mistake {
    /// It cannot be parsed.
    Flags(clap::Error),
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
            Mistake::Port(port) => {
                write!(f, "--port {port} is neither a number up to 65535 nor a service in /etc/services")
            }
            Mistake::Listen(host, error) => write!(f, "--listen {host} has no address: {error}"),
            Mistake::UnixPath(path) => write!(
                f,
                "--listen unix:{path}: the path of a unix socket has 1 to {} bytes, none of them 0",
                machine::UNIX_PATH_MAX
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

/// Reads arguments (without the program's name) and the value of GEARMAND_PORT.
fn read(arguments: impl Iterator<Item = OsString>, port: Option<OsString>) -> Result<Asked, Mistake> {
    let arguments = std::iter::once(OsString::from("ringgear")).chain(arguments);
    match Flags::try_parse_from(arguments) {
        Ok(flags) if flags.version => Ok(Asked::Text(version())),
        Ok(flags) => Ok(Asked::Config(Box::new(config(flags, port.as_deref())?))),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Asked::Text(error.to_string())),
        Err(error) => Err(Mistake::Flags(error)),
    }
}

/// An empty line first, as gearmand does.
fn version() -> String {
    format!("\nringgear {VERSION} - {}\n", env!("CARGO_PKG_REPOSITORY"))
}

fn config(flags: Flags, port: Option<&OsStr>) -> Result<Config, Mistake> {
    let mut notices = Vec::new();
    let handle_prefix = handle_prefix(flags.job_handle_prefix.as_deref(), &mut notices)?;
    let log = LogOptions {
        target: target(&flags.log_file),
        syslog: flags.syslog.then(|| "ringgear".to_owned()),
        level: flags.verbose,
        queue_bytes: fit(flags.limits.max_log_queue),
        repeats: fit(flags.limits.max_log_repeats),
    };
    let port = port_number(&flags.port, port)?;
    let endpoints = endpoints(&flags, port)?;
    let policy = policy(&flags, handle_prefix, &log)?;
    let shard = shard_options(&flags);
    let store = store(&flags.storing, &mut notices)?;
    let policy = Policy { store: store.is_some(), ..policy };
    let frontend = Frontend {
        packet_max: shard.packet_max,
        version: VERSION,
        verbosity: flags.verbose.name(),
        pid: std::process::id(),
        handle_prefix: policy.handle_prefix.clone(),
        compat: policy.compat,
    };
    let server = ServerOptions {
        endpoints,
        backlog: fit(flags.backlog),
        threads: fit(flags.threads),
        policy,
        shard,
        store,
    };
    Ok(Config { server, frontend, log, notices })
}

/// GEARMAND_PORT counts where the flag has its default value, given or not, as with gearmand.
fn port_number(flag: &str, environment: Option<&OsStr>) -> Result<u16, Mistake> {
    let environment = environment.filter(|_| flag == DEFAULT_PORT).map(OsStr::to_string_lossy);
    let port = environment.as_deref().unwrap_or(flag);
    if port.is_empty() {
        return Ok(machine::service("gearman").unwrap_or(4730));
    }
    let number = match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => port.parse().ok(),
        false => machine::service(port),
    };
    number.ok_or_else(|| Mistake::Port(port.to_owned()))
}

/// Where to listen: everything that was named, once.
fn endpoints(flags: &Flags, port: u16) -> Result<Vec<Endpoint>, Mistake> {
    let everywhere = [OsString::new()];
    let asked = if flags.listen.is_empty() { &everywhere[..] } else { &flags.listen };
    let (mut addresses, mut paths) = (Vec::new(), Vec::new());
    for name in asked {
        if let Some(path) = name.as_bytes().strip_prefix(b"unix:") {
            if path.is_empty() || path.len() > machine::UNIX_PATH_MAX || path.contains(&0) {
                return Err(Mistake::UnixPath(String::from_utf8_lossy(path).into_owned()));
            }
            let path = PathBuf::from(OsStr::from_bytes(path));
            if !paths.contains(&path) {
                paths.push(path);
            }
            continue;
        }
        let name = name.to_string_lossy();
        let found = machine::addresses(&name, port);
        addresses.extend(found.map_err(|error| Mistake::Listen(name.into_owned(), error))?);
    }
    let tcp = machine::distinct(addresses).into_iter().map(Endpoint::Tcp);
    let unix = paths.into_iter().map(|path| Endpoint::Unix { path, mode: flags.unix_mode });
    Ok(tcp.chain(unix).collect())
}

fn target(file: &OsStr) -> Target {
    match file.as_bytes() {
        b"stderr" => Target::Stderr,
        b"none" => Target::Nowhere,
        _ => Target::File(file.into()),
    }
}

/// A prefix that was asked for is used or refused. The host's name is cut where it is too long: two hosts whose names
/// begin alike then have handles that look alike.
fn handle_prefix(asked: Option<&OsStr>, notices: &mut Vec<String>) -> Result<HandlePrefix, Mistake> {
    if let Some(prefix) = asked {
        let prefix = prefix.as_bytes();
        if prefix.iter().any(|byte| byte.is_ascii_control() || *byte == b' ') {
            return Err(Mistake::PrefixNotOneWord);
        }
        return HandlePrefix::new(prefix).map_err(Mistake::PrefixTooLong);
    }
    let mut prefix = b"H:".to_vec();
    prefix.extend(machine::host_name());
    if prefix.len() > HandlePrefix::MAX {
        prefix.truncate(HandlePrefix::MAX);
        let cut = String::from_utf8_lossy(&prefix);
        notices.push(format!("the host name is long: job handles begin with {cut}; see --job-handle-prefix"));
    }
    HandlePrefix::new(&prefix).map_err(Mistake::PrefixTooLong)
}

fn policy(flags: &Flags, handle_prefix: HandlePrefix, log: &LogOptions) -> Result<Policy, Mistake> {
    let limits = &flags.limits;
    let mut policy = Policy::new(handle_prefix);
    policy.compat = flags.compat;
    policy.round_robin = flags.round_robin;
    policy.attempts = match flags.job_retries {
        Some(retries) => attempts(retries, flags.compat)?,
        None => None,
    };
    policy.wakeup = match flags.worker_wakeup.map(low_byte) {
        None => Wakeup::Paced,
        Some(workers) => NonZeroU8::new(workers).map_or(Wakeup::All, Wakeup::AtMost),
    };
    policy.exceptions = flags.exceptions;
    policy.hash_seed = RandomState::new().hash_one(std::process::id());
    policy.note_accepted = log.writes(Level::Notice);
    policy.requests_in_flight = fit(limits.max_requests_in_flight);
    policy.outbox_bytes = fit(limits.max_outbox_bytes);
    policy.functions = fit(limits.max_functions);
    policy.abilities = fit(limits.max_abilities);
    policy.queued_bytes = match limits.max_queued_bytes {
        Some(0) => u64::MAX,
        Some(bytes) => fit(bytes),
        None => machine::memory() / 2,
    };
    policy.finished_memory = fit(limits.finished_memory);
    policy.dead_jobs = fit(flags.storing.dead_jobs);
    Ok(policy)
}

/// What `--job-retries` means changed upstream with 2.1.
fn attempts(retries: i64, compat: Compat) -> Result<Option<NonZeroU8>, Mistake> {
    if compat < Compat::V2_1 {
        return Ok(NonZeroU8::new(low_byte(retries)));
    }
    match retries {
        -1 => Ok(None),
        0 => Ok(Some(NonZeroU8::MIN)),
        _ => match u8::try_from(retries).ok().and_then(NonZeroU8::new) {
            Some(attempts) => Ok(Some(attempts)),
            None => Err(Mistake::JobRetries(retries)),
        },
    }
}

/// The number modulo 256, as gearmand stores some of its options.
fn low_byte(number: i64) -> u8 {
    number.to_le_bytes()[0]
}

fn shard_options(flags: &Flags) -> ShardOptions {
    let limits = &flags.limits;
    let unset = ShardOptions::default();
    ShardOptions {
        packet_max: fit(limits.max_packet_size),
        unread_max: fit(limits.max_unread_bytes),
        connections_max: match limits.max_connections {
            0 => unset.connections_max,
            number => fit(number),
        },
        keepalive: Keepalive {
            idle: flags.keepalive_idle.seconds(),
            interval: flags.keepalive_interval.seconds(),
            count: flags.keepalive_count.0,
        },
        hold: Duration::from_micros(fit(flags.hold_back)),
        settle: fit(flags.settle),
        store_bytes_max: fit(flags.storing.max_storing_bytes),
        ..unset
    }
}

/// Which store, if any.
fn store(flags: &Storing, notices: &mut Vec<String>) -> Result<Option<StoreOptions>, Mistake> {
    let mistake = |what: &str| Mistake::Store(what.to_owned());
    match (flags.queue_type.as_str(), &flags.data_dir) {
        ("builtin", dir) => {
            misplaced_for_builtin(flags).map_or(Ok(()), |what| Err(mistake(what)))?;
            Ok(dir.as_ref().and_then(|dir| log_store(flags, dir, notices)).map(StoreOptions::Log))
        }
        (_, Some(_)) => Err(mistake("--data-dir and -q each name a store: there can be one")),
        #[cfg(feature = "sqlite")]
        ("libsqlite3", None) => {
            misplaced_for_database(flags).map_or(Ok(()), |what| Err(mistake(what)))?;
            let Some(file) = &flags.libsqlite3_db else {
                return Err(mistake("-q libsqlite3 needs --libsqlite3-db FILE"));
            };
            let mut options = SqliteOptions::of(file);
            if let Some(table) = &flags.libsqlite3_table {
                options.table.clone_from(table);
            }
            options.on_shutdown_only = flags.store_queue_on_shutdown;
            Ok(Some(StoreOptions::Sqlite(options)))
        }
        (other, None) => Err(Mistake::Store(format!(
            "-q {other} is no store that this server has: builtin (with --data-dir for a log) and libsqlite3 are"
        ))),
    }
}

/// What would be ignored without a database, or without a store: whoever gave it believes that jobs are kept.
fn misplaced_for_builtin(flags: &Storing) -> Option<&'static str> {
    let no_log = flags.data_dir.is_none();
    match flags.durability.as_deref() {
        _ if flags.libsqlite3_db.is_some() => {
            Some("--libsqlite3-db names a database that nothing uses: add -q libsqlite3")
        }
        _ if flags.libsqlite3_table.is_some() => Some(
            "--libsqlite3-table names a table that nothing uses: add -q libsqlite3 and --libsqlite3-db FILE",
        ),
        _ if flags.store_queue_on_shutdown => {
            Some("--store-queue-on-shutdown needs a database: add -q libsqlite3 and --libsqlite3-db FILE")
        }
        _ if no_log && flags.max_log_bytes > 0 => {
            Some("--max-log-bytes limits a log that is not kept: add --data-dir DIR")
        }
        Some("synced") if no_log => {
            Some("--durability synced needs a place to keep background jobs in: add --data-dir DIR")
        }
        Some("written") if no_log => {
            Some("--durability written needs a place to keep background jobs in: add --data-dir DIR")
        }
        _ => None,
    }
}

/// What would be ignored with a database.
#[cfg(feature = "sqlite")]
fn misplaced_for_database(flags: &Storing) -> Option<&'static str> {
    match flags.durability.as_deref() {
        Some("written") => Some("--durability written is for --data-dir: -q libsqlite3 always syncs"),
        Some("memory") => {
            Some("--durability memory is for --data-dir: with -q libsqlite3 it is --store-queue-on-shutdown")
        }
        _ if flags.max_log_bytes > 0 => Some("--max-log-bytes is for --data-dir: -q libsqlite3 keeps no log"),
        _ => None,
    }
}

/// The log, unless nothing is to be promised.
fn log_store(flags: &Storing, dir: &Path, notices: &mut Vec<String>) -> Option<log::LogOptions> {
    let durability = match flags.durability.as_deref() {
        None | Some("synced") => Durability::Synced,
        Some("written") => Durability::Written,
        _ => {
            notices.push("--durability memory: background jobs are not kept in --data-dir".to_owned());
            return None;
        }
    };
    let max_bytes = fit(flags.max_log_bytes);
    Some(log::LogOptions { durability, max_bytes, ..log::LogOptions::new(dir) })
}

/// A number that its flag's range lets fit.
fn fit<T: TryFrom<i64>>(number: i64) -> T {
    T::try_from(number).ok().expect("the flag's range keeps the number small enough")
}

#[cfg(test)]
mod tests;
