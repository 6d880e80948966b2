//! What is to happen: the plan, its bounds, what the command line changes in it, who plays, when jobs are due.
pub(crate) mod amount;
pub(crate) mod bounds;
pub(crate) mod cast;
pub(crate) mod choices;
pub(crate) mod expand;
pub(crate) mod groups;
pub(crate) mod library;
pub(crate) mod most;
pub(crate) mod names;
pub(crate) mod overrides;
pub(crate) mod rate;
pub(crate) mod replay;
pub(crate) mod schedule;
pub(crate) mod terms;
pub(crate) mod threshold;
pub(crate) mod trace;
