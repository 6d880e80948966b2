//! What stands in the row of a server: its state, its version, its number. Values only; statements are `servers.rs`.
use std::hash::{BuildHasher, RandomState};

/// States of a server: it serves; it has ended in an orderly way, or is about to; it was taken over.
pub(super) const SERVING: i16 = 0;
pub(super) const LEAVING: i16 = 1;
pub(super) const GONE: i16 = 2;

/// The owner of rows that are kept and not run, because nobody can read them.
pub(super) const SET_ASIDE: i32 = 0;

/// What servers on one table must have in common. Stands before the version.
pub(super) const SHARING: &str = "1";

/// Our version, as it stands there.
pub(super) fn version() -> String {
    format!("{SHARING} {}", env!("CARGO_PKG_VERSION"))
}

/// A number for a server of this name, drawn by chance: a sequence may go back when a replica is promoted that lacks the last commits,
/// and then two servers would be one.
pub(super) fn draw(name: &str) -> i32 {
    ((RandomState::new().hash_one(name) >> 33) as i32).max(SET_ASIDE + 1)
}
