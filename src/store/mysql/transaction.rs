//! Statements as they travel: many of one transaction in one packet, so it costs one journey, and nobody who is stopped in the middle of it
//! keeps what it has locked. What they say is known elsewhere.
//!
//! Where servers share the table, a transaction begins with the fence (`store/servers.rs`): it adds to our own count if nobody has taken us
//! over, and if somebody has, it fails, with all that stands behind it. It is a write, for clusters see conflicts of writes only.
use super::fault::code;
use super::names::MyTables;
use crate::store::remote::fault::RemoteFault;
use crate::store::servers::SharedFault;
use mysql::prelude::Queryable;
use mysql::{Conn, Error};
use std::ops::Range;

/// Bytes of one packet, where the server takes that much, and those of it that are not ours.
const PACKET: usize = 8 << 20;
pub(super) const MARGIN: usize = 1024;

/// What the statement that fails behind a failed fence says: a value is missing, or it is there already.
const FENCED: &[u16] = &[1048, 1062];

/// A statement.
pub(super) struct Statement {
    pub(super) sql: String,
    /// Which of the puts it inserts into gearmand's table.
    pub(super) puts: Range<usize>,
    /// Whether it fails if we were taken over.
    is_fence: bool,
}

impl From<String> for Statement {
    fn from(sql: String) -> Statement {
        Statement { sql, puts: 0..0, is_fence: false }
    }
}

impl From<&str> for Statement {
    fn from(sql: &str) -> Statement {
        sql.to_owned().into()
    }
}

/// Begins a transaction, which goes on only if this server, if it is one of several, was not taken over.
pub(super) fn begin(names: &MyTables, me: Option<i32>) -> Vec<Statement> {
    let mut begin = vec![Statement::from("START TRANSACTION")];
    if let Some(me) = me {
        let MyTables { servers, numbers, .. } = names;
        let there = format!("id = {me} AND taken_by IS NULL");
        begin.push(format!("UPDATE {servers} SET beat = beat + 1 WHERE {there}").into());
        let sql = format!(
            "INSERT INTO {numbers} (one, next) SELECT 1, NULL FROM DUAL WHERE NOT EXISTS (SELECT * FROM {servers} WHERE {there})"
        );
        begin.push(Statement { is_fence: true, ..sql.into() });
    }
    begin
}

/// The end of it.
pub(super) fn commit() -> Statement {
    "COMMIT".into()
}

/// Ends what may be left of a transaction; if there is none, nothing happens.
pub(super) fn end(conn: &mut Conn) {
    let _ = conn.query_drop("ROLLBACK");
}

/// Runs these in their order, in as few packets as may be: how many rows each has changed.
pub(super) fn run(conn: &mut Conn, statements: &[Statement], packet: usize) -> Result<Vec<u64>, RemoteFault> {
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
        if let Err(error) = send(conn, &sql, &mut counts) {
            let by_fence = statements.get(counts.len()).is_some_and(|failed| failed.is_fence);
            return Err(match code(&error) {
                Some(code) if by_fence && FENCED.contains(&code) => RemoteFault::fenced(),
                _ => error.into(),
            });
        }
        sql.clear();
    }
    match counts.len() == statements.len() {
        true => Ok(counts),
        false => {
            Err(RemoteFault::other("the server has answered another number of statements than it was sent"))
        }
    }
}

fn send(conn: &mut Conn, sql: &str, counts: &mut Vec<u64>) -> Result<(), Error> {
    let mut answers = conn.query_iter(sql)?;
    loop {
        let count = answers.affected_rows();
        let Some(answer) = answers.iter() else { return Ok(()) };
        for row in answer {
            row?;
        }
        counts.push(count);
    }
}

/// A whole transaction of these statements: how many rows each has changed.
pub(super) fn transact(
    conn: &mut Conn,
    names: &MyTables,
    me: Option<i32>,
    statements: Vec<Statement>,
    packet: usize,
) -> Result<Vec<u64>, RemoteFault> {
    let mut all = begin(names, me);
    let (first, count) = (all.len(), statements.len());
    all.extend(statements);
    all.push(commit());
    let counts = run(conn, &all, packet).inspect_err(|_| end(conn))?;
    Ok(counts[first..first + count].to_vec())
}
