//! One row of gearmand's table: its columns read, and written. gearmand reads its own table strictly, so that a NULL or
//! a number typed by hand stops its start; here, whatever has one meaning only is read.
use super::fault::Fault;
use crate::engine::{Epoch, JobId, StoredJob};
use crate::protocol::Priority;
use crate::store::sql::key;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// What gearmand's table keeps of a job.
#[derive(Clone, Debug)]
pub(super) struct Columns<'a> {
    pub(super) key: Cow<'a, [u8]>,
    pub(super) function: Cow<'a, [u8]>,
    pub(super) priority: Priority,
    pub(super) workload: &'a [u8],
    /// Seconds since 1970, 0 if there is no such time.
    pub(super) when_to_run: i64,
}

impl<'a> Columns<'a> {
    /// The columns of a living job, under this key.
    pub(super) fn of(job: &StoredJob<'a>, key: Cow<'a, [u8]>) -> Columns<'a> {
        // Rounded up: gearmand counts in seconds, and no job may run before its time.
        let when_to_run = job.epoch.map_or(0, |Epoch(milliseconds)| milliseconds.div_ceil(1000));
        Columns {
            key,
            function: job.function.into(),
            priority: job.priority,
            workload: job.workload,
            when_to_run: i64::try_from(when_to_run).unwrap_or(i64::MAX),
        }
    }

    /// Reads unique_key, function_name, priority, data and when_to_run from the columns 1 to 5; 0 is the row's number,
    /// which errors name.
    pub(super) fn read(row: &'a Row<'_>) -> Result<Columns<'a>, Fault> {
        let id: i64 = row.get(0)?;
        let fault = |column, what: String| Fault::Row { row: id, column, what };
        let key = match row.get_ref(1)? {
            ValueRef::Null => Cow::Borrowed(&b""[..]),
            value => text(value).map_err(|what| fault("unique_key", what))?,
        };
        let function = text(row.get_ref(2)?).map_err(|what| fault("function_name", what))?;
        if function.contains(&0) || function.len() > usize::from(u16::MAX) {
            return Err(fault("function_name", "no function has this name".to_owned()));
        }
        let priority = match row.get_ref(3)? {
            ValueRef::Integer(0) => Priority::High,
            ValueRef::Integer(2) => Priority::Low,
            _ => Priority::Normal,
        };
        let workload = match row.get_ref(4)? {
            // gearmand 1.1.20 stores an empty workload so, and then does not start again.
            ValueRef::Null => &[],
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes,
            value => return Err(fault("data", unreadable(value, "bytes"))),
        };
        let when_to_run = match row.get_ref(5)? {
            ValueRef::Null => 0,
            ValueRef::Integer(seconds) => seconds.max(0),
            value => return Err(fault("when_to_run", unreadable(value, "a time in seconds"))),
        };
        Ok(Columns { key, function, priority, workload, when_to_run })
    }

    /// Not before this time.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        let seconds = u64::try_from(self.when_to_run).unwrap_or(0);
        (seconds > 0).then(|| Epoch::from_seconds(seconds))
    }

    /// Tells whether what our own table says is about this row, or about an earlier one with the same key, whose job
    /// has ended while gearmand had the file.
    pub(super) fn digest(&self) -> i64 {
        let digest = crc32c::crc32c(&[self.priority as u8]);
        let digest = crc32c::crc32c_append(digest, &self.when_to_run.to_le_bytes());
        i64::from(crc32c::crc32c_append(digest, self.workload))
    }

    /// The job in this row, of which nothing else is known.
    pub(super) fn job<'b>(&'b self, id: JobId, origin: Option<key::Origin>) -> Option<StoredJob<'b>> {
        let unique = match origin.and_then(key::Origin::unique) {
            Some(unique) => unique,
            None => key::unique(&self.key)?,
        };
        Some(StoredJob {
            id,
            priority: self.priority,
            epoch: self.epoch(),
            attempts: 0,
            function: &self.function,
            unique,
            workload: self.workload,
            reducer: None,
            death: None,
            accepted: None,
            more: b"",
        })
    }
}

/// Text, also where it was stored as bytes or looks like a whole number.
fn text(value: ValueRef<'_>) -> Result<Cow<'_, [u8]>, String> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes.into()),
        ValueRef::Integer(number) => Ok(number.to_string().into_bytes().into()),
        ValueRef::Null | ValueRef::Real(_) => Err(unreadable(value, "text")),
    }
}

fn unreadable(value: ValueRef<'_>, wanted: &str) -> String {
    format!("is {}, and {wanted} is wanted", value.data_type())
}
