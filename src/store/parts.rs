//! A commit in parts: one large job is not to have others refused. What a store wants to have alone is committed alone, in its
//! turn; and where there is no room for all, there is a try for half of it, and so on. Says which puts are not kept.
use super::record::{self, Kind};
use super::{Store, StoreError};
use std::collections::HashSet;
use std::ops::Range;

/// How often what finds no room is halved: 16 parts are tried at the most.
const HALVINGS: u32 = 4;

/// What became of a commit.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Puts that are not kept: which batch, and which of its put records, counted from 0. In order.
    pub(super) refused: Vec<(usize, u32)>,
    /// What went wrong: with puts, with ends of jobs; at most one of each.
    pub(super) errors: Vec<StoreError>,
}

/// A record.
#[derive(Clone, Debug)]
struct Item {
    batch: usize,
    bytes: Range<usize>,
    id: u64,
    kind: Kind,
    /// Which of the batch's puts it is.
    put: u32,
}

/// Commits batches, in as few parts as may be.
pub(super) fn commit(store: &mut dyn Store, batches: &[&[u8]]) -> Outcome {
    let alone = store.alone();
    let splits = batches.iter().flat_map(|batch| record::heads(batch)).any(|(_, head)| head.length > alone);
    let mut work = Work { store, batches, outcome: Outcome::default(), puts: None, dones: None };
    if splits {
        let items = items(batches);
        let is_alone = |item: &Item| item.bytes.len() > alone;
        for part in items.chunk_by(|one, next| !is_alone(one) && !is_alone(next)) {
            work.part(part);
        }
    } else if let Err(error) = work.whole() {
        work.refused(items(batches), error);
    }
    work.finish()
}

struct Work<'a> {
    store: &'a mut dyn Store,
    batches: &'a [&'a [u8]],
    outcome: Outcome,
    puts: Option<StoreError>,
    dones: Option<StoreError>,
}

impl Work<'_> {
    fn whole(&mut self) -> Result<(), StoreError> {
        let committed = self.store.commit(self.batches);
        self.dones = committed.dones.err();
        committed.puts
    }

    fn part(&mut self, items: &[Item]) {
        let committed = self.store.commit(&slices(self.batches, items));
        self.dones = committed.dones.err().or(self.dones.take());
        if let Err(error) = committed.puts {
            self.refused(items.to_vec(), error);
        }
    }

    /// None of these puts was kept. If that was for want of room, there may be room for some.
    fn refused(&mut self, items: Vec<Item>, error: StoreError) {
        let full = matches!(error, StoreError::Full { .. });
        // Ends of jobs were committed all the same. Whatever has ended need not be tried.
        let over: HashSet<u64> =
            items.iter().filter(|item| item.kind == Kind::Done).map(|item| item.id).collect();
        let puts = items.into_iter().filter(|item| item.kind == Kind::Put);
        let (over, puts): (Vec<Item>, Vec<Item>) = puts.partition(|item| over.contains(&item.id));
        self.note(&over);
        if full && puts.len() > 1 {
            self.halves(&puts, HALVINGS);
        } else {
            self.note(&puts);
        }
        self.puts.get_or_insert(error);
    }

    fn halves(&mut self, puts: &[Item], halvings: u32) {
        let (first, second) = puts.split_at(puts.len() / 2);
        for half in [first, second] {
            match self.store.commit(&slices(self.batches, half)).puts {
                Ok(()) => {}
                Err(StoreError::Full { .. }) if half.len() > 1 && halvings > 1 => {
                    self.halves(half, halvings - 1);
                }
                Err(error) => {
                    self.note(half);
                    self.puts = Some(error);
                }
            }
        }
    }

    fn note(&mut self, puts: &[Item]) {
        self.outcome.refused.extend(puts.iter().map(|item| (item.batch, item.put)));
    }

    fn finish(mut self) -> Outcome {
        self.outcome.refused.sort_unstable();
        self.outcome.errors.extend(self.puts.into_iter().chain(self.dones));
        self.outcome
    }
}

fn items(batches: &[&[u8]]) -> Vec<Item> {
    let mut items = Vec::new();
    for (batch, bytes) in batches.iter().enumerate() {
        let mut put = 0;
        for (from, head) in record::heads(bytes) {
            let bytes = from..from + head.length;
            items.push(Item { batch, bytes, id: head.id, kind: head.kind, put });
            put += u32::from(head.kind == Kind::Put);
        }
    }
    items
}

/// The bytes of records that stand in their order, in as few slices as may be.
fn slices<'a>(batches: &[&'a [u8]], items: &[Item]) -> Vec<&'a [u8]> {
    let joined = |one: &Item, next: &Item| one.batch == next.batch && one.bytes.end == next.bytes.start;
    let rows = items.chunk_by(joined).filter_map(|row| {
        let (first, last) = (row.first()?, row.last()?);
        Some(&batches[first.batch][first.bytes.start..last.bytes.end])
    });
    rows.collect()
}
