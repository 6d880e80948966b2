//! The servers that share a store, as rows, and what is asked of a store that servers share: statements are each store's own. Who is to be
//! taken over when is `shared.rs`; when what is asked is `sharing.rs`.
//!
//! Each start of a server is a row, under a number of its own, and owns the jobs that have that number as their owner. A row has a count,
//! `beat`, which its server adds to with every commit and at least every second, and only as long as nobody has taken it over
//! (`taken_by`). That is the fence: whatever adds or changes jobs is done together with adding to this count, so whoever was taken
//! over can add nothing any more. A take-over is one change of one row. Jobs are not rewritten: they have the owner that they had, and
//! who that leads to is found through `taken_by`, from row to row.
//!
//! Numbers of rows are drawn by chance: a count may go back when a replica is promoted that lacks the last commits, and then two
//! servers would be one.
use super::shared::{Incarnation, RowState, ServerRow};
use super::sql::error::RowError;
use super::{ServerLoad, StoreError};
use crate::engine::StoredJob;
use std::hash::{BuildHasher, RandomState};

/// States of a server: it serves; it has ended in an orderly way, or is about to; it was taken over.
pub(crate) const SERVING: i16 = 0;
pub(crate) const LEAVING: i16 = 1;
pub(crate) const GONE: i16 = 2;

/// The owner of rows that are kept and not run, because nobody can read them.
pub(crate) const SET_ASIDE: i32 = 0;

/// What servers of one store must have in common. Stands before the version.
const SHARING: &str = "1";

/// One of the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerEntry {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) beat: i64,
    pub(crate) state: i16,
    pub(crate) taken_by: Option<i32>,
    pub(crate) jobs: i64,
    pub(crate) bytes: i64,
    pub(crate) version: String,
    /// How long it has been there, in seconds, by the clock of the store.
    pub(crate) seconds: i64,
}

impl ServerEntry {
    /// The same for the rules of sharing.
    pub(crate) fn shared(&self) -> ServerRow {
        ServerRow {
            id: Incarnation(self.id),
            name: self.name.clone(),
            beat: self.beat,
            state: match self.state {
                SERVING => RowState::Serving,
                LEAVING => RowState::Leaving,
                _ => RowState::Gone,
            },
            taken_by: self.taken_by.map(Incarnation),
            bytes: self.bytes.unsigned_abs(),
        }
    }

    /// Whether we know how it shares.
    pub(crate) fn is_compatible(&self) -> bool {
        self.version.split(' ').next() == Some(SHARING)
    }

    /// Its version, for people.
    pub(crate) fn shown_version(&self) -> &str {
        self.version.split_once(' ').map_or(self.version.as_str(), |(_, version)| version)
    }
}

/// Our version, as it stands in a row.
pub(crate) fn own_version() -> String {
    format!("{SHARING} {}", env!("CARGO_PKG_VERSION"))
}

/// A number for a new server, if nobody has it.
pub(crate) fn drawn_id() -> i32 {
    let id = (RandomState::new().hash_one(SHARING) >> 33) as i32;
    if id == SET_ASIDE { 1 } else { id }
}

/// This server, and all that lead to it.
pub(crate) fn family(servers: &[ServerEntry], id: i32) -> Vec<i32> {
    let mut family = vec![id];
    let mut at = 0;
    while let Some(&taker) = family.get(at) {
        let taken = servers.iter().filter(|row| row.taken_by == Some(taker) && row.id != taker);
        let more: Vec<i32> = taken.map(|row| row.id).filter(|id| !family.contains(id)).collect();
        family.extend(more);
        at += 1;
    }
    family
}

/// What a look shows.
#[derive(Debug, Default)]
pub(crate) struct ServersLook {
    /// Whether our own beat was counted: otherwise we were taken over.
    pub(crate) counted: bool,
    /// Whether there are jobs that nobody owns, or may be.
    pub(crate) unowned: bool,
    pub(crate) servers: Vec<ServerEntry>,
}

/// Which server writes, if servers share the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence<'f> {
    /// Its number.
    pub(crate) me: Option<i32>,
    /// Owners of rows that are its own: itself, and whom it has taken over.
    pub(crate) family: &'f [i32],
}

/// What a server leaves to others while it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Legacy<'l> {
    /// Who leaves it, and whom he had taken over.
    pub(crate) me: i32,
    pub(crate) family: &'l [i32],
    /// As whom he goes on.
    pub(crate) next: i32,
    pub(crate) name: &'l str,
    /// The jobs that he takes along, by their numbers.
    pub(crate) kept: &'l [i64],
}

/// What becomes of rows that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are an error.
    Error,
    /// They are said, and kept apart: see [`SET_ASIDE`].
    SetAside,
}

/// What can go wrong with a store that servers share.
pub(crate) trait SharedFault: From<RowError> {
    /// We were taken over.
    fn fenced() -> Self;
    /// Something that an operator must mend.
    fn other(what: String) -> Self;
    /// Another server has it, and does not share it: this is its name.
    fn locked(place: String) -> Self;
    /// Whether we were taken over.
    fn is_fenced(&self) -> bool;
    /// Whether there is no connection any more.
    fn is_away(&self) -> bool;
}

/// Who hears of a job: the job, whether nothing of gearmand's tells of it, whether something of ours does.
pub(crate) type TellJob<'a, F> = &'a mut dyn FnMut(StoredJob<'_>, bool, bool) -> Result<(), F>;

/// What is asked of a store that servers share. Nothing takes longer than twenty seconds, but for what is done at a start.
pub(crate) trait SharedPlace {
    type Fault: SharedFault;
    /// Rows that are being read.
    type Reading;

    /// Whether there is a connection, as far as is known.
    fn is_there(&self) -> bool;

    /// With this there is no connection any more.
    fn lost(&mut self, fault: &Self::Fault);

    /// What is said of it outside.
    fn error(&self, fault: Self::Fault) -> StoreError;

    /// What it is called, for people.
    fn shown(&self) -> String;

    /// What an operator does to strike off a server that is gone.
    fn how_to_strike(&self, id: i32) -> String;

    /// Adds to our own count, if we are one of them, and looks at all.
    fn look(&mut self, me: Option<i32>, jobs: usize, load: ServerLoad) -> Result<ServersLook, Self::Fault>;

    /// A new server of this name: its number.
    fn register(&mut self, name: &str) -> Result<i32, Self::Fault>;

    /// Takes over a server whose count is still this one. True if it is ours now: what it was doing has been committed or never will be.
    fn take(&mut self, me: i32, other: &ServerEntry) -> Result<bool, Self::Fault>;

    /// At a start: makes ours what nobody owns, or has an owner that is no server. Without a server of our own jobs only get numbers.
    fn claim(&mut self, me: Option<i32>) -> Result<(), Self::Fault>;

    /// Makes ours some of the jobs that nobody owns: their numbers, and whether there may be more.
    fn adopt(&mut self, me: i32) -> Result<(Vec<i64>, bool), Self::Fault>;

    /// Begins to read all rows of these owners, or of anybody; or only these numbers of them.
    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> Self::Reading;

    /// About how many jobs that is.
    fn count(&mut self, reading: &mut Self::Reading) -> Result<u64, Self::Fault>;

    /// Tells the next page: the living in the order of their numbers, then what stands alone. True if there are more.
    fn page(
        &mut self,
        reading: &mut Self::Reading,
        told: TellJob<'_, Self::Fault>,
    ) -> Result<bool, Self::Fault>;

    /// Drops what is about jobs that gearmand has ended, and servers of which nothing is left.
    fn tidy(&mut self) -> Result<(), Self::Fault>;

    /// Says that this server has ended; and where nothing is left of it and of those that it took over, strikes them off.
    fn leave(&mut self, me: i32, family: &[i32], empty: bool) -> Result<(), Self::Fault>;

    /// Leaves all that a server has to others but some jobs, with which it goes on as another one. False if there is one of that
    /// number already, and nothing has changed.
    fn bequeath(&mut self, legacy: Legacy<'_>) -> Result<bool, Self::Fault>;

    /// Tells this store from one that was put in its place, where that may happen: it then lacks everything.
    fn birth(&mut self) -> Result<u64, Self::Fault> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i32, taken_by: Option<i32>) -> ServerEntry {
        ServerEntry {
            id,
            name: String::new(),
            beat: 0,
            state: SERVING,
            taken_by,
            jobs: 0,
            bytes: 0,
            version: format!("{SHARING} 9.9"),
            seconds: 0,
        }
    }

    #[test]
    fn whoever_was_taken_over_leads_to_its_taker_over_any_number_of_steps() {
        let rows = [row(1, Some(2)), row(2, Some(5)), row(3, None), row(4, Some(3)), row(5, None)];
        assert_eq!(family(&rows, 5), [5, 2, 1]);
        assert_eq!(family(&rows, 3), [3, 4]);
        assert_eq!(family(&rows, 9), [9]);
        // What cannot be comes to an end, too.
        assert_eq!(family(&[row(1, Some(2)), row(2, Some(1))], 1), [1, 2]);
    }

    #[test]
    fn versions_say_whether_they_share() {
        let other = ServerEntry { version: "2 0.9".to_owned(), ..row(1, None) };
        assert!(row(1, None).is_compatible() && !other.is_compatible());
        assert_eq!((row(1, None).shown_version(), other.shown_version()), ("9.9", "0.9"));
    }
}
