//! What is too much for one event is done in pieces: chores take turns, and each call of the engine does so many units of
//! work. Says when; what one step of a chore is, the other files say.
//!
//! A chore does a unit of work in each step, and holds nothing that may go away between two steps: it finds things anew. A
//! party keeps its place as long as there is a chore of it.
use super::Functions;
use super::drop::Ending;
use super::job::{FunctionIx, JobIx};
use super::leave::{Lost, Over};
use super::party::PartyIx;
use crate::outbox::Outbox;
use crate::time::Now;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// With room for so many chores and none to do, the room is kept.
const ROOM_KEPT: usize = 64;

/// Something that takes many steps.
#[derive(Debug)]
pub(super) enum Chore {
    /// Those that have been dead longest go, for a job that has died: so many jobs and so many bytes. See `dead.rs`.
    MakeRoom { jobs: u64, bytes: u64 },
    /// What a worker had registered is put away. See `leave.rs`.
    Forget(Over),
    /// Jobs that a worker held go back.
    GiveBack(Lost),
    /// A client that is gone waits for nothing any more.
    Detach(PartyIx),
    /// A worker that fell asleep is listed beside each of its functions. See `sleepers.rs`.
    List(PartyIx),
    /// Sleepers beside a function are woken.
    Wake(FunctionIx),
    /// A worker looks for abandoned jobs. See `abandoned.rs`.
    Look(PartyIx),
    /// The abandoned jobs of a function are discarded.
    Discard(FunctionIx),
    /// The jobs of a function that was dropped end. See `drop.rs`.
    EndFunction(Ending),
    /// The clients of a job hear of it. See `telling.rs`.
    Tell(JobIx),
}

/// Chores that are not done, and what this call of the engine may still do.
#[derive(Debug, Default)]
pub(super) struct Chores {
    queue: VecDeque<Chore>,
    /// Those that wait until other shards have taken messages.
    held: Vec<Chore>,
    /// Units of work that this call may still do.
    left: u32,
    /// Units of work that were ever done.
    done: u64,
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

impl Functions {
    /// A call of the engine begins. It is now this late.
    #[inline]
    pub(crate) fn begin(&mut self, now: Now) {
        self.now = now;
        self.chores.left = self.policy.work_at_once;
    }

    /// Whether [`Functions::go_on`] has something to do.
    #[inline]
    pub(crate) fn has_chores(&self) -> bool {
        !self.chores.is_empty()
    }

    /// Other shards have taken messages: there is room for more.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.chores.queue.extend(self.chores.held.drain(..));
    }

    /// Whether this call has done all that it may.
    pub(crate) fn is_tired(&self) -> bool {
        self.chores.left == 0
    }

    /// Units of work that were ever done in pieces.
    pub(crate) fn work_done(&self) -> u64 {
        self.chores.done
    }

    /// Goes on with what is to be done, until all is or this call has done its share.
    pub(crate) fn go_on(&mut self, out: &mut Outbox) {
        while self.has_chores() && self.chores.spend() {
            let Some(chore) = self.chores.queue.pop_front() else { return };
            if let Some(rest) = self.step(chore, out) {
                self.chores.queue.push_back(rest);
            }
        }
        if self.chores.queue.is_empty() && self.chores.queue.capacity() > ROOM_KEPT {
            self.chores.queue = VecDeque::new();
        }
    }

    /// One step. Gives back what is left of the chore.
    fn step(&mut self, chore: Chore, out: &mut Outbox) -> Option<Chore> {
        match chore {
            Chore::MakeRoom { jobs, bytes } => self.make_room(jobs, bytes, out),
            Chore::Forget(over) => self.forget_one(over),
            Chore::GiveBack(lost) => self.give_back_one(lost, out),
            Chore::Detach(client) => self.detach_one(client, out),
            Chore::List(worker) => self.list_one(worker, out),
            Chore::Wake(function) => self.wake_next(function, out),
            Chore::Look(worker) => self.look_at_one(worker),
            Chore::Discard(function) => self.discard_one(function, out),
            Chore::EndFunction(ending) => self.end_one(ending, out),
            Chore::Tell(job) => self.tell_one(job, out),
        }
    }
}
