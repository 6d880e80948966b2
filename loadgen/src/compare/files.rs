//! The folder of a result: what is written there, and how it is read again.
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use hdrhistogram::Histogram;

use crate::compare::plot;
use crate::compare::rows::Row;
use crate::compare::side::Side;
use crate::result::chart::svg;
use crate::result::outcome::Outcome;
use crate::result::record::Span;
use crate::result::{hgrm, report};
use crate::run::conduct::Finding;

/// The file that `compare` reads.
pub(crate) const RESULT: &str = "result.json";

/// Makes the folder of a result before anything is measured, and sees that it takes files. Results are not mixed: a folder that
/// has one, its own or that of rounds, is refused.
pub(crate) fn prepare(folder: &Path) -> Result<(), String> {
    let say = |error: &dyn std::fmt::Display| format!("--out {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(|error| say(&error))?;
    let probe = folder.join("result.part");
    fs::write(&probe, vec![b' '; 1 << 20]).map_err(|error| say(&error))?;
    fs::remove_file(&probe).map_err(|error| say(&error))?;
    let entries = fs::read_dir(folder).map_err(|error| say(&error))?;
    let is_result =
        |path: &Path| [RESULT, "compare.md", "sweep.json"].iter().any(|name| path.join(name).exists());
    let rounds =
        entries.flatten().any(|entry| is_result(&entry.path()) || is_result(&entry.path().join("001")));
    if rounds || is_result(folder) {
        return Err(say(&"there is a result in it already; name another folder, or take that away first"));
    }
    Ok(())
}

/// Writes everything about a run into a folder, which is made.
pub(crate) fn write(folder: &Path, finding: &Finding) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let outcome = &finding.outcome;
    place(folder, RESULT, &serde_json::to_vec_pretty(outcome)?)?;
    place(folder, "plan.toml", toml::to_string(&outcome.plan).map_err(io::Error::other)?.as_bytes())?;
    place(folder, "report.md", report::markdown(outcome).as_bytes())?;
    let histograms = named(finding);
    for (name, histogram) in &histograms {
        place(folder, &format!("{name}.hgrm"), hgrm::table(histogram).as_bytes())?;
    }
    place_with(folder, "histograms.hlog", |log| hgrm::log(log, outcome.began, &histograms))?;
    let version = outcome.server.version.as_deref().unwrap_or("");
    let title = format!("{} · {} {version}", outcome.plan.name, outcome.label);
    place(folder, "plot.svg", svg(&title, &plot::of_run(finding))?.as_bytes())
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

/// Writes what is said about two job servers, and their picture, beside the folders of their rounds.
pub(crate) fn write_comparison(folder: &Path, text: &str, rows: &[Row], sides: [&Side; 2]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    place(folder, "compare.json", &serde_json::to_vec_pretty(rows)?)?;
    place(folder, "compare.md", text.as_bytes())?;
    let plan = sides[0].outcomes.first().map_or("", |outcome| outcome.plan.name.as_str());
    let title = format!("{plan} · {} and {}", sides[0].label(), sides[1].label());
    place(folder, "plot.svg", svg(&title, &plot::of_both(sides))?.as_bytes())
}

/// Reads a result again.
pub(crate) fn read(file: &Path) -> Result<Outcome, String> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
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
    let mut named = vec![];
    let plan = &finding.outcome.plan;
    let groups: Vec<&str> = plan
        .phases
        .iter()
        .flat_map(|phase| phase.clients.iter().map(|clients| clients.name.as_str()))
        .collect();
    let phases = finding.outcome.phases.iter().zip(&finding.recorders).enumerate();
    for (number, (phase, recorder)) in phases.filter(|(_, (phase, _))| phase.measured) {
        let prefix = format!("{}-{}", number + 1, slug(&phase.name));
        if !recorder.timer_error.is_empty() {
            named.push((format!("{prefix}-timer-error"), &recorder.timer_error));
        }
        for (spans, group) in recorder.groups.iter().zip(&groups) {
            let Some(spans) = spans else { continue };
            for (span, pair) in Span::ALL.into_iter().zip(spans.iter()) {
                let name = format!("{prefix}-{}-{}", slug(group), span.name());
                if !pair.service.is_empty() {
                    named.push((format!("{name}-service"), &pair.service));
                }
                if !pair.response.is_empty() {
                    named.push((name, &pair.response));
                }
            }
        }
    }
    named
}

/// A name without anything that a shell or a log would mind.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter.to_ascii_lowercase()),
            // A thousand's comma joins, everything else separates.
            ',' => {}
            _ if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_not_mixed_and_a_folder_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        prepare(&out).unwrap();
        fs::create_dir_all(out.join("ours/001")).unwrap();
        fs::write(out.join("ours/001").join(RESULT), "{}").unwrap();
        let error = prepare(&out).unwrap_err();
        assert!(error.contains("another folder"), "{error}");
        assert!(prepare(Path::new("/proc/none")).unwrap_err().contains("/proc/none"));
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
    fn names_become_files() {
        assert_eq!(slug("steady, 2,000 jobs a second"), "steady-2000-jobs-a-second");
        assert_eq!(slug("../x"), "x");
    }
}
