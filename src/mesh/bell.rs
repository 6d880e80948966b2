//! Whether a shard sleeps and must be rung when there is something for it. The ringing itself, a write to the
//! sleeper's event descriptor, is in `mod.rs`; that no wake-up is lost is checked by `tests/loom`.
use super::sync::{AtomicBool, Ordering, fence};

/// One for each shard: it says itself when it sleeps, others ask.
///
/// The sleeper lies down and then looks at its queues once more; whoever brings something puts it into the queue
/// and then asks. Each side writes before it reads, with a fence between, so at least one of them sees the other.
#[derive(Debug)]
pub(crate) struct Bell {
    asleep: AtomicBool,
}

impl Bell {
    /// The bell of a shard that is awake.
    pub(crate) fn new() -> Bell {
        Bell { asleep: AtomicBool::new(false) }
    }

    /// For the sleeper: from now on it wants to be rung. It must look at its queues once more after this, and
    /// sleep only if they are empty.
    pub(crate) fn lie_down(&self) {
        // An exchange, so that it comes after that of a ringer who was late for the sleep before.
        self.asleep.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// For the sleeper: it is awake and need not be rung.
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// For whoever has just put something into a queue of the sleeper: whether it must be rung. Of several who ask
    /// only one is told so.
    #[inline]
    pub(crate) fn must_ring(&self) -> bool {
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed)
    }
}
