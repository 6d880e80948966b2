//! What was too much for one event and is left to do: names of a MASS_DO to register, registrations to look at again or to forget. It is done in
//! `mass_do.rs`.
use super::abilities::Abilities;
use super::names::FunctionNames;
use crate::policy::Policy;
use crate::slot::SessionId;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// The names of a MASS_DO that are not registered yet: at least one, with NUL between them and none at the end.
#[derive(Debug)]
pub(crate) struct MassDo {
    pub(super) names: Bytes,
}

impl MassDo {
    /// Bytes of the names.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// What a session has registered is looked at again, the oldest first, since its rights have changed.
#[derive(Debug, Default)]
pub(crate) struct Recheck {
    /// The lower half of the turn of the last that was looked at.
    pub(super) after: Option<u32>,
    /// Registrations struck off so far, and the first function among them.
    pub(super) struck: u32,
    pub(super) first: Option<Bytes>,
}

/// What is left to do.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// Sessions with a MASS_DO under way. They may be gone.
    pub(super) naming: VecDeque<SessionId>,
    /// Sessions of which registrations are looked at again. They may be gone.
    pub(super) rechecking: VecDeque<SessionId>,
    /// What sessions had registered that have other things registered now, or are gone.
    pub(super) leaving: Vec<Abilities>,
}

impl Unfinished {
    /// Forgets registrations; at once if they are few.
    pub(crate) fn let_go(&mut self, abilities: Abilities, names: &mut FunctionNames, policy: &Policy) {
        if abilities.len() > policy.names_at_once as usize {
            self.leaving.push(abilities);
        } else {
            abilities.iter().for_each(|name| names.give_back(name));
        }
    }

    /// Registrations that are still to be forgotten.
    pub(crate) fn leaving(&self) -> usize {
        self.leaving.iter().map(Abilities::len).sum()
    }
}
