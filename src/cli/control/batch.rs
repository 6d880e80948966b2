//! `ringgear retry`, `cancel` and `purge`: orders for one job, or for many of a function, which ask with the number before they do it.
use super::orders::seconds;
use super::{ControlSide, ControlWords, Failure, NO, failed, percent, print};
use crate::cli::words;
use clap::{Args, Command, CommandFactory, Parser, ValueEnum};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// What all of them have.
#[derive(Debug, Args)]
struct BatchWords {
    #[command(flatten)]
    control: ControlWords,

    /// Only jobs that were accepted at least so long ago: a number and s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    older: Option<u64>,

    /// Only jobs with this unique
    #[arg(long, value_name = "UNIQUE")]
    unique: Option<OsString>,

    /// Count them, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask; needs --at-most
    #[arg(short, long, requires = "at_most")]
    yes: bool,

    /// Do it to so many jobs at the most
    #[arg(long, value_name = "N")]
    at_most: Option<u32>,
}

/// Puts dead jobs back into their queues: one by its handle, or those of a function
#[derive(Debug, Parser)]
#[command(name = "ringgear retry", disable_version_flag = true, max_term_width = 100)]
struct RetryLine {
    #[command(flatten)]
    batch: BatchWords,

    /// The handle of a dead job, or a function
    #[arg(value_name = "HANDLE|FUNCTION")]
    what: OsString,
}

/// Cancels one job; whoever waits for it is told that it has failed
#[derive(Debug, Parser)]
#[command(name = "ringgear cancel", disable_version_flag = true, max_term_width = 100)]
struct CancelLine {
    #[command(flatten)]
    control: ControlWords,

    /// Its handle
    #[arg(value_name = "HANDLE")]
    handle: OsString,
}

/// Cancels many jobs of a function; whoever waits for one is told that it has failed
#[derive(Debug, Parser)]
#[command(name = "ringgear purge", disable_version_flag = true, max_term_width = 100)]
struct PurgeLine {
    #[command(flatten)]
    batch: BatchWords,

    /// Which jobs
    #[arg(long, value_name = "STATE", default_value = "queued")]
    state: PurgeState,

    /// The function
    #[arg(value_name = "FUNCTION")]
    function: OsString,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PurgeState {
    Queued,
    Scheduled,
    Running,
    Dead,
}

impl PurgeState {
    fn word(self) -> &'static str {
        match self {
            PurgeState::Queued => "queued",
            PurgeState::Scheduled => "scheduled",
            PurgeState::Running => "running",
            PurgeState::Dead => "dead",
        }
    }
}

/// The words of these subcommands, as completions and manual pages tell of them.
pub(crate) fn commands() -> [Command; 3] {
    [
        RetryLine::command().name("retry"),
        CancelLine::command().name("cancel"),
        PurgeLine::command().name("purge"),
    ]
}

/// What is to be done to the jobs of a function.
struct Wanted<'a> {
    name: &'static str,
    action: &'static str,
    state: &'static str,
    function: &'a OsStr,
    batch: &'a BatchWords,
}

impl Wanted<'_> {
    fn body(&self, at_most: Option<u64>) -> Value {
        let batch = self.batch;
        let mut body = json!({ "action": self.action, "state": self.state, "older_seconds": batch.older });
        put(&mut body, "function", self.function.as_bytes());
        if let Some(unique) = &batch.unique {
            put(&mut body, "unique", unique.as_bytes());
        }
        match at_most {
            Some(most) => body["at_most"] = most.into(),
            None => body["dry_run"] = true.into(),
        }
        body
    }

    /// Counts first, then asks, then does it.
    fn carry_out(&self) -> Result<ExitCode, ExitCode> {
        let (name, control) = (self.name, &self.batch.control);
        let side = control.side().map_err(|mistake| words::failed(name, words::USAGE, mistake))?;
        let post =
            |body: &Value| side.post("/api/v1/jobs/batch", body).map_err(|failure| failed(name, &failure));
        let counted = post(&self.body(None))?;
        let matches = counted["matches"].as_u64().unwrap_or(0);
        let function = words::shown(self.function.as_bytes());
        if self.batch.dry_run || matches == 0 {
            let text = format!("{function}: {matches} {} jobs\n", self.state);
            print(name, &if control.json { format!("{counted}\n") } else { text })?;
            return Ok(if matches == 0 { ExitCode::from(NO) } else { ExitCode::SUCCESS });
        }
        let most = self.batch.at_most.map_or(matches, |most| matches.min(most.into()));
        if !self.batch.yes && !ask(&format!("{} {most} {} jobs of {function}?", self.action, self.state)) {
            return Err(words::failed(
                name,
                NO,
                "nothing was done; --yes with --at-most N does it without asking",
            ));
        }
        let done = post(&self.body(Some(most)))?;
        let left = match done["left"].as_u64().unwrap_or(0) {
            0 => String::new(),
            left => format!(", {left} are left"),
        };
        let text = format!("{function}: {} of {matches} jobs{left}\n", done["done"]);
        print(name, &if control.json { format!("{done}\n") } else { text })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn put(body: &mut Value, name: &str, bytes: &[u8]) {
    crate::frontend::json::put_name(body, name, bytes);
}

/// Asks on the terminal. Where there is none, the answer is no.
fn ask(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    // Who cannot read the question does not say yes.
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    let mut answer = String::new();
    asked.is_ok()
        && io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Does something to one job.
fn one(side: &ControlSide, handle: &OsStr, action: &str) -> Result<Value, Failure> {
    side.post(&format!("/api/v1/jobs/{}/{action}", percent(handle.as_bytes())), &json!({}))
}

/// `ringgear retry`.
pub(crate) fn retry(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear retry";
    let line: RetryLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let side = match line.batch.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    match one(&side, &line.what, "retry") {
        // It is no job: a function, then.
        Err(Failure::Refused(404, _)) => {}
        Err(failure) => return failed(NAME, &failure),
        Ok(done) => return told(NAME, &line.batch.control, &done, &line.what, "is back in its queue"),
    }
    let (action, state) = ("retry", "dead");
    let wanted = Wanted { name: NAME, action, state, function: &line.what, batch: &line.batch };
    wanted.carry_out().unwrap_or_else(|status| status)
}

/// `ringgear cancel`.
pub(crate) fn cancel(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear cancel";
    let line: CancelLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let side = match line.control.side() {
        Ok(side) => side,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    match one(&side, &line.handle, "cancel") {
        Ok(done) => told(NAME, &line.control, &done, &line.handle, "is cancelled"),
        Err(failure) => failed(NAME, &failure),
    }
}

/// `ringgear purge`.
pub(crate) fn purge(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear purge";
    let line: PurgeLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let (action, state) = ("cancel", line.state.word());
    let wanted = Wanted { name: NAME, action, state, function: &line.function, batch: &line.batch };
    wanted.carry_out().unwrap_or_else(|status| status)
}

fn told(name: &'static str, control: &ControlWords, done: &Value, handle: &OsStr, what: &str) -> ExitCode {
    let text = format!("{} {what}\n", words::shown(handle.as_bytes()));
    let printed = print(name, &if control.json { format!("{done}\n") } else { text });
    printed.map_or_else(|status| status, |()| ExitCode::SUCCESS)
}
