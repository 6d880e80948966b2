//! The folder of a result: what is written there, and how it is read again.
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::compare::plot;
use crate::compare::rows::Row;
use crate::compare::side::Side;
use crate::job::names::slug;
use crate::plan::names;
use crate::result::intervals::{Interval, Kind, kinds};
use crate::result::outcome::Outcome;
use crate::result::{hgrm, intervals, report, schema, tables};
use crate::run::conduct::Finding;

/// The file that `compare` reads.
pub(crate) const RESULT: &str = "result.json";

/// Makes the folder of a result before anything is measured, and sees that it takes files. Results are not mixed: a folder that
/// has one, its own or that of rounds, is refused, or emptied of it if `force`.
pub(crate) fn prepare(folder: &Path, force: bool) -> Result<(), String> {
    let say = |error: &dyn std::fmt::Display| format!("--out {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(|error| say(&error))?;
    let probe = folder.join("result.part");
    fs::write(&probe, vec![b' '; 1 << 20]).map_err(|error| say(&error))?;
    fs::remove_file(&probe).map_err(|error| say(&error))?;
    if force {
        return take_away(folder).map_err(|error| say(&error));
    }
    let entries = fs::read_dir(folder).map_err(|error| say(&error))?;
    let is_result =
        |path: &Path| [RESULT, "compare.md", "sweep.json"].iter().any(|name| path.join(name).exists());
    let rounds =
        entries.flatten().any(|entry| is_result(&entry.path()) || is_result(&entry.path().join("001")));
    if rounds || is_result(folder) {
        return Err(say(
            &"there is a result in it already; name another folder, or take that away with --force",
        ));
    }
    Ok(())
}

/// Takes away every file that may be a result's, in the folder and in those of its sides and rounds, and the folders that are
/// empty after that. Whatever else there is stays.
fn take_away(folder: &Path) -> io::Result<()> {
    let is_result =
        |name: &str| KNOWN.contains(&name) || [".hgrm", ".part"].iter().any(|ending| name.ends_with(ending));
    for side in [vec![folder.to_owned()], folders(folder)?].concat() {
        let rounds = if side == folder { vec![] } else { folders(&side)? };
        for place in rounds.iter().chain([&side]) {
            for file in fs::read_dir(place)?.flatten() {
                if file.file_type()?.is_file() && file.file_name().to_str().is_some_and(is_result) {
                    fs::remove_file(file.path())?;
                }
            }
            // One that has something else stays.
            if place != folder {
                let _ = fs::remove_dir(place);
            }
        }
    }
    Ok(())
}

/// The files of results, but for histograms.
const KNOWN: [&str; 16] = [
    RESULT,
    "plan.toml",
    "report.md",
    "plot.svg",
    "histograms.hlog",
    "compare.md",
    "compare.json",
    "index.html",
    "sweep.json",
    "sweep.svg",
    "sweep.md",
    "sweep.csv",
    "series.csv",
    "percentiles.csv",
    "junit.xml",
    "ledger.json",
];

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    // Links are not followed: what lies behind them is no result of ours.
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(fs::read_dir(folder)?.flatten().filter(is_folder).map(|entry| entry.path()).collect())
}

/// Writes everything about a run into a folder, which is made.
pub(crate) fn write(folder: &Path, finding: &Finding) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let outcome = &finding.outcome;
    fs::write(folder.join(RESULT), schema::write(outcome)?)?;
    fs::write(folder.join("plan.toml"), toml::to_string(&outcome.plan).map_err(io::Error::other)?)?;
    fs::write(folder.join("report.md"), report::markdown(outcome))?;
    fs::write(folder.join("plot.svg"), plot::plot(finding))?;
    fs::write(folder.join("series.csv"), tables::series(outcome)?)?;
    fs::write(folder.join("percentiles.csv"), tables::percentiles(outcome, &finding.recorders)?)?;
    let histograms = named(finding);
    for (name, histogram) in &histograms {
        fs::write(folder.join(format!("{name}.hgrm")), hgrm::table(histogram))?;
    }
    let mut log = BufWriter::new(File::create(folder.join("histograms.hlog"))?);
    intervals::log(&mut log, outcome.began, &named_intervals(finding))
}

/// Writes what is said about two job servers, and their picture, beside the folders of their rounds.
pub(crate) fn write_comparison(folder: &Path, text: &str, rows: &[Row], sides: [&Side; 2]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("compare.json"), serde_json::to_vec_pretty(rows)?)?;
    fs::write(folder.join("compare.md"), text)?;
    fs::write(folder.join("plot.svg"), plot::both(sides))
}

/// Reads a result again.
pub(crate) fn read(file: &Path) -> Result<Outcome, String> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    schema::read(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// All results in a folder: its own, or those of its rounds.
pub(crate) fn read_rounds(folder: &Path) -> Result<Vec<Outcome>, String> {
    let own = folder.join(RESULT);
    if own.is_file() {
        return Ok(vec![read(&own)?]);
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path().join(RESULT)).collect();
    files.retain(|file| file.is_file());
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: there is no {RESULT} in it, nor in its folders", folder.display()));
    }
    files.iter().map(|file| read(file)).collect()
}

/// The histograms of all measured phases, with names that can be those of files.
fn named(finding: &Finding) -> Vec<(String, &Histogram<u64>)> {
    let phases =
        finding.recorders.iter().enumerate().filter(|(phase, _)| finding.outcome.phases[*phase].measured);
    let all = phases.flat_map(|(phase, recorder)| {
        kinds(recorder).into_iter().map(move |(kind, histogram)| (name(finding, phase, kind), histogram))
    });
    all.collect()
}

/// The same by interval.
fn named_intervals(finding: &Finding) -> Vec<(String, &Interval)> {
    let phases =
        finding.recorders.iter().enumerate().filter(|(phase, _)| finding.outcome.phases[*phase].measured);
    let all = phases.flat_map(|(phase, recorder)| {
        recorder.intervals.iter().map(move |interval| (name(finding, phase, interval.kind), interval))
    });
    all.collect()
}

/// What a histogram of a phase is called as a file and as a tag.
fn name(finding: &Finding, phase: usize, kind: Kind) -> String {
    let plan = &finding.outcome.plan;
    let prefix = format!("{}-{}", phase + 1, slug(&plan.phases[phase].name));
    match kind {
        Kind::TimerError => format!("{prefix}-timer-error"),
        Kind::Latency { group, span, service } => {
            let group = names::in_phase(plan, phase).get(group).map_or_else(String::new, |name| slug(name));
            let service = if service { "-service" } else { "" };
            format!("{prefix}-{group}-{}{service}", span.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_not_mixed_and_a_folder_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        prepare(&out, false).unwrap();
        fs::create_dir_all(out.join("ours/001")).unwrap();
        fs::write(out.join("ours/001").join(RESULT), "{}").unwrap();
        fs::write(out.join("ours/001/1-x-result.hgrm"), "").unwrap();
        fs::write(out.join("compare.md"), "").unwrap();
        fs::write(out.join("diary.md"), "mine").unwrap();
        let error = prepare(&out, false).unwrap_err();
        assert!(error.contains("another folder"), "{error}");
        prepare(&out, true).unwrap();
        let left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["diary.md"]);
        prepare(&out, false).unwrap();
        assert!(prepare(Path::new("/proc/none"), false).unwrap_err().contains("/proc/none"));
    }
}
