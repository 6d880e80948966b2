//! gearmand's table, and our own beside it, in an SQLite database. What stands in them is `sql/scheme.rs`, when what is
//! written is the store's affair (`sqlite/mod.rs`).
//!
//! gearmand creates its table as here, and it is left as it is so that gearmand can have the file again:
//!
//! ```sql
//! CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,
//!                             when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))
//! ```
//!
//! The rowid is the job's number: so handles survive, jobs come back in their order, ends need no search, and nothing
//! more is written for a plain job. gearmand gives its rows the next rowid. Such rows are found by it until their job
//! ends; their jobs get new numbers at each start. Our own table beside it:
//!
//! ```sql
//! CREATE TABLE gearman_queue_ringgear (number INTEGER PRIMARY KEY, unique_key TEXT, function_name TEXT,
//!                                      digest INTEGER, record BLOB, UNIQUE (unique_key, function_name))
//! ```
use super::fault::Fault;
use super::guard;
use super::names::TableNames;
use super::value::{columns, value};
use super::writer::Writer;
use crate::engine::{JobId, StoredJob};
use crate::store::record::Record;
use crate::store::sql::key;
use crate::store::sql::numbers::{NewNumbers, job_of, row_of};
use crate::store::sql::rows::{dead_job_in, job_in};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// How long another process may hold the database before we give up, as in gearmand.
const BUSY: Duration = Duration::from_secs(6);

/// How long to wait for whoever reads, where that would only be nicer.
const READERS: Duration = Duration::from_millis(500);

/// What SQLite may remember of the file. Uniques are random, and so are the pages of the index that they go to.
const CACHE_KIB: i64 = 64 << 10;

/// What `max_page_count` is when nobody has told: more than the file can have.
const PAGES_MAX: i64 = 0xffff_fffe;

/// Both tables of one database.
#[derive(Debug)]
pub(super) struct Tables {
    connection: Connection,
    /// Bytes of a page.
    page: u64,
    /// The names, quoted.
    names: TableNames,
    /// Which row is a job's, where its rowid is not the job's number.
    rows: HashMap<JobId, i64>,
    /// Jobs that have a row in our own table, or had one and may not have it any more.
    beside: HashSet<JobId>,
}

impl Tables {
    /// Opens or makes the database and both tables. Others may read it while it is open, if the file system can do that. The
    /// write-ahead log is copied into the file, within a commit, when it has this many bytes: a page that many commits
    /// change is copied once.
    pub(super) fn open(path: &Path, name: &str, log_bytes: u64) -> Result<Tables, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let encoding: String = connection.query_row("PRAGMA encoding", (), |row| row.get(0))?;
        if encoding != "UTF-8" {
            return Err(Fault::Other(format!(
                "its text is {encoding}; only UTF-8 keeps uniques as they are"
            )));
        }
        // Before anything is written: a crash may have left the guard, and then only who knows it may insert.
        guard::know(&connection)?;
        let logged = write_ahead(&connection)?;
        // Without a write-ahead log, a commit is durable when the removal of the journal is.
        connection.pragma_update(None, "synchronous", if logged { "FULL" } else { "EXTRA" })?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let page: i64 = connection.query_row("PRAGMA page_size", (), |row| row.get(0))?;
        let page = page.unsigned_abs().max(1);
        let log_pages = i64::try_from(log_bytes / page).unwrap_or(i64::MAX);
        connection.pragma_update(None, "wal_autocheckpoint", log_pages.max(1))?;
        let names = TableNames::of(name);
        create(&mut connection, name, &names)?;
        Ok(Tables { connection, page, names, rows: HashMap::new(), beside: HashSet::new() })
    }

    /// Tells every job: the living in the order of their rows, then the dead. From here on no gearmand can start on the
    /// table.
    pub(super) fn replay(&mut self, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<(), Fault> {
        // Before anything is read: what gearmand would insert behind the reading would be run by nobody.
        guard::stand(&self.connection, &self.names)?;
        self.rows.clear();
        self.beside.clear();
        // Numbers first: each row must have one that no other job has, before any job is told under it.
        let mut numbers = self.part_numbers()?;
        let stale = self.replay_living(&mut numbers, each)?;
        self.replay_dead(each)?;
        let transaction = self.connection.transaction()?;
        for number in stale {
            transaction.execute(&format!("DELETE FROM {} WHERE number = ?1", self.names.ours), [number])?;
        }
        Ok(transaction.commit()?)
    }

    /// How many rows both tables have: living jobs, and dead ones.
    pub(super) fn counts(&self) -> Result<(u64, u64), Fault> {
        let TableNames { theirs, ours, .. } = &self.names;
        let sql = format!(
            "SELECT (SELECT count(*) FROM {theirs}), (SELECT count(*) FROM {ours} WHERE unique_key IS NULL)"
        );
        let (living, dead): (i64, i64) =
            self.connection.query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((living.unsigned_abs(), dead.unsigned_abs()))
    }

    /// Drops what we know of jobs that gearmand has ended, and moves rows of gearmand away from numbers that jobs of
    /// ours have: it reuses the highest rowid when its row is gone. Returns numbers above all that are known.
    fn part_numbers(&mut self) -> Result<NewNumbers, Fault> {
        let mut numbers = NewNumbers::above(self.highest()?)?;
        let TableNames { theirs, ours, .. } = &self.names;
        let transaction = self.connection.transaction()?;
        transaction.execute(
            &format!(
                "DELETE FROM {ours} WHERE unique_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {theirs} AS t \
                 WHERE t.unique_key = {ours}.unique_key AND t.function_name = {ours}.function_name)"
            ),
            (),
        )?;
        let strangers = {
            let mut statement = transaction.prepare(&format!(
                "SELECT t.rowid FROM {ours} AS o JOIN {theirs} AS t ON t.rowid = o.number \
                 WHERE (o.unique_key = t.unique_key AND o.function_name = t.function_name) IS NOT TRUE \
                 ORDER BY t.rowid"
            ))?;
            let rows = statement.query_map((), |row| row.get::<_, i64>(0))?;
            rows.collect::<Result<Vec<i64>, _>>()?
        };
        for row in strangers {
            let sql = format!("UPDATE {theirs} SET rowid = ?1 WHERE rowid = ?2");
            transaction.execute(&sql, [numbers.row()?, row])?;
        }
        transaction.commit()?;
        Ok(numbers)
    }

    /// The highest number of a job or row.
    fn highest(&self) -> Result<i64, Fault> {
        let TableNames { theirs, ours, .. } = &self.names;
        let sql = format!(
            "SELECT max(coalesce((SELECT max(rowid) FROM {theirs}), 0), coalesce((SELECT max(number) FROM {ours}), 0))"
        );
        let mut highest: i64 = self.connection.query_row(&sql, (), |row| row.get(0))?;
        let sql = format!(
            "SELECT unique_key, function_name FROM {theirs} \
             WHERE unique_key >= 'ringgear:' AND unique_key < 'ringgear;'"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (ValueRef::Text(key), ValueRef::Text(function)) = (row.get_ref(0)?, row.get_ref(1)?) else {
                continue;
            };
            if let Some((id, _)) = key::read_generated(key, function) {
                highest = highest.max(i64::try_from(id.number()).unwrap_or(i64::MAX));
            }
        }
        Ok(highest)
    }

    /// Tells the jobs of gearmand's table. Returns the rows of our own table that are about jobs that have ended.
    fn replay_living(
        &mut self,
        numbers: &mut NewNumbers,
        each: &mut dyn FnMut(StoredJob<'_>),
    ) -> Result<Vec<i64>, Fault> {
        let TableNames { theirs, ours, .. } = &self.names;
        let mut statement = self.connection.prepare(&format!(
            "SELECT t.rowid, t.unique_key, t.function_name, t.priority, t.data, t.when_to_run, \
             o.number, o.digest, o.record FROM {theirs} AS t LEFT JOIN {ours} AS o \
             ON o.unique_key = t.unique_key AND o.function_name = t.function_name ORDER BY t.rowid"
        ))?;
        let mut taken = self.connection.prepare(&format!(
            "SELECT EXISTS (SELECT 1 FROM {theirs} WHERE rowid = ?1) OR EXISTS (SELECT 1 FROM {ours} WHERE number = ?1)"
        ))?;
        let mut stale = Vec::new();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (rowid, columns) = columns(row)?;
            if let Some(number) = row.get::<_, Option<i64>>(6)? {
                let known = job_in(number, value(row, 8)?, ours)?;
                let fits = row.get::<_, i64>(7)? == columns.digest() && known.function == &*columns.function;
                if fits && self.beside.insert(known.id) {
                    if number != rowid {
                        self.rows.insert(known.id, rowid);
                    }
                    each(StoredJob { workload: columns.workload, ..known });
                    continue;
                }
                if !fits {
                    stale.push(number);
                }
            }
            let mut id = columns.generated().map(|(id, _)| id).or_else(|| job_of(rowid, &columns.function));
            if let Some(told) = id.filter(|&id| row_of(id) != Ok(rowid)) {
                // Somebody has moved the row. Its number may have been given again since.
                let number = row_of(told).unwrap_or(i64::MAX);
                let is_taken = taken.query_row([number], |row| row.get::<_, bool>(0))?;
                id = (!is_taken && !self.rows.contains_key(&told)).then_some(told);
            }
            let id = id.unwrap_or_else(|| numbers.job(&columns.function));
            if row_of(id) != Ok(rowid) {
                self.rows.insert(id, rowid);
            }
            each(columns.job(rowid, id)?);
        }
        Ok(stale)
    }

    fn replay_dead(&mut self, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<(), Fault> {
        let ours = &self.names.ours;
        let sql = format!("SELECT number, record FROM {ours} WHERE unique_key IS NULL ORDER BY number");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let job = dead_job_in(number, value(row, 1)?, ours)?;
            self.beside.insert(job.id);
            each(job);
        }
        Ok(())
    }

    /// Writes records in one transaction: all of them, or none. If there are puts, `allows` is asked whether the
    /// database may have this many bytes.
    pub(super) fn write<'r>(
        &mut self,
        records: impl Iterator<Item = Record<'r>>,
        allows: impl FnOnce(u64) -> bool,
    ) -> Result<(), Fault> {
        let mut puts = false;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ended = {
            let mut writer = Writer::new(&transaction, &self.names, &self.rows, &mut self.beside)?;
            for record in records {
                match record {
                    Record::Put(job) => {
                        puts = true;
                        writer.put(&job)?;
                    }
                    Record::Done(id) => writer.done(id)?,
                    Record::Attempts(id, lost) => writer.attempts(id, lost)?,
                }
            }
            std::mem::take(&mut writer.ended)
        };
        // Asked when everything is written and nothing is committed: only now it is known how many pages it takes, and it can
        // still be taken back.
        if puts && !allows(pages(&transaction)?.saturating_mul(self.page)) {
            return Err(Fault::NoRoom);
        }
        // Behind the commit: if it fails, these jobs have their rows.
        transaction.commit()?;
        for id in ended {
            self.rows.remove(&id);
            self.beside.remove(&id);
        }
        Ok(())
    }

    /// Copies the write-ahead log into the file, and takes its room away.
    pub(super) fn checkpoint(&self) -> Result<(), Fault> {
        self.connection.busy_timeout(READERS)?;
        let busy =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0));
        self.connection.busy_timeout(BUSY)?;
        let busy = busy?;
        if busy == 0 { Ok(()) } else { Err(Fault::Other("its log is in use".to_owned())) }
    }

    /// Whether the database may grow; if not, only pages that have become free are used for what is put.
    pub(super) fn may_grow(&self, may: bool) -> Result<(), Fault> {
        let most = if may { PAGES_MAX } else { i64::try_from(pages(&self.connection)?).unwrap_or(PAGES_MAX) };
        let sql = format!("PRAGMA max_page_count = {most}");
        Ok(self.connection.query_row(&sql, (), |_| Ok(()))?)
    }

    /// Runs any SQL.
    #[cfg(test)]
    pub(super) fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Lets gearmand have the table.
    pub(super) fn release(&self) -> Result<(), Fault> {
        guard::leave(&self.connection, &self.names)
    }

    /// Leaves the file as gearmand does, without a write-ahead log, and durable. While somebody reads it, it stays as it is:
    /// gearmand can open that, too.
    pub(super) fn close(self) -> Result<(), Fault> {
        // The guard first: while somebody reads, the rest is left undone, and gearmand can open that, too.
        self.release()?;
        self.connection.busy_timeout(READERS)?;
        let mode = self
            .connection
            .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0))
            .map_err(Fault::Sql);
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("delete") || mode.eq_ignore_ascii_case("wal") => {}
            Ok(mode) => return Err(Fault::Other(format!("it stays in journal mode {mode}"))),
            Err(fault) if fault.is_busy() => {}
            Err(fault) => return Err(fault),
        }
        self.connection.close().map_err(|(_, error)| Fault::Sql(error))
    }
}

/// Has commits go to a write-ahead log: then nobody who reads waits for us, nor we for them. Where processes cannot share
/// memory (some network file systems) nobody else can read; false where there can be no such log at all.
fn write_ahead(connection: &Connection) -> Result<bool, Fault> {
    let set = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let in_wal = || {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", set)?;
        // It shows when the log is first used whether its index can be shared.
        connection.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get::<_, i64>(0))?;
        Ok(mode.eq_ignore_ascii_case("wal"))
    };
    match in_wal() {
        Ok(true) => return Ok(true),
        Err(error) => {
            let fault = Fault::Sql(error);
            if fault.is_busy() {
                return Err(fault);
            }
        }
        Ok(false) => {}
    }
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(in_wal()?)
}

/// How many pages the database has, with what is not committed yet.
fn pages(connection: &Connection) -> Result<u64, Fault> {
    let pages: i64 = connection.prepare_cached("PRAGMA page_count")?.query_row((), |row| row.get(0))?;
    Ok(pages.unsigned_abs())
}

/// Makes what is missing: both tables, and in very old ones the column of times.
fn create(
    connection: &mut Connection,
    name: &str,
    TableNames { theirs, ours, .. }: &TableNames,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {theirs} (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB, \
         when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))"
    ))?;
    let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = 'when_to_run' COLLATE NOCASE";
    let has_times: bool = transaction.query_row(sql, [name], |row| row.get(0))?;
    if !has_times {
        transaction.execute_batch(&format!("ALTER TABLE {theirs} ADD COLUMN when_to_run INTEGER"))?;
    }
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {ours} (number INTEGER PRIMARY KEY, unique_key TEXT, function_name TEXT, \
         digest INTEGER, record BLOB, UNIQUE (unique_key, function_name))"
    ))?;
    Ok(transaction.commit()?)
}
