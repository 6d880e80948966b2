//! Two job servers under one plan, round by round in alternating order: who is next, what is kept of each, and
//! what is written. How figures are compared stands in `rows.rs`.
use crate::args::{ROUNDS, ROUNDS_MOST, Rounds, Run};
use crate::compare::comparison::Comparison;
use crate::compare::side::Side;
use crate::compare::target::Target;
use crate::compare::{files, rows};
use crate::job::names::slug;
use crate::machine::interrupt;
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
    let (count, auto) = match run.rounds {
        Some(Rounds::Number(count)) => (count, false),
        Some(Rounds::Auto) => (ROUNDS_MOST, true),
        None => (ROUNDS, false),
    };
    let slugs = targets.map(|target| slug(target.label()));
    if slugs[0] == slugs[1] || slugs.iter().any(String::is_empty) {
        return Err(format!(
            "the labels {:?} and {:?} would be the same folder or none: give --label and --against-label that differ in \
             letters or digits",
            targets[0].label(),
            targets[1].label()
        ));
    }
    let sides = play(
        count,
        |which, round| {
            let target = targets[which];
            // Both get the same arrivals, and each round others.
            let seed = plan.seed.wrapping_add(round as u64);
            let finding = target.run(&Plan { seed, ..plan.clone() })?;
            eprintln!(
                "round {} of {}{count}, {}",
                round + 1,
                if auto { "at most " } else { "" },
                report::line(&finding.outcome)
            );
            if let Some(folder) = &run.out {
                let folder = folder.join(slug(target.label())).join(format!("{:03}", round + 1));
                files::write(&folder, &finding).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            Ok(finding)
        },
        |[a, b]| {
            auto && a.outcomes.len() >= ROUNDS
                && rows::compare(&a.outcomes, &b.outcomes).is_ok_and(|rows| rows::settled(&rows))
        },
    )?;
    let [a, b] = &sides;
    let count = a.outcomes.len().min(b.outcomes.len());
    if count == 0 {
        return Err("interrupted before the end of the first round: there is nothing to compare".to_owned());
    }
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

/// All rounds, or those that were complete when somebody interrupted or there were `enough`; `run` is told whose turn it is, and
/// in which round.
fn play(
    rounds: usize,
    mut run: impl FnMut(usize, usize) -> Result<Finding, String>,
    enough: impl Fn(&[Side; 2]) -> bool,
) -> Result<[Side; 2], String> {
    let mut sides = [Side::default(), Side::default()];
    for round in 0..rounds {
        let mut both = [None, None];
        for which in order(round) {
            match run(which, round) {
                Ok(finding) if !finding.outcome.interrupted() => both[which] = Some(finding),
                Err(error) if interrupt::caught().is_none() => return Err(error),
                _ => return Ok(sides),
            }
        }
        for (side, finding) in sides.iter_mut().zip(both) {
            finding.into_iter().for_each(|finding| side.take(finding));
        }
        if enough(&sides) {
            break;
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
    use clap::Parser;

    #[test]
    fn nobody_is_always_first() {
        let mut turns = vec![];
        let sides = play(
            3,
            |which, round| {
                turns.push((which, round));
                Ok(background())
            },
            |_| false,
        );
        assert_eq!(turns, [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]);
        for side in sides.unwrap() {
            assert_eq!(side.outcomes.len(), 3);
            let spans = side.recorders[0].groups[0].as_ref().unwrap();
            // What all rounds together created.
            assert_eq!(spans[0].response.len(), 3 * side.outcomes[0].phases[0].jobs);
        }
    }

    #[test]
    fn there_are_no_more_rounds_than_enough() {
        let sides =
            play(9, |_, _| Ok(background()), |[a, b]| a.outcomes.len() + b.outcomes.len() == 4).unwrap();
        assert_eq!(sides.map(|side| side.outcomes.len()), [2, 2]);
    }

    #[test]
    fn two_sides_that_would_be_one_folder_are_refused() {
        let refused = |label: &str, other: &str| {
            let words = [
                "ringgear-load",
                "steady",
                "--against-command",
                "x",
                "--label",
                label,
                "--against-label",
                other,
            ];
            let run = crate::args::Arguments::parse_from(words).run;
            let target = Target::against(&run).unwrap().unwrap();
            let other =
                Target::against(&Run { against_label: run.label.clone().unwrap(), ..run }).unwrap().unwrap();
            compare_two(
                &crate::args::Arguments::parse_from(words).run,
                [&target, &other],
                &background().outcome.plan,
            )
            .unwrap_err()
        };
        for (label, other) in [("a", "A"), ("ä", "ö"), ("a b", "a-b")] {
            assert!(refused(label, other).contains("letters or digits"), "{label} {other}");
        }
    }
}
