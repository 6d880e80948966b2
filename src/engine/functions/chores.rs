//! What is too much for one event, each with what is left of it, and the queue of all. One step of each is in `steps.rs`.
use super::index::{Era, FunctionIx, HoldsIx, JobIx, PartyIx};
use crate::persist::{DeathReason, StoreSeq};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a worker had registered in an era that is over.
#[derive(Debug)]
pub(super) struct OldEra {
    pub(super) party: PartyIx,
    pub(super) era: Era,
    pub(super) functions: VecDeque<(i64, FunctionIx)>,
    pub(super) reason: DeathReason,
}

/// Jobs that a worker held.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) list: HoldsIx,
    pub(super) reason: DeathReason,
}

/// A function whose jobs end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) function: FunctionIx,
    /// The put from which on jobs that wait for the store are looked for.
    pub(super) next: StoreSeq,
    pub(super) queued: u64,
    pub(super) scheduled: u64,
    pub(super) dead: u64,
}

/// Something that takes many steps.
#[derive(Debug)]
pub(super) enum Chore {
    /// Those that have been dead longest go, for a job that has died: so many jobs and so many bytes. See `dead.rs`.
    MakeRoom { jobs: u64, bytes: u64 },
    /// What a worker had registered is put away. See `leave.rs`.
    Forget(OldEra),
    /// Jobs that a worker held go back.
    GiveBack(Lost),
    /// A client that is gone waits for nothing any more.
    Detach(PartyIx),
    /// A worker that fell asleep is listed beside each of its functions. See `wake.rs`.
    List(PartyIx),
    /// Sleepers beside a function are woken.
    Wake(FunctionIx),
    /// A worker looks for abandoned jobs. See `abandoned.rs`.
    Look(PartyIx),
    /// The abandoned jobs of a function are discarded.
    Discard(FunctionIx),
    /// The jobs of a function that was dropped end. See `drop.rs`.
    EndFunction(Ending),
    /// The clients of a job hear of it. See `tell.rs`.
    Tell(JobIx),
    /// Stored jobs may be given out again, or may not any more: function by function. See `lease.rs`.
    Lease,
    /// Stored jobs of a function get out of the way of others.
    Sift(FunctionIx),
    /// What another server has taken over is forgotten. See `fence.rs`.
    Forgetting,
}

/// Chores that are not done, and what this call of the engine may still do.
#[derive(Debug, Default)]
pub(super) struct Chores {
    pub(super) queue: VecDeque<Chore>,
    /// Those that wait until other shards have taken messages.
    pub(super) held: Vec<Chore>,
    /// Units of work that this call may still do.
    pub(super) left: u32,
    /// Units of work that were ever done.
    pub(super) done: u64,
}

impl Chores {
    /// Something is to be done, as soon as what stands before it is.
    pub(super) fn push(&mut self, chore: Chore) {
        self.queue.push_back(chore);
    }

    /// Takes a unit of what this call may do. False if nothing is left of it: the rest is for the next calls.
    pub(super) fn spend(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.done += 1;
        true
    }

    /// Takes so many units of work at once, if so much is left of what this call may do.
    #[inline]
    pub(super) fn spend_all(&mut self, units: usize) -> bool {
        let Some(left) = u32::try_from(units).ok().and_then(|units| self.left.checked_sub(units)) else {
            return false;
        };
        self.left = left;
        self.done += units as u64;
        true
    }

    /// Whether all is done that can be.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Something is to be done when other shards have taken messages.
    pub(super) fn hold(&mut self, chore: Chore) {
        self.held.push(chore);
    }

    /// Chores of telling clients. For tests.
    pub(super) fn tellings(&self) -> usize {
        let all = self.queue.iter().chain(&self.held);
        all.filter(|chore| matches!(chore, Chore::Tell(_))).count()
    }
}
