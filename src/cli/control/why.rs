//! `ringgear why`: why the jobs of a function do not move, or one job: the sentence, and what may be done.
use super::{ControlSide, ControlWords, Failure, NO, failed, percent, print};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

const NAME: &str = "ringgear why";

/// Says why a function's jobs do not move, or one job
#[derive(Debug, Parser)]
#[command(name = "ringgear why", disable_version_flag = true, max_term_width = 100)]
struct WhyLine {
    #[command(flatten)]
    control: ControlWords,

    /// All reasons, not only the one that matters most
    #[arg(short, long)]
    all: bool,

    /// A function, the handle of a job, or the unique of one
    #[arg(value_name = "FUNCTION|HANDLE|UNIQUE")]
    what: OsString,
}

/// The words of `ringgear why`, as completions and manual pages tell of them.
pub(crate) fn command() -> Command {
    WhyLine::command().name("why")
}

/// `ringgear why`: 0 if all is as it should be, 1 if something should be done or there is no such thing, 2 for a wrong line, 3 if the
/// server cannot be reached.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: WhyLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let why = match find(&side, line.what.as_bytes()) {
        Ok(why) => why,
        Err(failure) => return failed(NAME, &failure),
    };
    let text = if line.control.json { format!("{why}\n") } else { tell(&why, line.all) };
    if let Err(status) = print(NAME, &text) {
        return status;
    }
    match why["verdict"]["level"].as_str() {
        Some("bad") => ExitCode::from(NO),
        _ if why["verdict"]["code"] == "unknown_function" => ExitCode::from(NO),
        _ => ExitCode::SUCCESS,
    }
}

/// A handle first, if it is one; then a function; then a unique of a job that is there.
fn find(side: &ControlSide, what: &[u8]) -> Result<Value, Failure> {
    match side.get(&format!("/api/v1/jobs/{}/why", percent(what))) {
        Err(Failure::Refused(404, _)) => {}
        other => return other,
    }
    let function = side.get(&format!("/api/v1/functions/{}/why", percent(what)))?;
    if function["verdict"]["code"] != "unknown_function" {
        return Ok(function);
    }
    let (jobs, _) = side.list(&format!("/api/v1/jobs?unique={}", percent(what)), 1)?;
    match jobs.first().and_then(|job| job["handle"].as_str()) {
        Some(handle) => side.get(&format!("/api/v1/jobs/{}/why", percent(handle.as_bytes()))),
        None => Ok(function),
    }
}

fn tell(why: &Value, all: bool) -> String {
    let what = match &why["job"] {
        Value::Null => super::lists_shown::name(why, "function"),
        job => format!(
            "{} ({})",
            job["handle"].as_str().unwrap_or(""),
            super::lists_shown::name(job, "function")
        ),
    };
    let mut text = String::new();
    let most = if all { usize::MAX } else { 1 };
    for (at, verdict) in why["all"].as_array().into_iter().flatten().take(most).enumerate() {
        let start = if at == 0 { format!("{what}: ") } else { "  ".to_owned() };
        text += &format!("{start}{}\n", verdict["text"].as_str().unwrap_or(""));
        for hint in verdict["try"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text += &format!("  Try: {hint}\n");
        }
    }
    text
}
