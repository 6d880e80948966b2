//! Resident memory of the job server over a whole run, in a bounded number of samples. Who reads it, and when,
//! stands in `conduct.rs`.

/// The most samples that are kept; beyond that every second one goes.
const SAMPLES_MAX: usize = 4096;

/// Nanoseconds between two samples at first.
const EVERY: u64 = 100_000_000;

/// Samples so far.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Nanoseconds between two samples.
    every: u64,
    /// When the next one is due.
    due: u64,
    /// Seconds since the run began, and bytes.
    samples: Vec<(f64, u64)>,
}

impl Memory {
    /// None yet.
    pub(crate) fn new() -> Memory {
        Memory { every: EVERY, due: 0, samples: vec![] }
    }

    /// Keeps what was seen at `now`, nanoseconds since the run began, if a sample is due.
    pub(crate) fn note(&mut self, now: u64, bytes: Option<u64>) {
        let Some(bytes) = bytes else { return };
        if now < self.due {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            let mut number = 0;
            self.samples.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every *= 2;
        }
        // Milliseconds are more than is known, and the file stays readable.
        self.samples.push(((now / 1_000_000) as f64 / 1e3, bytes));
        self.due = now - now % self.every + self.every;
    }

    /// The series.
    pub(crate) fn end(self) -> Vec<(f64, u64)> {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_when_due() {
        let mut memory = Memory::new();
        for now in 0..1000 {
            memory.note(now * 1_000_000, Some(now));
        }
        memory.note(5_000_000_000, None);
        let samples = memory.end();
        assert_eq!(samples.len(), 10);
        assert_eq!((samples[0], samples[9]), ((0.0, 0), (0.9, 900)));
    }

    #[test]
    fn a_long_run_has_no_more_samples_but_farther_apart() {
        let mut memory = Memory::new();
        for at in 0..20_000 {
            memory.note(at * EVERY, Some(at));
        }
        assert_eq!(memory.every, EVERY * 8);
        let samples = memory.end();
        assert!(samples.len() <= SAMPLES_MAX && samples.len() > SAMPLES_MAX / 2, "{}", samples.len());
        assert_eq!(samples[0], (0.0, 0));
        assert!(samples.windows(2).all(|pair| pair[1].1 - pair[0].1 == 8), "evenly");
        assert!(samples.last().unwrap().1 >= 20_000 - 8);
    }
}
