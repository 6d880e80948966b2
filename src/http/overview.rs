//! What is to be said of all functions together, found by one walk through all of them: sums, those that `/metrics` tells of one by one,
//! those that the page tells of first, and the counters. Kept for a moment, so that many askers cost as much as one.
use super::bounds::{OVERVIEW_AGE, PAGE_ROWS};
use super::route::Desk;
use crate::engine::report::{Counters, FunctionRow};
use crate::engine::{Query, Report};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Instant;

/// Sums over functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionSums {
    pub(super) functions: u64,
    /// By priority; scheduled jobs are counted.
    pub(super) queued: [u64; 3],
    pub(super) running: u64,
    /// Registrations.
    pub(super) workers: u64,
    /// Functions that have jobs and no workers.
    pub(super) unattended: u64,
}

impl FunctionSums {
    fn add(&mut self, row: &FunctionRow) {
        self.functions += 1;
        self.queued.iter_mut().zip(row.queued).for_each(|(sum, more)| *sum += u64::from(more));
        self.running += u64::from(row.running);
        self.workers += u64::from(row.workers);
        self.unattended += u64::from(is_unattended(row));
    }

    /// Without those that are told one by one.
    pub(super) fn without(&self, told: &FunctionSums) -> FunctionSums {
        let less = |at: usize| self.queued[at].saturating_sub(told.queued[at]);
        FunctionSums {
            functions: self.functions.saturating_sub(told.functions),
            queued: [less(0), less(1), less(2)],
            running: self.running.saturating_sub(told.running),
            workers: self.workers.saturating_sub(told.workers),
            unattended: self.unattended.saturating_sub(told.unattended),
        }
    }

    pub(super) fn waiting(&self) -> u64 {
        self.queued.iter().sum()
    }

    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a FunctionRow>) -> FunctionSums {
        let mut sums = FunctionSums::default();
        rows.for_each(|row| sums.add(row));
        sums
    }
}

/// Queued jobs of a function, scheduled ones among them.
pub(super) fn waiting(row: &FunctionRow) -> u64 {
    row.queued.iter().copied().map(u64::from).sum()
}

/// Whether it has jobs and no workers.
pub(super) fn is_unattended(row: &FunctionRow) -> bool {
    row.workers == 0 && waiting(row) > 0
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pub(super) sums: FunctionSums,
    /// For `/metrics`, by name. Whoever was there stays, as long as there is anything of it: a series that comes and goes is no series.
    pub(super) told: Vec<FunctionRow>,
    /// For the page: those with jobs and no workers, then the longest queues.
    pub(super) first: Vec<FunctionRow>,
    pub(super) counters: Counters,
}

/// The latest, and when it was made.
pub(super) type LatestOverview = Option<(Instant, Rc<Overview>)>;

impl Desk {
    /// What is to be said of all functions, as of a moment ago at most. All shards have their jobs.
    pub(super) async fn overview(&self) -> Rc<Overview> {
        let mut latest = self.overview.lock().await;
        match &*latest {
            Some((made, overview)) if made.elapsed() < OVERVIEW_AGE => return overview.clone(),
            _ => {}
        }
        let before = latest.as_ref().map(|(_, overview)| overview.clone()).unwrap_or_default();
        let overview = Rc::new(self.look(&before).await);
        *latest = Some((Instant::now(), overview.clone()));
        overview
    }

    async fn look(&self, before: &Overview) -> Overview {
        let _turn = self.turn().await;
        let stays: BTreeSet<&Bytes> = before.told.iter().map(|row| &row.function).collect();
        let mut told = Choice::new(self.function_stats);
        let mut first = Choice::new(PAGE_ROWS);
        let mut sums = FunctionSums::default();
        let mut pages = self.observer.ask(Query::Status, None);
        while let Some(page) = pages.next().await {
            let Report::Functions(rows) = page else { continue };
            for row in rows {
                sums.add(&row);
                let jobs = waiting(&row) + u64::from(row.running);
                let stays = stays.contains(&row.function) && (jobs > 0 || row.workers > 0);
                told.offer([u64::from(stays), jobs], &row);
                first.offer([u64::from(is_unattended(&row)), jobs], &row);
            }
        }
        drop(pages);
        let counters = self.counters().await;
        let mut told = told.best();
        told.sort_by(|a, b| a.function.cmp(&b.function));
        Overview { sums, told, first: first.best(), counters }
    }

    /// What `show counters` tells.
    pub(super) async fn counters(&self) -> Counters {
        match self.observer.ask(Query::Counters, None).next().await {
            Some(Report::Counters(counters)) => *counters,
            _ => Counters::default(),
        }
    }
}

/// The best of many rows; of equals those whose names come first. Holds twice as many at the most.
struct Choice {
    most: usize,
    rows: Vec<([u64; 2], FunctionRow)>,
}

impl Choice {
    fn new(most: usize) -> Choice {
        Choice { most, rows: Vec::new() }
    }

    fn offer(&mut self, rank: [u64; 2], row: &FunctionRow) {
        if self.most == 0 {
            return;
        }
        self.rows.push((rank, row.clone()));
        if self.rows.len() >= 2 * self.most {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.rows.sort_unstable_by(|(a, one), (b, other)| {
            (Reverse(a), &one.function).cmp(&(Reverse(b), &other.function))
        });
        self.rows.truncate(self.most);
    }

    fn best(mut self) -> Vec<FunctionRow> {
        self.trim();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, queued: u32, workers: u32) -> FunctionRow {
        FunctionRow {
            function: Bytes::copy_from_slice(name.as_bytes()),
            queued: [0, queued, 0],
            running: 0,
            workers,
        }
    }

    #[test]
    fn the_best_are_chosen_whatever_the_order() {
        let mut choice = Choice::new(3);
        for at in 0..100_u32 {
            let row = row(&format!("f{:02}", at * 37 % 100), at * 37 % 100 / 10, 1);
            choice.offer([0, waiting(&row)], &row);
            assert!(choice.rows.len() < 6);
        }
        let best: Vec<_> = choice.best().into_iter().map(|row| row.function).collect();
        assert_eq!(best, ["f90", "f91", "f92"]);
        let mut none = Choice::new(0);
        none.offer([1, 1], &row("f", 1, 1));
        assert!(none.best().is_empty());
    }

    #[test]
    fn sums_add_up() {
        let rows = [row("a", 3, 0), row("b", 4, 2), row("c", 0, 0)];
        let all = FunctionSums::of(rows.iter());
        assert_eq!((all.functions, all.waiting(), all.workers, all.unattended), (3, 7, 2, 1));
        let others = all.without(&FunctionSums::of(rows[..1].iter()));
        assert_eq!(others, FunctionSums::of(rows[1..].iter()));
    }
}
