//! What was counted of functions some minutes ago, so that rates and times of late can be told and not only those since the start. Noted
//! whenever somebody looks, so that a server at which nobody looks keeps nothing.
use super::bounds::{HISTORY_EACH, HISTORY_NOTES};
use crate::engine::report::FunctionNumbers;
use crate::engine::stats::FunctionStats;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What was counted at one time.
#[derive(Debug)]
struct NoteOfCounts {
    at: Instant,
    counts: BTreeMap<Bytes, FunctionStats>,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The oldest first.
    notes: VecDeque<NoteOfCounts>,
}

impl History {
    /// Notes what is counted of these functions, unless that was done a moment ago.
    pub(super) fn note(&mut self, now: Instant, rows: &[FunctionNumbers]) {
        if self.notes.back().is_some_and(|last| now.duration_since(last.at) < HISTORY_EACH) {
            return;
        }
        let counted =
            |row: &FunctionNumbers| Some((row.function.clone(), FunctionStats::clone(row.stats.as_deref()?)));
        self.notes.push_back(NoteOfCounts { at: now, counts: rows.iter().filter_map(counted).collect() });
        // The next one is to be old enough to stand for the window.
        let window = HISTORY_EACH * HISTORY_NOTES;
        while self.notes.get(1).is_some_and(|next| now.duration_since(next.at) >= window) {
            self.notes.pop_front();
        }
    }

    /// How long ago counts were noted that are the oldest of the window, and those of one function: none, if there was nothing to count
    /// then. `None` if nothing was noted long enough ago.
    pub(super) fn of(&self, name: &[u8], now: Instant) -> Option<(Duration, Option<&FunctionStats>)> {
        let first = self.notes.front()?;
        let ago = now.duration_since(first.at);
        // A rate of a moment says nothing.
        (ago >= HISTORY_EACH).then(|| (ago, first.counts.get(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::overview::numbers;
    use super::*;

    #[test]
    fn the_window_slides() {
        let (mut history, start) = (History::default(), Instant::now());
        let row = |completed| {
            let mut row = numbers(b"f", 0, 0, 0);
            row.stats = Some(Box::new(FunctionStats { completed, ..FunctionStats::default() }));
            [row]
        };
        for at in 0..100_u32 {
            history.note(start + HISTORY_EACH * at, &row(at.into()));
            history.note(start + HISTORY_EACH * at + Duration::from_millis(1), &row(1_000_000));
            assert!(history.notes.len() <= HISTORY_NOTES as usize + 1);
        }
        let (ago, before) = history.of(b"f", start + HISTORY_EACH * 99).unwrap();
        assert_eq!(
            (ago, before.unwrap().completed),
            (HISTORY_EACH * HISTORY_NOTES, 99 - u64::from(HISTORY_NOTES))
        );
        assert!(history.of(b"g", start + HISTORY_EACH * 99).unwrap().1.is_none());
        assert!(History::default().of(b"f", start).is_none());
    }
}
