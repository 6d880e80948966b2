//! A run or a comparison as a gate: thresholds of the command line and the plan, what became of them, and the JUnit
//! file. How a threshold is held against a figure stands in `result/expect.rs`.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::args::Gates;
use crate::compare::files;
use crate::plan::terms::Plan;
use crate::plan::threshold::Threshold;
use crate::result::expect;
use crate::result::judged::Judged;
use crate::result::junit;
use crate::result::outcome::Outcome;
use crate::result::report::say;

/// What the command line asks of the result.
#[derive(Debug)]
pub(crate) struct Gate {
    own: Vec<Threshold>,
    junit: Option<PathBuf>,
}

impl Gate {
    /// Reads the thresholds, and sees that the file can be written, before anything is measured.
    pub(crate) fn new(gates: &Gates) -> Result<Gate, String> {
        let own = expect::read(&gates.fail_if)?;
        if let Some(file) = &gates.junit {
            // Emptied, so that nobody takes what an earlier run wrote for this one's.
            File::create(file).map_err(|error| cannot(file, &error))?;
        }
        Ok(Gate { own, junit: gates.junit.clone() })
    }

    /// Refuses what can have no answer: multiples of another job server where there is none.
    pub(crate) fn check(&self, plan: &Plan, has_base: bool) -> Result<(), String> {
        expect::flaw(plan, &self.own, has_base).map_or(Ok(()), Err)
    }

    /// Judges one run, and keeps that in its result.
    pub(crate) fn judge(&self, outcome: &mut Outcome) {
        outcome.thresholds = expect::judge(&outcome.plan, &self.own, &[outcome], &[]);
    }

    /// Writes the JUnit file of one run that was judged.
    pub(crate) fn tell(&self, outcome: &Outcome) -> Result<(), String> {
        self.write(&[std::slice::from_ref(outcome)], &outcome.thresholds)
    }

    /// Judges the rounds of the first of two job servers, tells it and writes it into `folder`; true if all is as it should
    /// be.
    pub(crate) fn two(&self, sides: [&[Outcome]; 2], folder: Option<&Path>) -> Result<bool, String> {
        let [rounds, base] = sides.map(|side| side.iter().collect::<Vec<_>>());
        let Some(first) = rounds.first() else { return Ok(true) };
        let judged = expect::judge(&first.plan, &self.own, &rounds, &base);
        if !judged.is_empty() {
            say(&format!("\nthresholds of {}:\n{}", first.label, expect::lines(&judged)));
            if let Some(folder) = folder {
                let text = serde_json::to_vec_pretty(&judged).map_err(|error| error.to_string())?;
                files::place(folder, files::THRESHOLDS, &text)
                    .map_err(|error| format!("{}: {error}", folder.display()))?;
            }
        }
        self.write(&sides, &judged)?;
        Ok(expect::kept(&judged))
    }

    fn write(&self, sides: &[&[Outcome]], judged: &[Judged]) -> Result<(), String> {
        let Some(file) = &self.junit else { return Ok(()) };
        let xml = junit::xml(sides, judged).map_err(|error| cannot(file, &error))?;
        fs::write(file, xml).map_err(|error| cannot(file, &error))
    }
}

fn cannot(file: &Path, error: &io::Error) -> String {
    format!("--junit {}: {error}", file.display())
}
