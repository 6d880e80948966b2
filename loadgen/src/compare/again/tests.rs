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
    let (sides, said) = folders(kept.path(), None, None).unwrap();
    assert!(said.contains("| fill | jobs/s |") && said.ends_with("index.html\n"), "{said}");
    // Nothing else tells who was first.
    assert_eq!([sides[0].label(), sides[1].label()], ["alpha", "zeta"]);
    for name in ["index.html", "compare.md", "compare.json", "plot.svg"] {
        assert!(kept.path().join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(kept.path().join("index.html")).unwrap();
    assert!(page.contains("fill: submit→JOB_CREATED by percentile, closed loop"));
    // Who was first in a comparison stays first.
    let pair = [kept.path().join("zeta"), kept.path().join("alpha")];
    folders(&pair[0], Some(&pair[1]), Some(kept.path())).unwrap();
    let (again, _) = folders(kept.path(), None, None).unwrap();
    assert_eq!([again[0].label(), again[1].label()], ["zeta", "alpha"]);
}

#[test]
fn two_folders_leave_nothing_unless_asked_to() {
    let kept = kept(|_| {});
    let pair = [kept.path().join("zeta"), kept.path().join("alpha")];
    folders(&pair[0], Some(&pair[1]), None).unwrap();
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 2);
    let out = kept.path().join("out");
    folders(&pair[0], Some(&pair[1]), Some(&out)).unwrap();
    assert!(out.join("index.html").is_file());
    assert_eq!(fs::read_dir(&pair[0]).unwrap().count(), 2);
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
                series.as_object_mut().unwrap().remove("interval").unwrap();
            }
        }
        fs::write(&file, value.to_string()).unwrap();
    }
    assert_eq!(in_folders(kept.path(), None), Ok(0));
}
