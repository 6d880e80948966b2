//! `ringgear check-migration`: its command line, and telling people, or programs, what becomes of gearmand's options. What becomes
//! of them is found out in `config/migration/`.
use super::words;
use crate::config::migration::{self, Fate, MigrationLine};
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Says what becomes of gearmand's options here, one by one, and what to write instead. Nothing is changed.
///
/// Without FILE and OPTIONS it reads what is there of /etc/default/gearman-job-server, /etc/sysconfig/gearmand and
/// /etc/gearmand.conf. The status is 0 if nothing differs, 1 if something does or is refused, 2 if something cannot be read.
#[derive(Debug, Parser)]
#[command(
    name = "ringgear check-migration",
    override_usage = "ringgear check-migration [--json] [FILE]... [-- OPTIONS...]",
    after_help = "`ringgear help migration` tells the other steps"
)]
struct MigrationWords {
    /// Files with gearmand's options: such as set variables, and gearmand's own
    files: Vec<PathBuf>,

    /// Print an array of objects
    #[arg(long)]
    json: bool,

    /// What gearmand is started with
    #[arg(last = true)]
    options: Option<Vec<OsString>>,
}

/// The words of `ringgear check-migration`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    MigrationWords::command().name("check-migration")
}

/// Something differs, or is refused.
const DIFFERS: u8 = 1;

/// Something cannot be read, the command line among it.
const UNREADABLE: u8 = 2;

/// `ringgear check-migration ...`. Nobody may read what is printed; that changes nothing.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let asked: MigrationWords = match words::read("ringgear check-migration", words, UNREADABLE) {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    let lines = match migration::check(&asked.files, asked.options) {
        Ok(lines) => lines,
        Err(error) => {
            let _ = writeln!(io::stderr(), "ringgear check-migration: {error}");
            return ExitCode::from(UNREADABLE);
        }
    };
    let mut out = io::stdout().lock();
    let _ = match asked.json {
        true => writeln!(out, "{}", Value::Array(lines.iter().map(object).collect())),
        false => out.write_all(page(&lines).as_bytes()),
    };
    match lines.iter().any(|line| matches!(line.fate, Fate::Differs | Fate::Refused)) {
        true => ExitCode::from(DIFFERS),
        false => ExitCode::SUCCESS,
    }
}

fn object(line: &MigrationLine) -> Value {
    json!({
        "file": line.file.as_deref().map(Path::to_string_lossy),
        "line": line.line,
        "option": line.option,
        "given": line.given,
        "result": line.fate.name(),
        "what": line.what,
        "instead": line.instead,
    })
}

/// Where the options stand, then each with what becomes of it, in the end how many there are of each kind.
fn page(lines: &[MigrationLine]) -> String {
    let mut page = String::new();
    let mut heading = None;
    for line in lines {
        let place = match (&line.file, line.given) {
            (Some(file), _) => file.display().to_string(),
            (None, true) => "command line".to_owned(),
            (None, false) => "not given".to_owned(),
        };
        if heading.as_ref() != Some(&place) {
            page += &format!("{place}\n");
            heading = Some(place);
        }
        let number = line.line.map_or(String::new(), |number| format!("line {number}"));
        page += &format!("  {number:<9}{:<8} {}\n", line.fate.name(), line.option);
        for more in [Some(&line.what).filter(|what| !what.is_empty()).cloned(), instead(line)] {
            page += &more.map_or(String::new(), |more| format!("{:20}{more}\n", ""));
        }
    }
    let count = |fate| lines.iter().filter(|line| line.given && line.fate == fate).count();
    let counts = [Fate::Same, Fate::Note, Fate::Differs, Fate::Refused];
    let absent = lines.iter().filter(|line| !line.given && line.fate == Fate::Differs).count();
    let kinds = counts.map(|fate| format!("{} {}", count(fate), fate.name())).join(", ");
    page += &kinds;
    page += &match absent {
        0 => "\n".to_owned(),
        absent => format!("; {absent} not given, where the default differs\n"),
    };
    page
}

fn instead(line: &MigrationLine) -> Option<String> {
    line.instead.as_ref().map(|instead| format!("instead: {instead}"))
}
