//! A commit in parts: one large job is not to have others refused. What a store wants to have alone is committed alone, in its
//! turn; and where there is no room for all, or one is refused for what it is, there is a try for half of it, and so on. Says
//! which puts are not kept.
use super::record::{self, RecordKind, Span};
use super::{Exception, Store, StoreError};
use crate::engine::JobId;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How often what finds no room is halved: 16 parts are tried at the most.
const HALVINGS: u32 = 4;
/// The same where single jobs are refused: they are found, if there are few among so many.
const SEARCHES: u32 = 16;
/// Tries in all, for one commit.
const TRIES: u32 = 128;

/// What became of a commit.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Puts that are not kept: which batch, and which of its put records, counted from 0. In order.
    pub(super) refused: Vec<(usize, u32)>,
    /// Puts whose job another server has already, and which job of it that is; in order.
    pub(super) elsewhere: Vec<(usize, u32, JobId)>,
    /// What went wrong: with puts, with ends of jobs; at most one of each.
    pub(super) errors: Vec<StoreError>,
}

/// A record.
#[derive(Clone, Copy, Debug)]
struct PartRecord {
    span: Span,
    batch: usize,
    /// Which of the batch's puts it is.
    put: u32,
}

/// Commits batches of slices ([`record::spans`]), in as few parts as may be.
pub(super) fn commit(store: &mut dyn Store, batches: &[Vec<&[u8]>]) -> Outcome {
    let alone = store.alone();
    let slices = batches.concat();
    let splits = record::spans(&slices).any(|span| span.head.length > alone);
    let mut commit = PartialCommit {
        store,
        slices: &slices,
        outcome: Outcome::default(),
        puts: None,
        dones: None,
        tries: TRIES,
    };
    if splits {
        let items = items(batches, &slices);
        let is_alone = |item: &PartRecord| item.span.head.length > alone;
        for part in items.chunk_by(|one, next| !is_alone(one) && !is_alone(next)) {
            commit.part(part);
        }
    } else {
        commit.whole(batches);
    }
    commit.finish()
}

struct PartialCommit<'a> {
    store: &'a mut dyn Store,
    slices: &'a [&'a [u8]],
    outcome: Outcome,
    puts: Option<StoreError>,
    dones: Option<StoreError>,
    /// How many more there may be.
    tries: u32,
}

impl PartialCommit<'_> {
    fn whole(&mut self, batches: &[Vec<&[u8]>]) {
        let committed = self.store.commit(self.slices);
        self.dones = committed.dones.err();
        if !committed.exceptions.is_empty() {
            self.except(&items(batches, self.slices), &committed.exceptions);
        }
        if let Err(error) = committed.puts {
            self.refused(items(batches, self.slices), error);
        }
    }

    /// These jobs are elsewhere already.
    fn except(&mut self, items: &[PartRecord], exceptions: &[(JobId, Exception)]) {
        let elsewhere: HashMap<u64, JobId> =
            exceptions.iter().map(|&(id, Exception::Elsewhere(there))| (id.number(), there)).collect();
        for item in items.iter().filter(|item| item.span.head.kind == RecordKind::Put) {
            if let Some(&there) = elsewhere.get(&item.span.head.id) {
                self.outcome.elsewhere.push((item.batch, item.put, there));
            }
        }
    }

    fn part(&mut self, items: &[PartRecord]) {
        let committed = self.store.commit(&pick(self.slices, items));
        self.dones = committed.dones.err().or(self.dones.take());
        self.except(items, &committed.exceptions);
        if let Err(error) = committed.puts {
            self.refused(items.to_vec(), error);
        }
    }

    /// None of these puts was kept. If that was for want of room, there may be room for some.
    fn refused(&mut self, items: Vec<PartRecord>, error: StoreError) {
        // Ends of jobs were committed all the same. Whatever has ended need not be tried.
        let over: HashSet<u64> = items
            .iter()
            .map(|item| item.span.head)
            .filter(|head| head.kind == RecordKind::Done)
            .map(|head| head.id)
            .collect();
        let puts = items.into_iter().filter(|item| item.span.head.kind == RecordKind::Put);
        let (over, puts): (Vec<PartRecord>, Vec<PartRecord>) =
            puts.partition(|item| over.contains(&item.span.head.id));
        self.note(&over);
        match halvings(&error) {
            0 => self.note(&puts),
            _ if puts.len() < 2 => self.note(&puts),
            halvings => self.halves(&puts, halvings),
        }
        self.puts.get_or_insert(error);
    }

    fn halves(&mut self, puts: &[PartRecord], halvings: u32) {
        let (first, second) = puts.split_at(puts.len() / 2);
        for half in [first, second] {
            self.tries = self.tries.saturating_sub(1);
            let committed = self.store.commit(&pick(self.slices, half));
            self.except(half, &committed.exceptions);
            match committed.puts {
                Ok(()) => {}
                Err(error) if half.len() > 1 && halvings > 1 && self.tries > 0 && is_partial(&error) => {
                    self.halves(half, halvings - 1);
                }
                Err(error) => {
                    self.note(half);
                    self.puts = Some(error);
                }
            }
        }
    }

    fn note(&mut self, puts: &[PartRecord]) {
        self.outcome.refused.extend(puts.iter().map(|item| (item.batch, item.put)));
    }

    fn finish(mut self) -> Outcome {
        self.outcome.refused.sort_unstable();
        self.outcome.elsewhere.sort_unstable();
        self.outcome.errors.extend(self.puts.into_iter().chain(self.dones));
        self.outcome
    }
}

/// How often a commit that failed so is halved.
fn halvings(error: &StoreError) -> u32 {
    match error {
        StoreError::Full { .. } => HALVINGS,
        StoreError::Unfit { .. } => SEARCHES,
        _ => 0,
    }
}

/// Whether a part of what failed so may succeed.
fn is_partial(error: &StoreError) -> bool {
    halvings(error) > 0
}

fn items(batches: &[Vec<&[u8]>], slices: &[&[u8]]) -> Vec<PartRecord> {
    let of_batch = |(batch, slices): (usize, &Vec<&[u8]>)| std::iter::repeat_n(batch, slices.len());
    let batch_of: Vec<usize> = batches.iter().enumerate().flat_map(of_batch).collect();
    let (mut here, mut put) = (0, 0);
    let items = record::spans(slices).map(|span| {
        let batch = batch_of[span.slice];
        if batch != here {
            (here, put) = (batch, 0);
        }
        let item = PartRecord { span, batch, put };
        put += u32::from(span.head.kind == RecordKind::Put);
        item
    });
    items.collect()
}

/// The bytes of records that stand in their order, in as few slices as may be.
fn pick<'a>(slices: &[&'a [u8]], items: &[PartRecord]) -> Vec<&'a [u8]> {
    let mut picked = Vec::new();
    let mut row: Option<(usize, Range<usize>)> = None;
    for PartRecord { span, .. } in items {
        let [first, workload] = span.parts(slices);
        let until = span.from + first.len();
        match &mut row {
            Some((slice, range)) if *slice == span.slice && range.end == span.from => range.end = until,
            _ => {
                picked.extend(row.take().map(|(slice, range)| &slices[slice][range]));
                row = Some((span.slice, span.from..until));
            }
        }
        if !workload.is_empty() {
            picked.extend(row.take().map(|(slice, range)| &slices[slice][range]));
            picked.push(workload);
        }
    }
    picked.extend(row.map(|(slice, range)| &slices[slice][range]));
    picked
}
