//! The highest rate at which latency is still bearable, and the curve on the way there: doubling until it
//! is not, then halving the distance between the best rate that was and the worst that was not.
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::chart::{Axis, Chart, Line, svg};
use crate::outcome::{Limit, Outcome, Percentiles};
use crate::overrides::set_rate;
use crate::plan::Plan;
use crate::report::count;
use crate::target::Target;

/// The rate of the first step, if the command line names none.
const FIRST: f64 = 1000.0;

/// The length of a step in seconds, if the command line names none.
const SECONDS: f64 = 5.0;

/// Steps that look for the bound after it was first passed.
const REFINE: usize = 5;

/// The most steps in all.
const STEPS_MAX: usize = 30;

/// One step of a sweep.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// Jobs per second asked for.
    asked: f64,
    /// Jobs per second that were done.
    rate: f64,
    /// The latency that ends last, from the intended time, in microseconds.
    latency: Option<Percentiles>,
    /// CPU seconds per second that the job server used, and what a job cost in microseconds.
    cores_used: Option<f64>,
    cpu_per_job: Option<f64>,
    /// The 99th percentile of timer error in microseconds.
    timer_error: f64,
    /// True if the bound was kept.
    kept: bool,
    /// What limited the step.
    limit: Limit,
}

/// A sweep.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    label: String,
    plan: Plan,
    /// The bound on the 99th percentile, in microseconds.
    bound: f64,
    /// The highest rate that kept it.
    best: Option<f64>,
    /// True if the load generator may be what the search ran into.
    generator: bool,
    steps: Vec<Step>,
    /// What went wrong, if anything.
    clean: bool,
}

/// Runs a plan at rising rates. `bound` is in milliseconds.
pub(crate) fn sweep(
    target: &Target,
    plan: &Plan,
    bound: f64,
    first: Option<f64>,
    seconds: Option<f64>,
) -> Result<Sweep, String> {
    let bound = bound * 1000.0;
    let mut sweep = Sweep {
        label: target.label().to_owned(),
        plan: plan.clone(),
        bound,
        best: None,
        generator: false,
        steps: vec![],
        clean: true,
    };
    let (mut rate, mut kept, mut missed) = (first.unwrap_or(FIRST), None::<f64>, None::<f64>);
    let mut refined = 0;
    while sweep.steps.len() < STEPS_MAX && refined < REFINE {
        let step = sweep.step(target, rate, seconds.unwrap_or(SECONDS))?;
        eprintln!("{}", step.line());
        if step.kept {
            kept = Some(kept.map_or(rate, |best| best.max(rate)));
        } else {
            missed = Some(missed.map_or(rate, |worst| worst.min(rate)));
        }
        sweep.steps.push(step);
        rate = match (kept, missed) {
            (Some(kept), Some(missed)) => {
                refined += 1;
                (kept * missed).sqrt()
            }
            (Some(kept), None) => kept * 2.0,
            (None, Some(missed)) if missed > 10.0 => missed / 4.0,
            (None, _) => break,
        };
    }
    sweep.best = kept;
    // The first that was missed tells who was at the end.
    let first_missed =
        sweep.steps.iter().filter(|step| !step.kept).min_by(|a, b| a.asked.total_cmp(&b.asked));
    sweep.generator = first_missed
        .is_some_and(|step| matches!(step.limit, Limit::Generator | Limit::Both) || step.timer_error > bound);
    Ok(sweep)
}

impl Sweep {
    fn step(&mut self, target: &Target, rate: f64, seconds: f64) -> Result<Step, String> {
        let mut plan = self.plan.clone();
        for phase in plan.phases.iter_mut().filter(|phase| phase.measure && !phase.clients.is_empty()) {
            set_rate(&mut phase.clients, rate);
            phase.seconds = Some(seconds);
            phase.warm_up = (seconds / 5.0).min(1.0);
            // What was due must be sent, but a server that is far behind need not be waited for.
            phase.limit = seconds * 2.0 + 5.0;
        }
        if let Some(flaw) = crate::bounds::flaw(&plan) {
            return Err(format!("at {rate:.0} jobs a second: {flaw}"));
        }
        let outcome = target.run(&plan)?.outcome;
        self.clean &= outcome.tally.is_clean();
        step(&outcome, rate, self.bound).ok_or_else(|| "the plan has no phase with an open loop".to_owned())
    }

    /// True if no job went wrong.
    pub(crate) fn clean(&self) -> bool {
        self.clean
    }

    /// The sweep as a person reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "\n{} on {}: p99 of response time within {} µs\n\n| asked/s | done/s | p50 µs | p99 µs | p99.9 µs | cores | CPU µs a job | kept |\n\
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
                if step.kept { "yes" } else { "no" }
            );
        }
        let _ = match self.best {
            Some(best) => writeln!(text, "\nhighest rate within the bound: {} jobs/s", count(best)),
            None => writeln!(text, "\nno rate that was tried kept the bound"),
        };
        if self.generator {
            text.push_str("note: the load generator was at its end there, so the job server may do more\n");
        }
        if !self.clean {
            text.push_str(
                "FAILED: jobs were lost, doubled, altered, misdelivered, out of order or refused\n",
            );
        }
        text
    }

    /// Writes `sweep.json`, `sweep.md` and `sweep.svg`.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("sweep.json"), serde_json::to_vec_pretty(self)?)?;
        std::fs::write(folder.join("sweep.md"), self.text())?;
        std::fs::write(folder.join("sweep.svg"), self.plot())
    }

    fn sorted(&self) -> Vec<&Step> {
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        steps.sort_by(|a, b| a.asked.total_cmp(&b.asked));
        steps
    }

    fn plot(&self) -> String {
        let steps = self.sorted();
        let latency = |pick: fn(&Percentiles) -> f64| {
            steps
                .iter()
                .filter_map(|step| Some((step.rate, pick(step.latency.as_ref()?))))
                .collect::<Vec<_>>()
        };
        let line =
            |name: &str, colour, dashed, points| Line { name: name.to_owned(), colour, dashed, points };
        let most = steps.iter().map(|step| step.rate).fold(0.0, f64::max);
        let axis = |title: &str, logarithmic| Axis { title: title.to_owned(), logarithmic, marks: vec![] };
        let mut curve = vec![
            line("p50", 0, false, latency(|all| all.p50)),
            line("p99", 1, false, latency(|all| all.p99)),
            line("p99.9", 3, false, latency(|all| all.p999)),
        ];
        curve.push(line("bound on p99", 6, true, vec![(0.0, self.bound), (most, self.bound)]));
        let saturation = Chart {
            title: "latency over the rate that was done".to_owned(),
            x: axis("jobs/s", false),
            y: axis("microseconds", true),
            lines: curve,
        };
        let cost = steps.iter().filter_map(|step| Some((step.rate, step.cpu_per_job?))).collect();
        let cost = Chart {
            title: "CPU time of the job server for a job".to_owned(),
            x: axis("jobs/s", false),
            y: axis("microseconds", false),
            lines: vec![line("CPU time a job", 0, false, cost)],
        };
        svg(&format!("{} · {}", self.plan.name, self.label), &[saturation, cost])
    }
}

impl Step {
    fn line(&self) -> String {
        let p99 = self.latency.map_or("-".to_owned(), |latency| count(latency.p99));
        let kept = if self.kept { "kept" } else { "not kept" };
        format!("{}/s asked, {}/s done, p99 {p99} µs: {kept}", count(self.asked), count(self.rate))
    }
}

/// What a run says about its open phase; of several the first.
fn step(outcome: &Outcome, asked: f64, bound: f64) -> Option<Step> {
    let phase = outcome.measured().find(|phase| phase.groups.iter().any(|group| group.open))?;
    let open = phase.groups.iter().filter(|group| group.open);
    let worst = open.filter_map(|group| Some(group.spans.last()?.response));
    let latency = worst.max_by(|a, b| a.p99.total_cmp(&b.p99));
    // Where there are closed groups beside the open ones, their jobs are no measure of the rate.
    let kept_up = phase.asked.is_none_or(|asked| phase.rate >= asked * 0.95);
    let kept = phase.finished && kept_up && latency.is_some_and(|latency| latency.p99 <= bound);
    Some(Step {
        asked,
        rate: phase.rate,
        latency,
        cores_used: phase.server.map(|server| server.cores_used),
        cpu_per_job: phase.server.map(|server| server.cpu_per_job),
        timer_error: phase.timer_error.map_or(0.0, |error| error.p99),
        kept,
        limit: phase.limit.clone(),
    })
}
