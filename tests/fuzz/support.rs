//! What engines in pretend time need of `tests/support`; the rest of it starts servers.
#[path = "../support/bounds.rs"]
pub(crate) mod bounds;
#[path = "../support/cluster.rs"]
pub(crate) mod cluster;
#[path = "../support/kept.rs"]
pub(crate) mod kept;
