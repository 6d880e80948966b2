//! Moving from gearmand: reads what gearmand is started with, and says of each option what becomes of it here, by the server's own
//! table of options. What is to be said where this server does otherwise is in `remarks.rs`, files with variables are read in
//! `variables.rs`, the words of an answer are `report.rs`; how it is printed is in `cli/check_migration.rs`.
mod remarks;
mod report;
mod variables;

pub use report::{Fate, MigrationError, MigrationLine, USUAL};

use super::called::CalledAs;
use super::file::{self, FileWords, OptionWords, Word};
use super::flags::{self, Flags};
use super::mistake::Mistake;
use super::origins::Origins;
use super::sources;
use super::tls::TlsVariables;
use super::{Surroundings, config};
use clap::Command;
use remarks::REMARKS;
use report::OptionVerdict;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What to do about a value that is refused, where the refusal does not say it.
const ANOTHER_VALUE: &str = "a value that it takes: `ringgear --help` says which";

/// Options, and where each stands.
struct Placed {
    item: OptionWords,
    file: Option<PathBuf>,
    line: Option<usize>,
}

/// Says of these files, or of this command line, or of those files that are usually there, what becomes of each option.
pub fn check(files: &[PathBuf], line: Option<Vec<OsString>>) -> Result<Vec<MigrationLine>, MigrationError> {
    let mut command = flags::command();
    command.build();
    let mut told = MigrationCheck { command, placed: Vec::new(), lines: Vec::new() };
    if let Some(words) = line {
        told.command_line(words.into_iter().map(|word| (word, None)).collect(), None)?;
        let own = Path::new(file::DEFAULT_FILE);
        let named = told.placed.iter().any(|placed| placed.item.id.as_deref() == Some("config_file"));
        if files.is_empty() && !named && own.exists() {
            told.file(own)?;
        }
    } else if files.is_empty() {
        for path in USUAL.iter().map(Path::new).filter(|path| path.exists()) {
            told.file(path)?;
        }
        if told.placed.is_empty() && !USUAL.iter().any(|path| Path::new(path).exists()) {
            return Err(MigrationError::Nothing);
        }
    }
    for path in files {
        told.file(path)?;
    }
    Ok(told.judge())
}

/// What was found so far, and what is to be said of it.
struct MigrationCheck {
    command: Command,
    placed: Vec<Placed>,
    lines: Vec<MigrationLine>,
}

impl MigrationCheck {
    fn file(&mut self, path: &Path) -> Result<(), MigrationError> {
        let unreadable = |error| MigrationError::Unreadable(path.to_owned(), error);
        let bytes = file::bytes_of(path).map_err(unreadable)?;
        if !variables::sets_variables(&bytes) {
            self.own_file(path, file::words_of(&bytes));
            return Ok(());
        }
        let mut words = Vec::new();
        for variable in variables::variables(&bytes) {
            match variable.words() {
                Some(found) => words.extend(found.into_iter().map(|(word, line)| (word, Some(line)))),
                None => self.lines.push(MigrationLine {
                    file: Some(path.to_owned()),
                    line: Some(variable.line),
                    option: variable.name,
                    given: true,
                    fate: Fate::Note,
                    what: "it holds no options and is passed over".to_owned(),
                    instead: None,
                }),
            }
        }
        self.command_line(words, Some(path))
    }

    /// A file of gearmand's own kind. Words without dashes are ignored, also by gearmand: who wrote one hardly knows.
    fn own_file(&mut self, path: &Path, read: FileWords) {
        for (word, line) in read.words.iter().zip(&read.lines) {
            let word = word.to_string_lossy();
            let name = word.split('=').next().unwrap_or_default();
            if word.contains('=') && self.command.get_arguments().any(|arg| arg.get_long() == Some(name)) {
                self.lines.push(MigrationLine {
                    file: Some(path.to_owned()),
                    line: Some(*line),
                    option: word.clone().into_owned(),
                    given: true,
                    fate: Fate::Same,
                    what: "it is ignored, as by gearmand: it does not begin with dashes".to_owned(),
                    instead: Some(format!("--{word}, if it is meant")),
                });
            }
        }
        for item in sources::options_of_file(read.words.into_iter(), &self.command) {
            let line = read.lines.get(item.at).copied();
            self.placed.push(Placed { item, file: Some(path.to_owned()), line });
        }
    }

    /// The words of a command line, from a file or not. It may name a file with more.
    fn command_line(
        &mut self,
        words: Vec<(OsString, Option<usize>)>,
        path: Option<&Path>,
    ) -> Result<(), MigrationError> {
        let lines: Vec<Option<usize>> = words.iter().map(|(_, line)| *line).collect();
        let mut more = Vec::new();
        for word in file::read(words.into_iter().map(|(word, _)| word), &self.command, false) {
            let item = match word {
                Word::Option(item) => item,
                // What is no option has no place of its own to tell.
                Word::Stray(word) => match word.as_bytes().strip_prefix(b"@") {
                    Some(named) if !named.is_empty() => {
                        more.push(PathBuf::from(OsStr::from_bytes(named)));
                        continue;
                    }
                    _ => OptionWords { id: None, words: vec![word], at: 0 },
                },
            };
            if item.id.as_deref() == Some("config_file") {
                let value = item.words.last().map(|word| word.as_bytes().to_vec()).unwrap_or_default();
                let value = value.strip_prefix(b"--config-file=").unwrap_or(&value);
                more.push(PathBuf::from(OsStr::from_bytes(value)));
            }
            let line = lines.get(item.at).copied().flatten();
            self.placed.push(Placed { item, file: path.map(Path::to_owned), line });
        }
        for path in more {
            self.file(&path)?;
        }
        Ok(())
    }

    /// Each option, then those that are not given.
    fn judge(mut self) -> Vec<MigrationLine> {
        let placed = std::mem::take(&mut self.placed);
        let mut verdicts: Vec<OptionVerdict> = placed.iter().map(|placed| self.alone(&placed.item)).collect();
        self.twice(&placed, &mut verdicts);
        let flags = self.together(&placed, &mut verdicts);
        for (placed, (fate, what, instead)) in placed.iter().zip(verdicts) {
            let Placed { item, file, line } = placed;
            let (file, line, option) = (file.clone(), *line, shown(item, &self.name(item)));
            self.lines.push(MigrationLine { file, line, option, given: true, fate, what, instead });
        }
        self.lines
            .sort_by(|a, b| (a.file.is_none(), &a.file, a.line).cmp(&(b.file.is_none(), &b.file, b.line)));
        if let Some(flags) = flags {
            let names: Vec<String> = placed.iter().map(|placed| self.name(&placed.item)).collect();
            for remark in REMARKS.iter().filter(|remark| !names.iter().any(|name| name == remark.option)) {
                if let Some((fate, what, instead)) = (remark.absent)(&flags) {
                    let option = format!("--{}", remark.option);
                    let (file, line) = (None, None);
                    self.lines.push(MigrationLine { file, line, option, given: false, fate, what, instead });
                }
            }
        }
        self.lines
    }

    fn name(&self, item: &OptionWords) -> String {
        sources::long_name(item, &self.command)
    }

    /// What is wrong with an option whatever else is given.
    fn alone(&mut self, item: &OptionWords) -> OptionVerdict {
        match sources::flags_of(&mut self.command, &item.words) {
            Ok(_) => (Fate::Same, String::new(), None),
            Err(error) => {
                let text = Mistake::Flags(error).to_string();
                let (what, instead) = split(&text);
                let instead = match item.id {
                    Some(_) => instead.unwrap_or_else(|| ANOTHER_VALUE.to_owned()),
                    None => "leave it out: `ringgear --help` lists all options".to_owned(),
                };
                (Fate::Refused, what.to_owned(), Some(instead))
            }
        }
    }

    /// An option that stands twice in one place is refused, by gearmand too. (Of two places the first counts.)
    fn twice(&self, placed: &[Placed], verdicts: &mut [OptionVerdict]) {
        let mut seen: Vec<(String, &Option<PathBuf>)> = Vec::new();
        for (Placed { item, file, .. }, verdict) in placed.iter().zip(verdicts) {
            let key = (self.name(item), file);
            if verdict.0 != Fate::Refused && !["listen", "v"].contains(&&*key.0) && seen.contains(&key) {
                let what = format!("--{} stands there twice, which gearmand refuses, too", key.0);
                *verdict = (Fate::Refused, what, Some("leave one of them out".to_owned()));
            }
            seen.push(key);
        }
    }

    /// What is to be said of the options when all are looked at, and what they mean then, if anything.
    fn together(&mut self, placed: &[Placed], verdicts: &mut [OptionVerdict]) -> Option<Flags> {
        let names: Vec<String> = placed.iter().map(|placed| self.name(&placed.item)).collect();
        loop {
            // What was refused is left out, and so is what stands there again: the command line goes before the file, and of
            // several files the first counts. `--listen` may stand there again.
            let mut words = Vec::new();
            let mut seen: Vec<&str> = Vec::new();
            for (index, name) in names.iter().enumerate() {
                let item = &placed[index].item;
                let again = seen.contains(&name.as_str()) && name != "listen" && name != "v";
                if verdicts[index].0 != Fate::Refused && !again && item.id.as_deref() != Some("config_file") {
                    words.extend(item.words.iter().cloned());
                    seen.push(name);
                }
            }
            let mut flags = sources::flags_of(&mut self.command, &words).ok()?;
            for option in flags.unsupported.options(&flags.storing.queue_type) {
                let verdict = match &option.idle {
                    Some(why) => (Fate::Note, why.clone(), Some("leave it out".to_owned())),
                    None => (Fate::Refused, option.problem.clone(), Some(option.instead.to_owned())),
                };
                told(&names, verdicts, option.name, verdict);
            }
            flags.unsupported.given.clear();
            match tried(flags) {
                Ok((flags, warnings)) => {
                    remarks(&flags, &warnings, &names, verdicts);
                    return Some(flags);
                }
                Err(mistake) => {
                    let text = mistake.to_string();
                    let (what, instead) = split(&text);
                    let guilty = mistake.options();
                    let at = |option: &&str| {
                        let found =
                            |index: &usize| names[*index] == **option && verdicts[*index].0 != Fate::Refused;
                        (0..names.len()).find(found)
                    };
                    let at = guilty.iter().find_map(at);
                    let instead = instead.or_else(|| Some(ANOTHER_VALUE.to_owned()));
                    let verdict = (Fate::Refused, what.to_owned(), instead);
                    let Some(at) = at else {
                        self.lines.push(MigrationLine::of_all(verdict));
                        return None;
                    };
                    verdicts[at] = verdict;
                }
            }
        }
    }
}

/// An option as it is written, secrets aside: what is printed here is sent to others.
fn shown(item: &OptionWords, name: &str) -> String {
    let words: Vec<_> = item.words.iter().map(|word| word.to_string_lossy()).collect();
    match name.ends_with("-password") || name.ends_with("-conninfo") {
        true => format!("--{name}=..."),
        false => words.join(" "),
    }
}

/// What was found is true of each place where the option stands, unless something worse is known.
fn told(names: &[String], verdicts: &mut [OptionVerdict], option: &str, verdict: OptionVerdict) {
    for (index, _) in names.iter().enumerate().filter(|(_, name)| *name == option) {
        if verdicts[index].0 != Fate::Refused {
            verdicts[index] = verdict.clone();
        }
    }
}

/// What is said, and what to do, which stands behind a semicolon or a colon and begins with a verb.
fn split(text: &str) -> (&str, Option<String>) {
    match text
        .split_once("; ")
        .or_else(|| text.split_once(": add ").map(|(what, _)| (what, &text[what.len() + 2..])))
    {
        Some((what, instead)) => (what, Some(instead.to_owned())),
        None => (text, None),
    }
}

/// What these flags lead to under the name of gearmand; names and addresses are not looked up.
fn tried(mut flags: Flags) -> Result<(Flags, Vec<String>), Mistake> {
    flags.process.check_args = true;
    let surroundings = Surroundings {
        called: CalledAs::Gearmand,
        port: None,
        tls: TlsVariables::default(),
        runtime: None,
        file: Path::new(""),
    };
    let config = config(&flags, &surroundings, Vec::new(), &mut Origins::default())?;
    Ok((flags, config.warnings))
}

/// What is to be said of options that are taken: what the server warns of itself, and the remarks.
fn remarks(flags: &Flags, warnings: &[String], names: &[String], verdicts: &mut [OptionVerdict]) {
    for warning in warnings {
        let option = warning.split([' ', ':']).next().unwrap_or_default().trim_start_matches('-');
        let (what, instead) = split(warning);
        told(names, verdicts, option, (Fate::Note, what.to_owned(), instead));
    }
    for remark in REMARKS {
        if let Some(verdict) = (remark.given)(flags) {
            told(names, verdicts, remark.option, verdict);
        }
    }
}

#[cfg(test)]
mod tests;
