//! One job: what it is, where it stands, and the only moves it may make. Tables of jobs are in `jobs.rs`.
use super::attachments::{Attachments, Joiners};
use super::extra::{Carried, CauseOfDeath, Extra};
use super::index::{FunctionIx, HoldsIx, JobIx, PartyIx};
use super::slab::Option32;
use super::standing::{Links, Standing};
use crate::body::Body;
use crate::persist::StoreSeq;
use crate::slot::JobId;
use crate::time::Epoch;
use alloc::boxed::Box;
use ringgear_protocol::Priority;

/// A job. Kept small: a million of them may wait (56 bytes and the body).
#[derive(Debug)]
pub(crate) struct Job {
    /// Function, NUL, unique, NUL, workload.
    pub(crate) body: Body,
    pub(crate) id: JobId,
    /// What few jobs have.
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) function: FunctionIx,
    /// When it was accepted, in milliseconds of the engine's clock; wraps after 49 days. See `calendar.rs`.
    pub(crate) accepted_ms: u32,
    /// The first attached client; the others are in `extra`.
    first_client: Option32,
    standing: Standing,
    pub(crate) unique_len: u8,
    traits: u8,
    /// Lost attempts.
    pub(crate) retries: u8,
}

const PRIORITY: u8 = 0b11;
/// Somebody submitted it in the background: it is done even if nobody listens.
const BACKGROUND: u8 = 1 << 2;
/// Nobody wants it any more; it is discarded when a worker comes across it.
const IGNORED: u8 = 1 << 3;
/// An administrator cancelled it while it ran.
const CANCELLED: u8 = 1 << 4;
/// It is in the index of uniques.
const FILED: u8 = 1 << 5;
/// The store has not answered its put in time: see `storing.rs`.
const LATE: u8 = 1 << 6;
/// When it was accepted is not in `accepted_ms`, but carried along or not known.
const UNDATED: u8 = 1 << 7;

impl Job {
    pub(crate) fn new(
        id: JobId,
        function: FunctionIx,
        priority: Priority,
        background: bool,
        unique_len: u8,
        body: Body,
        accepted_ms: u32,
    ) -> Job {
        Job {
            body,
            id,
            extra: None,
            function,
            accepted_ms,
            first_client: Option32::NONE,
            standing: Standing::New,
            unique_len,
            traits: priority as u8 | if background { BACKGROUND } else { 0 },
            retries: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Makes a move.
    #[inline(always)]
    pub(crate) fn go(&mut self, to: Standing) {
        let legal = self.standing.may_become(to);
        assert!(legal, "job {:?} cannot go from {:?} to {to:?}", self.id, self.standing);
        self.standing = to;
    }

    /// Whether it waits for a worker, and for nothing else but that it may be given out.
    #[inline(always)]
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.standing, Standing::Queued(_) | Standing::Withheld(_))
    }

    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self.standing, Standing::Withheld(_))
    }

    pub(crate) fn is_scheduled(&self) -> bool {
        matches!(self.standing, Standing::Scheduled(_))
    }

    #[inline(always)]
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self.standing, Standing::Abandoned(_))
    }

    #[inline(always)]
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.standing, Standing::Running { .. })
    }

    #[inline(always)]
    pub(crate) fn is_storing(&self) -> bool {
        matches!(self.standing, Standing::Storing(_))
    }

    #[inline(always)]
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.standing, Standing::Dead(_))
    }

    /// Whether it is only the shell of a job.
    #[inline(always)]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over)
    }

    /// Where a running job stands among those that are held.
    #[inline(always)]
    pub(crate) fn hold(&self) -> Option<(HoldsIx, u32)> {
        match self.standing {
            Standing::Running { list, at } => Some((list.get(), at.get())),
            _ => None,
        }
    }

    /// The neighbours of a job that stands in a queue of jobs.
    #[inline(always)]
    pub(crate) fn links(&mut self) -> &mut Links {
        use Standing::*;
        match &mut self.standing {
            Queued(links) | Withheld(links) | Scheduled(links) | Abandoned(links) | Dead(links) => links,
            _ => unreachable!("only what stands in a queue has neighbours"),
        }
    }

    /// The job behind one that stands in a queue of jobs.
    pub(crate) fn next(&self) -> Option<JobIx> {
        use Standing::*;
        match self.standing {
            Queued(links) | Withheld(links) | Scheduled(links) | Abandoned(links) | Dead(links) => {
                links.next().get().map(JobIx)
            }
            _ => None,
        }
    }

    /// The put that submissions of this job wait for.
    pub(crate) fn pending(&self) -> Option<StoreSeq> {
        match self.standing {
            Standing::Storing(seq) => Some(seq.get()),
            _ => self.extra.as_ref().and_then(|extra| extra.pending),
        }
    }

    /// Submissions of this job, which stands somewhere already, wait for a put from now on.
    pub(crate) fn wait_for(&mut self, seq: StoreSeq) {
        self.extra().pending = Some(seq);
    }

    /// No submission waits for a put any more, unless the job is `Storing`: then that ends with the next move.
    pub(crate) fn wait_no_longer(&mut self) {
        if let Some(extra) = self.extra.as_mut() {
            extra.pending = None;
        }
    }

    pub(crate) fn death(&self) -> Option<&CauseOfDeath> {
        self.extra.as_ref().and_then(|extra| extra.death.as_deref())
    }

    /// What it carries along for the store.
    pub(crate) fn carried(&self) -> Option<&Carried> {
        self.extra.as_ref().and_then(|extra| extra.carried.as_deref())
    }

    /// Whether `accepted_ms` says when it was accepted, to the calendar.
    pub(crate) fn is_dated(&self) -> bool {
        !self.has(UNDATED)
    }

    pub(crate) fn set_undated(&mut self) {
        self.put(UNDATED, true);
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.extra.as_ref().and_then(|extra| extra.epoch)
    }

    pub(crate) fn reducer(&self) -> Option<&[u8]> {
        self.extra.as_ref().and_then(|extra| extra.reducer.as_deref())
    }

    pub(crate) fn priority(&self) -> Priority {
        Priority::ALL[usize::from(self.traits & PRIORITY)]
    }

    fn has(&self, bit: u8) -> bool {
        self.traits & bit != 0
    }

    fn put(&mut self, bit: u8, on: bool) {
        self.traits = if on { self.traits | bit } else { self.traits & !bit };
    }

    pub(crate) fn background(&self) -> bool {
        self.has(BACKGROUND)
    }

    /// Somebody joined in the background: the job is wanted whoever leaves.
    pub(crate) fn join_background(&mut self) {
        self.put(BACKGROUND, true);
        self.put(IGNORED, false);
    }

    /// The store could not keep it, so nobody wants it but attached clients.
    pub(crate) fn leave_background(&mut self) {
        self.put(BACKGROUND, false);
        self.note_wanted();
    }

    /// Somebody left: without anybody else it is ignored from now on.
    fn note_wanted(&mut self) {
        if !self.has_clients() && !self.background() {
            self.put(IGNORED, true);
        }
    }

    pub(crate) fn ignored(&self) -> bool {
        self.has(IGNORED)
    }

    /// Whether its put is overdue, and not answered.
    pub(crate) fn late(&self) -> bool {
        self.has(LATE)
    }

    pub(crate) fn set_late(&mut self, on: bool) {
        self.put(LATE, on);
    }

    /// Whether the store may have it: it is a background job, or nobody knows yet what became of its put.
    pub(crate) fn may_be_stored(&self) -> bool {
        self.has(BACKGROUND | LATE)
    }

    /// Whether another server has the stored job that this was.
    pub(crate) fn disowned(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.disowned)
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.has(CANCELLED)
    }

    /// An administrator wants it no more.
    pub(crate) fn cancel(&mut self) {
        self.put(CANCELLED | IGNORED, true);
        self.put(BACKGROUND | LATE, false);
    }

    pub(crate) fn filed(&self) -> bool {
        self.has(FILED)
    }

    pub(crate) fn set_filed(&mut self, on: bool) {
        self.put(FILED, on);
    }

    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn joined(&self) -> Joiners {
        self.extra.as_ref().map_or_else(Joiners::default, |extra| extra.joined)
    }

    /// The attached clients, in the order in which they came; one that attached twice is there twice.
    pub(crate) fn clients<'a>(&self, attachments: &'a Attachments) -> impl Iterator<Item = PartyIx> + 'a {
        self.first_client().into_iter().chain(attachments.clients(self.joined()))
    }

    /// Whether anybody is attached.
    #[inline]
    pub(crate) fn has_clients(&self) -> bool {
        self.first_client != Option32::NONE || self.is_joined()
    }

    /// Whether others are attached than the first.
    #[inline]
    pub(crate) fn is_joined(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.joined.count > 0)
    }

    /// Whether those who joined are still to hear something.
    #[inline]
    pub(crate) fn is_being_told(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.telling.is_some())
    }

    /// Whether others are attached than the first, or there is something that those who were are still to hear.
    #[inline]
    pub(crate) fn is_joined_or_told(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.joined.count > 0 || extra.telling.is_some())
    }

    /// What stays of a job whose clients are still to be told: those who joined, and what they are to hear.
    pub(crate) fn shell(&mut self) -> Job {
        let (id, priority, body) = (self.id, self.priority(), Body::default());
        let mut shell = Job::new(id, FunctionIx::NONE, priority, false, 0, body, 0);
        shell.standing = Standing::Over;
        let (to, from) = (shell.extra(), self.extra());
        (to.joined, to.telling) = (core::mem::take(&mut from.joined), from.telling.take());
        self.note_wanted();
        shell
    }

    /// How many are attached.
    pub(crate) fn count_clients(&self) -> usize {
        self.joined().count as usize + usize::from(self.first_client != Option32::NONE)
    }

    /// The client that attached when nobody else was there, if it still is. The others are in `extra`.
    #[inline]
    pub(crate) fn first_client(&self) -> Option<PartyIx> {
        self.first_client.get().map(PartyIx)
    }

    /// A client wants to hear of the job. False if others are there: then it is to be added to these.
    pub(crate) fn attach(&mut self, client: PartyIx) -> bool {
        self.put(IGNORED, false);
        let alone = self.first_client == Option32::NONE && !self.is_joined_or_told();
        if alone {
            self.first_client = Option32::some(client.0);
        }
        alone
    }

    /// The first client is not attached any more.
    pub(crate) fn detach_first(&mut self) {
        self.first_client = Option32::NONE;
        self.note_wanted();
    }

    /// One of the others is not attached any more. Returns those that are, to be changed.
    pub(crate) fn detach_joined(&mut self, change: impl FnOnce(&mut Joiners)) {
        if let Some(extra) = self.extra.as_mut() {
            change(&mut extra.joined);
        }
        self.note_wanted();
    }

    /// The unique; `function_len` is the length of the function's name.
    pub(crate) fn unique(&self, function_len: usize) -> &[u8] {
        &self.body[function_len + 1..][..usize::from(self.unique_len)]
    }

    pub(crate) fn workload(&self, function_len: usize) -> &[u8] {
        &self.body[function_len + usize::from(self.unique_len) + 2..]
    }

    /// Bytes that a job takes besides itself and its body: its place among the numbers and in the index of uniques, its
    /// first client's entry, what the allocator adds. Measured in `tests/memory.rs`.
    const BESIDE: usize = 48;

    /// Bytes that each client after the first takes.
    pub(crate) const ATTACHMENT: usize = Attachments::BYTES;

    /// What a new job with a body of so many bytes counts against `--max-queued-bytes`.
    pub(crate) fn bytes_of(body: usize) -> u64 {
        (body + size_of::<Job>() + Self::BESIDE) as u64
    }

    /// What the job counts against `--max-queued-bytes`.
    pub(crate) fn bytes(&self) -> u64 {
        Self::bytes_of(self.body.len()) + self.extra.as_ref().map_or(0, |extra| extra.charged)
    }

    /// What few jobs have may have become more or less: counts it anew. Returns the change of [`Job::bytes`].
    #[inline]
    pub(crate) fn charge(&mut self) -> i64 {
        let Some(extra) = self.extra.as_mut() else { return 0 };
        let bytes = extra.bytes() as u64;
        let change = bytes as i64 - extra.charged as i64;
        extra.charged = bytes;
        change
    }

    /// Whether everything is counted.
    pub(crate) fn is_charged(&self) -> bool {
        self.extra.as_ref().is_none_or(|extra| extra.charged == extra.bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::attachments::Joins;
    use super::*;
    use crate::slot::Slot;
    use alloc::vec::Vec;

    #[test]
    fn a_job_stays_small() {
        assert_eq!(size_of::<Job>(), 56);
    }

    #[test]
    fn leaving_clients_leave_it_ignored_only_without_background() {
        let id = JobId::new(1, Slot::of(b"f"));
        let mut job = Job::new(id, FunctionIx(0), Priority::Normal, false, 0, b"f\0\0".to_vec().into(), 0);
        let mut attachments = Attachments::default();
        let mut joins = [Joins::default(); 4];
        let mut join = |job: &mut Job, client: u32| {
            if !job.attach(PartyIx(client)) {
                let joins = (PartyIx(client), &mut joins[client as usize]);
                attachments.add((JobIx(0), &mut job.extra().joined), joins);
            }
        };
        join(&mut job, 1);
        join(&mut job, 2);
        join(&mut job, 1);
        assert_eq!((job.first_client(), job.count_clients()), (Some(PartyIx(1)), 3));
        job.detach_first();
        assert_eq!(job.clients(&attachments).collect::<Vec<_>>(), [PartyIx(2), PartyIx(1)]);
        for client in [1, 2] {
            assert!(!job.ignored());
            let joins = &mut joins[client];
            let (at, _) = attachments.newest(*joins).unwrap();
            job.detach_joined(|joined| attachments.remove(at, joined, joins));
        }
        assert!(job.ignored() && attachments.count() == 0);
        job.join_background();
        assert!(!job.ignored());
        job.attach(PartyIx(3));
        job.detach_first();
        assert!(!job.ignored());
    }

    #[test]
    #[should_panic(expected = "cannot go")]
    fn a_running_job_cannot_run_again() {
        let id = JobId::new(1, Slot::of(b"f"));
        let mut job = Job::new(id, FunctionIx(0), Priority::Normal, false, 0, b"f\0\0".to_vec().into(), 0);
        job.go(Standing::Queued(Links::NONE));
        job.go(Standing::running(HoldsIx(0), 0));
        job.go(Standing::running(HoldsIx(0), 1));
    }
}
