//! The servers that share the table, as rows of a table of ours, and the numbers that they give. Statements only; what a row is, and what
//! keeps two servers from having the same job, is `store/servers.rs`. A take-over is one change of one row, which waits for a commit
//! under way.
use super::link::MyLink;
use super::names::MyTables;
use super::text;
use super::transaction::{Statement, transact};
use crate::engine::JobId;
use crate::engine::slot::SLOTS;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::{
    GONE, LEAVING, Legacy, SERVING, ServerEntry, ServersLook, drawn_id, own_version,
};
use crate::store::{ServerLoad, replay};
use mysql::prelude::Queryable;
use mysql::{Error, Row};
use std::ops::Range;

const COLUMNS: &str =
    "id, name, beat, state, taken_by, jobs, bytes, version, CAST(UNIX_TIMESTAMP() AS SIGNED) - started";

/// Jobs that are named in one statement.
const KEPT: usize = 1000;

/// Adds to our own count, if we are one of them, and looks at all.
pub(super) fn look(
    link: &mut MyLink,
    me: Option<i32>,
    jobs: usize,
    load: ServerLoad,
) -> Result<ServersLook, RemoteFault> {
    let MyTables { theirs, ours, servers, .. } = &link.shape.names;
    let bytes = i64::try_from(load.bytes).unwrap_or(i64::MAX);
    let counting = me.map_or_else(
        || "DO 0".to_owned(),
        |me| format!("UPDATE {servers} SET beat = beat + 1, jobs = {jobs}, bytes = {bytes} WHERE id = {me} AND taken_by IS NULL"),
    );
    let sql = format!(
        "{counting}; SELECT {COLUMNS} FROM {servers} ORDER BY id; SELECT EXISTS (SELECT * FROM {theirs} WHERE ringgear_owner IS NULL) \
         OR EXISTS (SELECT * FROM {ours} WHERE owner IS NULL AND kind <> 0)"
    );
    let mut look = ServersLook::default();
    let mut answers = link.conn.query_iter(sql)?;
    let mut at = 0;
    loop {
        if at == 0 {
            look.counted = answers.affected_rows() == 1;
        }
        let Some(answer) = answers.iter() else { return Ok(look) };
        for row in answer {
            let row = row?;
            match at {
                1 => look.servers.push(entry(row)?),
                _ => look.unowned = mysql::from_row_opt::<i64>(row).map_err(Error::from)? != 0,
            }
        }
        at += 1;
    }
}

fn entry(row: Row) -> Result<ServerEntry, RemoteFault> {
    type Parts = (i32, Vec<u8>, i64, i16, Option<i32>, i64, i64, Vec<u8>, i64);
    let parts = mysql::from_row_opt::<Parts>(row).map_err(Error::from)?;
    let (id, name, beat, state, taken_by, jobs, bytes, version, seconds) = parts;
    let word = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (name, version) = (word(name), word(version));
    Ok(ServerEntry { id, name, beat, state, taken_by, jobs, bytes, version, seconds: seconds.max(0) })
}

/// A new server of this name.
pub(super) fn register(link: &mut MyLink, name: &str) -> Result<i32, RemoteFault> {
    loop {
        let id = drawn_id();
        let entering = format!("{} ON DUPLICATE KEY UPDATE id = id", entering(link, id, name));
        link.conn.query_drop(entering)?;
        if link.conn.affected_rows() == 1 {
            return Ok(id);
        }
    }
}

/// What enters a server of this number and name, if there is none of this number.
fn entering(link: &MyLink, id: i32, name: &str) -> String {
    let (mut named, mut version) = (String::new(), String::new());
    text::text(name.as_bytes(), true, &mut named);
    text::text(own_version().as_bytes(), true, &mut version);
    format!(
        "INSERT INTO {} (id, name, beat, state, started, jobs, bytes, version) \
         VALUES ({id}, {named}, 0, {SERVING}, UNIX_TIMESTAMP(), 0, 0, {version})",
        link.shape.names.servers
    )
}

/// A server leaves all that it has to others but some jobs, with which it goes on as another one. False if there is one of that
/// number already, and nothing has changed.
pub(super) fn bequeath(link: &mut MyLink, legacy: Legacy<'_>) -> Result<bool, RemoteFault> {
    let Legacy { me, family, next, name, kept } = legacy;
    // Before we ask whether we were taken over: if this was done, and nobody has heard of it, we may have been meanwhile.
    let there = format!("SELECT COUNT(*) FROM {} WHERE id = {next}", link.shape.names.servers);
    if link.conn.query_first::<i64, _>(there)? != Some(0) {
        return Ok(false);
    }
    let entering = entering(link, next, name);
    let MyLink { conn, shape, packet } = link;
    let MyTables { theirs, ours, servers, .. } = &shape.names;
    let leaving = format!("UPDATE {servers} SET state = {LEAVING} WHERE id = {me}");
    let mut statements = vec![Statement::from(entering), leaving.into()];
    let family = text::list(family);
    for numbers in kept.chunks(KEPT) {
        let numbers = text::list(numbers);
        for (table, owner, number) in
            [(theirs, "ringgear_owner", "ringgear_number"), (ours, "owner", "number")]
        {
            let these = format!("{number} IN ({numbers}) AND {owner} IN ({family})");
            statements.push(format!("UPDATE {table} SET {owner} = {next} WHERE {these}").into());
        }
    }
    transact(conn, &shape.names, Some(me), statements, *packet).map(|_| true)
}

/// Takes over a server whose count is still this one. True if it is ours now: what it was doing has been committed or never will be.
pub(super) fn take(link: &mut MyLink, me: i32, other: &ServerEntry) -> Result<bool, RemoteFault> {
    let MyLink { conn, shape, packet } = link;
    let sql = format!(
        "UPDATE {} SET taken_by = {me}, state = {GONE} WHERE id = {} AND beat = {} AND taken_by IS NULL",
        shape.names.servers, other.id, other.beat
    );
    let counts = transact(conn, &shape.names, Some(me), vec![sql.into()], *packet)?;
    Ok(counts == [1])
}

/// Says that this server has ended; and where nothing is left of it and of those that it took over, strikes them off.
pub(super) fn leave(link: &mut MyLink, me: i32, family: &[i32], empty: bool) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, servers, .. } = &link.shape.names;
    link.conn.query_drop(format!(
        "UPDATE {servers} SET beat = beat + 1, state = {LEAVING} WHERE id = {me} AND taken_by IS NULL"
    ))?;
    if !empty {
        return Ok(());
    }
    let family = text::list(family);
    Ok(link.conn.query_drop(format!(
        "DELETE FROM {servers} WHERE id IN ({family}) AND (taken_by IN ({family}) OR taken_by IS NULL) \
         AND NOT EXISTS (SELECT * FROM {theirs} WHERE ringgear_owner IN ({family})) \
         AND NOT EXISTS (SELECT * FROM {ours} WHERE owner IN ({family}) AND kind <> 0)"
    ))?)
}

/// Strikes off servers that were taken over, of which no job is left, and to which none leads.
pub(super) fn tidy(link: &mut MyLink) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, servers, .. } = &link.shape.names;
    Ok(link.conn.query_drop(format!(
        "DELETE s FROM {servers} AS s LEFT JOIN {servers} AS t ON t.taken_by = s.id WHERE s.taken_by IS NOT NULL AND t.id IS NULL \
         AND NOT EXISTS (SELECT * FROM {theirs} AS j WHERE j.ringgear_owner = s.id) \
         AND NOT EXISTS (SELECT * FROM {ours} AS o WHERE o.owner = s.id)"
    ))?)
}

/// Has numbers begin above all that are there, and in a new table above what the clock says: see `replay.rs`.
pub(super) fn begin_numbers(link: &mut MyLink) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, numbers, .. } = &link.shape.names;
    let first = i64::try_from(replay::floor()).unwrap_or(1).max(1);
    // What is far beyond all others sets no mark.
    let most = i64::try_from(JobId::SEQUENCE_HINT_MAX).unwrap_or(i64::MAX).saturating_mul(i64::from(SLOTS));
    let top = |table: &str, column: &str| {
        format!("COALESCE((SELECT MAX({column}) FROM {table} WHERE {column} <= {most}), 0) DIV {SLOTS} + 1")
    };
    let (theirs, ours) = (top(theirs, "ringgear_number"), top(ours, "number"));
    link.conn.query_drop(format!(
        "INSERT INTO {numbers} (one, next) VALUES (1, {first}) ON DUPLICATE KEY UPDATE one = one"
    ))?;
    Ok(link.conn.query_drop(format!("UPDATE {numbers} SET next = GREATEST(next, {theirs}, {ours})"))?)
}

/// So many sequences, none of them below this one, which nobody else gets.
pub(super) fn numbers(link: &mut MyLink, count: u64, at_least: u64) -> Result<Range<u64>, RemoteFault> {
    let numbers = &link.shape.names.numbers;
    let (count, at_least) = (count.min(i64::MAX as u64 >> 1), at_least.min(i64::MAX as u64 >> 1));
    link.conn.query_drop(format!(
        "UPDATE {numbers} SET next = LAST_INSERT_ID(GREATEST(next, {at_least})) + {count}"
    ))?;
    if link.conn.affected_rows() != 1 {
        return Err(RemoteFault::other(format!(
            "table {numbers} has no row any more; start the server again"
        )));
    }
    let from = link.conn.last_insert_id();
    Ok(from..from + count)
}
