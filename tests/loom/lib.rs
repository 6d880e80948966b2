//! Checks every interleaving of the shards' bell and of the board of the engines: the real `src/mesh/bell.rs` and `src/engine/board.rs`,
//! compiled against loom's atomics.
//!
//! A crate of its own, because the server itself is compiled against the standard library's atomics. The queue between
//! two shards is modelled by one atomic that is no stronger than what `ArrayQueue` promises: whoever sees the length
//! sees the items.
#![cfg(test)]
// Bell and board are compiled twice, on purpose.
#![allow(clippy::duplicate_mod)]

extern crate alloc;

pub(crate) mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

#[path = "../../src/mesh/bell.rs"]
mod bell;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/engine/board.rs"]
mod board;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/engine/slot.rs"]
mod slot;
mod unfenced;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// What two shards share.
struct Between<B> {
    bell: B,
    /// Items in the queue.
    queue: AtomicUsize,
    /// Whether the event descriptor is readable.
    rung: AtomicBool,
}

/// The same bell, with and without fences.
trait Bell: Send + Sync + 'static {
    fn new() -> Self;
    fn lie_down(&self);
    fn get_up(&self);
    fn must_ring(&self) -> bool;
}

macro_rules! is_bell {
    ($bell:ty) => {
        impl Bell for $bell {
            fn new() -> Self {
                Self::new()
            }
            fn lie_down(&self) {
                self.lie_down();
            }
            fn get_up(&self) {
                self.get_up();
            }
            fn must_ring(&self) -> bool {
                self.must_ring()
            }
        }
    };
}

is_bell!(bell::Bell);
is_bell!(unfenced::bell::Bell);

impl<B: Bell> Between<B> {
    fn new() -> Arc<Self> {
        Arc::new(Between { bell: B::new(), queue: AtomicUsize::new(0), rung: AtomicBool::new(false) })
    }

    /// What `Mesh::send_all` does. True if it rang.
    fn send(&self) -> bool {
        self.queue.fetch_add(1, Ordering::Release);
        let rings = self.bell.must_ring();
        if rings {
            // A write to an event descriptor, which the sleeper's poll sees.
            self.rung.store(true, Ordering::SeqCst);
        }
        rings
    }

    fn is_empty(&self) -> bool {
        self.queue.load(Ordering::Acquire) == 0
    }
}

/// One sends, the other goes to sleep: whenever the sleeper found nothing, it is rung.
fn nobody_sleeps_beside_an_item<B: Bell>() {
    loom::model(|| {
        let between = Between::<B>::new();
        let sender = {
            let between = between.clone();
            thread::spawn(move || between.send())
        };
        between.bell.lie_down();
        let sleeps = between.is_empty();
        sender.join().expect("the sender ends");
        assert!(!sleeps || between.rung.load(Ordering::SeqCst), "asleep beside an item");
    });
}

#[test]
fn no_wake_up_is_lost() {
    nobody_sleeps_beside_an_item::<bell::Bell>();
}

/// The model is sharp enough: without the fences it finds the lost wake-up.
#[test]
#[should_panic(expected = "asleep beside an item")]
fn without_fences_a_wake_up_is_lost() {
    nobody_sleeps_beside_an_item::<unfenced::bell::Bell>();
}

/// Two send at once: the sleeper is rung, by one of them only.
#[test]
fn of_two_senders_one_rings() {
    loom::model(|| {
        let between = Between::<bell::Bell>::new();
        let send = || {
            let between = between.clone();
            thread::spawn(move || between.send())
        };
        let (one, other) = (send(), send());
        between.bell.lie_down();
        let sleeps = between.is_empty();
        let rings = usize::from(one.join().expect("the sender ends"))
            + usize::from(other.join().expect("the sender ends"));
        assert!(rings <= 1, "rung twice for one sleep");
        assert!(!sleeps || rings == 1, "asleep beside an item");
    });
}

/// A sleeper that found something gets up and lies down again: an item that came in between is not lost either.
fn a_second_sleep<B: Bell>() {
    loom::model(|| {
        let between = Between::<B>::new();
        let sender = {
            let between = between.clone();
            thread::spawn(move || {
                between.send();
                between.send();
            })
        };
        let mut taken = 0;
        let mut sleeps = false;
        for _ in 0..2 {
            between.bell.lie_down();
            if between.is_empty() {
                sleeps = true;
                break;
            }
            between.bell.get_up();
            taken += between.queue.swap(0, Ordering::AcqRel);
        }
        sender.join().expect("the sender ends");
        let left = !between.is_empty();
        assert!(!sleeps || !left || between.rung.load(Ordering::SeqCst), "asleep beside an item");
        assert!(taken <= 2);
    });
}

#[test]
fn a_second_sleep_is_as_safe_as_the_first() {
    a_second_sleep::<bell::Bell>();
}

/// One queues a job and looks whom it could wake; the other falls asleep and looks for jobs once more: at least one sees the other. With the
/// board of a module, which may be the one without fences.
macro_rules! a_job_and_a_sleeper {
    ($board:path) => {{
        use $board as board;
        loom::model(|| {
            let shared = board::Board::new(slot::Topology::new(2));
            let spot = shared.spot(b"function");
            let pulse = board::Pulse::default();
            let mut known = board::KnownBits::default();
            known.insert(spot);
            let owner = {
                let (shared, pulse) = (shared.clone(), pulse.clone());
                thread::spawn(move || {
                    shared.write(spot, true);
                    pulse.is_asleep()
                })
            };
            pulse.sleeps();
            let sees = shared.may_have(spot.owner, &known);
            let wakes = owner.join().expect("the owner ends");
            assert!(wakes || sees, "asleep beside a job");
        });
    }};
}

#[test]
fn a_job_and_a_worker_that_falls_asleep_do_not_miss_each_other() {
    a_job_and_a_sleeper!(crate::board);
}

#[test]
#[should_panic(expected = "asleep beside a job")]
fn without_fences_they_do() {
    a_job_and_a_sleeper!(crate::unfenced::board);
}

/// Whoever was told of a job finds it: the bit is set before anything that is said of the job.
#[test]
fn whoever_was_told_of_a_job_finds_it() {
    loom::model(|| {
        let shared = board::Board::new(slot::Topology::new(2));
        let spot = shared.spot(b"function");
        let mut known = board::KnownBits::default();
        known.insert(spot);
        let told = Arc::new(AtomicBool::new(false));
        let owner = {
            let (shared, told) = (shared.clone(), told.clone());
            thread::spawn(move || {
                shared.write(spot, true);
                told.store(true, Ordering::Release);
            })
        };
        if told.load(Ordering::Acquire) {
            assert!(shared.may_have(spot.owner, &known));
        }
        owner.join().expect("the owner ends");
    });
}
