//! What the auditor knows of a job, by what peers said and heard. Several fates may be possible at a time: what is
//! sent takes effect somewhere between being handed in and being answered, or the next time that all is quiet.
use crate::act::Function;
use bytes::Bytes;
use ringgear_engine::{Instant, JobId, SessionId, Work};
use ringgear_protocol::Priority;
use std::collections::BTreeMap;

/// Counts what happens at the edges; a later event has a larger one.
pub(crate) type Moment = u64;

/// A moment, and the time at which it came.
pub(crate) type Stamp = (Moment, Instant);

/// A position in the auditor's list of submissions.
pub(crate) type SubId = usize;

/// What other submissions would join by. Within one function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Unique(Bytes),
    /// Of a submission with the unique `-`.
    Workload(Bytes),
}

impl Key {
    pub(crate) fn of(unique: &Bytes, workload: &Bytes) -> Option<Key> {
        match (&unique[..], &workload[..]) {
            (b"", _) | (b"-", b"") => None,
            (b"-", _) => Some(Key::Workload(workload.clone())),
            _ => Some(Key::Unique(unique.clone())),
        }
    }
}

/// Something that may not be known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Open<T> {
    Unknown,
    Known(T),
}

/// Ways for a job to end.
pub(crate) const FINAL: u8 = 1;
pub(crate) const CANCELLED: u8 = 2;
pub(crate) const OUT_OF_ATTEMPTS: u8 = 4;
pub(crate) const ABANDONED: u8 = 8;
/// Its function was dropped.
pub(crate) const DROPPED: u8 = 16;

/// A stay in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// It did not begin earlier.
    pub(crate) lo: Moment,
    /// It has begun by the first quiet moment after this one, if `hi` does not say it better.
    pub(crate) from: Moment,
    pub(crate) hi: Option<Stamp>,
    /// It may be older than `from`: somebody who is gone may have taken the job and given it back, or not.
    pub(crate) fuzzy: bool,
}

/// A worker that has the job.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) worker: SessionId,
    /// When it had been assigned, at the latest.
    pub(crate) got: Moment,
    /// The attempt, a position in [`Job::runs`].
    pub(crate) run: usize,
    /// When its time is up at the earliest and at the latest, if there is a limit.
    pub(crate) limit: Option<(Instant, Instant)>,
}

/// News that the holder sent.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) at: Moment,
    pub(crate) work: Work,
    /// Whether the job server took it; `None` while that is open.
    pub(crate) taken: Option<bool>,
    /// When that was known.
    pub(crate) settled: Moment,
    /// The time of its sender was up, and another had the job for sure: whether it was taken or not, it changes nothing, and nobody hears it.
    pub(crate) vain: bool,
}

/// One attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) updates: Vec<Update>,
}

/// What one client hears of the job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// When each of its submissions was answered JOB_CREATED.
    pub(crate) attached: Vec<Moment>,
    /// How often it has heard each update, by attempt and number.
    pub(crate) heard: BTreeMap<(usize, usize), usize>,
    pub(crate) finals: usize,
    /// The connection lives.
    pub(crate) open: bool,
}

/// A grab got something else, or nothing, while this job stood ready. It is excused only if another grab that was
/// under way turns out to have had the job.
#[derive(Clone, Debug)]
pub(crate) struct PassedOver {
    pub(crate) at: Moment,
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

/// When an epoch job may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once.
    Always,
    /// Not before this time in milliseconds, and known to be due since then.
    At(u64, Option<Stamp>),
    /// Which of several submissions made the job is open.
    Unknown,
}

/// A job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) function: Function,
    pub(crate) unique: Bytes,
    /// Open if only `show jobs` told of it, which prints `-` whatever the workload.
    pub(crate) key: Open<Option<Key>>,
    /// The submissions that may have made it; the others joined.
    pub(crate) candidates: Vec<SubId>,
    pub(crate) priority: Option<Priority>,
    pub(crate) due: Due,
    /// When it was first heard of.
    pub(crate) known: Moment,
    pub(crate) known_at: Instant,
    /// Some background submission of it was answered JOB_CREATED, or may have been accepted and never answered.
    pub(crate) background: bool,
    pub(crate) background_maybe: bool,
    /// The possible fates.
    pub(crate) waiting: Option<Entry>,
    pub(crate) held: Option<Hold>,
    /// Ways in which it may have ended.
    pub(crate) ends: u8,
    /// When it was known that no other fate is left.
    pub(crate) gone: Option<Moment>,
    /// When it was last known to be wanted after it may have been abandoned.
    pub(crate) wanted_again: Option<Stamp>,
    /// The hold that a result ended that may yet be refused.
    pub(crate) ending: Option<Hold>,
    /// The hold of a session that left or gave up the function: its time may still be up first.
    pub(crate) leaving: Option<Hold>,
    /// Lost attempts, at least and at most.
    pub(crate) lost: (u32, u32),
    pub(crate) runs: Vec<Run>,
    pub(crate) streams: BTreeMap<SessionId, Stream>,
    /// Cancel orders: the first one handed in; whether that was while the job waited for sure and nobody grabbed;
    /// whether one was answered OK.
    pub(crate) cancel_sent: Option<Moment>,
    pub(crate) cancel_plain: bool,
    pub(crate) cancel_done: bool,
    /// It ended with the note that its attempts are used up.
    pub(crate) noted: bool,
    /// It must be among the dead jobs; it may be.
    pub(crate) dead_surely: bool,
    pub(crate) dead_maybe: bool,
    /// Another job with its unique may be there: it came back when that was possible.
    pub(crate) twin: bool,
    pub(crate) passed_over: Option<PassedOver>,
    /// Sessions that had it with a time limit, each with its last attempt: what they say late may be taken.
    pub(crate) limited: BTreeMap<SessionId, usize>,
    /// An update was sent since all was last quiet.
    pub(crate) fresh: bool,
}

impl Job {
    /// Nobody can have it and it cannot have ended: it stands in its queue.
    pub(crate) fn only_waits(&self) -> Option<&Entry> {
        self.waiting.as_ref().filter(|_| self.held.is_none() && self.ends == 0)
    }

    /// The holder, if it cannot be otherwise.
    pub(crate) fn only_held(&self) -> Option<&Hold> {
        self.held.as_ref().filter(|_| self.waiting.is_none() && self.ends == 0)
    }

    /// It cannot have ended.
    pub(crate) fn surely_alive(&self) -> bool {
        self.ends == 0
    }

    pub(crate) fn surely_gone(&self) -> bool {
        self.waiting.is_none() && self.held.is_none()
    }

    /// It has ended, one way or another.
    pub(crate) fn end(&mut self, now: Moment) {
        (self.waiting, self.held) = (None, None);
        self.gone.get_or_insert(now);
    }

    /// Somebody who is there wants it for sure.
    pub(crate) fn surely_wanted(&self) -> bool {
        self.background || self.streams.values().any(|stream| stream.open && !stream.attached.is_empty())
    }

    /// The priority is such that this job goes before another of the same function, whatever their age.
    pub(crate) fn outranks(&self, other: &Job) -> bool {
        matches!((self.priority, other.priority), (Some(own), Some(others)) if own < others)
    }

    pub(crate) fn same_priority(&self, other: &Job) -> bool {
        self.priority.is_some() && self.priority == other.priority
    }

    /// The last status of this attempt since a moment; `None` if it is open.
    pub(crate) fn numbers(&self, run: usize, since: Moment) -> Option<(u32, u32)> {
        let updates = &self.runs[run].updates;
        if updates.iter().any(|update| update.taken != Some(true) || update.settled > since) {
            return None;
        }
        let last = updates.iter().rev().find_map(|update| match &update.work {
            Work::Status(text) => Some(text),
            _ => None,
        });
        Some(last.map_or((0, 0), |text| read_numbers(text)))
    }
}

/// The numbers of a WORK_STATUS, which the workload writes as plain decimals.
fn read_numbers(text: &[u8]) -> (u32, u32) {
    let text = std::str::from_utf8(text).expect("digits");
    let (numerator, denominator) = text.split_once('\0').expect("two numbers");
    (numerator.parse().expect("a number"), denominator.parse().expect("a number"))
}
