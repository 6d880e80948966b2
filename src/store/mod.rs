//! Stores: where background jobs are kept so that they outlive the process. Values of the engine in, bytes on disk or
//! rows in a database out. A store knows no sessions, sockets or shards; when jobs are answered is the engine's affair.
//!
//! Every store implements [`Store`], which blocks on purpose, and runs on a thread of its own (`thread.rs`), so a slow
//! disk stalls nothing but the background submissions that wait for it. What shards hand over are records (`record/mod.rs`).
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
mod beginning;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
mod book;
mod boottime;
pub(crate) mod channel;
pub(crate) mod dues;
mod error;
mod fields;
mod filelock;
pub(crate) mod gathered;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
mod latest;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
// Each store uses its part of it.
#[cfg_attr(not(all(feature = "mysql", feature = "postgres", feature = "redis")), allow(dead_code))]
mod leaving;
pub mod log;
#[cfg(feature = "memcached")]
pub mod memcached;
#[cfg(feature = "mysql")]
pub mod mysql;
mod open;
mod parts;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod record;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "redis"))]
pub(crate) mod remote;
pub(crate) mod replay;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
#[cfg_attr(not(all(feature = "mysql", feature = "postgres", feature = "redis")), allow(dead_code))]
mod retiring;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
#[cfg_attr(not(all(feature = "mysql", feature = "postgres", feature = "redis")), allow(dead_code))]
mod servers;
pub mod shared;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "postgres", feature = "redis"))]
#[cfg_attr(not(all(feature = "mysql", feature = "postgres", feature = "redis")), allow(dead_code))]
mod sharing;
#[cfg(any(
    feature = "memcached",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
))]
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod standing;
pub(crate) mod thread;
pub(crate) mod times;
pub mod tokyo;
pub mod transfer;

#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/support/scratch.rs"]
pub(crate) mod scratch;

pub use boottime::BootTime;
pub use error::StoreError;
pub use open::StoreOptions;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "redis"))]
pub use remote::level::PromiseLevel;
pub use standing::{HoldUntil, ServerShown, ServerStanding, SharingOptions, StoreLost};

use crate::engine::{JobId, StoredJob};
use std::ops::Range;
use std::time::Instant;

/// Keeps background jobs.
pub trait Store: Send {
    /// Tells every job that is kept, dead ones included, in the order in which they were accepted. Called once, before
    /// anything else. An error means that what is there cannot be relied on: the server does not start.
    fn replay(&mut self, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<(), StoreError> {
        self.replay_telling(each, &mut |_| {})
    }

    /// The same, and tells besides how far it has come and how much there is, often enough for a line each second.
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError>;

    /// Keeps these records, which are to be kept in this order. Each slice holds whole records (`record/mod.rs`), one behind
    /// the other, but for large workloads, which may have slices of their own: see [`record::spans`]. When it returns, what
    /// succeeded is as durable as the store was asked to be.
    ///
    /// Puts are kept all or none, unless something breaks. For want of room nothing at all is written of them.
    fn commit(&mut self, slices: &[&[u8]]) -> Committed;

    /// Records of more bytes than this are to be committed alone, because of what they need or cost.
    fn alone(&self) -> usize {
        usize::MAX
    }

    /// Does a piece of what makes room, 10 ms at the most. Called when nothing waits to be committed, and now and then
    /// when something does. Returns whether there is more to do.
    fn maintain(&mut self) -> Result<bool, StoreError>;

    /// Whether something is left for [`Store::maintain`], such as a sync: then it is to be called now and then even if nothing
    /// is committed any more.
    fn owes(&self) -> bool;

    /// Jobs whose records are to be put again, because they cannot be read any more. Their shards do so from memory, or
    /// say that they do not know them ([`Store::unknown`]). A small piece at a time; nothing while a piece is under way.
    fn wanted(&mut self) -> Vec<JobId> {
        Vec::new()
    }

    /// No shard knows these jobs, of those that were wanted; what was committed before this is taken into account. What is
    /// still kept of them is lost.
    fn unknown(&mut self, _jobs: &[JobId]) {}

    /// What was repaired since this was last called.
    fn repaired(&mut self) -> Repaired {
        Repaired::default()
    }

    /// Whether it keeps of this living job when it was accepted, if that is known.
    fn keeps_accepted(&self, _job: &StoredJob<'_>) -> bool {
        true
    }

    /// When [`Store::attend`] is to be called, though nothing is committed. `None` for a store that servers do not share:
    /// then it need never be called.
    fn attend_at(&self) -> Option<Instant> {
        None
    }

    /// For a store that servers share: shows that this one is alive, looks at the others, takes over what a dead one has left, and
    /// adopts jobs that nobody owns. Tells jobs that are ours from now on, a piece at a time: true if there are more to be told at
    /// once. `load` is what this server has to do now.
    ///
    /// If this server was taken over itself, it is another one from now on, which [`Store::standing`] says; what is told is what
    /// that one has.
    fn attend(
        &mut self,
        _load: ServerLoad,
        _each: &mut dyn FnMut(StoredJob<'_>),
    ) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// What this server may do with the jobs that it has here. May change whenever anything else is called.
    fn standing(&self) -> ServerStanding {
        ServerStanding::default()
    }

    /// Sequences ([`JobId::sequence`]) for jobs that will be accepted, which nobody else gets: none below this one.
    fn numbers(&mut self, at_least: u64) -> Result<Range<u64>, StoreError> {
        Ok(at_least..u64::MAX)
    }

    /// Everybody who shares it, as of the last look; this server is the first. Nobody, if it is not shared.
    fn servers(&self) -> Vec<ServerShown> {
        Vec::new()
    }

    /// Whether others would run at once what this server leaves to them. If so, it takes nothing more over from now on, for
    /// [`Store::hand_over`] follows; otherwise nothing has changed.
    fn begin_hand_over(&mut self) -> bool {
        false
    }

    /// Leaves to others all that is stored but these jobs, which stay this server's. What waits for a commit must have been
    /// committed before, and nobody here may give out any of the rest any more.
    fn hand_over(&mut self, _kept: &[JobId]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Somebody here may still give out what is stored: others are not told of the end when it is closed, and find out.
    fn stays_silent(&mut self) {}

    /// An orderly end: everything is durable when it returns, and others need not wait to take over what is left.
    fn close(&mut self) -> Result<(), StoreError>;
}

/// How far a replay has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It cannot be read yet, and is waited for.
    Waiting {
        /// For what, and why.
        why: String,
    },
    /// The same, because its server cannot be reached, so that nobody knows for how long.
    Away {
        /// Which server, and why.
        why: String,
    },
    /// What jobs are found in is read before any of them is told.
    Reading {
        /// So many bytes were read,
        bytes: u64,
        /// of so many.
        of: u64,
    },
    /// From now on jobs are told.
    Telling {
        /// How many, as far as is known.
        jobs: u64,
    },
}

/// What a store has repaired of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Pieces that are whole again, or given up.
    pub pieces: u64,
    /// Jobs that could not be read, and that nobody knew.
    pub lost: Vec<JobId>,
}

/// What a server has to do, for others that share a store with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLoad {
    /// Bytes of its jobs.
    pub bytes: u64,
    /// How many more it may take.
    pub room: u64,
}

/// Why a put is not kept although the others of its commit are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// Another server has a job of this function and unique: this one. It is as durable as the put would have been.
    Elsewhere(JobId),
}

/// What became of the batches of one [`Store::commit`].
#[derive(Debug)]
pub struct Committed {
    /// Whether the puts are kept. If not, none of them may be acknowledged; at the next start some may be there.
    pub puts: Result<(), StoreError>,
    /// Whether the dones are kept, and attempts that came without puts. If not, jobs that have ended may run again after
    /// the next start, unless it is tried again (`dues/mod.rs`).
    pub dones: Result<(), StoreError>,
    /// Puts that are not kept although `puts` is well. Only stores that servers share make any.
    pub exceptions: Vec<(JobId, Exception)>,
}

impl Committed {
    /// Everything is kept.
    pub fn all() -> Committed {
        Committed::of(Ok(()), Ok(()))
    }

    /// Without exceptions.
    pub fn of(puts: Result<(), StoreError>, dones: Result<(), StoreError>) -> Committed {
        Committed { puts, dones, exceptions: Vec::new() }
    }
}
