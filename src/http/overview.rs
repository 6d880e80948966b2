//! What is to be said of all functions together: sums, those that `/metrics` tells of one by one, those that the page tells of first. Values
//! only: who walks through all functions is in `outline.rs`, and for how long it is good in `desk.rs`.
use crate::engine::outline::{FunctionBest, FunctionSort, FunctionSums};
use crate::engine::report::{Counters, FunctionNumbers};
use crate::engine::stats::FunctionStats;
use bytes::Bytes;
use std::cmp::Reverse;

/// Jobs of a function that do not run, as gearmand counts them: those that wait for something else than a worker, too.
pub(super) fn waiting(row: &FunctionNumbers) -> u64 {
    row.glance().waiting()
}

/// How much a function is worth a look: see [`FunctionSort::Worst`].
pub(super) fn row_rank(row: &FunctionNumbers) -> [u64; 2] {
    FunctionSort::Worst.rank(&row.glance())
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
    sort: FunctionSort,
    most: usize,
    /// Whether those that are named come before all others, as long as there is anything of them.
    favours: bool,
    rows: Vec<([u64; 2], FunctionNumbers)>,
    /// Rows since they were last in order.
    fresh: usize,
    /// Once there are enough: who comes behind it is none of them.
    least: Option<([u64; 2], Bytes)>,
}

impl BestRows {
    pub(super) fn new(sort: FunctionSort, most: usize) -> BestRows {
        BestRows { sort, most, favours: false, rows: Vec::new(), fresh: 0, least: None }
    }

    pub(super) fn favouring_named(self) -> BestRows {
        BestRows { favours: true, ..self }
    }

    pub(super) fn offer(&mut self, row: &FunctionNumbers, is_named: bool) {
        let glance = row.glance();
        let mut rank = self.sort.rank(&glance);
        let is_there = glance.waiting() > 0 || row.running > 0 || row.workers > 0;
        rank[0] += u64::from(self.favours && is_named && is_there);
        let behind = self
            .least
            .as_ref()
            .is_some_and(|(least, last)| (Reverse(rank), &row.function) >= (Reverse(*least), last));
        if self.most == 0 || behind {
            return;
        }
        self.rows.push((rank, row.clone()));
        self.fresh += 1;
        if self.rows.len() >= 2 * self.most {
            self.trim();
        }
    }

    /// What must be known to find better ones.
    pub(super) fn wanted(&mut self) -> FunctionBest {
        // An older limit lets through more than is needed, which costs less than to sort each time.
        if self.rows.len() >= self.most && (self.least.is_none() || self.fresh > self.most / 4) {
            self.trim();
        }
        // Nobody is wanted where there is room for none.
        let none = || ([u64::MAX; 2], Bytes::new());
        FunctionBest {
            sort: self.sort,
            least: if self.most == 0 { Some(none()) } else { self.least.clone() },
        }
    }

    fn trim(&mut self) {
        self.rows.sort_unstable_by(|(a, one), (b, other)| {
            (Reverse(a), &one.function).cmp(&(Reverse(b), &other.function))
        });
        self.rows.truncate(self.most);
        self.fresh = 0;
        let last = self.most.checked_sub(1).and_then(|last| self.rows.get(last));
        self.least = last.map(|(rank, row)| (*rank, row.function.clone()));
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
        let mut choice = BestRows::new(FunctionSort::Waiting, 3);
        for at in 0..100_u32 {
            let row = row(&format!("f{:02}", at * 37 % 100), at * 37 % 100 / 10, 1);
            choice.offer(&row, false);
            assert!(choice.rows.len() < 6);
        }
        let wanted = choice.wanted().least.unwrap();
        assert!(wanted >= ([9, 0], Bytes::new()), "whoever waits less is not asked for: {wanted:?}");
        let best: Vec<_> = choice.best().into_iter().map(|row| row.function).collect();
        assert_eq!(best, ["f90", "f91", "f92"]);
        let mut none = BestRows::new(FunctionSort::Waiting, 0);
        none.offer(&row("f", 1, 1), false);
        assert_eq!(none.wanted().least.unwrap().0, [u64::MAX; 2]);
        assert!(none.best().is_empty());
    }

    #[test]
    fn who_was_told_of_stays_as_long_as_there_is_anything_of_it() {
        let mut told = BestRows::new(FunctionSort::Jobs, 2).favouring_named();
        for (name, jobs, workers, is_named) in
            [("a", 5, 0, false), ("b", 0, 1, true), ("c", 7, 0, false), ("d", 0, 0, true), ("e", 1, 0, true)]
        {
            told.offer(&row(name, jobs, workers), is_named);
        }
        // Whoever is not named has no more chance, however many jobs it has.
        assert_eq!(told.wanted().least.unwrap(), ([1, 0], Bytes::from_static(b"b")));
        let best: Vec<_> = told.best().into_iter().map(|row| row.function).collect();
        assert_eq!(best, ["e", "b"]);
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
