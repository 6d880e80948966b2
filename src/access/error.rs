//! What can be wrong with the file that grants rights, in one sentence each.
use std::fmt;
use std::path::PathBuf;

/// The file that grants rights cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessError {
    /// Its name.
    pub file: PathBuf,
    /// The line that is wrong, counted from 1; none if it is the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the access list {}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for AccessError {}

/// What is wrong with a line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongLine {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) what: String,
}

impl WrongLine {
    pub(super) fn at(line: usize, what: impl Into<String>) -> WrongLine {
        WrongLine { line, what: what.into() }
    }
}
