//! What is said to whoever moves from gearmand: values only. How it is found out is in `mod.rs`, how it is printed in
//! `cli/check_migration.rs`.
use crate::config::file::DEFAULT_FILE;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The same.
    Same,
    /// Nobody who asks for jobs or does them notices, but there is something to know.
    Note,
    /// Somebody may notice, or it must be decided what is meant.
    Differs,
    /// The server does not start with it.
    Refused,
}

impl Fate {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Same => "same",
            Fate::Note => "note",
            Fate::Differs => "differs",
            Fate::Refused => "refused",
        }
    }
}

/// One thing that is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationLine {
    /// The file in which the option stands; none if that is the command line, or nowhere.
    pub file: Option<PathBuf>,
    /// The line there, counted from 1.
    pub line: Option<usize>,
    /// The option as it is written; where it is not given, its name.
    pub option: String,
    /// Whether it is given.
    pub given: bool,
    /// What becomes of it.
    pub fate: Fate,
    /// What there is to know; nothing if it is the same.
    pub what: String,
    /// What to write instead, if anything.
    pub instead: Option<String>,
}

impl MigrationLine {
    /// About all options together.
    pub(super) fn of_all((fate, what, instead): OptionVerdict) -> MigrationLine {
        let option = "all together".to_owned();
        MigrationLine { file: None, line: None, option, given: true, fate, what, instead }
    }
}

/// What becomes of an option, what there is to know, and what to write instead if anything is to be.
pub(super) type OptionVerdict = (Fate, String, Option<String>);

/// Why it cannot be said.
#[derive(Debug)]
pub enum MigrationError {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is none where they usually are.
    Nothing,
}

impl fmt::Display for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrationError::Unreadable(path, error) => write!(
                f,
                "cannot read {}: {error}; name another file, or give gearmand's options behind --",
                path.display()
            ),
            MigrationError::Nothing => {
                write!(
                    f,
                    "there is none of {}; name a file, or give gearmand's options behind --",
                    USUAL.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for MigrationError {}

/// Where the options of gearmand usually stand.
pub const USUAL: &[&str] = &["/etc/default/gearman-job-server", "/etc/sysconfig/gearmand", DEFAULT_FILE];
