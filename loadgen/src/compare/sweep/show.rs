//! What is said and drawn of sweeps: a table each, and of two both curves in one chart.
use std::fmt::Write;
use std::io;
use std::path::Path;

use csv::Writer;

use super::{Found, Step, Sweep};
use crate::compare::files::place;
use crate::result::chart::{Axis, Chart, Line, Unit, svg};
use crate::result::numbers::count;
use crate::result::outcome::Percentiles;
use crate::result::tables::{PERCENTILES, end, percentiles_cells};

/// Sweeps as a person reads them.
pub(crate) fn text(sweeps: &[Sweep]) -> String {
    let mut text: String = sweeps.iter().map(Sweep::text).collect();
    let labels = labels(sweeps);
    for label in &labels {
        text.push_str(&range(&of(sweeps, label)));
    }
    if let [a, b] = labels.as_slice() {
        text.push_str("\nBoth were asked for the same rates in turn, and who was first alternated.\n");
        text.push_str(&ratio(&of(sweeps, a), &of(sweeps, b)));
    }
    text
}

/// The job servers, in their order.
fn labels(sweeps: &[Sweep]) -> Vec<String> {
    let mut labels: Vec<String> = vec![];
    for sweep in sweeps {
        if !labels.contains(&sweep.label) {
            labels.push(sweep.label.clone());
        }
    }
    labels
}

/// The sweeps of one job server that came to their end.
fn of<'a>(sweeps: &'a [Sweep], label: &str) -> Vec<&'a Sweep> {
    sweeps.iter().filter(|sweep| sweep.label == label && sweep.whole).collect()
}

/// The rate within the bound as a range: from the lowest that a sweep missed, or the lowest end, to the highest that one kept.
fn range(sweeps: &[&Sweep]) -> String {
    let Some(first) = sweeps.first() else {
        return "\nno sweep came to its end, so nothing follows\n".to_owned();
    };
    let kept = sweeps.iter().filter_map(|sweep| sweep.above.or(sweep.best));
    let (low, high) = kept.fold((f64::INFINITY, 0.0f64), |(low, high), rate| (low.min(rate), high.max(rate)));
    let missed = sweeps.iter().filter(|sweep| sweep.measured).filter_map(|sweep| sweep.end);
    let missed = missed.fold(f64::INFINITY, f64::min);
    let label = &first.label;
    if !low.is_finite() {
        return format!("\n{label}: no rate that was tried kept the bound\n");
    }
    let low = two_digits(low.min(missed));
    let least = sweeps.iter().filter(|sweep| !sweep.measured).count();
    let doubt = match least {
        0 => String::new(),
        least => format!("; {least} of them found no end of the job server, which may do more"),
    };
    match two_digits(high) {
        high if high == low => format!(
            "\n{label}: within the bound up to about {high} jobs/s ({} sweeps{doubt})\n",
            sweeps.len()
        ),
        high => format!(
            "\n{label}: within the bound up to {low} - {high} jobs/s ({} sweeps{doubt})\n",
            sweeps.len()
        ),
    }
}

/// The rate of a sweep has no third digit.
fn two_digits(rate: f64) -> String {
    let unit = 10f64.powf((rate.max(1.0).log10().floor() - 1.0).max(0.0));
    count((rate / unit).round() * unit)
}

/// By how much the one rate is above the other, sweep by sweep: the worst, the one in the middle and the best. An end that was
/// not found makes it a bound.
fn ratio(a: &[&Sweep], b: &[&Sweep]) -> String {
    let both = || a.iter().zip(b).filter_map(|(a, b)| Some((*a, *b, a.best? / b.best?)));
    let mut ratios: Vec<f64> = both().map(|(_, _, ratio)| ratio).collect();
    let (Some(first), Some(second)) = (a.first(), b.first()) else { return String::new() };
    let (label, other) = (&first.label, &second.label);
    ratios.sort_by(f64::total_cmp);
    let [Some(worst), Some(middle), Some(best)] =
        [0, ratios.len() / 2, ratios.len().wrapping_sub(1)].map(|at| ratios.get(at))
    else {
        return format!(
            "there is no sweep in which both kept the bound, so nothing is said of {label} and {other}\n"
        );
    };
    let open = |pick: fn(&(&Sweep, &Sweep, f64)) -> bool| both().any(|found| pick(&found));
    let doubt = match (open(|(a, ..)| !a.measured), open(|(_, b, _)| !b.measured)) {
        (false, false) => "",
        (true, false) => "; the end of the first was not found, so it may be more",
        (false, true) => "; the end of the second was not found, so it may be less",
        (true, true) => "; neither end was found, so nothing follows from it",
    };
    format!(
        "{label} kept the bound up to {worst:.1} - {middle:.1} - {best:.1} times the rate of {other} (the worst, the middle and the best of \
         {} sweeps{doubt})\n",
        ratios.len()
    )
}

/// Writes `sweep.json`, `sweep.csv`, `sweep.md` and `sweep.svg`.
pub(crate) fn write(sweeps: &[Sweep], folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let json = match sweeps {
        [one] => serde_json::to_vec_pretty(one)?,
        several => serde_json::to_vec_pretty(several)?,
    };
    place(folder, "sweep.json", &json)?;
    place(folder, "sweep.csv", &table(sweeps)?)?;
    place(folder, "sweep.md", text(sweeps).as_bytes())?;
    let svg = match sweeps {
        [one] => one.plot(),
        // The last round of each, whose way up is short; the others are in the table.
        several => {
            let last = several.iter().map(|sweep| sweep.round).max();
            let last: Vec<&Sweep> = several.iter().filter(|sweep| Some(sweep.round) == last).collect();
            match last.as_slice() {
                [one] => one.plot(),
                several => together(several),
            }
        }
    };
    place(folder, "sweep.svg", svg?.as_bytes())
}

/// A row for each step, in the order in which they were made; CPU and timer error in microseconds.
pub(super) fn table(sweeps: &[Sweep]) -> io::Result<Vec<u8>> {
    let mut table = Writer::from_writer(vec![]);
    let more = ["cores_used", "cpu_per_job_us", "timer_error_p99_us", "found", "limited_by"];
    table.write_record(["server", "sweep", "asked", "rate"].iter().chain(&PERCENTILES).chain(&more))?;
    let cell = |figure: Option<f64>| figure.map_or_else(String::new, |figure| format!("{figure:.3}"));
    for (sweep, step) in sweeps.iter().flat_map(|sweep| sweep.steps.iter().map(move |step| (sweep, step))) {
        let mut row =
            vec![sweep.label.clone(), sweep.round.to_string(), cell(Some(step.asked)), cell(Some(step.rate))];
        row.extend(step.latency.map_or_else(Default::default, |latency| percentiles_cells(&latency)));
        row.extend([step.cores_used, step.cpu_per_job, Some(step.timer_error)].map(cell));
        row.extend([step.found.said().to_owned(), format!("{:?}", step.limit).to_lowercase()]);
        table.write_record(&row)?;
    }
    end(table)
}

impl Sweep {
    fn text(&self) -> String {
        let mut text = format!(
            "\n{} on {}, sweep {}: p99 of response time within {} µs\n\n| asked/s | done/s | p50 µs | p99 µs | p99.9 µs | cores | CPU µs a job | bound |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.plan.name,
            self.label,
            self.round,
            count(self.bound)
        );
        for step in self.sorted() {
            let micros = |pick: fn(&Percentiles) -> f64| {
                step.latency.as_ref().map_or("-".into(), |all| count(pick(all)))
            };
            let number = |number: Option<f64>| number.map_or("?".to_owned(), |number| format!("{number:.2}"));
            // Writing into a String does not fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                count(step.asked),
                count(step.rate),
                micros(|all| all.p50),
                micros(|all| all.p99),
                micros(|all| all.p999),
                number(step.cores_used),
                number(step.cpu_per_job),
                step.found.said()
            );
        }
        let _ = match self.best {
            Some(best) => {
                writeln!(text, "\nhighest rate within the bound: {} jobs/s{}", count(best), self.end_said())
            }
            None => writeln!(text, "\nno rate that was tried kept the bound"),
        };
        if let Some(best) = self.best
            && self.steps.iter().any(|step| step.found == Found::Missed && step.asked < best)
        {
            text.push_str("note: a lower rate missed the bound, so chance had a part in it\n");
        }
        if let Some(above) = self.above {
            let above = count(above);
            let _ = writeln!(
                text,
                "note: {above} jobs/s was kept again, so chance had a part in it: the end is a range"
            );
        }
        if !self.whole {
            text.push_str("interrupted: what follows from these steps is not known\n");
        }
        if !self.clean {
            text.push_str(
                "FAILED: jobs were lost, doubled, altered, misdelivered, out of order or refused\n",
            );
        }
        text
    }

    /// Where the search ended.
    fn end_said(&self) -> String {
        match self.end {
            Some(end) if self.measured => format!("; {} was missed twice", count(end)),
            Some(end) => format!(
                " at least: at {} the load generator or other processes had a part in the latencies, so the job server may do more",
                count(end)
            ),
            None => " at least: the search ended before a rate was missed".to_owned(),
        }
    }

    fn plot(&self) -> std::io::Result<String> {
        let steps = self.sorted();
        let latency = |pick: fn(&Percentiles) -> f64| {
            steps
                .iter()
                .filter_map(|step| Some((step.rate, pick(step.latency.as_ref()?))))
                .collect::<Vec<_>>()
        };
        let line = Line::whole;
        let most = steps.iter().map(|step| step.rate).fold(0.0, f64::max);
        let mut curve = vec![
            line("p50", 0, false, latency(|all| all.p50)),
            line("p99", 1, false, latency(|all| all.p99)),
            line("p99.9", 3, false, latency(|all| all.p999)),
        ];
        curve.push(line("bound on p99", 6, true, vec![(0.0, self.bound), (most, self.bound)]));
        let saturation = Chart {
            title: "latency over the rate that was done".to_owned(),
            x: axis("jobs/s", Unit::Count, false),
            y: axis("", Unit::Micros, true),
            lines: curve,
        };
        let cost = steps.iter().filter_map(|step| Some((step.rate, step.cpu_per_job?))).collect();
        let cost = Chart {
            title: "CPU time of the job server for a job".to_owned(),
            x: axis("jobs/s", Unit::Count, false),
            y: axis("", Unit::Micros, false),
            lines: vec![line("CPU time a job", 0, false, cost)],
        };
        svg(&format!("{} · {}", self.plan.name, self.label), &[saturation, cost])
    }
}

fn axis(title: &str, unit: Unit, logarithmic: bool) -> Axis {
    Axis { title: title.to_owned(), unit, logarithmic, marks: vec![] }
}

/// Both curves over the rate that was asked for, at which they can be compared.
fn together(sweeps: &[&Sweep]) -> std::io::Result<String> {
    let (mut saturation, mut cost) = (vec![], vec![]);
    for (colour, sweep) in sweeps.iter().enumerate() {
        let line = |what: &str, dashed, pick: fn(&Step) -> Option<f64>| {
            let points = sweep.sorted().iter().filter_map(|step| Some((step.asked, pick(step)?))).collect();
            Line::whole(&format!("{}, {what}", sweep.label), colour, dashed, points)
        };
        saturation.push(line("p99", false, |step| Some(step.latency?.p99)));
        saturation.push(line("p50", true, |step| Some(step.latency?.p50)));
        cost.push(line("CPU time a job", false, |step| step.cpu_per_job));
    }
    let most = sweeps.iter().flat_map(|sweep| &sweep.steps).map(|step| step.asked).fold(0.0, f64::max);
    if let Some(sweep) = sweeps.first() {
        let points = vec![(0.0, sweep.bound), (most, sweep.bound)];
        saturation.push(Line::whole("bound on p99", 6, true, points));
    }
    let saturation = Chart {
        title: "latency over the rate that was asked for".to_owned(),
        x: axis("jobs/s asked for", Unit::Count, false),
        y: axis("", Unit::Micros, true),
        lines: saturation,
    };
    let cost = Chart {
        title: "CPU time of the job server for a job".to_owned(),
        x: axis("jobs/s asked for", Unit::Count, false),
        y: axis("", Unit::Micros, false),
        lines: cost,
    };
    let labels: Vec<&str> = sweeps.iter().map(|sweep| sweep.label.as_str()).collect();
    let plan = sweeps.first().map_or("", |sweep| sweep.plan.name.as_str());
    svg(&format!("{plan} · {}", labels.join(" and ")), &[saturation, cost])
}
