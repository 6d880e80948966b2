//! The subcommands: what `ringgear WORD ...` does beside serving, each in a file of its own with its words, its doing and its
//! printing. The flags of the server are in `config/`.
mod check_migration;
mod help;
mod store;
mod transfer;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the subcommand that the first of these words names, and says with which status to end. `None` where it names none: the
/// words are the server's.
pub fn run(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    match words.next()?.to_str()? {
        "check-migration" => Some(check_migration::run(words)),
        "help" => Some(help::run(words)),
        "store" => Some(store::run(words)),
        _ => None,
    }
}
