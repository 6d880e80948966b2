//! Puts that met a row: of the same job, which is written anew; of a job that we have, or of another one that is only the same by the
//! table's collation, so that this one gets a key of its own; or of another server's, which is that job then.
use super::adopt::bytes_of;
use super::inserts::{NUMBERS, deletes, our_inserts, own, their_inserts};
use super::link::MyLink;
use super::names::MyTables;
use super::puts::MyPut;
use super::servers::numbers;
use super::shape::MyShape;
use super::text;
use super::transaction::{begin, commit, run};
use crate::engine::JobId;
use crate::engine::slot::Slot;
use crate::store::book::Book;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::servers::{Fence, SET_ASIDE};
use crate::store::sql::numbers::row_of;
use crate::store::sql::rows::job_in;
use crate::store::sql::value::ColumnValue;
use mysql::prelude::Queryable;
use std::collections::{HashMap, HashSet};

/// Keys that are asked for at a time.
const KEYS: usize = 200;

/// Writes these again. Returns those that are not written because a job of another server has their function and unique, and which.
pub(super) fn one_by_one(
    link: &mut MyLink,
    puts: &mut [MyPut<'_>],
    book: &Book,
    fence: Fence<'_>,
) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
    let shape = link.shape.clone();
    let MyTables { theirs, ours, .. } = &shape.names;
    let packet = link.packet;
    let numbers: Vec<i64> = puts.iter().map(|put| put.number).collect();
    let mut first = begin(&shape.names, fence.me);
    first.extend(deletes(theirs, "ringgear_number", &numbers, &own(fence, "ringgear_owner")));
    first.extend(their_inserts(puts, &shape, packet, fence)?);
    run(&mut link.conn, &first, packet)?;
    let mut there = HashSet::new();
    for numbers in numbers.chunks(NUMBERS) {
        let sql = format!(
            "SELECT ringgear_number FROM {theirs} WHERE ringgear_number IN ({})",
            text::list(numbers)
        );
        there.extend(link.conn.query::<i64, _>(sql)?);
    }
    let missing = |put: &MyPut<'_>| !there.contains(&put.number);
    let new: Vec<&MyPut<'_>> =
        puts.iter().filter(|put| fence.me.is_some() && missing(put) && !book.knows(put.number)).collect();
    let elsewhere = in_the_way(link, &shape, &new, book)?;
    let moves = |put: &MyPut<'_>| missing(put) && !elsewhere.contains_key(&put.id);
    puts.iter_mut().filter(|put| moves(put)).for_each(MyPut::take_own_key);
    let mut again = Vec::new();
    for (at, put) in puts.iter().enumerate().filter(|(_, put)| moves(put)) {
        let mut statements = their_inserts(std::slice::from_ref(put), &shape, packet, fence)?;
        statements.iter_mut().for_each(|statement| statement.puts = at..at + 1);
        again.append(&mut statements);
    }
    let written = run(&mut link.conn, &again, packet)?;
    if written.contains(&0) {
        return Err(RemoteFault::other("there are rows with these keys and numbers already"));
    }
    let mut last = our_inserts(puts.iter().filter(|put| moves(put)), ours, packet, fence)?;
    let not_ours = elsewhere.keys().map(|&id| row_of(id)).collect::<Result<Vec<i64>, _>>()?;
    last.extend(deletes(ours, "number", &not_ours, "TRUE"));
    last.push(commit());
    run(&mut link.conn, &last, packet)?;
    Ok(elsewhere.into_iter().collect())
}

/// A row that is in the way.
struct Standing {
    number: Option<i64>,
    owner: Option<i32>,
    record: Option<Vec<u8>>,
}

/// Which jobs of others have the function and unique of these. A row that nobody has given a number gets one here, by which whoever
/// adopts it goes.
fn in_the_way(
    link: &mut MyLink,
    shape: &MyShape,
    puts: &[&MyPut<'_>],
    book: &Book,
) -> Result<HashMap<JobId, JobId>, RemoteFault> {
    let mut elsewhere = HashMap::new();
    for puts in puts.chunks(KEYS) {
        let standing = standing(link, shape, puts)?;
        for put in puts {
            let Some(columns) = &put.theirs else { continue };
            let place = (columns.key.to_vec(), columns.function.to_vec());
            let Some(Standing { number, owner, record }) = standing.get(&place) else { continue };
            // What a key tells is not all of some uniques.
            let same = match record {
                Some(record) => {
                    let known = job_in(number.unwrap_or(0), ColumnValue::Blob(record), &shape.names.ours);
                    known.is_ok_and(|known| known.unique == put.unique())
                }
                None => *columns.key == *put.unique(),
            };
            if !same || *owner == Some(SET_ASIDE) {
                continue;
            }
            let there = match number {
                Some(there) if book.knows(*there) => continue,
                Some(there) => *there,
                None => give_number(link, shape, put)?,
            };
            if let Some(there) = JobId::from_number(there.unsigned_abs()) {
                elsewhere.insert(put.id, there);
            }
        }
    }
    Ok(elsewhere)
}

/// Unique and function of a row, as bytes.
type MyKey = (Vec<u8>, Vec<u8>);

/// Rows with the keys of these.
fn standing(
    link: &mut MyLink,
    shape: &MyShape,
    puts: &[&MyPut<'_>],
) -> Result<HashMap<MyKey, Standing>, RemoteFault> {
    let MyTables { theirs, ours, .. } = &shape.names;
    let (key, function) = (bytes_of(shape.key, "t.unique_key"), bytes_of(shape.function, "t.function_name"));
    let keys: Vec<String> = puts.iter().filter_map(|put| condition(put, shape, "t.")).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT {key}, {function}, t.ringgear_number, t.ringgear_owner, o.record FROM {theirs} AS t LEFT JOIN {ours} AS o \
         ON o.number = t.ringgear_number AND o.kind = 0 WHERE {}",
        keys.join(" OR ")
    );
    type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>, Option<i32>, Option<Vec<u8>>);
    let rows: Vec<Parts> = link.conn.query(sql)?;
    let place = |(key, function, number, owner, record): Parts| {
        ((key.unwrap_or_default(), function.unwrap_or_default()), Standing { number, owner, record })
    };
    Ok(rows.into_iter().map(place).collect())
}

/// What is true of the row that has the key of this, by the table's collation.
fn condition(put: &MyPut<'_>, shape: &MyShape, prefix: &str) -> Option<String> {
    let columns = put.theirs.as_ref()?;
    let (mut key, mut function) = (String::new(), String::new());
    text::text(&columns.key, shape.key.is_binary(), &mut key);
    text::text(&columns.function, shape.function.is_binary(), &mut function);
    Some(format!("({prefix}unique_key = {key} AND {prefix}function_name = {function})"))
}

fn give_number(link: &mut MyLink, shape: &MyShape, put: &MyPut<'_>) -> Result<i64, RemoteFault> {
    let sequence = numbers(link, 1, 0)?.start;
    let number = row_of(JobId::new(sequence, Slot::of(put.function())))?;
    let place = condition(put, shape, "").unwrap_or_else(|| "FALSE".to_owned());
    link.conn.query_drop(format!(
        "UPDATE {} SET ringgear_number = {number} WHERE {place} AND ringgear_number IS NULL AND ringgear_owner IS NULL LIMIT 1",
        shape.names.theirs
    ))?;
    match link.conn.affected_rows() {
        1 => Ok(number),
        // Somebody has adopted it at this moment, or ended it.
        _ => Err(RemoteFault::new(RemoteTrouble::InTheWay, "a row was changed while it was looked at")),
    }
}
