//! Why a row cannot be read or written, before it is known which database it is in. What a driver says is the driver's.
use std::fmt;

/// What is wrong with a row, or with a job that is to become one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowError {
    /// A column of gearmand's table has no meaning.
    Column {
        /// The row's number.
        row: i64,
        /// Which column of it.
        column: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A job has a field with this tag, which a later version wrote, and which must be understood.
    Field {
        /// Where it stands.
        place: String,
        /// The tag.
        tag: u8,
    },
    /// The record in a row of our own table cannot be used.
    Record {
        /// The table.
        table: String,
        /// The row's number.
        row: i64,
        /// What is wrong.
        what: String,
    },
    /// No row can have this number.
    Number(u64),
    /// With a row of this number there are no numbers left for new jobs.
    NoNumbers(i64),
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowError::Column { row, column, what } => write!(f, "row {row}: column {column} {what}"),
            RowError::Field { place, tag } => write!(f, "{place}: field {tag} must be understood"),
            RowError::Record { table, row, what } => {
                write!(f, "{table}, row {row}: the record is damaged: {what}")
            }
            RowError::Number(number) => write!(f, "no row can have the number {number}"),
            RowError::NoNumbers(row) => write!(f, "row {row}: this leaves no numbers for new jobs"),
        }
    }
}
