//! How many receive buffers may be filled in a round, by whichever way: twice as many when they were too few, half as many after a
//! calm time, and few while many wait to be read. The buffers themselves belong to `uring/` and `epoll/`.
use super::portions::{CALM, FILLED_AT_FIRST, FILLED_WHEN_SHORT};

/// The rule, for the buffers of one shard.
#[derive(Debug)]
pub(super) struct Lending {
    /// How many buffers there may be.
    count: u16,
    /// How many may be filled when few wait to be read.
    portion: u16,
    /// Rounds since they were too few, and whether many wait to be read.
    calm: u32,
    short: bool,
}

impl Lending {
    /// Of so many buffers.
    pub(super) fn new(count: u16) -> Lending {
        Lending { count, portion: count.min(FILLED_AT_FIRST), calm: 0, short: false }
    }

    /// Twice as many as before.
    pub(super) fn more(&mut self) {
        self.portion = self.portion.saturating_mul(2).min(self.count);
        self.calm = 0;
    }

    /// To be called once a round. After many in which the portion was enough, half as many may be filled; few, as long as many
    /// wait to be read.
    #[inline]
    pub(super) fn tend(&mut self, short: bool) {
        self.short = short;
        if self.portion > FILLED_AT_FIRST {
            self.calm += 1;
            if self.calm >= CALM {
                (self.portion, self.calm) = ((self.portion / 2).max(FILLED_AT_FIRST), 0);
            }
        }
    }

    /// How many may be filled now.
    #[inline]
    pub(super) fn portion(&self) -> u16 {
        if self.short { self.portion.min(FILLED_WHEN_SHORT) } else { self.portion }
    }

    /// Whether few may be filled, because many wait to be read.
    #[inline]
    pub(super) fn are_short(&self) -> bool {
        self.short
    }
}
