//! Keeps one place in the source from filling the log: what is said again and again is withheld, counted, and summed up
//! when it is said next.
use super::level::Level;
use super::lost::WITHHELD;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// How long what was said is remembered, in seconds.
const WINDOW: u64 = 10;

/// Lines of one place in a window; 0: no limit.
static LIMIT: AtomicU32 = AtomicU32::new(0);

pub(super) fn set_limit(lines: u32) {
    LIMIT.store(lines, Ordering::Relaxed);
}

/// How often one place in the source has spoken lately: the number of the window above, the count in it below.
#[derive(Debug)]
pub struct Repeats(AtomicU64);

impl Repeats {
    /// Nothing was said yet.
    #[expect(clippy::new_without_default, reason = "each is a static")]
    pub const fn new() -> Repeats {
        Repeats(AtomicU64::new(0))
    }

    /// Whether the place may speak now, and how often it would have since it last did, this time included. Less grave
    /// lines than warnings always may: whoever has them written wants each of them.
    pub fn admit(&self, level: Level) -> Option<u64> {
        let limit = LIMIT.load(Ordering::Relaxed);
        if level > Level::Warning || limit == 0 {
            return Some(1);
        }
        static START: OnceLock<Instant> = OnceLock::new();
        // The windows of 1,300 years fit.
        let window = 1 + (START.get_or_init(Instant::now).elapsed().as_secs() / WINDOW) as u32;
        let mut times = None;
        let updated = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let (state, said) = step(state, window, limit);
            times = said;
            Some(state)
        });
        debug_assert!(updated.is_ok());
        if times.is_none() {
            WITHHELD.fetch_add(1, Ordering::Relaxed);
        }
        times
    }
}

fn step(state: u64, window: u32, limit: u32) -> (u64, Option<u64>) {
    let (last, count) = ((state >> 32) as u32, state as u32);
    let make = |count: u32| u64::from(window) << 32 | u64::from(count);
    if last != window {
        return (make(1), Some(u64::from(count.saturating_sub(limit)) + 1));
    }
    (make(count.saturating_add(1)), (count < limit).then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_summed_up() {
        let mut state = 0;
        let mut said = Vec::new();
        for window in [1, 1, 1, 1, 1, 4, 4, 5] {
            let (next, times) = step(state, window, 2);
            state = next;
            said.push(times);
        }
        let once = Some(1);
        assert_eq!(said, [once, once, None, None, None, Some(4), once, once]);
    }

    #[test]
    fn only_warnings_and_worse_are_withheld() {
        set_limit(1);
        let place = Repeats::new();
        assert!(place.admit(Level::Warning).is_some());
        assert!((0..20).any(|_| place.admit(Level::Error).is_none()));
        assert_eq!(place.admit(Level::Notice), Some(1));
        set_limit(0);
        assert_eq!(place.admit(Level::Error), Some(1));
    }
}
