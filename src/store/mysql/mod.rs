//! The MySQL and MariaDB store: background jobs in gearmand's table, one transaction per commit. Which rows those are is `shape.rs`, what
//! a commit comes to `puts.rs` and `writer.rs`; how the server comes and goes is `remote/`.
//!
//! **A trial of Ringgear can be undone**: gearmand's table (`-q MySQL`) is opened as it is, gets columns that gearmand does not name,
//! and after an orderly end gearmand opens it again and runs what is left. It then sees jobs without a unique under generated
//! uniques, runs reduce jobs as plain ones, forgets lost attempts, and does not see dead jobs, nor those whose function has a name that
//! cannot stand in its table.
//!
//! **Durability** is the database's: its settings are read at the start (`session.rs`).
//!
//! **One server a table**: a second one is refused, by a lock of the session (`GET_LOCK`), which a cluster of servers does not share and
//! a pooler may mix up. gearmand knows no such lock, and runs what it reads. Left for later, as in PostgreSQL: several servers on one
//! table, for which there is the column `ringgear_owner`. Rows that others insert while the server runs are found at its next start.
mod fault;
mod files;
mod names;
mod options;
mod puts;
mod replay;
mod session;
mod shape;
mod target;
mod text;
mod writer;

pub use super::remote::level::PromiseLevel;
pub use options::{MYSQL_HOST, MYSQL_PORT, MYSQL_TABLE, MysqlOptions};

use super::book::Book;
use super::latest::LatestWords;
use super::remote::fault::{RemoteFault, RemoteTrouble};
use super::remote::line::Connector;
use super::remote::{Remote, RemoteListener, RemoteStore};
use super::{Store, StoreError};
use mysql::Conn;
use mysql::prelude::Queryable;
use names::{MyTables, NamedTable};
use shape::MyShape;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use target::MyTarget;

/// Records of more bytes are committed alone: others are not to wait for them, nor be refused with them.
const LARGE: usize = 4 << 20;
/// The server drops who is silent for two minutes.
const BEAT: Duration = Duration::from_secs(20);
/// Rows that are compared at a time.
const PIECE: usize = 5_000;

/// Connects to the database, and makes the tables if they are not there. A database that does not answer is waited for by
/// [`Store::replay`], if it is to be waited for at all; what an operator must mend is an error here.
pub fn open(options: MysqlOptions) -> Result<Box<dyn Store>, StoreError> {
    let named = |what| StoreError::Database { name: "--mysql-table".to_owned(), what };
    let table = names::read(&options.table).map_err(named)?;
    let target = target::target(&options).map_err(|fault| fault.of("MySQL", None))?;
    let wait = options.wait;
    let mysql = Mysql { target, table, options, last: AtomicU32::new(0), packet: AtomicUsize::new(LARGE) };
    Ok(Box::new(RemoteStore::open(mysql, wait)?))
}

/// What makes connections to it, and what is done with them.
struct Mysql {
    target: MyTarget,
    table: NamedTable,
    options: MysqlOptions,
    /// The connection that served us last, which may still have the lock; 0 if there was none.
    last: AtomicU32,
    /// Bytes of a packet there, as far as is known.
    packet: AtomicUsize,
}

/// A connection that can be used, and the tables.
struct MyLink {
    conn: Conn,
    shape: MyShape,
    packet: usize,
}

impl Connector for Mysql {
    type Link = MyLink;

    fn server(&self) -> &str {
        &self.target.server
    }

    fn connect(&self) -> Result<MyLink, RemoteFault> {
        let (mut conn, facts) = session::connect(&self.target.opts)?;
        let shape = shape::settle(&mut conn, &self.table, self.options.may_make)?;
        session::check_promise(&facts, &shape.engine, &shape.names, self.options.level)?;
        let before = Some(self.last.load(Ordering::Relaxed)).filter(|&id| id != 0);
        session::lock(&mut conn, &shape.names, before)?;
        self.last.store(conn.connection_id(), Ordering::Relaxed);
        let packet = facts.packet().max(64 << 10);
        self.packet.store(packet, Ordering::Relaxed);
        Ok(MyLink { conn, shape, packet })
    }

    fn leave(&self, mut link: MyLink) {
        session::unlock(&mut link.conn, &link.shape.names);
    }
}

impl Remote for Mysql {
    fn replay(&self, link: &mut MyLink, listener: RemoteListener<'_>) -> Result<Book, RemoteFault> {
        replay::replay(&mut link.conn, &link.shape, listener)
    }

    fn write(&self, link: &mut MyLink, latest: &LatestWords<'_>, book: &mut Book) -> Result<(), RemoteFault> {
        writer::write(&mut link.conn, &link.shape, link.packet, latest, book)
    }

    fn compare(&self, link: &mut MyLink, book: &mut Book, from: i64) -> Result<(), RemoteFault> {
        let MyLink { conn, shape, packet } = link;
        let MyTables { theirs, ours, .. } = &shape.names;
        let mut numbers = |table: &str, column: &str, and: &str| -> Result<Vec<i64>, RemoteFault> {
            let sql = format!(
                "SELECT {column} FROM {table} WHERE {column} > {from} {and} ORDER BY {column} LIMIT {PIECE}"
            );
            Ok(conn.query(sql)?)
        };
        let mut theirs_there = numbers(theirs, "ringgear_number", "")?;
        let mut ours_there = numbers(ours, "number", "AND kind <> 0")?;
        let last =
            |numbers: &[i64]| if numbers.len() < PIECE { i64::MAX } else { numbers[numbers.len() - 1] };
        let upto = last(&theirs_there).min(last(&ours_there));
        theirs_there.retain(|&number| number <= upto);
        ours_there.retain(|&number| number <= upto);
        let too_much = book.compare(&theirs_there, &ours_there, upto);
        writer::delete(conn, theirs, "ringgear_number", &too_much.theirs, *packet)?;
        writer::delete(conn, ours, "number", &too_much.ours, *packet)
    }

    fn tend(&self, link: &mut MyLink) -> Result<(), RemoteFault> {
        link.conn.ping().map_err(|error| RemoteFault::new(RemoteTrouble::Away, fault::told(&error)))
    }

    fn tend_every(&self) -> Duration {
        BEAT
    }

    fn alone(&self) -> usize {
        LARGE.min(self.packet.load(Ordering::Relaxed) / 4)
    }
}
