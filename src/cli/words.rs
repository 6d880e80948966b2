//! The words behind a subcommand: read by clap; help, or what is wrong with them, is printed in one way for all. Which words a subcommand
//! has stands in its own file.
use crate::protocol::ARGUMENT_MAX;
use clap::{ArgMatches, Command, Parser};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
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

/// Says why the subcommand did not do it, in a line, and with which status it ends.
pub(super) fn failed(name: &str, status: u8, why: impl fmt::Display) -> ExitCode {
    told_of(name, why);
    ExitCode::from(status)
}

/// Says something in a line of standard error, which nobody may read.
pub(super) fn told_of(name: &str, what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{name}: {what}");
}

/// A function as a word: any bytes, but some, and no more than a packet takes.
pub(super) fn function(word: &OsStr) -> Result<&[u8], String> {
    const LONGEST: usize = ARGUMENT_MAX - 1;
    match word.len() {
        0 => Err("the function has no name; give one".to_owned()),
        1..=LONGEST => Ok(word.as_bytes()),
        length => {
            Err(format!("the function's name has {length} bytes, no job server takes more than {LONGEST}"))
        }
    }
}

/// Bytes of others in a line of ours: what is no UTF-8, or would move the cursor, stands as `\xNN`.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut encoded = [0; 4];
                hexadecimal(c.encode_utf8(&mut encoded).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        hexadecimal(chunk.invalid(), &mut text);
    }
    text
}

fn hexadecimal(bytes: &[u8], text: &mut String) {
    use fmt::Write as _;
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_shown_as_hexadecimal_digits() {
        assert_eq!(shown("größe".as_bytes()), "größe");
        assert_eq!(shown(b"caf\xe9\t\x1b[2J"), r"caf\xe9\x09\x1b[2J");
        assert_eq!(shown("\u{85}".as_bytes()), r"\xc2\x85");
    }
}
