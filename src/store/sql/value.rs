//! The value of a column, whichever driver has read it.

/// A value as it stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnValue<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number: no column of ours has one.
    Real,
    /// Text, also where its bytes are not UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl ColumnValue<'_> {
    /// What it is, in a word.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            ColumnValue::Null => "Null",
            ColumnValue::Integer(_) => "Integer",
            ColumnValue::Real => "Real",
            ColumnValue::Text(_) => "Text",
            ColumnValue::Blob(_) => "Blob",
        }
    }
}
