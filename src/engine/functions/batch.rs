//! Orders for many jobs of a function: cancel them, put dead ones back. One step does so much and says where it stopped; whoever wants
//! more orders the next. What is done to one job stands in `admin.rs` and `dead.rs`.
use super::Functions;
use super::index::{FunctionIx, JobIx};
use crate::outbox::Outbox;
use crate::query::{BatchAction, BatchOrder, BatchState};
use crate::report::{BatchResult, Report};
use crate::slot::JobId;
use alloc::vec::Vec;
use core::ops::Bound;

/// Jobs that are looked at in one step, and that are dealt with.
const LOOKS: usize = 4096;
const DEALT_WITH: usize = 256;

impl Functions {
    #[cold]
    pub(super) fn batch(&mut self, order: &BatchOrder, out: &mut Outbox) -> Report {
        let Some(function) = self.functions.find(&order.function) else {
            return Report::Batch(BatchResult::default());
        };
        let most = DEALT_WITH.min(order.at_most as usize);
        let (found, next) = match order.state {
            BatchState::Dead => self.find_dead(function, order, most),
            _ => self.find_living(function, order, most),
        };
        let mut result = BatchResult { matched: found.len() as u32, next, ..BatchResult::default() };
        if order.dry_run {
            return Report::Batch(result);
        }
        for id in found {
            let puts = order.action == BatchAction::Retry && self.policy.store;
            if puts && self.puts.full {
                // What is behind is for another step, this one included.
                let before = JobId::from_number(id.number().saturating_sub(1));
                (result.next, result.held_up, result.matched) = (before.or(order.after), true, result.done);
                break;
            }
            // Nothing comes in between, so it is there still.
            let Some(ix) = self.jobs.find(id) else { continue };
            match order.action {
                BatchAction::Cancel => self.cancel(ix, out),
                BatchAction::Retry => self.retry(ix, out),
            }
            result.done += 1;
        }
        Report::Batch(result)
    }

    fn find_dead(
        &self,
        function: FunctionIx,
        order: &BatchOrder,
        most: usize,
    ) -> (Vec<JobId>, Option<JobId>) {
        let after = order.after.map_or(Bound::Unbounded, Bound::Excluded);
        let jobs = self.functions.get(function).dead.range((after, Bound::Unbounded)).copied();
        self.choose(function, jobs.filter_map(|id| self.jobs.find(id)), order, most)
    }

    fn find_living(
        &self,
        function: FunctionIx,
        order: &BatchOrder,
        most: usize,
    ) -> (Vec<JobId>, Option<JobId>) {
        let jobs = self.jobs.in_order(order.after).map(|(ix, _)| ix);
        self.choose(function, jobs, order, most)
    }

    /// The first of these that are meant, and where that stopped if there may be more.
    fn choose(
        &self,
        function: FunctionIx,
        jobs: impl Iterator<Item = JobIx>,
        order: &BatchOrder,
        most: usize,
    ) -> (Vec<JobId>, Option<JobId>) {
        let (mut last, mut found) = (None, Vec::new());
        for (looks, ix) in jobs.enumerate() {
            if looks == LOOKS || found.len() == most {
                return (found, last);
            }
            let job = self.jobs.get(ix);
            last = Some(job.id);
            if job.function == function && self.is_meant(ix, order) {
                found.push(job.id);
            }
        }
        (found, None)
    }

    fn is_meant(&self, ix: JobIx, order: &BatchOrder) -> bool {
        let job = self.jobs.get(ix);
        let stands_there = match order.state {
            BatchState::Queued => job.is_queued() || job.is_abandoned(),
            BatchState::Scheduled => job.is_scheduled(),
            BatchState::Running => job.is_running() && !job.cancelled(),
            BatchState::Dead => job.is_dead(),
        };
        let unique = order.unique.as_ref();
        let same = unique.is_none_or(|unique| job.unique(self.function_len(job.function)) == *unique);
        stands_there && same && (order.older_ms == 0 || self.age(job) >= order.older_ms)
    }
}
