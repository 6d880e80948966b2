//! `ringgear status`: which functions wait for a worker, as a table or as JSON, once or again and again. Who is asked, and what is known of
//! a function, stands in `functions/`.
use super::functions::row::{FunctionLoad, RowOrder, in_order};
use super::functions::shown::{TableKind, document, functions};
use super::functions::{FunctionSource, FunctionsWanted, SightFailure, SourceWords};
use super::words;
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const NAME: &str = "ringgear status";

/// What has a terminal show an empty screen, from its upper left corner on.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Tells which functions have jobs: waiting, running, and how many workers know them; of a Ringgear server also since when, and how fast
/// they are done
#[derive(Debug, Parser)]
#[command(name = "ringgear status", disable_version_flag = true, max_term_width = 100)]
struct StatusLine {
    #[command(flatten)]
    source: SourceWords,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// End with status 1 if one of the functions has waiting jobs and no worker
    #[arg(long, conflicts_with = "watch")]
    check: bool,

    /// In which order
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    sort: RowOrder,

    /// Look again and again, every 2 seconds or as many as are said (`--watch=10`)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,

    /// Only these functions
    #[arg(value_name = "FUNCTION")]
    functions: Vec<OsString>,
}

/// The words of `ringgear status`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    StatusLine::command().name("status")
}

/// `ringgear status`: 0 if a server answers, 1 if none does or `--check` found something, 2 for a wrong line, 4 if the HTTP side that was
/// named refuses.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let StatusLine { source, json, check, sort, watch, functions } =
        match words::read(NAME, words, words::USAGE) {
            Ok(line) => line,
            Err(status) => return status,
        };
    let source = match source.source() {
        Ok(source) => source,
        Err(mistake) => return words::failed(NAME, words::USAGE, mistake),
    };
    let Some(seconds) = watch else {
        return once(&source, &functions, sort, json, check).unwrap_or_else(|status| status);
    };
    let clears = !json && io::stdout().is_terminal();
    loop {
        let text = match look(&source, &functions, sort) {
            Ok(rows) => Ok(text(&rows, json)),
            Err(failure) => Err(failure.to_string()),
        };
        let printed = match text {
            Ok(text) if clears => print(&format!("{CLEAR}{text}")),
            // A JSON document is a line; tables stand apart.
            Ok(text) => print(&if json { text } else { text + "\n" }),
            Err(why) => {
                words::told_of(NAME, why);
                Ok(true)
            }
        };
        match printed {
            Ok(true) => thread::sleep(Duration::from_secs(seconds)),
            Ok(false) => return ExitCode::SUCCESS,
            Err(status) => return status,
        }
    }
}

fn once(
    source: &FunctionSource,
    functions: &[OsString],
    sort: RowOrder,
    json: bool,
    check: bool,
) -> Result<ExitCode, ExitCode> {
    let rows =
        look(source, functions, sort).map_err(|failure| words::failed(NAME, failure.status, &failure))?;
    print(&text(&rows, json))?;
    let found = check && rows.iter().any(FunctionLoad::unattended);
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn look(
    source: &FunctionSource,
    functions: &[OsString],
    sort: RowOrder,
) -> Result<Vec<FunctionLoad>, SightFailure> {
    let wanted = match functions {
        [] => FunctionsWanted::All,
        functions => FunctionsWanted::These(functions),
    };
    let mut rows = source.look(wanted)?.rows;
    in_order(&mut rows, sort);
    Ok(rows)
}

fn text(rows: &[FunctionLoad], json: bool) -> String {
    if json { format!("{}\n", document(rows)) } else { functions(rows, TableKind::Plain) }
}

/// Prints it: false if nobody wants to read on, who has closed the pipe.
fn print(text: &str) -> Result<bool, ExitCode> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(words::failed(NAME, 1, format_args!("standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_nobody_comes_first() {
        let load = |name: &str, waiting, running, workers| FunctionLoad {
            function: name.as_bytes().to_vec(),
            waiting,
            running,
            workers,
            known: true,
            told: None,
        };
        let mut rows = vec![
            load("busy", 892, 8, 8),
            load("idle", 0, 0, 3),
            load("lost", 2, 0, 0),
            load("mail", 8, 1, 4),
            load("worse", 5, 0, 0),
            FunctionLoad::unknown(b"odd"),
        ];
        in_order(&mut rows, RowOrder::Worst);
        let table = "FUNCTION    WAITING    RUNNING    WORKERS\n\
                     worse             5          0          0  no worker\n\
                     lost              2          0          0  no worker\n\
                     busy            892          8          8\n\
                     mail              8          1          4\n\
                     idle              0          0          3\n\
                     odd               0          0          0  not known\n";
        assert_eq!(text(&rows, false), table);
        assert_eq!(text(&[], false), "FUNCTION    WAITING    RUNNING    WORKERS\n");
    }

    #[test]
    fn how_often_stands_behind_the_word() {
        let of =
            |words: &[&str]| StatusLine::try_parse_from([&["status"], words].concat()).map(|line| line.watch);
        assert_eq!(of(&["--watch", "mail"]).unwrap(), Some(2));
        assert_eq!(of(&["--watch=10"]).unwrap(), Some(10));
        assert_eq!(of(&["mail"]).unwrap(), None);
        for wrong in [&["--watch=0"][..], &["--watch", "--check"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
