//! The bell with its fences taken out, to show that the model misses them.

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) fn fence(_: Ordering) {}
}

#[path = "../../../src/mesh/bell.rs"]
pub(crate) mod bell;
