//! Reads both tables at the start, row by row as they come over the wire, after rows that have no number got one. What a row
//! means is `sql/row.rs` and `sql/rows.rs`.
use super::names::MyTables;
use super::puts::{BESIDE, DEAD};
use super::shape::MyShape;
use super::text;
use crate::engine::slot::SLOTS;
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::Progress;
use crate::store::book::Book;
use crate::store::remote::RemoteListener;
use crate::store::remote::fault::RemoteFault;
use crate::store::sql::numbers::{NewNumbers, job_of, row_of};
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Conn, Row, Value};

/// While rows come, as long as shards take them.
const PATIENT: &str = "SET SESSION net_write_timeout = 3600, innodb_lock_wait_timeout = 30";
const AS_BEFORE: &str = "SET SESSION net_write_timeout = 60, innodb_lock_wait_timeout = 2";
/// Rows that get numbers in one statement.
const PIECE: u64 = 20_000;
/// From so many on it is said.
const MANY: u64 = 10_000;

/// Tells every job: the living in the order of their numbers, then those that stand alone in our own table. Returns what is there now.
pub(super) fn replay(
    conn: &mut Conn,
    shape: &MyShape,
    listener: RemoteListener<'_>,
) -> Result<Book, RemoteFault> {
    let RemoteListener { each, progress } = listener;
    let MyTables { theirs, ours, .. } = &shape.names;
    conn.query_drop(PATIENT)?;
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM {theirs}) + (SELECT COUNT(*) FROM {ours} WHERE kind <> 0), \
         (SELECT MAX(ringgear_number) FROM {theirs}), (SELECT MAX(number) FROM {ours})"
    );
    let counts: Option<(u64, Option<i64>, Option<i64>)> = conn.query_first(sql)?;
    let (jobs, highest, ours_highest) = counts.unwrap_or_default();
    progress(Progress::Telling { jobs });
    let mut numbers = NewNumbers::above(highest.max(ours_highest).unwrap_or(0))?;
    number(conn, shape, &mut numbers)?;
    let (mut book, mut moved) = (Book::default(), Vec::new());
    let mut told = |job: StoredJob<'_>, alone: bool, beside: bool| -> Result<(), RemoteFault> {
        book.note(row_of(job.id)?, alone, beside);
        each(job);
        Ok(())
    };
    let sql = format!(
        "SELECT t.unique_key, t.function_name, t.priority, t.data, t.when_to_run, t.ringgear_number, o.attempts, o.record, \
         o.number IS NOT NULL FROM {theirs} AS t FORCE INDEX FOR ORDER BY ({}) LEFT JOIN {ours} AS o ON o.number = t.ringgear_number \
         AND o.kind = 0 WHERE t.ringgear_number IS NOT NULL ORDER BY t.ringgear_number",
        shape.index
    );
    for row in conn.query_iter(sql)? {
        let row = row?;
        let number = integer(&row, 5).unwrap_or(0);
        let columns = columns(&row, number)?;
        let Some(id) = job_of(number, &columns.function) else {
            // Somebody has changed its function: the number is not one of that.
            let id = numbers.job(&columns.function);
            moved.push((number, row_of(id)?));
            told(columns.job(number, id)?, false, false)?;
            continue;
        };
        told(living(&row, id, &columns, shape)?, false, integer(&row, 8) == Some(1))?;
    }
    let sql = format!("SELECT number, kind, attempts, record FROM {ours} WHERE kind <> 0 ORDER BY number");
    for row in conn.query_iter(sql)? {
        told(alone(&row?, ours)?, true, true)?;
    }
    for (before, now) in moved {
        conn.query_drop(format!(
            "UPDATE {theirs} SET ringgear_number = {now} WHERE ringgear_number = {before}"
        ))?;
    }
    // What is about jobs that gearmand has ended.
    conn.query_drop(format!(
        "DELETE FROM {ours} WHERE kind = 0 AND NOT EXISTS (SELECT * FROM {theirs} AS t WHERE t.ringgear_number = {ours}.number)"
    ))?;
    conn.query_drop(AS_BEFORE)?;
    Ok(book)
}

/// Gives numbers to rows that have none: by function, for a number tells its job's function, in the order in which rows stand.
fn number(conn: &mut Conn, shape: &MyShape, numbers: &mut NewNumbers) -> Result<(), RemoteFault> {
    let theirs = &shape.names.theirs;
    // Byte by byte: by their collation several may be one.
    let function = match shape.function.is_binary() {
        true => "function_name",
        false => "CAST(CONVERT(function_name USING utf8mb4) AS BINARY)",
    };
    let sql = format!(
        "SELECT {function} AS ringgear_function, COUNT(*) FROM {theirs} WHERE ringgear_number IS NULL GROUP BY ringgear_function"
    );
    let functions: Vec<(Option<Vec<u8>>, u64)> = conn.query(sql)?;
    let all: u64 = functions.iter().map(|(_, count)| count).sum();
    if all >= MANY {
        log_at!(Level::Notice, "{all} rows of others get numbers of ours");
    }
    for (name, count) in functions {
        let Some(name) = name else {
            let what = "a row without a number has no function: column function_name is Null; delete it, or say which";
            return Err(RemoteFault::other(what));
        };
        let first = row_of(numbers.jobs(&name, count))?;
        let mut literal = String::new();
        text::text(&name, true, &mut literal);
        conn.query_drop(format!("SET @ringgear_number = {}", first - i64::from(SLOTS)))?;
        // In pieces: no answer is to take long.
        let mut numbered = 0;
        while numbered < count {
            conn.query_drop(format!(
                "UPDATE {theirs} SET ringgear_number = (@ringgear_number := @ringgear_number + {slots}) \
                 WHERE ringgear_number IS NULL AND {function} = {literal} LIMIT {PIECE}",
                slots = SLOTS
            ))?;
            numbered += conn.affected_rows();
            if conn.affected_rows() == 0 {
                break;
            }
        }
        if numbered != count {
            return Err(RemoteFault::other(
                "rows were changed while they were read: stop whoever else works on the table, another job server for instance",
            ));
        }
    }
    Ok(())
}

/// What stands in a column.
fn column_value(row: &Row, column: usize) -> ColumnValue<'_> {
    let kind = row.columns_ref().get(column).map(|column| column.column_type());
    match row.as_ref(column) {
        None | Some(Value::NULL) => ColumnValue::Null,
        Some(Value::Bytes(bytes)) => match kind {
            Some(
                ColumnType::MYSQL_TYPE_TINY
                | ColumnType::MYSQL_TYPE_SHORT
                | ColumnType::MYSQL_TYPE_INT24
                | ColumnType::MYSQL_TYPE_LONG
                | ColumnType::MYSQL_TYPE_LONGLONG,
            ) => parsed(bytes).map_or(ColumnValue::Real, ColumnValue::Integer),
            _ => ColumnValue::Blob(bytes),
        },
        Some(&Value::Int(number)) => ColumnValue::Integer(number),
        Some(_) => ColumnValue::Real,
    }
}

fn parsed(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn integer(row: &Row, column: usize) -> Option<i64> {
    match column_value(row, column) {
        ColumnValue::Integer(number) => Some(number),
        _ => None,
    }
}

/// gearmand's columns, which come first.
fn columns(row: &Row, number: i64) -> Result<Columns<'_>, RemoteFault> {
    Ok(Columns::read(number, [0, 1, 2, 3, 4].map(|column| column_value(row, column)))?)
}

/// The job of a row, with what our own table knows of it.
fn living<'r>(
    row: &'r Row,
    id: JobId,
    columns: &'r Columns<'r>,
    shape: &MyShape,
) -> Result<StoredJob<'r>, RemoteFault> {
    let number = row_of(id)?;
    let attempts = integer(row, 6).and_then(|lost| u8::try_from(lost).ok()).unwrap_or(0);
    let record = column_value(row, 7);
    if record == ColumnValue::Null {
        return Ok(StoredJob { attempts, ..columns.job(number, id)? });
    }
    let known = job_in(number, record, &shape.names.ours)?;
    let theirs = Columns::of(&known, columns.key.as_ref().into());
    // To the millisecond, if the row still says the same second.
    let same_time = theirs.when_to_run.min(shape.latest) == columns.when_to_run;
    let epoch = if same_time { known.epoch } else { columns.epoch() };
    Ok(StoredJob { workload: columns.workload, priority: columns.priority, epoch, attempts, ..known })
}

/// The job of a row that stands alone in our own table.
fn alone<'r>(row: &'r Row, ours: &str) -> Result<StoredJob<'r>, RemoteFault> {
    let (number, kind) = (integer(row, 0).unwrap_or(0), integer(row, 1));
    let record = column_value(row, 3);
    if kind == Some(DEAD.into()) {
        return Ok(dead_job_in(number, record, ours)?);
    }
    let job = job_in(number, record, ours)?;
    let attempts = integer(row, 2).and_then(|lost| u8::try_from(lost).ok()).unwrap_or(job.attempts);
    Ok(StoredJob { attempts, ..job })
}

const _: () = assert!(BESIDE == 0, "statements say so");
