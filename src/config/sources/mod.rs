//! From words to flags: those of the command line, then those of the configuration file that the command line leaves open.
//! What the flags mean is in `config/mod.rs`.
use super::file::{self, OptionWords, Word};
use super::flags::{self, Flags};
use super::mistake::Mistake;
use super::origins::{Origins, ValueOrigin};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What was given.
#[derive(Debug)]
pub(super) enum Given {
    /// Flags, what the operator should know about where they are from, and which are from a file.
    Flags(Box<Flags>, Vec<String>, Origins),
    /// The flag that asks for help, of which this is the text.
    Help(String),
}

/// Reads arguments (without the program's name) and the configuration file: this one, if the arguments name no other.
pub(super) fn read(arguments: impl Iterator<Item = OsString>, file: &Path) -> Result<Given, Mistake> {
    let mut command = flags::command();
    command.build();
    let line = command_line(arguments, &command)?;
    let (mut notices, mut origins) = (Vec::new(), Origins::default());
    let given = match parse(&mut command, &line).map_err(|error| of_line(&mut command, &line, error))? {
        Parsed::Options(given) => given,
        Parsed::Help(text) => return Ok(Given::Help(text)),
    };
    let file = file_words(&mut command, &given, file, &mut notices, &mut origins)?;
    let flags = match parse(&mut command, &[file, line].concat()).map_err(Mistake::Flags)? {
        Parsed::Options(given) => Flags::from_arg_matches(&given).map_err(Mistake::Flags)?,
        Parsed::Help(text) => return Ok(Given::Help(text)),
    };
    Ok(Given::Flags(Box::new(flags), notices, origins))
}

/// The flags of these words, of which none is left to be told apart. Those that ask for help ask for nothing else.
pub(super) fn flags_of(command: &mut Command, words: &[OsString]) -> Result<Flags, clap::Error> {
    match parse(command, words)? {
        Parsed::Options(given) => Flags::from_arg_matches(&given),
        Parsed::Help(_) => match parse(command, &[])? {
            Parsed::Options(given) => Flags::from_arg_matches(&given),
            Parsed::Help(text) => Err(clap::Error::raw(ErrorKind::DisplayHelp, text)),
        },
    }
}

/// What is wrong with a command line. Which value it is that is no text, clap does not say.
fn of_line(command: &mut Command, line: &[OsString], error: clap::Error) -> Mistake {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return Mistake::Flags(error);
    }
    for word in file::read(line.iter().cloned(), command, false) {
        if let Word::Option(item) = word
            && parse(command, &item.words).is_err_and(|alone| alone.kind() == ErrorKind::InvalidUtf8)
        {
            return Mistake::NotText(long_name(&item, command));
        }
    }
    Mistake::Flags(error)
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
    origins: &mut Origins,
) -> Result<Vec<OsString>, Mistake> {
    let named = given.get_one::<OsString>("config_file");
    // So gearmand reads none.
    if named.is_some_and(|name| name.is_empty()) {
        return Ok(Vec::new());
    }
    let path = named.map_or(default, Path::new);
    let read = match (file::of_file(path), named) {
        (Ok(read), _) => read,
        (Err(error), Some(_)) => return Err(Mistake::NoFile(path.to_owned(), error)),
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        (Err(error), None) => {
            notices.push(format!("cannot read the configuration file {}: {error}", path.display()));
            return Ok(Vec::new());
        }
    };
    notices.push(format!("options are read from {}", path.display()));
    let origin = |item: &OptionWords| ValueOrigin::File(path.to_owned(), read.lines[item.at]);
    let items: Vec<OptionWords> = options_of_file(read.words.iter().cloned(), command);
    for item in &items {
        // gearmand does not know the one there, and does not read another file for the other.
        if let Some(id @ ("check_args" | "config_file")) = item.id.as_deref() {
            let mistake = Mistake::NotInFile(id.replace('_', "-"));
            return Err(Mistake::At(origin(item), Box::new(mistake)));
        }
    }
    if let Err((item, error)) = try_items(command, &items) {
        return Err(Mistake::At(origin(item), Box::new(Mistake::Flags(error))));
    }
    let on_line = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let left = items.iter().filter(|item| !item.id.as_deref().is_some_and(on_line));
    let left: Vec<&OptionWords> = left.collect();
    for item in &left {
        let value = item.value().unwrap_or_default().to_string_lossy();
        origins.note(&long_name(item, command), &value, origin(item));
    }
    Ok(left.into_iter().flat_map(|item| item.words.clone()).collect())
}

/// The options among the words of a file. Other words gearmand ignores, and comments are made of them.
pub(super) fn options_of_file(words: impl Iterator<Item = OsString>, command: &Command) -> Vec<OptionWords> {
    let options = file::read(words, command, true).into_iter().filter_map(|word| match word {
        Word::Option(item) => Some(item),
        Word::Stray(_) => None,
    });
    options.collect()
}

/// How an option is called when its name is written out; as it is written if there is none of the kind.
pub(super) fn long_name(item: &OptionWords, command: &Command) -> String {
    let id = item.id.as_deref();
    let long = command.get_arguments().find(|arg| id == Some(arg.get_id().as_str()));
    match long.and_then(|arg| arg.get_long()) {
        Some(long) => long.to_owned(),
        None => item.words[0].to_string_lossy().trim_start_matches('-').to_owned(),
    }
}

/// Whether these can be parsed: if not, the first that cannot, and why. More options never mend what is wrong with those
/// before them, so that one is found by halving.
fn try_items<'a>(
    command: &mut Command,
    items: &'a [OptionWords],
) -> Result<(), (&'a OptionWords, clap::Error)> {
    let mut first_of = |count: usize| {
        let words: Vec<OsString> = items[..count].iter().flat_map(|item| &item.words).cloned().collect();
        parse(command, &words).err()
    };
    let Some(mut error) = first_of(items.len()) else { return Ok(()) };
    let (mut fine, mut wrong) = (0, items.len());
    while wrong - fine > 1 {
        let middle = fine.midpoint(wrong);
        match first_of(middle) {
            Some(earlier) => (wrong, error) = (middle, earlier),
            None => fine = middle,
        }
    }
    // Without any option nothing is wrong, so there is one.
    Err((&items[wrong - 1], error))
}

#[cfg(test)]
mod tests;
