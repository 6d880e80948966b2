//! What a server is among those that share a store with it, in values: who it is, how long it may go on. How that
//! comes to be is each store's affair, and the rules of it are `shared.rs`.
use super::BootTime;

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
