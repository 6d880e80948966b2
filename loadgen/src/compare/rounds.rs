//! Two job servers under one plan, round by round in alternating order: who is next, what is kept of each, and
//! what is written. How figures are compared stands in `rows.rs`.
use crate::args::Run;
use crate::compare::comparison::Comparison;
use crate::compare::names::slug;
use crate::compare::side::Side;
use crate::compare::target::Target;
use crate::compare::{files, rows};
use crate::plan::terms::Plan;
use crate::result::report;
use crate::run::conduct::Finding;

/// The order of a round, counted from 0: a machine that drifts from run to run favours nobody when each is
/// first as often as the other.
pub(crate) fn order(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

/// Runs a plan on both, and writes and says what came of it; gives what both were found to be.
pub(crate) fn compare_two(run: &Run, targets: [&Target; 2], plan: &Plan) -> Result<[Side; 2], String> {
    let count = run.rounds as usize;
    let slugs = targets.map(|target| slug(target.label()));
    if slugs[0] == slugs[1] || slugs.iter().any(String::is_empty) {
        return Err(format!(
            "the labels {:?} and {:?} would be the same folder or none: give --label and --against-label that differ in \
             letters or digits",
            targets[0].label(),
            targets[1].label()
        ));
    }
    let sides = play(count, |which, round| {
        let target = targets[which];
        let finding = target.run(plan)?;
        eprintln!("round {} of {count}, {}", round + 1, report::line(&finding.outcome));
        if let Some(folder) = &run.out {
            let folder = folder.join(slug(target.label())).join(format!("{:03}", round + 1));
            files::write(&folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(finding)
    })?;
    let [a, b] = &sides;
    let comparison = Comparison::of([a, b])?;
    let mut text = said(&comparison, [a, b]);
    if count > 1 {
        text.push_str(&format!(
            "\nThe order alternated: odd rounds began with {}, even ones with {}.\n",
            targets[0].label(),
            targets[1].label()
        ));
    }
    report::say(&text);
    if let Some(folder) = &run.out {
        files::write_comparison(folder, &text, &comparison, [a, b])
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        report::say(&format!("written to {}\n", folder.join(files::PAGE).display()));
    }
    Ok(sides)
}

/// All rounds; `run` is told whose turn it is, and in which round.
fn play(
    rounds: usize,
    mut run: impl FnMut(usize, usize) -> Result<Finding, String>,
) -> Result<[Side; 2], String> {
    let mut sides = [Side::default(), Side::default()];
    for round in 0..rounds {
        for which in order(round) {
            sides[which].take(run(which, round)?);
        }
    }
    Ok(sides)
}

/// The comparison, and what must be known besides.
pub(crate) fn said(comparison: &Comparison, sides: [&Side; 2]) -> String {
    let mut text = rows::table(&comparison.rows, sides[0].label(), sides[1].label(), comparison.rounds);
    for outcome in sides.into_iter().flat_map(|side| &side.outcomes) {
        if !outcome.tally.is_clean() {
            text.push_str(&format!(
                "\nFAILED: {} did what a job server must not do: {:?}\n",
                outcome.label, outcome.tally
            ));
        }
        if !outcome.finished() {
            text.push_str(&format!(
                "\n{} did not finish in time: its figures are of what it did.\n",
                outcome.label
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::background;

    #[test]
    fn nobody_is_always_first() {
        let mut turns = vec![];
        let sides = play(3, |which, round| {
            turns.push((which, round));
            Ok(background())
        });
        assert_eq!(turns, [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]);
        for side in sides.unwrap() {
            assert_eq!(side.outcomes.len(), 3);
            let spans = side.recorders[0].groups[0].as_ref().unwrap();
            // What all rounds together created.
            assert_eq!(spans[0].response.len(), 3 * side.outcomes[0].phases[0].jobs);
        }
    }
}
