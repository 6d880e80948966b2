//! The subcommands: what `ringgear WORD ...` does beside serving, each in a file of its own with its words, its doing and its
//! printing. The flags of the server are in `config/`.
mod check_migration;
mod control;
mod functions;
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
mod top;
mod transfer;
mod words;
mod work;

use clap::Command;
use control::{batch, check, doctor, lists, orders, trace, why};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the subcommand that the first of these words names, and says with which status to end. `None` where it names none: the
/// words are the server's.
pub fn run(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    match words.next()?.to_str()? {
        "cancel" => Some(batch::cancel(words)),
        "check" => Some(check::run(words)),
        "check-migration" => Some(check_migration::run(words)),
        "close" => Some(orders::close(words)),
        "completions" => Some(generate::completions(words, &mut everything())),
        "connections" => Some(lists::connections(words)),
        "dead" => Some(lists::dead(words)),
        "doctor" => Some(doctor::run(words)),
        "drain" => Some(orders::drain(words)),
        "help" => Some(help::run(words)),
        "job" => Some(lists::job(words)),
        "jobs" => Some(lists::jobs(words)),
        "limit" => Some(orders::limit(words)),
        "log-level" => Some(orders::log_level(words)),
        "man" => Some(generate::man(words, &mut everything())),
        "pause" => Some(orders::pause(words)),
        "ping" => Some(ping::run(words)),
        "purge" => Some(batch::purge(words)),
        "resume" => Some(orders::resume(words)),
        "retry" => Some(batch::retry(words)),
        "status" => Some(status::run(words)),
        "store" => Some(store::run(words)),
        "submit" => Some(submit::run(words)),
        #[cfg(feature = "http")]
        "token" => Some(token::run(words)),
        "top" => Some(top::run(words)),
        "trace" => Some(trace::run(words)),
        "why" => Some(why::run(words)),
        "work" => Some(work::run(words)),
        "workers" => Some(lists::workers(words)),
        _ => None,
    }
}

/// All that can stand behind the name of the program: the server's options and the subcommands.
fn everything() -> Command {
    let mut subcommands = vec![
        check::command(),
        check_migration::command(),
        doctor::command(),
        generate::completions_command(),
        help::command(),
        generate::man_command(),
        ping::command(),
        status::command(),
        store::command(),
        submit::command(),
        #[cfg(feature = "http")]
        token::command(),
        top::command(),
        trace::command(),
        work::command(),
        why::command(),
    ];
    subcommands.extend(batch::commands());
    subcommands.extend(lists::commands());
    subcommands.extend(orders::commands());
    subcommands.sort_by(|one, other| one.get_name().cmp(other.get_name()));
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
