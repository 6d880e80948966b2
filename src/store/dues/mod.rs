//! What a store is still to be told, in one place for all stores: ends of jobs that found no room are owed and tried again,
//! and lost attempts ride along with what is committed next, since they are not worth a commit that
//! anybody waits for. If nothing is committed for a second, they are written alone; a crash forgets what still waited.
use super::record::{self, RecordKind};
use super::{Committed, Progress, Repaired, ServerLoad, ServerShown, ServerStanding, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Ends of jobs that are tried together.
const PIECE: usize = 1024;
/// Between two tries, and how long lost attempts wait for something that is committed anyway.
const PAUSE: Duration = Duration::from_secs(1);

/// A store, and what it is still to be told.
pub(crate) struct Dues {
    store: Box<dyn Store>,
    /// Jobs that have ended, and of which the store has something.
    owed: BTreeSet<JobId>,
    /// Not to be tried before.
    next_try: Option<Instant>,
    /// Lost attempts, by job: at most one for each job that is kept.
    attempts: BTreeMap<JobId, u8>,
    attempts_since: Option<Instant>,
}

impl Dues {
    /// Of this store, which is owed nothing yet.
    pub(crate) fn of(store: Box<dyn Store>) -> Dues {
        Dues { store, owed: BTreeSet::new(), next_try: None, attempts: BTreeMap::new(), attempts_since: None }
    }

    /// Writes ends of jobs that are owed, so many at the most.
    fn pay(&mut self, most: usize) -> Result<(), StoreError> {
        let piece: Vec<JobId> = self.owed.iter().copied().take(most).collect();
        let mut records = Vec::with_capacity(piece.len() * record::DONE);
        piece.iter().for_each(|&id| record::done(id, &mut records));
        match self.store.commit(&[&records]).dones {
            Ok(()) => piece.iter().for_each(|id| _ = self.owed.remove(id)),
            Err(error) => {
                self.put_off(&error);
                return Err(error);
            }
        }
        self.next_try = None;
        Ok(())
    }

    /// Something was not written: it is tried later, unless nothing is written any more.
    fn put_off(&mut self, error: &StoreError) {
        self.next_try = Some(Instant::now() + PAUSE);
        if matches!(error, StoreError::Sealed) {
            self.owed.clear();
            self.forget_attempts();
        }
    }

    fn pay_all(&mut self) -> Result<(), StoreError> {
        let mut paid = if self.attempts.is_empty() { Ok(()) } else { self.write_attempts() };
        while paid.is_ok() && !self.owed.is_empty() {
            paid = self.pay(PIECE);
        }
        paid
    }

    fn is_due(&self) -> bool {
        !self.owed.is_empty() && self.next_try.is_none_or(|time| time <= Instant::now())
    }

    fn forget_attempts(&mut self) {
        self.attempts.clear();
        self.attempts_since = None;
    }

    /// Takes lost attempts in; true if there is nothing else.
    fn only_attempts(&mut self, slices: &[&[u8]]) -> bool {
        if record::spans(slices).any(|span| span.head.kind != RecordKind::Attempts) {
            return false;
        }
        for span in record::spans(slices) {
            if let Ok(record::Record::Attempts(id, lost)) = span.read(slices) {
                self.attempts.insert(id, lost);
            }
        }
        if !self.attempts.is_empty() {
            self.attempts_since.get_or_insert_with(Instant::now);
        }
        true
    }

    /// What is put again is not owed an end any more, and whatever is known of a job now is newer than what waited.
    fn forget_what_is_newer(&mut self, slices: &[&[u8]]) {
        if self.owed.is_empty() && self.attempts.is_empty() {
            return;
        }
        for head in record::spans(slices).map(|span| span.head) {
            let Some(id) = JobId::from_number(head.id) else { continue };
            self.attempts.remove(&id);
            if head.kind == RecordKind::Put {
                self.owed.remove(&id);
            }
        }
    }

    fn attempts_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        self.attempts.iter().for_each(|(&id, &lost)| record::attempts(id, lost, &mut records));
        records
    }

    /// Writes lost attempts alone: nothing was committed for so long.
    fn write_attempts(&mut self) -> Result<(), StoreError> {
        let written = self.store.commit(&[&self.attempts_records()]).dones;
        // They are not worth a second try.
        self.forget_attempts();
        written
    }
}

impl Store for Dues {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        self.store.replay_telling(each, progress)
    }

    /// What is owed goes first: it makes room.
    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        if self.only_attempts(slices) {
            return Committed::all();
        }
        self.forget_what_is_newer(slices);
        while self.is_due() {
            // Whoever looks at the outcome hears of it if it concerns what is committed.
            let _ = self.pay(PIECE);
        }
        let waited = self.attempts_records();
        let all: Vec<&[u8]> = [&waited[..]].into_iter().chain(slices.iter().copied()).collect();
        let committed = self.store.commit(&all);
        if committed.puts.is_ok() && committed.dones.is_ok() {
            self.forget_attempts();
        }
        if let Err(error) = &committed.dones {
            let dones =
                record::spans(slices).map(|span| span.head).filter(|head| head.kind == RecordKind::Done);
            self.owed.extend(dones.filter_map(|head| JobId::from_number(head.id)));
            self.put_off(error);
        }
        committed
    }

    fn alone(&self) -> usize {
        self.store.alone()
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        let more = self.store.maintain()?;
        if self.attempts_since.is_some_and(|since| since.elapsed() >= PAUSE) {
            self.write_attempts()?;
        }
        if self.is_due() {
            self.pay(PIECE)?;
        }
        Ok(more || self.is_due())
    }

    fn owes(&self) -> bool {
        self.store.owes() || !self.owed.is_empty() || !self.attempts.is_empty()
    }

    fn wanted(&mut self) -> Vec<JobId> {
        self.store.wanted()
    }

    fn unknown(&mut self, jobs: &[JobId]) {
        self.store.unknown(jobs);
    }

    fn repaired(&mut self) -> Repaired {
        self.store.repaired()
    }

    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        self.store.keeps_accepted(job)
    }

    fn attend_at(&self) -> Option<Instant> {
        self.store.attend_at()
    }

    fn attend(&mut self, load: ServerLoad, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<bool, StoreError> {
        let era = self.store.standing().era;
        let told = self.store.attend(load, each);
        // Of jobs that are another's now only their ends are worth telling.
        if self.store.standing().era != era {
            self.forget_attempts();
        }
        told
    }

    fn standing(&self) -> ServerStanding {
        self.store.standing()
    }

    fn numbers(&mut self, at_least: u64) -> Result<Range<u64>, StoreError> {
        self.store.numbers(at_least)
    }

    fn servers(&self) -> Vec<ServerShown> {
        self.store.servers()
    }

    fn begin_hand_over(&mut self) -> bool {
        self.store.begin_hand_over()
    }

    /// What is owed goes first: others would run again what has ended.
    fn hand_over(&mut self, kept: &[JobId]) -> Result<(), StoreError> {
        self.pay_all()?;
        self.store.hand_over(kept)
    }

    fn stays_silent(&mut self) {
        self.store.stays_silent();
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let paid = self.pay_all();
        let closed = self.store.close();
        paid.and(closed)
    }
}

#[cfg(test)]
mod tests;
