//! Rows that nobody owns become ours: gearmand's, those of applications that enqueue with an INSERT of their own, those that a tool has
//! copied, and all rows of a table that had no owners yet. They get our number as their owner, and a job's number if they have none.
//! Reading them is `pages.rs`.
use super::link::MyLink;
use super::pages::NumberedTable;
use super::servers::numbers;
use super::shape::{MyShape, TextColumn};
use super::text;
use super::transaction::{Statement, transact};
use crate::engine::JobId;
use crate::engine::slot::{SLOTS, Slot};
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::servers::SET_ASIDE;
use crate::store::sql::numbers::row_of;
use mysql::prelude::Queryable;

/// Unique and function of a row of nobody's, as bytes.
type FoundKey = (Option<Vec<u8>>, Option<Vec<u8>>);

/// At a start nobody else is in a hurry.
const PATIENT: &str = "SET SESSION innodb_lock_wait_timeout = 30";
const AS_BEFORE: &str = "SET SESSION innodb_lock_wait_timeout = 2";
/// Rows that are changed by one statement at a start: no answer is to take long.
const AT_ONCE: u64 = 20_000;
/// Rows that are adopted at a time while the server serves: few, for another server that does the same waits for them.
const PIECE: usize = 250;
/// From so many on it is said.
const MANY: u64 = 10_000;

/// At a start: makes ours what nobody owns, or has an owner that is no server. Without a server of our own rows only get numbers.
pub(super) fn claim(link: &mut MyLink, me: Option<i32>) -> Result<(), RemoteFault> {
    link.conn.query_drop(PATIENT)?;
    if let Some(me) = me {
        let shape = link.shape.clone();
        claim_rows(link, me, NumberedTable::numbered(&shape))?;
        claim_rows(link, me, NumberedTable::ours(&shape))?;
    }
    number(link, me)?;
    Ok(link.conn.query_drop(AS_BEFORE)?)
}

fn claim_rows(link: &mut MyLink, me: i32, table: NumberedTable<'_>) -> Result<(), RemoteFault> {
    let NumberedTable { table, owner, and, .. } = table;
    // Before the servers are looked at: whoever owns a row was there before it.
    let owners: Vec<Option<i32>> =
        link.conn.query(format!("SELECT DISTINCT {owner} FROM {table} WHERE {and}"))?;
    let there: Vec<i32> = link.conn.query(format!("SELECT id FROM {}", link.shape.names.servers))?;
    let nobodys = |id: &Option<i32>| id.is_none_or(|id| id != SET_ASIDE && !there.contains(&id));
    for id in owners.into_iter().filter(nobodys) {
        let whose = id.map_or_else(|| format!("{owner} IS NULL"), |id| format!("{owner} = {id}"));
        let sql = format!("UPDATE {table} SET {owner} = {me} WHERE {whose} AND {and} LIMIT {AT_ONCE}");
        while change(link, Some(me), vec![sql.clone().into()])? == AT_ONCE {}
    }
    Ok(())
}

/// Changes something, if we were not taken over: how many rows, by the last statement.
fn change(link: &mut MyLink, me: Option<i32>, statements: Vec<Statement>) -> Result<u64, RemoteFault> {
    let counts = transact(&mut link.conn, &link.shape.names, me, statements, link.packet)?;
    Ok(counts.last().copied().unwrap_or(0))
}

/// A column byte by byte: by its collation several words may be one.
pub(super) fn bytes_of(column: TextColumn, name: &str) -> String {
    match column.is_binary() {
        true => name.to_owned(),
        false => format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)"),
    }
}

/// Gives numbers to rows that have none: by function, for a number tells its job's function, in the order in which rows stand.
fn number(link: &mut MyLink, me: Option<i32>) -> Result<(), RemoteFault> {
    let theirs = link.shape.names.theirs.clone();
    let function = bytes_of(link.shape.function, "function_name");
    let nobodys = "ringgear_number IS NULL AND ringgear_owner IS NULL";
    let sql = format!(
        "SELECT {function} AS ringgear_function, COUNT(*) FROM {theirs} WHERE {nobodys} GROUP BY ringgear_function"
    );
    let functions: Vec<(Option<Vec<u8>>, u64)> = link.conn.query(sql)?;
    let all: u64 = functions.iter().map(|(_, count)| count).sum();
    if all >= MANY {
        log_at!(Level::Notice, "{all} rows of others get numbers of ours");
    }
    let owner = me.map_or_else(|| "NULL".to_owned(), |me| me.to_string());
    for (name, count) in functions {
        let Some(name) = name else {
            let what = "a row without a number has no function: column function_name is Null; delete it, or say which";
            return Err(RemoteFault::other(what));
        };
        let sequences = numbers(link, count, 0)?;
        let mut literal = String::new();
        text::text(&name, true, &mut literal);
        let mut numbered = 0;
        while numbered < count {
            let before = row_of(JobId::new(sequences.start + numbered, Slot::of(&name)))? - i64::from(SLOTS);
            let piece = AT_ONCE.min(count - numbered);
            let changed = change(
                link,
                me,
                vec![
                    format!("SET @ringgear_number = {before}").into(),
                    format!(
                        "UPDATE {theirs} SET ringgear_number = (@ringgear_number := @ringgear_number + {SLOTS}), \
                         ringgear_owner = {owner} WHERE {nobodys} AND {function} = {literal} LIMIT {piece}"
                    )
                    .into(),
                ],
            )?;
            numbered += changed;
            match changed {
                0 if me.is_some() => break, // Another server has adopted them.
                0 => {
                    return Err(RemoteFault::other(
                        "rows were changed while they were read: stop whoever else works on the table, another job server for \
                         instance",
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes ours some of the rows that nobody owns: their numbers, and whether there may be more. What another server has adopted at the
/// same moment is among the numbers, and not ours.
pub(super) fn adopt(link: &mut MyLink, me: i32) -> Result<(Vec<i64>, bool), RemoteFault> {
    let shape = link.shape.clone();
    let mut statements = Vec::new();
    let mut adopted = new_numbers(link, me, &shape, &mut statements)?;
    let mut more = adopted.len() >= PIECE;
    let with_numbers = NumberedTable::numbered(&shape);
    for NumberedTable { table, number, owner, and, .. } in [with_numbers, NumberedTable::ours(&shape)] {
        let sql = format!("SELECT {number} FROM {table} WHERE {owner} IS NULL AND {and} LIMIT {PIECE}");
        let found: Vec<i64> = link.conn.query(sql)?;
        if !found.is_empty() {
            let list = text::list(&found);
            statements.push(
                format!("UPDATE {table} SET {owner} = {me} WHERE {number} IN ({list}) AND {owner} IS NULL AND {and}").into(),
            );
        }
        more |= found.len() >= PIECE;
        adopted.extend(found);
    }
    if statements.is_empty() {
        return Ok((Vec::new(), false));
    }
    match change(link, Some(me), statements) {
        // Nobody knows whether they are ours: that shows when they are read.
        Err(fault) if fault.trouble != RemoteTrouble::Away => Err(fault),
        _ => Ok((adopted, more)),
    }
}

/// Gives numbers to some of the rows that have none, each by its key: in the order in which they stand, which is mostly the one in which
/// they came.
fn new_numbers(
    link: &mut MyLink,
    me: i32,
    shape: &MyShape,
    statements: &mut Vec<Statement>,
) -> Result<Vec<i64>, RemoteFault> {
    let (key, function) = (bytes_of(shape.key, "unique_key"), bytes_of(shape.function, "function_name"));
    let theirs = &shape.names.theirs;
    let nobodys = "ringgear_owner IS NULL AND ringgear_number IS NULL";
    let sql = format!(
        "SELECT {key}, {function} FROM {theirs} FORCE INDEX ({}) WHERE {nobodys} LIMIT {PIECE}",
        shape.owners
    );
    let rows: Vec<FoundKey> = link.conn.query(sql)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let literal = |bytes: &Option<Vec<u8>>, column: TextColumn| {
        let mut sql = String::new();
        match bytes {
            Some(bytes) => text::text(bytes, column.is_binary(), &mut sql),
            None => sql.push_str("NULL"),
        }
        sql
    };
    let mut given = Vec::with_capacity(rows.len());
    for ((key, function), sequence) in rows.iter().zip(numbers(link, rows.len() as u64, 0)?) {
        // One without a function cannot be read, which shows when it is.
        let number = row_of(JobId::new(sequence, Slot::of(function.as_deref().unwrap_or(b""))))?;
        let (key, function) = (literal(key, shape.key), literal(function, shape.function));
        statements.push(
            format!(
                "UPDATE {theirs} SET ringgear_number = {number}, ringgear_owner = {me} \
                 WHERE unique_key <=> {key} AND function_name <=> {function} AND {nobodys} LIMIT 1"
            )
            .into(),
        );
        given.push(number);
    }
    Ok(given)
}
