//! Reads jobs a page at a time: all that have certain owners, in the order of their numbers, those last that stand alone in our own
//! table. So a start and a take-over leave room for other statements in between. What a row means is `sql/row.rs` and `sql/rows.rs`.
use super::changes::DEAD;
use super::fault::PgFault;
use super::names::PgTables;
use super::rows::column_value;
use super::servers::numbers;
use super::session::PgSession;
use super::shape::TableShape;
use crate::engine::slot::Slot;
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use crate::store::servers::{SET_ASIDE, Told, Unreadable};
use crate::store::sql::numbers::{job_of, row_of};
use crate::store::sql::row::Columns;
use crate::store::sql::rows::{dead_job_in, job_in};
use crate::store::sql::value::ColumnValue;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Rows of a page, and bytes of those before its last.
const ROWS: i64 = 4_000;
const BYTES: i64 = 8 << 20;

/// How far rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PgPlace {
    /// All of gearmand's table up to this number.
    Theirs(i64),
    /// The same of our own.
    Ours(i64),
    Over,
}

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct PgReading {
    /// Whose they are; anybody's, if it is not said.
    owners: Option<Vec<i32>>,
    /// Only these numbers, if that is said.
    only: Option<Vec<i64>>,
    unreadable: Unreadable,
    place: PgPlace,
}

impl PgReading {
    /// Of all rows of these owners, or only of these numbers of them.
    pub(super) fn of(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> PgReading {
        PgReading { owners, only, unreadable, place: PgPlace::Theirs(i64::MIN) }
    }

    /// Whether it may take its time.
    pub(super) fn is_patient(&self) -> bool {
        self.unreadable == Unreadable::Error
    }

    /// Tells the next page. True if there are more.
    pub(super) async fn page(
        &mut self,
        session: &PgSession,
        shape: &TableShape,
        each: Told<'_, PgFault>,
    ) -> Result<bool, PgFault> {
        self.place = match self.place {
            PgPlace::Theirs(from) => self.theirs(session, shape, from, each).await?,
            PgPlace::Ours(from) => self.ours(session, shape, from, each).await?,
            PgPlace::Over => PgPlace::Over,
        };
        Ok(self.place != PgPlace::Over)
    }

    async fn theirs(
        &self,
        session: &PgSession,
        shape: &TableShape,
        from: i64,
        each: Told<'_, PgFault>,
    ) -> Result<PgPlace, PgFault> {
        let PgTables { theirs, ours, .. } = &shape.names;
        let sql = format!(
            "WITH page AS (SELECT ringgear_number AS n, sum(coalesce(octet_length(data), 0)) OVER (ORDER BY ringgear_number) \
             - coalesce(octet_length(data), 0) AS before FROM {theirs} WHERE ringgear_number > $1 \
             AND ($2::int4[] IS NULL AND ringgear_owner IS DISTINCT FROM {SET_ASIDE} OR ringgear_owner = ANY($2)) AND ($3::int8[] IS NULL OR ringgear_number = ANY($3)) \
             ORDER BY ringgear_number LIMIT {ROWS}) \
             SELECT t.unique_key, t.function_name, t.priority, t.data, t.when_to_run, t.ringgear_number, t.ctid::text, \
             o.attempts, o.record, o.number IS NOT NULL FROM page JOIN {theirs} AS t ON t.ringgear_number = page.n \
             LEFT JOIN {ours} AS o ON o.number = page.n AND o.kind = 0 WHERE page.before < {BYTES} ORDER BY t.ringgear_number"
        );
        let rows = session.client.query_typed(&sql, &self.values(&from)).await?;
        let (mut last, mut aside) = (None, Vec::new());
        for row in &rows {
            let number: i64 = row.try_get(5)?;
            last = Some(number);
            let told = match columns(row, number) {
                Ok(columns) => match job_of(number, &columns.function) {
                    Some(id) => living(row, id, &columns, shape, ours)
                        .and_then(|job| each(job, false, row.try_get(9)?)),
                    // What our own table knows is about another job then.
                    None => {
                        let id = renumber(session, shape, row, &columns).await?;
                        columns
                            .job(row_of(id)?, id)
                            .map_err(PgFault::from)
                            .and_then(|job| each(job, false, false))
                    }
                },
                Err(fault) => Err(fault),
            };
            self.look_at(told, number, &mut aside)?;
        }
        if !aside.is_empty() {
            set_aside(session, theirs, ["ringgear_owner", "ringgear_number"], &aside).await?;
        }
        Ok(last.map_or(PgPlace::Ours(i64::MIN), PgPlace::Theirs))
    }

    async fn ours(
        &self,
        session: &PgSession,
        shape: &TableShape,
        from: i64,
        each: Told<'_, PgFault>,
    ) -> Result<PgPlace, PgFault> {
        let ours = &shape.names.ours;
        let sql = format!(
            "WITH page AS (SELECT number AS n, sum(coalesce(octet_length(record), 0)) OVER (ORDER BY number) \
             - coalesce(octet_length(record), 0) AS before FROM {ours} WHERE kind <> 0 AND number > $1 \
             AND ($2::int4[] IS NULL AND owner IS DISTINCT FROM {SET_ASIDE} OR owner = ANY($2)) AND ($3::int8[] IS NULL OR number = ANY($3)) \
             ORDER BY number LIMIT {ROWS}) \
             SELECT o.number, o.kind, o.attempts, o.record FROM page JOIN {ours} AS o ON o.number = page.n \
             WHERE page.before < {BYTES} ORDER BY o.number"
        );
        let rows = session.client.query_typed(&sql, &self.values(&from)).await?;
        let (mut last, mut aside) = (None, Vec::new());
        for row in &rows {
            let number = row.try_get(0)?;
            last = Some(number);
            let told = alone(row, ours).and_then(|job| each(job, true, true));
            self.look_at(told, number, &mut aside)?;
        }
        if !aside.is_empty() {
            set_aside(session, ours, ["owner", "number"], &aside).await?;
        }
        Ok(last.map_or(PgPlace::Over, PgPlace::Ours))
    }

    fn values<'v>(&'v self, from: &'v i64) -> [(&'v (dyn ToSql + Sync), Type); 3] {
        [(from, Type::INT8), (&self.owners, Type::INT4_ARRAY), (&self.only, Type::INT8_ARRAY)]
    }

    /// What becomes of a row that could not be told.
    fn look_at(&self, told: Result<(), PgFault>, number: i64, aside: &mut Vec<i64>) -> Result<(), PgFault> {
        match (told, self.unreadable) {
            (Err(fault), Unreadable::SetAside) => {
                log_at!(
                    Level::Error,
                    "the store: a row is set aside, kept and not run, with {SET_ASIDE} as its owner: {fault}"
                );
                aside.push(number);
                Ok(())
            }
            (told, _) => told,
        }
    }
}

/// About how many jobs these owners have.
pub(super) async fn count(
    session: &PgSession,
    shape: &TableShape,
    reading: &PgReading,
) -> Result<u64, PgFault> {
    let PgTables { theirs, ours, .. } = &shape.names;
    let sql = format!(
        "SELECT (SELECT count(*) FROM {theirs} WHERE $1::int4[] IS NULL OR ringgear_owner = ANY($1)) \
         + (SELECT count(*) FROM {ours} WHERE kind <> 0 AND ($1::int4[] IS NULL OR owner = ANY($1)))"
    );
    let jobs: i64 = session.one_row(&sql, &[(&reading.owners, Type::INT4_ARRAY)]).await?.try_get(0)?;
    Ok(jobs.unsigned_abs())
}

/// Drops what is about jobs that gearmand has ended.
pub(super) async fn drop_leftovers(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let PgTables { theirs, ours, .. } = &shape.names;
    let sql = format!(
        "DELETE FROM {ours} WHERE kind = 0 AND NOT EXISTS (SELECT FROM {theirs} WHERE ringgear_number = {ours}.number)"
    );
    Ok(session.client.batch_execute(&sql).await?)
}

/// Keeps rows that cannot be read, for somebody to look at.
async fn set_aside(
    session: &PgSession,
    table: &str,
    [owner, number]: [&str; 2],
    numbers: &Vec<i64>,
) -> Result<(), PgFault> {
    let sql = format!("UPDATE {table} SET {owner} = {SET_ASIDE} WHERE {number} = ANY($1::int8[])");
    session.client.execute_typed(&sql, &[(numbers, Type::INT8_ARRAY)]).await?;
    Ok(())
}

/// Somebody has changed the function of a row, so its number is not one of that: it gets another one, under which it may be read
/// once more.
async fn renumber(
    session: &PgSession,
    shape: &TableShape,
    row: &Row,
    columns: &Columns<'_>,
) -> Result<JobId, PgFault> {
    let sequence = numbers(session, shape, 1, 0).await?.start;
    let id = JobId::new(sequence, Slot::of(&columns.function));
    let (place, number): (String, i64) = (row.try_get(6)?, row_of(id)?);
    let sql = format!(
        "UPDATE {} SET ringgear_number = $1 WHERE ctid = $2::text::tid RETURNING ringgear_number",
        shape.names.theirs
    );
    session.one_row(&sql, &[(&number, Type::INT8), (&place, Type::TEXT)]).await?;
    Ok(id)
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
