//! Who holds which running job: for each worker and function a list of the jobs that it was given, newest last. A worker that
//! gives up a function loses the whole list at once, however long it is; the jobs are put back one by one (`leave.rs`).
use super::index::{Era, HoldsIx, JobIx, PartyIx};
use super::slab::{Chain, Linked, Slab};

/// The jobs of one function that one worker was given.
#[derive(Clone, Copy, Debug)]
struct List {
    party: PartyIx,
    /// The worker holds the jobs as long as this is its era.
    era: Era,
    chain: Chain,
    /// Whether the worker may not work on the function any more, and only finishes these.
    struck: bool,
}

/// A job that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    job: JobIx,
    /// Since when, in milliseconds of the engine's clock; wraps after 49 days.
    since_ms: u32,
}

/// All running jobs of a shard by who holds them.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    lists: Slab<List>,
    jobs: Slab<Linked<Held>>,
}

impl Holds {
    /// An empty list.
    pub(crate) fn create(&mut self, party: PartyIx, era: Era) -> HoldsIx {
        HoldsIx(self.lists.add(List { party, era, chain: Chain::default(), struck: false }))
    }

    /// Forgets a list, which is empty.
    pub(crate) fn forget(&mut self, list: HoldsIx) {
        let list = self.lists.remove(list.0);
        assert!(list.chain.is_empty(), "a running job is held");
    }

    /// Adds a job, given now; returns its place.
    #[inline(always)]
    pub(crate) fn add(&mut self, list: HoldsIx, job: JobIx, since_ms: u32) -> u32 {
        self.lists.get_mut(list.0).chain.push(&mut self.jobs, Held { job, since_ms })
    }

    /// Since when the job at a place is held, in milliseconds of the engine's clock.
    #[inline(always)]
    pub(crate) fn since_ms(&self, at: u32) -> u32 {
        self.jobs.get(at).thing.since_ms
    }

    /// The job of a list that was given first, and since when it is held.
    pub(crate) fn oldest(&self, list: HoldsIx) -> Option<(JobIx, u32)> {
        let held = self.jobs.get(self.lists.get(list.0).chain.first()?).thing;
        Some((held.job, held.since_ms))
    }

    /// Takes the job at a place out of its list. True if that was the last of a list that has no registration any more.
    #[inline(always)]
    pub(crate) fn remove(&mut self, list: HoldsIx, at: u32) -> bool {
        let list = self.lists.get_mut(list.0);
        list.chain.remove(&mut self.jobs, at);
        list.struck && list.chain.is_empty()
    }

    /// The registration has ended, and whoever was given the jobs finishes them.
    pub(crate) fn strike(&mut self, list: HoldsIx) {
        self.lists.get_mut(list.0).struck = true;
    }

    /// The job at a place stands elsewhere in the table of jobs now.
    pub(crate) fn replace(&mut self, at: u32, job: JobIx) {
        self.jobs.get_mut(at).thing.job = job;
    }

    /// Whoever was given the jobs does not hold them any more.
    pub(crate) fn lose(&mut self, list: HoldsIx) {
        let list = self.lists.get_mut(list.0);
        (list.era, list.struck) = (Era::NONE, false);
    }

    /// Who was given the jobs of a list.
    #[inline(always)]
    pub(crate) fn party(&self, list: HoldsIx) -> PartyIx {
        self.lists.get(list.0).party
    }

    /// Since when these jobs were given to it.
    #[inline(always)]
    pub(crate) fn era(&self, list: HoldsIx) -> Era {
        self.lists.get(list.0).era
    }

    /// The job of a list that was given last.
    pub(crate) fn newest(&self, list: HoldsIx) -> Option<JobIx> {
        self.lists.get(list.0).chain.last().map(|at| self.jobs.get(at).thing.job)
    }

    pub(crate) fn is_empty(&self, list: HoldsIx) -> bool {
        self.lists.get(list.0).chain.is_empty()
    }

    /// Jobs of a list.
    pub(crate) fn count(&self, list: HoldsIx) -> u32 {
        self.lists.get(list.0).chain.len()
    }

    /// Lists and jobs now.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.lists.count(), self.jobs.count())
    }

    /// The jobs of a list, in the order in which they were given.
    pub(crate) fn iter(&self, list: HoldsIx) -> impl Iterator<Item = JobIx> + '_ {
        self.lists.get(list.0).chain.iter(&self.jobs).map(|at| self.jobs.get(at).thing.job)
    }
}
