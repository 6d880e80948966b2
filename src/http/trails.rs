//! How it went in the last quarter of an hour, for the curves of pages: noted whenever somebody looks, so that a server at which nobody
//! looks keeps nothing. Bounded: so many functions, so many notes of each.
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How often is noted, at the most.
const EACH: Duration = Duration::from_secs(2);
/// For how long a note is kept.
const WINDOW: Duration = Duration::from_secs(900);
/// Functions that are remembered; of more, those that were looked at last.
const FUNCTIONS_MAX: usize = 64;

/// What was there at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TrailNote {
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) dead: u64,
    pub(super) oldest_ms: u64,
    /// Counted since the start.
    pub(super) accepted: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

/// Notes, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail(VecDeque<(Instant, TrailNote)>);

/// A note with what came a second since the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrailPoint {
    /// Seconds before now.
    pub(super) ago: f64,
    pub(super) note: TrailNote,
    pub(super) accepted: f64,
    pub(super) completed: f64,
    pub(super) failed: f64,
}

impl Trail {
    fn note(&mut self, now: Instant, note: TrailNote) {
        if self.0.back().is_some_and(|(at, _)| now.duration_since(*at) < EACH) {
            return;
        }
        self.0.push_back((now, note));
        while self.0.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.0.pop_front();
        }
    }

    /// What there is to draw: nothing of the first note, before which nothing is known.
    pub(super) fn points(&self, now: Instant) -> Vec<TrailPoint> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs
            .map(|((before, old), (at, note))| {
                let seconds = at.duration_since(*before).as_secs_f64().max(0.001);
                let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
                TrailPoint {
                    ago: now.duration_since(*at).as_secs_f64(),
                    note: *note,
                    accepted: rate(note.accepted, old.accepted),
                    completed: rate(note.completed, old.completed),
                    failed: rate(note.failed, old.failed),
                }
            })
            .collect()
    }
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Trails {
    all: RefCell<Trail>,
    functions: RefCell<BTreeMap<Bytes, Trail>>,
}

impl Trails {
    /// Notes what there is of all functions together, and tells how it went.
    pub(super) fn of_all(&self, now: Instant, note: TrailNote) -> Vec<TrailPoint> {
        let mut all = self.all.borrow_mut();
        all.note(now, note);
        all.points(now)
    }

    /// Notes what there is of one function, and tells how it went.
    pub(super) fn of_function(&self, now: Instant, name: &Bytes, note: TrailNote) -> Vec<TrailPoint> {
        let mut functions = self.functions.borrow_mut();
        if !functions.contains_key(name) && functions.len() == FUNCTIONS_MAX {
            let last = |trail: &Trail| trail.0.back().map(|(at, _)| *at);
            let oldest = functions.iter().min_by_key(|(_, trail)| last(trail)).map(|(name, _)| name.clone());
            oldest.iter().for_each(|name| drop(functions.remove(name)));
        }
        // A copy of the name: what it was cut from may be large.
        let trail = functions.entry(Bytes::copy_from_slice(name)).or_default();
        trail.note(now, note);
        trail.points(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_has_rates_and_an_end() {
        let (trails, start) = (Trails::default(), Instant::now());
        let note = |at: u64| TrailNote { completed: at * 4, ..TrailNote::default() };
        let mut points = Vec::new();
        for at in 0..2000_u64 {
            let now = start + EACH * u32::try_from(at).unwrap();
            points = trails.of_all(now, note(at));
            assert_eq!(trails.of_all(now + EACH / 2, note(9999)).len(), points.len());
        }
        assert_eq!(points.len(), 450);
        assert!(points.iter().all(|point| (point.completed - 2.0).abs() < 1e-9));
    }

    #[test]
    fn functions_that_nobody_looks_at_are_forgotten() {
        let (trails, start) = (Trails::default(), Instant::now());
        for at in 0..200_u32 {
            let name = Bytes::from(format!("f{at}"));
            trails.of_function(start + EACH * at, &name, TrailNote::default());
        }
        let kept = trails.functions.borrow();
        assert!(
            kept.len() == FUNCTIONS_MAX && kept.contains_key(&b"f199"[..]) && !kept.contains_key(&b"f0"[..])
        );
    }
}
