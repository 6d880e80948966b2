//! The queue of one function and priority, and that of dead jobs: a list through the jobs themselves, so that it never grows or moves and
//! a cancelled job leaves from the middle.
use super::index::JobIx;
use super::jobs::Jobs;
use super::slab::Option32;
use super::standing::{Links, Standing};

/// First in, first out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    head: Option32,
    tail: Option32,
    len: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { head: Option32::NONE, tail: Option32::NONE, len: 0 }
    }
}

impl Queue {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn head(&self) -> Option<JobIx> {
        self.head.get().map(JobIx)
    }

    /// Adds a job at the tail; there it stands from now on, as a member of this kind of queue.
    #[inline(always)]
    pub(crate) fn push(&mut self, jobs: &mut Jobs, ix: JobIx, standing: impl FnOnce(Links) -> Standing) {
        jobs.get_mut(ix).go(standing(Links::behind(self.tail)));
        match self.tail.get() {
            Some(tail) => jobs.get_mut(JobIx(tail)).links().set_next(Option32::some(ix.0)),
            None => self.head = Option32::some(ix.0),
        }
        self.tail = Option32::some(ix.0);
        self.len += 1;
    }

    /// Takes a job out, wherever in the queue. It is to go somewhere else, or to end.
    #[inline(always)]
    pub(crate) fn remove(&mut self, jobs: &mut Jobs, ix: JobIx) {
        let links = core::mem::replace(jobs.get_mut(ix).links(), Links::NONE);
        let (previous, next) = (links.previous(), links.next());
        match previous.get() {
            Some(previous) => jobs.get_mut(JobIx(previous)).links().set_next(next),
            None => {
                assert!(self.head == Option32::some(ix.0), "a job without a predecessor is the head");
                self.head = next;
            }
        }
        match next.get() {
            Some(next) => jobs.get_mut(JobIx(next)).links().set_previous(previous),
            None => self.tail = previous,
        }
        self.len -= 1;
    }
}
