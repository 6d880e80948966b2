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
//! **Servers share a table**: each row has the server as its owner that runs it (`store/sharing.rs`, `servers.rs`). A server that is silent
//! for too long is taken over, and can add nothing from then on; rows that nobody owns are adopted (`adopt.rs`). Tools that copy have no number
//! there and are refused while a server runs. gearmand knows nothing of all that, and runs what it reads.
mod adopt;
mod collisions;
mod fault;
mod files;
mod inserts;
mod link;
mod names;
mod options;
mod pages;
mod puts;
mod servers;
mod session;
mod shape;
mod target;
mod text;
mod transaction;
mod writer;

pub use super::remote::level::PromiseLevel;
pub use options::{MYSQL_HOST, MYSQL_PORT, MYSQL_TABLE, MysqlOptions};

use super::book::Book;
use super::latest::LatestWords;
use super::remote::fault::{RemoteFault, RemoteTrouble};
use super::remote::line::Connector;
use super::remote::{Remote, RemoteStore};
use super::servers::{Fence, Legacy, ServerEntry, ServersLook, TellJob, Unreadable};
use super::{ServerLoad, Store, StoreError};
use crate::engine::JobId;
use link::MyLink;
use names::{MyTables, NamedTable};
use pages::{MyReading, NumberedTable};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use target::MyTarget;

/// Records of more bytes are committed alone: others are not to wait for them, nor be refused with them.
const LARGE: usize = 4 << 20;
/// The server drops who is silent for a minute.
const BEAT: Duration = Duration::from_secs(20);
/// Rows that are compared at a time.
const PIECE: usize = 5_000;

/// Connects to the database, and makes the tables if they are not there. A database that does not answer is waited for by
/// [`Store::replay`], if it is to be waited for at all; what an operator must mend is an error here.
pub fn open(options: MysqlOptions) -> Result<Box<dyn Store>, StoreError> {
    let named = |what| StoreError::Database { name: "--mysql-table".to_owned(), what };
    let table = names::read(&options.table).map_err(named)?;
    let target = target::target(&options).map_err(|fault| fault.of("MySQL", None))?;
    let (wait, sharing) = (options.wait, options.sharing.clone());
    let mysql = Mysql { target, table, options, packet: AtomicUsize::new(LARGE) };
    Ok(Box::new(RemoteStore::open(mysql, wait, sharing.as_deref())?))
}

/// What makes connections to it, and what is done with them.
struct Mysql {
    target: MyTarget,
    table: NamedTable,
    options: MysqlOptions,
    /// Bytes of a packet there, as far as is known.
    packet: AtomicUsize,
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
        session::no_old_server(&mut conn, &shape.names)?;
        let packet = facts.packet().max(64 << 10);
        self.packet.store(packet, Ordering::Relaxed);
        let mut link = MyLink { conn, shape, packet };
        servers::begin_numbers(&mut link)?;
        Ok(link)
    }

    fn leave(&self, _: MyLink) {}
}

impl Remote for Mysql {
    type Reading = MyReading;

    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> MyReading {
        MyReading::of(owners, only, unreadable)
    }

    fn count(&self, link: &mut MyLink, reading: &mut MyReading) -> Result<u64, RemoteFault> {
        pages::count(link, reading)
    }

    fn page(
        &self,
        link: &mut MyLink,
        reading: &mut MyReading,
        told: TellJob<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        reading.page(link, told)
    }

    fn write(
        &self,
        link: &mut MyLink,
        latest: &LatestWords<'_>,
        book: &mut Book,
        fence: Fence<'_>,
    ) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
        writer::write(link, latest, book, fence)
    }

    fn compare(
        &self,
        link: &mut MyLink,
        book: &mut Book,
        from: i64,
        fence: Fence<'_>,
    ) -> Result<Vec<i64>, RemoteFault> {
        let shape = link.shape.clone();
        let owners = fence.me.map(|_| fence.family);
        let mut theirs = NumberedTable::theirs(&shape).numbers(link, owners, from, PIECE)?;
        let mut ours = NumberedTable::ours(&shape).numbers(link, owners, from, PIECE)?;
        let last =
            |numbers: &[i64]| if numbers.len() < PIECE { i64::MAX } else { numbers[numbers.len() - 1] };
        let upto = last(&theirs).min(last(&ours));
        theirs.retain(|&number| number <= upto);
        ours.retain(|&number| number <= upto);
        let too_much = book.compare(&theirs, &ours, upto);
        writer::delete_unless_joined(link, &too_much.theirs, &too_much.ours, book, fence)
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

    fn shown(&self) -> String {
        format!("table {}", self.options.table)
    }

    fn how_to_strike(&self, id: i32) -> String {
        let tables = MyTables::of(self.table.database.as_deref().unwrap_or_default(), &self.table.table);
        format!("DELETE FROM {} WHERE id = {id}", tables.servers.trim_start_matches("``."))
    }

    fn look(
        &self,
        link: &mut MyLink,
        me: Option<i32>,
        jobs: usize,
        load: ServerLoad,
    ) -> Result<ServersLook, RemoteFault> {
        servers::look(link, me, jobs, load)
    }

    fn register(&self, link: &mut MyLink, name: &str) -> Result<i32, RemoteFault> {
        servers::register(link, name)
    }

    fn take(&self, link: &mut MyLink, me: i32, other: &ServerEntry) -> Result<bool, RemoteFault> {
        servers::take(link, me, other)
    }

    fn claim(&self, link: &mut MyLink, me: Option<i32>) -> Result<(), RemoteFault> {
        adopt::claim(link, me)
    }

    fn adopt(&self, link: &mut MyLink, me: i32) -> Result<(Vec<i64>, bool), RemoteFault> {
        adopt::adopt(link, me)
    }

    fn tidy(&self, link: &mut MyLink) -> Result<(), RemoteFault> {
        pages::drop_leftovers(link)?;
        servers::tidy(link)
    }

    fn leave_others(
        &self,
        link: &mut MyLink,
        me: i32,
        family: &[i32],
        empty: bool,
    ) -> Result<(), RemoteFault> {
        servers::leave(link, me, family, empty)
    }

    fn bequeath(&self, link: &mut MyLink, legacy: Legacy<'_>) -> Result<bool, RemoteFault> {
        servers::bequeath(link, legacy)
    }

    fn numbers(&self, link: &mut MyLink, count: u64, at_least: u64) -> Result<Range<u64>, RemoteFault> {
        servers::numbers(link, count, at_least)
    }
}
