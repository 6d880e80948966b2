//! Compares results that were kept, from their folders: reads them again, says what the run itself would have said, and writes the
//! page. What is in a folder stands in `files.rs`.
use std::path::{Path, PathBuf};

use crate::compare::comparison::Comparison;
use crate::compare::side::Side;
use crate::compare::{files, rounds};

/// Compares the sides in one folder, or those in two, and writes what came of it into `out`, or else into the folder that
/// has both; gives what both were found to be, and what is to be said.
pub(crate) fn folders(a: &Path, b: Option<&Path>, out: Option<&Path>) -> Result<([Side; 2], String), String> {
    let [first, second]: [PathBuf; 2] = match b {
        Some(b) => [a.to_owned(), b.to_owned()],
        None => files::sides(a)?,
    };
    let sides = [files::read_side(&first)?, files::read_side(&second)?];
    let [a_side, b_side] = &sides;
    let comparison = Comparison::of([a_side, b_side])?;
    let mut text = rounds::said(&comparison, [a_side, b_side]);
    let one = b.is_none().then_some(a);
    if let Some(folder) = out.or(one) {
        files::write_comparison(folder, &text, &comparison, [a_side, b_side])
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        text.push_str(&format!("written to {}\n", folder.join(files::PAGE).display()));
    }
    Ok((sides, text))
}

#[cfg(test)]
mod tests;
