//! What a server is among those that share a store with it, in values: who it is, how long it may go on. How that
//! comes to be is each store's affair, and the rules of it are `shared.rs`.
use super::BootTime;
use std::time::Duration;

/// What becomes of jobs that are stored while the store cannot be reached, and another server may take them over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreLost {
    /// They are held if there is another server, and go on if there is none.
    #[default]
    Auto,
    /// They are held (`--store-lost hold`).
    Hold,
    /// They go on being given to workers (`--store-lost go-on`): others may run them once more.
    GoOn,
}

/// How servers share a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingOptions {
    /// What this server is called (`--server-name`), for people, and for its next start.
    pub name: String,
    /// Whoever is silent for so long is taken over (`--take-over-after`); at least a second.
    pub take_over_after: Duration,
    /// What becomes of stored jobs meanwhile.
    pub lost: StoreLost,
}

impl SharingOptions {
    /// How long a server may be silent, unless it is said.
    pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(10);

    /// The usual, for a server of this name.
    pub fn of(name: impl Into<String>) -> SharingOptions {
        SharingOptions {
            name: name.into(),
            take_over_after: SharingOptions::TAKE_OVER_AFTER,
            lost: StoreLost::Auto,
        }
    }
}

/// Until when a server may give the jobs that it has stored to workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldUntil {
    /// Without an end: nobody would take them over.
    #[default]
    Ever,
    /// Until then: others may have taken them over later, if nothing is heard of this server.
    Time(BootTime),
}

/// What a server may do with the jobs that it has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStanding {
    /// How often it was taken over: jobs that it had before are another's.
    pub era: u64,
    /// How long it may go on.
    pub until: HoldUntil,
}

/// One of the servers that share a store, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerShown {
    /// What it is called.
    pub name: String,
    /// The number that it has there.
    pub id: u64,
    /// Whether it is the one that says so.
    pub own: bool,
    /// What it does: `serving`, `silent` for so many seconds, `leaving`, `taken over by` another.
    pub state: String,
    /// How long it has been there, in seconds.
    pub seconds: u64,
    /// Jobs that it had, and their bytes, when it was last heard of.
    pub jobs: u64,
    /// See above.
    pub bytes: u64,
    /// Its version.
    pub version: String,
}
