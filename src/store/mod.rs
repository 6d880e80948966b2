//! Stores: where background jobs are kept so that they outlive the process. Values of the engine in, bytes on disk or
//! rows in a database out. A store knows no sessions, sockets or shards; when jobs are answered is the engine's affair.
//!
//! Every store implements [`Store`], which blocks on purpose, and runs on a thread of its own (`thread.rs`), so a slow
//! disk stalls nothing but the background submissions that wait for it. What shards hand over are records (`record.rs`).
pub(crate) mod channel;
pub(crate) mod dues;
mod fields;
pub(crate) mod gathered;
pub mod log;
mod open;
mod parts;
pub mod record;
pub(crate) mod replay;
#[cfg(feature = "sqlite")]
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub(crate) mod thread;
pub mod transfer;

#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/support/scratch.rs"]
pub(crate) mod scratch;

pub use open::StoreOptions;

use crate::engine::{JobId, StoredJob};
use std::fmt;
use std::path::PathBuf;

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

    /// Keeps these records, which are to be kept in this order. Each slice holds whole records (`record.rs`), one behind
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
    fn tidy(&mut self) -> Result<bool, StoreError>;

    /// Whether something is left for [`Store::tidy`], such as a sync: then it is to be called now and then even if nothing
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

    /// An orderly end: everything is durable when it returns.
    fn close(&mut self) -> Result<(), StoreError>;
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
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

/// What became of the batches of one [`Store::commit`].
#[derive(Debug)]
pub struct Committed {
    /// Whether the puts are kept. If not, none of them may be acknowledged; at the next start some may be there.
    pub puts: Result<(), StoreError>,
    /// Whether the dones are kept, and attempts that came without puts. If not, jobs that have ended may run again after
    /// the next start, unless it is tried again (`dues.rs`).
    pub dones: Result<(), StoreError>,
}

impl Committed {
    /// Everything is kept.
    pub fn all() -> Committed {
        Committed { puts: Ok(()), dones: Ok(()) }
    }
}

/// Why a store cannot do what it should. Printed as one sentence that names the remedy.
#[derive(Debug)]
pub enum StoreError {
    /// The disk or the file system refused something.
    Io {
        /// What was being done, as in "cannot write to".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// There is no room: on the disk, or within what an option allows.
    Full {
        /// Where.
        path: PathBuf,
    },
    /// Another server uses it.
    Locked {
        /// What.
        path: PathBuf,
    },
    /// What is there is not as it was written.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// It was written by another version of this program, or by another program.
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// A job has a field that a later version wrote and that must be understood (`fields.rs`).
    Field {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// The tag of the field.
        tag: u8,
    },
    /// A database refused something.
    Database {
        /// Which file or server.
        name: String,
        /// What it said.
        what: String,
    },
    /// A write failed earlier: nothing is kept any more until the server is started again.
    Sealed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            StoreError::Full { path } => {
                write!(
                    f,
                    "{} is full: background jobs are refused until jobs end or there is more room",
                    path.display()
                )
            }
            StoreError::Locked { path } => {
                write!(
                    f,
                    "{} is used by another server; stop that one, or choose another place",
                    path.display()
                )
            }
            StoreError::Corrupt { path, offset, what } => write!(
                f,
                "{} is damaged at byte {offset}: {what}; `ringgear store salvage` writes what is intact to a new place",
                path.display()
            ),
            StoreError::Version { path, found } => {
                write!(f, "{} was not written by this version of ringgear: {found}", path.display())
            }
            StoreError::Field { path, place, tag } => write!(
                f,
                "{}, {place}: a job has field {tag}, which this version of ringgear does not know and must not pass over; \
                 start the version that wrote it, or a later one",
                path.display()
            ),
            StoreError::Database { name, what } => write!(f, "{name}: {what}"),
            StoreError::Sealed => {
                f.write_str("a write has failed earlier; start the server again when the disk is well")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
