//! The folder of a result: what is written there, and how it is read again.
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::compare::comparison::Comparison;
use crate::compare::names::tag;
use crate::compare::side::Side;
use crate::compare::{histograms, page, plot};
use crate::job::names::slug;
use crate::result::chart::svg;
use crate::result::intervals::kinds;
use crate::result::outcome::Outcome;
use crate::result::span::Interval;
use crate::result::{hgrm, intervals, report, schema, tables};
use crate::run::conduct::Finding;

/// The file that `compare` reads.
pub(crate) const RESULT: &str = "result.json";
/// A comparison for other programs.
const COMPARISON: &str = "compare.json";
/// What became of the thresholds of a comparison.
pub(crate) const THRESHOLDS: &str = "thresholds.json";
const PLOT: &str = "plot.svg";
/// What to open.
pub(crate) const PAGE: &str = "index.html";

/// A folder for a result that has none: its name with the time behind it.
pub(crate) fn dated(name: &str) -> PathBuf {
    PathBuf::from(format!("{name}-{}", jiff::Timestamp::now().strftime("%Y-%m-%d-%H%M%S")))
}

/// Where results are kept that nobody named a folder for.
const KEPT: &str = "ringgear-load-results";

/// The same for a run of a plan; nothing, and a word about it, where no file can be written.
pub(crate) fn usual(plan: &str) -> Option<PathBuf> {
    let folder = dated(&format!("{KEPT}/{}", slug(plan)));
    match prepare(&folder, false) {
        Ok(()) => Some(folder),
        Err(error) => {
            eprintln!("the result is not kept: {}", error.trim_start_matches("--out "));
            None
        }
    }
}

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

/// Takes away every file that may be a result's, in the folder and in those of its sides, rounds and steps, and the folders that
/// are empty after that. Whatever else there is stays.
fn take_away(folder: &Path) -> io::Result<()> {
    let is_result =
        |name: &str| KNOWN.contains(&name) || [".hgrm", ".part"].iter().any(|ending| name.ends_with(ending));
    for place in folders(folder).map_err(io::Error::other)? {
        take_away(&place)?;
        // One that has something else stays.
        let _ = fs::remove_dir(&place);
    }
    for file in fs::read_dir(folder)?.flatten() {
        if file.file_type()?.is_file() && file.file_name().to_str().is_some_and(is_result) {
            fs::remove_file(file.path())?;
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
    THRESHOLDS,
];

/// Writes everything about a run into a folder, which is made.
pub(crate) fn write(folder: &Path, finding: &Finding) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let outcome = &finding.outcome;
    place(folder, RESULT, &schema::write(outcome)?)?;
    place(folder, "plan.toml", toml::to_string(&outcome.plan).map_err(io::Error::other)?.as_bytes())?;
    place(folder, "report.md", report::markdown(outcome).as_bytes())?;
    place(folder, "series.csv", &tables::series(outcome)?)?;
    place(folder, "percentiles.csv", &tables::percentiles(outcome, &finding.recorders)?)?;
    let histograms = named(finding);
    for (name, histogram) in &histograms {
        place(folder, &format!("{name}.hgrm"), hgrm::table(histogram).as_bytes())?;
    }
    place_with(folder, histograms::LOG, |log| intervals::log(log, outcome.began, &named_intervals(finding)))?;
    let version = outcome.server.version.as_deref().unwrap_or("");
    let title = format!("{} · {} {version}", outcome.plan.name, outcome.label);
    let charts = plot::of_run(finding);
    let picture = svg(&title, &charts)?;
    place(folder, PLOT, picture.as_bytes())?;
    place(folder, PAGE, page::of_run(&title, outcome, &charts, &picture)?.as_bytes())
}

/// Writes a file of a result, all of it or none: a disk that is full must not leave one that looks whole.
pub(crate) fn place(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    place_with(folder, name, |out| out.write_all(bytes))
}

/// The same of what writes itself.
fn place_with(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let part = folder.join(format!("{name}.part"));
    let written = File::create(&part).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush()
    });
    let placed = written.and_then(|()| fs::rename(&part, folder.join(name)));
    if placed.is_err() {
        // It is of no use and may have taken the last of the disk.
        let _ = fs::remove_file(&part);
    }
    placed.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

/// Writes what is said about two job servers, and their pictures, beside the folders of their rounds.
pub(crate) fn write_comparison(
    folder: &Path,
    text: &str,
    comparison: &Comparison,
    sides: [&Side; 2],
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    place(folder, COMPARISON, &serde_json::to_vec_pretty(comparison)?)?;
    place(folder, "compare.md", text.as_bytes())?;
    let charts = plot::of_both(sides);
    let title = format!("{} · {} and {}", comparison.plan, sides[0].label(), sides[1].label());
    let picture = svg(&title, &charts)?;
    place(folder, PLOT, picture.as_bytes())?;
    place(folder, PAGE, page::of_both(&title, comparison, sides, &charts, &picture)?.as_bytes())
}

/// Reads a result again.
pub(crate) fn read(file: &Path) -> Result<Outcome, String> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    schema::read(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// All results in a folder, its own or those of its rounds, and their histograms.
pub(crate) fn read_side(folder: &Path) -> Result<Side, String> {
    let rounds = rounds(folder)?;
    if rounds.is_empty() {
        return Err(format!(
            "{}: there is no {RESULT} in it, nor in its folders; name the folder of a run or of the rounds of one job server",
            folder.display()
        ));
    }
    let mut side = Side::default();
    for round in rounds {
        let outcome = read(&round.join(RESULT))?;
        let recorders = histograms::read(&round, &outcome)?;
        side.take(Finding { outcome, recorders });
    }
    Ok(side)
}

/// The two job servers whose rounds are in one folder, in the order in which they were compared if that is told there.
pub(crate) fn sides(folder: &Path) -> Result<[PathBuf; 2], String> {
    let mut sides: Vec<PathBuf> = vec![];
    if !folder.join(RESULT).is_file() {
        for inner in folders(folder)? {
            if !inner.join(RESULT).is_file() && !rounds(&inner)?.is_empty() {
                sides.push(inner);
            }
        }
    }
    // Without the file, or an older one, the order of the alphabet does.
    let told = fs::read(folder.join(COMPARISON)).ok().and_then(|text| Comparison::read(&text));
    let first = told.map(|told| slug(&told.sides[0]));
    sides.sort_by_key(|side| first.as_deref().is_some_and(|first| !side.ends_with(first)));
    let count = sides.len();
    <[PathBuf; 2]>::try_from(sides).map_err(|_| {
        format!(
            "{}: {count} folders in it have rounds of a job server, and two are needed; name both: compare DIR DIR",
            folder.display()
        )
    })
}

/// The folders of the results in a folder, in order: itself, or its rounds.
fn rounds(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let own = [folder.to_owned()].into_iter().chain(folders(folder)?);
    let mut rounds: Vec<PathBuf> = own.filter(|folder| folder.join(RESULT).is_file()).collect();
    if folder.join(RESULT).is_file() {
        rounds.truncate(1);
    }
    Ok(rounds)
}

/// The folders in a folder, in the order of their names.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Links are not followed: what lies behind them is no result of ours.
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut folders: Vec<PathBuf> = entries.flatten().filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    Ok(folders)
}

/// The histograms of all measured phases, with names that can be those of files.
fn named(finding: &Finding) -> Vec<(String, &Histogram<u64>)> {
    let phases =
        finding.recorders.iter().enumerate().filter(|(phase, _)| finding.outcome.phases[*phase].measured);
    let all = phases.flat_map(|(phase, recorder)| {
        kinds(recorder)
            .into_iter()
            .map(move |(kind, histogram)| (tag(&finding.outcome.plan, phase, kind), histogram))
    });
    all.collect()
}

/// The same by interval.
fn named_intervals(finding: &Finding) -> Vec<(String, &Interval)> {
    let phases =
        finding.recorders.iter().enumerate().filter(|(phase, _)| finding.outcome.phases[*phase].measured);
    let all = phases.flat_map(|(phase, recorder)| {
        recorder
            .intervals
            .iter()
            .map(move |interval| (tag(&finding.outcome.plan, phase, interval.kind), interval))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{Recorder, histogram};
    use crate::result::span::Span;
    use crate::tests::background;

    #[test]
    fn results_are_not_mixed_and_a_folder_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        prepare(&out, false).unwrap();
        fs::create_dir_all(out.join("ours/001")).unwrap();
        fs::write(out.join("ours/001").join(RESULT), "{}").unwrap();
        fs::write(out.join("ours/001/1-x-result.hgrm"), "").unwrap();
        fs::write(out.join("compare.md"), "").unwrap();
        fs::write(out.join("thresholds.json"), "").unwrap();
        fs::create_dir_all(out.join("ours/sweep-1/001-1000")).unwrap();
        fs::write(out.join("ours/sweep-1/001-1000").join(RESULT), "{}").unwrap();
        fs::write(out.join("diary.md"), "mine").unwrap();
        let error = prepare(&out, false).unwrap_err();
        assert!(error.contains("another folder"), "{error}");
        prepare(&out, true).unwrap();
        let left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["diary.md"]);
        prepare(&out, false).unwrap();
        assert!(prepare(Path::new("/proc/none"), false).unwrap_err().contains("/proc/none"));
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        place(folder.path(), "a", b"old").unwrap();
        let full = |out: &mut BufWriter<File>| {
            out.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        for name in ["a", "b"] {
            let error = place_with(folder.path(), name, full).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        }
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(
            (left.as_slice(), fs::read(folder.path().join("a")).unwrap()),
            (&["a".into()][..], b"old".to_vec())
        );
    }

    #[test]
    fn what_was_written_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let finding = background();
        write(folder.path(), &finding).unwrap();
        let read = histograms::read(folder.path(), &finding.outcome).unwrap();
        assert_eq!(read.len(), finding.recorders.len());
        for (read, written) in read.iter().zip(&finding.recorders) {
            for span in Span::ALL {
                let of = |recorder: &Recorder| {
                    recorder.groups[0]
                        .as_ref()
                        .map_or(histogram(), |spans| spans[span as usize].response.clone())
                };
                assert_eq!(of(read), of(written), "{span:?}");
            }
        }
    }

    #[test]
    fn what_was_not_answered_is_a_lower_bound_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut finding = background();
        let told = &mut finding.outcome.phases[0].groups[0].spans[0];
        (told.unanswered, told.at_least) = (7, Some(2.5));
        write(folder.path(), &finding).unwrap();
        let read = histograms::read(folder.path(), &finding.outcome).unwrap();
        let pair = &read[0].groups[0].as_ref().unwrap()[Span::Created as usize];
        assert_eq!((pair.unanswered, pair.at_least), (7, 2500));
    }
}
