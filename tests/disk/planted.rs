//! Bugs that were planted, and that the tests must find.
use super::model::Audit;
use super::{damage, faults, histories, repair};
use ringgear::store::log::PlantedBug;

#[test]
fn every_planted_bug_is_found() {
    let mut survivors = Vec::new();
    for planted in PlantedBug::ALL {
        let mut audit = Audit::default();
        let mut by = "histories";
        histories::some(planted, &mut audit);
        if audit.is_clean() {
            by = "faults";
            faults::some(planted, &mut audit);
        }
        let mut found = !audit.is_clean();
        if !found {
            by = "damage";
            found = damage::missed_flips(Some(planted)).0 > 0;
        }
        if !found {
            by = "repair";
            found = repair::finds(planted);
        }
        if found {
            println!("{planted:?}: found by {by} {audit:?}");
        } else {
            survivors.push(planted);
        }
    }
    assert!(survivors.is_empty(), "nothing found {survivors:?}");
}
