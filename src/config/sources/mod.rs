//! From words to flags: those of the command line, then those of the configuration file that the command line leaves open.
//! What the flags mean is in `config/mod.rs`.
use super::file::{self, OptionWords, Word};
use super::flags::Flags;
use super::mistake::Mistake;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What was given.
#[derive(Debug)]
pub(super) enum Given {
    /// Flags, and what the operator should know about where they are from.
    Flags(Box<Flags>, Vec<String>),
    /// The flag that asks for help, of which this is the text.
    Help(String),
}

/// Reads arguments (without the program's name) and the configuration file: this one, if the arguments name no other.
pub(super) fn read(arguments: impl Iterator<Item = OsString>, file: &Path) -> Result<Given, Mistake> {
    let mut command = Flags::command();
    command.build();
    let line = command_line(arguments, &command)?;
    let mut notices = Vec::new();
    let given = match parse(&mut command, &line).map_err(Mistake::Flags)? {
        Parsed::Options(given) => given,
        Parsed::Help(text) => return Ok(Given::Help(text)),
    };
    let file = file_words(&mut command, &given, file, &mut notices)?;
    let flags = match parse(&mut command, &[file, line].concat()).map_err(Mistake::Flags)? {
        Parsed::Options(given) => Flags::from_arg_matches(&given).map_err(Mistake::Flags)?,
        Parsed::Help(text) => return Ok(Given::Help(text)),
    };
    Ok(Given::Flags(Box::new(flags), notices))
}

/// What became of words.
enum Parsed {
    Options(ArgMatches),
    /// Help was asked for.
    Help(String),
}

fn parse(command: &mut Command, words: &[OsString]) -> Result<Parsed, clap::Error> {
    let words = std::iter::once(OsString::from("ringgear")).chain(words.iter().cloned());
    match command.try_get_matches_from_mut(words) {
        Ok(given) => Ok(Parsed::Options(given)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Parsed::Help(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The words of the command line, with `--config-file` for an `@`. A value behind `=` must not be empty, as with gearmand.
fn command_line(words: impl Iterator<Item = OsString>, command: &Command) -> Result<Vec<OsString>, Mistake> {
    let mut line = Vec::new();
    for word in file::read(words, command, false) {
        match word {
            Word::Option(item) => {
                let option = item.words[0].to_string_lossy();
                if option.starts_with("--") && option.ends_with('=') && option.matches('=').count() == 1 {
                    return Err(Mistake::NoValue(option.into_owned()));
                }
                line.extend(item.words);
            }
            Word::Stray(word) => match word.as_bytes().strip_prefix(b"@") {
                Some(file) if !file.is_empty() => {
                    let mut option = OsString::from("--config-file=");
                    option.push(OsStr::from_bytes(file));
                    line.push(option);
                }
                _ => line.push(word),
            },
        }
    }
    Ok(line)
}

/// The options of the configuration file that the command line does not have.
fn file_words(
    command: &mut Command,
    given: &ArgMatches,
    default: &Path,
    notices: &mut Vec<String>,
) -> Result<Vec<OsString>, Mistake> {
    let named = given.get_one::<OsString>("config_file");
    let path = named.map_or(default, Path::new);
    let words = match (file::of_file(path), named) {
        (Ok(words), _) => words,
        (Err(error), Some(_)) => return Err(Mistake::NoFile(path.to_owned(), error)),
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        (Err(error), None) => {
            notices.push(format!("cannot read the configuration file {}: {error}", path.display()));
            return Ok(Vec::new());
        }
    };
    notices.push(format!("options are read from {}", path.display()));
    let items: Vec<OptionWords> = file::read(words.into_iter(), command, true)
        .into_iter()
        .filter_map(|word| match word {
            Word::Option(item) => Some(item),
            // gearmand ignores them, and comments are made of them.
            Word::Stray(_) => None,
        })
        .collect();
    if let Some(id) = items.iter().filter_map(|item| item.id.as_deref()).find(|id| {
        // gearmand does not know the one there, and does not read another file for the other.
        matches!(*id, "check_args" | "config_file")
    }) {
        return Err(Mistake::NotInFile(path.to_owned(), id.replace('_', "-")));
    }
    let all: Vec<OsString> = items.iter().flat_map(|item| &item.words).cloned().collect();
    parse(command, &all).map_err(|error| Mistake::File(path.to_owned(), error))?;
    let on_line = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let left = items.into_iter().filter(|item| !item.id.as_deref().is_some_and(on_line));
    Ok(left.flat_map(|item| item.words).collect())
}

#[cfg(test)]
mod tests;
