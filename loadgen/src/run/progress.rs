//! One live line while a run goes on: redrawn on a terminal, a plain line now and then elsewhere. It goes to
//! standard error, so that standard output holds the result alone.
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::result::report::count;
use crate::run::stage::Counts;

/// The live line.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    /// What the run is called.
    label: String,
    /// When the last line was printed, and what had been counted.
    last: Option<(Instant, Counts)>,
}

/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(2);

/// Between two redraws.
const LIVE: Duration = Duration::from_millis(250);

impl Progress {
    /// For one run; prints nothing if `quiet`.
    pub(crate) fn new(label: &str, quiet: bool) -> Progress {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(ProgressBar::new_spinner);
        if let Some(bar) = &bar
            && let Ok(style) = ProgressStyle::with_template("{spinner} {msg}")
        {
            bar.set_style(style);
        }
        Progress { bar, quiet, label: label.to_owned(), last: None }
    }

    /// Tells what goes on in a phase.
    pub(crate) fn say(&mut self, phase: &str, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {phase}: {what}", self.label));
            bar.tick();
        }
        self.last = None;
    }

    /// Tells how far a phase is, if it is time to.
    pub(crate) fn show(&mut self, phase: &str, elapsed: u64, counts: &Counts) {
        if self.quiet {
            return;
        }
        let now = Instant::now();
        let (then, before) = *self.last.get_or_insert((now, *counts));
        let passed = now - then;
        if passed < if self.bar.is_some() { LIVE } else { PLAIN } {
            return;
        }
        self.last = Some((now, *counts));
        let rate = |now: u64, before: u64| count((now - before) as f64 / passed.as_secs_f64());
        let line = format!(
            "{} {phase} {:.0} s: {}/s submitted, {}/s created, {}/s worked, {}/s results, {} outstanding",
            self.label,
            elapsed as f64 / 1e9,
            rate(counts.submitted, before.submitted),
            rate(counts.created, before.created),
            rate(counts.worked, before.worked),
            rate(counts.results, before.results),
            counts.outstanding,
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None => eprintln!("{line}"),
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
