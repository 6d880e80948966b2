//! What a job becomes in MySQL: rows of `sql/rows.rs`, but for what only this table cannot have. Which statements write them is
//! `writer.rs`.
use super::shape::MyShape;
use crate::engine::{JobId, StoredJob};
use crate::store::record;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::key::{self, Origin};
use crate::store::sql::numbers::row_of;
use crate::store::sql::row::Columns;
use crate::store::sql::rows::JobRows;

/// Kinds of rows of our own table: beside one of gearmand's, or alone.
pub(super) const BESIDE: i16 = 0;
pub(super) const ALONE: i16 = 1;
pub(super) const DEAD: i16 = 2;

/// A job that is to be kept.
#[derive(Debug)]
pub(super) struct MyPut<'a> {
    pub(super) id: JobId,
    pub(super) number: i64,
    /// gearmand's row, if there is to be one.
    pub(super) theirs: Option<Columns<'a>>,
    /// Our own, if there is to be one.
    pub(super) ours: Option<OurMyRow>,
    job: StoredJob<'a>,
}

/// A row of our own table.
#[derive(Debug)]
pub(super) struct OurMyRow {
    pub(super) kind: i16,
    pub(super) attempts: i16,
    pub(super) record: Vec<u8>,
}

impl<'a> MyPut<'a> {
    pub(super) fn of(job: StoredJob<'a>, shape: &MyShape) -> Result<MyPut<'a>, RemoteFault> {
        let mut rows = JobRows::of(&job);
        let number = row_of(job.id)?;
        if let Some(columns) = &rows.theirs
            && !shape.key.fits(&columns.key)
        {
            rows.take_own_key(job.id);
        }
        let mut plain = rows.is_plain();
        let mut theirs = rows.theirs.take().filter(|_| shape.function.fits(job.function));
        if let Some(columns) = &mut theirs
            && columns.when_to_run > shape.latest
        {
            (columns.when_to_run, plain) = (shape.latest, false);
        }
        let ours = match (&theirs, job.death) {
            (Some(_), _) if plain => None,
            (Some(_), _) => Some(OurMyRow::of(&job, BESIDE)),
            (None, Some(_)) => Some(OurMyRow::of(&job, DEAD)),
            (None, None) => Some(OurMyRow::of(&job, ALONE)),
        };
        Ok(MyPut { id: job.id, number, theirs, ours, job })
    }

    /// Another row has its key: from now on it has one that nobody else can have.
    pub(super) fn take_own_key(&mut self) {
        if let Some(columns) = &mut self.theirs {
            columns.key = key::generated(self.id, Origin::Elsewhere).into();
            self.ours = Some(OurMyRow::of(&self.job, BESIDE));
        }
    }

    pub(super) fn unique(&self) -> &[u8] {
        self.job.unique
    }

    pub(super) fn function(&self) -> &[u8] {
        self.job.function
    }

    /// Whether all of it stands in our own table.
    pub(super) fn is_alone(&self) -> bool {
        self.theirs.is_none()
    }
}

impl OurMyRow {
    fn of(job: &StoredJob<'_>, kind: i16) -> OurMyRow {
        let mut record = Vec::new();
        let workload = if kind == BESIDE { &[] } else { job.workload };
        record::put(&StoredJob { workload, ..*job }, &mut record);
        OurMyRow { kind, attempts: job.attempts.into(), record }
    }
}
