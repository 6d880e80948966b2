//! The plans that can be run by name. They are files of the source, so that a name means the same plan
//! wherever the program runs.
use std::fs;

use crate::plan::terms::Plan;

macro_rules! plans {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of every plan, the scenarios first, then the measuring loads.
        pub(crate) const PLANS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../plans/", $name, ".toml")))),+];
    };
}

plans! {
    "verdict", "shazam", "etsy", "dealnews", "thumbnails", "logger", "batch", "functions", "sleepers", "idle",
    "drain", "uniques", "noisy",
    "flood", "flood-uniques", "foreground", "foreground-grabs8", "one-deep", "thousand", "functions-all",
    "functions-split", "drain-uniques", "payload", "steady", "settled",
    "durable", "durable-deep", "durable-light", "durable-beside",
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

/// Every plan with its sentence.
pub(crate) fn list() -> String {
    let mut lines = String::new();
    for (name, text) in PLANS {
        let about = toml::from_str::<Plan>(text).map_or_else(|error| error.to_string(), |plan| plan.about);
        lines.push_str(&format!("{name:<18} {about}\n"));
    }
    lines
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
}
