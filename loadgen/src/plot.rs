//! Which curves a result is drawn as: for every measured phase latency over percentiles and over time.
use hdrhistogram::Histogram;

use crate::chart::{Axis, Chart, Line, svg};
use crate::conduct::Finding;
use crate::outcome::{Percentiles, PhaseOutcome};
use crate::record::{Recorder, Span};

/// The plot of a run.
pub(crate) fn plot(finding: &Finding) -> String {
    let outcome = &finding.outcome;
    let mut charts = vec![];
    for (phase, recorder) in outcome.phases.iter().zip(&finding.recorders) {
        if phase.measured && phase.groups.iter().any(|group| !group.spans.is_empty()) {
            let names: Vec<&str> = outcome
                .plan
                .phases
                .iter()
                .flat_map(|phase| phase.clients.iter().map(|clients| clients.name.as_str()))
                .collect();
            charts.push(percentiles(phase, recorder, &names));
            charts.push(over_time(phase));
        }
    }
    let version = outcome.server.version.as_deref().unwrap_or("");
    svg(&format!("{} · {} {version}", outcome.plan.name, outcome.label), &charts)
}

fn percentiles(phase: &PhaseOutcome, recorder: &Recorder, names: &[&str]) -> Chart {
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
        title: format!("{}: latency by percentile", phase.name),
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
    let last = |group: &str| phase.series.iter().rfind(|series| series.group == group);
    let mut groups: Vec<&str> = phase.series.iter().map(|series| series.group.as_str()).collect();
    groups.dedup();
    for (colour, group) in groups.into_iter().enumerate() {
        let Some(series) = last(group) else { continue };
        let title = Span::ALL.into_iter().find(|span| span.name() == series.span).map_or("", Span::title);
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
