//! Rows that nobody owns become ours: gearmand's, those of applications that enqueue with an INSERT of their own, those that a server
//! has released, and all rows of a table that had no owners yet. They get our number as their owner, and a job's number if they have
//! none. Reading them is `pages.rs`.
use super::fault::{PgFault, PgTrouble};
use super::names::PgTables;
use super::rows::column_value;
use super::servers::numbers;
use super::session::PgSession;
use super::shape::TableShape;
use crate::engine::JobId;
use crate::engine::slot::Slot;
use crate::log_at;
use crate::logging::Level;
use crate::store::servers::SET_ASIDE;
use crate::store::sql::numbers::row_of;
use crate::store::sql::value::ColumnValue;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Rows that are adopted at a time while the server serves.
const PIECE: i64 = 1_000;
/// Rows that get numbers in one statement.
const ROWS: usize = 10_000;

/// At a start nobody else is in a hurry.
const PATIENT: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
     SET LOCAL idle_in_transaction_session_timeout = 0";

/// Rows are read in the order in which they stand, and found again by their places. Without being told so PostgreSQL, which knows nothing
/// yet of columns that were just added, looks through all rows for each ten thousand of them.
const BY_PLACE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
     SET LOCAL enable_mergejoin = off; SET LOCAL synchronize_seqscans = off";

/// Rows that get numbers: where each stands, and which.
#[derive(Default)]
struct Numbering {
    places: Vec<String>,
    numbers: Vec<i64>,
}

/// At a start: makes ours what nobody owns, or has an owner that is no server. Without a server of our own rows only get numbers.
pub(super) async fn claim(session: &PgSession, shape: &TableShape, me: Option<i32>) -> Result<(), PgFault> {
    session.client.batch_execute(PATIENT).await?;
    let done = claim_all(session, shape, me).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.client.batch_execute(end).await;
    done?;
    Ok(ended?)
}

async fn claim_all(session: &PgSession, shape: &TableShape, me: Option<i32>) -> Result<(), PgFault> {
    let PgTables { theirs, ours, servers, .. } = &shape.names;
    if let Some(me) = &me {
        fence(session, shape, *me).await?;
        for (table, owner, and) in
            [(theirs, "ringgear_owner", "ringgear_number IS NOT NULL"), (ours, "owner", "kind <> 0")]
        {
            let sql = format!(
                "UPDATE {table} SET {owner} = $1 WHERE {and} AND ({owner} IS NULL OR {owner} <> {SET_ASIDE} \
                 AND {owner} NOT IN (SELECT id FROM {servers}))"
            );
            session.client.execute_typed(&sql, &[(me, Type::INT4)]).await?;
        }
    }
    session.client.batch_execute(BY_PLACE).await?;
    let sql = format!(
        "DECLARE nobodys NO SCROLL CURSOR FOR SELECT ctid::text, function_name, ringgear_number FROM {theirs} \
         WHERE ringgear_number IS NULL AND ringgear_owner IS NULL FOR UPDATE SKIP LOCKED"
    );
    session.client.batch_execute(&sql).await?;
    let (next, mut numbered) = (format!("FETCH {ROWS} FROM nobodys"), 0);
    loop {
        let rows = session.client.query_typed(&next, &[]).await?;
        if rows.len() >= ROWS && numbered == 0 {
            log_at!(Level::Notice, "rows of others get numbers of ours");
        }
        numbered += number(session, shape, me, &rows).await?.len();
        if rows.len() < ROWS {
            break;
        }
    }
    if numbered >= ROWS {
        log_at!(Level::Notice, "{numbered} rows have got numbers");
    }
    Ok(())
}

/// Makes ours some of the rows that nobody owns: their numbers, and whether there may be more. Whoever is adopted by another at the
/// same time is passed over.
pub(super) async fn adopt(
    session: &PgSession,
    shape: &TableShape,
    me: i32,
) -> Result<(Vec<i64>, bool), PgFault> {
    session.client.batch_execute("BEGIN").await?;
    let done = adopt_some(session, shape, me).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.client.batch_execute(end).await.map_err(PgFault::from);
    let adopted = done?;
    match ended {
        // Nobody knows whether it was done: what has become ours is read by its number.
        Err(fault) if fault.trouble() != PgTrouble::Away => Err(fault),
        _ => Ok(adopted),
    }
}

async fn adopt_some(session: &PgSession, shape: &TableShape, me: i32) -> Result<(Vec<i64>, bool), PgFault> {
    let PgTables { theirs, ours, .. } = &shape.names;
    fence(session, shape, me).await?;
    let sql = format!(
        "SELECT ctid::text, function_name, ringgear_number FROM {theirs} WHERE ringgear_owner IS NULL \
         ORDER BY unique_key LIMIT {PIECE} FOR UPDATE SKIP LOCKED"
    );
    let mut rows = session.client.query_typed(&sql, &[]).await?;
    let more = rows.len() as i64 >= PIECE;
    // In the order in which they stand, which is mostly the one in which they came.
    rows.sort_by_cached_key(place_of);
    let mut adopted = number(session, shape, Some(me), &rows).await?;
    let sql = format!(
        "UPDATE {ours} SET owner = $1 WHERE number IN (SELECT number FROM {ours} WHERE owner IS NULL AND kind <> 0 \
         ORDER BY number LIMIT {PIECE} FOR UPDATE SKIP LOCKED) RETURNING number"
    );
    for row in session.client.query_typed(&sql, &[(&me, Type::INT4)]).await? {
        adopted.push(row.try_get(0)?);
    }
    let more = more || adopted.len() as i64 >= rows.len() as i64 + PIECE;
    Ok((adopted, more))
}

/// Where a row stands, as two numbers.
fn place_of(row: &Row) -> (u64, u64) {
    let place: String = row.try_get(0).unwrap_or_default();
    let mut numbers = place.trim_matches(['(', ')']).split(',').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Gives these rows an owner, and numbers if they have none.
async fn number(
    session: &PgSession,
    shape: &TableShape,
    me: Option<i32>,
    rows: &[Row],
) -> Result<Vec<i64>, PgFault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut free = numbers(session, shape, rows.len() as u64, 0).await?;
    let mut numbering = Numbering::default();
    for row in rows {
        let function = match column_value(row, 1)? {
            ColumnValue::Text(function) | ColumnValue::Blob(function) => function,
            // It cannot be read, which shows when it is.
            _ => b"",
        };
        let number = match (row.try_get::<_, Option<i64>>(2)?, free.next()) {
            (Some(number), _) => number,
            (None, Some(sequence)) => row_of(JobId::new(sequence, Slot::of(function)))?,
            (None, None) => return Err(PgFault::Other("there are too few numbers".to_owned())),
        };
        numbering.places.push(row.try_get(0)?);
        numbering.numbers.push(number);
    }
    numbering.write(session, shape, me).await?;
    Ok(numbering.numbers)
}

impl Numbering {
    async fn write(&self, session: &PgSession, shape: &TableShape, me: Option<i32>) -> Result<(), PgFault> {
        let sql = format!(
            "UPDATE {theirs} AS t SET ringgear_number = u.n, ringgear_owner = $3::int4 \
             FROM (SELECT p::tid AS p, n FROM unnest($1::text[], $2::int8[]) AS u(p, n)) AS u \
             WHERE t.ctid = u.p AND t.ringgear_owner IS NULL",
            theirs = shape.names.theirs
        );
        for (places, numbers) in self.places.chunks(ROWS).zip(self.numbers.chunks(ROWS)) {
            let values: [(&(dyn ToSql + Sync), Type); 3] =
                [(&places, Type::TEXT_ARRAY), (&numbers, Type::INT8_ARRAY), (&me, Type::INT4)];
            let numbered = session.client.execute_typed(&sql, &values).await?;
            if numbered < numbers.len() as u64 {
                return Err(PgFault::Other(
                    "rows were changed while they were read: stop whoever else works on the table, another job server for \
                     instance"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Nothing is done for a server that was taken over, and none is until this transaction has ended.
async fn fence(session: &PgSession, shape: &TableShape, me: i32) -> Result<(), PgFault> {
    let sql =
        format!("UPDATE {} SET beat = beat + 1 WHERE id = $1 AND taken_by IS NULL", shape.names.servers);
    match session.client.execute_typed(&sql, &[(&me, Type::INT4)]).await? {
        1 => Ok(()),
        _ => Err(PgFault::Fenced),
    }
}
