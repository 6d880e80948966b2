//! What a listening address is for, and what administrators' lines may do where nothing else says it.
use crate::engine::Right;

/// What an address is for (`-L ADDRESS?admin`, `?read-only`): more than that nobody may do there, whatever else is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Door {
    /// Clients and workers, and administrators as far as [`AdminLines`] lets them.
    #[default]
    Jobs,
    /// Administrators' questions and orders, no jobs.
    Admin,
    /// Questions only.
    ReadOnly,
}

/// What administrators' lines do at the doors for jobs (`--admin-lines`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminLines {
    /// Questions are answered and orders carried out, as by gearmand.
    #[default]
    All,
    /// Questions are answered.
    Read,
    /// Neither.
    None,
}

impl Door {
    /// Whether a right is of any use at this door.
    pub(super) fn admits(self, right: Right, lines: AdminLines) -> bool {
        match (right, self) {
            (Right::Submit | Right::Work, door) => door == Door::Jobs,
            (Right::Read, Door::Jobs) => lines != AdminLines::None,
            (Right::Admin, Door::Jobs) => lines == AdminLines::All,
            (Right::Read, Door::Admin | Door::ReadOnly) | (Right::Admin, Door::Admin) => true,
            (Right::Admin, Door::ReadOnly) => false,
        }
    }

    /// Whether nothing is held back at this door.
    pub(super) fn is_open(self, lines: AdminLines) -> bool {
        Right::ALL.into_iter().all(|right| self.admits(right, lines))
    }

    /// The word for it, behind an address; empty for one where jobs are served.
    pub fn word(self) -> &'static str {
        match self {
            Door::Jobs => "",
            Door::Admin => "admin",
            Door::ReadOnly => "read-only",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_door_is_for() {
        let at = |door: Door, lines| Right::ALL.map(|right| door.admits(right, lines));
        assert_eq!(at(Door::Jobs, AdminLines::All), [true; 4]);
        assert_eq!(at(Door::Jobs, AdminLines::Read), [true, true, true, false]);
        assert_eq!(at(Door::Jobs, AdminLines::None), [true, true, false, false]);
        for lines in [AdminLines::All, AdminLines::Read, AdminLines::None] {
            assert_eq!(at(Door::Admin, lines), [false, false, true, true]);
            assert_eq!(at(Door::ReadOnly, lines), [false, false, true, false]);
        }
        assert!(Door::Jobs.is_open(AdminLines::All) && !Door::Jobs.is_open(AdminLines::Read));
    }
}
