//! Writes changes in one transaction whose statements travel together: a commit costs one journey, of one job or of thousands, as long as
//! they fit into one packet. What is written is `puts.rs`.
//!
//! Most jobs are new, so their rows are inserted without a delete before it; where a row with the number or the key is there
//! already, by the table's collation, nothing is inserted, and those are looked at one by one in a second transaction. So the
//! same changes may be written any number of times, which is what is done if nobody knows whether they were.
use super::names::MyTables;
use super::puts::MyPut;
use super::shape::MyShape;
use super::text;
use crate::store::book::Book;
use crate::store::latest::LatestWords;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::sql::numbers::row_of;
use mysql::Conn;
use mysql::prelude::Queryable;
use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;

/// RowStatements and bytes of one statement, and bytes of one packet, where the server takes that much.
const ROWS: usize = 1_000;
const BYTES: usize = 1 << 20;
const PACKET: usize = 8 << 20;
/// Numbers of one statement.
const NUMBERS: usize = 10_000;
/// Bytes of a packet that are not ours.
const MARGIN: usize = 1024;

const BEGIN: &str = "START TRANSACTION";
const COMMIT: &str = "COMMIT";

/// A statement.
struct Statement {
    sql: String,
    /// Which of the puts it inserts into gearmand's table.
    puts: Range<usize>,
}

impl From<String> for Statement {
    fn from(sql: String) -> Statement {
        Statement { sql, puts: 0..0 }
    }
}

/// Writes changes, all of them or none, unless a row is in the way: then a part may be written and the rest not.
pub(super) fn write(
    conn: &mut Conn,
    shape: &MyShape,
    packet: usize,
    latest: &LatestWords<'_>,
    book: &mut Book,
) -> Result<(), RemoteFault> {
    let mut puts = Vec::with_capacity(latest.puts.len());
    for job in &latest.puts {
        puts.push(MyPut::of(*job, shape)?);
    }
    // gearmand's rows first: what stands alone is in none of the statements for those.
    puts.sort_by_key(MyPut::is_alone);
    let ended = latest.ended.iter().map(|&id| row_of(id)).collect::<Result<Vec<i64>, _>>()?;
    // Also if it fails: what may have a row of our own is to lose it with the end of the job.
    book.may_be_beside(puts.iter().filter(|put| put.ours.is_some()).map(|put| put.number));
    let statements = statements(&puts, &ended, latest, shape, packet, book)?;
    let met = run(conn, &statements, packet).inspect_err(|_| end(conn))?;
    for (statement, inserted) in statements.iter().zip(met) {
        if inserted < statement.puts.len() as u64 {
            one_by_one(conn, shape, packet, &mut puts[statement.puts.clone()]).inspect_err(|_| end(conn))?;
        }
    }
    for put in &puts {
        book.note(put.number, put.is_alone(), put.ours.is_some());
    }
    for &(id, _) in &latest.attempts {
        book.note_beside(row_of(id)?);
    }
    ended.iter().for_each(|&number| book.forget(number));
    Ok(())
}

/// Ends what may be left of a transaction; if there is none, nothing happens.
fn end(conn: &mut Conn) {
    let _ = conn.query_drop("ROLLBACK");
}

/// All statements of a commit.
fn statements(
    puts: &[MyPut<'_>],
    ended: &[i64],
    latest: &LatestWords<'_>,
    shape: &MyShape,
    packet: usize,
    book: &Book,
) -> Result<Vec<Statement>, RemoteFault> {
    let MyTables { theirs, ours, .. } = &shape.names;
    let dead = puts.iter().filter(|put| put.is_alone()).map(|put| put.number);
    let gone: Vec<i64> = ended.iter().copied().chain(dead).collect();
    let ours_of = |number: &i64| book.beside.contains(number);
    let mut ours_gone: Vec<i64> = ended.iter().copied().filter(ours_of).collect();
    ours_gone.extend(puts.iter().filter(|put| put.ours.is_none()).map(|put| put.number).filter(ours_of));
    let mut statements = vec![Statement::from(BEGIN.to_owned())];
    statements.extend(deletes(theirs, "ringgear_number", &gone));
    statements.extend(deletes(ours, "number", &ours_gone));
    statements.extend(their_inserts(puts, shape, packet)?);
    statements.extend(our_inserts(puts.iter(), ours, packet)?);
    for &(id, lost) in &latest.attempts {
        let number = row_of(id)?;
        statements
            .push(format!("UPDATE {ours} SET attempts = {lost} WHERE number = {number} AND kind = 1").into());
        statements.push(
            format!(
                "INSERT INTO {ours} (number, kind, attempts) SELECT ringgear_number, 0, {lost} FROM {theirs} \
                 WHERE ringgear_number = {number} ON DUPLICATE KEY UPDATE {ours}.attempts = IF({ours}.kind = 0, {lost}, {ours}.attempts)"
            )
            .into(),
        );
    }
    statements.push(COMMIT.to_owned().into());
    Ok(statements)
}

fn deletes(table: &str, column: &str, numbers: &[i64]) -> Vec<Statement> {
    let statement = |numbers: &[i64]| {
        let mut sql = format!("DELETE FROM {table} WHERE {column} IN (");
        text::numbers(numbers, &mut sql);
        sql.push(')');
        sql.into()
    };
    numbers.chunks(NUMBERS).map(statement).collect()
}

/// A job that is too long for any packet.
fn too_long(bytes: usize, packet: usize) -> RemoteFault {
    let what = format!(
        "a job takes {bytes} bytes of SQL, and max_allowed_packet is {packet} there: raise it on the server (SET GLOBAL \
         max_allowed_packet = ..., and in its configuration)"
    );
    RemoteFault::new(RemoteTrouble::Unfit, what)
}

/// RowStatements for statements that begin and end so, in as many as it takes.
struct RowStatements {
    statements: Vec<Statement>,
    begin: String,
    end: &'static str,
    packet: usize,
    rows: usize,
}

impl RowStatements {
    fn of(begin: String, end: &'static str, packet: usize) -> RowStatements {
        RowStatements { statements: Vec::new(), begin, end, packet, rows: ROWS }
    }

    /// Appends a row, of the put that stands there.
    fn push(&mut self, row: &str, at: usize) -> Result<(), RemoteFault> {
        let around = self.begin.len() + self.end.len() + MARGIN;
        if row.len() + around > self.packet {
            return Err(too_long(row.len() + around, self.packet));
        }
        let limit = BYTES.min(self.packet - MARGIN);
        let full = self
            .statements
            .last()
            .is_none_or(|last| self.rows >= ROWS || last.sql.len() + row.len() + around > limit);
        if full {
            self.finish();
            self.statements.push(Statement { sql: self.begin.clone(), puts: at..at });
            self.rows = 0;
        }
        if let Some(last) = self.statements.last_mut() {
            last.sql.push_str(if self.rows == 0 { "" } else { "," });
            last.sql.push_str(row);
            last.puts.end = at + 1;
        }
        self.rows += 1;
        Ok(())
    }

    /// The last one is whole.
    fn finish(&mut self) {
        if let Some(last) = self.statements.last_mut() {
            last.sql.push_str(self.end);
        }
    }

    fn into_statements(mut self) -> Vec<Statement> {
        self.finish();
        self.statements
    }
}

fn their_inserts(puts: &[MyPut<'_>], shape: &MyShape, packet: usize) -> Result<Vec<Statement>, RemoteFault> {
    let begin = format!(
        "INSERT INTO {} (unique_key, function_name, priority, data, when_to_run, ringgear_number) VALUES ",
        shape.names.theirs
    );
    // What is there stays as it is, and does not count.
    let mut rows =
        RowStatements::of(begin, " ON DUPLICATE KEY UPDATE ringgear_number = ringgear_number", packet);
    let mut row = String::new();
    for (at, put) in puts.iter().enumerate() {
        let Some(columns) = &put.theirs else { continue };
        row.clear();
        row.push('(');
        text::text(&columns.key, shape.key.is_binary(), &mut row);
        row.push(',');
        text::text(&columns.function, shape.function.is_binary(), &mut row);
        // Writing into a string cannot fail.
        let _ = write!(row, ",{},", columns.priority as i32);
        text::bytes(columns.workload, &mut row);
        let _ = write!(row, ",{},{})", columns.when_to_run, put.number);
        rows.push(&row, at)?;
    }
    Ok(rows.into_statements())
}

fn our_inserts<'p>(
    puts: impl Iterator<Item = &'p MyPut<'p>>,
    ours: &str,
    packet: usize,
) -> Result<Vec<Statement>, RemoteFault> {
    let begin = format!("INSERT INTO {ours} (number, kind, attempts, record) VALUES ");
    let end =
        " ON DUPLICATE KEY UPDATE kind = VALUES(kind), attempts = VALUES(attempts), record = VALUES(record)";
    let mut rows = RowStatements::of(begin, end, packet);
    let mut row = String::new();
    for put in puts {
        let Some(ours) = &put.ours else { continue };
        row.clear();
        let _ = write!(row, "({},{},{},", put.number, ours.kind, ours.attempts);
        text::bytes(&ours.record, &mut row);
        row.push(')');
        // Not those of gearmand's table: there is nothing to be met.
        rows.push(&row, 0)?;
    }
    let mut statements = rows.into_statements();
    statements.iter_mut().for_each(|statement| statement.puts = 0..0);
    Ok(statements)
}

/// Runs these in their order, in as few packets as may be: how many rows each has changed.
fn run(conn: &mut Conn, statements: &[Statement], packet: usize) -> Result<Vec<u64>, RemoteFault> {
    let limit = PACKET.min(packet - MARGIN);
    let (mut counts, mut sql) = (Vec::with_capacity(statements.len()), String::new());
    for (at, statement) in statements.iter().enumerate() {
        if !sql.is_empty() {
            sql.push(';');
        }
        sql.push_str(&statement.sql);
        let next = statements.get(at + 1).map(|next| next.sql.len());
        if next.is_some_and(|next| sql.len() + next < limit) {
            continue;
        }
        let mut answers = conn.query_iter(&sql)?;
        loop {
            let count = answers.affected_rows();
            let Some(answer) = answers.iter() else { break };
            for row in answer {
                row?;
            }
            counts.push(count);
        }
        drop(answers);
        sql.clear();
    }
    match counts.len() == statements.len() {
        true => Ok(counts),
        false => {
            Err(RemoteFault::other("the server has answered another number of statements than it was sent"))
        }
    }
}

/// Writes puts of which some met a row: of the same job, which is written anew, or another one with its key.
fn one_by_one(
    conn: &mut Conn,
    shape: &MyShape,
    packet: usize,
    puts: &mut [MyPut<'_>],
) -> Result<(), RemoteFault> {
    let MyTables { theirs, ours, .. } = &shape.names;
    let numbers: Vec<i64> = puts.iter().map(|put| put.number).collect();
    let mut first = vec![Statement::from(BEGIN.to_owned())];
    first.extend(deletes(theirs, "ringgear_number", &numbers));
    first.extend(their_inserts(puts, shape, packet)?);
    run(conn, &first, packet)?;
    let mut there = HashSet::new();
    for numbers in numbers.chunks(NUMBERS) {
        let mut sql = format!("SELECT ringgear_number FROM {theirs} WHERE ringgear_number IN (");
        text::numbers(numbers, &mut sql);
        there.extend(conn.query::<i64, _>(sql + ")")?);
    }
    let missing = |put: &MyPut<'_>| !there.contains(&put.number);
    puts.iter_mut().filter(|put| missing(put)).for_each(MyPut::take_own_key);
    let mut again = Vec::new();
    for (at, put) in puts.iter().enumerate().filter(|(_, put)| missing(put)) {
        let mut statements = their_inserts(std::slice::from_ref(put), shape, packet)?;
        statements.iter_mut().for_each(|statement| statement.puts = at..at + 1);
        again.append(&mut statements);
    }
    let written = run(conn, &again, packet)?;
    if written.contains(&0) {
        return Err(RemoteFault::other("there are rows with these keys and numbers already"));
    }
    let mut last = our_inserts(puts.iter().filter(|put| missing(put)), ours, packet)?;
    last.push(COMMIT.to_owned().into());
    run(conn, &last, packet)?;
    Ok(())
}

/// Deletes rows of these numbers, each statement by itself.
pub(super) fn delete(
    conn: &mut Conn,
    table: &str,
    column: &str,
    numbers: &[i64],
    packet: usize,
) -> Result<(), RemoteFault> {
    run(conn, &deletes(table, column, numbers), packet).map(|_| ())
}
