//! `ringgear token`: tokens for the HTTP side (`--control-tokens`). What a token is and what its line means is in `http/tokens.rs`.
use super::words;
use crate::http::{RoleSet, make_token};
use clap::{Command, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Tokens for what a server offers over HTTP
#[derive(Debug, Parser)]
#[command(name = "ringgear token", disable_version_flag = true, max_term_width = 100)]
struct TokenLine {
    #[command(subcommand)]
    order: TokenOrder,
}

#[derive(Debug, Subcommand)]
enum TokenOrder {
    /// Makes a token: prints it, which is the only time that it is told, and on the next line what belongs into the file that
    /// --control-tokens names (then SIGHUP)
    New(NewToken),
}

#[derive(Debug, clap::Args)]
struct NewToken {
    /// Whose it is: a word, which the log tells with whatever is done
    #[arg(value_name = "NAME")]
    name: String,

    /// What may be done with it: read, peek, submit and operate, with commas between them, or their first letters
    #[arg(short, long, value_name = "ROLES", value_parser = RoleSet::read)]
    role: RoleSet,

    /// The only functions that peek, submit and operate are for: names with commas between them, in which * is any text
    #[arg(long, value_name = "PATTERN")]
    functions: Option<String>,

    /// The only addresses from which it is taken: addresses and networks like 10.0.0.0/8, with commas between them
    #[arg(long, value_name = "NETWORK")]
    from: Option<String>,
}

/// The words of `ringgear token`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    TokenLine::command().name("token")
}

/// `ringgear token`: the status is 0 if a token was made, 1 if none could be, 2 for a wrong line.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    const NAME: &str = "ringgear token";
    let line: TokenLine = match words::read(NAME, words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let TokenOrder::New(new) = line.order;
    let functions = new.functions.map(|functions| format!("functions={functions}"));
    let from = new.from.map(|from| format!("from={from}"));
    let more: Vec<String> = functions.into_iter().chain(from).collect();
    match make_token(&new.name, new.role, &more) {
        Ok((token, line)) => match writeln!(io::stdout(), "{token}\n{line}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => words::failed(NAME, 1, format_args!("nobody reads the token: {error}")),
        },
        Err(why) => words::failed(NAME, words::USAGE, why),
    }
}
