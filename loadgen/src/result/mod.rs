//! What was measured and how it is written down: latencies, outcomes, histograms, the report of one run.
pub(crate) mod chart;
pub(crate) mod checks;
pub(crate) mod expect;
pub(crate) mod hgrm;
pub(crate) mod intervals;
pub(crate) mod judged;
pub(crate) mod junit;
pub(crate) mod numbers;
pub(crate) mod outcome;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod span;
pub(crate) mod tables;
