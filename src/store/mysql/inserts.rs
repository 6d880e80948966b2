//! Statements that insert and delete rows, of as many as fit into one. What a job's rows are is `puts.rs`; which are written is decided elsewhere.
use super::puts::{BESIDE, MyPut};
use super::shape::MyShape;
use super::text;
use super::transaction::{MARGIN, Statement};
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::servers::Fence;
use std::fmt::Write;

/// Rows and bytes of one statement.
const ROWS: usize = 1_000;
const BYTES: usize = 1 << 20;
/// Numbers of one statement.
pub(super) const NUMBERS: usize = 10_000;

/// What is true of a row with this owner if it is ours. Whoever has taken over a job runs it, and may have told a client that it has
/// joined it: its end is his to tell.
pub(super) fn own(fence: Fence<'_>, owner: &str) -> String {
    match fence.me {
        Some(_) => format!("{owner} IN ({})", text::list(fence.family)),
        None => "TRUE".to_owned(),
    }
}

/// Deletes rows of these numbers of which this is true.
pub(super) fn deletes(table: &str, column: &str, numbers: &[i64], condition: &str) -> Vec<Statement> {
    let statement = |numbers: &[i64]| {
        format!("DELETE FROM {table} WHERE {column} IN ({}) AND {condition}", text::list(numbers)).into()
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
            let mut statement = Statement::from(self.begin.clone());
            statement.puts = at..at;
            self.statements.push(statement);
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

/// Whose rows are that are written.
fn owner(fence: Fence<'_>) -> String {
    fence.me.map_or_else(|| "NULL".to_owned(), |me| me.to_string())
}

pub(super) fn their_inserts(
    puts: &[MyPut<'_>],
    shape: &MyShape,
    packet: usize,
    fence: Fence<'_>,
) -> Result<Vec<Statement>, RemoteFault> {
    let (owner, begin) = (
        owner(fence),
        format!(
            "INSERT INTO {} (unique_key, function_name, priority, data, when_to_run, ringgear_number, ringgear_owner) VALUES ",
            shape.names.theirs
        ),
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
        let _ = write!(row, ",{},{},{owner})", columns.when_to_run, put.number);
        rows.push(&row, at)?;
    }
    Ok(rows.into_statements())
}

pub(super) fn our_inserts<'p>(
    puts: impl Iterator<Item = &'p MyPut<'p>>,
    ours: &str,
    packet: usize,
    fence: Fence<'_>,
) -> Result<Vec<Statement>, RemoteFault> {
    let (owner, begin) =
        (owner(fence), format!("INSERT INTO {ours} (number, kind, attempts, owner, record) VALUES "));
    let end = " ON DUPLICATE KEY UPDATE kind = VALUES(kind), attempts = VALUES(attempts), owner = VALUES(owner), \
               record = VALUES(record)";
    let mut rows = RowStatements::of(begin, end, packet);
    let mut row = String::new();
    for put in puts {
        let Some(ours) = &put.ours else { continue };
        row.clear();
        // What stands beside a row has the owner of that.
        let owner = if ours.kind == BESIDE { "NULL" } else { &owner };
        let _ = write!(row, "({},{},{},{owner},", put.number, ours.kind, ours.attempts);
        text::bytes(&ours.record, &mut row);
        row.push(')');
        // Not those of gearmand's table: there is nothing to be met.
        rows.push(&row, 0)?;
    }
    let mut statements = rows.into_statements();
    statements.iter_mut().for_each(|statement| statement.puts = 0..0);
    Ok(statements)
}
