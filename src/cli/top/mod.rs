//! `ringgear top`: functions as `ringgear status` tells of them, in a table that goes on: in a terminal (`live.rs` with `view.rs`, with the feature `top`),
//! or as plain tables for scripts. Who is asked stands in `functions/`.
#[cfg(feature = "top")]
mod live;
#[cfg(feature = "top")]
mod screen;
mod summary;
#[cfg(feature = "top")]
mod view;

use super::functions::row::{RowOrder, in_order};
use super::functions::shown::{TableKind, functions};
use super::functions::{FunctionSource, FunctionsWanted, SourceWords};
use super::words;
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const NAME: &str = "ringgear top";

/// Shows functions live: how they are, what waits since when, how fast it is done
#[derive(Debug, Parser)]
#[command(name = "ringgear top", disable_version_flag = true, max_term_width = 100)]
struct TopLine {
    #[command(flatten)]
    source: SourceWords,

    /// Seconds from one look to the next
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,

    /// In which order
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    sort: RowOrder,

    /// Only functions with this in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,

    /// Print plain tables, for scripts and where there is no terminal
    #[arg(short, long)]
    batch: bool,

    /// End after so many tables
    #[arg(short = 'n', long, value_name = "N", requires = "batch", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// The words of `ringgear top`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    TopLine::command().name("top")
}

/// `ringgear top`: 0 if somebody has ended it or all tables are printed, 1 if no server answers or the terminal is gone, 2 for a wrong
/// line, 4 if the HTTP side that was named refuses, 128 and the number of a signal that came.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let TopLine { source, interval, sort, filter, batch, count } =
        match words::read(NAME, words, words::USAGE) {
            Ok(line) => line,
            Err(status) => return status,
        };
    let source = match source.source() {
        Ok(source) => source,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let interval = Duration::from_secs(interval);
    if batch {
        return print_tables(&source, interval, sort, &filter, count).unwrap_or_else(|status| status);
    }
    show(source, interval, sort, &filter)
}

#[cfg(feature = "top")]
fn show(source: FunctionSource, interval: Duration, sort: RowOrder, filter: &str) -> ExitCode {
    use std::io::IsTerminal;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let said = "standard input and output are no terminal; say --batch for plain tables";
        return words::failed(NAME, words::USAGE, said);
    }
    match live::run(source, interval, view::TopView::new(sort, filter)) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(signal)) => ExitCode::from(128_u8.saturating_add(signal)),
        Err(error) => words::failed(NAME, 1, format_args!("the terminal: {error}")),
    }
}

#[cfg(not(feature = "top"))]
fn show(_: FunctionSource, _: Duration, _: RowOrder, _: &str) -> ExitCode {
    let said =
        "this program was built without its live table (the feature top); say --batch for plain tables";
    words::failed(NAME, words::USAGE, said)
}

/// Prints a table after the other. A server that does not answer is a reason to end only if it never did.
fn print_tables(
    source: &FunctionSource,
    interval: Duration,
    sort: RowOrder,
    filter: &str,
    count: Option<u64>,
) -> Result<ExitCode, ExitCode> {
    let mut printed: u64 = 0;
    loop {
        match source.look(FunctionsWanted::All) {
            Ok(mut sight) => {
                let mut text = summary::summary(sight.server.as_ref(), &sight.place, &sight.rows).join("\n");
                sight.rows.retain(|row| summary::passes(&row.function, filter));
                in_order(&mut sight.rows, sort);
                text += "\n\n";
                text += &functions(&sight.rows, TableKind::Live(summary::NAME_MAX));
                // Whoever closed the pipe does not want to read on.
                let done =
                    io::stdout().write_all((text + "\n").as_bytes()).and_then(|()| io::stdout().flush());
                match done {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                    Err(error) => {
                        return Err(words::failed(NAME, 1, format_args!("standard output: {error}")));
                    }
                    Ok(()) => {}
                }
            }
            Err(failure) if printed == 0 => return Err(words::failed(NAME, failure.status, failure)),
            Err(failure) => words::told_of(NAME, failure),
        }
        printed += 1;
        if count.is_some_and(|count| printed >= count) {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(interval);
    }
}
