//! What events cost the engine: how much it puts out, keeps and does for one input, in counts and never in time. One file
//! for each mechanism; `tests/simulation` audits the same in random lives.
#![allow(clippy::unwrap_used)]
#[path = "../support/bounds.rs"]
mod bounds;
#[allow(dead_code)]
#[path = "../support/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../support/kept.rs"]
mod kept;

mod alone;
mod batches;

mod bytes;
mod chores;
mod grabs;
mod numbers;
mod outlines;
mod payloads;
mod registrations;
mod reports;
mod requests;
mod sharing;
mod single;
mod telling;
