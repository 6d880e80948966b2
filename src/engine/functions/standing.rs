//! Where a job stands, with what it must know there, and the only moves that it may make. How it moves is in `moves.rs`.
//!
//! A standing has no alignment, so that a job has no padding: there may be millions.
use super::index::HoldsIx;
use super::slab::Option32;
use crate::persist::StoreSeq;

/// A number that may stand anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed)]
pub(crate) struct Unaligned<T: Copy>(T);

impl<T: Copy> Unaligned<T> {
    #[inline(always)]
    pub(crate) fn get(self) -> T {
        self.0
    }
}

/// The neighbours of a job in a queue: see `queue.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    previous: Unaligned<Option32>,
    next: Unaligned<Option32>,
}

impl Links {
    /// Of a job that stands alone.
    pub(crate) const NONE: Links = Links::behind(Option32::NONE);

    /// Of the last job of a queue, behind this one.
    #[inline(always)]
    pub(crate) const fn behind(previous: Option32) -> Links {
        Links { previous: Unaligned(previous), next: Unaligned(Option32::NONE) }
    }

    #[inline(always)]
    pub(crate) fn previous(self) -> Option32 {
        self.previous.0
    }

    #[inline(always)]
    pub(crate) fn next(self) -> Option32 {
        self.next.0
    }

    #[inline(always)]
    pub(crate) fn set_previous(&mut self, previous: Option32) {
        self.previous = Unaligned(previous);
    }

    #[inline(always)]
    pub(crate) fn set_next(&mut self, next: Option32) {
        self.next = Unaligned(next);
    }
}

/// Where a job stands. A job that ends leaves the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In the queue of its priority.
    Queued(Links),
    /// Before the queue of its priority: it came to its head when stored jobs could not be given out. See `lease.rs`.
    Withheld(Links),
    /// Outside the queues, waiting for its time.
    Scheduled(Links),
    /// It would stand in the queue, but nobody wants it: it stands apart until somebody does or it is discarded. See
    /// `abandoned.rs`.
    Abandoned(Links),
    /// It has run out of attempts, and is kept to be looked at and put back. See `dead.rs`.
    Dead(Links),
    /// Held by a worker: at this place of this list of what the worker was given.
    Running { list: Unaligned<HoldsIx>, at: Unaligned<u32> },
    /// Outside the queues, waiting for the answer of the store to this put: it may be joined, but is not answered yet.
    Storing(Unaligned<StoreSeq>),
    /// Nowhere yet.
    New,
    /// It is no job any more: its clients are told what it came to. See `tell.rs`.
    Over,
}

impl Standing {
    #[inline(always)]
    pub(crate) fn running(list: HoldsIx, at: u32) -> Standing {
        Standing::Running { list: Unaligned(list), at: Unaligned(at) }
    }

    #[inline(always)]
    pub(crate) fn storing(seq: StoreSeq) -> Standing {
        Standing::Storing(Unaligned(seq))
    }

    /// Whether a job that stands here may go there; every other move is a bug of ours.
    #[inline(always)]
    pub(crate) fn may_become(self, to: Standing) -> bool {
        use Standing::*;
        match to {
            Queued(_) => !matches!(self, Queued(_) | Over),
            Scheduled(_) => matches!(self, New | Storing(_)),
            // Nobody may want a job any more when its time comes, or when it comes back from its worker or the store.
            Abandoned(_) => {
                matches!(self, Queued(_) | Withheld(_) | Scheduled(_) | Running { .. } | Storing(_))
            }
            // New ones are found dead in the store at the start.
            Dead(_) => matches!(self, Running { .. } | New),
            Running { .. } => matches!(self, Queued(_) | Withheld(_)),
            Withheld(_) => matches!(self, Queued(_)),
            Storing(_) => matches!(self, New),
            New | Over => false,
        }
    }
}
