//! The command line becomes one [`Config`], made of the option types of the parts. Nothing is opened or started here;
//! what the flags are called is in `config/flags.rs`, what the machine is asked in `config/machine.rs`.
mod access;
mod called;
mod control;
mod doors;
mod file;
mod flags;
mod listening;
mod machine;
mod memory;
pub mod migration;
mod mistake;
mod origins;
mod process;
mod securing;
mod sources;
mod store;
mod tls;
mod unsupported;
mod value;

use crate::engine::slot::SHARDS_MAX;
use crate::engine::{Compat, HandlePrefix, JobId, Policy, Wakeup};
use crate::frontend::{self, SharedPort};
use crate::log_at;
use crate::logging::{self, Level, LoggingOptions, Target};
use crate::process::ProcessOptions;
use crate::server::{Descriptors, ServerOptions};
use crate::shard::options::{Keepalive, ShardOptions};
use crate::store::StoreOptions;
use called::CalledAs;
use flags::{Flags, Limits};
use mistake::Mistake;
use origins::Caution;
use sources::Given;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::io::Write;
use std::num::NonZeroU8;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tls::TlsVariables;
use value::fit;

pub(crate) use control::USUAL_SOCKET;
pub use origins::Origins;

/// Everything that an operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// For the process around the server.
    pub process: ProcessOptions,
    /// For the server and its shards.
    pub server: ServerOptions,
    /// For reading and writing on the shared port.
    pub frontend: SharedPort,
    /// For the log.
    pub log: LoggingOptions,
    /// What the operator should know about how the command line was understood.
    pub notices: Vec<String>,
    /// What probably was not meant as it was understood.
    pub warnings: Vec<String>,
    /// Where the values are from that do not stand on the command line.
    pub origins: Origins,
}

impl Config {
    /// Reads this process's command line and environment. Otherwise the process has nothing more to do than to end
    /// with the status: help or version were asked for and printed, or a mistake was.
    pub fn from_process() -> Result<Config, ExitCode> {
        let surroundings = Surroundings {
            called: CalledAs::of(&program()),
            port: std::env::var_os(listening::VARIABLE),
            tls: TlsVariables::ask(),
            runtime: std::env::var_os(control::RUNTIME),
            file: Path::new(file::DEFAULT_FILE),
        };
        match invocation(std::env::args_os().skip(1), &surroundings) {
            Ok(Invocation::Serve(mut config)) => {
                if let Some(name) = &mut config.log.syslog
                    && let Some(file) = Path::new(&program()).file_name()
                {
                    *name = file.to_string_lossy().into_owned();
                }
                Ok(*config)
            }
            Ok(Invocation::Text(text)) => {
                // Whoever closed the pipe does not want to read on.
                let _ = io::stdout().write_all(text.as_bytes());
                Err(ExitCode::SUCCESS)
            }
            Ok(Invocation::Check) => Err(ExitCode::SUCCESS),
            Err(mistake) => {
                let _ = writeln!(io::stderr(), "{}: {mistake}", program().display());
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
        for warning in &self.warnings {
            log_at!(Level::Warning, "{warning}");
        }
    }
}

/// The server's options, as completions and manual pages tell of them.
pub fn command() -> clap::Command {
    flags::command()
}

/// The port of a server that is started in this process's environment, with this `--port` or without. An error is one sentence. A
/// variable that holds no port but what schedulers put there is passed over.
pub fn usual_port(flag: Option<&str>) -> Result<u16, String> {
    let variable = match flag {
        Some(_) => None,
        None => std::env::var_os(listening::VARIABLE),
    };
    let (mut notices, mut origins) = (Vec::new(), Origins::default());
    let flag = flag.unwrap_or(flags::DEFAULT_PORT);
    listening::port_number(flag, variable.as_deref(), &mut notices, &mut origins)
        .map_err(|mistake| mistake.to_string())
}

/// What this process was started as: the name that its messages begin with.
pub fn program() -> OsString {
    std::env::args_os().next().unwrap_or_else(|| "ringgear".into())
}

/// What the command line asks for.
#[derive(Debug)]
enum Invocation {
    /// A running server.
    Serve(Box<Config>),
    /// A text: help or version.
    Text(String),
    /// Nothing but to be looked at, and it is fine.
    Check,
}

/// What counts besides the arguments.
#[derive(Debug)]
struct Surroundings<'a> {
    /// The program's name.
    called: CalledAs,
    /// The value of GEARMAND_PORT.
    port: Option<OsString>,
    /// The values of those that name certificates.
    tls: TlsVariables,
    /// The value of RUNTIME_DIRECTORY.
    runtime: Option<OsString>,
    /// The configuration file, if the arguments name no other.
    file: &'a Path,
}

/// What the arguments (without the program's name) ask for.
fn invocation(
    arguments: impl Iterator<Item = OsString>,
    surroundings: &Surroundings<'_>,
) -> Result<Invocation, Mistake> {
    let (flags, notices, mut origins) = match sources::read(arguments, surroundings.file)? {
        Given::Flags(flags, notices, origins) => (*flags, notices, origins),
        Given::Help(text) => return Ok(Invocation::Text(text)),
    };
    let (check, version_asked) = (flags.process.check_args, flags.version);
    let config =
        config(&flags, surroundings, notices, &mut origins).map_err(|mistake| mistake.blamed(&origins))?;
    Ok(match (check, version_asked) {
        (true, _) => Invocation::Check,
        (false, true) => Invocation::Text(surroundings.called.version(config.frontend.compat)),
        (false, false) => Invocation::Serve(Box::new(Config { origins, ..config })),
    })
}

fn config(
    flags: &Flags,
    surroundings: &Surroundings<'_>,
    mut notices: Vec<String>,
    origins: &mut Origins,
) -> Result<Config, Mistake> {
    let called = surroundings.called;
    let mut warnings = idle_options(flags, called)?;
    let backlog = backlog(flags.backlog, called, &mut warnings)?;
    let handle_prefix = handle_prefix(flags.job_handle_prefix.as_deref(), &mut notices)?;
    let log = LoggingOptions {
        target: target(flags.log_file.as_deref(), flags.process.daemon),
        target_from: target_from(flags, origins),
        syslog: flags.syslog.then(|| "ringgear".to_owned()),
        level: level(flags.verbose, flags.talkative),
        queue_bytes: fit(flags.limits.max_log_queue),
        repeats: fit(flags.limits.max_log_repeats),
    };
    let port = listening::port_number(&flags.port, surroundings.port.as_deref(), &mut notices, origins)?;
    let places = match flags.process.check_args {
        // Who a name is may change until it is used.
        true => Vec::new(),
        false => listening::places(flags, port, &mut warnings)?,
    };
    let tls_door = listening::doors(flags)?.iter().any(|door| door.tls == Some(true));
    let tls = tls::options(&flags.tls, tls_door, port, &surroundings.tls, (called, &mut warnings, origins))?;
    let (plain, secured) = tls.part(places)?;
    let policy = policy(flags, handle_prefix, &log)?;
    let shard = shard_options(flags);
    let store =
        store::options(&flags.storing, &machine::server_name(port), called, &mut notices, &mut warnings)?;
    let mut policy = Policy { store: store.is_some(), ..policy };
    if store.as_ref().is_some_and(StoreOptions::is_shared) {
        policy.share_store();
    }
    let process = process::options(&flags.process);
    let gateway = listening::gateway(flags, (&plain, &secured), called, &mut warnings)?;
    let control = control::options(
        flags,
        called,
        surroundings.runtime.as_deref(),
        gateway,
        origins.told(&["control"]),
    )?;
    tls::for_http(&flags.tls, &control.endpoints, gateway)?;
    let frontend = SharedPort {
        packet_max: shard.packet_max,
        version: frontend::version(policy.compat),
        verbosity: log.level.name(),
        pid: std::process::id(),
        handle_prefix: policy.handle_prefix.clone(),
        compat: policy.compat,
    };
    let server = ServerOptions {
        endpoints: plain.iter().map(|place| place.endpoint.clone()).collect(),
        doors: plain.iter().map(|place| place.door).collect(),
        tls_endpoints: secured.iter().map(|place| place.endpoint.clone()).collect(),
        tls_doors: secured.iter().map(|place| place.door).collect(),
        tls: tls.options,
        backlog,
        threads: threads(flags.threads, called, &mut warnings)?,
        threads_from: origins.told(&["threads"]),
        sockets: flags.sockets,
        policy,
        shard,
        access: access::options(&flags.granting),
        store,
        descriptors: match process.descriptors {
            Some(_) => Descriptors::AsSet,
            None => Descriptors::Most,
        },
        control,
    };
    let other_meaning = flags.job_retries.and_then(|retries| other_meaning(retries, flags.compat));
    warnings.extend(other_meaning.map(|text| Caution { option: "job-retries", text }));
    let warnings = warnings.into_iter().map(|caution| caution.told(origins)).collect();
    Ok(Config { process, server, frontend, log, notices, warnings, origins: Origins::default() })
}

/// What is to be said of options for what this server does not have, under the name of gearmand: it would ignore them, too.
fn idle_options(flags: &Flags, called: CalledAs) -> Result<Vec<Caution>, Mistake> {
    let mut warnings = Vec::new();
    for option in flags.unsupported.options(&flags.storing.queue_type) {
        match (&option.idle, called) {
            (Some(why), CalledAs::Gearmand) => {
                warnings.push(Caution { option: option.name, text: why.clone() });
            }
            _ => {
                let refusal = format!("{}; {}", option.problem, option.instead);
                return Err(Mistake::Unsupported(option.name, refusal));
            }
        }
    }
    Ok(warnings)
}

/// gearmand takes any number, so does its name: as many as there may be.
fn threads(asked: i64, called: CalledAs, warnings: &mut Vec<Caution>) -> Result<u16, Mistake> {
    match u16::try_from(asked).ok().filter(|threads| *threads <= SHARDS_MAX) {
        Some(threads) => Ok(threads),
        None if called == CalledAs::Gearmand => {
            let text = format!("--threads {asked}: there are {SHARDS_MAX}, which is the most there can be");
            warnings.push(Caution { option: "threads", text });
            Ok(SHARDS_MAX)
        }
        None => Err(Mistake::Threads(asked)),
    }
}

/// gearmand takes any number, of which the system makes as many as it lets wait; so does its name.
fn backlog(asked: i64, called: CalledAs, warnings: &mut Vec<Caution>) -> Result<u32, Mistake> {
    match (asked, called) {
        (0.., _) => Ok(fit(asked)),
        (_, CalledAs::Gearmand) => {
            let text = format!(
                "--backlog {asked}: as many connections wait as the system lets (net.core.somaxconn), as with gearmand"
            );
            warnings.push(Caution { option: "backlog", text });
            Ok(fit(i32::MAX.into()))
        }
        (_, CalledAs::Ringgear) => Err(Mistake::Backlog(asked)),
    }
}

/// Standard error is what service managers and terminals show; a daemon has none, so its log is where gearmand's is.
fn target(file: Option<&OsStr>, daemon: bool) -> Target {
    match file.map(OsStr::as_bytes) {
        Some(b"stderr") => Target::Stderr,
        Some(b"none") => Target::Nowhere,
        Some(file) => Target::File(OsStr::from_bytes(file).into()),
        None if daemon => Target::File("/var/log/gearmand.log".into()),
        None => Target::Stderr,
    }
}

/// Who wants the log to be there.
fn target_from(flags: &Flags, origins: &Origins) -> String {
    match (&flags.log_file, origins.of(&["log-file"])) {
        (Some(_), Some(origin)) => format!("--log-file from {origin}"),
        (None, _) if flags.process.daemon => "where --daemon logs without --log-file".to_owned(),
        _ => "--log-file".to_owned(),
    }
}

/// What is more of `--verbose` and so many `-v`.
fn level(asked: Level, talkative: u8) -> Level {
    let counted = match talkative {
        0 => return asked,
        1 => Level::Notice,
        2 => Level::Info,
        _ => Level::Debug,
    };
    asked.max(counted)
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

fn policy(flags: &Flags, handle_prefix: HandlePrefix, log: &LoggingOptions) -> Result<Policy, Mistake> {
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
    policy.timeout_unit = flags.timeout_unit;
    policy.hash_seed = RandomState::new().hash_one(std::process::id());
    policy.spare_from = JobId::spare_by(RandomState::new().hash_one(std::process::id()));
    policy.note_accepted = log.writes(Level::Notice);
    policy.requests_in_flight = fit(limits.max_requests_in_flight);
    policy.outbox_bytes = fit(limits.max_outbox_bytes);
    policy.functions = fit(limits.max_functions);
    policy.function_stats = fit(flags.function_stats);
    policy.function_bytes = match limits.max_function_bytes {
        Some(bytes) => fit(bytes),
        None => part(max_memory(limits), 8).min(policy.function_bytes),
    };
    policy.abilities = fit(limits.max_abilities);
    let unread: usize = fit(limits.max_unread_bytes);
    policy.waiting_bytes = unread / 4;
    policy.queued_bytes = match limits.max_queued_bytes {
        Some(0) => u64::MAX,
        Some(bytes) => fit(bytes),
        None => part(max_memory(limits), 2),
    };
    policy.finished_memory = fit(limits.finished_memory);
    policy.dead_jobs = fit(flags.storing.dead_jobs);
    policy.dead_bytes = fit(flags.storing.max_dead_bytes);
    policy.store_timeout = Duration::from_secs(fit(flags.storing.store_timeout));
    Ok(policy)
}

/// Bytes that the server may take in all.
fn max_memory(limits: &Limits) -> u64 {
    match limits.max_memory {
        Some(0) => u64::MAX,
        Some(bytes) => fit(bytes),
        None => match memory::allowed() {
            u64::MAX => u64::MAX,
            bytes => bytes / 4 * 3,
        },
    }
}

/// A part of the memory, if there is a limit to it.
fn part(memory: u64, parts: u64) -> u64 {
    if memory == u64::MAX { u64::MAX } else { memory / parts }
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

/// What a number of attempts means that means something else in other versions of gearmand. (-1 is what no limit is called from 2.1 on:
/// who follows that version means it.)
fn other_meaning(retries: i64, compat: Compat) -> Option<String> {
    if compat >= Compat::V2_1 {
        let version = if compat == Compat::V2_1 { "2.1" } else { "2.2" };
        return (retries == 0).then(|| {
            format!(
                "--job-retries 0 means one attempt with --compat {version}; for no limit, as before 2.1, say -1, and for one \
                 attempt 1"
            )
        });
    }
    if (1..=255).contains(&retries) {
        return None;
    }
    let version = if compat == Compat::V1_1 { "1.1" } else { "2.0" };
    let meaning = match low_byte(retries) {
        0 => "no limit".to_owned(),
        1 => "one attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let remedy = match retries {
        -1 => "for no limit, as from 2.1 on, say 0, or follow 2.1 (--compat 2.1)",
        0 => "for one attempt, as from 2.1 on, say 1, or follow 2.1 (--compat 2.1)",
        _ => "it counts modulo 256; say 1 to 255, or 0 for no limit",
    };
    Some(format!("--job-retries {retries} means {meaning} with --compat {version}; {remedy}"))
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
        connection_bytes_max: match limits.max_connection_bytes {
            Some(0) => u64::MAX,
            Some(bytes) => fit(bytes),
            None => part(max_memory(limits), 4),
        },
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

#[cfg(test)]
mod tests;
