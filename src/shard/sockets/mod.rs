//! The sockets of a shard: orders to the kernel, and what came of them. How that is done is in `uring/`; what the kernel knows
//! of a peer is asked in `unacked.rs` and `peer.rs`.
mod peer;
mod unacked;
mod uring;
mod values;

pub(crate) use peer::former_peer;
pub(crate) use unacked::unacked;
pub(crate) use uring::{Buffer, Ring, probe};
pub(crate) use values::{Completion, Received, Token};
