//! That `tests/quirks.md` is whole: each quirk has its row, each row a test or a reason, and each test that is named exists.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const QUIRKS: usize = 24;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The cells of each row of each table, without heads.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("tests/quirks.md")).unwrap();
    let lines = text.lines().filter(|line| {
        line.starts_with("| ") && !line.ends_with("| tests |") && !line.ends_with("| script |")
    });
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in backquotes in the last cell.
fn named(row: &[String]) -> Vec<String> {
    let cell = row.last().unwrap();
    let pieces = cell.split('`').skip(1).step_by(2).filter(|piece| piece.contains('/'));
    pieces.map(str::to_owned).collect()
}

#[test]
fn every_quirk_has_a_row() {
    let rows = rows();
    let numbers: Vec<&str> =
        rows.iter().map(|row| &row[0][..]).filter(|cell| cell.starts_with('Q')).collect();
    let wanted: Vec<String> = (1..=QUIRKS).map(|number| format!("Q{number}")).collect();
    assert_eq!(numbers, wanted);
    for row in &rows {
        assert!(
            !named(row).is_empty() || row.last().unwrap().contains("not yet: "),
            "neither a test nor a reason: {row:?}"
        );
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut seen = 0;
    for name in rows().iter().flat_map(|row| named(row)) {
        let (file, function) =
            name.split_once("::").map_or((&name[..], None), |(file, function)| (file, Some(function)));
        let path = root().join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        match function {
            Some(function) => assert!(is_test(&text, function), "{file} has no test {function}"),
            None => {
                assert!(is_played(&path) || text.contains("#[test]"), "{file} is not played and has no test")
            }
        }
        seen += 1;
    }
    assert!(seen > 50, "{seen} tests are named");
}

/// Whether a file has this function, with `#[test]` right above it.
fn is_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {function}(")));
    at.is_some_and(|at| at > 0 && lines[at - 1] == "#[test]")
}

/// Whether a file is among the scripts that `transcripts` plays.
fn is_played(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).unwrap();
    path.extension().is_some_and(|extension| extension == "txt")
        && (folder == "transcripts" || folder == "replays")
}
