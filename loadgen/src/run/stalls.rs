//! The longest time in which a job server answered nobody although jobs waited: what users of servers that sync, collect
//! garbage or fall asleep look for first. Seen by the conductor, which looks every few milliseconds.
use crate::result::outcome::{STALL_LEAST, Stall};
use crate::run::stage::Counts;

/// From how many nanoseconds between two looks on it was the load generator that stood still.
const OWN_PAUSE: u64 = 40_000_000;

/// The search for the longest one.
#[derive(Debug)]
pub(crate) struct Stalls {
    start: u64,
    looked: u64,
    /// Since when jobs wait and nothing came.
    since: Option<u64>,
    /// Beginning, length, and jobs that waited.
    longest: (u64, u64, u64),
}

impl Stalls {
    /// In a phase that begins at `start`.
    pub(crate) fn new(start: u64) -> Stalls {
        Stalls { start, looked: start, since: None, longest: (start, 0, 0) }
    }

    /// One look at the counts, at `now`.
    pub(crate) fn look(&mut self, now: u64, counts: &Counts) {
        let paused = now.saturating_sub(self.looked) > OWN_PAUSE;
        self.looked = now;
        // What a worker holds takes the worker's time.
        let waits = counts.outstanding > 0 && counts.held == 0 && now > self.start;
        if !waits || paused {
            self.since = None;
            return;
        }
        let since = self.since.get_or_insert(now);
        *since = (*since).max(counts.last);
        let length = now.saturating_sub(*since);
        if length > self.longest.1 {
            self.longest = (*since, length, counts.outstanding);
        }
    }

    /// The longest, if it was long enough to be told from the distance of two looks.
    pub(crate) fn longest(&self) -> Option<Stall> {
        let (since, length, waiting) = self.longest;
        let seconds = length as f64 / 1e9;
        (seconds >= STALL_LEAST).then(|| Stall {
            seconds,
            at: since.saturating_sub(self.start) as f64 / 1e9,
            waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 5 ms at what `counts` says of that time, in milliseconds.
    fn seen(until: u64, mut counts: impl FnMut(u64) -> Counts) -> Option<Stall> {
        let mut stalls = Stalls::new(0);
        for now in (5..until).step_by(5) {
            stalls.look(now * 1_000_000, &counts(now));
        }
        stalls.longest()
    }

    fn waiting(outstanding: u64, last: u64) -> Counts {
        Counts { outstanding, last: last * 1_000_000, ..Counts::default() }
    }

    #[test]
    fn the_longest_silence_is_found() {
        let stall = seen(2000, |now| waiting(7, if (500..1500).contains(&now) { 498 } else { now })).unwrap();
        assert!((0.95..=1.01).contains(&stall.seconds), "{stall:?}");
        assert!((0.49..0.51).contains(&stall.at) && stall.waiting == 7, "{stall:?}");
    }

    #[test]
    fn what_nobody_waits_for_or_a_worker_has_is_no_stall() {
        assert_eq!(seen(2000, |_| waiting(0, 1)), None);
        assert_eq!(seen(2000, |_| Counts { held: 1, ..waiting(5, 1) }), None);
        assert_eq!(seen(2000, |now| waiting(5, now)), None);
    }

    #[test]
    fn a_pause_of_the_load_generator_is_not_the_job_servers() {
        let mut stalls = Stalls::new(0);
        stalls.look(5_000_000, &waiting(5, 4));
        stalls.look(905_000_000, &waiting(5, 4));
        assert_eq!(stalls.longest(), None);
    }
}
