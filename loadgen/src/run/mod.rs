//! Carrying out a plan: the conductor, one loop for each load thread, clients and workers.
pub(crate) mod client;
pub(crate) mod conduct;
pub(crate) mod conn;
pub(crate) mod drive;
pub(crate) mod gather;
pub(crate) mod kills;
pub(crate) mod marks;
pub(crate) mod meter;
pub(crate) mod orders;
pub(crate) mod probing;
pub(crate) mod progress;
pub(crate) mod stage;
pub(crate) mod stalls;
pub(crate) mod watch;
pub(crate) mod worker;
