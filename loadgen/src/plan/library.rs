//! The plans that can be run by name. They are files of the source, so that a name means the same plan
//! wherever the program runs.
use std::fmt::Write;
use std::fs;

use crate::plan::terms::Plan;

macro_rules! plans {
    ($($heading:literal: [$($name:literal),+ $(,)?]),+ $(,)?) => {
        /// Name and text of every plan, in the order of the headings.
        pub(crate) const PLANS: &[(&str, &str)] =
            &[$($(($name, include_str!(concat!("../../plans/", $name, ".toml")))),+),+];

        /// Headings, each with the names below it.
        const HEADINGS: &[(&str, &[&str])] = &[$(($heading, &[$($name),+])),+];
    };
}

plans! {
    "To begin with": ["verdict"],
    "Stories: whose load it is": [
        "shazam", "etsy", "dealnews", "thumbnails", "mod-gearman", "zuul", "logger", "php", "log-pipe", "batch", "noisy",
    ],
    "Rates that change": ["burst", "ramp"],
    "Many functions, workers and connections": [
        "functions", "functions-all", "functions-split", "sleepers", "idle", "settled",
    ],
    "Queues": ["drain", "drain-uniques", "uniques", "flood", "flood-uniques"],
    "Measuring loads": ["steady", "foreground", "foreground-grabs8", "one-deep", "thousand", "payload"],
    "Durable job servers": ["crash", "durable", "durable-light", "durable-deep", "durable-beside"],
}

/// What runs without arguments.
pub(crate) const DEFAULT: &str = "verdict";

/// The text of a plan, by name or path.
pub(crate) fn text(name: &str) -> Result<String, String> {
    if let Some((_, text)) = PLANS.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    if !name.contains(['.', '/']) {
        return Err(format!("there is no plan {name}; `ringgear-load plans` lists them"));
    }
    fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))
}

/// Every plan below its heading, with its length and its sentence.
pub(crate) fn list() -> String {
    let mut lines = String::new();
    for (heading, names) in HEADINGS {
        let _ = writeln!(lines, "{}{heading}", if lines.is_empty() { "" } else { "\n" });
        for name in *names {
            let plan = text(name).and_then(|text| toml::from_str(&text).map_err(|error| error.to_string()));
            let _ = match plan {
                Ok(plan) => writeln!(lines, "  {name:<18} {:>6}  {}", length(&plan), plan.about),
                Err(error) => writeln!(lines, "  {name:<18} {error}"),
            };
        }
    }
    lines
        + "\nSeconds with a + do not count phases that last until their jobs are done. `show PLAN` prints a plan.\n"
}

/// How long the phases of a plan take together, as far as it says.
fn length(plan: &Plan) -> String {
    // The sum of nothing is minus zero.
    let seconds = plan.phases.iter().filter_map(|phase| phase.seconds).sum::<f64>() + 0.0;
    let open = plan.phases.iter().any(|phase| phase.seconds.is_none());
    format!("{seconds} s{}", if open { "+" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_plan_with_a_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/plans");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
        let mut files: Vec<String> =
            files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        files.sort_unstable();
        let mut names: Vec<&str> = PLANS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn the_list_tells_how_long_a_plan_is() {
        let list = list();
        let line = |name: &str| {
            list.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap().to_owned()
        };
        assert!(line("burst").contains(" 21 s   Quiet and busy"), "{list}");
        // Filling and emptying take what they take.
        assert!(line("drain").contains(" 6 s+  A million"), "{list}");
        assert!(line("uniques").contains(" 0 s+  Every"), "{list}");
        for (name, _) in PLANS {
            line(name);
        }
        assert!(list.starts_with("To begin with\n  verdict") && list.contains("\n\nDurable"), "{list}");
    }
}
