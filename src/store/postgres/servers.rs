//! The servers that share the table, as rows of a table of ours. Statements only; what a row is, and what keeps two servers from having the
//! same job, is `store/servers.rs`. A take-over is one change of one row, which waits for a commit under way.
use super::fault::PgFault;
use super::names::PgTables;
use super::session::PgSession;
use super::shape::TableShape;
use crate::engine::JobId;
use crate::engine::slot::SLOTS;
use crate::store::servers::{
    GONE, LEAVING, Legacy, SERVING, ServerEntry, ServersLook, drawn_id, own_version,
};
use crate::store::{ServerLoad, replay};
use std::ops::Range;
use tokio_postgres::types::{ToSql, Type};

/// Adds to our own count, if we are one of them, and looks at all.
pub(super) async fn look(
    session: &PgSession,
    shape: &TableShape,
    me: Option<i32>,
    jobs: usize,
    load: ServerLoad,
) -> Result<ServersLook, PgFault> {
    let PgTables { theirs, ours, servers, .. } = &shape.names;
    let sql = format!(
        "WITH me AS (UPDATE {servers} SET beat = beat + 1, jobs = $2, bytes = $3 \
         WHERE id = $1 AND taken_by IS NULL RETURNING id) \
         SELECT id, name, beat, state, taken_by, jobs, bytes, version, extract(epoch FROM now() - started)::int8, \
         EXISTS (SELECT FROM me), \
         EXISTS (SELECT FROM {theirs} WHERE ringgear_owner IS NULL) \
         OR EXISTS (SELECT FROM {ours} WHERE owner IS NULL AND kind <> 0) FROM {servers} ORDER BY id"
    );
    let (jobs, bytes) = (jobs as i64, i64::try_from(load.bytes).unwrap_or(i64::MAX));
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&me, Type::INT4), (&jobs, Type::INT8), (&bytes, Type::INT8)];
    let mut look = ServersLook::default();
    for row in session.client.query_typed(&sql, &values).await? {
        look.counted = row.try_get(9)?;
        look.unowned = row.try_get(10)?;
        look.servers.push(ServerEntry {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            beat: row.try_get(2)?,
            state: row.try_get(3)?,
            taken_by: row.try_get(4)?,
            jobs: row.try_get(5)?,
            bytes: row.try_get(6)?,
            version: row.try_get(7)?,
            seconds: row.try_get(8)?,
        });
    }
    Ok(look)
}

/// A new server of this name.
pub(super) async fn register(session: &PgSession, shape: &TableShape, name: &str) -> Result<i32, PgFault> {
    loop {
        let id = drawn_id();
        if enter(session, shape, id, name).await? {
            return Ok(id);
        }
    }
}

/// A server of this number and name serves from now on. False if there is one of this number already.
async fn enter(session: &PgSession, shape: &TableShape, id: i32, name: &str) -> Result<bool, PgFault> {
    let servers = &shape.names.servers;
    let sql = format!(
        "INSERT INTO {servers} (id, name, beat, state, jobs, bytes, version) VALUES ($1, $2, 0, {SERVING}, 0, 0, $3) \
         ON CONFLICT (id) DO NOTHING"
    );
    let version = own_version();
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::INT4), (&name, Type::TEXT), (&version, Type::TEXT)];
    Ok(session.client.execute_typed(&sql, &values).await? == 1)
}

/// A server leaves all that it has to others but some jobs, with which it goes on as another one. False if there is one of that
/// number already, and nothing has changed.
pub(super) async fn bequeath(
    session: &PgSession,
    shape: &TableShape,
    legacy: Legacy<'_>,
) -> Result<bool, PgFault> {
    session.client.batch_execute("BEGIN").await?;
    let done = bequeath_in(session, shape, legacy).await;
    let end = if matches!(done, Ok(true)) { "COMMIT" } else { "ROLLBACK" };
    let ended = session.client.batch_execute(end).await;
    let done = done?;
    ended?;
    Ok(done)
}

async fn bequeath_in(
    session: &PgSession,
    shape: &TableShape,
    Legacy { me, family, next, name, kept }: Legacy<'_>,
) -> Result<bool, PgFault> {
    let PgTables { theirs, ours, servers, .. } = &shape.names;
    if !enter(session, shape, next, name).await? {
        return Ok(false);
    }
    let sql =
        format!("UPDATE {servers} SET beat = beat + 1, state = {LEAVING} WHERE id = $1 AND taken_by IS NULL");
    if session.client.execute_typed(&sql, &[(&me, Type::INT4)]).await? != 1 {
        return Err(PgFault::Fenced);
    }
    for (table, owner, number) in [(theirs, "ringgear_owner", "ringgear_number"), (ours, "owner", "number")] {
        let sql = format!(
            "UPDATE {table} SET {owner} = $1 WHERE {number} = ANY($2::int8[]) AND {owner} = ANY($3::int4[])"
        );
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&next, Type::INT4), (&kept, Type::INT8_ARRAY), (&family, Type::INT4_ARRAY)];
        session.client.execute_typed(&sql, &values).await?;
    }
    Ok(true)
}

/// Takes over a server whose count is still this one. True if it is ours now: what it was doing has been committed or never will be.
pub(super) async fn take(
    session: &PgSession,
    shape: &TableShape,
    me: i32,
    other: &ServerEntry,
) -> Result<bool, PgFault> {
    let servers = &shape.names.servers;
    let sql = format!(
        "WITH me AS (UPDATE {servers} SET beat = beat + 1 WHERE id = $1 AND taken_by IS NULL RETURNING id) \
         UPDATE {servers} SET taken_by = $1, state = {GONE} \
         WHERE id = $2 AND beat = $3 AND taken_by IS NULL AND EXISTS (SELECT FROM me)"
    );
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&me, Type::INT4), (&other.id, Type::INT4), (&other.beat, Type::INT8)];
    Ok(session.client.execute_typed(&sql, &values).await? == 1)
}

/// Says that this server has ended; and where nothing is left of it and of those that it took over, strikes them off.
pub(super) async fn leave(
    session: &PgSession,
    shape: &TableShape,
    me: i32,
    family: &Vec<i32>,
    empty: bool,
) -> Result<(), PgFault> {
    let PgTables { theirs, ours, servers, .. } = &shape.names;
    let sql =
        format!("UPDATE {servers} SET beat = beat + 1, state = {LEAVING} WHERE id = $1 AND taken_by IS NULL");
    session.client.execute_typed(&sql, &[(&me, Type::INT4)]).await?;
    if !empty {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM {servers} WHERE id = ANY($1) AND (taken_by = ANY($1) OR taken_by IS NULL) \
         AND NOT EXISTS (SELECT FROM {theirs} WHERE ringgear_owner = ANY($1)) \
         AND NOT EXISTS (SELECT FROM {ours} WHERE owner = ANY($1) AND kind <> 0)"
    );
    session.client.execute_typed(&sql, &[(family, Type::INT4_ARRAY)]).await?;
    Ok(())
}

/// Strikes off servers that were taken over and of which no job is left.
pub(super) async fn tidy(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let PgTables { theirs, ours, servers, .. } = &shape.names;
    let sql = format!(
        "DELETE FROM {servers} AS s WHERE taken_by IS NOT NULL \
         AND id NOT IN (SELECT ringgear_owner FROM {theirs} WHERE ringgear_owner IS NOT NULL) \
         AND id NOT IN (SELECT owner FROM {ours} WHERE owner IS NOT NULL) \
         AND NOT EXISTS (SELECT FROM {servers} AS t WHERE t.taken_by = s.id)"
    );
    session.client.execute_typed(&sql, &[]).await?;
    Ok(())
}

/// Has numbers begin above all that are there, and in a new table above what the clock says: see `replay.rs`.
pub(super) async fn begin_numbers(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let PgTables { theirs, ours, numbers, .. } = &shape.names;
    let first = i64::try_from(replay::floor()).unwrap_or(1).max(1);
    let sql = format!("INSERT INTO {numbers} (next) VALUES ($1) ON CONFLICT DO NOTHING");
    session.client.execute_typed(&sql, &[(&first, Type::INT8)]).await?;
    // What is far beyond all others sets no mark.
    let most = i64::try_from(JobId::SEQUENCE_HINT_MAX).unwrap_or(i64::MAX).saturating_mul(i64::from(SLOTS));
    let sql = format!(
        "WITH top AS (SELECT greatest((SELECT max(ringgear_number) FROM {theirs} WHERE ringgear_number <= $1), \
         (SELECT max(number) FROM {ours} WHERE number <= $1)) / {SLOTS} + 1 AS above) \
         UPDATE {numbers} SET next = above FROM top WHERE next < above"
    );
    session.client.execute_typed(&sql, &[(&most, Type::INT8)]).await?;
    Ok(())
}

/// So many sequences, none of them below this one, which nobody else gets.
pub(super) async fn numbers(
    session: &PgSession,
    shape: &TableShape,
    count: u64,
    at_least: u64,
) -> Result<Range<u64>, PgFault> {
    let numbers = &shape.names.numbers;
    let sql = format!("UPDATE {numbers} SET next = greatest(next, $2) + $1 RETURNING next - $1, next");
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX >> 1);
    let (count, at_least) = (signed(count), signed(at_least));
    let row = session.one_row(&sql, &[(&count, Type::INT8), (&at_least, Type::INT8)]).await?;
    let (from, until): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(from.unsigned_abs()..until.unsigned_abs())
}
