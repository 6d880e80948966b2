//! `ringgear jobs`, `job`, `dead`, `workers` and `connections`: what there is, as tables or as JSON, an object a line.
use super::lists_shown::{ago, lasting, name, number, table, text};
use super::{ControlSide, ControlWords, Failure, NO, failed, percent, print};
use crate::cli::words;
use clap::{Args, Command, CommandFactory, Parser, ValueEnum};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// What all lists have.
#[derive(Debug, Args)]
struct ListWords {
    #[command(flatten)]
    control: ControlWords,

    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Lists jobs that wait or run, the one that was accepted first at the beginning
#[derive(Debug, Parser)]
#[command(name = "ringgear jobs", disable_version_flag = true, max_term_width = 100)]
struct JobsLine {
    #[command(flatten)]
    list: ListWords,

    /// Only jobs of this function
    #[arg(short, long, value_name = "FUNCTION")]
    function: Option<OsString>,

    /// Only jobs with this unique
    #[arg(short, long, value_name = "UNIQUE")]
    unique: Option<OsString>,

    /// Only jobs that wait, or that run
    #[arg(short, long, value_name = "STATE")]
    state: Option<JobState>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JobState {
    Waiting,
    Running,
}

/// Shows all that is known of one job but its workload
#[derive(Debug, Parser)]
#[command(name = "ringgear job", disable_version_flag = true, max_term_width = 100)]
struct JobLine {
    #[command(flatten)]
    control: ControlWords,

    /// Its handle
    #[arg(value_name = "HANDLE")]
    handle: OsString,
}

/// Lists dead jobs: background jobs that have used up their attempts
#[derive(Debug, Parser)]
#[command(name = "ringgear dead", disable_version_flag = true, max_term_width = 100)]
struct DeadLine {
    #[command(flatten)]
    list: ListWords,

    /// Only those of this function
    #[arg(value_name = "FUNCTION")]
    function: Option<OsString>,
}

/// Lists workers, or those of one function with what they hold and for how long
#[derive(Debug, Parser)]
#[command(name = "ringgear workers", disable_version_flag = true, max_term_width = 100)]
struct WorkersLine {
    #[command(flatten)]
    list: ListWords,

    /// Only those that know this function
    #[arg(value_name = "FUNCTION")]
    function: Option<OsString>,
}

/// Lists connections, with what they did last
#[derive(Debug, Parser)]
#[command(name = "ringgear connections", disable_version_flag = true, max_term_width = 100)]
struct ConnectionsLine {
    #[command(flatten)]
    list: ListWords,

    /// Only workers, or only others
    #[arg(short, long, value_name = "ROLE")]
    role: Option<ConnectionRole>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConnectionRole {
    Worker,
    Client,
}

/// The words of these subcommands, as completions and manual pages tell of them.
pub(crate) fn commands() -> [Command; 5] {
    [
        JobsLine::command().name("jobs"),
        JobLine::command().name("job"),
        DeadLine::command().name("dead"),
        WorkersLine::command().name("workers"),
        ConnectionsLine::command().name("connections"),
    ]
}

/// Prints a list: its columns, and a row for an item.
fn show(
    name: &'static str,
    list: &ListWords,
    path: &str,
    columns: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> ExitCode {
    let side = match list.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(name, words::USAGE, mistake),
    };
    let (items, whole) = match side.list(path, list.limit) {
        Ok(found) => found,
        Err(failure) => return failed(name, &failure),
    };
    let printed = match list.control.json {
        true => items.iter().map(|item| format!("{item}\n")).collect(),
        false => table(columns, &items.iter().map(row).collect::<Vec<_>>()),
    };
    if let Err(status) = print(name, &printed) {
        return status;
    }
    if !whole {
        words::told_of(name, format_args!("there are more than {}: say --limit N", list.limit));
    }
    ExitCode::SUCCESS
}

/// A word of a query, if it was said.
fn word(name: &str, value: Option<&OsString>) -> Option<String> {
    value.map(|value| format!("{name}={}", percent(value.as_bytes())))
}

fn with_query(path: &str, query: impl IntoIterator<Item = Option<String>>) -> String {
    let said: Vec<String> = query.into_iter().flatten().collect();
    if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
}

/// `ringgear jobs`.
pub(crate) fn jobs(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear jobs";
    let line: JobsLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let state = line.state.map(|state| match state {
        JobState::Waiting => "state=waiting".to_owned(),
        JobState::Running => "state=running".to_owned(),
    });
    let query = [word("function", line.function.as_ref()), word("unique", line.unique.as_ref()), state];
    let columns = ["HANDLE", "FUNCTION", "UNIQUE", "WORKER", ">CLIENTS"];
    show(NAME, &line.list, &with_query("/api/v1/jobs", query), &columns, |job| {
        vec![
            text(&job["handle"]),
            name(job, "function"),
            name(job, "unique"),
            text(&job["worker"]),
            number(&job["clients"]),
        ]
    })
}

/// `ringgear dead`.
pub(crate) fn dead(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear dead";
    let line: DeadLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let path = with_query("/api/v1/dead", [word("function", line.function.as_ref())]);
    let columns = ["HANDLE", "FUNCTION", "UNIQUE", ">ATTEMPTS", "BECAUSE", ">AGO", "WORKER"];
    show(NAME, &line.list, &path, &columns, |job| {
        vec![
            text(&job["handle"]),
            name(job, "function"),
            name(job, "unique"),
            number(&job["attempts"]),
            text(&job["dead_because"]),
            ago(&job["dead_since_ms"]),
            format!("{} {}", text(&job["last_worker_address"]), name(job, "last_worker_id"))
                .trim_end()
                .to_owned(),
        ]
    })
}

/// `ringgear workers`.
pub(crate) fn workers(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear workers";
    let line: WorkersLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let Some(function) = &line.function else {
        return show_connections(NAME, &line.list, Some(ConnectionRole::Worker));
    };
    let path = format!("/api/v1/functions/{}/workers", percent(function.as_bytes()));
    let columns = ["CONNECTION", "ADDRESS", "ID", "STATE", ">HOLDS", "OLDEST JOB", ">FOR"];
    show(NAME, &line.list, &path, &columns, |worker| {
        vec![
            text(&worker["session"]),
            text(&worker["address"]),
            name(worker, "id"),
            text(&worker["state"]),
            number(&worker["holds"]),
            text(&worker["oldest_job"]),
            lasting(&worker["holds_for_seconds"]),
        ]
    })
}

/// `ringgear connections`.
pub(crate) fn connections(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear connections";
    let line: ConnectionsLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    show_connections(NAME, &line.list, line.role)
}

fn show_connections(name_of: &'static str, list: &ListWords, role: Option<ConnectionRole>) -> ExitCode {
    let role = role.map(|role| match role {
        ConnectionRole::Worker => "role=worker".to_owned(),
        ConnectionRole::Client => "role=client".to_owned(),
    });
    let columns = ["CONNECTION", "ADDRESS", "ID", ">FUNCTIONS", ">WAITS FOR", ">SINCE", ">SILENT", ">ASKED"];
    show(name_of, list, &with_query("/api/v1/connections", [role]), &columns, |connection| {
        vec![
            text(&connection["session"]),
            format!("{}:{}", text(&connection["address"]), number(&connection["port"])),
            name(connection, "id"),
            number(&connection["functions"]),
            number(&connection["waits_for"]),
            lasting(&connection["since_seconds"]),
            lasting(&connection["silent_seconds"]),
            lasting(&connection["asked_seconds"]),
        ]
    })
}

/// `ringgear job`: 0 if it is there, 1 if not.
pub(crate) fn job(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear job";
    let line: JobLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let told = match one(&side, &line.handle) {
        Ok(told) => told,
        Err(Failure::Refused(404, why)) => return words::failed(NAME, NO, why),
        Err(failure) => return failed(NAME, &failure),
    };
    let printed = if line.control.json { format!("{told}\n") } else { facts(&told) };
    print(NAME, &printed).map_or_else(|status| status, |()| ExitCode::SUCCESS)
}

fn one(side: &ControlSide, handle: &OsString) -> Result<Value, Failure> {
    side.get(&format!("/api/v1/jobs/{}", percent(handle.as_bytes())))
}

/// A fact a line.
fn facts(told: &Value) -> String {
    let mut rows = vec![
        vec!["handle".to_owned(), text(&told["handle"])],
        vec!["function".to_owned(), name(told, "function")],
        vec!["unique".to_owned(), name(told, "unique")],
    ];
    for (key, value) in told.as_object().into_iter().flatten() {
        let shown_above = ["handle", "function", "unique"].iter().any(|above| key.starts_with(above));
        if shown_above || value.is_null() {
            continue;
        }
        let value = match key {
            key if key.ends_with("_seconds") => lasting(value),
            key if key.ends_with("_ms") && key != "due_ms" => format!("{} ago", ago(value)),
            _ if value.is_string() => text(value),
            _ => number(value),
        };
        rows.push(vec![key.trim_end_matches("_seconds").trim_end_matches("_ms").to_owned(), value]);
    }
    let printed = table(&["", ""], &rows);
    printed.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or(printed)
}
