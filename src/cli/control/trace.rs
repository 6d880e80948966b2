//! `ringgear trace`: what changes of functions, of single jobs and of the jobs of a client, as it changes: a line for each, or JSON. Told by
//! the server once a second at the most.
use super::lists_shown::{name, text};
use super::{ControlFailure, ControlWords, NO, failed, percent};
use crate::cli::words;
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NAME: &str = "ringgear trace";

/// Tells what changes of functions, jobs or a client's jobs, as it changes, once a second at the most
#[derive(Debug, Parser)]
#[command(name = "ringgear trace", disable_version_flag = true, max_term_width = 100)]
struct TraceLine {
    #[command(flatten)]
    control: ControlWords,

    /// Only of this function; may be given up to 8 times [default: the 50 of which most waits]
    #[arg(short, long = "function", value_name = "FUNCTION")]
    functions: Vec<OsString>,

    /// Follow this job; may be given up to 8 times. Where nothing else is followed, it ends with the last of them
    #[arg(long = "job", value_name = "HANDLE")]
    jobs: Vec<OsString>,

    /// Follow the jobs that this client waits for: its address as numbers, with its port (as in `connections`) or without
    #[arg(long, value_name = "ADDRESS")]
    client: Option<OsString>,

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
    let path = match path(&line.functions, &line.jobs, line.client.as_deref()) {
        Ok(path) => path,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let only_jobs = line.functions.is_empty() && line.client.is_none();
    let mut trace = TraceSoFar {
        json: line.control.json,
        left: line.count,
        // Whoever follows jobs alone has seen all when the last one has ended.
        ends_with: line
            .jobs
            .iter()
            .filter(|_| only_jobs)
            .filter_map(|job| job.to_str())
            .map(str::to_owned)
            .collect(),
        ..TraceSoFar::default()
    };
    let followed = side.follow(&path, |event, told| trace.hear(event, &told));
    match (trace.end, followed) {
        (Some(status), _) => status,
        (None, Ok(())) => {
            failed(NAME, &ControlFailure::Silence("the server has ended the stream".to_owned()))
        }
        (None, Err(failure)) => failed(NAME, &failure),
    }
}

fn path(functions: &[OsString], jobs: &[OsString], client: Option<&OsStr>) -> Result<String, String> {
    if functions.is_empty() && jobs.is_empty() && client.is_none() {
        return Ok("/api/v1/events".to_owned());
    }
    let mut topics = Vec::new();
    for (kind, word) in
        jobs.iter().map(|job| ("job", &job[..])).chain(client.map(|client| ("client", client)))
    {
        let bytes = word.as_bytes();
        if bytes.is_empty() || bytes.contains(&b',') {
            let wanted = if kind == "job" { "the handle of a job" } else { "an address like 10.0.0.1:5000" };
            return Err(format!("'{}': --{kind} wants {wanted}", words::shown(bytes)));
        }
        topics.push(format!("{kind}:{}", percent(bytes)));
    }
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
    /// What was said of each job.
    jobs: HashMap<String, String>,
    /// What was said of the jobs that the client waits for.
    waits: BTreeMap<String, String>,
    /// Jobs that have not ended, where the trace ends with them.
    ends_with: BTreeSet<String>,
    /// With which status to end.
    end: Option<ExitCode>,
}

/// What is told of a function.
const NUMBERS: [&str; 4] = ["waiting", "running", "workers", "dead"];

impl TraceSoFar {
    /// An event. Whether to hear more.
    fn hear(&mut self, event: &str, told: &Value) -> ControlFlow<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.tell(now, event, told)?;
        // What has ended does not come back.
        let was_followed = told["gone"] == true
            && event == "job"
            && told["handle"].as_str().is_some_and(|handle| self.ends_with.remove(handle));
        if was_followed && self.ends_with.is_empty() {
            return self.stop(ExitCode::SUCCESS);
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, now: Duration, event: &str, told: &Value) -> ControlFlow<()> {
        if self.json {
            let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            return self.print(&json!({ "at_ms": at, "event": event, "told": told }).to_string());
        }
        let second = now.as_secs() % 86400;
        let time = format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let rows = match event {
            "job" => {
                return match self.job_changed(told) {
                    Some(line) => self.print(&format!("{time}  {line}")),
                    None => ControlFlow::Continue(()),
                };
            }
            "client" => {
                return self
                    .waits_changed(told)
                    .iter()
                    .try_for_each(|line| self.print(&format!("{time}  {line}")));
            }
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

    /// What there is to say of a job, if that is not the same as before.
    fn job_changed(&mut self, row: &Value) -> Option<String> {
        let handle = text(&row["handle"]);
        let line = match row["gone"] == true {
            true => format!("{handle}  has ended, or never was"),
            false => describe(row),
        };
        let before = self.jobs.insert(handle, line.clone());
        (before.as_ref() != Some(&line)).then_some(line)
    }

    /// What there is to say of the jobs that a client waits for, if that is not the same as before.
    fn waits_changed(&mut self, told: &Value) -> Vec<String> {
        let rows = told["jobs"].as_array().map_or(&[][..], Vec::as_slice);
        let now: BTreeMap<String, String> =
            rows.iter().map(|row| (text(&row["handle"]), describe(row))).collect();
        let before = std::mem::replace(&mut self.waits, now);
        let over = before.keys().filter(|handle| !self.waits.contains_key(*handle));
        // Of very many jobs some are not told, and may be there still.
        let word = if told["truncated"] == true { "is not among those that are told" } else { "is over" };
        let mut lines: Vec<String> = over.map(|handle| format!("{handle}  {word}")).collect();
        let changed = self.waits.iter().filter(|(handle, line)| before.get(*handle) != Some(line));
        lines.extend(changed.map(|(_, line)| line.clone()));
        lines
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

/// A job in a line.
fn describe(row: &Value) -> String {
    let state = match (row["state"].as_str(), row["running"] == true) {
        (Some(state), _) => state,
        (None, true) => "running",
        (None, false) => "waiting",
    };
    let mut line = format!("{}  {}  {state}", text(&row["handle"]), name(row, "function"));
    if let Some(before) = row["jobs_before"].as_u64() {
        line += &format!("  {before} before it");
    }
    if row["worker"].is_string() {
        line += &format!("  at {}", text(&row["worker"]));
    }
    if row["denominator"].as_u64().is_some_and(|all| all > 0) {
        line += &format!("  {}/{}", row["numerator"], row["denominator"]);
    }
    if row["attempts"].as_u64().is_some_and(|lost| lost > 0) {
        line += &format!("  lost attempts {}", row["attempts"]);
    }
    line
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
    fn jobs_are_followed_to_their_end() {
        let ends_with = BTreeSet::from(["H:a:1".to_owned()]);
        let mut trace = TraceSoFar { ends_with, ..TraceSoFar::default() };
        let mut told = |row: Value| trace.job_changed(&row);
        let waits =
            json!({ "handle": "H:a:1", "function": "f", "state": "queued", "jobs_before": 2, "attempts": 1 });
        assert_eq!(told(waits.clone()).unwrap(), "H:a:1  f  queued  2 before it  lost attempts 1");
        assert_eq!(told(waits), None);
        let runs = json!({ "handle": "H:a:1", "function": "f", "state": "running", "worker": "10.0.0.1:5", "numerator": 1, "denominator": 4 });
        assert_eq!(told(runs).unwrap(), "H:a:1  f  running  at 10.0.0.1:5  1/4");
        assert!(trace.hear("job", &json!({ "handle": "H:a:2", "gone": true })).is_continue());
        assert!(trace.hear("job", &json!({ "handle": "H:a:1", "gone": true })).is_break());
        assert_eq!(trace.end, Some(ExitCode::SUCCESS));
    }

    #[test]
    fn what_a_client_waits_for_is_told_as_it_comes_and_goes() {
        let mut trace = TraceSoFar::default();
        let job = |at: u32, running: bool| json!({ "handle": format!("H:a:{at}"), "function": "f", "running": running });
        let mut told = |jobs: &[Value]| trace.waits_changed(&json!({ "jobs": jobs, "truncated": false }));
        assert_eq!(told(&[job(1, false), job(2, false)]), ["H:a:1  f  waiting", "H:a:2  f  waiting"]);
        assert_eq!(told(&[job(1, false), job(2, true)]), ["H:a:2  f  running"]);
        assert_eq!(told(&[job(2, true), job(3, false)]), ["H:a:1  is over", "H:a:3  f  waiting"]);
    }

    #[test]
    fn jobs_and_a_client_are_topics() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let all = path(&words(&["f"]), &words(&["H:a:1"]), Some(OsStr::new("[::1]:5")));
        assert_eq!(all.unwrap(), "/api/v1/events?topics=job:H%3Aa%3A1,client:%5B%3A%3A1%5D%3A5,function:f");
        assert!(path(&[], &words(&["a,b"]), None).unwrap_err().contains("--job wants the handle of a job"));
        assert!(path(&[], &[], Some(OsStr::new(""))).unwrap_err().contains("--client wants an address"));
    }

    #[test]
    fn functions_are_topics() {
        let of = |names: &[&str]| path(&names.iter().map(OsString::from).collect::<Vec<_>>(), &[], None);
        assert_eq!(of(&[]).unwrap(), "/api/v1/events");
        assert_eq!(of(&["a b", "c"]).unwrap(), "/api/v1/events?topics=function:a%20b,function:c");
        assert!(of(&["a,b"]).unwrap_err().contains("leave --function out"));
        assert!(of(&[""]).is_err());
    }
}
