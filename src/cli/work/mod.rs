//! `ringgear work`: a worker for shells, which runs a command for each job. Works with any job server. What is said to the job server
//! stands in `worker.rs`, how a command is run in `command.rs`.
mod command;
mod worker;

use super::reach::ServerWords;
use super::words;
use crate::protocol::PACKET_MAX;
use clap::{Command, CommandFactory, Parser};
use command::{CommandOrder, ProcessGroups};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use worker::{NAME, ShellWorker};

/// Does jobs with a command: its standard input is the workload, its standard output the result
#[derive(Debug, Parser)]
#[command(name = "ringgear work", disable_version_flag = true, max_term_width = 100)]
struct WorkLine {
    #[command(flatten)]
    server: ServerWords,

    /// How many commands may run at once
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    count: u32,

    /// Send what the command prints line by line, as it comes
    #[arg(short, long)]
    lines: bool,

    /// Seconds that a command may take; then it is killed, and the job has failed [default: for ever]
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,

    /// The longest workload and result
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u32).range(1024..=i64::from(PACKET_MAX)))]
    max_bytes: u32,

    /// What the command does
    #[arg(value_name = "FUNCTION")]
    function: OsString,

    /// The command and its arguments; the environment has GEARMAN_FUNCTION, GEARMAN_HANDLE and GEARMAN_UNIQUE for it
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

/// The words of `ringgear work`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    WorkLine::command().name("work")
}

/// `ringgear work`: 0 after a signal, 1 if the command cannot be started, 2 for a wrong line.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: WorkLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let function = match words::function(&line.function) {
        Ok(function) => function.to_vec(),
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let server = match line.server.job_server() {
        Ok(server) => server,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let order = CommandOrder {
        command: line.command,
        lines: line.lines,
        timeout: line.timeout.map(Duration::from_secs),
        max_bytes: line.max_bytes as usize,
        groups: Arc::new(ProcessGroups::default()),
    };
    match ShellWorker::new(server, function, line.count as usize, order).and_then(ShellWorker::work) {
        Ok(status) => status,
        Err(error) => words::failed(NAME, 1, error),
    }
}
