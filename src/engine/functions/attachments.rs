//! Who waits for which job, beside the first client of each: one entry for each submission that joined, in a list of its job
//! and in one of its client, so that either can let go of it in one step. Marks
//! may stand in the list of a job, too: see `tell.rs`.
use super::index::{JobIx, PartyIx};
use super::slab::{Option32, Pieces, Slab};

/// A submission that joined a job.
#[derive(Clone, Copy, Debug)]
struct Attachment {
    job: JobIx,
    client: PartyIx,
    /// Of the same job: who joined before and after.
    earlier: Option32,
    later: Option32,
    /// Of the same client: what it joined before and after.
    older: Option32,
    newer: Option32,
}

/// The submissions that joined one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiners {
    first: Option32,
    last: Option32,
    pub(crate) count: u32,
}

impl Default for Joiners {
    fn default() -> Joiners {
        Joiners { first: Option32::NONE, last: Option32::NONE, count: 0 }
    }
}

/// What one client joined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joins {
    newest: Option32,
    pub(crate) count: u32,
}

impl Default for Joins {
    fn default() -> Joins {
        Joins { newest: Option32::NONE, count: 0 }
    }
}

/// The client of a mark.
const NOBODY: PartyIx = PartyIx(u32::MAX);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    slab: Slab<Attachment, Pieces<Attachment>>,
}

impl Attachments {
    pub(crate) const BYTES: usize = size_of::<Attachment>();

    /// Attachments and marks now.
    pub(crate) fn count(&self) -> usize {
        self.slab.count()
    }

    /// A client waits for a job once more.
    pub(crate) fn add(
        &mut self,
        (job, joined): (JobIx, &mut Joiners),
        (client, joins): (PartyIx, &mut Joins),
    ) {
        let at = self.mark_last(job, joined);
        self.give_to(at, joined, (client, joins));
    }

    /// A client waits for a job that all others joined later.
    pub(crate) fn add_first(
        &mut self,
        (job, joined): (JobIx, &mut Joiners),
        (client, joins): (PartyIx, &mut Joins),
    ) {
        let at = self.mark_first(job, joined);
        self.give_to(at, joined, (client, joins));
    }

    /// A mark becomes an attachment of this client.
    fn give_to(&mut self, at: u32, joined: &mut Joiners, (client, joins): (PartyIx, &mut Joins)) {
        let older = core::mem::replace(&mut joins.newest, Option32::some(at));
        let place = self.slab.get_mut(at);
        (place.client, place.older) = (client, older);
        if let Some(older) = older.get() {
            self.slab.get_mut(older).newer = Option32::some(at);
        }
        joined.count += 1;
        joins.count += 1;
    }

    /// The first that joined a job.
    pub(crate) fn first(&self, joined: Joiners) -> Option<(u32, PartyIx)> {
        joined.first.get().map(|at| (at, self.slab.get(at).client))
    }

    /// What a client joined last.
    pub(crate) fn newest(&self, joins: Joins) -> Option<(u32, JobIx)> {
        joins.newest.get().map(|at| (at, self.slab.get(at).job))
    }

    /// Ends an attachment of this job and this client.
    pub(crate) fn remove(&mut self, at: u32, joined: &mut Joiners, joins: &mut Joins) {
        self.unlink(at, joined);
        let Attachment { older, newer, .. } = self.slab.remove(at);
        match newer.get() {
            Some(newer) => self.slab.get_mut(newer).older = older,
            None => joins.newest = older,
        }
        if let Some(older) = older.get() {
            self.slab.get_mut(older).newer = newer;
        }
        joined.count -= 1;
        joins.count -= 1;
    }

    /// Takes something out of the list of a job.
    #[inline(always)]
    fn unlink(&mut self, at: u32, joined: &mut Joiners) {
        let &Attachment { earlier, later, .. } = self.slab.get(at);
        match earlier.get() {
            Some(earlier) => self.slab.get_mut(earlier).later = later,
            None => joined.first = later,
        }
        match later.get() {
            Some(later) => self.slab.get_mut(later).earlier = earlier,
            None => joined.last = earlier,
        }
    }

    /// Puts something into the list of a job, behind another or in front of all.
    fn link(&mut self, at: u32, earlier: Option32, joined: &mut Joiners) {
        let later = match earlier.get() {
            Some(earlier) => core::mem::replace(&mut self.slab.get_mut(earlier).later, Option32::some(at)),
            None => core::mem::replace(&mut joined.first, Option32::some(at)),
        };
        match later.get() {
            Some(later) => self.slab.get_mut(later).earlier = Option32::some(at),
            None => joined.last = Option32::some(at),
        }
        let place = self.slab.get_mut(at);
        (place.earlier, place.later) = (earlier, later);
    }

    fn mark(&mut self, job: JobIx, behind: Option32, joined: &mut Joiners) -> u32 {
        let none = Option32::NONE;
        let mark = Attachment { job, client: NOBODY, earlier: none, later: none, older: none, newer: none };
        let at = self.slab.add(mark);
        self.link(at, behind, joined);
        at
    }

    /// A mark in front of all who joined a job.
    pub(crate) fn mark_first(&mut self, job: JobIx, joined: &mut Joiners) -> u32 {
        self.mark(job, Option32::NONE, joined)
    }

    /// A mark behind all who joined a job so far.
    pub(crate) fn mark_last(&mut self, job: JobIx, joined: &mut Joiners) -> u32 {
        self.mark(job, joined.last, joined)
    }

    pub(crate) fn remove_mark(&mut self, at: u32, joined: &mut Joiners) {
        self.unlink(at, joined);
        self.slab.remove(at);
    }

    /// A mark moves behind something of the same job.
    pub(crate) fn go_behind(&mut self, mark: u32, other: u32, joined: &mut Joiners) {
        self.unlink(mark, joined);
        self.link(mark, Option32::some(other), joined);
    }

    /// What stands behind something of the same job: an attachment or a mark.
    pub(crate) fn behind(&self, at: u32) -> Option<u32> {
        self.slab.get(at).later.get()
    }

    /// Of an attachment.
    pub(crate) fn client(&self, at: u32) -> PartyIx {
        self.slab.get(at).client
    }

    /// Who joined a job, in that order.
    pub(crate) fn clients(&self, joined: Joiners) -> impl Iterator<Item = PartyIx> + '_ {
        let mut next = joined.first;
        core::iter::from_fn(move || {
            let attachment = self.slab.get(next.get()?);
            next = attachment.later;
            Some(attachment.client)
        })
        .filter(|&client| client != NOBODY)
    }

    /// What a client joined, the last first.
    pub(crate) fn jobs(&self, joins: Joins) -> impl Iterator<Item = JobIx> + '_ {
        let mut next = joins.newest;
        core::iter::from_fn(move || {
            let attachment = self.slab.get(next.get()?);
            next = attachment.older;
            Some(attachment.job)
        })
    }
}
