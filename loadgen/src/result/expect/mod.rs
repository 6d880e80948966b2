//! Whether what came of a run is what it was to be: thresholds held against figures, of one run or of the rounds of
//! one or two job servers. How a threshold is written stands in `plan/threshold.rs`.
use crate::plan::terms::Plan;
use crate::plan::threshold::{Bound, Figure, Point, Threshold};
use crate::result::judged::{Judged, Verdict};
use crate::result::numbers::{bytes, count, time};
use crate::result::outcome::{GroupOutcome, Outcome, Percentiles, PhaseOutcome, STALL_LEAST, SpanOutcome};

/// What is known of a figure: it lies between the two.
#[derive(Clone, Debug, PartialEq)]
struct Between {
    least: f64,
    most: f64,
    /// Why the two differ, and what to know besides.
    note: Option<String>,
}

impl Between {
    const fn exactly(value: f64) -> Between {
        Between { least: value, most: value, note: None }
    }

    /// The worse of two: what fails in one of them fails.
    fn or_worse(self, other: Between, above: bool) -> Between {
        let worse = |a: f64, b: f64| if above { a.max(b) } else { a.min(b) };
        let (least, most) = (worse(self.least, other.least), worse(self.most, other.most));
        // The one that the bounds are of has the say, and before it the one that is not known.
        let other_first = other.most == most && (self.most != most || other.most > other.least);
        let note = if other_first { other.note.or(self.note) } else { self.note.or(other.note) };
        Between { least, most, note }
    }
}

/// A figure of one round, or why it is not known.
type Sight = Result<Between, String>;

/// Holds every threshold of a plan and of the command line against the rounds of one job server; `base` has those of the
/// other, if there is one. Those of the command line are for every measured phase.
pub(crate) fn judge(plan: &Plan, own: &[Threshold], rounds: &[&Outcome], base: &[&Outcome]) -> Vec<Judged> {
    let mut judged = vec![];
    for (index, phase) in plan.phases.iter().enumerate() {
        // Where nobody does anything there is no figure but the memory that is watched.
        let is_played = !phase.clients.is_empty() || !phase.workers.is_empty() || phase.idle > 0;
        let own = own.iter().filter(|own| phase.measure && (is_played || own.figure == Figure::Memory));
        for threshold in phase.fail_if.iter().chain(own) {
            judged.push(one(threshold, &phase.name, index, rounds, base));
        }
    }
    judged
}

/// True if all are as they should be.
pub(crate) fn kept(judged: &[Judged]) -> bool {
    judged.iter().all(|judged| judged.verdict == Verdict::Ok)
}

/// A line for each.
pub(crate) fn lines(judged: &[Judged]) -> String {
    judged.iter().map(|judged| format!("{}\n", judged.line())).collect()
}

/// What is wrong with thresholds before anything runs: multiples of the other job server where there is none.
pub(crate) fn flaw(plan: &Plan, own: &[Threshold], has_base: bool) -> Option<String> {
    let needs = |threshold: &&Threshold| threshold.needs_base() && !has_base;
    let sentence = |origin: String, threshold: &Threshold| {
        format!(
            "{origin} {:?}: there is no other job server here that it could be a multiple of; name one with --against or \
             --against-command, or give a value",
            threshold.text()
        )
    };
    if let Some(threshold) = own.iter().find(needs) {
        return Some(sentence("--fail-if".to_owned(), threshold));
    }
    let of_phase = |phase: &crate::plan::terms::Phase| {
        let threshold = phase.fail_if.iter().find(needs)?;
        Some(sentence(format!("{}: phase {}: fail_if", plan.name, phase.name), threshold))
    };
    plan.phases.iter().find_map(of_phase)
}

/// Reads what the command line gives as `--fail-if`.
pub(crate) fn read(texts: &[String]) -> Result<Vec<Threshold>, String> {
    texts.iter().map(|text| Threshold::parse(text).map_err(|error| format!("--fail-if {error}"))).collect()
}

fn one(threshold: &Threshold, name: &str, index: usize, rounds: &[&Outcome], base: &[&Outcome]) -> Judged {
    let figure = &threshold.figure;
    let looked = |outcomes: &[&Outcome], pick: &dyn Fn(&Outcome, &PhaseOutcome) -> Sight| -> Sight {
        let mut seen = vec![];
        for (round, outcome) in outcomes.iter().enumerate() {
            let phase = outcome.phases.get(index).ok_or("the result has no such phase")?;
            let sight = pick(outcome, phase);
            seen.push(sight.map_err(|why| match outcomes.len() {
                1 => why,
                _ => format!("{why} (round {} of {})", round + 1, outcome.label),
            })?);
        }
        middle(figure, &seen).ok_or_else(|| "there is no result".to_owned())
    };
    let value = looked(rounds, &|outcome, phase| look(threshold, outcome, phase));
    let bound = match threshold.bound {
        Bound::Value(bound) => Ok(Between::exactly(bound)),
        Bound::Asked(factor) => looked(rounds, &|_, phase| {
            let asked = phase.asked.ok_or("no rate was asked for: not all clients are open loops")?;
            Ok(Between::exactly(asked * factor))
        }),
        Bound::Base(factor) => looked(base, &|outcome, phase| look(threshold, outcome, phase))
            .map(|seen| Between { least: seen.least * factor, most: seen.most * factor, note: seen.note }),
    };
    let (verdict, said) = match (&value, &bound) {
        (Ok(value), Ok(bound)) => decide(threshold, value, bound),
        (Err(why), _) | (_, Err(why)) => (Verdict::CannotTell, why.clone()),
    };
    Judged {
        phase: name.to_owned(),
        threshold: threshold.text().to_owned(),
        verdict,
        value: value.ok().map(|seen| seen.least),
        bound: bound.ok().map(|seen| seen.least),
        said,
    }
}

/// Which side of the bound the figure lies on, as far as both are known.
fn decide(threshold: &Threshold, value: &Between, bound: &Between) -> (Verdict, String) {
    let figure = &threshold.figure;
    let (fails, holds) = match threshold.above {
        true => (value.least > bound.most, value.most <= bound.least),
        false => (value.most < bound.least, value.least >= bound.most),
    };
    let mut said = format!("{} was seen", range(figure, value));
    if !matches!(threshold.bound, Bound::Value(_)) {
        said.push_str(&format!(", the bound came to {}", range(figure, bound)));
    }
    let second = bound.note.as_ref().filter(|note| value.note.as_ref() != Some(note));
    for note in value.note.iter().chain(second) {
        said.push_str(&format!("; {note}"));
    }
    match (fails, holds) {
        (true, _) => (Verdict::Failed, said),
        (false, true) => (Verdict::Ok, said),
        (false, false) => (Verdict::CannotTell, said),
    }
}

/// The median of the rounds; of what must never happen the most. Bounds on each round bound it.
fn middle(figure: &Figure, seen: &[Between]) -> Option<Between> {
    let of = |pick: fn(&Between) -> f64| {
        let mut values: Vec<f64> = seen.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        Some(match figure {
            Figure::Lost | Figure::Doubled => values[last],
            _ if values[last / 2] == values[values.len() / 2] => values[last / 2],
            _ => f64::midpoint(values[last / 2], values[values.len() / 2]),
        })
    };
    let (least, most) = (of(|seen| seen.least)?, of(|seen| seen.most)?);
    let unsure = seen.iter().find(|seen| seen.most > seen.least && most > least);
    let note = unsure.or_else(|| seen.iter().find(|seen| seen.note.is_some() && seen.most == seen.least));
    Some(Between { least, most, note: note.and_then(|seen| seen.note.clone()) })
}

/// A figure of one round of one phase.
fn look(threshold: &Threshold, outcome: &Outcome, phase: &PhaseOutcome) -> Sight {
    let unseen = "the job server's process was not seen (name it with --server-pid, or start it with --server-command)";
    match &threshold.figure {
        Figure::Latency(span, point) => latency(threshold.above, *span, *point, phase),
        Figure::Rate => Ok(Between::exactly(phase.rate)),
        Figure::Stall => Ok(match phase.stall {
            Some(stall) => Between::exactly(stall.seconds * 1e6),
            None => Between { least: 0.0, most: STALL_LEAST * 1e6, note: None },
        }),
        Figure::Lost => Ok(Between::exactly(outcome.tally.lost as f64)),
        Figure::Doubled => Ok(Between::exactly(outcome.tally.doubled as f64)),
        Figure::Unanswered => {
            let fates = phase.fates.ok_or("no job was due in its measured time")?;
            Ok(Between::exactly(fates.unanswered() as f64))
        }
        Figure::Cpu if phase.jobs == 0 => Err("no job was done".to_owned()),
        Figure::Cpu => Ok(Between::exactly(phase.server.ok_or(unseen)?.cpu_per_job)),
        Figure::Memory => {
            let peak = phase.server.map(|server| server.rss_peak).filter(|&peak| peak > 0);
            Ok(Between::exactly(peak.ok_or(unseen)? as f64))
        }
    }
}

/// Of the group of clients in which it is worst: what fails in one of them fails.
fn latency(above: bool, span: Option<&str>, point: Point, phase: &PhaseOutcome) -> Sight {
    let pick = |group: &'_ GroupOutcome| -> Option<SpanOutcome> {
        match span {
            None => group.felt().cloned(),
            Some(name) => group.spans.iter().find(|span| span.span == name).cloned(),
        }
    };
    let (mut worst, mut unknown): (Option<Between>, Option<String>) = (None, None);
    for (group, span) in phase.groups.iter().filter_map(|group| Some((group, pick(group)?))) {
        match of_span(phase, &span, point) {
            Ok(seen) => worst = Some(worst.map_or(seen.clone(), |worst| worst.or_worse(seen, above))),
            Err(why) if phase.groups.len() > 1 => unknown = Some(format!("{}: {why}", group.name)),
            Err(why) => unknown = Some(why),
        }
    }
    // What one group is known to fail is failed, whatever the others did.
    if let (Some(worst), Some(why)) = (&worst, &unknown) {
        let any = Between { least: 0.0, most: f64::INFINITY, note: Some(why.clone()) };
        return Ok(worst.clone().or_worse(any, above));
    }
    if let Some(why) = unknown {
        return Err(why);
    }
    worst.ok_or_else(|| match span {
        Some(name) => format!("no latency ended with {name} in this phase"),
        None => "no latency was measured in this phase".to_owned(),
    })
}

fn of_span(phase: &PhaseOutcome, span: &SpanOutcome, point: Point) -> Sight {
    let (pick, quantile) = figure(point);
    let value = pick(&span.response);
    if quantile.is_some_and(|quantile| !span.response.tells(quantile)) {
        return Err(format!("of {} jobs fewer than ten lie beyond it", span.response.count));
    }
    if value == 0.0 && span.response.max > 0.0 && matches!(point, Point::P95 | Point::P9999) {
        return Err("this result is of an older version and has no such percentile".to_owned());
    }
    let unanswered = match span.at_least {
        // Who was not answered counts in the mean with what he had waited by then.
        Some(_) if point == Point::Mean => true,
        Some(least) => value >= least * 0.999,
        None => false,
    };
    if unanswered {
        let note = format!("{} jobs were not answered", span.unanswered);
        return Ok(Between { least: value, most: f64::INFINITY, note: Some(note) });
    }
    let note = phase
        .is_own(pick, value)
        .then(|| "the load generator's own delay is more than a quarter of that".to_owned());
    Ok(Between { least: value, most: value, note })
}

/// Where a figure of a distribution stands, and its quantile if it is one.
fn figure(point: Point) -> (fn(&Percentiles) -> f64, Option<f64>) {
    match point {
        Point::P50 => (|all| all.p50, Some(0.5)),
        Point::P90 => (|all| all.p90, Some(0.9)),
        Point::P95 => (|all| all.p95, Some(0.95)),
        Point::P99 => (|all| all.p99, Some(0.99)),
        Point::P999 => (|all| all.p999, Some(0.999)),
        Point::P9999 => (|all| all.p9999, Some(0.9999)),
        Point::Max => (|all| all.max, None),
        Point::Mean => (|all| all.mean, None),
    }
}

fn range(figure: &Figure, seen: &Between) -> String {
    let say = |value: f64| match figure {
        Figure::Rate => format!("{}/s", count(value)),
        Figure::Lost | Figure::Doubled | Figure::Unanswered => format!("{value:.0}"),
        Figure::Memory => bytes(value as u64),
        _ => time(value),
    };
    match seen.most {
        most if most == seen.least => say(seen.least),
        most if seen.least == 0.0 && most.is_finite() => format!("less than {}", say(most)),
        most if most.is_infinite() => format!("at least {}", say(seen.least)),
        most => format!("{} to {}", say(seen.least), say(most)),
    }
}

#[cfg(test)]
mod tests;
