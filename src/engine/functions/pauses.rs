//! Functions that an operator has paused: which, why, and until when. A pause belongs to a name: it is there before the function is, and
//! stays when that is dropped. What a paused function does not do is said in `gate.rs` and `function.rs`; the moves are in `pause.rs`.
use crate::report::Pause;
use crate::time::Epoch;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

/// Pauses on one shard.
const PAUSES_MAX: usize = 1024;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Pauses {
    by_name: BTreeMap<Bytes, Pause>,
    /// When the next of them ends; the last time there is, if none does.
    next_end: Epoch,
}

/// There are as many pauses as there may be.
pub(crate) struct TooManyPauses;

impl Pauses {
    pub(crate) fn new(pauses: impl Iterator<Item = (Bytes, Pause)>) -> Pauses {
        let mut this = Pauses { by_name: pauses.collect(), next_end: Epoch(u64::MAX) };
        this.find_next_end();
        this
    }

    fn find_next_end(&mut self) {
        let ends = self.by_name.values().filter_map(|pause| pause.until);
        self.next_end = ends.min().unwrap_or(Epoch(u64::MAX));
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Pause> {
        self.by_name.get(name)
    }

    /// Adds one, in the place of one that is there.
    pub(crate) fn add(&mut self, name: &Bytes, pause: Pause) -> Result<(), TooManyPauses> {
        if self.by_name.len() >= PAUSES_MAX && !self.by_name.contains_key(name) {
            return Err(TooManyPauses);
        }
        self.by_name.insert(name.clone(), pause);
        self.find_next_end();
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Pause> {
        let pause = self.by_name.remove(name)?;
        self.find_next_end();
        Some(pause)
    }

    /// Whether one has ended.
    #[inline(always)]
    pub(crate) fn is_due(&self, now: Epoch) -> bool {
        self.next_end <= now
    }

    /// When the next of them ends, if any does.
    #[inline]
    pub(crate) fn next_end(&self) -> Option<Epoch> {
        (self.next_end != Epoch(u64::MAX)).then_some(self.next_end)
    }

    /// One that has ended.
    pub(crate) fn ended(&self, now: Epoch) -> Option<Bytes> {
        let over = |(_, pause): &(&Bytes, &Pause)| pause.until.is_some_and(|until| until <= now);
        self.by_name.iter().find(over).map(|(name, _)| name.clone())
    }

    pub(crate) fn all(&self) -> Vec<(Bytes, Pause)> {
        self.by_name.iter().map(|(name, pause)| (name.clone(), pause.clone())).collect()
    }
}
