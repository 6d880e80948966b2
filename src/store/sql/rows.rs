//! Which rows a job becomes: gearmand's, our own beside it, or our own alone. What a row of gearmand's means is `row.rs`;
//! how rows are written is each store's affair.
use super::error::RowError;
use super::key::{self, Origin};
use super::numbers;
use super::row::Columns;
use super::value::ColumnValue;
use crate::engine::{JobId, StoredJob};
use crate::store::record::{self, Record, RecordError};

/// The rows of one job.
#[derive(Debug)]
pub(crate) struct JobRows<'a> {
    /// gearmand's row; a dead job has none.
    pub(crate) theirs: Option<Columns<'a>>,
    /// Whether that row says all of the job that is worth another one.
    tells_all: bool,
}

impl<'a> JobRows<'a> {
    /// The rows of this job.
    pub(crate) fn of(job: &StoredJob<'a>) -> JobRows<'a> {
        if job.death.is_some() {
            return JobRows { theirs: None, tells_all: false };
        }
        let (key, tells) = key::of(job.id, job.unique);
        let columns = Columns::of(job, key);
        let tells_all = tells
            && job.attempts == 0
            && job.reducer.is_none()
            && job.more.is_empty()
            && columns.epoch() == job.epoch;
        JobRows { theirs: Some(columns), tells_all }
    }

    /// Whether gearmand's table tells everything of the job but when it was accepted: then nothing else is written of it,
    /// and that is not kept.
    pub(crate) fn is_plain(&self) -> bool {
        self.tells_all
    }

    /// Another living job has the key of this one: one that was put back into its queue after it was dead, while a new one
    /// had taken its unique. From now on the key is one that only this job can have.
    pub(crate) fn take_own_key(&mut self, id: JobId) {
        if let Some(columns) = &mut self.theirs {
            columns.key = key::generated(id, Origin::Elsewhere).into();
            self.tells_all = false;
        }
    }

    /// The row of our own table, if there is to be one.
    pub(crate) fn ours<'r>(&'r self, job: &'r StoredJob<'_>) -> Result<Option<OurRow<'r>>, RowError> {
        if self.tells_all { Ok(None) } else { OurRow::of(job, self.theirs.as_ref()).map(Some) }
    }
}

/// A row of our own table.
#[derive(Debug)]
pub(crate) struct OurRow<'a> {
    /// The job's number.
    pub(crate) number: i64,
    /// The key of its row in gearmand's table, if it has one.
    pub(crate) key: Option<&'a [u8]>,
    /// Its function.
    pub(crate) function: &'a [u8],
    /// [`Columns::digest`] of that row.
    pub(crate) digest: Option<i64>,
    /// Its record: without the workload, if that stands in the other row.
    pub(crate) record: Vec<u8>,
}

impl<'a> OurRow<'a> {
    /// For a job, beside a row of gearmand's table with these columns, or alone.
    pub(crate) fn of(
        job: &'a StoredJob<'_>,
        beside: Option<&'a Columns<'_>>,
    ) -> Result<OurRow<'a>, RowError> {
        let mut record = Vec::new();
        let workload = if beside.is_some() { &[] } else { job.workload };
        record::put(&StoredJob { workload, ..*job }, &mut record);
        Ok(OurRow {
            number: numbers::row_of(job.id)?,
            key: beside.map(|columns| &*columns.key),
            function: job.function,
            digest: beside.map(Columns::digest),
            record,
        })
    }
}

/// The job in the record of a row of our own table, which is called so.
pub(crate) fn job_in<'r>(
    number: i64,
    value: ColumnValue<'r>,
    table: &str,
) -> Result<StoredJob<'r>, RowError> {
    let damaged =
        |what: &str| RowError::Record { table: table.to_owned(), row: number, what: what.to_owned() };
    let ColumnValue::Blob(bytes) = value else { return Err(damaged("it is not bytes")) };
    match record::read(bytes) {
        Ok((Record::Put(job), length))
            if length == bytes.len() && i64::try_from(job.id.number()) == Ok(number) =>
        {
            Ok(job)
        }
        Ok(_) => Err(damaged("it is not that of this row")),
        Err(RecordError::Field(tag)) => Err(RowError::Field { place: format!("{table}, row {number}"), tag }),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// The same of a dead job, which has no row in gearmand's table.
pub(crate) fn dead_job_in<'r>(
    number: i64,
    value: ColumnValue<'r>,
    table: &str,
) -> Result<StoredJob<'r>, RowError> {
    let job = job_in(number, value, table)?;
    match job.death {
        Some(_) => Ok(job),
        None => Err(RowError::Record {
            table: table.to_owned(),
            row: number,
            what: "a living job has no row".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::slot::Slot;
    use crate::engine::{Death, DeathReason, Epoch};
    use crate::protocol::Priority;
    use std::net::Ipv4Addr;

    fn job() -> StoredJob<'static> {
        StoredJob {
            id: JobId::new(77, Slot::of(b"rev")),
            priority: Priority::Normal,
            epoch: None,
            attempts: 0,
            function: b"rev",
            unique: b"u",
            workload: b"w",
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        }
    }

    #[test]
    fn a_plain_job_is_one_row_of_gearmands() {
        for plain in [
            job(),
            StoredJob { accepted: Some(Epoch(1)), ..job() },
            StoredJob { epoch: Some(Epoch(2000)), ..job() },
            StoredJob { unique: b"", ..job() },
        ] {
            let rows = JobRows::of(&plain);
            assert!(rows.is_plain() && rows.theirs.is_some() && rows.ours(&plain).unwrap().is_none());
        }
    }

    #[test]
    fn what_has_no_column_stands_beside() {
        for more in [
            StoredJob { attempts: 1, ..job() },
            StoredJob { reducer: Some(b"r"), ..job() },
            StoredJob { epoch: Some(Epoch(2001)), ..job() },
            StoredJob { more: &[2, 1, 7], ..job() },
            StoredJob { unique: &[b'u'; 64], ..job() },
        ] {
            let rows = JobRows::of(&more);
            let ours = rows.ours(&more).unwrap().unwrap();
            let told = job_in(ours.number, ColumnValue::Blob(&ours.record), "t").unwrap();
            assert_eq!(StoredJob { workload: more.workload, ..told }, more);
            assert_eq!(ours.digest, rows.theirs.as_ref().map(Columns::digest));
            assert!(dead_job_in(ours.number, ColumnValue::Blob(&ours.record), "t").is_err());
        }
    }

    #[test]
    fn a_dead_job_is_one_row_of_ours() {
        let (reason, address) = (DeathReason::WorkerGone, Ipv4Addr::LOCALHOST.into());
        let dead = StoredJob { death: Some(Death { reason, at: Epoch(1), address, worker: b"" }), ..job() };
        let rows = JobRows::of(&dead);
        let ours = rows.ours(&dead).unwrap().unwrap();
        assert!(rows.theirs.is_none() && ours.key.is_none() && ours.digest.is_none());
        assert_eq!(dead_job_in(ours.number, ColumnValue::Blob(&ours.record), "t").unwrap(), dead);
    }

    #[test]
    fn records_of_other_rows_are_refused() {
        let mut bytes = Vec::new();
        record::put(&job(), &mut bytes);
        let number = numbers::row_of(job().id).unwrap();
        let said = |number, value| job_in(number, value, "t").unwrap_err().to_string();
        let other = format!("t, row {}: the record is damaged: it is not that of this row", number + 1);
        assert_eq!(said(number + 1, ColumnValue::Blob(&bytes)), other);
        let text = format!("t, row {number}: the record is damaged: it is not bytes");
        assert_eq!(said(number, ColumnValue::Text(&bytes)), text);
        assert!(said(number, ColumnValue::Blob(&bytes[1..])).starts_with(&format!("t, row {number}: ")));
    }
}
