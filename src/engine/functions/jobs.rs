//! The table of jobs: places for them in segments that never move, and the way from a job's number to its place.
use super::index::JobIx;
use super::job::Job;
use crate::slot::JobId;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;
use hashbrown::HashMap;

/// Jobs in a segment.
const SEGMENT: u32 = 256;
/// Sequences in a page.
const PAGE: u64 = 64;

#[derive(Debug)]
enum JobPlace {
    Free { next: u32 },
    Used(Job),
}

/// A block of places. It is given back when its last job ends.
#[derive(Debug)]
struct JobSegment {
    places: Vec<JobPlace>,
    /// The first free place, or [`SEGMENT`] if none.
    free: u32,
    used: u32,
}

/// Where the jobs of 64 successive sequences stand; given back when the last of them ends and there is a newer one.
#[derive(Debug)]
struct Page {
    /// Apart from `used`, so that it fills a size class of the allocator.
    at: Box<[u32; PAGE as usize]>,
    used: u32,
}

/// A page's entry for a sequence that is not in the table.
const ABSENT: u32 = u32::MAX;
/// No page has this number.
const NO_PAGE: u64 = u64::MAX;

/// All jobs of a shard.
#[derive(Debug)]
pub(crate) struct Jobs {
    segments: Vec<Option<Box<JobSegment>>>,
    /// Segments with a free place; the first is filled first, so that the last ones empty.
    open: BTreeSet<u32>,
    /// Numbers of segments that were given back.
    vacant: BTreeSet<u32>,
    pages: HashMap<u64, Page, foldhash::fast::FixedState>,
    /// The number of the page that was made last. It stays though it may be empty, so that jobs that end before the next
    /// one comes do not make a page each. [`NO_PAGE`] if there has been none.
    newest: u64,
    /// The numbers of the pages, for lists.
    order: BTreeSet<u64>,
    /// Jobs whose sequence another job has: restored ones, of a server that had another number of shards.
    doubles: BTreeMap<JobId, JobIx>,
    count: u64,
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs {
            segments: Vec::new(),
            open: BTreeSet::new(),
            vacant: BTreeSet::new(),
            pages: HashMap::default(),
            newest: NO_PAGE,
            order: BTreeSet::new(),
            doubles: BTreeMap::new(),
            count: 0,
        }
    }
}

impl Jobs {
    /// Jobs now.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a job whose number is not in the table.
    #[inline(always)]
    pub(crate) fn insert(&mut self, job: Job) -> JobIx {
        let id = job.id;
        let sequence = id.sequence();
        let number = match self.open.first() {
            Some(&number) => number,
            None => self.add_segment(),
        };
        let segment = self.segments[number as usize].as_mut().expect("open segments exist");
        let at = segment.free;
        let JobPlace::Free { next } = segment.places[at as usize] else {
            unreachable!("the free list leads to free places")
        };
        segment.places[at as usize] = JobPlace::Used(job);
        segment.free = next;
        segment.used += 1;
        if next == SEGMENT {
            self.open.remove(&number);
        }
        let ix = number * SEGMENT + at;
        if sequence / PAGE != self.newest {
            self.open_page(sequence / PAGE);
        }
        let page = self.pages.get_mut(&(sequence / PAGE)).expect("an opened page exists");
        let entry = &mut page.at[(sequence % PAGE) as usize];
        self.count += 1;
        if *entry == ABSENT {
            *entry = ix;
            page.used += 1;
        } else {
            let first = JobIx(*entry);
            self.add_double(id, JobIx(ix), first);
        }
        JobIx(ix)
    }

    /// Makes a page, if there is none with this number.
    #[inline(never)]
    fn open_page(&mut self, number: u64) {
        if self.pages.contains_key(&number) {
            return;
        }
        let page = Page { at: Box::new([ABSENT; PAGE as usize]), used: 0 };
        self.pages.insert(number, page);
        self.order.insert(number);
        let last = core::mem::replace(&mut self.newest, number);
        self.close_page(last);
    }

    /// Gives a page back if it is empty and need not stay.
    #[inline(never)]
    fn close_page(&mut self, number: u64) {
        if number == self.newest || self.pages.get(&number).is_none_or(|page| page.used > 0) {
            return;
        }
        self.pages.remove(&number);
        self.order.remove(&number);
        if self.pages.len() < self.pages.capacity() / 8 {
            self.pages.shrink_to(self.pages.len() * 2);
        }
    }

    /// The sequence of a job is that of another one.
    #[cold]
    fn add_double(&mut self, id: JobId, ix: JobIx, first: JobIx) {
        let other = self.doubles.insert(id, ix);
        assert!(other.is_none() && self.get(first).id != id, "a number is given once");
    }

    fn add_segment(&mut self) -> u32 {
        let places = (1..=SEGMENT).map(|next| JobPlace::Free { next }).collect();
        let segment = Some(Box::new(JobSegment { places, free: 0, used: 0 }));
        let number = match self.vacant.pop_first() {
            Some(number) => {
                self.segments[number as usize] = segment;
                number
            }
            None => {
                self.segments.push(segment);
                self.segments.len() as u32 - 1
            }
        };
        self.open.insert(number);
        number
    }

    /// Where a job stands, if it has not ended.
    pub(crate) fn find(&self, id: JobId) -> Option<JobIx> {
        let sequence = id.sequence();
        if let Some(page) = self.pages.get(&(sequence / PAGE)) {
            let ix = page.at[(sequence % PAGE) as usize];
            if ix != ABSENT && self.get(JobIx(ix)).id == id {
                return Some(JobIx(ix));
            }
        }
        if self.doubles.is_empty() { None } else { self.find_double(id) }
    }

    #[cold]
    fn remove_double(&mut self, id: JobId) -> bool {
        self.doubles.remove(&id).is_some()
    }

    #[cold]
    fn find_double(&self, id: JobId) -> Option<JobIx> {
        self.doubles.get(&id).copied()
    }

    /// The job at a place that is known to be used.
    pub(crate) fn get(&self, ix: JobIx) -> &Job {
        match self.segments[(ix.0 / SEGMENT) as usize].as_ref().map(|s| &s.places[(ix.0 % SEGMENT) as usize])
        {
            Some(JobPlace::Used(job)) => job,
            _ => panic!("no job at {ix:?}"),
        }
    }

    /// The job at a place that is known to be used.
    pub(crate) fn get_mut(&mut self, ix: JobIx) -> &mut Job {
        let segment = self.segments[(ix.0 / SEGMENT) as usize].as_mut();
        match segment.map(|s| &mut s.places[(ix.0 % SEGMENT) as usize]) {
            Some(JobPlace::Used(job)) => job,
            _ => panic!("no job at {ix:?}"),
        }
    }

    /// Takes a job out of the table, and leaves a shell in its place: found by no number, and not counted.
    #[cold]
    pub(crate) fn replace(&mut self, ix: JobIx, shell: Job) -> Job {
        let job = core::mem::replace(self.get_mut(ix), shell);
        self.forget_number(job.id);
        job
    }

    /// Takes a job out of the table.
    pub(crate) fn remove(&mut self, ix: JobIx) -> Job {
        let job = self.vacate(ix);
        self.forget_number(job.id);
        job
    }

    /// Takes out what stands at a place but is found by no number.
    #[cold]
    pub(crate) fn remove_shell(&mut self, ix: JobIx) -> Job {
        self.vacate(ix)
    }

    #[inline(always)]
    fn vacate(&mut self, ix: JobIx) -> Job {
        let (number, at) = (ix.0 / SEGMENT, ix.0 % SEGMENT);
        let segment = self.segments[number as usize].as_mut().expect("a job's segment exists");
        let free = JobPlace::Free { next: segment.free };
        let JobPlace::Used(job) = core::mem::replace(&mut segment.places[at as usize], free) else {
            panic!("no job at {ix:?}")
        };
        if segment.free == SEGMENT {
            self.open.insert(number);
        }
        segment.free = at;
        segment.used -= 1;
        // One empty segment is kept, so that a queue that hovers around zero does not allocate.
        if segment.used == 0 && self.open.len() > 1 {
            self.segments[number as usize] = None;
            self.open.remove(&number);
            self.vacant.insert(number);
        }
        job
    }

    #[inline(always)]
    fn forget_number(&mut self, id: JobId) {
        if self.doubles.is_empty() || !self.remove_double(id) {
            self.forget_sequence(id.sequence());
        }
        self.count -= 1;
    }

    fn forget_sequence(&mut self, sequence: u64) {
        let page = self.pages.get_mut(&(sequence / PAGE)).expect("a job's page exists");
        page.at[(sequence % PAGE) as usize] = ABSENT;
        page.used -= 1;
        if page.used == 0 && sequence / PAGE != self.newest {
            self.close_page(sequence / PAGE);
        }
    }

    /// Jobs by number, behind one.
    pub(crate) fn in_order(&self, after: Option<JobId>) -> impl Iterator<Item = (JobIx, &Job)> {
        let (page, doubles) = match after {
            Some(id) => (id.sequence() / PAGE, (Bound::Excluded(id), Bound::Unbounded)),
            None => (0, (Bound::Unbounded, Bound::Unbounded)),
        };
        let pages = self.order.range(page..).filter_map(|number| self.pages.get(number));
        let places = pages.flat_map(|page| page.at.iter()).filter(|&&ix| ix != ABSENT);
        let jobs = places.map(|&ix| (JobIx(ix), self.get(JobIx(ix))));
        let mut jobs = jobs.skip_while(move |(_, job)| Some(job.id) <= after).peekable();
        let mut doubles = self.doubles.range(doubles).map(|(_, &ix)| (ix, self.get(ix))).peekable();
        core::iter::from_fn(move || {
            let double_first = match (jobs.peek(), doubles.peek()) {
                (Some((_, job)), Some((_, double))) => double.id < job.id,
                (job, _) => job.is_none(),
            };
            if double_first { doubles.next() } else { jobs.next() }
        })
    }

    /// What stands at a place, if it is a job, and the next place; `None` behind the last.
    pub(crate) fn look_at(&self, place: u32) -> Option<(Option<JobIx>, u32)> {
        let (number, at) = (place / SEGMENT, place % SEGMENT);
        let Some(segment) = self.segments.get(number as usize)? else {
            return Some((None, (number + 1) * SEGMENT));
        };
        let is_job = |place: &JobPlace| matches!(place, JobPlace::Used(job) if !job.is_over());
        let job = segment.places.get(at as usize).filter(|&place| is_job(place));
        Some((job.map(|_| JobIx(place)), place + 1))
    }

    /// Every job and every shell, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobIx, &Job)> {
        self.segments.iter().enumerate().flat_map(|(number, segment)| {
            let places = segment.as_ref().map_or(&[][..], |s| &s.places[..]);
            places.iter().enumerate().filter_map(move |(at, place)| match place {
                JobPlace::Used(job) => Some((JobIx(number as u32 * SEGMENT + at as u32), job)),
                JobPlace::Free { .. } => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::FunctionIx;
    use super::*;
    use crate::slot::Slot;
    use ringgear_protocol::Priority;

    fn job(sequence: u64) -> Job {
        let id = JobId::new(sequence, Slot::of(b"f"));
        Job::new(id, FunctionIx(0), Priority::Normal, true, 0, b"f\0\0".to_vec().into(), 0)
    }

    /// Shards count apart, so two jobs of a server with two shards may have one sequence; then there is one shard.
    #[test]
    fn two_jobs_may_have_one_sequence() {
        let mut jobs = Jobs::default();
        let ids = [&b"f"[..], b"g", b"h"].map(|function| JobId::new(7, Slot::of(function)));
        let places = ids.map(|id| {
            let mut job = job(7);
            job.id = id;
            jobs.insert(job)
        });
        assert_eq!(ids.map(|id| jobs.find(id)), places.map(Some));
        jobs.remove(places[0]);
        jobs.remove(places[2]);
        assert_eq!(ids.map(|id| jobs.find(id)), [None, Some(places[1]), None]);
        jobs.remove(places[1]);
        assert_eq!(jobs.count(), 0);
        assert!(jobs.pages.len() == 1 && jobs.doubles.is_empty());
    }

    #[test]
    fn jobs_are_found_and_their_room_is_given_back() {
        let mut jobs = Jobs::default();
        let places: Vec<JobIx> = (1..=5000).map(|sequence| jobs.insert(job(sequence))).collect();
        assert_eq!(jobs.count(), 5000);
        for (at, &ix) in places.iter().enumerate() {
            assert_eq!(jobs.find(JobId::new(at as u64 + 1, Slot::of(b"f"))), Some(ix));
        }
        assert_eq!(jobs.find(JobId::new(5001, Slot::of(b"f"))), None);
        assert_eq!(jobs.find(JobId::new(1, Slot::of(b"other"))), None);
        for &ix in &places {
            jobs.remove(ix);
        }
        assert_eq!(jobs.count(), 0);
        assert_eq!(jobs.pages.keys().collect::<Vec<_>>(), [&(5000 / PAGE)]);
        assert_eq!(jobs.order.len(), 1);
        assert_eq!(jobs.segments.iter().flatten().count(), 1);
        let again = jobs.insert(job(6000));
        assert_eq!(jobs.iter().map(|(ix, _)| ix).collect::<Vec<_>>(), [again]);
        assert_eq!(jobs.pages.keys().collect::<Vec<_>>(), [&(6000 / PAGE)]);
    }
}
