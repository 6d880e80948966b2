//! The words behind a subcommand: read by clap; help, or what is wrong with them, is printed in one way for all. Which words a subcommand
//! has stands in its own file.
use clap::{ArgMatches, Command, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

/// A wrong line, where a subcommand has no other status for it.
pub(super) const USAGE: u8 = 2;

/// What the words behind `name` (`ringgear ping`) mean. Otherwise the status to end with: help was printed, or what is wrong, and
/// then it is `wrong`.
pub(super) fn read<Line: Parser>(
    name: &'static str,
    words: impl Iterator<Item = OsString>,
    wrong: u8,
) -> Result<Line, ExitCode> {
    Line::try_parse_from(behind(name, words)).map_err(|error| told(&error, wrong))
}

/// The same for words that no type describes.
pub(super) fn matches(
    command: Command,
    name: &'static str,
    words: impl Iterator<Item = OsString>,
    wrong: u8,
) -> Result<ArgMatches, ExitCode> {
    command.bin_name(name).try_get_matches_from(behind(name, words)).map_err(|error| told(&error, wrong))
}

fn behind(name: &'static str, words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from(name)).chain(words)
}

/// Nobody may read what is printed; that changes nothing.
fn told(error: &clap::Error, wrong: u8) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(wrong) } else { ExitCode::SUCCESS }
}
