//! The most that a plan may want of anything. What is held against it stands in `bounds.rs`.
use crate::job::link::PACKET_MAX;

/// The most jobs of a plan.
pub(crate) const JOBS_MAX: f64 = 50e6;

/// The most bytes of workloads that a plan may leave in the queues, and in the load generator's buffers.
pub(crate) const BYTES_MAX: f64 = 4e9;

/// The most connections of a phase.
pub(crate) const CONNECTIONS_MAX: u64 = 100_000;

/// The most functions of a group.
pub(crate) const FUNCTIONS_MAX: u32 = 100_000;

/// The most bytes of one workload or result.
///
/// A packet takes so much, less the room for function, unique and handle.
pub(crate) const PAYLOAD_MAX: f64 = (PACKET_MAX - (64 << 10)) as f64;
