//! Writes the rows of jobs: puts and dones within one transaction. Which rows a job becomes is `sql/rows.rs`, how they are
//! read is `table.rs`.
use super::fault::Fault;
use super::names::TableNames;
use super::value::{columns, text};
use crate::engine::{JobId, StoredJob};
use crate::store::record;
use crate::store::sql::numbers::row_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{JobRows, OurRow};
use crate::store::sql::scheme::{OURS, THEIRS};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use std::collections::{HashMap, HashSet};

/// Changes both tables within a transaction.
pub(super) struct Writer<'t> {
    transaction: &'t Transaction<'t>,
    names: &'t TableNames,
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
    /// Prepares for one transaction; `rows` and `beside` are as in [`super::table::Tables`].
    pub(super) fn new(
        transaction: &'t Transaction<'t>,
        names: &'t TableNames,
        rows: &'t HashMap<JobId, i64>,
        beside: &'t mut HashSet<JobId>,
    ) -> Result<Writer<'t>, Fault> {
        let TableNames { theirs, ours, .. } = names;
        Ok(Writer {
            transaction,
            names,
            insert: transaction.prepare_cached(&format!(
                "INSERT OR IGNORE INTO {theirs} (rowid, {THEIRS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            ))?,
            delete: transaction.prepare_cached(&format!("DELETE FROM {theirs} WHERE rowid = ?1"))?,
            insert_ours: transaction.prepare_cached(&format!(
                "INSERT OR REPLACE INTO {ours} ({OURS}) VALUES (?1, ?2, ?3, ?4, ?5)"
            ))?,
            delete_ours: transaction.prepare_cached(&format!("DELETE FROM {ours} WHERE number = ?1"))?,
            rows,
            beside,
            ended: Vec::new(),
        })
    }

    /// The rowid of a job's row in gearmand's table.
    fn rowid(&self, id: JobId) -> Result<i64, Fault> {
        self.rows.get(&id).map_or_else(|| Ok(row_of(id)?), |&row| Ok(row))
    }

    /// Puts a job where it belongs, instead of what was kept of it.
    pub(super) fn put(&mut self, job: &StoredJob<'_>) -> Result<(), Fault> {
        let row = self.rowid(job.id)?;
        // Before anything is inserted: what is beside the job now is about a row that goes.
        if self.beside.contains(&job.id) {
            self.delete_ours.execute([row_of(job.id)?])?;
        }
        let mut rows = JobRows::of(job);
        // Most jobs are new: their row is inserted without a delete before it, which would cost as much again.
        if !self.insert(row, rows.theirs.as_ref())? {
            // The job has a row already, or another living job has its key.
            self.delete.execute([row])?;
            if !self.insert(row, rows.theirs.as_ref())? {
                rows.take_own_key(job.id);
                if !self.insert(row, rows.theirs.as_ref())? {
                    return Err(Fault::Other(format!("row {row}: there is a row with this key already")));
                }
            }
        }
        match rows.ours(job)? {
            Some(ours) => self.put_ours(job.id, &ours),
            None => Ok(()),
        }
    }

    /// Inserts a row of gearmand's; false if there is one with its number or key. Where there is to be none, it goes.
    fn insert(&mut self, row: i64, columns: Option<&Columns<'_>>) -> Result<bool, Fault> {
        let Some(columns) = columns else {
            self.delete.execute([row])?;
            return Ok(true);
        };
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

    fn put_ours(&mut self, id: JobId, row: &OurRow<'_>) -> Result<(), Fault> {
        let OurRow { number, key, function, digest, record } = row;
        self.insert_ours.execute(params![number, key.map(text), text(function), digest, record])?;
        self.beside.insert(id);
        Ok(())
    }

    /// Notes how many attempts a living job has lost: beside its row, where this is the first that its row does not tell.
    pub(super) fn attempts(&mut self, id: JobId, lost: u8) -> Result<(), Fault> {
        let TableNames { theirs, ours, .. } = self.names;
        let number = row_of(id)?;
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
        let sql = format!("SELECT rowid, {THEIRS} FROM {theirs} WHERE rowid = ?1");
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut rows = statement.query([self.rowid(id)?])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let (row, columns) = columns(row)?;
        let Ok(job) = columns.job(row, id) else { return Ok(()) };
        let job = StoredJob { attempts: lost, ..job };
        let ours = OurRow::of(&job, Some(&columns))?;
        self.put_ours(id, &ours)
    }

    /// Drops all that is kept of a job.
    pub(super) fn done(&mut self, id: JobId) -> Result<(), Fault> {
        let row = self.rowid(id)?;
        self.delete.execute([row])?;
        if self.beside.contains(&id) {
            self.delete_ours.execute([row_of(id)?])?;
        }
        if self.beside.contains(&id) || self.rows.contains_key(&id) {
            self.ended.push(id);
        }
        Ok(())
    }
}
