//! The sequences that new jobs get: all there are, or those of blocks that a store of several servers gives out. Where there are none,
//! foreground jobs get spare ones ([`JobId::SPARE_MIN`]), which nothing stored has: so they need no store.
use crate::slot::JobId;
use alloc::collections::VecDeque;
use core::ops::Range;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// Those that come next.
    now: Range<u64>,
    /// Further blocks, in order.
    blocks: VecDeque<Range<u64>>,
    /// How many the last block had that was handed in.
    last: u64,
    /// Sequences come in blocks only.
    shared: bool,
    /// The spare one that comes next.
    spare: u64,
}

impl Sequences {
    /// Of blocks only, if `shared`; spare ones from `spare` on.
    pub(super) fn new(shared: bool, spare: u64) -> Sequences {
        let end = if shared { 1 } else { JobId::SEQUENCE_MAX + 1 };
        Sequences { now: 1..end, blocks: VecDeque::new(), last: 0, shared, spare }
    }

    /// The store may be away while others are served: spare sequences are kept clear of all others from now on.
    pub(super) fn reserve_spare(&mut self) {
        self.now.end = self.now.end.min(JobId::SPARE_MIN);
    }

    /// Takes a spare one. There are more than a server can use up.
    #[cold]
    pub(super) fn take_spare(&mut self) -> u64 {
        let sequence = self.spare;
        self.spare = if sequence >= JobId::SEQUENCE_MAX { JobId::SPARE_MIN } else { sequence + 1 };
        sequence
    }

    /// The sequence of the next job, if there is one for it; else what it would be.
    #[inline]
    pub(super) fn next(&self) -> u64 {
        self.now.start
    }

    /// Whether there is one left. The next block is begun if need be.
    #[inline]
    pub(super) fn any(&mut self) -> bool {
        self.now.start < self.now.end || self.next_block()
    }

    #[cold]
    fn next_block(&mut self) -> bool {
        if let Some(block) = self.blocks.pop_front() {
            self.now = block;
        }
        self.now.start < self.now.end
    }

    /// Takes it.
    #[inline]
    pub(super) fn take(&mut self) -> u64 {
        let sequence = self.now.start;
        self.now.start += 1;
        sequence
    }

    /// These may be given out from now on, after all that were handed in before.
    pub(super) fn add(&mut self, block: Range<u64>) {
        let block = block.start.max(1)..block.end.min(JobId::SPARE_MIN);
        if block.is_empty() {
            return;
        }
        if !self.shared {
            (self.shared, self.now) = (true, block.start..block.start);
        }
        self.last = block.end - block.start;
        self.blocks.push_back(block);
    }

    /// Whether another block should be asked for: less than half of the last one is left.
    pub(super) fn want_more(&self) -> bool {
        let left = |block: &Range<u64>| block.end.saturating_sub(block.start);
        self.shared && left(&self.now) + self.blocks.iter().map(left).sum::<u64>() <= self.last / 2
    }

    /// The next job gets this sequence, or a later one. In blocks they are what they are.
    pub(super) fn at_least(&mut self, sequence: u64) {
        if !self.shared {
            self.now.start = self.now.start.max(sequence);
        }
    }

    /// No job that is accepted from now on gets this one. One that is far beyond all others does not set where counting
    /// goes on, but where it ends. The numbers of blocks are clear of all others.
    pub(super) fn keep_clear_of(&mut self, sequence: u64) {
        if self.shared {
        } else if sequence <= JobId::SEQUENCE_HINT_MAX {
            self.at_least(sequence + 1);
        } else {
            self.now.end = self.now.end.min(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_up_in_order_and_more_are_wanted_in_time() {
        let mut numbers = Sequences::new(true, JobId::SPARE_MIN);
        assert!(numbers.want_more() && !numbers.any());
        numbers.add(100..104);
        numbers.add(200..202);
        assert!(!numbers.want_more());
        numbers.keep_clear_of(1 << 40);
        numbers.at_least(1 << 40);
        let mut taken = alloc::vec::Vec::new();
        let mut wanted = alloc::vec::Vec::new();
        while numbers.any() {
            taken.push(numbers.take());
            wanted.push(numbers.want_more());
        }
        assert_eq!(taken, [100, 101, 102, 103, 200, 201]);
        assert_eq!(wanted, [false, false, false, false, true, true]);
    }

    #[test]
    fn spare_ones_are_no_others() {
        let mut numbers = Sequences::new(false, JobId::SEQUENCE_MAX);
        numbers.reserve_spare();
        numbers.at_least(JobId::SPARE_MIN - 1);
        assert_eq!((numbers.any(), numbers.take(), numbers.any()), (true, JobId::SPARE_MIN - 1, false));
        assert_eq!((numbers.take_spare(), numbers.take_spare()), (JobId::SEQUENCE_MAX, JobId::SPARE_MIN));
        numbers.add(JobId::SPARE_MIN..u64::MAX);
        assert!(!numbers.any(), "a store gives out none of them");
        assert!(JobId::SPARE_MIN > JobId::SEQUENCE_HINT_MAX);
    }

    #[test]
    fn without_blocks_they_go_on_from_one() {
        let mut numbers = Sequences::new(false, JobId::SPARE_MIN);
        assert!(!numbers.want_more() && numbers.any());
        assert_eq!(numbers.take(), 1);
        numbers.keep_clear_of(7);
        assert_eq!((numbers.next(), numbers.take()), (8, 8));
        numbers.add(3..5);
        assert!(numbers.any());
        assert_eq!((numbers.take(), numbers.any(), numbers.take(), numbers.any()), (3, true, 4, false));
    }
}
