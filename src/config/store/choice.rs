//! The rule for flags of stores: what was given for a store that is not chosen is a mistake. Whoever gave it believes that
//! jobs are kept there.
use super::super::mistake::Mistake;

/// The store that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// None: background jobs are not kept.
    Nothing,
    /// Our own log.
    Log,
    /// gearmand's table of an SQLite database.
    Sqlite,
}

/// The flags of one store.
pub(crate) trait StoreFlags {
    /// The store.
    const STORE: Choice;

    /// The first of its flags that was given.
    fn given(&self) -> Option<&'static str>;

    /// What is wrong with that flag, where this was chosen instead.
    fn misplaced(flag: &'static str, chosen: Choice) -> String;
}

/// Refuses flags of a store that is not the chosen one.
pub(crate) fn refuse_misplaced<F: StoreFlags>(flags: &F, chosen: Choice) -> Result<(), Mistake> {
    match flags.given() {
        Some(flag) if chosen != F::STORE => Err(Mistake::Store(F::misplaced(flag, chosen))),
        _ => Ok(()),
    }
}
