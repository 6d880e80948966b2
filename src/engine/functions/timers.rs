//! What is due and when: one set of alarms by the engine's clock, one by the clock on the wall. Doing it is in `due.rs`.
//!
//! The clocks are two, and so are the sets: the clock on the wall may be set, so which of two alarms comes first
//! cannot be told if they go by different clocks. Checks of wake-ups are alarms by the engine's clock, too; all of them
//! are set for the same time ahead, so they are in order in a queue, which costs each job that is queued less than a set.
use super::job::Job;
use crate::slot::JobId;
use crate::time::{Epoch, Instant, Now};
use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

/// The clock on the wall may be set: what goes by it is looked at this often at the least.
pub(super) const CLOCK_CHECK: Duration = Duration::from_secs(10);

/// What happens when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// The holder of a job has had enough time.
    TimeOut(JobId),
    /// The time of a scheduled job has come.
    FallDue(JobId),
    /// A sleeper was woken for a job a while ago: is the job still queued?
    CheckWake(JobId),
}

/// An alarm in eight bytes: no job in the table has a number of more than 60 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packed(u64);

const KIND: u32 = 60;
const _: () = assert!(JobId::NUMBER_MAX >> KIND == 0);

impl Packed {
    fn of(alarm: Alarm) -> Packed {
        let (kind, job) = match alarm {
            Alarm::TimeOut(job) => (0, job),
            Alarm::FallDue(job) => (1, job),
            Alarm::CheckWake(job) => (2, job),
        };
        Packed(kind << KIND | job.number())
    }

    fn alarm(self) -> Alarm {
        let job = JobId::from_number(self.0 & ((1 << KIND) - 1)).expect("it was packed from a job's number");
        match self.0 >> KIND {
            0 => Alarm::TimeOut(job),
            1 => Alarm::FallDue(job),
            _ => Alarm::CheckWake(job),
        }
    }
}

/// What is due and when.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// By the engine's clock.
    alarms: BTreeSet<(Instant, Packed)>,
    /// By the clock on the wall.
    on_the_wall: BTreeSet<(Epoch, Packed)>,
    /// Jobs for which one sleeper of several was woken, the first at the front. They may have been taken since.
    wake_checks: VecDeque<(Instant, JobId)>,
}

impl Timers {
    /// A running job has until `deadline`.
    pub(crate) fn arm(&mut self, job: &mut Job, deadline: Instant) {
        assert!(job.is_running());
        job.extra().deadline = Some(deadline);
        self.alarms.insert((deadline, Packed::of(Alarm::TimeOut(job.id))));
    }

    /// A job runs no longer.
    pub(crate) fn disarm(&mut self, job: &mut Job) {
        let id = job.id;
        if let Some(deadline) = job.extra.as_mut().and_then(|extra| extra.deadline.take()) {
            let alarm = Packed::of(Alarm::TimeOut(id));
            assert!(self.alarms.remove(&(deadline, alarm)), "a job with a deadline has an alarm");
        }
    }

    /// A job waits for its time.
    pub(crate) fn schedule(&mut self, job: &Job) {
        let epoch = job.epoch().expect("a scheduled job has a time");
        self.on_the_wall.insert((epoch, Packed::of(Alarm::FallDue(job.id))));
    }

    /// A job waits no longer.
    pub(crate) fn unschedule(&mut self, job: &Job) {
        let epoch = job.epoch().expect("a scheduled job has a time");
        let alarm = Packed::of(Alarm::FallDue(job.id));
        assert!(self.on_the_wall.remove(&(epoch, alarm)), "a scheduled job has an alarm");
    }

    /// A sleeper was woken for a queued job; others still sleep. `at` is not before that of any check that was set.
    pub(crate) fn check_wake(&mut self, job: JobId, at: Instant) {
        self.wake_checks.push_back((at, job));
    }

    /// The job of the next check of a wake-up.
    pub(crate) fn next_wake_check(&self) -> Option<JobId> {
        self.wake_checks.front().map(|&(_, job)| job)
    }

    /// The next check of a wake-up is done, or is for nothing.
    pub(crate) fn drop_wake_check(&mut self) {
        self.wake_checks.pop_front();
    }

    /// Jobs with an alarm of their own: running with a time limit, and scheduled.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.alarms.len(), self.on_the_wall.len())
    }

    /// Whether anything waits for its time.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        !(self.alarms.is_empty() && self.on_the_wall.is_empty() && self.wake_checks.is_empty())
    }

    /// What is due now, if anything is. Checks of wake-ups come last, so that what falls due now is there for whom they
    /// wake; a check is over, whatever its time, as soon as its job is not queued any more.
    #[inline]
    pub(crate) fn due(&self, now: Now, is_queued: impl FnOnce(JobId) -> bool) -> Option<Alarm> {
        if let Some(&(at, alarm)) = self.alarms.first()
            && at <= now.instant
        {
            return Some(alarm.alarm());
        }
        if let Some(&(at, alarm)) = self.on_the_wall.first()
            && at <= now.epoch
        {
            return Some(alarm.alarm());
        }
        let &(at, job) = self.wake_checks.front()?;
        (at <= now.instant || !is_queued(job)).then_some(Alarm::CheckWake(job))
    }

    /// When something is due at the latest.
    pub(crate) fn deadline(&self, now: Now) -> Option<Instant> {
        let alarms = self.alarms.first().map(|&(at, _)| at);
        let wake_checks = self.wake_checks.front().map(|&(at, _)| at);
        let on_the_wall = self.on_the_wall.first().map(|&(at, _)| {
            let wait = Duration::from_millis(at.0.saturating_sub(now.epoch.0));
            now.instant.after(wait.min(CLOCK_CHECK))
        });
        [alarms, wake_checks, on_the_wall].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slot;

    #[test]
    fn a_packed_alarm_is_the_alarm() {
        for sequence in [1, JobId::SEQUENCE_MAX] {
            let job = JobId::new(sequence, Slot::of(b"f"));
            for alarm in [Alarm::TimeOut(job), Alarm::FallDue(job), Alarm::CheckWake(job)] {
                assert_eq!(Packed::of(alarm).alarm(), alarm);
            }
        }
    }
}
