//! What must never happen to a job, counted; and the memory that it takes to notice.
use std::collections::VecDeque;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What went wrong. All of it must be 0, strangers excepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Submitted or accepted, and never seen again.
    pub(crate) lost: u64,
    /// Given to workers twice, or answered twice.
    pub(crate) doubled: u64,
    /// Workload, result or unique differ from what was sent.
    pub(crate) altered: u64,
    /// At a worker that cannot do the function, under another function's name, or a result at another client
    /// or under another handle.
    pub(crate) misdelivered: u64,
    /// Taken before an older job of the same client, function and priority, or a result before its
    /// JOB_CREATED.
    pub(crate) out_of_order: u64,
    /// Answered ERROR, or failed although no worker failed it.
    pub(crate) refused: u64,
    /// Connections that the job server closed.
    pub(crate) closed: u64,
    /// Accepted, and still in the job server's queue although workers ask for jobs: it gives them to nobody.
    #[serde(default)]
    pub(crate) stuck: u64,
    /// Jobs of other runs that the job server gave to our workers, which failed them. No error, but the figures contain them.
    pub(crate) strangers: u64,
    /// Jobs whose result came from workers that are not ours: under a function that others may know. Answered, unchecked.
    #[serde(default)]
    pub(crate) elsewhere: u64,
    /// Jobs whose connection broke before their answer came: the job server may have them or not.
    #[serde(default)]
    pub(crate) unknown: u64,
    /// Jobs that were given out again in a plan that reconnects, where that is right: a worker was lost with them.
    #[serde(default)]
    pub(crate) repeated: u64,
    /// Connections that broke in such a plan, and were made again.
    #[serde(default)]
    pub(crate) reconnects: u64,
}

impl Tally {
    /// True if nothing went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        let &Tally { lost, doubled, altered, misdelivered, out_of_order, refused, closed, stuck, .. } = self;
        lost + doubled + altered + misdelivered + out_of_order + refused + closed + stuck == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.altered += other.altered;
        self.misdelivered += other.misdelivered;
        self.out_of_order += other.out_of_order;
        self.refused += other.refused;
        self.closed += other.closed;
        self.strangers += other.strangers;
        self.elsewhere += other.elsewhere;
        self.stuck += other.stuck;
        self.unknown += other.unknown;
        self.repeated += other.repeated;
        self.reconnects += other.reconnects;
    }
}

/// Which jobs of one client connection reached a worker. Its size is the distance between the oldest that did
/// not and the newest that did, in bits.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivered {
    /// The number of the first bit of `words`, a multiple of 64; every job before it was delivered.
    base: u64,
    words: VecDeque<u64>,
}

impl Delivered {
    /// Notes that job `seq` was delivered; false if it had been before.
    pub(crate) fn mark(&mut self, seq: u64) -> bool {
        let Some(at) = seq.checked_sub(self.base) else {
            return false;
        };
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let first = self.words[word] & bit == 0;
        self.words[word] |= bit;
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.base += 64;
        }
        first
    }
}

impl Delivered {
    /// True if job `seq` was marked.
    pub(crate) fn has(&self, seq: u64) -> bool {
        let Some(at) = seq.checked_sub(self.base) else { return true };
        self.words.get((at / 64) as usize).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// How many were marked.
    pub(crate) fn count(&self) -> u64 {
        self.base + self.words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>()
    }

    /// Adds what was marked elsewhere; gives how many were marked in both.
    pub(crate) fn absorb(&mut self, other: &Delivered) -> u64 {
        let both = self.common(other);
        let mut merged = VecDeque::new();
        let end = |one: &Delivered| one.base / 64 + one.words.len() as u64;
        let base = self.base.max(other.base);
        for at in base / 64..end(self).max(end(other)) {
            merged.push_back(self.word(at) | other.word(at));
        }
        // Where one of them has all, the other adds nothing.
        (self.base, self.words) = (base, merged);
        both
    }

    /// Bits from 64 times `at` on.
    fn word(&self, at: u64) -> u64 {
        match at.checked_sub(self.base / 64) {
            None => u64::MAX,
            Some(at) => self.words.get(at as usize).copied().unwrap_or(0),
        }
    }

    /// How many were marked here and there.
    pub(crate) fn common(&self, other: &Delivered) -> u64 {
        let end = |one: &Delivered| one.base / 64 + one.words.len() as u64;
        let first = self.base.min(other.base) / 64;
        let beyond = (first..end(self).min(end(other))).map(|at| self.word(at) & other.word(at));
        first * 64 + beyond.map(|word| u64::from(word.count_ones())).sum::<u64>()
    }
}

/// What became of the jobs of one client connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fate {
    /// Which were given to a worker; in plans that reconnect, which a worker has done.
    pub(crate) delivered: Delivered,
    /// Which background jobs were acknowledged by JOB_CREATED. Only kept in plans that reconnect: elsewhere all are.
    pub(crate) acknowledged: Delivered,
}

/// The last job that one worker got of each stream: the jobs of one client connection, one function and
/// one priority. The job server hands those out first in, first out, so each worker must see them in order.
#[derive(Debug)]
pub(crate) struct InOrder {
    /// By stream, the number of the last job plus 1. Made with the first job, as most sleeping workers never
    /// get one.
    last: Vec<u64>,
    streams: usize,
}

/// The most streams that are watched per worker group, over all its workers.
pub(crate) const STREAMS_MAX: usize = 16 << 20;

impl InOrder {
    /// For a worker of a group of `workers`. Watches nothing if that took too much memory.
    pub(crate) fn new(streams: usize, workers: usize) -> InOrder {
        let watched = streams.saturating_mul(workers) <= STREAMS_MAX;
        InOrder { last: Vec::new(), streams: if watched { streams } else { 0 } }
    }

    /// Notes that job `seq` of `stream` came; false if a younger one had come before.
    #[inline]
    pub(crate) fn mark(&mut self, stream: usize, seq: u64) -> bool {
        if self.last.is_empty() {
            self.last.resize(self.streams, 0);
        }
        match self.last.get_mut(stream) {
            Some(last) if *last > seq => false,
            Some(last) => {
                *last = seq + 1;
                true
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_delivered_once() {
        let mut delivered = Delivered::default();
        for seq in (0..1000).rev() {
            assert!(delivered.mark(seq));
        }
        assert!(delivered.words.len() <= 1);
        assert!(!delivered.mark(0));
        assert!(!delivered.mark(999));
        assert!(delivered.mark(5000));
        assert!(!delivered.mark(5000));
    }

    #[test]
    fn ledgers_are_compared_job_by_job() {
        let (mut a, mut b) = (Delivered::default(), Delivered::default());
        for seq in (0..1000).filter(|seq| seq % 3 != 1 || *seq < 200) {
            a.mark(seq);
        }
        for seq in 0..640 {
            b.mark(seq);
        }
        let common = (0..640).filter(|seq| seq % 3 != 1 || *seq < 200).count() as u64;
        assert_eq!((a.common(&b), b.common(&a)), (common, common));
        assert_eq!(
            (b.count(), a.count()),
            (640, (0..1000).filter(|seq| seq % 3 != 1 || *seq < 200).count() as u64)
        );
        assert!(b.has(0) && b.has(639) && !b.has(640) && !a.has(202));
        assert_eq!(Delivered::default().common(&a), 0);
        let (all, both) = (a.count() + b.count(), a.common(&b));
        assert_eq!(a.absorb(&b), both);
        assert_eq!(a.count(), all - both);
        assert!(a.has(639) && a.has(1) && !a.has(640));
        assert_eq!(b.absorb(&Delivered::default()), 0);
        assert_eq!(b.count(), 640);
    }

    #[test]
    fn streams_are_watched_apart() {
        let mut order = InOrder::new(2, 1);
        assert!(order.mark(0, 5));
        assert!(order.mark(1, 3));
        assert!(order.mark(0, 6));
        assert!(!order.mark(0, 6));
        assert!(!order.mark(0, 2));
        assert!(order.mark(1, 9));
        assert!(InOrder::new(1 << 20, 1 << 20).mark(7, 1));
    }
}
