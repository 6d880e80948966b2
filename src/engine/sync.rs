//! The atomics that `board.rs` is made of. The model checker compiles that file against its own.
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
