//! Which curves a result is drawn as: for every measured phase latency over percentiles and over time and jobs a second over
//! time; of two job servers both in one chart; CPU and memory over the whole run. How a chart is drawn stands in `chart.rs`.
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::compare::side::Side;
use crate::plan::names;
use crate::plan::terms::Phase;
use crate::result::chart::{Axis, Chart, Line, Unit};
use crate::result::outcome::{Outcome, Percentiles, PhaseOutcome, Series};
use crate::result::record::{Pair, Recorder, Spans};
use crate::result::span::Span;
use crate::run::conduct::Finding;

/// What is marked on an axis of percentiles: 1 / (1 - percentile).
const MARKS: [(f64, &str); 8] = [
    (1.0, "min"),
    (2.0, "p50"),
    (1e1, "p90"),
    (1e2, "p99"),
    (1e3, "p99.9"),
    (1e4, "p99.99"),
    (1e5, "p99.999"),
    (1e6, "p99.9999"),
];

/// The charts of a run.
pub(crate) fn of_run(finding: &Finding) -> Vec<Chart> {
    let outcome = &finding.outcome;
    let mut charts = vec![];
    for (index, phase) in outcome.phases.iter().enumerate() {
        if phase.measured && phase.groups.iter().any(|group| !group.spans.is_empty()) {
            let groups = groups(outcome, index);
            charts.extend(finding.recorders.get(index).map(|recorder| percentiles(phase, recorder, &groups)));
            charts.push(over_time(phase));
            charts.extend(jobs(index, &[("jobs/s", outcome)]));
        }
    }
    charts.extend(cpu(&[("server CPU", outcome)]));
    charts.extend(memory(&[("resident memory", outcome)]));
    charts
}

/// The charts of a comparison: percentiles of all rounds together; what is over time cannot be added up, and is of each side's
/// middle round.
pub(crate) fn of_both(sides: [&Side; 2]) -> Vec<Chart> {
    let Some(first) = sides[0].outcomes.first() else { return vec![] };
    let mut charts = vec![];
    for (index, phase) in first.phases.iter().enumerate().filter(|(_, phase)| phase.measured) {
        let groups = groups(first, index);
        let seen = (0..groups.len()).filter(|&group| {
            let has = |side: &Side| side.recorders.get(index).is_some_and(|all| spans(all, group).is_some());
            sides.iter().any(|side| has(side)) || latest(&sides, index, &groups[group].name).is_some()
        });
        let seen: Vec<usize> = seen.collect();
        for &group in &seen {
            let name = match seen.len() {
                1 => phase.name.clone(),
                _ => format!("{}, {}", phase.name, groups[group].name),
            };
            let closed = if groups[group].closed { ", closed loop" } else { "" };
            charts.extend(side_by_side(&name, closed, (index, group), sides));
            charts.extend(both_over_time(&name, closed, index, &groups[group].name, sides));
        }
        let rate = |outcome: &Outcome| outcome.phases.get(index).map_or(0.0, |phase| phase.rate);
        charts.extend(jobs(index, &middles(sides, rate)));
    }
    charts.extend(cpu(&middles(sides, |outcome| mean(&outcome.cpu))));
    charts.extend(memory(&middles(sides, |outcome| outcome.most_memory() as f64)));
    charts
}

/// A group of clients.
struct Loop {
    /// What it is called in a phase.
    name: String,
    /// True for a closed loop.
    closed: bool,
}

/// All groups of clients of a plan, in the order in which recorders have them.
fn groups(outcome: &Outcome, phase: usize) -> Vec<Loop> {
    let clients = outcome.plan.phases.iter().flat_map(|phase| &phase.clients);
    let named = names::in_phase(&outcome.plan, phase).into_iter().zip(clients);
    named.map(|(name, clients)| Loop { name, closed: clients.closed.is_some() }).collect()
}

fn spans(recorder: &Recorder, group: usize) -> Option<&Spans> {
    recorder.groups.get(group)?.as_deref()
}

/// Of each side the round whose figure is in the middle, with the side's name.
fn middles(sides: [&Side; 2], figure: impl Fn(&Outcome) -> f64) -> Vec<(&str, &Outcome)> {
    let middle = |side: &'_ Side| -> Option<usize> {
        let mut rounds: Vec<usize> = (0..side.outcomes.len()).collect();
        rounds.sort_by(|&a, &b| figure(&side.outcomes[a]).total_cmp(&figure(&side.outcomes[b])));
        rounds.get(rounds.len() / 2).copied()
    };
    let chosen = sides.into_iter().filter_map(|side| Some(&side.outcomes[middle(side)?]));
    chosen.map(|outcome| (outcome.label.as_str(), outcome)).collect()
}

fn mean(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|value| value.1).sum::<f64>() / values.len().max(1) as f64
}

fn percentiles(phase: &PhaseOutcome, recorder: &Recorder, groups: &[Loop]) -> Chart {
    let mut lines = vec![];
    let several = recorder.groups.iter().flatten().count() > 1;
    let mut colour = 0;
    for (at, clients) in groups.iter().enumerate() {
        let closed = if clients.closed { ", closed loop" } else { "" };
        let Some(spans) = spans(recorder, at) else { continue };
        for (span, pair) in Span::ALL.into_iter().zip(spans.iter()) {
            if pair.response.is_empty() {
                continue;
            }
            let group = if several { format!("{}, ", clients.name) } else { String::new() };
            let name = format!("{group}{}{closed}", span.title());
            lines.push(distribution(&name, colour, pair));
            if !pair.service.is_empty() {
                let service = format!("{name}, from sending");
                lines.push(Line::whole(&service, colour, true, curve(&pair.service)));
            }
            colour += 1;
        }
    }
    by_percentile(format!("{}: latency by percentile", phase.name), lines)
}

/// Where clients wait, until the result; where nobody waits, until the job was accepted and until a worker had it; and what the job
/// server added.
fn side_by_side(name: &str, closed: &str, at: (usize, usize), sides: [&Side; 2]) -> Vec<Chart> {
    let has = |side: &'_ Side, span: Span| {
        let pair = &spans(side.recorders.get(at.0)?, at.1)?[span as usize];
        (!pair.response.is_empty()).then(|| pair.clone())
    };
    let waits = sides.iter().any(|side| has(side, Span::Result).is_some());
    let wanted = match waits {
        true => [Span::Result, Span::Added].as_slice(),
        false => &[Span::Created, Span::Worker],
    };
    let chart = |&span: &Span| {
        let line =
            |(colour, side): (usize, &&Side)| Some(distribution(side.label(), colour, &has(side, span)?));
        let lines: Vec<Line> = sides.iter().enumerate().filter_map(line).collect();
        let title = format!("{name}: {} by percentile{closed}", span.title());
        (!lines.is_empty()).then(|| by_percentile(title, lines))
    };
    wanted.iter().filter_map(chart).collect()
}

/// Jobs that were not answered took at least as long as they stand there.
fn distribution(name: &str, colour: usize, pair: &Pair) -> Line {
    let at_least = (pair.unanswered > 0).then_some(pair.at_least as f64 / 1000.0);
    Line { at_least, ..Line::whole(name, colour, false, curve(&pair.response)) }
}

fn by_percentile(title: String, lines: Vec<Line>) -> Chart {
    Chart {
        title,
        x: Axis {
            title: "percentile of jobs".to_owned(),
            logarithmic: true,
            marks: MARKS.map(|(at, word)| (at, word.to_owned())).to_vec(),
            ..Axis::default()
        },
        y: latency_axis(),
        lines,
    }
}

fn latency_axis() -> Axis {
    Axis { unit: Unit::Micros, logarithmic: true, ..Axis::default() }
}

fn seconds_axis(title: &str) -> Axis {
    Axis { title: title.to_owned(), ..Axis::default() }
}

/// Latency over 1 / (1 - percentile), up to what so many values can tell; at the same places for all, so that lines can be
/// read side by side.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let most = histogram.len() as f64;
    let decades = (0..=most.log10().max(0.0) as i32).map(|power| 10f64.powi(power));
    let places = decades
        .flat_map(|decade| [1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0].map(|digit| digit * decade));
    let value = |x: f64| histogram.value_at_quantile(1.0 - 1.0 / x) as f64 / 1000.0;
    let mut points: Vec<(f64, f64)> = places.filter(|x| *x < most).map(|x| (x, value(x))).collect();
    points.push((most.max(1.0), histogram.max() as f64 / 1000.0));
    points
}

fn over_time(phase: &PhaseOutcome) -> Chart {
    let mut lines = vec![];
    let several = phase.groups.len() > 1;
    for (colour, group) in names(phase).into_iter().enumerate() {
        let Some(series) = felt(phase, group) else { continue };
        let title = Span::named(&series.span).map_or("", Span::title);
        let name = if several { format!("{group}, {title}") } else { title.to_owned() };
        let line = |what: &str, shift: usize, dashed, pick: fn(&Percentiles) -> f64| Line {
            name: format!("{name}, {what}"),
            colour: colour * 3 + shift,
            dashed,
            points: with_gaps(series, pick),
            at_least: None,
        };
        lines.push(line("p50", 0, false, |latency| latency.p50));
        lines.push(line("p99", 1, false, |latency| latency.p99));
        lines.push(line("max", 2, true, |latency| latency.max));
    }
    Chart {
        title: format!("{}: latency over time", phase.name),
        x: seconds_axis("seconds since the phase began"),
        y: latency_axis(),
        lines,
    }
}

/// The latencies that two job servers' clients felt in one group, p50 and p99.
fn both_over_time(name: &str, closed: &str, index: usize, group: &str, sides: [&Side; 2]) -> Option<Chart> {
    let of = |outcome: &'_ Outcome| felt(outcome.phases.get(index)?, group).cloned();
    let p99 = |outcome: &Outcome| {
        let mut values: Vec<f64> =
            of(outcome).iter().flat_map(|series| &series.points).map(|point| point.latency.p99).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let mut lines = vec![];
    for (colour, (label, outcome)) in middles(sides, p99).into_iter().enumerate() {
        let Some(series) = of(outcome) else { continue };
        let line = |what: &str, dashed, pick: fn(&Percentiles) -> f64| Line {
            name: format!("{label}, {what}"),
            colour,
            dashed,
            points: with_gaps(&series, pick),
            at_least: None,
        };
        lines.push(line("p99", false, |latency| latency.p99));
        lines.push(line("p50", true, |latency| latency.p50));
    }
    let span = Span::named(&latest(&sides, index, group)?.span)?.title();
    (!lines.is_empty()).then(|| Chart {
        title: format!("{name}: {span} over time{closed}"),
        x: seconds_axis("seconds since the phase began, middle round of each"),
        y: latency_axis(),
        lines,
    })
}

fn latest<'a>(sides: &[&'a Side; 2], index: usize, group: &str) -> Option<&'a Series> {
    sides.iter().flat_map(|side| &side.outcomes).find_map(|outcome| felt(outcome.phases.get(index)?, group))
}

/// The groups that a phase has series of.
fn names(phase: &PhaseOutcome) -> Vec<&str> {
    let mut names: Vec<&str> = phase.series.iter().map(|series| series.group.as_str()).collect();
    names.dedup();
    names
}

/// Of a group the latency that ends last; the others are on the way to it.
fn felt<'a>(phase: &'a PhaseOutcome, group: &str) -> Option<&'a Series> {
    let felt = |series: &&Series| series.span != Span::Added.name();
    phase.series.iter().filter(felt).rfind(|series| series.group == group)
}

/// A percentile over time. Intervals in which nothing ended have no point, and are a gap.
fn with_gaps(series: &Series, pick: fn(&Percentiles) -> f64) -> Vec<(f64, Option<f64>)> {
    let interval = series.interval();
    let mut points: Vec<(f64, Option<f64>)> = vec![];
    for point in &series.points {
        if let Some(&(before, _)) = points.last()
            && point.at - before > interval * 1.5
        {
            points.push((before + interval, None));
        }
        points.push((point.at, Some(pick(&point.latency))));
    }
    points
}

/// The most intervals that are drawn of a phase; plans have some hundreds.
const INTERVALS_MAX: u64 = 20_000;

/// Jobs a second of a phase, of one run or of both.
fn jobs(index: usize, runs: &[(&str, &Outcome)]) -> Option<Chart> {
    let line = |(colour, (label, outcome)): (usize, &(&str, &Outcome))| {
        let points = rate(outcome.phases.get(index)?, outcome.plan.phases.get(index)?);
        (!points.is_empty()).then(|| Line::whole(label, colour, false, points))
    };
    let mut lines: Vec<Line> = runs.iter().enumerate().filter_map(line).collect();
    let phase = runs.first()?.1.phases.get(index)?;
    let ends = lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let (from, to) = ends.fold((f64::INFINITY, 0.0), |(from, to), at| (at.min(from), at.max(to)));
    if let Some(asked) = phase.asked.filter(|_| from < to) {
        lines.push(Line::whole("asked for", 6, true, vec![(from, asked), (to, asked)]));
    }
    (!lines.is_empty()).then(|| Chart {
        title: format!("{}: jobs/s over time", phase.name),
        x: seconds_axis(over(runs, "seconds since the phase began")),
        y: Axis { unit: Unit::Count, title: "jobs/s".to_owned(), ..Axis::default() },
        lines,
    })
}

fn over(runs: &[(&str, &Outcome)], one: &'static str) -> &'static str {
    match (runs.len(), one) {
        (1, _) => one,
        (_, "seconds since the run began") => "seconds since the run began, middle round of each",
        _ => "seconds since the phase began, middle round of each",
    }
}

/// Jobs that ended in each whole interval of the measured time, a second; none where nothing ended.
fn rate(phase: &PhaseOutcome, terms: &Phase) -> Vec<(f64, f64)> {
    let all = || names(phase).into_iter().filter_map(|group| felt(phase, group));
    let interval = all().map(Series::interval).fold(f64::INFINITY, f64::min);
    if !(interval > 0.0 && interval.is_finite()) {
        return vec![];
    }
    let number = |at: f64| (at / interval).round() as u64;
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for point in all().flat_map(|series| &series.points) {
        // What was never answered stands in the last interval, but did not end there.
        let ended = point.latency.count.saturating_sub(point.unanswered);
        *counts.entry(number(point.at)).or_default() += ended;
    }
    let (Some((&first, _)), Some((&last, _))) = (counts.first_key_value(), counts.last_key_value()) else {
        return vec![];
    };
    let (begin, end) = match terms.seconds {
        // Intervals at both ends that belong to the measured time in part only would be drawn too low.
        Some(seconds) => {
            let whole = |time: f64| (time / interval + 1e-6) as u64;
            ((terms.warm_up / interval - 1e-6).ceil() as u64 + 1, whole(seconds))
        }
        None => (first, last.saturating_sub(1).max(first)),
    };
    if end.saturating_sub(begin) > INTERVALS_MAX {
        return vec![];
    }
    let count = |number: u64| counts.get(&number).copied().unwrap_or(0) as f64 / interval;
    (begin..=end).map(|number| (number as f64 * interval, count(number))).collect()
}

/// CPU of the job server over whole runs; nothing where no process was seen.
fn cpu(runs: &[(&str, &Outcome)]) -> Option<Chart> {
    let y = Axis { title: "cores used".to_owned(), ..Axis::default() };
    over_run("server CPU over time", y, runs, |outcome| outcome.cpu.clone())
}

/// Resident memory over whole runs; nothing where no process was seen.
fn memory(runs: &[(&str, &Outcome)]) -> Option<Chart> {
    let y = Axis { unit: Unit::Bytes, ..Axis::default() };
    over_run("resident memory over time", y, runs, |outcome| {
        outcome.memory.iter().map(|&(at, bytes)| (at, bytes as f64)).collect()
    })
}

fn over_run(
    title: &str,
    y: Axis,
    runs: &[(&str, &Outcome)],
    points: impl Fn(&Outcome) -> Vec<(f64, f64)>,
) -> Option<Chart> {
    let line = |(colour, (label, outcome)): (usize, &(&str, &Outcome))| {
        let points = points(outcome);
        (!points.is_empty()).then(|| Line::whole(label, colour, false, points))
    };
    let lines: Vec<Line> = runs.iter().enumerate().filter_map(line).collect();
    let x = seconds_axis(over(runs, "seconds since the run began"));
    (!lines.is_empty()).then(|| Chart { title: title.to_owned(), x, y, lines })
}

#[cfg(test)]
mod tests;
