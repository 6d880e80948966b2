//! `ringgear pause`, `resume`, `limit`, `close`, `drain` and `log-level`: orders for one thing.
use super::{ControlWords, failed, percent, print};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Has a function give out no jobs until it is resumed; it still takes them in, and what runs goes on
#[derive(Debug, Parser)]
#[command(name = "ringgear pause", disable_version_flag = true, max_term_width = 100)]
struct PauseLine {
    #[command(flatten)]
    control: ControlWords,

    /// For how long: a number and s, m, h or d [default: until it is resumed]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,

    /// Why, for others to read
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    /// The function
    #[arg(value_name = "FUNCTION")]
    function: OsString,
}

/// Has a paused function go on
#[derive(Debug, Parser)]
#[command(name = "ringgear resume", disable_version_flag = true, max_term_width = 100)]
struct ResumeLine {
    #[command(flatten)]
    control: ControlWords,

    /// The function
    #[arg(value_name = "FUNCTION")]
    function: OsString,
}

/// Says how many jobs of a function may wait, or sets it: submissions beyond that are refused
#[derive(Debug, Parser)]
#[command(name = "ringgear limit", disable_version_flag = true, max_term_width = 100)]
struct LimitLine {
    #[command(flatten)]
    control: ControlWords,

    /// The function
    #[arg(value_name = "FUNCTION")]
    function: OsString,

    /// How many: one number for all priorities, or one each for high, normal and low; 0 is no limit
    #[arg(value_name = "N", num_args = 0..=3)]
    jobs: Vec<u32>,
}

/// Closes connections; jobs of workers among them go back to their queues, and one attempt is counted
#[derive(Debug, Parser)]
#[command(name = "ringgear close", disable_version_flag = true, max_term_width = 100)]
struct CloseLine {
    #[command(flatten)]
    control: ControlWords,

    /// Their names, as `ringgear connections` prints them
    #[arg(value_name = "CONNECTION", required = true)]
    connections: Vec<OsString>,
}

/// Has the server accept no connections any more, and end when no jobs are left
#[derive(Debug, Parser)]
#[command(name = "ringgear drain", disable_version_flag = true, max_term_width = 100)]
struct DrainLine {
    #[command(flatten)]
    control: ControlWords,
}

/// Has the log tell more or less for a while
#[derive(Debug, Parser)]
#[command(name = "ringgear log-level", disable_version_flag = true, max_term_width = 100)]
struct LevelLine {
    #[command(flatten)]
    control: ControlWords,

    /// For how long: a number and s, m, h or d
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = seconds)]
    time: u64,

    /// As in the server's --verbose: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG
    #[arg(value_name = "LEVEL")]
    level: String,
}

/// The words of these subcommands, as completions and manual pages tell of them.
pub(crate) fn commands() -> [Command; 6] {
    [
        PauseLine::command().name("pause"),
        ResumeLine::command().name("resume"),
        LimitLine::command().name("limit"),
        CloseLine::command().name("close"),
        DrainLine::command().name("drain"),
        LevelLine::command().name("log-level"),
    ]
}

/// A time as an operator writes it, in seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let form = || format!("{text}: say a number and s, m, h or d, like 30m");
    let (digits, each) = match text.char_indices().next_back().ok_or_else(form)? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86400),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| form())?;
    number
        .checked_mul(each)
        .filter(|&seconds| seconds <= 366 * 86400)
        .ok_or_else(|| format!("{text} is more than a year"))
}

/// Orders something, and prints the answer or a sentence of it.
fn order(
    name: &'static str,
    control: &ControlWords,
    path: &str,
    body: &Value,
    sentence: impl Fn(&Value) -> String,
) -> Result<(), ExitCode> {
    let side = control.side().map_err(|mistake| words::failed(name, words::USAGE, mistake))?;
    let done = side.post(path, body).map_err(|failure| failed(name, &failure))?;
    let printed = if control.json { format!("{done}\n") } else { sentence(&done) + "\n" };
    print(name, &printed)
}

/// Looks at the limits of a function, and prints them as JSON or in a sentence.
fn look(
    name: &'static str,
    control: &ControlWords,
    path: &str,
    sentence: impl Fn(&Value) -> String,
) -> Result<(), ExitCode> {
    let side = control.side().map_err(|mistake| words::failed(name, words::USAGE, mistake))?;
    let found = side.get(path).map_err(|failure| failed(name, &failure))?;
    let limits = json!({ "limits": found["limits"] });
    let printed = if control.json { format!("{limits}\n") } else { sentence(&limits) + "\n" };
    print(name, &printed)
}

/// With what is to be said besides.
fn remark(done: &Value) -> String {
    done["remark"].as_str().map(|remark| format!(" ({remark})")).unwrap_or_default()
}

fn ended(done: Result<(), ExitCode>) -> ExitCode {
    done.map_or_else(|status| status, |()| ExitCode::SUCCESS)
}

/// `ringgear pause`.
pub(crate) fn pause(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear pause";
    let line: PauseLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let path = format!("/api/v1/functions/{}/pause", percent(line.function.as_bytes()));
    let body = json!({ "reason": line.reason, "for_seconds": line.time });
    let function = words::shown(line.function.as_bytes());
    ended(order(NAME, &line.control, &path, &body, |done| {
        let until =
            line.time.map_or_else(|| "until it is resumed".to_owned(), |time| format!("for {time} s"));
        format!("{function} is paused {until}{}", remark(done))
    }))
}

/// `ringgear resume`.
pub(crate) fn resume(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear resume";
    let line: ResumeLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let path = format!("/api/v1/functions/{}/resume", percent(line.function.as_bytes()));
    let function = words::shown(line.function.as_bytes());
    ended(order(NAME, &line.control, &path, &json!({}), |done| format!("{function} goes on{}", remark(done))))
}

/// `ringgear limit`.
pub(crate) fn limit(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear limit";
    let line: LimitLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let path = format!("/api/v1/functions/{}", percent(line.function.as_bytes()));
    let told = |done: &Value| limits_told(&line.function, &done["limits"]);
    ended(match line.jobs[..] {
        [] => look(NAME, &line.control, &path, told),
        [all] => {
            let body = json!({ "high": all, "normal": all, "low": all });
            order(NAME, &line.control, &format!("{path}/limits"), &body, told)
        }
        [high, normal, low] => {
            let body = json!({ "high": high, "normal": normal, "low": low });
            order(NAME, &line.control, &format!("{path}/limits"), &body, told)
        }
        _ => {
            let said = "two numbers could mean anything: say one for all priorities, or three for high, normal and low";
            Err(words::failed(NAME, words::USAGE, said))
        }
    })
}

fn limits_told(function: &OsString, limits: &Value) -> String {
    let each = ["high", "normal", "low"].map(|priority| match limits[priority].as_u64() {
        Some(jobs @ 1..) => format!("{priority} {jobs}"),
        _ => format!("{priority} no limit"),
    });
    format!("{}: {}", words::shown(function.as_bytes()), each.join(", "))
}

/// `ringgear close`: those that are gone already end it with status 1, the others are closed all the same.
pub(crate) fn close(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear close";
    let line: CloseLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let mut last = ExitCode::SUCCESS;
    for connection in &line.connections {
        let path = format!("/api/v1/connections/{}/close", percent(connection.as_bytes()));
        let told = |_: &Value| format!("{} is closed", words::shown(connection.as_bytes()));
        if let Err(status) = order(NAME, &line.control, &path, &json!({}), told) {
            last = status;
        }
    }
    last
}

/// `ringgear drain`.
pub(crate) fn drain(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear drain";
    let line: DrainLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let told = |_: &Value| "the server accepts nobody any more, and ends when no jobs are left".to_owned();
    ended(order(NAME, &line.control, "/api/v1/server/drain", &json!({}), told))
}

/// `ringgear log-level`.
pub(crate) fn log_level(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear log-level";
    let line: LevelLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let body = json!({ "level": line.level, "for_seconds": line.time });
    let told =
        |done: &Value| format!("the log tells {} for {} s", done["level"].as_str().unwrap_or(""), line.time);
    ended(order(NAME, &line.control, "/api/v1/server/log-level", &body, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_words() {
        let limits = json!({ "high": 0, "normal": 5000, "low": null });
        let told = limits_told(&OsString::from("mail"), &limits);
        assert_eq!(told, "mail: high no limit, normal 5000, low no limit");
    }

    #[test]
    fn times_are_numbers_with_a_letter() {
        let read = ["90", "90s", "30m", "2h", "1d"].map(|text| seconds(text).unwrap());
        assert_eq!(read, [90, 90, 1800, 7200, 86400]);
        for wrong in ["", "m", "1w", "-1m", "1.5h", "400d", "99999999999999999999d", "1ä"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
