//! One job: what it is, where it stands, and the only moves it may make. Tables of jobs are in `jobs.rs`.
use super::party::PartyIx;
use crate::body::Body;
use crate::persist::{DeathReason, StoreSeq};
use crate::slot::{JobId, SessionId};
use crate::time::{Epoch, Instant};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::IpAddr;
use ringgear_protocol::Priority;

/// A place in the table of jobs. Reused; a [`JobId`] is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobIx(pub(crate) u32);

/// A place in the table of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FunctionIx(pub(crate) u32);

/// Where a job stands. A job that ends leaves the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// Waits for the store to keep it, outside the queues; it may be joined, but is not yet answered.
    Storing,
    /// Waits for its time, outside the queues.
    Scheduled,
    /// Stands in the queue of its priority.
    Queued,
    /// Is held by a worker.
    Running,
    /// Has run out of attempts; is kept to be looked at and put back. See `dead.rs`.
    Dead,
}

/// A job. Kept small: a million of them may wait (56 bytes and the body).
#[derive(Debug)]
pub(crate) struct Job {
    /// Function, NUL, unique, NUL, workload.
    pub(crate) body: Body,
    pub(crate) id: JobId,
    /// What few jobs have.
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) function: FunctionIx,
    /// While `Queued` or `Dead`: the job behind it in the queue. Kept by `queue.rs`. While `Storing`: half of what it
    /// waits for.
    pub(crate) next: Option32,
    /// While `Queued` or `Dead`: the job before it in the queue. While `Running`: the worker that holds it. While
    /// `Storing`: the other half of what it waits for.
    link: Option32,
    /// When it was accepted, in milliseconds of the engine's clock; wraps after 49 days.
    pub(crate) accepted_ms: u32,
    /// The first attached client; the others are in `extra`.
    first_client: Option32,
    pub(crate) unique_len: u8,
    state: JobState,
    traits: u8,
    /// Lost attempts.
    pub(crate) retries: u8,
}

/// What few jobs have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Attached clients after the first, in the order in which they came.
    pub(crate) more_clients: Vec<PartyIx>,
    /// Not before this time; `Scheduled` jobs have it.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) reducer: Option<Box<[u8]>>,
    /// When the holder has had enough time; also in `timers.rs`.
    pub(crate) deadline: Option<Instant>,
    /// The put that submissions wait for which joined a job that was not stored; see [`Job::pending`].
    pub(crate) pending: Option<StoreSeq>,
    /// Who held it last, if its time limit took it away and nobody has had it since.
    pub(crate) late: Option<SessionId>,
    /// `Dead` jobs have it, and no others.
    pub(crate) death: Option<Box<Death>>,
    /// From the last WORK_STATUS of this attempt.
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
    /// What all this was last charged with. Kept by [`Job::charge`].
    charged: u64,
}

impl Extra {
    /// Bytes that one takes, its timer included.
    const EACH: usize = size_of::<Extra>() + 16 + 40;

    fn bytes(&self) -> usize {
        let reducer = self.reducer.as_ref().map_or(0, |reducer| reducer.len() + 16);
        let death = self.death.as_ref().map_or(0, |death| size_of::<Death>() + 16 + death.worker.len());
        Self::EACH + Job::ATTACHMENT * self.more_clients.len() + reducer + death
    }
}

/// How a job ran out of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    pub(crate) reason: DeathReason,
    pub(crate) at: Epoch,
    /// Of the last worker.
    pub(crate) address: IpAddr,
    /// What the last worker called itself; empty if nothing.
    pub(crate) worker: Bytes,
}

/// `Option<u32>` in four bytes; the largest number is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Option32(u32);

impl Option32 {
    pub(crate) const NONE: Option32 = Option32(u32::MAX);

    pub(crate) fn some(number: u32) -> Option32 {
        assert!(number != u32::MAX);
        Option32(number)
    }

    pub(crate) fn get(self) -> Option<u32> {
        (self.0 != u32::MAX).then_some(self.0)
    }
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
/// The store has not answered its put in time: see `persist.rs`.
const LATE: u8 = 1 << 6;

impl Job {
    pub(crate) fn new(
        id: JobId,
        function: FunctionIx,
        priority: Priority,
        background: bool,
        unique_len: u8,
        body: Body,
        accepted: Instant,
    ) -> Job {
        Job {
            body,
            id,
            extra: None,
            function,
            next: Option32::NONE,
            link: Option32::NONE,
            accepted_ms: (accepted.0 / 1_000_000) as u32,
            first_client: Option32::NONE,
            unique_len,
            state: JobState::Queued,
            traits: priority as u8 | if background { BACKGROUND } else { 0 },
            retries: 0,
        }
    }

    pub(crate) fn state(&self) -> JobState {
        self.state
    }

    /// Makes a move; every other one is a bug of ours. `holder` is the worker that gets the job.
    pub(crate) fn go(&mut self, to: JobState, holder: Option<PartyIx>) {
        use JobState::*;
        let legal = matches!(
            (self.state, to),
            (Queued, Scheduled | Running | Storing)
                | (Scheduled | Running | Dead, Queued)
                | (Storing, Queued | Scheduled | Dead)
                | (Running, Dead)
        );
        assert!(legal, "job {:?} cannot go from {:?} to {to:?}", self.id, self.state);
        assert!(holder.is_some() == (to == Running), "a job has a holder exactly while it runs");
        if self.state == Storing {
            self.next = Option32::NONE;
        }
        self.state = to;
        self.link = holder.map_or(Option32::NONE, |party| Option32::some(party.0));
    }

    pub(crate) fn holder(&self) -> Option<PartyIx> {
        if self.state == JobState::Running { self.link.get().map(PartyIx) } else { None }
    }

    /// The put that submissions of this job wait for.
    pub(crate) fn pending(&self) -> Option<StoreSeq> {
        if self.state == JobState::Storing {
            let halves = (u64::from(self.next.0), u64::from(self.link.0));
            return Some(StoreSeq(halves.0 << 32 | halves.1));
        }
        self.extra.as_ref().and_then(|extra| extra.pending)
    }

    /// Submissions of this job wait for a put from now on. What does so while `Storing` ends with that state.
    pub(crate) fn set_pending(&mut self, seq: Option<StoreSeq>) {
        match seq {
            Some(StoreSeq(seq)) if self.state == JobState::Storing => {
                (self.next, self.link) = (Option32((seq >> 32) as u32), Option32(seq as u32));
            }
            Some(_) => self.extra().pending = seq,
            None => {
                if let Some(extra) = self.extra.as_mut() {
                    extra.pending = None;
                }
            }
        }
    }

    pub(crate) fn death(&self) -> Option<&Death> {
        self.extra.as_ref().and_then(|extra| extra.death.as_deref())
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.extra.as_ref().and_then(|extra| extra.epoch)
    }

    pub(crate) fn reducer(&self) -> Option<&[u8]> {
        self.extra.as_ref().and_then(|extra| extra.reducer.as_deref())
    }

    /// Whether it stands in a queue of jobs.
    fn listed(&self) -> bool {
        matches!(self.state, JobState::Queued | JobState::Dead)
    }

    /// The job before this one in their queue.
    pub(crate) fn previous(&self) -> Option32 {
        assert!(self.listed());
        self.link
    }

    pub(crate) fn set_previous(&mut self, previous: Option32) {
        assert!(self.listed());
        self.link = previous;
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
        if self.first_client == Option32::NONE {
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

    /// The attached clients, in the order in which they came; one that attached twice is there twice.
    pub(crate) fn clients(&self) -> impl Iterator<Item = PartyIx> + '_ {
        let more = self.extra.as_ref().map_or(&[][..], |extra| &extra.more_clients[..]);
        self.first_client.get().map(PartyIx).into_iter().chain(more.iter().copied())
    }

    /// How many are attached.
    pub(crate) fn count_clients(&self) -> usize {
        let more = self.extra.as_ref().map_or(0, |extra| extra.more_clients.len());
        more + usize::from(self.first_client != Option32::NONE)
    }

    /// A client wants to hear of the job.
    pub(crate) fn attach(&mut self, client: PartyIx) {
        self.put(IGNORED, false);
        if self.first_client == Option32::NONE {
            self.first_client = Option32::some(client.0);
        } else {
            self.extra().more_clients.push(client);
        }
    }

    /// A client left; all its attachments end. If nobody else wants the job, it is ignored from now on.
    pub(crate) fn detach(&mut self, client: PartyIx) {
        let mut rest: Vec<PartyIx> = self.clients().filter(|&other| other != client).collect();
        self.first_client = Option32::NONE;
        if !rest.is_empty() {
            self.first_client = Option32::some(rest.remove(0).0);
        }
        if let Some(extra) = self.extra.as_mut() {
            extra.more_clients = rest;
        }
        if self.first_client == Option32::NONE && !self.background() {
            self.put(IGNORED, true);
        }
    }

    /// Nobody is attached from now on.
    pub(crate) fn detach_all(&mut self) {
        self.first_client = Option32::NONE;
        if let Some(extra) = self.extra.as_mut() {
            extra.more_clients = Vec::new();
        }
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

    /// Bytes that each client after the first takes: an entry here, and one among what the client waits for.
    pub(crate) const ATTACHMENT: usize = 24;

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
    use super::*;
    use crate::slot::Slot;

    #[test]
    fn a_job_stays_small() {
        assert_eq!(size_of::<Job>(), 56);
    }

    #[test]
    fn leaving_clients_leave_it_ignored_only_without_background() {
        let id = JobId::new(1, Slot::of(b"f"));
        let mut job =
            Job::new(id, FunctionIx(0), Priority::Normal, false, 0, b"f\0\0".to_vec().into(), Instant(0));
        job.attach(PartyIx(1));
        job.attach(PartyIx(2));
        job.attach(PartyIx(1));
        job.detach(PartyIx(1));
        assert_eq!(job.clients().collect::<Vec<_>>(), [PartyIx(2)]);
        assert!(!job.ignored());
        job.detach(PartyIx(2));
        assert!(job.ignored());
        job.join_background();
        assert!(!job.ignored());
        job.attach(PartyIx(3));
        job.detach(PartyIx(3));
        assert!(!job.ignored());
    }

    #[test]
    #[should_panic(expected = "cannot go")]
    fn a_running_job_cannot_run_again() {
        let id = JobId::new(1, Slot::of(b"f"));
        let mut job =
            Job::new(id, FunctionIx(0), Priority::Normal, false, 0, b"f\0\0".to_vec().into(), Instant(0));
        job.go(JobState::Running, Some(PartyIx(1)));
        job.go(JobState::Running, Some(PartyIx(2)));
    }
}
