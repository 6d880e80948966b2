//! One entry of the list: what is granted to those whom it means.
use super::pattern::Pattern;
use crate::engine::Right;

/// What is granted to those whom an entry means.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Whom it means, as it stands in brackets.
    pub(super) name: String,
    /// `work`, or `register`.
    pub(super) work: Option<Pattern>,
    /// `submit`, or `invoke`.
    pub(super) submit: Option<Pattern>,
    pub(super) read: bool,
    pub(super) admin: bool,
    /// With `geard` the right to change the list. Nobody can do that while this server runs.
    pub(super) grant: bool,
}

impl Entry {
    /// Whether a function is meant, with a right that is about functions.
    pub(super) fn covers(&self, right: Right, function: &[u8]) -> bool {
        let pattern = match right {
            Right::Submit => &self.submit,
            Right::Work => &self.work,
            Right::Read | Right::Admin => return self.has(right),
        };
        pattern.as_ref().is_some_and(|pattern| pattern.fits(function))
    }

    pub(super) fn has(&self, right: Right) -> bool {
        match right {
            Right::Submit => self.submit.is_some(),
            Right::Work => self.work.is_some(),
            Right::Read => self.read || self.admin,
            Right::Admin => self.admin,
        }
    }
}
