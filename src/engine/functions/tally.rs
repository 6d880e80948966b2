//! Jobs that belong to somebody, in no order. Entries of jobs that no longer do are left behind, and each addition looks at a few
//! when they are more than half: adding and leaving cost little however many there are.
use crate::slot::JobId;
use alloc::vec::Vec;

/// With so few entries nobody looks for old ones.
const FEW: usize = 32;
/// Entries that an addition looks at.
const LOOKS: usize = 4;

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ids: Vec<JobId>,
    live: usize,
    /// Where the next look is.
    next: usize,
}

impl Tally {
    /// Adds a job; `belongs` tells whether an entry still counts.
    #[inline]
    pub(crate) fn add(&mut self, id: JobId, belongs: impl Fn(JobId) -> bool) {
        if self.ids.len() >= FEW && self.ids.len() >= 2 * self.live {
            self.sweep(belongs);
        }
        self.ids.push(id);
        self.live += 1;
    }

    #[cold]
    #[inline(never)]
    fn sweep(&mut self, belongs: impl Fn(JobId) -> bool) {
        for _ in 0..LOOKS.min(self.ids.len()) {
            if self.next >= self.ids.len() {
                self.next = 0;
            }
            if belongs(self.ids[self.next]) {
                self.next += 1;
            } else {
                self.ids.swap_remove(self.next);
            }
        }
    }

    /// A job no longer belongs (once for each time that it was added).
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            // Nothing in it counts any more; a busy client keeps its room, a once huge one does not.
            self.ids.clear();
            if self.ids.capacity() > 64 {
                self.ids = Vec::new();
            }
        }
    }

    /// Takes an entry out, which may be an old one. If it is not, the job is still to [`Tally::leave`].
    pub(crate) fn pop(&mut self) -> Option<JobId> {
        self.ids.pop()
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// All entries, old ones included.
    pub(crate) fn ids(&self) -> &[JobId] {
        &self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slot;

    /// However many jobs live long, what has ended goes, and no addition is dear.
    #[test]
    fn old_entries_go_bit_by_bit() {
        let id = |number| JobId::new(number, Slot::of(b"f"));
        let mut tally = Tally::default();
        let lives = |id: JobId| id.sequence() <= 1000 || id.sequence().is_multiple_of(100_000);
        for number in 1..=50_000 {
            tally.add(id(number), |_| true);
        }
        (1000..50_000).for_each(|_| tally.leave());
        let looks = core::cell::Cell::new(0);
        for number in 100_001..150_000 {
            tally.add(id(number), |id| {
                looks.set(looks.get() + 1);
                lives(id)
            });
            assert!(looks.take() <= LOOKS);
            tally.leave();
        }
        assert!(tally.ids().len() < 4 * tally.live() && tally.live() == 1000, "{}", tally.ids().len());
        assert_eq!(tally.ids().iter().filter(|&&id| lives(id)).count(), 1000);
    }
}
