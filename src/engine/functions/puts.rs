//! What the store was asked to keep and has not answered, and who waits for that. What follows from an answer, and from
//! none in time, is in `storing.rs`.
use crate::message::Place;
use crate::persist::StoreSeq;
use crate::slot::{JobId, SessionId};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// With room for so many puts and none to wait for, the room is given back.
const ROOM_KEPT: usize = 1024;
/// A submission that is answered when the store has answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) from: SessionId,
    pub(super) place: Place,
    pub(super) background: bool,
    /// It came before the put was asked for, which therefore speaks of a later time.
    pub(super) before: bool,
    /// For how long, if it is one in the background.
    pub(super) until: Instant,
}

/// A put that submissions wait for.
#[derive(Debug)]
pub(super) struct AwaitedPut {
    pub(super) seq: StoreSeq,
    pub(super) id: JobId,
    /// When it is overdue.
    pub(super) until: Instant,
    /// The submission that it was asked for, as long as it waits.
    pub(super) first: Option<Waiting>,
    /// Those that joined meanwhile.
    pub(super) more: Vec<Waiting>,
}

impl AwaitedPut {
    pub(super) fn waiting(self) -> impl Iterator<Item = Waiting> {
        self.first.into_iter().chain(self.more)
    }

    /// Takes out who waits no longer: foreground submissions, and those in the background whose time is over.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<Waiting> {
        let over = |waiting: &Waiting| !waiting.background || waiting.until <= now;
        let mut told: Vec<Waiting> = self.first.take_if(|waiting| over(waiting)).into_iter().collect();
        told.extend(self.more.extract_if(.., |waiting| over(waiting)));
        told
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.first.is_some() || !self.more.is_empty()
    }
}

/// Puts. Those that nobody ever waited for (a job died, or was put back) are not remembered. What is remembered is bounded
/// by the requests in flight and by the bytes that may wait for the store.
#[derive(Debug, Default)]
pub(crate) struct Puts {
    pub(super) last: StoreSeq,
    /// In order.
    pub(super) asked: VecDeque<AwaitedPut>,
    /// How many of them are overdue: the first ones.
    pub(super) overdue: usize,
    /// When those who joined have waited long enough, and for what. In order, since all wait equally long.
    pub(super) joined: VecDeque<(Instant, StoreSeq)>,
    /// There is no room for more, as the shell has told.
    pub(super) full: bool,
    /// What is stored is not known yet, as the shell has told.
    pub(super) away: bool,
}

impl Puts {
    pub(super) fn find(&mut self, seq: StoreSeq) -> Option<&mut AwaitedPut> {
        let at = self.asked.binary_search_by_key(&seq, |asked| asked.seq).ok()?;
        self.asked.get_mut(at)
    }

    /// The next put up to this one, if somebody waits for it.
    pub(super) fn answered(&mut self, upto: StoreSeq) -> Option<AwaitedPut> {
        assert!(upto <= self.last, "the store answers what it was asked");
        if self.asked.front().is_none_or(|asked| asked.seq > upto) {
            if self.asked.is_empty() && self.asked.capacity() > ROOM_KEPT {
                self.asked = VecDeque::new();
            }
            let first = self.asked.front().map(|asked| asked.seq);
            while self.joined.front().is_some_and(|&(_, seq)| first.is_none_or(|first| seq < first)) {
                self.joined.pop_front();
            }
            return None;
        }
        self.overdue = self.overdue.saturating_sub(1);
        self.asked.pop_front()
    }

    /// Whether somebody may wait for an answer who can wait too long.
    #[inline(always)]
    pub(super) fn any_asked(&self) -> bool {
        !(self.asked.is_empty() && self.joined.is_empty())
    }

    /// When somebody has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let first = self.asked.get(self.overdue).map(|asked| asked.until);
        let joined = self.joined.front().map(|&(until, _)| until);
        first.into_iter().chain(joined).min()
    }

    /// The next put from this one on that somebody ever waited for, and its job.
    pub(super) fn next_asked(&self, from: StoreSeq) -> Option<(StoreSeq, JobId)> {
        let at = self.asked.partition_point(|asked| asked.seq < from);
        self.asked.get(at).map(|asked| (asked.seq, asked.id))
    }

    /// The next put that somebody has waited for long enough.
    pub(super) fn next_overdue(&mut self, now: Instant) -> Option<StoreSeq> {
        if let Some(asked) = self.asked.get(self.overdue).filter(|asked| asked.until <= now) {
            self.overdue += 1;
            return Some(asked.seq);
        }
        self.joined.pop_front_if(|(until, _)| *until <= now).map(|(_, seq)| seq)
    }
}
