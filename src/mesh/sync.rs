//! The atomics that `bell.rs` is made of. The model checker compiles that file against its own.
pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
