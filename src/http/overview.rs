//! What is to be said of all functions together: sums, those that `/metrics` tells of one by one, those that the page tells of first. Values
//! only: who walks through all functions, and for how long it is good, is in `desk.rs`.
use crate::engine::report::{Counters, FunctionNumbers};
use crate::engine::stats::FunctionStats;
use std::cmp::Reverse;

/// Sums over functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionSums {
    pub(super) functions: u64,
    /// Jobs that wait for a worker, by priority.
    pub(super) queued: [u64; 3],
    pub(super) scheduled: u64,
    pub(super) storing: u64,
    pub(super) abandoned: u64,
    pub(super) dead: u64,
    pub(super) running: u64,
    /// Registrations.
    pub(super) workers: u64,
    /// Functions that have jobs and no workers.
    pub(super) unattended: u64,
}

impl FunctionSums {
    pub(super) fn add(&mut self, row: &FunctionNumbers) {
        self.functions += 1;
        self.queued.iter_mut().zip(row.queued).for_each(|(sum, more)| *sum += u64::from(more));
        self.scheduled += u64::from(row.scheduled);
        self.storing += u64::from(row.storing);
        self.abandoned += u64::from(row.abandoned);
        self.dead += u64::from(row.dead);
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
            scheduled: self.scheduled.saturating_sub(told.scheduled),
            storing: self.storing.saturating_sub(told.storing),
            abandoned: self.abandoned.saturating_sub(told.abandoned),
            dead: self.dead.saturating_sub(told.dead),
            running: self.running.saturating_sub(told.running),
            workers: self.workers.saturating_sub(told.workers),
            unattended: self.unattended.saturating_sub(told.unattended),
        }
    }

    /// As gearmand counts them: those that wait for something else than a worker, too.
    pub(super) fn waiting(&self) -> u64 {
        self.queued.iter().sum::<u64>() + self.scheduled + self.storing + self.abandoned
    }

    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a FunctionNumbers>) -> FunctionSums {
        let mut sums = FunctionSums::default();
        rows.for_each(|row| sums.add(row));
        sums
    }
}

/// Jobs of a function that do not run, as gearmand counts them: those that wait for something else than a worker, too.
pub(super) fn waiting(row: &FunctionNumbers) -> u64 {
    let queued = row.queued.iter().copied().chain([row.scheduled, row.storing, row.abandoned]);
    queued.map(u64::from).sum()
}

/// Whether it has jobs and no workers.
pub(super) fn is_unattended(row: &FunctionNumbers) -> bool {
    row.workers == 0 && waiting(row) > 0
}

/// How much a function is worth a look: something is wrong, somebody waits, somebody works; and of equals the oldest.
pub(super) fn row_rank(row: &FunctionNumbers) -> [u64; 2] {
    let queued = row.queued.iter().any(|&jobs| jobs > 0);
    let weight = match () {
        () if queued && row.workers == 0 => 5,
        () if queued => 4,
        () if row.dead > 0 => 3,
        () if waiting(row) > 0 => 2,
        () if row.running > 0 => 1,
        () => 0,
    };
    [weight, row.oldest_ms.unwrap_or(0).max(waiting(row).into())]
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pub(super) sums: FunctionSums,
    /// For `/metrics`, by name. Whoever was there stays, as long as there is anything of it: a series that comes and goes is no series.
    pub(super) told: Vec<FunctionNumbers>,
    /// For the page: those with which something is wrong, then those whose jobs have waited longest: see [`row_rank`].
    pub(super) first: Vec<FunctionNumbers>,
    pub(super) counters: Counters,
    /// What is counted of all functions together that are not told.
    pub(super) others: FunctionStats,
}

/// The best of many rows; of equals those whose names come first. Holds twice as many at the most.
pub(super) struct BestRows {
    most: usize,
    rows: Vec<([u64; 2], FunctionNumbers)>,
    /// Once there are enough: who ranks lower is none of them.
    least: [u64; 2],
}

impl BestRows {
    pub(super) fn new(most: usize) -> BestRows {
        BestRows { most, rows: Vec::new(), least: [0; 2] }
    }

    pub(super) fn offer(&mut self, rank: [u64; 2], row: &FunctionNumbers) {
        if self.most == 0 || rank < self.least {
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
        if let Some((rank, _)) = self.rows.get(self.most.wrapping_sub(1)) {
            self.least = *rank;
        }
    }

    pub(super) fn best(mut self) -> Vec<FunctionNumbers> {
        self.trim();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// A function with so many jobs, for tests.
#[cfg(test)]
pub(super) fn numbers(name: &[u8], queued: u32, running: u32, workers: u32) -> FunctionNumbers {
    FunctionNumbers {
        function: bytes::Bytes::copy_from_slice(name),
        queued: [0, queued, 0],
        scheduled: 0,
        abandoned: 0,
        storing: 0,
        running,
        dead: 0,
        limits: [0; 3],
        workers,
        unattended_ms: None,
        oldest_ms: None,
        shut: None,
        paused: None,
        stats: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, queued: u32, workers: u32) -> FunctionNumbers {
        numbers(name.as_bytes(), queued, 0, workers)
    }

    #[test]
    fn the_best_are_chosen_whatever_the_order() {
        let mut choice = BestRows::new(3);
        for at in 0..100_u32 {
            let row = row(&format!("f{:02}", at * 37 % 100), at * 37 % 100 / 10, 1);
            choice.offer([0, waiting(&row)], &row);
            assert!(choice.rows.len() < 6);
        }
        let best: Vec<_> = choice.best().into_iter().map(|row| row.function).collect();
        assert_eq!(best, ["f90", "f91", "f92"]);
        let mut none = BestRows::new(0);
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
