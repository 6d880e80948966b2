//! What is seen while a run goes on: one line, redrawn on a terminal, a plain one now and then elsewhere, or an object of
//! JSON each second. It goes to standard error, so that standard output holds the result alone.
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::machine::probe;
use crate::plan::terms::Phase;
use crate::result::numbers::count;
use crate::result::outcome::{Percentiles, Stall};
use crate::run::stage::Counts;

/// The live view.
#[derive(Debug)]
pub(crate) struct Progress {
    form: Form,
    /// What the run is called.
    label: String,
    /// When something was last shown, and what had been counted.
    last: Option<(Instant, Counts)>,
    /// When the job server's CPU time was last read, that time in seconds, and the cores that it used before.
    cpu: Option<(Instant, u64, Option<f64>)>,
}

#[derive(Debug)]
enum Form {
    Quiet,
    Redrawn(ProgressBar),
    Plain,
    Json,
}

impl Form {
    /// The time between two views.
    const fn pause(&self) -> Duration {
        match self {
            Form::Redrawn(_) => Duration::from_millis(250),
            Form::Json => CPU,
            _ => Duration::from_secs(2),
        }
    }
}

/// Between two looks at the CPU time, which the kernel counts in steps of 10 ms.
const CPU: Duration = Duration::from_secs(1);

/// What the conductor sees of a phase at one moment.
#[derive(Debug)]
pub(crate) struct Glance<'a> {
    /// The phase.
    pub(crate) phase: &'a Phase,
    /// Nanoseconds since it began.
    pub(crate) elapsed: u64,
    /// What was counted.
    pub(crate) counts: &'a Counts,
    /// The latency that ends last, in the last whole interval.
    pub(crate) latency: Option<Percentiles>,
    /// The longest time without an answer so far.
    pub(crate) stall: Option<Stall>,
    /// The job server's process.
    pub(crate) pid: Option<u32>,
}

/// What is shown, under the names that it has as JSON.
#[derive(Debug, Serialize)]
struct View<'a> {
    label: &'a str,
    phase: &'a str,
    elapsed_s: f64,
    /// Jobs per second; `None` without an open loop.
    asked_per_s: Option<f64>,
    done_per_s: f64,
    submitted_per_s: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    in_flight: u64,
    server_cores: Option<f64>,
    stall_s: Option<f64>,
    stall_at_s: Option<f64>,
}

impl Progress {
    /// For one run; shows nothing if `quiet`.
    pub(crate) fn new(label: &str, quiet: bool) -> Progress {
        let form = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Form::Quiet,
            (false, false) => Form::Plain,
            (false, true) => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                    bar.set_style(style);
                }
                Form::Redrawn(bar)
            }
        };
        Progress { form, label: label.to_owned(), last: None, cpu: None }
    }

    /// The same as an object of JSON each second, in a line of its own.
    pub(crate) fn in_json(mut self) -> Progress {
        self.form = Form::Json;
        self
    }

    /// Tells what goes on in a phase.
    pub(crate) fn say(&mut self, phase: &str, what: &str) {
        if let Form::Redrawn(bar) = &self.form {
            bar.set_message(format!("{} {phase}: {what}", self.label));
            bar.tick();
        }
        (self.last, self.cpu) = (None, None);
    }

    /// Shows how far a phase is, if it is time to.
    pub(crate) fn show(&mut self, glance: &Glance<'_>) {
        if matches!(self.form, Form::Quiet) {
            return;
        }
        let now = Instant::now();
        let server_cores = self.cores(now, glance.pid);
        let (then, before) = *self.last.get_or_insert((now, *glance.counts));
        let passed = now - then;
        if passed < self.form.pause() {
            return;
        }
        self.last = Some((now, *glance.counts));
        let view = glance.view(&self.label, &before, passed.as_secs_f64(), server_cores);
        let mut error = std::io::stderr();
        // Whoever looked on may have gone; the run goes on.
        let _ = match &self.form {
            Form::Redrawn(bar) => {
                bar.set_message(view.line());
                bar.tick();
                Ok(())
            }
            Form::Json => writeln!(error, "{}", view.json()),
            _ => writeln!(error, "{}", view.line()),
        };
    }

    /// The cores that the job server used in the last second.
    fn cores(&mut self, now: Instant, pid: Option<u32>) -> Option<f64> {
        let (then, before, known) = match self.cpu {
            Some(last) => last,
            None => (now, probe::cpu(pid?)?, None),
        };
        self.cpu = Some((then, before, known));
        let passed = now - then;
        if passed < CPU {
            return known;
        }
        let used = probe::cpu(pid?)?;
        let cores = used.saturating_sub(before) as f64 / passed.as_nanos() as f64;
        self.cpu = Some((now, used, Some(cores)));
        Some(cores)
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if let Form::Redrawn(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

impl Glance<'_> {
    /// What is new since `before`, which was `passed` seconds ago.
    fn view<'a>(
        &'a self,
        label: &'a str,
        before: &Counts,
        passed: f64,
        server_cores: Option<f64>,
    ) -> View<'a> {
        let Glance { phase, elapsed, counts, latency, stall, .. } = self;
        let rate = |pick: fn(&Counts) -> u64| pick(counts).saturating_sub(pick(before)) as f64 / passed;
        // As in the result: what clients got, what workers did, or what was accepted.
        let done: fn(&Counts) -> u64 = match (phase.workers.is_empty(), phase.clients.is_empty()) {
            (true, _) => |counts| counts.created,
            (false, false) if phase.clients.iter().all(|clients| !clients.background) => {
                |counts| counts.results
            }
            _ => |counts| counts.worked,
        };
        let now = *elapsed as f64 / 1e9;
        let due = phase.clients.iter().filter_map(|clients| clients.due((now - passed).max(0.0), now));
        let asked = due.sum::<f64>() / passed;
        View {
            label,
            phase: &phase.name,
            elapsed_s: *elapsed as f64 / 1e9,
            asked_per_s: (asked > 0.0).then_some(asked),
            done_per_s: rate(done),
            submitted_per_s: rate(|counts| counts.submitted),
            p50_us: latency.map(|all| all.p50),
            p99_us: latency.map(|all| all.p99),
            in_flight: counts.outstanding,
            server_cores,
            stall_s: stall.map(|stall| stall.seconds),
            stall_at_s: stall.map(|stall| stall.at),
        }
    }
}

impl View<'_> {
    fn line(&self) -> String {
        let mut line = format!(
            "{} {} {:.0} s: {}/s done",
            self.label,
            self.phase,
            self.elapsed_s,
            count(self.done_per_s.round())
        );
        let mut add = |part: Option<String>| line.extend(part);
        add(self.asked_per_s.map(|asked| format!(" of {}/s asked", count(asked))));
        add(self.p50_us.map(|p50| format!(", p50 {} µs", count(p50))));
        add(self.p99_us.map(|p99| format!(", p99 {} µs", count(p99))));
        add(Some(format!(", {} in flight", self.in_flight)));
        add(self.server_cores.map(|cores| format!(", server {cores:.2} cores")));
        add(self.stall_s.map(|seconds| format!(", stood still {seconds:.2} s")));
        add(self.stall_at_s.map(|at| format!(" at {at:.1} s")));
        line
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::terms::Plan;

    const PHASE: &str = "
        name = 'x'
        about = 'x'
        [[phases]]
        name = 'rush'
        seconds = 9
        [[phases.clients]]
        count = 1
        rate = 500
        [[phases.clients]]
        count = 1
        rate = 700
        [[phases.workers]]
        count = 1
    ";

    #[test]
    fn a_view_has_what_was_asked_and_done() {
        let phase = toml::from_str::<Plan>(PHASE).unwrap().phases.remove(0);
        let before = Counts { results: 100, submitted: 100, worked: 7, ..Counts::default() };
        let counts = Counts { results: 1100, submitted: 1300, outstanding: 3, ..before };
        let mut values = crate::result::record::histogram();
        (0..1000).for_each(|_| values.record(200_000).unwrap());
        let latency = Percentiles::of(&values);
        let stall = Some(Stall { seconds: 0.3, at: 1.5, waiting: 9 });
        let glance =
            Glance { phase: &phase, elapsed: 4_000_000_000, counts: &counts, latency, stall, pid: None };
        let view = glance.view("ours", &before, 2.0, Some(0.25));
        assert_eq!(
            view.line(),
            "ours rush 4 s: 500/s done of 1,200/s asked, p50 200 µs, p99 200 µs, 3 in flight, server 0.25 cores, \
             stood still 0.30 s at 1.5 s"
        );
        let json: serde_json::Value = serde_json::from_str(&view.json()).unwrap();
        assert_eq!((&json["asked_per_s"], &json["done_per_s"]), (&1200.0.into(), &500.0.into()));
        assert_eq!((&json["submitted_per_s"], &json["in_flight"]), (&600.0.into(), &3.into()));
        // What is not known is left out of the line, and null as JSON.
        let glance = Glance { latency: None, stall: None, ..glance };
        let view = glance.view("ours", &before, 2.0, None);
        assert_eq!(view.line(), "ours rush 4 s: 500/s done of 1,200/s asked, 3 in flight");
        assert!(view.json().contains("\"p99_us\":null") && !view.json().contains('\n'));
    }
}
