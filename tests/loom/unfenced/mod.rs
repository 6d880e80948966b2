//! Bell and board with their fences taken out, to show that the model misses them.

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    pub(crate) fn fence(_: Ordering) {}
}

#[path = "../../../src/mesh/bell.rs"]
pub(crate) mod bell;

pub(crate) use crate::slot;

#[allow(dead_code, unreachable_pub)]
#[path = "../../../src/engine/board.rs"]
pub(crate) mod board;
