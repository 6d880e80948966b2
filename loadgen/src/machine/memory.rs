//! Resident memory and CPU time of the job server over a whole run, in a bounded number of samples. Who reads them, and when,
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
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Seconds since the run began.
    at: f64,
    /// Resident.
    bytes: u64,
    /// CPU time since the process began, in nanoseconds.
    cpu: Option<u64>,
}

/// Seconds since a run began, and bytes.
pub(crate) type Bytes = Vec<(f64, u64)>;
/// Seconds since a run began, and cores used since the sample before.
pub(crate) type Cores = Vec<(f64, f64)>;

impl Memory {
    /// None yet.
    pub(crate) fn new() -> Memory {
        Memory { every: EVERY, due: 0, samples: vec![] }
    }

    /// Keeps what was seen at `now`, nanoseconds since the run began, if a sample is due; only then the CPU time is read,
    /// in nanoseconds, as that asks every thread.
    pub(crate) fn note(&mut self, now: u64, bytes: Option<u64>, cpu: impl FnOnce() -> Option<u64>) {
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
        self.samples.push(Sample { at: (now / 1_000_000) as f64 / 1e3, bytes, cpu: cpu() });
        self.due = now - now % self.every + self.every;
    }

    /// Both series.
    pub(crate) fn end(self) -> (Bytes, Cores) {
        let cores = |pair: &[Sample]| {
            // Threads that ended took their time with them.
            let used = pair[1].cpu?.checked_sub(pair[0].cpu?)?;
            let seconds = pair[1].at - pair[0].at;
            (seconds > 0.0).then(|| (pair[1].at, (used as f64 / 1e6 / seconds).round() / 1e3))
        };
        let cores = self.samples.windows(2).filter_map(cores).collect();
        (self.samples.into_iter().map(|sample| (sample.at, sample.bytes)).collect(), cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_when_due() {
        let mut memory = Memory::new();
        let mut looks = 0;
        for now in 0..1000 {
            memory.note(now * 1_000_000, Some(now), || {
                looks += 1;
                Some(now * 500_000)
            });
        }
        memory.note(5_000_000_000, None, || None);
        let (samples, cores) = memory.end();
        assert_eq!((samples.len(), looks), (10, 10));
        assert_eq!((samples[0], samples[9]), ((0.0, 0), (0.9, 900)));
        assert_eq!((cores.len(), cores[0], cores[8]), (9, (0.1, 0.5), (0.9, 0.5)));
    }

    #[test]
    fn a_process_that_ends_or_loses_threads_has_no_cores() {
        let mut memory = Memory::new();
        for (now, cpu) in [(0, Some(100)), (1, Some(50)), (2, None), (3, Some(60)), (4, Some(100_000_060))] {
            memory.note(now * EVERY, Some(1), || cpu);
        }
        assert_eq!(memory.end().1, [(0.4, 1.0)]);
    }

    #[test]
    fn a_long_run_has_no_more_samples_but_farther_apart() {
        let mut memory = Memory::new();
        for at in 0..20_000 {
            memory.note(at * EVERY, Some(at), || Some(at * EVERY));
        }
        assert_eq!(memory.every, EVERY * 8);
        let (samples, cores) = memory.end();
        assert!(samples.len() <= SAMPLES_MAX && samples.len() > SAMPLES_MAX / 2, "{}", samples.len());
        assert_eq!(samples[0], (0.0, 0));
        assert!(samples.windows(2).all(|pair| pair[1].1 - pair[0].1 == 8), "evenly");
        assert!(samples.last().unwrap().1 >= 20_000 - 8);
        assert!(cores.iter().all(|&(_, cores)| cores == 1.0), "whatever was left out");
    }
}
