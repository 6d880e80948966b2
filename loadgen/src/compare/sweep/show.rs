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
    if let [a, b] = sweeps {
        text.push_str("\nBoth were asked for the same rates in turn, and who was first alternated.\n");
        if let (Some(best_a), Some(best_b)) = (a.best, b.best) {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{}", ratio([a, b], [best_a, best_b]));
        }
    }
    text
}

/// By how much the one rate is above the other, as far as both ends are known: each lies between the highest rate that was
/// kept and the lowest that was missed.
fn ratio([a, b]: [&Sweep; 2], [best_a, best_b]: [f64; 2]) -> String {
    let upper = |sweep: &Sweep| sweep.above.or(sweep.end).filter(|_| sweep.measured);
    let (least, most) = (upper(b).map(|end| best_a / end), upper(a).map(|end| end / best_b));
    let (a, b) = (&a.label, &b.label);
    match (least, most) {
        (Some(least), Some(most)) => {
            format!(
                "{a} kept the bound up to {least:.1} - {most:.1} times the rate of {b}, in this one sweep"
            )
        }
        (Some(least), None) => format!("{a} kept the bound up to {least:.1} times the rate of {b} at least"),
        (None, Some(most)) => format!("{a} kept the bound up to {most:.1} times the rate of {b} at most"),
        (None, None) => {
            format!("neither end could be measured, so nothing is said of {a} and {b}")
        }
    }
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
        several => together(several),
    };
    place(folder, "sweep.svg", svg?.as_bytes())
}

/// A row for each step, in the order in which they were made; CPU and timer error in microseconds.
pub(super) fn table(sweeps: &[Sweep]) -> io::Result<Vec<u8>> {
    let mut table = Writer::from_writer(vec![]);
    let more = ["cores_used", "cpu_per_job_us", "timer_error_p99_us", "found", "limited_by"];
    table.write_record(["server", "asked", "rate"].iter().chain(&PERCENTILES).chain(&more))?;
    let cell = |figure: Option<f64>| figure.map_or_else(String::new, |figure| format!("{figure:.3}"));
    for (sweep, step) in sweeps.iter().flat_map(|sweep| sweep.steps.iter().map(move |step| (sweep, step))) {
        let mut row = vec![sweep.label.clone(), cell(Some(step.asked)), cell(Some(step.rate))];
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
            "\n{} on {}: p99 of response time within {} µs\n\n| asked/s | done/s | p50 µs | p99 µs | p99.9 µs | cores | CPU µs a job | bound |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.plan.name,
            self.label,
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
fn together(sweeps: &[Sweep]) -> std::io::Result<String> {
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
