//! `ringgear check`: one function, or all of them, as a line for Nagios and what reads the same; its statuses are Nagios' own.
use super::lists_shown::name;
use super::{ControlSide, ControlWords, Failure, percent, print};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

const NAME: &str = "ringgear check";
/// Functions that are looked at.
const FUNCTIONS_MAX: usize = 100_000;
/// Functions that are named in one line.
const NAMED_MAX: usize = 5;

/// Checks queues for Nagios: prints a line with numbers, and ends with 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN)
#[derive(Debug, Parser)]
#[command(name = "ringgear check", disable_version_flag = true, max_term_width = 100)]
struct CheckLine {
    #[command(flatten)]
    control: ControlWords,

    /// Jobs of a function that wait
    #[arg(long, value_name = "WARNING:CRITICAL", value_parser = limits)]
    waiting: Option<CheckLimits>,

    /// Seconds for which the oldest of them has waited
    #[arg(long, value_name = "WARNING:CRITICAL", value_parser = limits)]
    oldest: Option<CheckLimits>,

    /// Fewer workers than this
    #[arg(long, value_name = "WARNING:CRITICAL", value_parser = limits)]
    workers: Option<CheckLimits>,

    /// Dead jobs
    #[arg(long, value_name = "WARNING:CRITICAL", value_parser = limits)]
    dead: Option<CheckLimits>,

    /// The function [default: all of them; jobs without workers are critical]
    #[arg(value_name = "FUNCTION")]
    function: Option<OsString>,
}

/// From which numbers on it is a warning, and critical.
#[derive(Clone, Copy, Debug)]
struct CheckLimits {
    warning: f64,
    critical: f64,
}

fn limits(text: &str) -> Result<CheckLimits, String> {
    let form = || format!("{text}: say two numbers like 100:1000");
    let (warning, critical) = text.split_once(':').ok_or_else(form)?;
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    Ok(CheckLimits {
        warning: number(warning).ok_or_else(form)?,
        critical: number(critical).ok_or_else(form)?,
    })
}

/// The words of `ringgear check`, as completions and manual pages tell of them.
pub(crate) fn command() -> Command {
    CheckLine::command().name("check")
}

/// How bad it is, in Nagios' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CheckState {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl CheckState {
    fn word(self) -> &'static str {
        match self {
            CheckState::Ok => "OK",
            CheckState::Warning => "WARNING",
            CheckState::Critical => "CRITICAL",
            CheckState::Unknown => "UNKNOWN",
        }
    }
}

/// `ringgear check`.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    // A wrong line is no answer, either.
    let line: CheckLine = match words::read(NAME, words, CheckState::Unknown as u8) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let (state, text) = match line.control.side() {
        Ok(side) => check(&side, &line).unwrap_or_else(|failure| unreachable_state(&failure)),
        Err(mistake) => (CheckState::Unknown, mistake),
    };
    if let Err(status) = print(NAME, &format!("{} - {text}\n", state.word())) {
        return status;
    }
    ExitCode::from(state as u8)
}

/// A server that does not answer does no jobs.
fn unreachable_state(failure: &Failure) -> (CheckState, String) {
    match failure {
        Failure::Silence(why) => (CheckState::Critical, why.clone()),
        Failure::Refused(_, why) => (CheckState::Unknown, why.clone()),
    }
}

fn check(side: &ControlSide, line: &CheckLine) -> Result<(CheckState, String), Failure> {
    let functions = match &line.function {
        Some(function) => match side.get(&format!("/api/v1/functions/{}", percent(function.as_bytes()))) {
            Ok(row) => vec![row],
            Err(Failure::Refused(404, why)) => return Ok((CheckState::Unknown, why)),
            Err(failure) => return Err(failure),
        },
        None => side.list("/api/v1/functions", FUNCTIONS_MAX)?.0,
    };
    let mut worst = CheckState::Ok;
    let mut said = Vec::new();
    for row in &functions {
        let (state, why) = of_function(row, line);
        if state > CheckState::Ok {
            said.push((state, format!("{}: {why}", name(row, "function"))));
        }
        worst = worst.max(state);
    }
    said.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    let more = said.len().saturating_sub(NAMED_MAX);
    let mut text = said.into_iter().take(NAMED_MAX).map(|(_, text)| text).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    if text.is_empty() {
        text = match functions.len() {
            1 => name(&functions[0], "function"),
            many => format!("{many} functions"),
        };
    }
    Ok((worst, format!("{text}|{}", numbers(&functions, line))))
}

fn waiting(row: &Value) -> f64 {
    let queued = row["queued"].as_object().into_iter().flatten().filter_map(|(_, jobs)| jobs.as_f64());
    queued.sum()
}

/// Like check_gearman: for one function its numbers, for many their sums.
fn numbers(functions: &[Value], line: &CheckLine) -> String {
    let sum = |value: &dyn Fn(&Value) -> f64| functions.iter().map(value).sum::<f64>();
    let oldest =
        functions.iter().filter_map(|row| row["oldest_waiting_seconds"].as_f64()).fold(0.0, f64::max);
    let marks = |limits: &Option<CheckLimits>| {
        limits.map_or_else(|| ";".to_owned(), |limits| format!("{};{}", limits.warning, limits.critical))
    };
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(0.0);
    format!(
        "waiting={};{};0 running={};;;0 oldest={:.0}s;{};0 workers={};;;0 dead={};{};0",
        sum(&waiting),
        marks(&line.waiting),
        sum(&|row| number(row, "running")),
        oldest,
        marks(&line.oldest),
        sum(&|row| number(row, "workers")),
        sum(&|row| number(row, "dead")),
        marks(&line.dead),
    )
}

fn of_function(row: &Value, line: &CheckLine) -> (CheckState, String) {
    let (mut state, mut why) = (CheckState::Ok, Vec::new());
    let mut say = |found: CheckState, text: String| {
        if found > CheckState::Ok {
            state = state.max(found);
            why.push(text);
        }
    };
    let above = |number: f64, limits: &Option<CheckLimits>| match limits {
        Some(limits) if number >= limits.critical => CheckState::Critical,
        Some(limits) if number >= limits.warning => CheckState::Warning,
        _ => CheckState::Ok,
    };
    let jobs = waiting(row);
    let workers = row["workers"].as_f64().unwrap_or(0.0);
    let oldest = row["oldest_waiting_seconds"].as_f64().unwrap_or(0.0);
    let dead = row["dead"].as_f64().unwrap_or(0.0);
    say(above(jobs, &line.waiting), format!("{jobs} jobs wait"));
    say(above(oldest, &line.oldest), format!("the oldest has waited for {oldest:.0} s"));
    say(above(dead, &line.dead), format!("{dead} dead jobs"));
    match &line.workers {
        Some(limits) if workers < limits.critical => say(CheckState::Critical, format!("{workers} workers")),
        Some(limits) if workers < limits.warning => say(CheckState::Warning, format!("{workers} workers")),
        None if workers == 0.0 && jobs > 0.0 => {
            say(CheckState::Critical, format!("{jobs} jobs wait and no worker"))
        }
        _ => {}
    }
    if !row["paused"].is_null() {
        say(CheckState::Warning, "it is paused".to_owned());
    }
    (state, why.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(words: &[&str]) -> CheckLine {
        CheckLine::try_parse_from(["check"].iter().chain(words)).unwrap()
    }

    fn row(queued: u64, oldest: f64, workers: u64, dead: u64) -> Value {
        json!({
            "function": "mail", "queued": { "high": 0, "normal": queued, "low": 0 }, "oldest_waiting_seconds": oldest,
            "workers": workers, "dead": dead, "running": 1, "paused": null
        })
    }

    #[test]
    fn numbers_beyond_the_limits_are_named() {
        for (words, row, state, why) in [
            (&[][..], row(0, 0.0, 0, 5), CheckState::Ok, ""),
            (&[], row(2, 3.0, 0, 0), CheckState::Critical, "2 jobs wait and no worker"),
            (&["--waiting", "2:5"], row(2, 3.0, 1, 0), CheckState::Warning, "2 jobs wait"),
            (&["--waiting", "2:5"], row(5, 3.0, 1, 0), CheckState::Critical, "5 jobs wait"),
            (
                &["--oldest", "60:600"],
                row(1, 700.0, 1, 0),
                CheckState::Critical,
                "the oldest has waited for 700 s",
            ),
            (&["--workers", "3:1"], row(1, 1.0, 2, 0), CheckState::Warning, "2 workers"),
            (&["--dead", "1:10"], row(0, 0.0, 2, 4), CheckState::Warning, "4 dead jobs"),
        ] {
            assert_eq!(of_function(&row, &line(words)), (state, why.to_owned()), "{words:?}");
        }
        let told = numbers(&[row(2, 3.4, 1, 0)], &line(&["--waiting", "2:5"]));
        assert_eq!(told, "waiting=2;2;5;0 running=1;;;0 oldest=3s;;;0 workers=1;;;0 dead=0;;;0");
        assert!(CheckLine::try_parse_from(["check", "--waiting", "5"]).is_err());
    }
}
