//! `ringgear trace`: what changes of functions, as it changes: a line for each, or JSON. Told by the server once a second at the most.
use super::lists_shown::name;
use super::{ControlFailure, ControlWords, NO, failed, percent};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "ringgear trace";

/// Tells what changes of functions, as it changes, once a second at the most
#[derive(Debug, Parser)]
#[command(name = "ringgear trace", disable_version_flag = true, max_term_width = 100)]
struct TraceLine {
    #[command(flatten)]
    control: ControlWords,

    /// Only of this function; may be given up to 8 times [default: the 50 of which most waits]
    #[arg(short, long = "function", value_name = "FUNCTION")]
    functions: Vec<OsString>,

    /// End after so many lines
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// The words of `ringgear trace`, as completions and manual pages tell of them.
pub(crate) fn command() -> Command {
    TraceLine::command().name("trace")
}

/// `ringgear trace`: 0 if all lines were printed or nobody reads on, 2 for a wrong line, 3 if the server cannot be reached or has ended, 4
/// if it refuses.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: TraceLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let path = match path(&line.functions) {
        Ok(path) => path,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let mut trace = TraceSoFar { json: line.control.json, left: line.count, ..TraceSoFar::default() };
    let followed = side.follow(&path, |event, told| trace.hear(event, &told));
    match (trace.end, followed) {
        (Some(status), _) => status,
        (None, Ok(())) => {
            failed(NAME, &ControlFailure::Silence("the server has ended the stream".to_owned()))
        }
        (None, Err(failure)) => failed(NAME, &failure),
    }
}

fn path(functions: &[OsString]) -> Result<String, String> {
    if functions.is_empty() {
        return Ok("/api/v1/events".to_owned());
    }
    let mut topics = Vec::new();
    for function in functions {
        let bytes = words::function(function)?;
        if bytes.contains(&b',') {
            let shown = words::shown(bytes);
            return Err(format!(
                "{shown}: events of a name with a comma in it cannot be asked for; leave --function out"
            ));
        }
        topics.push(format!("function:{}", percent(bytes)));
    }
    Ok(format!("/api/v1/events?topics={}", topics.join(",")))
}

/// What was told so far.
#[derive(Default)]
struct TraceSoFar {
    json: bool,
    /// Lines that are still to be printed.
    left: Option<u64>,
    /// Numbers of each function.
    last: HashMap<String, [u64; 4]>,
    /// With which status to end.
    end: Option<ExitCode>,
}

/// What is told of a function.
const NUMBERS: [&str; 4] = ["waiting", "running", "workers", "dead"];

impl TraceSoFar {
    /// An event. Whether to hear more.
    fn hear(&mut self, event: &str, told: &Value) -> ControlFlow<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.json {
            let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            return self.print(&json!({ "at_ms": at, "event": event, "told": told }).to_string());
        }
        let second = now.as_secs() % 86400;
        let time = format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let rows = match event {
            "overview" => told["first"].as_array().map_or(&[][..], Vec::as_slice),
            _ => std::slice::from_ref(told),
        };
        for row in rows {
            if let Some(line) = self.changed(row) {
                self.print(&format!("{time}  {line}"))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// What there is to say of a function, if that is not the same as before.
    fn changed(&mut self, row: &Value) -> Option<String> {
        let name = name(row, "function");
        if row["gone"] == true {
            self.last.remove(&name);
            return Some(format!("{name}  is not there"));
        }
        let queued =
            row["queued"].as_object().into_iter().flatten().filter_map(|(_, jobs)| jobs.as_u64()).sum();
        let of = |key: &str| row[key].as_u64().unwrap_or(0);
        let numbers = [queued, of("running"), of("workers"), of("dead")];
        let before = self.last.insert(name.clone(), numbers);
        if before == Some(numbers) {
            return None;
        }
        let mut line = name;
        for (at, word) in NUMBERS.iter().enumerate() {
            line += &format!("  {word} {}", numbers[at]);
            let before = before.map_or(numbers[at], |before| before[at]);
            match numbers[at] {
                more if more > before => line += &format!(" (+{})", more - before),
                less if less < before => line += &format!(" (-{})", before - less),
                _ => {}
            }
        }
        Some(line)
    }

    fn print(&mut self, line: &str) -> ControlFlow<()> {
        match writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush()) {
            Ok(()) => {}
            // Whoever closed the pipe does not want to read on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return self.stop(ExitCode::SUCCESS),
            Err(error) => {
                let status = words::failed(NAME, NO, format_args!("standard output: {error}"));
                return self.stop(status);
            }
        }
        match &mut self.left {
            Some(1) => self.stop(ExitCode::SUCCESS),
            Some(left) => {
                *left -= 1;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn stop(&mut self, status: ExitCode) -> ControlFlow<()> {
        self.end = Some(status);
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let mut trace = TraceSoFar::default();
        let mut told = |normal, running| {
            let queued = json!({ "high": 0, "normal": normal, "low": 0 });
            trace.changed(
                &json!({ "function": "mail", "queued": queued, "running": running, "workers": 2, "dead": 0 }),
            )
        };
        assert_eq!(told(3, 1).unwrap(), "mail  waiting 3  running 1  workers 2  dead 0");
        assert_eq!(told(3, 1), None);
        assert_eq!(told(1, 2).unwrap(), "mail  waiting 1 (-2)  running 2 (+1)  workers 2  dead 0");
        let gone = trace.changed(&json!({ "function": "mail", "gone": true }));
        assert_eq!(gone.unwrap(), "mail  is not there");
    }

    #[test]
    fn functions_are_topics() {
        let of = |names: &[&str]| path(&names.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap(), "/api/v1/events");
        assert_eq!(of(&["a b", "c"]).unwrap(), "/api/v1/events?topics=function:a%20b,function:c");
        assert!(of(&["a,b"]).unwrap_err().contains("leave --function out"));
        assert!(of(&[""]).is_err());
    }
}
