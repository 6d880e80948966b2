//! What the HTTP side of a server tells of functions, read from its JSON.
use super::row::{FunctionLoad, FunctionPace, FunctionTold};
use crate::cli::control::lists_shown::{bytes, lasting, name, number, table, text};
use crate::cli::control::{ControlFailure, ControlSide};
use crate::frontend::percent;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The most functions that are read.
const FUNCTIONS_MAX: usize = 1_100_000;

/// Workers of a function that are shown beside it.
const WORKERS_MAX: usize = 50;

/// Which functions are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum FunctionsWanted<'a> {
    /// All of them.
    All,
    /// Only these, and each of them.
    These(&'a [OsString]),
    /// All, or of more than so many those with which something is wrong.
    #[cfg_attr(not(feature = "top"), allow(dead_code))]
    Some(usize),
}

/// The server as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli) struct ServerTold {
    pub(in crate::cli) version: String,
    pub(in crate::cli) phase: String,
    pub(in crate::cli) pid: u64,
    /// Seconds since its start.
    pub(in crate::cli) uptime: f64,
    pub(in crate::cli) shards: u64,
    pub(in crate::cli) functions: u64,
}

/// Asks for the server and its functions.
pub(super) fn ask(
    side: &ControlSide,
    wanted: FunctionsWanted<'_>,
) -> Result<(ServerTold, Vec<FunctionLoad>), ControlFailure> {
    // First of all: the server notes what is counted, which times and rates of late are made of.
    let overview = side.get("/api/v1/overview")?;
    let server = server(&overview);
    let rows = match wanted {
        FunctionsWanted::These(names) => {
            let names: BTreeSet<&OsString> = names.iter().collect();
            return Ok((server, names.into_iter().map(|name| one(side, name)).collect::<Result<_, _>>()?));
        }
        FunctionsWanted::Some(most) if server.functions > most as u64 => {
            overview["first"].as_array().cloned().unwrap_or_default()
        }
        _ => side.list("/api/v1/functions", FUNCTIONS_MAX)?.0,
    };
    Ok((server, rows.iter().map(function).collect()))
}

fn one(side: &ControlSide, name: &OsString) -> Result<FunctionLoad, ControlFailure> {
    match side.get(&format!("/api/v1/functions/{}", percent(name.as_bytes()))) {
        Ok(row) => Ok(function(&row)),
        Err(ControlFailure::Refused(404, _)) => Ok(FunctionLoad::unknown(name.as_bytes())),
        Err(failure) => Err(failure),
    }
}

/// The process of the server, if it tells.
pub(super) fn pid(side: &ControlSide) -> Option<u64> {
    side.get("/api/v1/server").ok()?["pid"].as_u64()
}

/// Why a function's jobs do not move, and its workers: lines to read.
pub(super) fn closely(side: &ControlSide, function: &[u8]) -> Result<Vec<String>, ControlFailure> {
    let path = format!("/api/v1/functions/{}", percent(function));
    let why = side.get(&format!("{path}/why"))?;
    let mut lines = Vec::new();
    for verdict in why["all"].as_array().into_iter().flatten() {
        lines.push(text(&verdict["text"]));
        let hints = verdict["try"].as_array().into_iter().flatten();
        lines.extend(hints.map(|hint| format!("  Try: {}", text(hint))));
    }
    let (workers, whole) = side.list(&format!("{path}/workers"), WORKERS_MAX)?;
    let rows: Vec<Vec<String>> = workers.iter().map(worker).collect();
    lines.push(String::new());
    match rows.is_empty() {
        true => lines.push("No worker knows it now.".to_owned()),
        false => lines.extend(table(&WORKER_COLUMNS, &rows).lines().map(str::to_owned)),
    }
    if !whole {
        lines.push("And more: ringgear workers FUNCTION lists all.".to_owned());
    }
    Ok(lines)
}

const WORKER_COLUMNS: [&str; 7] = ["CONNECTION", "ADDRESS", "ID", "STATE", ">HOLDS", "OLDEST JOB", ">FOR"];

fn worker(told: &Value) -> Vec<String> {
    vec![
        text(&told["session"]),
        text(&told["address"]),
        name(told, "id"),
        text(&told["state"]),
        number(&told["holds"]),
        text(&told["oldest_job"]),
        lasting(&told["holds_for_seconds"]),
    ]
}

fn server(told: &Value) -> ServerTold {
    ServerTold {
        version: text(&told["version"]),
        phase: text(&told["phase"]),
        pid: count(&told["pid"]),
        uptime: told["uptime_seconds"].as_f64().unwrap_or(0.0),
        shards: count(&told["shards"]),
        functions: count(&told["functions"]),
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn function(row: &Value) -> FunctionLoad {
    let queued = row["queued"].as_object().into_iter().flatten().map(|(_, jobs)| count(jobs));
    let pace = row["per_second"].is_object().then(|| {
        let each = |name: &str| row["per_second"][name].as_f64().unwrap_or(0.0);
        let run = &row["run_seconds"];
        FunctionPace {
            came: each("accepted"),
            done: each("completed") + each("failed"),
            window: count(&row["window_seconds"]),
            run_p95: run["p95"].as_f64().map(|seconds| (seconds, run["longer"].as_bool() == Some(true))),
        }
    });
    FunctionLoad {
        function: bytes(row, "function"),
        waiting: queued.sum(),
        running: count(&row["running"]),
        workers: count(&row["workers"]),
        known: true,
        told: Some(FunctionTold {
            state: text(&row["state"]),
            oldest: row["oldest_waiting_seconds"].as_f64(),
            scheduled: count(&row["scheduled"]),
            dead: count(&row["dead"]),
            paused: !row["paused"].is_null(),
            pace,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_read_as_it_is_told() {
        let row = json!({
            "function_hex": "66ff", "state": "growing", "queued": { "high": 1, "normal": 2, "low": 3 }, "running": 4,
            "workers": 5, "scheduled": 6, "dead": 7, "oldest_waiting_seconds": 8.5, "paused": null, "window_seconds": 600,
            "per_second": { "accepted": 2.0, "completed": 0.5, "failed": 0.25 }, "run_seconds": { "p95": 3600.0, "longer": true }
        });
        let pace = FunctionPace { came: 2.0, done: 0.75, window: 600, run_p95: Some((3600.0, true)) };
        let told = FunctionTold {
            state: "growing".to_owned(),
            oldest: Some(8.5),
            scheduled: 6,
            dead: 7,
            paused: false,
            pace: Some(pace),
        };
        let (function_name, told) = (b"f\xff".to_vec(), Some(told));
        let wanted =
            FunctionLoad { function: function_name, waiting: 6, running: 4, workers: 5, known: true, told };
        assert_eq!(function(&row), wanted);
        // What is not told is nothing, and no panic.
        assert_eq!(function(&json!({})).told.unwrap().pace, None);
    }
}
