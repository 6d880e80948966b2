//! What is granted to one session: what the entries that mean it say, as far as its door is for that.
use super::door::{AdminLines, Door};
use super::entry::Entry;
use crate::engine::{Grants, Right};
use std::sync::Arc;

/// What is granted to somebody at a door.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) door: Door,
    pub(super) lines: AdminLines,
    /// What was said of it; `None`: there is no list, and everything is granted.
    pub(super) entries: Option<Vec<Arc<Entry>>>,
}

impl Grants for Granted {
    fn covers(&self, right: Right, function: &[u8]) -> bool {
        self.door.admits(right, self.lines) && self.any(|entry| entry.covers(right, function))
    }

    fn has(&self, right: Right) -> bool {
        self.door.admits(right, self.lines) && self.any(|entry| entry.has(right))
    }
}

impl Granted {
    fn any(&self, says: impl Fn(&Entry) -> bool) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.iter().any(|entry| says(entry)))
    }
}
