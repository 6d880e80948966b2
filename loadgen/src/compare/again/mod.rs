//! Compares results that were kept, from their folders: reads them again, says what the run itself would have said, and writes the
//! page. What is in a folder stands in `files.rs`.
use std::path::{Path, PathBuf};

use crate::compare::comparison::Comparison;
use crate::compare::side::Side;
use crate::compare::{files, rounds};

/// A comparison of what was kept.
#[derive(Debug)]
pub(crate) struct Again {
    /// Both sides.
    pub(crate) sides: [Side; 2],
    /// What is to be said of them.
    pub(crate) text: String,
    comparison: Comparison,
}

impl Again {
    /// Compares the sides in one folder, or those in two.
    pub(crate) fn read(a: &Path, b: Option<&Path>) -> Result<Again, String> {
        let [first, second] = match b {
            Some(b) => [a.to_owned(), b.to_owned()],
            None => files::sides(a)?,
        };
        let sides = [files::read_side(&first)?, files::read_side(&second)?];
        let [a, b] = &sides;
        let comparison = Comparison::of([a, b])?;
        let text = rounds::said(&comparison, [a, b]);
        Ok(Again { sides, text, comparison })
    }

    /// Writes it with its page into a folder; gives what to open.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, String> {
        let [a, b] = &self.sides;
        files::write_comparison(folder, &self.text, &self.comparison, [a, b])
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder.join(files::PAGE))
    }
}

#[cfg(test)]
mod tests;
