//! Which jobs ought to be in the database: so after a connection was lost, and perhaps what was committed last with it, the rows
//! are compared with this, piece by piece; what is missing is asked of the shards again, what is too much is to go. No
//! statements.
// Each store needs its part of it.
#![cfg_attr(not(all(feature = "mysql", feature = "postgres")), allow(dead_code))]

use super::Repaired;
use super::sql::numbers::row_of;
use crate::engine::JobId;
use crate::log_at;
use crate::logging::Level;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Jobs that are asked for at a time: what shards put, and what one commit takes.
const ASK: usize = 128;
/// So many jobs that have ended are remembered: more than end in the last commits that a failover may lose.
const ENDED: usize = 1 << 16;
/// What was asked for and has not come is asked for again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers of jobs that are kept: 8 bytes and a little of each.
#[derive(Debug, Default)]
pub(crate) struct Book {
    kept: BTreeSet<i64>,
    /// Those of them that stand in our own table only.
    alone: HashSet<i64>,
    /// Jobs that have a row of our own, or may have one.
    pub(super) beside: HashSet<i64>,
    /// Jobs that were missing, and are to be put again; those that were asked for with when that was.
    missing: BTreeSet<i64>,
    asked: BTreeMap<i64, Instant>,
    /// How many were put again.
    again: u64,
    compared: Option<Comparison>,
    /// Jobs that have ended, the last of them, in the order in which they did.
    ended: VecDeque<i64>,
}

/// How far rows are compared.
#[derive(Clone, Copy, Debug, Default)]
struct Comparison {
    /// Everything up to here.
    upto: i64,
}

/// Rows that are too much.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TooMuch {
    pub(super) theirs: Vec<i64>,
    pub(super) ours: Vec<i64>,
}

impl Book {
    /// This job is kept: alone in our own table or not, with a row there or not.
    pub(super) fn note(&mut self, number: i64, alone: bool, beside: bool) {
        self.kept.insert(number);
        if alone {
            self.alone.insert(number)
        } else {
            self.alone.remove(&number)
        };
        if beside {
            self.beside.insert(number);
        }
        if self.missing.remove(&number) || self.asked.remove(&number).is_some() {
            self.again += 1;
        }
    }

    /// These may have a row of our own from now on, whether they are kept or not.
    pub(super) fn may_be_beside(&mut self, numbers: impl Iterator<Item = i64>) {
        self.beside.extend(numbers);
    }

    /// Notes one that was read as [`Book::note`] does; false, and nothing changes, if it is known already.
    pub(super) fn note_read(&mut self, number: i64, alone: bool, beside: bool) -> bool {
        let is_new = !self.knows(number);
        if is_new {
            self.note(number, alone, beside);
        }
        is_new
    }

    /// Whether it is kept, or to be put again.
    pub(super) fn knows(&self, number: i64) -> bool {
        self.kept.contains(&number)
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// It may have a row of our own from now on, if it is kept.
    pub(super) fn note_beside(&mut self, number: i64) {
        if self.kept.contains(&number) {
            self.beside.insert(number);
        }
    }

    /// Which of these have ended, as far as that is remembered.
    pub(super) fn ended_of(&self, numbers: &[i64]) -> Vec<i64> {
        let asked: HashSet<i64> = numbers.iter().copied().collect();
        self.ended.iter().copied().filter(|number| asked.contains(number)).collect()
    }

    /// It is not kept any more.
    pub(super) fn forget(&mut self, number: i64) {
        if self.ended.len() == ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(number);
        self.kept.remove(&number);
        self.alone.remove(&number);
        self.beside.remove(&number);
        self.missing.remove(&number);
        self.asked.remove(&number);
    }

    /// Only these are still this server's.
    pub(super) fn keep_only(&mut self, numbers: &[i64]) {
        let only: HashSet<i64> = numbers.iter().copied().collect();
        self.kept.retain(|number| only.contains(number));
        self.alone.retain(|number| only.contains(number));
        self.beside.retain(|number| only.contains(number));
        self.missing.retain(|number| only.contains(number));
        self.asked.retain(|number, _| only.contains(number));
    }

    /// The connection was lost: everything is to be compared when there is one again.
    pub(super) fn begin_comparing(&mut self) {
        self.compared = Some(Comparison::default());
    }

    /// Whether rows are to be compared: those behind this number.
    pub(super) fn compares(&self) -> Option<i64> {
        self.compared.map(|compared| compared.upto)
    }

    /// Compares with the rows behind [`Book::compares`], which are all of them up to this number: of gearmand's table, and of
    /// our own those that are alone. Returns what is to go.
    pub(super) fn compare(&mut self, theirs: &[i64], ours: &[i64], upto: i64) -> TooMuch {
        let Some(Comparison { upto: from }) = self.compared else { return TooMuch::default() };
        let (there, there_alone): (HashSet<i64>, HashSet<i64>) =
            (theirs.iter().copied().collect(), ours.iter().copied().collect());
        for &number in self.kept.range((std::ops::Bound::Excluded(from), std::ops::Bound::Included(upto))) {
            let place = if self.alone.contains(&number) { &there_alone } else { &there };
            if !place.contains(&number) {
                self.missing.insert(number);
            }
        }
        let right =
            |number: &i64, alone: bool| self.kept.contains(number) && self.alone.contains(number) == alone;
        let wrong =
            |numbers: &[i64], alone| numbers.iter().copied().filter(|number| !right(number, alone)).collect();
        let too_much = TooMuch { theirs: wrong(theirs, false), ours: wrong(ours, true) };
        self.compared = (upto < i64::MAX).then_some(Comparison { upto });
        too_much
    }

    /// Whether jobs are still to be put again.
    pub(super) fn misses(&self) -> bool {
        !self.missing.is_empty() || !self.asked.is_empty()
    }

    /// These jobs are not kept any more.
    pub(super) fn forget_jobs(&mut self, jobs: &[JobId]) {
        jobs.iter().filter_map(|&job| row_of(job).ok()).for_each(|number| self.forget(number));
    }

    /// Jobs to be put again now: see [`super::Store::wanted`].
    pub(super) fn wanted_jobs(&mut self) -> Vec<JobId> {
        let wanted = self.wanted(Instant::now());
        wanted.into_iter().filter_map(|number| JobId::from_number(number.unsigned_abs())).collect()
    }

    /// What was put again on this server: see [`super::Store::repaired`].
    pub(super) fn repaired_on(&mut self, server: &str) -> Repaired {
        match self.repaired() {
            0 => Repaired::default(),
            again => {
                log_at!(
                    Level::Alert,
                    "{server} had lost {again} jobs that it had committed; they were written again from memory"
                );
                Repaired { pieces: 1, lost: Vec::new() }
            }
        }
    }

    /// Jobs to be put again now.
    fn wanted(&mut self, now: Instant) -> Vec<i64> {
        let late: Vec<i64> =
            self.asked.iter().filter(|(_, at)| now - **at >= PATIENCE).map(|(&number, _)| number).collect();
        if late.is_empty() && !self.asked.is_empty() {
            return Vec::new();
        }
        let next: Vec<i64> = late.into_iter().chain(self.missing.iter().copied()).take(ASK).collect();
        for number in &next {
            self.missing.remove(number);
            self.asked.insert(*number, now);
        }
        next
    }

    /// How many were put again, once all are.
    fn repaired(&mut self) -> u64 {
        if self.misses() || self.compared.is_some() { 0 } else { std::mem::take(&mut self.again) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(kept: &[i64], alone: &[i64]) -> Book {
        let mut book = Book::default();
        kept.iter().for_each(|&number| book.note(number, false, false));
        alone.iter().for_each(|&number| book.note(number, true, true));
        book
    }

    #[test]
    fn what_is_missing_is_asked_for_and_what_is_too_much_goes() {
        let mut book = book(&[1, 2, 3, 10], &[4, 5]);
        assert_eq!(book.compares(), None);
        book.begin_comparing();
        assert_eq!(book.compares(), Some(0));
        // 2 is gone; 4 has come back to life; 6 has ended, 7 has ended as a dead one.
        let too_much = book.compare(&[1, 3, 4, 6], &[5, 7], 9);
        assert_eq!(too_much, TooMuch { theirs: vec![4, 6], ours: vec![7] });
        assert_eq!(book.compares(), Some(9));
        assert_eq!(book.compare(&[], &[], i64::MAX), TooMuch::default());
        assert_eq!(book.compares(), None);
        let now = Instant::now();
        assert_eq!(book.wanted(now), [2, 4, 10]);
        assert_eq!(book.wanted(now), [0; 0], "they are under way");
        book.note(2, false, false);
        book.forget(4);
        assert_eq!((book.wanted(now + PATIENCE), book.repaired()), (vec![10], 0));
        book.note(10, false, false);
        assert_eq!((book.misses(), book.repaired(), book.repaired()), (false, 2, 0));
    }
}
