//! Two job servers under the same plan: by how much one is better, and whether that is more than chance.
//! Each figure is compared round by round, because a machine drifts more than neighbouring rounds do.
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::plan::terms::Plan;
use crate::result::outcome::{Outcome, PhaseOutcome, Quantile, SpanOutcome};
use crate::result::span::Span;

/// A figure of a phase, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The phase.
    pub(crate) phase: String,
    /// The figure, with its unit.
    pub(crate) figure: String,
    /// Its median over the rounds of the first job server.
    pub(crate) a: f64,
    /// The same of the second.
    pub(crate) b: f64,
    /// How many times better the first is: the median of the rounds, between the bounds of the interval in which the true
    /// median lies with [`confidence`].
    pub(crate) factor: [f64; 3],
    /// The same of each round, in the order in which they were played.
    pub(crate) rounds: Vec<f64>,
    /// The larger of the spreads of both over their own rounds, as a share of the median; outliers do not count where there
    /// are rounds enough to tell them. `None` with one round.
    pub(crate) noise: Option<f64>,
    /// What follows.
    pub(crate) verdict: Difference,
}

/// What follows from a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Difference {
    /// The first is better over the whole interval, and in the middle by [`CLEAR`] times the noise of either.
    Better,
    /// The second is.
    Worse,
    /// Over the whole interval within [`ALIKE`] of each other.
    Equal,
    /// The interval has both, or they differ by less than the noise.
    CannotTell,
    /// A latency of a closed loop: it only says once more how many jobs a second there were.
    Closed,
    /// Fewer than [`ROUNDS_LEAST`] rounds: too often all agree by chance.
    FewRounds,
}

/// Compares the results of one plan on one machine; the sentence says why it cannot be done.
pub(crate) fn compare(a: &[Outcome], b: &[Outcome]) -> Result<Vec<Row>, String> {
    let (Some(first), Some(second)) = (a.first(), b.first()) else {
        return Err("there is nothing to compare".to_owned());
    };
    for outcome in a.iter().chain(b) {
        comparable(first, outcome)?;
    }
    let rounds = a.len().min(b.len());
    let sides = [&a[..rounds], &b[..rounds]];
    let mut rows = vec![];
    for (index, phase) in first.phases.iter().enumerate() {
        let figures = match phase.measured {
            true => figures(phase, &second.phases[index]),
            // What is left after the work is what such a phase is for.
            false if phase.only_watched() => vec![resident_after()],
            false => continue,
        };
        for figure in figures {
            let pick = |outcomes: &[Outcome]| -> Option<Vec<f64>> {
                outcomes[..rounds].iter().map(|outcome| (figure.pick)(&outcome.phases[index])).collect()
            };
            if let (Some(a), Some(b)) = (pick(a), pick(b)) {
                rows.extend(row(&phase.name, &figure, &a, &b).map(|row| doubted(row, &figure, index, sides)));
            }
        }
    }
    Ok(rows)
}

/// A figure that may be more than was seen is no reason to call its side better.
fn doubted(mut row: Row, figure: &Compared, phase: usize, sides: [&[Outcome]; 2]) -> Row {
    let [a, b] = sides.map(|side| side.iter().any(|outcome| (figure.at_least)(&outcome.phases[phase])));
    if a && row.verdict == Difference::Better || b && row.verdict == Difference::Worse {
        row.verdict = Difference::CannotTell;
    }
    row
}

fn comparable(a: &Outcome, b: &Outcome) -> Result<(), String> {
    if b.interrupted() || a.interrupted() {
        return Err(
            "One of these runs was interrupted: what it did not come to cannot be compared.".to_owned()
        );
    }
    // Each round has arrivals of its own.
    let (plan, other) = (work(&a.plan), Plan { seed: a.plan.seed, ..work(&b.plan) });
    if plan != other {
        return Err(format!(
            "These are results of different plans ({}), so no figure of one says anything about the other: {}.",
            match a.plan.name == b.plan.name {
                true => format!("both are called {}", a.plan.name),
                false => format!("{} and {}", a.plan.name, b.plan.name),
            },
            difference(&plan, &other)
        ));
    }
    if a.machine != b.machine {
        return Err(format!(
            "These are results of different machines ({}, {} cores, Linux {} and {}, {} cores, Linux {}), and \
             would compare those.",
            a.machine.cpu,
            a.machine.cores,
            a.machine.kernel,
            b.machine.cpu,
            b.machine.cores,
            b.machine.kernel
        ));
    }
    if a.agents != b.agents {
        return Err("Other machines made the load, and would be compared.".to_owned());
    }
    if (a.threads, &a.cores) != (b.threads, &b.cores) {
        return Err(format!(
            "The load generator ran differently ({} threads on cores {:?}, and {} on {:?}), and would be compared \
             with itself.",
            a.threads, a.cores, b.threads, b.cores
        ));
    }
    Ok(())
}

/// A plan without what is only asked of its result.
fn work(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for phase in &mut plan.phases {
        phase.fail_if.clear();
    }
    plan
}

/// The first line in which two plans differ.
fn difference(a: &Plan, b: &Plan) -> String {
    let text = |plan: &Plan| toml::to_string(plan).unwrap_or_default();
    let (a, b) = (text(a), text(b));
    let lines = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    lines.map_or("one is longer".to_owned(), |(a, b)| format!("`{a}` and `{b}`"))
}

/// A figure that can be compared.
struct Compared {
    name: String,
    more_is_better: bool,
    /// True for the latency of a closed loop.
    closed: bool,
    pick: Pick,
    /// True where the figure may be more, because jobs were not answered.
    at_least: Box<dyn Fn(&PhaseOutcome) -> bool>,
}

/// Where a figure stands in what was found; `None` where it is not.
type Pick = Box<dyn Fn(&PhaseOutcome) -> Option<f64>>;

fn resident_after() -> Compared {
    Compared {
        name: "server resident after, MB".to_owned(),
        more_is_better: false,
        closed: false,
        pick: Box::new(|phase| phase.server.map(|server| server.rss_after as f64 / 1e6)),
        at_least: Box::new(|_| false),
    }
}

fn figures(a: &PhaseOutcome, b: &PhaseOutcome) -> Vec<Compared> {
    let figure = |name: &str, more_is_better, pick: fn(&PhaseOutcome) -> Option<f64>| Compared {
        name: name.to_owned(),
        more_is_better,
        closed: false,
        pick: Box::new(pick),
        at_least: Box::new(|_| false),
    };
    let mut figures = vec![];
    // Where both kept up with the rate that was asked for, the rate is the plan's and not theirs.
    if a.only_watched() {
        return vec![resident_after()];
    }
    let kept_up = |phase: &PhaseOutcome| phase.asked.is_some_and(|asked| phase.rate > asked * 0.95);
    if !(kept_up(a) && kept_up(b)) {
        figures.push(figure("jobs/s", true, |phase| Some(phase.rate)));
    }
    figures.push(figure("jobs per server CPU second", true, |phase| {
        phase.server.map(|server| 1e6 / server.cpu_per_job)
    }));
    figures.push(figure("server context switches a job", false, |phase| {
        phase.server.map(|server| server.waits_per_job + server.preemptions_per_job)
    }));
    figures.push(figure("server resident peak, MB", false, |phase| {
        phase.server.map(|server| server.rss_peak as f64 / 1e6)
    }));
    figures.push(figure("server bytes a queued job", false, PhaseOutcome::bytes_per_job));
    figures.push(figure("server bytes a connection", false, PhaseOutcome::bytes_per_connection));
    for (at, group) in a.groups.iter().enumerate() {
        for (within, span) in group.spans.iter().enumerate() {
            let what = match Span::named(&span.span) {
                Some(Span::Added) => Span::Added.title().to_owned(),
                _ => format!("submit→{}", span.span),
            };
            for (name, quantile, pick) in QUANTILES {
                let prefix = if a.groups.len() > 1 { format!("{}, ", group.name) } else { String::new() };
                let span = move |phase: &PhaseOutcome| phase.groups.get(at)?.spans.get(within).cloned();
                let tells = move |span: &SpanOutcome| span.response.tells(quantile);
                let bound = move |span: SpanOutcome| {
                    span.at_least.is_some_and(|least| pick(&span.response) >= least * 0.999)
                };
                figures.push(Compared {
                    name: format!(
                        "{prefix}{what} {name}, µs{}",
                        if group.open { "" } else { " (closed loop)" }
                    ),
                    more_is_better: false,
                    closed: !group.open,
                    pick: Box::new(move |phase| Some(pick(&span(phase).filter(tells)?.response))),
                    at_least: Box::new(move |phase| span(phase).is_some_and(bound)),
                });
            }
        }
    }
    figures
}

const QUANTILES: [(&str, f64, Quantile); 3] =
    [("p50", 0.5, |all| all.p50), ("p99", 0.99, |all| all.p99), ("p99.9", 0.999, |all| all.p999)];

fn row(phase: &str, figure: &Compared, a: &[f64], b: &[f64]) -> Option<Row> {
    let better = |(a, b): (&f64, &f64)| if figure.more_is_better { a / b } else { b / a };
    let rounds: Vec<f64> = a.iter().zip(b).map(better).collect();
    if rounds.iter().any(|factor| !factor.is_finite() || *factor <= 0.0) {
        return None;
    }
    let mut factors = rounds.clone();
    let middle = middle_factor(&mut factors);
    let (first, last) = (reach(factors.len()) - 1, factors.len() - reach(factors.len()));
    let (low, high) = (factors[first], factors[last]);
    let (mut sorted_a, mut sorted_b) = (a.to_vec(), b.to_vec());
    let (median_a, median_b) = (median(&mut sorted_a), median(&mut sorted_b));
    // Of both, or who is named first would decide.
    let spread = |sorted: &[f64], median: f64| (sorted[last] - sorted[first]) / median;
    let noise = (a.len() > 1).then(|| spread(&sorted_a, median_a).max(spread(&sorted_b, median_b)));
    // As a factor, so that twice as good and half as good are equally far from no difference.
    let beyond_noise = noise.is_some_and(|noise| middle.ln().abs() > CLEAR * (1.0 + noise).ln());
    let verdict = match beyond_noise {
        _ if a.len() < ROUNDS_LEAST => Difference::FewRounds,
        _ if figure.closed => Difference::Closed,
        true if low > 1.0 => Difference::Better,
        true if high < 1.0 => Difference::Worse,
        _ if low >= 1.0 / ALIKE && high <= ALIKE => Difference::Equal,
        _ => Difference::CannotTell,
    };
    Some(Row {
        phase: phase.to_owned(),
        figure: figure.name.clone(),
        a: median_a,
        b: median_b,
        factor: [low, middle, high],
        rounds,
        noise,
        verdict,
    })
}

/// True if more rounds would tell nothing new: every figure has its verdict, or is known to a twentieth.
pub(crate) fn settled(rows: &[Row]) -> bool {
    let known = |row: &Row| match row.verdict {
        Difference::FewRounds => false,
        Difference::CannotTell => row.factor[2] / row.factor[0] <= ALIKE,
        _ => true,
    };
    rows.iter().all(known)
}

/// Of so many sorted rounds the interval goes from this one, counted from 1, to the same one from the other end. It is the
/// narrowest in which the true median lies with 93.7 % or more: all rounds up to eight, then without the outermost.
fn reach(rounds: usize) -> usize {
    (1..=rounds / 2).rev().find(|&reach| outside(rounds, reach) <= 0.0626).unwrap_or(1)
}

/// The chance that the true median lies outside the interval from the `reach`th of `rounds` on: that fewer than so many of them
/// fall on one of its sides.
fn outside(rounds: usize, reach: usize) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for fewer in 0..reach {
        sum += ways;
        ways *= (rounds - fewer) as f64 / (fewer + 1) as f64;
    }
    2.0 * sum / 2f64.powi(rounds as i32)
}

/// How sure it is that the true median of the factors lies in the interval that is printed, from 0 to 1.
pub(crate) fn confidence(rounds: usize) -> f64 {
    1.0 - outside(rounds, reach(rounds)).min(1.0)
}

/// Fewer rounds give no verdict: of three, all agree by chance in one row of four.
pub(crate) const ROUNDS_LEAST: usize = 5;

/// So many times the noise, on a scale of factors, the middle round must differ. With once, a table of 48 rows of one server
/// against itself would call it better than itself in every fourth comparison of five rounds; with twice in one of a hundred.
const CLEAR: f64 = 2.0;

/// What differs by no more than this factor in every round is equal.
const ALIKE: f64 = 1.05;

/// Sorts, and gives the value in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The same of factors: between two it takes the mean on their own scale, so that it is mirrored when both sides are swapped.
fn middle_factor(factors: &mut [f64]) -> f64 {
    factors.sort_by(f64::total_cmp);
    let middle = factors.len() / 2;
    if factors.len() % 2 == 1 { factors[middle] } else { (factors[middle - 1] * factors[middle]).sqrt() }
}

/// The comparison as a Markdown table.
pub(crate) fn table(rows: &[Row], a: &str, b: &str, rounds: usize) -> String {
    let mut text = format!(
        "{a} and {b}, {rounds} round{} each, medians; the factor says how many times better {a} is (the median, between \
         the bounds of {})\n\n| phase | figure | {a} | {b} | factor | verdict |\n|---|---|---|---|---|---|\n",
        if rounds == 1 { "" } else { "s" },
        match rounds {
            1 => "nothing: one round has no interval".to_owned(),
            _ => format!(
                "an interval that has the true one in {:.1} % of such comparisons",
                confidence(rounds) * 100.0
            ),
        }
    );
    for row in rows {
        let [low, middle, high] = row.factor;
        let verdict = row.verdict_said(a, b);
        let (first, second) = (crate::result::numbers::count(row.a), crate::result::numbers::count(row.b));
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {first} | {second} | {low:.2} – **{middle:.2}** – {high:.2} | {verdict} |",
            row.phase, row.figure
        );
    }
    text
}

impl Row {
    /// The verdict in words, of job servers that are called so.
    pub(crate) fn verdict_said(&self, a: &str, b: &str) -> String {
        let [low, _, high] = self.factor;
        // What would have been needed to be seen.
        let unseen = self.noise.map_or(1.0, |noise| (1.0 + noise).powf(CLEAR)).max(high).max(1.0 / low);
        match self.verdict {
            Difference::Better => format!("{a} is better"),
            Difference::Worse => format!("{b} is better"),
            Difference::Equal => format!("equal within {:.0} %", (ALIKE - 1.0) * 100.0),
            Difference::CannotTell => {
                format!("cannot tell: differences under {unseen:.2} times are not seen")
            }
            Difference::Closed => "closed loop: it says no more than jobs/s".to_owned(),
            Difference::FewRounds => format!("no verdict from fewer than {ROUNDS_LEAST} rounds"),
        }
    }
}

#[cfg(test)]
mod tests;
