//! When jobs were accepted, by the clock on the wall. A job keeps four bytes of the engine's clock; how the two clocks went
//! together at that time is known here, once for all jobs. No job is here.
use crate::time::{Epoch, Now};
use alloc::vec::Vec;

/// A difference between the clocks that is no news, in milliseconds: they are not read at the same moment.
const JITTER: u64 = 100;
/// How long four bytes of milliseconds tell one time from another, to both sides.
const SPAN: u64 = 1 << 31;
/// How long before the start a job may have been accepted to have its time in four bytes: then later ones still come later.
const PAST: u64 = SPAN / 2;
/// How often the clock on the wall may be set. What is accepted afterwards has a time that is as wrong as it is set then.
const MARKS: usize = 1024;

/// How the clocks go together, from this job on, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct ClockMark {
    sequence: u64,
    instant: u64,
    epoch: u64,
}

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Calendar {
    /// In the order of their sequences; the first is for all jobs before it, too.
    marks: Vec<ClockMark>,
    /// What the last of them says.
    since: u64,
    ahead: u64,
}

impl Default for Calendar {
    /// Before the first job: that will be a mark, whatever time it is.
    fn default() -> Calendar {
        Calendar { marks: Vec::new(), since: 1 << 63, ahead: 0 }
    }
}

impl Calendar {
    /// A job of this sequence, or a later one, is accepted now: what it is to keep.
    #[inline]
    pub(crate) fn accept(&mut self, sequence: u64, now: Now) -> u32 {
        let instant = now.instant.0 / 1_000_000;
        let drift = now.epoch.0.wrapping_sub(instant).wrapping_sub(self.ahead);
        if drift.wrapping_add(JITTER) > 2 * JITTER || instant.wrapping_sub(self.since) >= SPAN {
            self.mark(ClockMark { sequence, instant, epoch: now.epoch.0 });
        }
        instant as u32
    }

    #[cold]
    fn mark(&mut self, mark: ClockMark) {
        if self.marks.len() >= MARKS {
            self.marks.pop();
        }
        self.marks.push(mark);
        (self.since, self.ahead) = (mark.instant, mark.epoch.wrapping_sub(mark.instant));
    }

    fn find(&self, sequence: u64) -> Option<&ClockMark> {
        self.marks.iter().rev().find(|mark| mark.sequence <= sequence).or(self.marks.first())
    }

    /// When the job of this sequence was accepted that keeps this.
    pub(crate) fn time(&self, sequence: u64, kept: u32) -> Option<Epoch> {
        let mark = self.find(sequence)?;
        let distance = kept.wrapping_sub(mark.instant as u32) as i32;
        Some(Epoch(mark.epoch.saturating_add_signed(distance.into())))
    }

    /// How long ago the job of this sequence was accepted that keeps this, in milliseconds, whatever became of the clock on the wall
    /// since.
    pub(crate) fn age(&self, sequence: u64, kept: u32, now: Now) -> u64 {
        let now = now.instant.0 / 1_000_000;
        let Some(mark) = self.find(sequence) else { return 0 };
        let distance = kept.wrapping_sub(mark.instant as u32) as i32;
        now.wrapping_sub(mark.instant).saturating_sub_signed(distance.into())
    }

    /// What a job of this sequence keeps that was accepted at this time, before the start; `None` if that does not fit.
    pub(crate) fn keeps(&self, sequence: u64, accepted: Epoch) -> Option<u32> {
        let mark = self.find(sequence)?;
        let before = mark.epoch.checked_sub(accepted.0).filter(|&before| before <= PAST)?;
        Some((mark.instant as u32).wrapping_sub(before as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn now(instant: u64, epoch: u64) -> Now {
        Now { instant: Instant(instant * 1_000_000), epoch: Epoch(epoch) }
    }

    #[test]
    fn every_job_keeps_its_time_whatever_the_clock_does_later() {
        let mut calendar = Calendar::default();
        let mut jobs = Vec::new();
        let (mut instant, mut epoch) = (5_000, 1_800_000_000_000);
        // Days, weeks, a clock that is set back and forth, and half a year.
        for (later, set) in
            [(0, 0), (1, 0), (90_000_000, 0), (7, -5_000_000_000), (SPAN - 1, 0), (9, 1 << 50)]
                .into_iter()
                .chain([(SPAN, 0); 8])
        {
            (instant, epoch) = (instant + later, (epoch + later).wrapping_add_signed(set));
            let sequence = 10 + jobs.len() as u64;
            jobs.push((sequence, calendar.accept(sequence, now(instant, epoch)), epoch));
        }
        for (sequence, kept, epoch) in jobs {
            assert_eq!(calendar.time(sequence, kept), Some(Epoch(epoch)), "{sequence}");
        }
    }

    #[test]
    fn clocks_that_are_read_one_after_the_other_make_no_marks() {
        let mut calendar = Calendar::default();
        for job in 0..1000 {
            let kept = calendar.accept(job, now(job * 10, 1_000_000 + job * 10 + job % 50));
            let time = calendar.time(job, kept).unwrap();
            assert!(time.0.abs_diff(1_000_000 + job * 10) <= JITTER);
        }
        assert_eq!(calendar.marks.len(), 1);
        (0..3000).for_each(|job| _ = calendar.accept(job, now(job, job * 5_000)));
        assert_eq!(calendar.marks.len(), MARKS);
    }

    #[test]
    fn what_was_accepted_before_the_start_fits_if_it_is_not_too_long_ago() {
        let mut calendar = Calendar::default();
        let start = 1_800_000_000_000;
        assert_eq!(calendar.keeps(1, Epoch(start)), None);
        calendar.accept(5, now(3, start));
        for before in [0, 1, 1_000_000, PAST] {
            let kept = calendar.keeps(1, Epoch(start - before)).unwrap();
            assert_eq!(calendar.time(1, kept), Some(Epoch(start - before)));
        }
        for other in [start + 1, start - PAST - 1, 0, u64::MAX] {
            assert_eq!(calendar.keeps(1, Epoch(other)), None);
        }
    }
}
