//! What a job of ours is made of and how it is checked: payloads, submissions, packets on one connection. Knows no plan.
pub(crate) mod check;
pub(crate) mod cover;
pub(crate) mod link;
pub(crate) mod names;
pub(crate) mod payload;
pub(crate) mod random;
pub(crate) mod submissions;
