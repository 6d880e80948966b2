//! The SQLite store: background jobs in gearmand's table of an SQLite database, one transaction per commit. What is
//! read and written there is `sqlite/table.rs`; where this is done, and who waits for it, is not known here.
//!
//! **A trial of Ringgear can be undone**: a database of gearmand (`-q libsqlite3`) is opened as it is, and after an
//! orderly end, or after a crash, gearmand opens it again and runs what is left. It then sees jobs without a unique
//! under generated uniques, runs reduce jobs as plain ones, forgets lost attempts, and does not see dead jobs.
//!
//! **Two servers on one file**: the second is refused with [`StoreError::Locked`], by a lock on `FILE.ringgear-lock`,
//! which stays when the server has ended and may be removed then. The database is locked as well, so a gearmand that is
//! started meanwhile fails at its first look, and tools such as `sqlite3` must wait for the end of the server. A
//! gearmand that is *already running* holds no lock while it has nothing to write and cannot be seen: stop it first, or
//! jobs that it has read run twice. Its writes fail from then on.
//!
//! **Durability**: write-ahead log and `synchronous=FULL`; what was committed survives a power failure, if the disk
//! keeps what it has acknowledged. The file never shrinks by itself; free pages are used again. SQLite keeps at most
//! 1 GB in one row: a longer workload is refused, and what is committed together with it.
mod fault;
mod key;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use super::record::{self, Record};
use super::{Committed, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use fault::Fault;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::iter;
use std::path::{Path, PathBuf};
use table::Table;

/// gearmand's name for its table.
pub const TABLE: &str = "gearman_queue";

/// Which database, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The database (`--libsqlite3-db`); made if there is none, in a folder that exists.
    pub file: PathBuf,
    /// The table (`--libsqlite3-table`), without a schema: [`TABLE`] unless told. Made if there is none. One more, for
    /// what that table has no column for, is named after it with `_ringgear` at the end.
    pub table: String,
    /// Write jobs at an orderly end only (`--store-queue-on-shutdown`): a crash loses what was accepted since the start.
    /// Jobs that were in the table at the start stay there until they end, as in gearmand 1.1.20, so that a crash does
    /// not lose those; 1.1.21 and later empty the table at once.
    pub on_shutdown_only: bool,
}

impl SqliteOptions {
    /// This file, the usual table, and every job written at once.
    pub fn of(file: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions { file: file.into(), table: TABLE.to_owned(), on_shutdown_only: false }
    }
}

/// Background jobs in an SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    /// `None` when closed.
    table: Option<Table>,
    /// Whoever has it has the file; `None` when closed.
    lock: Option<File>,
    /// Jobs that have ended and are still in the file, because a commit failed.
    owed: BTreeSet<JobId>,
    /// What is on the disk is not known since a sync failed: no puts are taken any more.
    sealed: bool,
    /// With [`SqliteOptions::on_shutdown_only`].
    until_shutdown: Option<UntilShutdown>,
}

/// What is written at the end only.
#[derive(Debug, Default)]
struct UntilShutdown {
    /// Put records, by job: at most as much as the engine holds.
    puts: BTreeMap<JobId, Box<[u8]>>,
    /// Jobs that are in the file.
    in_file: HashSet<JobId>,
}

impl SqliteStore {
    /// Opens a database, or makes it, and locks it. Waits up to 6 seconds for another process that is writing to it.
    pub fn open(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        let path = absolute(&options.file)?;
        let lock = lock(&path)?;
        let SqliteOptions { table, on_shutdown_only, .. } = options;
        let table = Table::open(&path, &table).map_err(|fault| match fault {
            fault if fault.is_busy() => StoreError::Locked { path: path.clone() },
            fault => fault.of(&path),
        })?;
        Ok(SqliteStore {
            path,
            table: Some(table),
            lock: Some(lock),
            owed: BTreeSet::new(),
            sealed: false,
            until_shutdown: on_shutdown_only.then(UntilShutdown::default),
        })
    }

    /// How many jobs are in the file: living, and dead ones.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        let table = self.table.as_ref().ok_or(StoreError::Sealed)?;
        table.counts().map_err(|fault| fault.of(&self.path))
    }

    /// Writes records, after what earlier commits still owe.
    fn write<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) -> Result<(), StoreError> {
        let table = self.table.as_mut().ok_or(StoreError::Sealed)?;
        let owed = self.owed.iter().map(|&id| Record::Done(id));
        match table.write(owed.chain(records)) {
            Ok(()) => {
                self.owed.clear();
                Ok(())
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn failed(&mut self, fault: Fault) -> StoreError {
        self.sealed |= fault.is_failed_sync();
        fault.of(&self.path)
    }

    /// Writes the ends of jobs alone.
    fn write_dones(&mut self, batches: &[&[u8]]) -> Result<(), StoreError> {
        self.owed.extend(records(batches).filter_map(|record| match record {
            Record::Put(_) => None,
            Record::Done(id) => Some(id),
        }));
        if self.owed.is_empty() { Ok(()) } else { self.write(iter::empty()) }
    }

    fn commit_now(&mut self, batches: &[&[u8]]) -> Committed {
        let puts = || records(batches).any(|record| matches!(record, Record::Put(_)));
        let puts = if self.sealed {
            if puts() { Err(StoreError::Sealed) } else { Ok(()) }
        } else {
            match self.write(records(batches)) {
                Ok(()) => return Committed::all(),
                Err(error) => {
                    if puts() {
                        Err(error)
                    } else {
                        Ok(())
                    }
                }
            }
        };
        // There may be room for this, or it may have been the puts that were refused.
        Committed { puts, dones: self.write_dones(batches) }
    }
}

impl Store for SqliteStore {
    /// Tells the living in the order of their numbers, which is the order in which each function accepted them, behind
    /// those that gearmand left; then the dead.
    fn replay(&mut self, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<(), StoreError> {
        let table = self.table.as_mut().ok_or(StoreError::Sealed)?;
        let mut in_file = self.until_shutdown.as_mut().map(|until| &mut until.in_file);
        let told = table.replay(&mut |job| {
            if let Some(in_file) = &mut in_file {
                in_file.insert(job.id);
            }
            each(job);
        });
        told.map_err(|fault| fault.of(&self.path))
    }

    fn commit(&mut self, batches: &[&[u8]]) -> Committed {
        let Some(until) = &mut self.until_shutdown else { return self.commit_now(batches) };
        for record in records(batches) {
            match record {
                Record::Put(job) => {
                    let mut bytes = Vec::new();
                    record::put(&job, &mut bytes);
                    until.puts.insert(job.id, bytes.into());
                }
                Record::Done(id) => {
                    until.puts.remove(&id);
                    if until.in_file.remove(&id) {
                        self.owed.insert(id);
                    }
                }
            }
        }
        Committed { puts: Ok(()), dones: self.write_dones(&[]) }
    }

    /// Nothing to do: SQLite makes room when it commits.
    fn tidy(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Leaves a file that gearmand can open. If this fails, everything that was acknowledged is in the file all the
    /// same, except with [`SqliteOptions::on_shutdown_only`].
    fn close(&mut self) -> Result<(), StoreError> {
        if self.table.is_none() {
            return Ok(());
        }
        if let Some(until) = self.until_shutdown.take() {
            let puts: Vec<&[u8]> = until.puts.values().map(|bytes| &**bytes).collect();
            let written = self.write(records(&puts));
            if written.is_err() {
                self.until_shutdown = Some(until);
                return written;
            }
        } else if !self.owed.is_empty() {
            self.write(iter::empty())?;
        }
        let Some(table) = self.table.take() else { return Ok(()) };
        let closed = table.close();
        self.lock = None;
        closed.map_err(|fault| fault.of(&self.path))
    }
}

/// The records of some batches.
fn records<'a>(batches: &[&'a [u8]]) -> impl Iterator<Item = Record<'a>> {
    batches.iter().flat_map(|&batch| {
        let mut rest = batch;
        iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            // Our own shards wrote them a moment ago.
            let (record, length) =
                record::read(rest).unwrap_or_else(|error| panic!("a batch holds whole records: {error}"));
            rest = &rest[length..];
            Some(record)
        })
    })
}

/// The file under one name, however it was named, so that there is one lock.
fn absolute(file: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(path) = file.canonicalize() {
        return Ok(path);
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let refused = |source| StoreError::Io { doing: "open", path: file.to_owned(), source };
    let name = file.file_name().ok_or_else(|| refused(std::io::ErrorKind::IsADirectory.into()))?;
    Ok(folder.canonicalize().map_err(refused)?.join(name))
}

/// Locks the file against other servers like this one.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = OsString::from(path);
    name.push(".ringgear-lock");
    let refused = |source| StoreError::Io { doing: "lock", path: PathBuf::from(&name), source };
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(&name).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}
