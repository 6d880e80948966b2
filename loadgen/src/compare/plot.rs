//! Which curves a result is drawn as: for every measured phase latency over percentiles and over time; of two
//! job servers their latencies in one chart; memory over the whole run. How a chart is drawn stands in `chart.rs`.
use hdrhistogram::Histogram;

use crate::compare::side::Side;
use crate::plan::names;
use crate::result::chart::{Axis, Chart, Line, svg};
use crate::result::outcome::{Outcome, Percentiles, PhaseOutcome, Series};
use crate::result::record::{Recorder, Span, Spans};
use crate::run::conduct::Finding;

/// The plot of a run.
pub(crate) fn plot(finding: &Finding) -> String {
    let outcome = &finding.outcome;
    let mut charts = vec![];
    for (index, (phase, recorder)) in outcome.phases.iter().zip(&finding.recorders).enumerate() {
        if phase.measured && phase.groups.iter().any(|group| !group.spans.is_empty()) {
            charts.push(percentiles(phase, recorder, &names::in_phase(&outcome.plan, index)));
            charts.push(over_time(phase));
        }
    }
    charts.extend(memory(vec![(None, outcome)]));
    let version = outcome.server.version.as_deref().unwrap_or("");
    svg(&format!("{} · {} {version}", outcome.plan.name, outcome.label), &charts)
}

fn percentiles(phase: &PhaseOutcome, recorder: &Recorder, names: &[String]) -> Chart {
    let mut lines = vec![];
    let several = recorder.groups.iter().flatten().count() > 1;
    let mut colour = 0;
    for (spans, name) in recorder.groups.iter().zip(names) {
        let Some(spans) = spans else { continue };
        for (span, pair) in Span::ALL.into_iter().zip(spans.iter()) {
            if pair.response.is_empty() {
                continue;
            }
            let name = if several { format!("{name}, {}", span.title()) } else { span.title().to_owned() };
            let service = format!("{name}, from sending");
            lines.push(Line { name, colour, dashed: false, points: curve(&pair.response) });
            if !pair.service.is_empty() {
                lines.push(Line { name: service, colour, dashed: true, points: curve(&pair.service) });
            }
            colour += 1;
        }
    }
    by_percentile(format!("{}: latency by percentile", phase.name), lines)
}

/// The plot of a comparison: for every measured phase a chart with a line for each job server, all rounds
/// together.
pub(crate) fn both(sides: [&Side; 2]) -> String {
    let [Some(first), Some(second)] = sides.map(|side| side.outcomes.first()) else { return String::new() };
    let mut charts = vec![];
    for (index, phase) in first.phases.iter().enumerate().filter(|(_, phase)| phase.measured) {
        // Where nobody waits, until the job was accepted; where nobody submits, until a worker had it.
        charts.extend(side_by_side(&phase.name, index, sides, &[Span::Result, Span::Created, Span::Worker]));
        charts.extend(side_by_side(&phase.name, index, sides, &[Span::Added]));
    }
    // Rounds cannot be added up here: each side's middle one stands for it.
    let middle = sides.map(middle_round).into_iter().flatten();
    charts.extend(memory(middle.map(|outcome| (Some(outcome.label.as_str()), outcome)).collect()));
    svg(&format!("{} · {} and {}", first.plan.name, first.label, second.label), &charts)
}

/// The round with the median of the memory's peaks.
fn middle_round(side: &Side) -> Option<&Outcome> {
    let mut rounds: Vec<&Outcome> = side.outcomes.iter().collect();
    rounds.sort_by_key(|outcome| outcome.most_memory());
    rounds.get(rounds.len() / 2).copied()
}

/// Resident memory over whole runs; nothing where no process was seen.
fn memory(runs: Vec<(Option<&str>, &Outcome)>) -> Option<Chart> {
    let line = |(colour, (label, outcome)): (usize, (Option<&str>, &Outcome))| Line {
        name: label.unwrap_or("resident memory").to_owned(),
        colour,
        dashed: false,
        points: outcome.memory.iter().map(|&(at, bytes)| (at, bytes as f64 / 1e6)).collect(),
    };
    let lines: Vec<Line> = runs.into_iter().enumerate().map(line).collect();
    lines.iter().any(|line| !line.points.is_empty()).then(|| Chart {
        title: "resident memory over time".to_owned(),
        x: Axis { title: "seconds since the run began".to_owned(), ..Axis::default() },
        y: Axis { title: "MB".to_owned(), ..Axis::default() },
        lines,
    })
}

/// Of the first group of clients that has any of these latencies the first that there is.
fn side_by_side(phase: &str, index: usize, sides: [&Side; 2], spans: &[Span]) -> Option<Chart> {
    let recorders = sides.map(|side| side.recorders.get(index));
    let groups = |recorder: Option<&Recorder>| recorder.map_or(0, |recorder| recorder.groups.len());
    let of = |recorder: Option<&'_ Recorder>, group: usize, span: Span| {
        let spans: &Spans = recorder?.groups.get(group)?.as_ref()?;
        let histogram = &spans[span as usize].response;
        (!histogram.is_empty()).then(|| curve(histogram))
    };
    let (group, span) = (0..groups(recorders[0]).max(groups(recorders[1])))
        .flat_map(|group| spans.iter().map(move |&span| (group, span)))
        .find(|&(group, span)| recorders.iter().any(|&recorder| of(recorder, group, span).is_some()))?;
    let line = |(colour, (side, recorder)): (usize, (&Side, Option<&Recorder>))| {
        let label = side.outcomes.first().map_or("", |outcome| outcome.label.as_str());
        Some(Line { name: label.to_owned(), colour, dashed: false, points: of(recorder, group, span)? })
    };
    let lines = sides.into_iter().zip(recorders).enumerate().filter_map(line).collect();
    let plan = &sides[0].outcomes.first()?.plan;
    let clients = plan.phases.iter().flat_map(|phase| &phase.clients).nth(group);
    let closed = if clients.is_some_and(|clients| clients.closed.is_some()) { ", closed loop" } else { "" };
    Some(by_percentile(format!("{phase}: {} by percentile{closed}", span.title()), lines))
}

fn by_percentile(title: String, lines: Vec<Line>) -> Chart {
    let mark = |(share, text): (f64, &str)| (1.0 / (1.0 - share), text.to_owned());
    let marks = [
        (0.0, "0"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.9999, "99.99 %"),
        (0.99999, "99.999 %"),
        (0.999999, "99.9999 %"),
    ];
    Chart {
        title,
        x: Axis {
            title: "share of jobs".to_owned(),
            logarithmic: true,
            marks: marks.into_iter().map(mark).collect(),
        },
        y: Axis { title: "microseconds".to_owned(), logarithmic: true, marks: vec![] },
        lines,
    }
}

/// Latency over 1 / (1 - percentile), up to what so many values can tell.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let most = histogram.len() as f64;
    let mut points: Vec<(f64, f64)> = histogram
        .iter_quantiles(10)
        .map(|step| (1.0 / (1.0 - step.quantile_iterated_to()), step.value_iterated_to() as f64 / 1000.0))
        .take_while(|(x, _)| *x <= most)
        .collect();
    points.push((most.max(1.0), histogram.max() as f64 / 1000.0));
    points
}

fn over_time(phase: &PhaseOutcome) -> Chart {
    let mut lines = vec![];
    let several = phase.groups.len() > 1;
    // Of each group the latency that ends last; the others are on the way to it.
    let felt = |series: &&Series| series.span != Span::Added.name();
    let last = |group: &str| phase.series.iter().filter(felt).rfind(|series| series.group == group);
    let mut groups: Vec<&str> = phase.series.iter().map(|series| series.group.as_str()).collect();
    groups.dedup();
    for (colour, group) in groups.into_iter().enumerate() {
        let Some(series) = last(group) else { continue };
        let title = Span::named(&series.span).map_or("", Span::title);
        let name = if several { format!("{group}, {title}") } else { title.to_owned() };
        let of = |pick: fn(&Percentiles) -> f64| {
            series.points.iter().map(|point| (point.at, pick(&point.latency))).collect::<Vec<_>>()
        };
        let line = |what: &str, dashed, points| Line {
            name: format!("{name}, {what}"),
            colour: colour * 3 + usize::from(what == "p99") + 2 * usize::from(what == "max"),
            dashed,
            points,
        };
        lines.push(line("p50", false, of(|latency| latency.p50)));
        lines.push(line("p99", false, of(|latency| latency.p99)));
        lines.push(line("max", true, of(|latency| latency.max)));
    }
    Chart {
        title: format!("{}: latency over time", phase.name),
        x: Axis { title: "seconds".to_owned(), ..Axis::default() },
        y: Axis { title: "microseconds".to_owned(), logarithmic: true, marks: vec![] },
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::background;

    #[test]
    fn two_job_servers_share_a_chart_for_each_phase() {
        let side = |label: &str| {
            let mut finding = background();
            label.clone_into(&mut finding.outcome.label);
            Side { outcomes: vec![finding.outcome], recorders: finding.recorders }
        };
        let (a, b) = (side("ours"), side("theirs"));
        let svg = both([&a, &b]);
        assert!(svg.contains("test · ours and theirs"));
        assert_eq!(svg.matches(">ours<").count(), svg.matches(">theirs<").count());
        // Nobody waits in the one phase, nobody submits in the other.
        assert!(svg.contains("fill: submit→JOB_CREATED") && svg.contains("drain: submit→worker"));
        assert!(svg.contains("resident memory over time"));
        assert!(!svg.contains("NaN"));
        assert_eq!(both([&Side::default(), &b]), "");
    }
}
