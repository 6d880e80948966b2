//! Columns of a row as they came over the wire, for `sql/row.rs` to make sense of. No statements.
use super::fault::PgFault;
use crate::store::sql::value::ColumnValue;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The bytes of a value, whatever its type.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What stands in a column.
pub(super) fn column_value(row: &Row, column: usize) -> Result<ColumnValue<'_>, PgFault> {
    let Some(Raw(bytes)) = row.try_get::<_, Option<Raw<'_>>>(column)? else { return Ok(ColumnValue::Null) };
    let kind = row.columns().get(column).map(|column| column.type_().clone());
    Ok(match kind {
        Some(Type::BYTEA) => ColumnValue::Blob(bytes),
        Some(Type::INT2 | Type::INT4 | Type::INT8) => {
            integer(bytes).map_or(ColumnValue::Real, ColumnValue::Integer)
        }
        _ => ColumnValue::Text(bytes),
    })
}

/// A number of two, four or eight bytes.
fn integer(bytes: &[u8]) -> Option<i64> {
    if let Some(bytes) = bytes.first_chunk::<8>() {
        return Some(i64::from_be_bytes(*bytes));
    }
    if let Some(bytes) = bytes.first_chunk::<4>() {
        return Some(i32::from_be_bytes(*bytes).into());
    }
    bytes.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_length_of_their_type() {
        assert_eq!(integer(&[0xff, 0xfe]), Some(-2));
        assert_eq!(integer(&[0, 0, 1, 0]), Some(256));
        assert_eq!(integer(&[0, 0, 0, 1, 0, 0, 0, 0]), Some(1 << 32));
        assert_eq!(integer(&[1]), None);
    }
}
