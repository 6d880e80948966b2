//! More than one run: rounds, sweeps, comparisons, folders and pictures of them.
pub(crate) mod again;
pub(crate) mod comparison;
pub(crate) mod files;
pub(crate) mod gate;
pub(crate) mod histograms;
pub(crate) mod names;
pub(crate) mod page;
pub(crate) mod plot;
pub(crate) mod rounds;
pub(crate) mod rows;
pub(crate) mod selftest;
pub(crate) mod side;
pub(crate) mod sweep;
pub(crate) mod target;
pub(crate) mod versus;
