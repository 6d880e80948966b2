//! A table of gearmand's that we meet for the first time may have a million rows. These get numbers and an owner while the table gets our
//! columns, by writing it anew once: that is done by the database alone, and before there is an index to be kept up with each row. The
//! owner is a server that has never been and has left: whoever starts takes it over, by one row. Rows that come later are adopted one by
//! one (`adopt.rs`). Statements only.
use super::fault::PgFault;
use super::names::PgTables;
use super::session::PgSession;
use crate::engine::JobId;
use crate::engine::slot::{SLOTS, Slot};
use crate::store::replay;
use crate::store::servers::{LEAVING, drawn_id, own_version};
use std::fmt::Write;

/// With more functions than this, rows are adopted: each function costs every row a comparison.
const FUNCTIONS: i64 = 100;
/// The name of that server, for people.
const NAME: &str = "gearmand";

/// Statements that give all rows of gearmand's table numbers and an owner, behind those that add the columns and before those that make
/// indexes of them. `None` if there are no rows, or it cannot be done so.
pub(super) async fn numbering(session: &PgSession, names: &PgTables) -> Result<Option<String>, PgFault> {
    let PgTables { theirs, servers, numbers, sequence, .. } = names;
    let sql = format!(
        "SELECT DISTINCT function_name::text, current_setting('standard_conforming_strings') = 'on' FROM {theirs} LIMIT {}",
        FUNCTIONS + 1
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    if rows.is_empty() || rows.len() as i64 > FUNCTIONS {
        return Ok(None);
    }
    let mut slots = String::new();
    for row in &rows {
        let (function, standard): (Option<String>, bool) = (row.try_get(0)?, row.try_get(1)?);
        if !standard {
            return Ok(None);
        }
        if let Some(function) = function {
            let slot = JobId::new(1, Slot::of(function.as_bytes())).number() % u64::from(SLOTS);
            // Writing to a string does not fail.
            let _ = write!(slots, "WHEN '{}' THEN {slot} ", function.replace('\'', "''"));
        }
    }
    if slots.is_empty() {
        return Ok(None);
    }
    // One that comes meanwhile gets a number that is not one of its function, and another one when it is read.
    let (first, id, version) = (replay::floor().max(1), drawn_id(), own_version());
    let literal = sequence.replace('\'', "''");
    Ok(Some(format!(
        "INSERT INTO {numbers} (next) VALUES ({first}) ON CONFLICT DO NOTHING; \
         CREATE SEQUENCE {sequence}; \
         WITH taken AS (UPDATE {numbers} SET next = next + (SELECT count(*) FROM {theirs}) RETURNING next) \
         SELECT setval('{literal}'::regclass, next - (SELECT count(*) FROM {theirs}), false) FROM taken; \
         INSERT INTO {servers} (id, name, beat, state, jobs, bytes, version) \
         SELECT {id}, '{NAME}', 0, {LEAVING}, count(*), coalesce(sum(octet_length(data)), 0), '{version}' FROM {theirs}; \
         ALTER TABLE {theirs} ALTER COLUMN ringgear_number TYPE bigint \
         USING (nextval('{literal}'::regclass) * {SLOTS} + CASE function_name {slots}ELSE 0 END), \
         ALTER COLUMN ringgear_owner TYPE integer USING ({id}); \
         DROP SEQUENCE {sequence}"
    )))
}
