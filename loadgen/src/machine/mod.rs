//! What is looked at and started on this machine: cores, processes, memory, job servers. Knows no plan.
pub(crate) mod cores;
pub(crate) mod identity;
pub(crate) mod interrupt;
pub(crate) mod memory;
pub(crate) mod probe;
pub(crate) mod server;
pub(crate) mod standin;
