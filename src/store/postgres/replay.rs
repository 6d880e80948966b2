//! Reads both tables at the start, row by row as they come over the wire, and gives numbers to rows that have none. What a row
//! means is `sql/row.rs` and `sql/rows.rs`.
use super::changes::{BESIDE, DEAD};
use super::fault::PgFault;
use super::names::PgTables;
use super::rows::column_value;
use super::session::PgSession;
use super::shape::TableShape;
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::Progress;
use crate::store::book::Book;
use crate::store::sql::numbers::{NewNumbers, job_of, row_of};
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, RowStream};

/// Rows that get numbers in one statement.
const PIECE: usize = 10_000;

/// For this transaction: nobody else is in a hurry, and rows come by the index, as long as shards take them, instead of being
/// sorted on the disk first.
const PATIENT: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
     SET LOCAL enable_sort = off";

/// Rows that are to get numbers: where each stands, and which.
#[derive(Default)]
struct Unnumbered {
    places: Vec<String>,
    numbers: Vec<i64>,
}

/// What a replay hears.
pub(super) struct ReplayListener<'a> {
    pub(super) each: &'a mut dyn FnMut(StoredJob<'_>),
    pub(super) progress: &'a mut dyn FnMut(Progress),
}

/// Tells every job: the living in the order of their numbers, then those that have none yet in the order in which they stand,
/// then those that stand alone in our own table. Returns what is there now.
pub(super) async fn replay(
    session: &PgSession,
    shape: &TableShape,
    listener: ReplayListener<'_>,
) -> Result<Book, PgFault> {
    let (client, names) = (&session.client, &shape.names);
    let ReplayListener { each, progress } = listener;
    client.batch_execute(PATIENT).await?;
    let PgTables { theirs, ours, .. } = names;
    let sql = format!(
        "SELECT (SELECT count(*) FROM {theirs}) + (SELECT count(*) FROM {ours} WHERE kind <> 0), \
         greatest((SELECT max(ringgear_number) FROM {theirs}), (SELECT max(number) FROM {ours}))"
    );
    let row = session.one_row(&sql, &[]).await?;
    let (jobs, highest): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    progress(Progress::Telling { jobs: jobs.unsigned_abs() });
    let mut numbers = NewNumbers::above(highest.unwrap_or(0))?;
    let (mut book, mut unnumbered) = (Book::default(), Unnumbered::default());
    let mut told = |job: StoredJob<'_>, alone: bool, beside: bool| -> Result<(), PgFault> {
        book.note(row_of(job.id)?, alone, beside);
        each(job);
        Ok(())
    };
    let sql = format!(
        "SELECT t.unique_key, t.function_name, t.priority, t.data, t.when_to_run, t.ringgear_number, t.ctid::text, \
         o.attempts, o.record, o.number IS NOT NULL FROM {theirs} AS t LEFT JOIN {ours} AS o \
         ON o.number = t.ringgear_number AND o.kind = 0 WHERE t.ringgear_number IS NOT NULL ORDER BY t.ringgear_number"
    );
    let mut rows = pin!(stream(client, &sql).await?);
    while let Some(row) = next(rows.as_mut()).await? {
        let number: i64 = row.try_get(5)?;
        let columns = columns(&row, number)?;
        let Some(id) = job_of(number, &columns.function) else {
            // Somebody has changed its function: the number is not one of that.
            told(unnumbered.job(&row, &columns, &mut numbers)?, false, false)?;
            continue;
        };
        let job = living(&row, id, &columns, shape, ours)?;
        told(job, false, row.try_get(9)?)?;
    }
    let sql = format!(
        "SELECT unique_key, function_name, priority, data, when_to_run, NULL::int8, ctid::text FROM {theirs} \
         WHERE ringgear_number IS NULL"
    );
    let mut rows = pin!(stream(client, &sql).await?);
    while let Some(row) = next(rows.as_mut()).await? {
        let columns = columns(&row, -1)?;
        told(unnumbered.job(&row, &columns, &mut numbers)?, false, false)?;
    }
    let sql = format!("SELECT number, kind, attempts, record FROM {ours} WHERE kind <> 0 ORDER BY number");
    let mut rows = pin!(stream(client, &sql).await?);
    while let Some(row) = next(rows.as_mut()).await? {
        told(alone(&row, ours)?, true, true)?;
    }
    unnumbered.number(client, names).await?;
    // What is about jobs that gearmand has ended.
    let sql = format!(
        "DELETE FROM {ours} WHERE kind = 0 AND NOT EXISTS (SELECT FROM {theirs} WHERE ringgear_number = {ours}.number)"
    );
    client.batch_execute(&sql).await?;
    client.batch_execute("COMMIT").await?;
    Ok(book)
}

async fn stream(client: &Client, sql: &str) -> Result<RowStream, PgFault> {
    Ok(client.query_typed_raw(sql, std::iter::empty::<(&str, Type)>()).await?)
}

async fn next(mut rows: Pin<&mut RowStream>) -> Result<Option<Row>, PgFault> {
    Ok(poll_fn(|context| rows.as_mut().poll_next(context)).await.transpose()?)
}

/// gearmand's columns, which come first.
fn columns(row: &Row, number: i64) -> Result<Columns<'_>, PgFault> {
    let values = [
        column_value(row, 0)?,
        column_value(row, 1)?,
        column_value(row, 2)?,
        column_value(row, 3)?,
        column_value(row, 4)?,
    ];
    Ok(Columns::read(number, values)?)
}

/// The job of a row that has a number, with what our own table knows of it.
fn living<'r>(
    row: &'r Row,
    id: JobId,
    columns: &'r Columns<'r>,
    shape: &TableShape,
    ours: &str,
) -> Result<StoredJob<'r>, PgFault> {
    let number = row_of(id)?;
    let attempts: Option<i16> = row.try_get(7)?;
    let attempts = attempts.and_then(|lost| u8::try_from(lost).ok()).unwrap_or(0);
    let record = column_value(row, 8)?;
    if record == ColumnValue::Null {
        return Ok(StoredJob { attempts, ..columns.job(number, id)? });
    }
    let known = job_in(number, record, ours)?;
    let theirs = Columns::of(&known, columns.key.as_ref().into());
    // To the millisecond, if the row still says the same second.
    let same_time = theirs.when_to_run.min(shape.latest) == columns.when_to_run;
    let epoch = if same_time { known.epoch } else { columns.epoch() };
    Ok(StoredJob { workload: columns.workload, priority: columns.priority, epoch, attempts, ..known })
}

/// The job of a row that stands alone in our own table.
fn alone<'r>(row: &'r Row, ours: &str) -> Result<StoredJob<'r>, PgFault> {
    let (number, kind, attempts): (i64, i16, i16) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let record = column_value(row, 3)?;
    if kind == DEAD {
        return Ok(dead_job_in(number, record, ours)?);
    }
    let job = job_in(number, record, ours)?;
    Ok(StoredJob { attempts: u8::try_from(attempts).unwrap_or(job.attempts), ..job })
}

impl Unnumbered {
    /// The job of a row that has no number of ours: it gets one.
    fn job<'r>(
        &mut self,
        row: &Row,
        columns: &'r Columns<'r>,
        numbers: &mut NewNumbers,
    ) -> Result<StoredJob<'r>, PgFault> {
        let id = numbers.job(&columns.function);
        let number = row_of(id)?;
        self.places.push(row.try_get(6)?);
        self.numbers.push(number);
        Ok(columns.job(number, id)?)
    }

    /// Writes the numbers into the rows.
    async fn number(&self, client: &Client, names: &PgTables) -> Result<(), PgFault> {
        let sql = format!(
            "UPDATE {theirs} AS t SET ringgear_number = u.n \
             FROM (SELECT p::tid AS p, n FROM unnest($1::text[], $2::int8[]) AS u(p, n)) AS u WHERE t.ctid = u.p",
            theirs = names.theirs
        );
        if self.numbers.len() >= PIECE {
            log_at!(Level::Notice, "{} rows of others get numbers of ours", self.numbers.len());
        }
        for (places, numbers) in self.places.chunks(PIECE).zip(self.numbers.chunks(PIECE)) {
            let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                [(&places, Type::TEXT_ARRAY), (&numbers, Type::INT8_ARRAY)];
            let numbered = client.execute_typed(&sql, &values).await?;
            if numbered < numbers.len() as u64 {
                return Err(PgFault::Other(
                    "rows were changed while they were read: stop whoever else works on the table, another job server for instance"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }
}

const _: () = assert!(BESIDE == 0, "statements say so");
