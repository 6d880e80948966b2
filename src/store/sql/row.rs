//! One row of gearmand's table: its columns read, and written. gearmand reads its own table strictly, so that a NULL or
//! a number typed by hand stops its start; here, whatever has one meaning only is read.
use super::error::RowError;
use super::key::{self, Origin};
use super::value::ColumnValue;
use crate::engine::{Epoch, JobId, StoredJob};
use crate::protocol::Priority;
use std::borrow::Cow;

/// What gearmand's table keeps of a job.
#[derive(Clone, Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) key: Cow<'a, [u8]>,
    pub(crate) function: Cow<'a, [u8]>,
    pub(crate) priority: Priority,
    pub(crate) workload: &'a [u8],
    /// Seconds since 1970, 0 if there is no such time.
    pub(crate) when_to_run: i64,
}

impl<'a> Columns<'a> {
    /// The columns of a living job, under this key.
    pub(crate) fn of(job: &StoredJob<'a>, key: Cow<'a, [u8]>) -> Columns<'a> {
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

    /// Reads the columns of a row, in the order of [`super::scheme::THEIRS`]. Errors name the row by its number.
    pub(crate) fn read(row: i64, columns: [ColumnValue<'a>; 5]) -> Result<Columns<'a>, RowError> {
        let [key, function, priority, data, when_to_run] = columns;
        let fault = |column, what: String| RowError::Column { row, column, what };
        let key = match key {
            ColumnValue::Null => Cow::Borrowed(&b""[..]),
            value => text(value).map_err(|what| fault("unique_key", what))?,
        };
        let function = text(function).map_err(|what| fault("function_name", what))?;
        if function.contains(&0) || function.len() > usize::from(u16::MAX) {
            return Err(fault("function_name", "no function has this name".to_owned()));
        }
        let priority = match priority {
            ColumnValue::Integer(0) => Priority::High,
            ColumnValue::Integer(2) => Priority::Low,
            _ => Priority::Normal,
        };
        let workload = match data {
            // gearmand 1.1.20 stores an empty workload so, and then does not start again.
            ColumnValue::Null => &[],
            ColumnValue::Blob(bytes) | ColumnValue::Text(bytes) => bytes,
            value => return Err(fault("data", unreadable(value, "bytes"))),
        };
        let when_to_run = match when_to_run {
            ColumnValue::Null => 0,
            ColumnValue::Integer(seconds) => seconds.max(0),
            value => return Err(fault("when_to_run", unreadable(value, "a time in seconds"))),
        };
        Ok(Columns { key, function, priority, workload, when_to_run })
    }

    /// What the key tells, if we have generated it.
    pub(crate) fn generated(&self) -> Option<(JobId, Origin)> {
        key::read_generated(&self.key, &self.function)
    }

    /// Not before this time.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        let seconds = u64::try_from(self.when_to_run).unwrap_or(0);
        (seconds > 0).then(|| Epoch::from_seconds(seconds))
    }

    /// Tells whether what our own table says is about this row, or about an earlier one with the same key, whose job
    /// has ended while gearmand had the file.
    pub(crate) fn digest(&self) -> i64 {
        let digest = crc32c::crc32c(&[self.priority as u8]);
        let digest = crc32c::crc32c_append(digest, &self.when_to_run.to_le_bytes());
        i64::from(crc32c::crc32c_append(digest, self.workload))
    }

    /// The job of this row, of which nothing else is known. `row` is for the error: the key is none that a unique can have.
    pub(crate) fn job(&self, row: i64, id: JobId) -> Result<StoredJob<'_>, RowError> {
        let generated = self.generated().and_then(|(_, origin)| origin.unique());
        let Some(unique) = generated.or_else(|| key::unique(&self.key)) else {
            let what = "is longer than a unique, or has a NUL inside".to_owned();
            return Err(RowError::Column { row, column: "unique_key", what });
        };
        Ok(StoredJob {
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
fn text(value: ColumnValue<'_>) -> Result<Cow<'_, [u8]>, String> {
    match value {
        ColumnValue::Text(bytes) | ColumnValue::Blob(bytes) => Ok(bytes.into()),
        ColumnValue::Integer(number) => Ok(number.to_string().into_bytes().into()),
        ColumnValue::Null | ColumnValue::Real => Err(unreadable(value, "text")),
    }
}

fn unreadable(value: ColumnValue<'_>, wanted: &str) -> String {
    format!("is {}, and {wanted} is wanted", value.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: [ColumnValue<'static>; 5] = [
        ColumnValue::Text(b"u"),
        ColumnValue::Text(b"rev"),
        ColumnValue::Integer(2),
        ColumnValue::Blob(b"w"),
        ColumnValue::Integer(5),
    ];

    #[test]
    fn whatever_has_one_meaning_only_is_read() {
        let columns = Columns::read(1, ROW).unwrap();
        assert_eq!((columns.priority, columns.workload), (Priority::Low, &b"w"[..]));
        assert_eq!(columns.epoch(), Some(Epoch::from_seconds(5)));
        let typed = [
            ColumnValue::Null,
            ColumnValue::Integer(17),
            ColumnValue::Null,
            ColumnValue::Null,
            ColumnValue::Integer(-1),
        ];
        let columns = Columns::read(1, typed).unwrap();
        assert_eq!((&*columns.key, &*columns.function), (&b""[..], &b"17"[..]));
        assert_eq!((columns.priority, columns.workload, columns.epoch()), (Priority::Normal, &b""[..], None));
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (column, value, message) in [
            (0, ColumnValue::Real, "row 7: column unique_key is Real, and text is wanted"),
            (1, ColumnValue::Null, "row 7: column function_name is Null, and text is wanted"),
            (1, ColumnValue::Text(b"a\0"), "row 7: column function_name no function has this name"),
            (3, ColumnValue::Integer(1), "row 7: column data is Integer, and bytes is wanted"),
            (
                4,
                ColumnValue::Text(b"x"),
                "row 7: column when_to_run is Text, and a time in seconds is wanted",
            ),
        ] {
            let mut row = ROW;
            row[column] = value;
            assert_eq!(Columns::read(7, row).unwrap_err().to_string(), message);
        }
        let long =
            Columns::read(7, [ColumnValue::Text(&[b'u'; 70]), ROW[1], ROW[2], ROW[3], ROW[4]]).unwrap();
        let id = JobId::from_number(1 << 20).unwrap();
        let message = "row 7: column unique_key is longer than a unique, or has a NUL inside";
        assert_eq!(long.job(7, id).unwrap_err().to_string(), message);
    }
}
