//! A comparison as a whole: its rows, its verdict in two lines, and the form in which other programs read it. How figures are
//! compared stands in `rows.rs`.
use serde::{Deserialize, Serialize};

use crate::compare::rows::{self, Difference, ROUNDS_LEAST, Row};
use crate::compare::side::Side;

/// The number of the form that `compare.json` has; another when a field changes its meaning.
const SCHEMA: u32 = 1;

/// Two job servers, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// See [`SCHEMA`].
    pub(crate) schema: u32,
    /// What the numbers of the rows are.
    pub(crate) units: Meanings,
    /// The plan's name.
    pub(crate) plan: String,
    /// What both are called.
    pub(crate) sides: [String; 2],
    /// Rounds of each that were compared.
    pub(crate) rounds: usize,
    /// The verdict in two lines.
    pub(crate) verdict: [String; 2],
    /// All figures.
    pub(crate) rows: Vec<Row>,
}

/// What the numbers of rows are, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meanings {
    /// Of `a` and `b`.
    a: String,
    /// See `a`.
    b: String,
    /// Of `factor`.
    factor: String,
    /// Of `noise`.
    noise: String,
}

impl Default for Meanings {
    fn default() -> Meanings {
        let figure = "median of the rounds, in the unit that `figure` ends with; counts otherwise";
        Meanings {
            a: figure.to_owned(),
            b: figure.to_owned(),
            factor:
                "times that the first is better: the median of the rounds between the bounds of its interval"
                    .to_owned(),
            noise: "share of the median".to_owned(),
        }
    }
}

impl Comparison {
    /// Compares; the sentence says why that cannot be done.
    pub(crate) fn of([a, b]: [&Side; 2]) -> Result<Comparison, String> {
        let rows = rows::compare(&a.outcomes, &b.outcomes)?;
        let rounds = a.outcomes.len().min(b.outcomes.len());
        let plan = a.outcomes.first().map_or("", |outcome| outcome.plan.name.as_str());
        Ok(Comparison {
            schema: SCHEMA,
            units: Meanings::default(),
            plan: plan.to_owned(),
            sides: [a.label().to_owned(), b.label().to_owned()],
            rounds,
            verdict: [counts(&rows, [a, b], rounds), middle(&rows, a.label())],
            rows,
        })
    }

    /// Reads one again; `None` of another form.
    pub(crate) fn read(text: &[u8]) -> Option<Comparison> {
        serde_json::from_slice(text).ok().filter(|comparison: &Comparison| comparison.schema == SCHEMA)
    }
}

/// Who is better, and in how much.
fn counts(rows: &[Row], [a, b]: [&Side; 2], rounds: usize) -> String {
    let sides = [a, b];
    let wrong = |side: &&Side| side.outcomes.iter().any(|outcome| !outcome.tally.is_clean());
    if let Some(side) = sides.into_iter().find(wrong) {
        return format!("FAILED: {} did what a job server must not do, so no figure counts.", side.label());
    }
    let late = |side: &&Side| side.outcomes.iter().any(|outcome| !outcome.finished());
    if let Some(side) = sides.into_iter().find(late) {
        return format!(
            "Unfinished: {} did not do all in time; its figures are of what it did.",
            side.label()
        );
    }
    if rounds < ROUNDS_LEAST {
        return format!(
            "No verdict: {rounds} round{} each, and it takes {ROUNDS_LEAST}.",
            if rounds == 1 { "" } else { "s" }
        );
    }
    let of = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    format!(
        "{} is better in {} of {} figures, {} in {}; both are equal in {}, and {} cannot be told.",
        a.label(),
        of(Difference::Better),
        rows.len(),
        b.label(),
        of(Difference::Worse),
        of(Difference::Equal),
        of(Difference::CannotTell)
    )
}

/// The figures that matter most, of the first phase that has them.
fn middle(rows: &[Row], a: &str) -> String {
    let named = |name: &'static str| move |row: &&Row| row.figure == name;
    let felt = rows.iter().find(|row| row.figure.ends_with("submit→result p99, µs"));
    let felt = felt.or_else(|| rows.iter().find(|row| row.figure.ends_with(" p99, µs")));
    let chosen = [
        rows.iter().find(named("jobs/s")),
        rows.iter().find(named("jobs per server CPU second")),
        felt,
        rows.iter().find(named("server resident after, MB")),
    ];
    let said = chosen.into_iter().flatten().map(|row| {
        let [low, middle, high] = row.factor;
        format!(
            "{} {middle:.2} ({low:.2} – {high:.2})",
            row.figure.trim_end_matches(", µs").trim_end_matches(", MB")
        )
    });
    let said: Vec<String> = said.collect();
    match said.is_empty() {
        true => "There is no figure that both have.".to_owned(),
        false => {
            format!("Times that {a} is better, median (its interval): {}.", said.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::background;

    fn side(label: &str, rounds: usize) -> Side {
        let mut finding = background();
        label.clone_into(&mut finding.outcome.label);
        Side { outcomes: vec![finding.outcome; rounds], recorders: finding.recorders }
    }

    #[test]
    fn a_comparison_is_an_object_that_says_what_it_is() {
        let (a, b) = (side("ours", 5), side("theirs", 5));
        let comparison = Comparison::of([&a, &b]).unwrap();
        let text = serde_json::to_vec(&comparison).unwrap();
        assert_eq!(Comparison::read(&text).as_ref(), Some(&comparison));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&value["schema"], &value["rounds"]), (&1.into(), &5.into()));
        assert_eq!((&value["sides"][0], &value["sides"][1]), (&"ours".into(), &"theirs".into()));
        assert_eq!(value["rows"].as_array().unwrap().len(), comparison.rows.len());
        assert!(Comparison::read(b"[]").is_none(), "what older versions wrote");
    }

    #[test]
    fn the_verdict_is_two_lines() {
        let a = side("ours", 5);
        let mut b = Side { outcomes: a.outcomes.clone(), recorders: vec![] };
        for outcome in &mut b.outcomes {
            "theirs".clone_into(&mut outcome.label);
            for server in outcome.phases.iter_mut().filter_map(|phase| phase.server.as_mut()) {
                server.cpu_per_job *= 2.0;
            }
        }
        let of = |a: &Side, b: &Side| Comparison::of([a, b]).unwrap().verdict;
        let [counts, middle] = of(&a, &b);
        assert!(counts.starts_with("ours is better in 2 of "), "{counts}");
        assert!(middle.contains("jobs per server CPU second 2.00 (2.00 – 2.00)"), "{middle}");
        let few = of(&Side { outcomes: a.outcomes[..2].to_vec(), recorders: vec![] }, &b);
        assert!(few[0].starts_with("No verdict: 2 rounds each"), "{few:?}");
        b.outcomes[3].phases[0].finished = false;
        assert!(of(&a, &b)[0].starts_with("Unfinished: theirs"));
        b.outcomes[4].tally.lost = 1;
        assert!(of(&a, &b)[0].starts_with("FAILED: theirs"));
    }
}
