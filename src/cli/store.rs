//! `ringgear store`: its command line, looking after a store while no server uses it, and telling people what was found.
//! What is read and written is the store's affair (`store/log/tools.rs`, `cli/transfer.rs`).
use super::places::{OtherStore, ThisStore};
use super::transfer::{self, TransferFailure};
use super::words;
use crate::frontend::json;
use crate::store::StoreError;
use crate::store::log::tools::{self, CheckReport, Problem};
use clap::{Command, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// `ringgear store ...`: the status is 0 if it was done, 1 if the store is damaged or the line is wrong, 74 if the store
/// cannot be used, or has jobs that a server would set aside. Nobody may read what is printed; that changes nothing.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    const WRONG_LINE: u8 = 1;
    const EX_IOERR: u8 = 74;
    let line: StoreLine = match words::read("ringgear store", words, WRONG_LINE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    match carry_out(line.order, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "ringgear store: {error}");
            match error {
                MaintenanceError::Damaged => ExitCode::FAILURE,
                _ => ExitCode::from(EX_IOERR),
            }
        }
    }
}

/// The words of `ringgear store`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    StoreLine::command().name("store")
}

/// What is to be done.
#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read a data directory and say whether it is intact; nothing is changed
    Check {
        /// The data directory
        dir: PathBuf,
    },
    /// Write every job that is intact in a damaged data directory to a new one
    Salvage {
        /// The damaged data directory; it is not changed
        from: PathBuf,
        /// The new one; it must not be there, or be empty
        to: PathBuf,
    },
    /// Print every job of a data directory as a line of JSON
    Dump {
        /// The data directory
        dir: PathBuf,
    },
    /// Add the jobs of another store, gearmand's SQLite table for instance, to a store that is there or new; the other one is
    /// not changed
    Import {
        #[command(flatten)]
        from: OtherStore,
        #[command(flatten)]
        into: ThisStore,
    },
    /// Write the jobs of a store to another one that has none, to an SQLite table that gearmand can use for instance; the
    /// first one is not changed
    Export {
        #[command(flatten)]
        from: ThisStore,
        #[command(flatten)]
        into: OtherStore,
    },
}

/// Looks after a store while no server uses it.
#[derive(Debug, Parser)]
#[command(name = "ringgear store", disable_help_subcommand = true)]
struct StoreLine {
    #[command(subcommand)]
    order: StoreCommand,
}

/// Why it was not done.
#[derive(Debug)]
enum MaintenanceError {
    /// The store said so.
    Store(StoreError),
    /// Jobs were to be copied to another store.
    Transfer(TransferFailure),
    /// What was found cannot be printed.
    Output(io::Error),
    /// The data directory is damaged: what was printed says where.
    Damaged,
    /// So many jobs cannot be ones of a job server: what was printed says which.
    SetAside(usize),
}

impl fmt::Display for MaintenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaintenanceError::Store(error) => error.fmt(f),
            MaintenanceError::Transfer(error) => error.fmt(f),
            MaintenanceError::Output(error) => write!(f, "cannot print: {error}"),
            MaintenanceError::SetAside(jobs) => write!(
                f,
                "a server starts without {jobs} of these jobs: it keeps them and does not run them; \
                 `ringgear store dump` shows them"
            ),
            MaintenanceError::Damaged => {
                f.write_str("damaged; `ringgear store salvage` writes what is intact to a new place")
            }
        }
    }
}

impl std::error::Error for MaintenanceError {}

impl From<StoreError> for MaintenanceError {
    fn from(error: StoreError) -> MaintenanceError {
        MaintenanceError::Store(error)
    }
}

impl From<TransferFailure> for MaintenanceError {
    fn from(error: TransferFailure) -> MaintenanceError {
        MaintenanceError::Transfer(error)
    }
}

impl From<io::Error> for MaintenanceError {
    fn from(error: io::Error) -> MaintenanceError {
        MaintenanceError::Output(error)
    }
}

/// Does it, and prints what came of it. An error is for the caller to print.
fn carry_out(order: StoreCommand, out: &mut dyn Write) -> Result<(), MaintenanceError> {
    match order {
        StoreCommand::Check { dir } => {
            let report = tools::check(&dir)?;
            let CheckReport { segments, blocks, records, jobs, closed, torn, .. } = report;
            writeln!(out, "{segments} segments, {blocks} blocks, {records} records, {jobs} jobs")?;
            if !closed {
                writeln!(
                    out,
                    "the last server did not close it{}",
                    if torn { ", and died while writing" } else { "" }
                )?;
            }
            tell(&report.problems, out)?;
            for (job, why) in &report.set_aside {
                writeln!(out, "job {job}: {why}")?;
            }
            if !report.problems.is_empty() {
                return Err(MaintenanceError::Damaged);
            }
            if !report.starts {
                writeln!(out, "nothing is damaged, but a server would not start on it")?;
                return Err(MaintenanceError::Damaged);
            }
            if !report.set_aside.is_empty() {
                return Err(MaintenanceError::SetAside(report.set_aside.len()));
            }
        }
        StoreCommand::Salvage { from, to } => {
            let report = tools::salvage(&from, &to)?;
            tell(&report.problems, out)?;
            writeln!(
                out,
                "{} intact records, {} jobs written to {}",
                report.records,
                report.jobs,
                to.display()
            )?;
        }
        StoreCommand::Dump { dir } => {
            // A pipe that is closed early is no reason to go on reading.
            let mut failed = None;
            tools::dump(&dir, &mut |job| {
                if failed.is_none() {
                    failed = writeln!(out, "{}", json::stored_job(&job)).err();
                }
            })?;
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        StoreCommand::Import { from, into } => transfer::import(from, into, out)?,
        StoreCommand::Export { from, into } => transfer::export(from, into, out)?,
    }
    Ok(())
}

/// Each problem on a line of its own.
fn tell(problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    for Problem { path, offset, what } in problems {
        writeln!(out, "{} at byte {offset}: {what}", path.display())?;
    }
    Ok(())
}
