//! What became of a threshold, as it is kept and told. How that is found stands in `expect/`.
use serde::{Deserialize, Serialize};

/// A threshold and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// The phase that it was held against.
    pub(crate) phase: String,
    /// The threshold as it was written.
    pub(crate) threshold: String,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// What was seen, in the unit of the figure: microseconds, bytes, jobs or jobs per second; `None` if nothing was.
    pub(crate) value: Option<f64>,
    /// The bound in the same unit; of a multiple what it came to.
    pub(crate) bound: Option<f64>,
    /// The same as a sentence, with the reason if it cannot be told.
    pub(crate) said: String,
}

/// What became of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The figure is on the right side.
    Ok,
    /// The figure is not known well enough. That fails too: a check that cannot see must not be green.
    CannotTell,
    /// It is on the wrong side.
    Failed,
}

impl Judged {
    /// As a person reads it.
    pub(crate) fn line(&self) -> String {
        let word = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::CannotTell => "cannot tell",
            Verdict::Failed => "FAILED",
        };
        format!("{word}: {}: {}: {}", self.phase, self.threshold, self.said)
    }
}
