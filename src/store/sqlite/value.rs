//! Values of SQLite as all SQL stores have them, and back.
use super::fault::Fault;
use crate::store::sql::row::Columns;
use crate::store::sql::value::ColumnValue;
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// What stands in a column.
pub(super) fn value<'r>(row: &'r Row<'_>, column: usize) -> Result<ColumnValue<'r>, Fault> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => ColumnValue::Null,
        ValueRef::Integer(number) => ColumnValue::Integer(number),
        ValueRef::Real(_) => ColumnValue::Real,
        ValueRef::Text(bytes) => ColumnValue::Text(bytes),
        ValueRef::Blob(bytes) => ColumnValue::Blob(bytes),
    })
}

/// A row of gearmand's table: the rowid, and behind it the columns of [`crate::store::sql::scheme::THEIRS`].
pub(super) fn columns<'r>(row: &'r Row<'_>) -> Result<(i64, Columns<'r>), Fault> {
    let id: i64 = row.get(0)?;
    let columns = [value(row, 1)?, value(row, 2)?, value(row, 3)?, value(row, 4)?, value(row, 5)?];
    Ok((id, Columns::read(id, columns)?))
}

/// Bytes as SQL text, also where they are not UTF-8: SQLite does not mind, and gearmand does the same.
pub(super) fn text(bytes: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(bytes))
}
