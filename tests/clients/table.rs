//! The cases that every check reports, and the tables in the READMEs that are made of what the checks say.
use crate::check::{Outcome, Verdict};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What every check reports, whether or not the library has it.
pub(crate) const CASES: &[&str] = &[
    "foreground",
    "background",
    "high",
    "low",
    "priorities",
    "status-running",
    "status-known",
    "status-unknown",
    "progress",
    "data",
    "warning",
    "exception",
    "fail",
    "unique",
    "binary",
    "empty",
    "large",
    "dying-worker",
    "several-functions",
    "timeout",
    "echo",
    "admin",
    "restart",
    "two-servers",
];

const BEGIN: &str = "<!-- clients: begin -->\n";
const END: &str = "<!-- clients: end -->";

/// Compares the table in `tests/README.md` with what was seen, or writes it if RINGGEAR_KEEP is 1.
#[track_caller]
pub(crate) fn libraries<'o>(outcomes: impl Iterator<Item = (&'static str, &'o Outcome)>) {
    let mut table =
        String::from("| library | version | cases that work | not in the library |\n|---|---|---|---|\n");
    for (name, outcome) in outcomes {
        table.push_str(&row(name, outcome));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark of the table's begin");
    let (written, after) = rest.split_once(END).expect("the README has the mark of the table's end");
    if std::env::var_os("RINGGEAR_KEEP").is_some_and(|value| value == "1") {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        written, table,
        "what tests/README.md says of client libraries; RINGGEAR_KEEP=1 writes it anew"
    );
}

fn row(name: &str, outcome: &Outcome) -> String {
    let works = |case: &str| outcome.verdict(case) == Some(&Verdict::Ok);
    let common = CASES.iter().filter(|case| works(case)).count();
    let own: Vec<&str> = outcome
        .cases
        .iter()
        .map(|(case, _)| case.as_str())
        .filter(|case| !CASES.contains(case) && works(case))
        .collect();
    let own = if own.is_empty() { String::new() } else { format!(" and {}", own.join(", ")) };
    let absent: Vec<String> = outcome
        .cases
        .iter()
        .filter_map(|(case, verdict)| match verdict {
            Verdict::Absent(reason) => Some(format!("{case}: {}", reason.replace('|', "\\|"))),
            Verdict::Ok | Verdict::Failed(_) => None,
        })
        .collect();
    format!("| {name} | {} | {common}{own} | {} |\n", outcome.version, absent.join("; "))
}

/// Behind a case in README.md that differs in some runs only.
const AT_TIMES: &str = " (at times)";

/// Prints where gearmand differs from our server, and compares it with the rows `| library | case | …` of README.md
/// beside this file: each difference is explained there, and nothing else is, but for what is so at times.
#[track_caller]
pub(crate) fn differences<'o>(outcomes: impl Iterator<Item = (&'static str, &'o Outcome, &'o Outcome)>) {
    let mut seen = BTreeSet::new();
    for (name, ours, gearmand) in outcomes {
        for case in names(ours, gearmand) {
            let verdicts = (ours.verdict(case), gearmand.verdict(case));
            if verdicts.0 != verdicts.1 {
                println!("{name}: {case}: ours {:?}, gearmand {:?}", verdicts.0, verdicts.1);
                seen.insert(format!("{name} {case}"));
            }
        }
        for trouble in &gearmand.troubles {
            println!("{name} against gearmand: {trouble}");
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let explained = explained(&readme);
    let may_be = |case: &String| explained.contains(case) || explained.contains(&format!("{case}{AT_TIMES}"));
    let new: Vec<&String> = seen.iter().filter(|case| !may_be(case)).collect();
    let old = explained.iter().filter(|case| !case.ends_with(AT_TIMES) && !seen.contains(*case));
    let old: Vec<&String> = old.collect();
    assert!(
        new.is_empty() && old.is_empty(),
        "tests/clients/README.md does not explain {new:?}; it explains {old:?}, where no difference was seen"
    );
}

/// The cases that either of them reported, in order, each once.
fn names<'o>(ours: &'o Outcome, gearmand: &'o Outcome) -> Vec<&'o str> {
    let mut names: Vec<&str> = Vec::new();
    for (case, _) in ours.cases.iter().chain(&gearmand.cases) {
        if !names.contains(&case.as_str()) {
            names.push(case);
        }
    }
    names
}

/// The first two columns of the table below the heading on differences.
fn explained(readme: &str) -> BTreeSet<String> {
    let (_, rest) = readme.split_once("## Differences from gearmand").expect("the README has this heading");
    let rows = rest.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| library"));
    rows.map(|row| row.split('|').skip(1).take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}
