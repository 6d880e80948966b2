//! The subcommands: what `ringgear WORD ...` does beside serving, each in a file of its own with its words, its doing and its
//! printing. The flags of the server are in `config/`.
mod check_migration;
mod generate;
mod help;
mod ping;
mod places;
mod reach;
mod status;
mod store;
mod submit;
mod talk;
#[cfg(feature = "http")]
mod token;
mod transfer;
mod words;
mod work;

use clap::Command;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the subcommand that the first of these words names, and says with which status to end. `None` where it names none: the
/// words are the server's.
pub fn run(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    match words.next()?.to_str()? {
        "check-migration" => Some(check_migration::run(words)),
        "completions" => Some(generate::completions(words, &mut everything())),
        "help" => Some(help::run(words)),
        "man" => Some(generate::man(words, &mut everything())),
        "ping" => Some(ping::run(words)),
        "status" => Some(status::run(words)),
        "store" => Some(store::run(words)),
        "submit" => Some(submit::run(words)),
        #[cfg(feature = "http")]
        "token" => Some(token::run(words)),
        "work" => Some(work::run(words)),
        _ => None,
    }
}

/// All that can stand behind the name of the program: the server's options and the subcommands.
fn everything() -> Command {
    let subcommands = [
        check_migration::command(),
        generate::completions_command(),
        help::command(),
        generate::man_command(),
        ping::command(),
        status::command(),
        store::command(),
        submit::command(),
        #[cfg(feature = "http")]
        token::command(),
        work::command(),
    ];
    crate::config::command().disable_help_subcommand(true).subcommands(subcommands)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what can be run is told of.
    #[test]
    fn every_subcommand_that_is_told_of_is_there() {
        for subcommand in everything().get_subcommands() {
            let words = [subcommand.get_name(), "--help"].map(OsString::from);
            assert_eq!(run(words.into_iter()), Some(ExitCode::SUCCESS), "{}", subcommand.get_name());
        }
        everything().debug_assert();
    }
}
