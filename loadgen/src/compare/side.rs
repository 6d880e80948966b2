//! What is kept of one of two job servers that are compared: its rounds, and their histograms together.
use crate::result::outcome::Outcome;
use crate::result::record::Recorder;
use crate::run::conduct::Finding;

/// What is known of one of the two.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// By round.
    pub(crate) outcomes: Vec<Outcome>,
    /// By phase, of all rounds together.
    pub(crate) recorders: Vec<Recorder>,
}

impl Side {
    /// What its job server is called.
    pub(crate) fn label(&self) -> &str {
        self.outcomes.first().map_or("", |outcome| outcome.label.as_str())
    }

    /// Takes what another round found.
    pub(crate) fn take(&mut self, finding: Finding) {
        if self.recorders.is_empty() {
            self.recorders = finding.recorders;
        } else {
            for (mine, theirs) in self.recorders.iter_mut().zip(&finding.recorders) {
                mine.merge(theirs);
            }
        }
        self.outcomes.push(finding.outcome);
    }
}
