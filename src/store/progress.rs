//! How far a replay has come, as lines for the log: so much of so much, how fast, how long it will still take. Reading
//! is the stores' affair, and where jobs go `keeper.rs`'s.
use super::{Store, StoreError};
use crate::engine::StoredJob;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(1);

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What jobs are found in is read before any of them is told.
    Reading {
        /// So many bytes were read,
        bytes: u64,
        /// of so many.
        of: u64,
    },
    /// From now on jobs are told.
    Telling {
        /// How many, as far as is known.
        jobs: u64,
    },
}

/// Replays a store, and says every second how far it has come. Returns how many jobs were told.
pub(super) fn replay(
    store: &mut dyn Store,
    now: &dyn Fn() -> Instant,
    say: &mut dyn FnMut(String),
    each: &mut dyn FnMut(StoredJob<'_>),
) -> Result<u64, StoreError> {
    let course = RefCell::new(Course { begin: now(), said: now(), jobs: 0, of: 0, say });
    store.replay_telling(
        &mut |job| {
            each(job);
            course.borrow_mut().told(now());
        },
        &mut |progress| course.borrow_mut().came(progress, now()),
    )?;
    Ok(course.into_inner().jobs)
}

struct Course<'a> {
    /// When what goes on now began.
    begin: Instant,
    /// When something was last said.
    said: Instant,
    jobs: u64,
    of: u64,
    say: &'a mut dyn FnMut(String),
}

impl Course<'_> {
    fn came(&mut self, progress: Progress, now: Instant) {
        match progress {
            Progress::Reading { bytes, of } if self.is_time(now) => {
                let (done, whole) = (bytes >> 20, of >> 20);
                let (rate, left) = self.pace(bytes, of, now);
                let rate = rate / f64::from(1 << 20);
                (self.say)(format!(
                    "reading the store: {done} of {whole} MiB, {rate:.0} MiB a second, {left}"
                ));
            }
            Progress::Reading { .. } => {}
            Progress::Telling { jobs } => (self.begin, self.of) = (now, jobs),
        }
    }

    fn told(&mut self, now: Instant) {
        self.jobs += 1;
        if self.is_time(now) {
            // A count that was too low is not contradicted: there is at least what was told.
            let (jobs, of) = (self.jobs, self.of.max(self.jobs));
            let (rate, left) = self.pace(jobs, of, now);
            (self.say)(format!("reading stored jobs: {jobs} of {of}, {rate:.0} a second, {left}"));
        }
    }

    fn is_time(&mut self, now: Instant) -> bool {
        let is = now.saturating_duration_since(self.said) >= EVERY;
        if is {
            self.said = now;
        }
        is
    }

    /// How many a second, and how long the rest will take.
    fn pace(&self, done: u64, of: u64, now: Instant) -> (f64, String) {
        let rate = done as f64 / now.saturating_duration_since(self.begin).as_secs_f64();
        let seconds = of.saturating_sub(done) as f64 / rate;
        let left = match rate.is_normal() {
            true => format!("about {seconds:.0} s left"),
            false => "the time left is not known".to_owned(),
        };
        (rate, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::JobId;
    use crate::engine::slot::Slot;
    use crate::protocol::Priority;
    use crate::store::Committed;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A store that takes its time: for each piece of 1 MiB, and for each job, in milliseconds.
    struct Slow<'a> {
        clock: &'a AtomicU64,
        pieces: u64,
        piece: u64,
        jobs: u64,
        job: u64,
    }

    impl Store for Slow<'_> {
        fn replay_telling(
            &mut self,
            each: &mut dyn FnMut(StoredJob<'_>),
            progress: &mut dyn FnMut(Progress),
        ) -> Result<(), StoreError> {
            for piece in 1..=self.pieces {
                self.clock.fetch_add(self.piece, Ordering::Relaxed);
                progress(Progress::Reading { bytes: piece << 20, of: self.pieces << 20 });
            }
            progress(Progress::Telling { jobs: self.jobs });
            for sequence in 1..=self.jobs {
                self.clock.fetch_add(self.job, Ordering::Relaxed);
                each(StoredJob {
                    id: JobId::new(sequence, Slot::of(b"f")),
                    priority: Priority::Normal,
                    epoch: None,
                    attempts: 0,
                    function: b"f",
                    unique: b"",
                    workload: b"",
                    reducer: None,
                    death: None,
                    accepted: None,
                    more: b"",
                });
            }
            Ok(())
        }

        fn commit(&mut self, _: &[&[u8]]) -> Committed {
            Committed::all()
        }

        fn tidy(&mut self) -> Result<bool, StoreError> {
            Ok(false)
        }

        fn owes(&self) -> bool {
            false
        }

        fn close(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// What is said about a replay.
    #[track_caller]
    fn lines(pieces: u64, piece: u64, jobs: u64, job: u64) -> Vec<String> {
        let clock = AtomicU64::new(0);
        let begin = Instant::now();
        let now = || begin + Duration::from_millis(clock.load(Ordering::Relaxed));
        let (mut lines, mut each) = (Vec::new(), 0);
        let mut store = Slow { clock: &clock, pieces, piece, jobs, job };
        let told = replay(&mut store, &now, &mut |line| lines.push(line), &mut |_| each += 1).unwrap();
        assert_eq!((told, each), (jobs, jobs));
        lines
    }

    #[test]
    fn what_remains_is_said_each_second() {
        let wanted = [
            "reading the store: 4 of 10 MiB, 4 MiB a second, about 2 s left",
            "reading the store: 8 of 10 MiB, 4 MiB a second, about 0 s left",
            // Half a second of it was reading.
            "reading stored jobs: 5 of 30, 10 a second, about 2 s left",
            "reading stored jobs: 15 of 30, 10 a second, about 2 s left",
            "reading stored jobs: 25 of 30, 10 a second, about 0 s left",
        ];
        assert_eq!(lines(10, 250, 30, 100), wanted);
    }

    #[test]
    fn a_quick_replay_says_nothing() {
        assert_eq!(lines(999, 1, 0, 0), [""; 0]);
        assert_eq!(lines(0, 0, 999, 1), [""; 0]);
    }
}
