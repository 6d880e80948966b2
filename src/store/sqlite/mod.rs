//! The SQLite store: background jobs in gearmand's table of an SQLite database, one transaction per commit. What is
//! read and written there is `sqlite/table.rs`; where this is done, and who waits for it, is not known here.
//!
//! **A trial of Ringgear can be undone**: a database of gearmand (`-q libsqlite3`) is opened as it is, and after an
//! orderly end gearmand opens it again and runs what is left. It then sees jobs without a unique
//! under generated uniques, runs reduce jobs as plain ones, forgets lost attempts, and does not see dead jobs.
//!
//! **Others may read** while the server runs: `SELECT` sees what was committed last. Whoever reads for long keeps the
//! write-ahead log from being emptied meanwhile; it grows. Rows that others delete end no job.
//!
//! **Two servers on one file**: the second is refused with [`StoreError::Locked`], by a lock on `FILE.ringgear-lock`,
//! which stays when the server has ended and may be removed then. A gearmand that is started meanwhile ends at once: a
//! trigger (`sqlite/guard.rs`) keeps it from preparing what it needs. The trigger goes with an orderly end; after a crash
//! gearmand says what to do, start and stop Ringgear once (or `ringgear store import`, or drop the trigger). A gearmand
//! that is *already running* cannot be seen: stop it first, or jobs that it has read run twice. Its writes fail from then
//! on.
//!
//! **Durability**: write-ahead log and `synchronous=FULL`; what was committed survives a power failure, if the disk
//! keeps what it has acknowledged. The file never shrinks by itself; free pages are used again. SQLite keeps at most
//! 1 GB in one row: a longer workload is refused.
//!
//! **A full disk**: even a delete needs room in the write-ahead log, and what is in the log needs as much room again in
//! the database before the log can be emptied. So that jobs can end, `FILE.ringgear-reserve` holds an eighth of the file
//! system back, 40 MiB at the most, and the log is kept shorter than that. When the disk is full, the reserve is given
//! up, the log is emptied, and from then on the database may not grow: puts go to pages of jobs that have ended, or are
//! refused. The reserve is made again, and the database grows again, when the disk has room for it twice. An orderly
//! end removes it; after a crash it may be removed.
mod fault;
mod guard;
mod names;
mod reserve;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod writer;

use super::filelock::FileLock;
use super::record::{self, Record, Span};
use super::sql::rows::JobRows;
use super::{Committed, Progress, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use fault::Fault;
use reserve::Reserve;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use table::Tables;

/// gearmand's name for its table.
pub const TABLE: &str = "gearman_queue";

/// Ends of jobs in one transaction, when they are written alone.
const PIECE: usize = 1024;

/// Records of more bytes are committed alone: SQLite refuses the largest, and a transaction with them.
const ALONE: usize = 4 << 20;

/// Between two looks for more room.
const PAUSE: Duration = Duration::from_secs(1);

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
    table: Option<Tables>,
    /// Whoever has it has the file; `None` when closed.
    lock: Option<FileLock>,
    /// Room for ends of jobs; while it is not held, the database does not grow.
    reserve: Reserve,
    /// When to hold the reserve again, at the earliest.
    next_look: Instant,
    /// The log could not be emptied when the reserve was given up.
    log_stays: bool,
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
        // First: everything below changes the file, and what it does to the reserve would be done to another server's.
        let lock = lock(&path)?;
        let SqliteOptions { table, on_shutdown_only, .. } = options;
        let reserve = Reserve::of(&path);
        let table = Tables::open(&path, &table, reserve.log_bytes()).map_err(|fault| match fault {
            fault if fault.is_busy() => StoreError::Locked { path: path.clone() },
            fault => fault.of(&path),
        })?;
        let mut store = SqliteStore {
            path,
            table: Some(table),
            lock: Some(lock),
            reserve,
            next_look: Instant::now(),
            log_stays: false,
            sealed: false,
            until_shutdown: on_shutdown_only.then(UntilShutdown::default),
        };
        // Only when there is little room: a long log costs nothing here, and a checkpoint does.
        if !store.hold_reserve() {
            store.make_room();
        }
        Ok(store)
    }

    /// How many jobs are in the file: living, and dead ones.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        let table = self.table.as_ref().ok_or(StoreError::Sealed)?;
        table.counts().map_err(|fault| fault.of(&self.path))
    }

    /// Writes records, all of them or none.
    fn write<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) -> Result<(), Fault> {
        let Some(table) = self.table.as_mut() else { return Err(Fault::Other("it is closed".to_owned())) };
        let (reserve, path) = (&self.reserve, &self.path);
        let written = table.write(records, |length| {
            // A length that cannot be told is none, which asks for too much room rather than for too little.
            let file = fs::metadata(path).map_or(0, |metadata| metadata.len());
            reserve.allows(length.saturating_sub(file))
        });
        if let Err(fault) = &written {
            self.sealed |= fault.is_failed_sync();
        }
        written
    }

    /// The same, once more after making room if the disk has too little.
    fn write_all(&mut self, slices: &[&[u8]]) -> Result<(), StoreError> {
        let mut written = self.write(records(slices));
        let full = written.as_ref().is_err_and(Fault::is_full);
        if full && self.reserve.bytes() > 0 && !self.reserve.fits() {
            self.make_room();
            written = self.write(records(slices));
        }
        written.map_err(|fault| fault.of(&self.path))
    }

    /// Gives the reserve up for an empty log. The database does not grow any more, so that its log can always be
    /// emptied without more room.
    fn make_room(&mut self) {
        self.reserve.give_up();
        self.next_look = Instant::now() + PAUSE;
        let Some(table) = &self.table else { return };
        // What fails here for want of room is tried again, and shows when something is written.
        let emptied = table.checkpoint().and_then(|()| table.may_grow(false));
        self.log_stays = emptied.is_err();
        self.sealed |= emptied.is_err_and(|fault| fault.is_failed_sync());
    }

    /// Holds the reserve again if there is plenty of room; whether it did.
    fn hold_reserve(&mut self) -> bool {
        self.next_look = Instant::now() + PAUSE;
        let Some(table) = &self.table else { return false };
        if !self.reserve.fits() || !self.reserve.hold() {
            return false;
        }
        if table.may_grow(true).is_err() {
            self.reserve.give_up();
        }
        self.reserve.bytes() > 0
    }

    /// Writes ends of jobs and lost attempts, without puts, in pieces.
    fn write_others<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) -> Result<(), StoreError> {
        let records: Vec<Record<'r>> = records.filter(|record| !matches!(record, Record::Put(_))).collect();
        for piece in records.chunks(PIECE) {
            let mut written = self.write(piece.iter().copied());
            if written.as_ref().is_err_and(Fault::is_full) {
                self.make_room();
                written = self.write(piece.iter().copied());
            }
            written.map_err(|fault| fault.of(&self.path))?;
        }
        Ok(())
    }

    fn commit_now(&mut self, slices: &[&[u8]]) -> Committed {
        let puts = || records(slices).any(|record| matches!(record, Record::Put(_)));
        let refusal = if self.sealed {
            StoreError::Sealed
        } else {
            match self.write_all(slices) {
                Ok(()) => return Committed::all(),
                Err(refusal) => refusal,
            }
        };
        let puts = if puts() { Err(refusal) } else { Ok(()) };
        // There may be room for this, or it may have been the puts that were refused.
        Committed::of(puts, self.write_others(records(slices)))
    }
}

/// Whoever gives up without closing, a start that fails for instance, leaves no guard behind. What was acknowledged is in
/// the file.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            // As after a crash, then.
            let _ = table.release();
        }
    }
}

impl Store for SqliteStore {
    /// Tells the living in the order of their numbers, which is the order in which each function accepted them, behind
    /// those that gearmand left; then the dead.
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let (living, dead) = self.counts()?;
        progress(Progress::Telling { jobs: living + dead });
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

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        let Some(until) = &mut self.until_shutdown else { return self.commit_now(slices) };
        let mut ended = Vec::new();
        for record in records(slices) {
            match record {
                Record::Put(job) => {
                    let mut bytes = Vec::new();
                    record::put(&job, &mut bytes);
                    until.puts.insert(job.id, bytes.into());
                }
                Record::Attempts(id, lost) => {
                    until.puts.get_mut(&id).into_iter().for_each(|put| record::set_attempts(put, lost));
                }
                Record::Done(id) => {
                    until.puts.remove(&id);
                    if until.in_file.contains(&id) {
                        ended.push(id);
                    }
                }
            }
        }
        let dones = self.write_others(ended.iter().map(|&id| Record::Done(id)));
        if let (Ok(()), Some(until)) = (&dones, &mut self.until_shutdown) {
            ended.iter().for_each(|id| _ = until.in_file.remove(id));
        }
        Committed::of(Ok(()), dones)
    }

    /// Whoever has a large job waits for it alone.
    fn alone(&self) -> usize {
        ALONE
    }

    /// SQLite makes room when it commits. What was given up for it is looked for again here.
    fn maintain(&mut self) -> Result<bool, StoreError> {
        let now = Instant::now();
        if self.reserve.bytes() == 0 && now >= self.next_look && !self.hold_reserve() && self.log_stays {
            self.make_room();
        }
        Ok(false)
    }

    fn owes(&self) -> bool {
        false
    }

    /// No column of gearmand's table is for that, and alone it is not worth a second row.
    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        !JobRows::of(job).is_plain()
    }

    /// Leaves a file that gearmand can open. If this fails, everything that was acknowledged is in the file all the
    /// same, except with [`SqliteOptions::on_shutdown_only`].
    fn close(&mut self) -> Result<(), StoreError> {
        if self.table.is_none() {
            return Ok(());
        }
        if let Some(until) = self.until_shutdown.take() {
            let puts: Vec<&[u8]> = until.puts.values().map(|bytes| &**bytes).collect();
            let written = self.write_all(&puts);
            if written.is_err() {
                self.until_shutdown = Some(until);
                return written;
            }
        }
        // Before the database is closed, which copies its log into it and may need the room.
        self.reserve.give_up();
        let Some(table) = self.table.take() else { return Ok(()) };
        let closed = table.close();
        // Last: whoever has the lock finds a file that is closed.
        self.lock = None;
        closed.map_err(|fault| fault.of(&self.path))
    }
}

/// The records of a commit.
fn records<'a>(slices: &[&'a [u8]]) -> impl Iterator<Item = Record<'a>> {
    // Our own shards wrote them a moment ago.
    let read = |span: Span| {
        span.read(slices).unwrap_or_else(|error| panic!("a commit consists of whole records: {error}"))
    };
    record::spans(slices).map(read)
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
fn lock(path: &Path) -> Result<FileLock, StoreError> {
    let mut name = OsString::from(path);
    name.push(".ringgear-lock");
    let refused = |source| StoreError::Io { doing: "lock", path: PathBuf::from(&name), source };
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(&name).map_err(refused)?;
    let lock = FileLock::of(file).map_err(refused)?;
    lock.ok_or_else(|| StoreError::Locked { path: path.to_owned() })
}
