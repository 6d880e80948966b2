//! What is to be said of all functions together: sums, those that `/metrics` tells of one by one, those that the page tells of first. Values
//! only: who walks through all functions, and for how long it is good, is in `desk.rs`.
use crate::engine::report::{Counters, FunctionRow};
use std::cmp::Reverse;

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
    pub(super) fn add(&mut self, row: &FunctionRow) {
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

/// The best of many rows; of equals those whose names come first. Holds twice as many at the most.
pub(super) struct BestRows {
    most: usize,
    rows: Vec<([u64; 2], FunctionRow)>,
}

impl BestRows {
    pub(super) fn new(most: usize) -> BestRows {
        BestRows { most, rows: Vec::new() }
    }

    pub(super) fn offer(&mut self, rank: [u64; 2], row: &FunctionRow) {
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

    pub(super) fn best(mut self) -> Vec<FunctionRow> {
        self.trim();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

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
