//! That what is written for those who take part and those who update is true of the sources: places exist, options are options, and
//! the changelog and the version are one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands in single backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Files and folders of the repository that are named, without what stands for many.
fn places(text: &str) -> Vec<&str> {
    let tops = ["src/", "tests/", "loadgen/", "benches/", "results/", ".github/", ".ci/"];
    let names = quoted(text).filter(|name| tops.iter().any(|top| name.starts_with(top)));
    names.filter(|name| !name.contains(['*', ' ']) && !name.contains("TARGET")).collect()
}

#[test]
fn places_that_are_named_exist() {
    for (paper, least) in [(".github/CONTRIBUTING.md", 30), (".github/SECURITY.md", 4)] {
        let text = text(paper);
        let places = places(&text);
        assert!(places.len() >= least, "{paper} names {} places", places.len());
        for place in places {
            assert!(root().join(place).exists(), "{paper} names {place}, which is not there");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for paper in [".github/CONTRIBUTING.md", ".github/SECURITY.md", "CHANGELOG.md"] {
        let text = text(paper);
        let folder = Path::new(paper).parent().unwrap();
        let links: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
        assert!(!links.is_empty(), "{paper} has no links");
        for link in links.into_iter().filter(|link| !link.contains("://")) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { PathBuf::from(paper) } else { folder.join(file) };
            let there = fs::read_to_string(root().join(&path))
                .unwrap_or_else(|error| panic!("{paper}: {link}: {error}"));
            assert!(part.is_empty() || headings(&there).any(|heading| heading == part), "{paper}: {link}");
        }
    }
}

/// The headings of a page as GitHub names them in links.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let lines = page.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Every limit that the security page promises something about is an option, and every option among the limits is there.
#[test]
fn limits_that_promise_something_are_options() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringgear")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let options = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
    };
    let known = options(&help);
    let security = text(".github/SECURITY.md");
    let promised = options(&security);
    for option in &promised {
        assert!(known.contains(option), "SECURITY.md tells of {option}, which is no option");
    }
    for option in known.iter().filter(|option| option.starts_with("--max-")) {
        assert!(promised.contains(option), "SECURITY.md does not say what {option} promises");
    }
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = text("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## ")).unwrap();
    assert!(first.contains(env!("CARGO_PKG_VERSION")), "{first} is not about {}", env!("CARGO_PKG_VERSION"));
    let fuzz = text("tests/fuzz/Cargo.toml");
    let oldest = concat!("rust-version = \"", env!("CARGO_PKG_RUST_VERSION"), "\"");
    assert!(fuzz.contains(oldest), "tests/fuzz/Cargo.toml needs {oldest}");
}
