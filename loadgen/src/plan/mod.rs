//! What is to happen: the plan, its bounds, what the command line changes in it, who plays, when jobs are due.
pub(crate) mod amount;
pub(crate) mod bounds;
pub(crate) mod cast;
pub(crate) mod library;
pub(crate) mod overrides;
pub(crate) mod schedule;
pub(crate) mod terms;
pub(crate) mod threshold;
