//! What is due and when: job time-outs, epoch jobs, and the patience with workers that were woken. Doing it is in `due.rs`.
use super::job::Job;
use crate::slot::JobId;
use crate::time::{Epoch, Instant, Now};
use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

/// The wall clock may be set: epoch jobs are looked at this often at the least.
const CLOCK_CHECK: Duration = Duration::from_secs(10);

/// What is due and when.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Running jobs with a time limit.
    pub(super) armed: BTreeSet<(Instant, JobId)>,
    /// Scheduled jobs.
    pub(super) scheduled: BTreeSet<(Epoch, JobId)>,
    /// Queued jobs for which one sleeper of several was woken. In order of time: the patience is always the same.
    pub(super) patience: VecDeque<(Instant, JobId)>,
}

impl Timers {
    /// A running job has until `deadline`.
    pub(crate) fn arm(&mut self, job: &mut Job, deadline: Instant) {
        assert!(job.is_running());
        job.extra().deadline = Some(deadline);
        self.armed.insert((deadline, job.id));
    }

    /// A job runs no longer.
    pub(crate) fn disarm(&mut self, job: &mut Job) {
        let id = job.id;
        if let Some(deadline) = job.extra.as_mut().and_then(|extra| extra.deadline.take()) {
            assert!(self.armed.remove(&(deadline, id)), "a job with a deadline has a timer");
        }
    }

    /// A job waits for its time.
    pub(crate) fn schedule(&mut self, job: &Job) {
        let epoch = job.extra.as_ref().and_then(|extra| extra.epoch).expect("a scheduled job has a time");
        self.scheduled.insert((epoch, job.id));
    }

    /// A job waits no longer.
    pub(crate) fn unschedule(&mut self, job: &Job) {
        let epoch = job.extra.as_ref().and_then(|extra| extra.epoch).expect("a scheduled job has a time");
        assert!(self.scheduled.remove(&(epoch, job.id)), "a scheduled job has a timer");
    }

    /// A sleeper was woken for a queued job; others still sleep.
    pub(crate) fn be_patient(&mut self, job: JobId, until: Instant) {
        self.patience.push_back((until, job));
    }

    /// Jobs with a timer of their own: running with a time limit, and scheduled.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.armed.len(), self.scheduled.len())
    }

    /// When something is due at the latest.
    pub(crate) fn deadline(&self, now: Now) -> Option<Instant> {
        let armed = self.armed.first().map(|&(instant, _)| instant);
        let patience = self.patience.front().map(|&(instant, _)| instant);
        let scheduled = self.scheduled.first().map(|&(epoch, _)| {
            let wait = Duration::from_millis(epoch.0.saturating_sub(now.epoch.0));
            now.instant.after(wait.min(CLOCK_CHECK))
        });
        [armed, patience, scheduled].into_iter().flatten().min()
    }
}
