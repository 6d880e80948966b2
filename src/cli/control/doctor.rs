//! `ringgear doctor`: is it the server? What can be seen from outside that is wrong with it or with its use, each with what to do about it.
use super::lists_shown::name;
use super::{ControlSide, ControlWords, Failure, NO, failed, print};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

const NAME: &str = "ringgear doctor";
/// How often the server is asked something small.
const ASKED: u32 = 20;
/// Functions that are looked at, and that are named.
const FUNCTIONS_MAX: usize = 10_000;
const NAMED_MAX: usize = 3;

/// Looks for what is wrong with a server or with its use, and says what to do about it
#[derive(Debug, Parser)]
#[command(name = "ringgear doctor", disable_version_flag = true, max_term_width = 100)]
struct DoctorLine {
    #[command(flatten)]
    control: ControlWords,
}

/// The words of `ringgear doctor`, as completions and manual pages tell of them.
pub(crate) fn command() -> Command {
    DoctorLine::command().name("doctor")
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Ok,
    Warn,
    Bad,
}

impl Health {
    fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Warn => "WARN",
            Health::Bad => "BAD",
        }
    }
}

/// Something that was looked at.
#[derive(Debug)]
struct Finding {
    health: Health,
    about: &'static str,
    text: String,
    remedy: &'static str,
}

/// `ringgear doctor`: 0 if nothing is bad, 1 if something is, 3 if the server cannot be reached.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: DoctorLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let findings = match examine(&side) {
        Ok(findings) => findings,
        Err(failure) => return failed(NAME, &failure),
    };
    let bad = findings.iter().any(|finding| finding.health == Health::Bad);
    let one = |finding: &Finding| {
        let Finding { health, about, text, remedy } = finding;
        match (line.control.json, *health) {
            (true, _) => {
                format!(
                    "{}\n",
                    json!({ "health": health.word(), "about": about, "text": text, "remedy": remedy })
                )
            }
            (false, Health::Ok) => format!("{:5} {about}: {text}\n", health.word()),
            (false, _) => format!("{:5} {about}: {text}\n      {remedy}\n", health.word()),
        }
    };
    if let Err(status) = print(NAME, &findings.iter().map(one).collect::<String>()) {
        return status;
    }
    if bad { ExitCode::from(NO) } else { ExitCode::SUCCESS }
}

fn examine(side: &ControlSide) -> Result<Vec<Finding>, Failure> {
    let mut times = Vec::new();
    let mut server = Value::Null;
    for _ in 0..ASKED {
        let start = Instant::now();
        server = side.get("/api/v1/server")?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let slowest = times.last().map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let mut findings = vec![finding(
        if slowest < 250.0 { Health::Ok } else { Health::Warn },
        "answers",
        format!("in {slowest:.1} ms over HTTP, the slowest of {ASKED}"),
        "look at the load of this machine: something else may have its cores",
    )];
    let phase = server["phase"].as_str().unwrap_or("");
    findings.push(finding(
        if phase == "serving" { Health::Ok } else { Health::Bad },
        "phase",
        phase.to_owned(),
        "restoring: wait until stored jobs are read; draining: it ends when no jobs are left, start another one",
    ));
    if phase == "restoring" {
        return Ok(findings);
    }
    let counters = side.get("/api/v1/counters")?;
    findings.extend(of_counters(&counters));
    let (functions, _) = side.list("/api/v1/functions?state=unattended", FUNCTIONS_MAX)?;
    findings.push(unattended(&functions));
    let (functions, _) = side.list("/api/v1/functions", FUNCTIONS_MAX)?;
    findings.push(paused(&functions));
    Ok(findings)
}

fn finding(health: Health, about: &'static str, text: String, remedy: &'static str) -> Finding {
    Finding { health, about, text, remedy }
}

/// A counter that should be 0: its name, how bad it is if not, what it means, and what to do.
type ShouldBeZero = (&'static str, Health, &'static str, &'static str);

const SHOULD_BE_ZERO: [ShouldBeZero; 11] = [
    (
        "connections_refused",
        Health::Bad,
        "connections refused",
        "raise --max-connections, or find out who opens so many",
    ),
    (
        "accept_out_of_descriptors",
        Health::Bad,
        "times without descriptors",
        "raise the limit on open files (LimitNOFILE, ulimit -n)",
    ),
    (
        "refused_queued_bytes",
        Health::Bad,
        "submissions refused for want of memory",
        "start workers, or raise --max-queued-bytes",
    ),
    (
        "refused_queue_full",
        Health::Warn,
        "submissions refused by maxqueue",
        "see ringgear why for the function, or raise its limit",
    ),
    (
        "refused_functions",
        Health::Warn,
        "functions refused",
        "raise --max-functions or --max-function-bytes, or find out who makes up names",
    ),
    (
        "store_refusals",
        Health::Bad,
        "submissions refused by the store",
        "see the log, and whether its disk or database is slow or full",
    ),
    (
        "store_jobs_lost",
        Health::Bad,
        "stored jobs that could not be read any more",
        "check the disk, then run ringgear store check",
    ),
    (
        "debtors_closed",
        Health::Warn,
        "connections closed because they held too much",
        "find clients that do not read their answers",
    ),
    (
        "sessions_slow_reader",
        Health::Warn,
        "connections closed because they did not read",
        "find clients that hang",
    ),
    (
        "log_lines_dropped",
        Health::Warn,
        "lines of the log dropped",
        "raise --max-log-queue, or write the log to a faster place",
    ),
    (
        "dead_jobs_dropped",
        Health::Bad,
        "dead jobs dropped for want of room",
        "look at ringgear dead; raise --dead-jobs or --max-dead-bytes",
    ),
];

fn of_counters(counters: &Value) -> Vec<Finding> {
    let number = |name: &str| counters[name].as_u64().unwrap_or(0);
    let mut findings = Vec::new();
    for (name, health, meaning, remedy) in SHOULD_BE_ZERO {
        match number(name) {
            0 => {}
            count => {
                findings.push(finding(health, name, format!("{count} {meaning} since the start"), remedy))
            }
        }
    }
    if findings.is_empty() {
        findings.push(finding(
            Health::Ok,
            "counters",
            "nothing refused, dropped or lost since the start".to_owned(),
            "",
        ));
    }
    findings.push(finding(
        if number("dead_jobs") == 0 { Health::Ok } else { Health::Warn },
        "dead jobs",
        number("dead_jobs").to_string(),
        "look at them with ringgear dead, put them back with ringgear retry FUNCTION",
    ));
    findings
}

fn names(functions: &[Value]) -> String {
    let some: Vec<String> = functions.iter().take(NAMED_MAX).map(|row| name(row, "function")).collect();
    let more = functions.len().saturating_sub(NAMED_MAX);
    some.join(", ") + &(if more > 0 { format!(" and {more} more") } else { String::new() })
}

fn unattended(functions: &[Value]) -> Finding {
    let text = match functions.len() {
        0 => "every function with jobs has workers".to_owned(),
        _ => format!("jobs and no worker: {}", names(functions)),
    };
    let health = if functions.is_empty() { Health::Ok } else { Health::Bad };
    finding(health, "workers", text, "ringgear why FUNCTION says more; start a worker for it")
}

fn paused(functions: &[Value]) -> Finding {
    let paused: Vec<Value> = functions.iter().filter(|row| !row["paused"].is_null()).cloned().collect();
    let text = match paused.len() {
        0 => "no function is paused".to_owned(),
        _ => format!("paused: {}", names(&paused)),
    };
    let health = if paused.is_empty() { Health::Ok } else { Health::Warn };
    finding(health, "pauses", text, "ringgear why FUNCTION says by whom and why; ringgear resume FUNCTION")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it looks at is there.
    #[test]
    fn every_counter_that_is_looked_at_is_one() {
        let counters = crate::frontend::json::counters(&Default::default());
        for (name, ..) in SHOULD_BE_ZERO {
            assert!(counters[name].is_u64(), "{name}");
        }
        let fine = of_counters(&json!({}));
        assert!(fine.iter().all(|finding| finding.health == Health::Ok));
        let bad = of_counters(&json!({ "store_refusals": 3, "dead_jobs": 1 }));
        let healths: Vec<Health> = bad.iter().map(|finding| finding.health).collect();
        assert_eq!(healths, [Health::Bad, Health::Warn]);
        assert_eq!(bad[0].text, "3 submissions refused by the store since the start");
    }
}
