//! What is too much for one event is done in pieces: chores take turns, and each call of the engine does so many units of
//! work. Says when; what one step of a chore is, the other files say.
//!
//! A chore does a unit of work in each step, and holds nothing that may go away between two steps: it finds things anew. A
//! party keeps its place as long as there is a chore of it.
use super::Functions;
use super::chores::Chore;
use crate::outbox::Outbox;
use crate::time::Now;
use alloc::collections::VecDeque;

/// With room for so many chores and none to do, the room is kept.
const ROOM_KEPT: usize = 64;

impl Functions {
    /// A call of the engine begins. It is now this late.
    #[inline]
    pub(crate) fn begin(&mut self, now: Now) {
        self.now = now;
        self.chores.left = self.policy.work_at_once;
        if now.instant >= self.tenure.until && !self.tenure.lapsed {
            self.look_at_lease();
        }
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
    pub(crate) fn is_spent(&self) -> bool {
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
            Chore::Lease => self.lease_next(),
            Chore::Sift(function) => self.sift_next(function),
            Chore::Forgetting => self.forget_next(out),
        }
    }
}
