//! Results that are read again: files, folders, and what does not fit together.
use std::fs;

use super::*;
use crate::run::conduct::Finding;
use crate::tests::{background, in_folders};

/// Two rounds of each of two job servers, in one folder, after a change of what was found.
fn kept(change: impl Fn(&mut Finding)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for label in ["zeta", "alpha"] {
        for round in ["001", "002"] {
            let mut finding = background();
            label.clone_into(&mut finding.outcome.label);
            if label == "alpha" {
                change(&mut finding);
            }
            files::write(&folder.path().join(label).join(round), &finding).unwrap();
        }
    }
    folder
}

#[test]
fn one_folder_with_two_sides_is_compared_and_gets_the_page() {
    let kept = kept(|_| {});
    let again = Again::read(kept.path(), None).unwrap();
    // Nothing else tells who was first.
    assert_eq!(again.sides.each_ref().map(Side::label), ["alpha", "zeta"]);
    assert!(again.text.contains("| fill | jobs/s |"), "{}", again.text);
    assert_eq!(again.write(kept.path()), Ok(kept.path().join("index.html")));
    for name in ["index.html", "compare.md", "compare.json", "plot.svg"] {
        assert!(kept.path().join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(kept.path().join("index.html")).unwrap();
    assert!(page.contains("fill: submit→JOB_CREATED by percentile, closed loop"));
    // Who was first in a comparison stays first.
    let pair = [kept.path().join("zeta"), kept.path().join("alpha")];
    Again::read(&pair[0], Some(&pair[1])).unwrap().write(kept.path()).unwrap();
    let again = Again::read(kept.path(), None).unwrap();
    assert_eq!(again.sides.map(|side| side.label().to_owned()), ["zeta", "alpha"]);
}

#[test]
fn a_folder_that_takes_no_files_is_named() {
    let again = Again::read(kept(|_| {}).path(), None).unwrap();
    let error = again.write(Path::new("/proc/none")).unwrap_err();
    assert!(error.starts_with("/proc/none: "), "{error}");
}

#[test]
fn the_status_is_that_of_the_worse_side() {
    let status = |change: &dyn Fn(&mut Finding)| in_folders(kept(change).path(), None);
    assert_eq!(status(&|_| {}), Ok(0));
    assert_eq!(status(&|finding| finding.outcome.tally.lost = 1), Ok(1));
    assert_eq!(status(&|finding| finding.outcome.phases[0].finished = false), Ok(3));
}

#[test]
fn a_wrong_folder_says_what_is_needed() {
    let kept = kept(|_| {});
    let one = in_folders(&kept.path().join("zeta"), None).unwrap_err();
    assert!(one.contains("0 folders in it have rounds") && one.contains("compare DIR DIR"), "{one}");
    let none = in_folders(&kept.path().join("zeta"), Some(&kept.path().join("none"))).unwrap_err();
    assert!(none.contains("none: No such file"), "{none}");
    let both = in_folders(kept.path(), Some(&kept.path().join("zeta"))).unwrap_err();
    assert!(both.contains("there is no result.json in it"), "{both}");
}

#[test]
fn older_results_without_series_and_histograms_are_compared_too() {
    let kept = kept(|_| {});
    for round in ["zeta/001", "zeta/002", "alpha/001", "alpha/002"] {
        let folder = kept.path().join(round);
        fs::remove_file(folder.join("histograms.hlog")).unwrap();
        let file = folder.join("result.json");
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for field in ["cpu", "memory"] {
            value.as_object_mut().unwrap().remove(field).unwrap();
        }
        for phase in value["phases"].as_array_mut().unwrap() {
            for series in phase["series"].as_array_mut().unwrap() {
                for point in series["points"].as_array_mut().unwrap() {
                    point.as_object_mut().unwrap().remove("seconds").unwrap();
                }
            }
        }
        fs::write(&file, value.to_string()).unwrap();
    }
    assert_eq!(in_folders(kept.path(), None), Ok(0));
}
