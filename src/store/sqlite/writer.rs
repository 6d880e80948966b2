//! Records become rows: puts and dones within one transaction. Which tables these are, and how they are read, is
//! `table.rs`.
use super::fault::Fault;
use super::row::Columns;
use crate::engine::{JobId, StoredJob};
use crate::store::record;
use crate::store::sql::key::{self, Origin};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use std::collections::{HashMap, HashSet};

/// What the tables are called, quoted.
#[derive(Debug)]
pub(super) struct Names {
    /// gearmand's table.
    pub(super) theirs: String,
    /// Our own.
    pub(super) ours: String,
    /// The trigger of `guard.rs`.
    pub(super) guard: String,
}

/// Changes both tables within a transaction.
pub(super) struct Writer<'t> {
    transaction: &'t Transaction<'t>,
    names: &'t Names,
    insert: CachedStatement<'t>,
    delete: CachedStatement<'t>,
    insert_ours: CachedStatement<'t>,
    delete_ours: CachedStatement<'t>,
    rows: &'t HashMap<JobId, i64>,
    beside: &'t mut HashSet<JobId>,
    /// Jobs that have neither row any more, once the transaction is committed. Nothing is put after its end.
    pub(super) ended: Vec<JobId>,
}

impl<'t> Writer<'t> {
    /// Prepares for one transaction; `rows` and `beside` are as in [`super::table::Table`].
    pub(super) fn new(
        transaction: &'t Transaction<'t>,
        names: &'t Names,
        rows: &'t HashMap<JobId, i64>,
        beside: &'t mut HashSet<JobId>,
    ) -> Result<Writer<'t>, Fault> {
        let Names { theirs, ours, .. } = names;
        Ok(Writer {
            transaction,
            names,
            insert: transaction.prepare_cached(&format!(
                "INSERT OR IGNORE INTO {theirs} (rowid, unique_key, function_name, priority, data, when_to_run) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            ))?,
            delete: transaction.prepare_cached(&format!("DELETE FROM {theirs} WHERE rowid = ?1"))?,
            insert_ours: transaction.prepare_cached(&format!(
                "INSERT OR REPLACE INTO {ours} (number, unique_key, function_name, digest, record) \
                 VALUES (?1, ?2, ?3, ?4, ?5)"
            ))?,
            delete_ours: transaction.prepare_cached(&format!("DELETE FROM {ours} WHERE number = ?1"))?,
            rows,
            beside,
            ended: Vec::new(),
        })
    }

    fn row_of(&self, id: JobId) -> Result<i64, Fault> {
        self.rows.get(&id).map_or_else(|| row_id(id.number()), |&row| Ok(row))
    }

    /// Puts a job where it belongs, instead of what was kept of it.
    pub(super) fn put(&mut self, job: &StoredJob<'_>) -> Result<(), Fault> {
        let row = self.row_of(job.id)?;
        if self.beside.contains(&job.id) {
            self.delete_ours.execute([row_id(job.id.number())?])?;
        }
        if job.death.is_some() {
            self.delete.execute([row])?;
            return self.put_ours(job, None);
        }
        let (key, tells) = key::of(job.id, job.unique);
        let mut columns = Columns::of(job, key);
        let mut tells_all = tells && is_told(job, &columns);
        if !self.insert(row, &columns)? {
            // Either the job has a row already, or another living job has its key: one that was put back into its
            // queue after it was dead, while a new one had taken its unique.
            self.delete.execute([row])?;
            if !self.insert(row, &columns)? {
                columns.key = key::generated(job.id, Origin::Elsewhere).into();
                tells_all = false;
                if !self.insert(row, &columns)? {
                    return Err(Fault::Other(format!("row {row}: there is a row with this key already")));
                }
            }
        }
        if tells_all { Ok(()) } else { self.put_ours(job, Some(&columns)) }
    }

    fn insert(&mut self, row: i64, columns: &Columns<'_>) -> Result<bool, Fault> {
        let inserted = self.insert.execute(params![
            row,
            text(&columns.key),
            text(&columns.function),
            columns.priority as u8,
            columns.workload,
            columns.when_to_run
        ])?;
        Ok(inserted > 0)
    }

    /// Puts the job into our own table, beside the row with these columns, or alone if it is dead.
    fn put_ours(&mut self, job: &StoredJob<'_>, beside: Option<&Columns<'_>>) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let workload = if beside.is_some() { &[] } else { job.workload };
        record::put(&StoredJob { workload, ..*job }, &mut bytes);
        self.insert_ours.execute(params![
            row_id(job.id.number())?,
            beside.map(|columns| text(&columns.key)),
            text(job.function),
            beside.map(Columns::digest),
            bytes
        ])?;
        self.beside.insert(job.id);
        Ok(())
    }

    /// Notes how many attempts a living job has lost: beside its row, where this is the first that its row does not tell.
    pub(super) fn attempts(&mut self, id: JobId, lost: u8) -> Result<(), Fault> {
        let Names { theirs, ours, .. } = self.names;
        let number = row_id(id.number())?;
        if self.beside.contains(&id) {
            let sql = format!("SELECT record FROM {ours} WHERE number = ?1");
            let known =
                self.transaction.prepare_cached(&sql)?.query_row([number], |row| row.get(0)).optional()?;
            if let Some(mut record) = known.filter(|record: &Vec<u8>| record::length(record).is_ok()) {
                record::set_attempts(&mut record, lost);
                let sql = format!("UPDATE {ours} SET record = ?2 WHERE number = ?1");
                self.transaction.prepare_cached(&sql)?.execute(params![number, record])?;
                return Ok(());
            }
        }
        let sql = format!(
            "SELECT rowid, unique_key, function_name, priority, data, when_to_run FROM {theirs} WHERE rowid = ?1"
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut rows = statement.query([self.row_of(id)?])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let columns = Columns::read(row)?;
        let origin = key::read_generated(&columns.key, &columns.function).map(|(_, origin)| origin);
        match columns.job(id, origin) {
            Some(job) => self.put_ours(&StoredJob { attempts: lost, ..job }, Some(&columns)),
            None => Ok(()),
        }
    }

    /// Drops all that is kept of a job.
    pub(super) fn done(&mut self, id: JobId) -> Result<(), Fault> {
        let row = self.row_of(id)?;
        self.delete.execute([row])?;
        if self.beside.contains(&id) {
            self.delete_ours.execute([row_id(id.number())?])?;
        }
        if self.beside.contains(&id) || self.rows.contains_key(&id) {
            self.ended.push(id);
        }
        Ok(())
    }
}

/// Whether these columns, whose key tells the unique, say all of a living job that is worth another row.
pub(super) fn is_told(job: &StoredJob<'_>, columns: &Columns<'_>) -> bool {
    job.attempts == 0 && job.reducer.is_none() && job.more.is_empty() && columns.epoch() == job.epoch
}

/// A job's number as a rowid.
pub(super) fn row_id(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Other(format!("no row can have the number {number}")))
}

/// Bytes as SQL text, also where they are not UTF-8: SQLite does not mind, and gearmand does the same.
fn text(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(bytes))
}
