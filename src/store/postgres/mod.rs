//! The PostgreSQL store: background jobs in gearmand's table of a PostgreSQL database, one transaction per commit. Which rows
//! those are is `shape.rs`, what a commit comes to `changes.rs` and `writer.rs`; who waits for it is not known here.
//!
//! **A trial of Ringgear can be undone**: gearmand's table (`-q Postgres`) is opened as it is, gets two columns that gearmand
//! does not name, and after an orderly end gearmand opens it again and runs what is left. It then sees jobs without a unique
//! under generated uniques, runs reduce jobs as plain ones, forgets lost attempts and, as it does with its own, priorities
//! and times, and does not see dead jobs, nor those whose function has a name that cannot stand in its table.
//!
//! **The database is not always there.** Commits fail at once then ([`StoreError::Unreachable`]), and connecting goes on beside
//! that (`link.rs`). A commit that nobody answered is sent again to the next connection: what is written twice is there
//! once. If there is none soon, its puts are refused, and should they be there, they go: the engine says that they have
//! ended, and rows that ought not to be there are deleted.
//!
//! **Nor is it always what it was**: after each loss of the connection all rows are compared with what was acknowledged
//! (`book.rs`), since a failover may have lost the last commits. What is missing is asked of the shards again.
//!
//! **Durability** is the database's: its settings are read at the start (`promise.rs`).
//!
//! **Servers share a table**: each row has the server as its owner that runs it (`store/sharing.rs`, `servers.rs`). A server that is silent
//! for too long is taken over, and can add nothing from then on; rows that nobody owns are adopted. Tools that copy have no number
//! there and are refused while a server runs. gearmand knows nothing of all that, and runs what it reads.
mod adopt;
mod changes;
mod conninfo;
mod fault;
mod first;
mod link;
mod names;
mod options;
mod pages;
mod promise;
mod rows;
mod servers;
mod session;
mod shape;
mod shared;
mod surroundings;
mod target;
mod tls;
mod writer;

pub use super::{SharingOptions, StoreLost};
pub use options::{CommitLevel, POSTGRES_TABLE, PostgresOptions};

use super::beginning;
use super::book::Book;
use super::record::{self, RecordKind};
use super::servers::{SharedPlace, Unreadable};
use super::sharing::ServerSharing;
use super::sql::rows::JobRows;
use super::{
    BootTime, Committed, Exception, Progress, Repaired, ServerLoad, ServerShown, ServerStanding, Store,
    StoreError,
};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use changes::Changes;
use fault::{PgFault, PgTrouble};
use link::{LinkState, PgLink};
use pages::PgReading;
use std::ops::Range;
use std::time::{Duration, Instant};
use tokio_postgres::types::{ToSql, Type};
use writer::PgFence;

/// Records of more bytes are committed alone: others are not to wait for them, nor be refused with them.
const LARGE: usize = 4 << 20;
/// How long a commit may take until the connection counts as lost, and how long it then waits for another one.
const PATIENCE: Duration = Duration::from_secs(20);
const SECOND_CHANCE: Duration = Duration::from_secs(1);
/// Between two lines that say that the database is not there, at a start.
const WAITING: Duration = Duration::from_secs(10);
/// Rows that are compared at a time.
const PIECE: i64 = 5_000;
/// Sequences that a server takes at a time.
const NUMBERS: u64 = 1 << 24;

/// Background jobs in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    link: PgLink,
    /// How long a start may wait.
    wait: Duration,
    book: Book,
    sharing: Option<ServerSharing<PgLink>>,
}

impl PostgresStore {
    /// Connects to the database, and makes the tables if they are not there. A database that does not answer is waited for by
    /// [`Store::replay`], if it is to be waited for at all; what an operator must mend is an error here.
    pub fn open(options: PostgresOptions) -> Result<PostgresStore, StoreError> {
        let wait = options.wait;
        let sharing = options.sharing.clone().map(|sharing| ServerSharing::new(*sharing));
        let mut link = PgLink::of(options)?;
        match link.connect_now() {
            Ok(()) => {}
            Err(fault) if fault.trouble() == PgTrouble::Away && !wait.is_zero() => {
                log_at!(Level::Warning, "the store: {}; waiting for it", link.error(fault));
            }
            Err(fault) => return Err(link.error(fault)),
        }
        Ok(PostgresStore { link, wait, book: Book::default(), sharing })
    }

    /// Waits for the database, if it is not there.
    fn wait_for_it(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        let (begin, mut said) = (Instant::now(), None::<Instant>);
        loop {
            match self.link.go_on(Duration::from_millis(200)) {
                LinkState::Yes => return Ok(()),
                LinkState::Coming | LinkState::No => {}
            }
            let fault = self.link.why_not();
            if fault.trouble() != PgTrouble::Away || begin.elapsed() >= self.wait {
                return Err(self.link.error(fault));
            }
            if said.is_none_or(|said| said.elapsed() >= WAITING) {
                said = Some(Instant::now());
                let server = self.link.server();
                progress(Progress::Away {
                    why: format!("{server} cannot be reached: {fault}; waiting for it"),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Goes on with a connection for so long at the most. Whenever one was lost, everything is to be compared.
    fn go_on(&mut self, limit: Duration) -> LinkState {
        let linked = self.link.go_on(limit);
        if self.link.just_lost() {
            self.book.begin_comparing();
        }
        linked
    }

    /// Has a connection, if there is one. When one was just lost there may be another one in a moment.
    fn connected(&mut self) -> bool {
        let was_there = self.link.is_there();
        let mut linked = self.go_on(Duration::from_millis(5));
        let until = Instant::now() + SECOND_CHANCE;
        while was_there && linked != LinkState::Yes && Instant::now() < until {
            linked = self.go_on(Duration::from_millis(20));
            if linked == LinkState::No {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        linked == LinkState::Yes
    }

    /// Writes these records, with puts or without. Returns puts that are elsewhere, and where.
    fn write(&mut self, slices: &[&[u8]], puts: bool) -> Result<Vec<(JobId, JobId)>, PgFault> {
        let mut tries = 0;
        loop {
            if !self.connected() {
                return Err(self.link.why_not());
            }
            let Some(shape) = self.link.shape() else { return Err(self.link.why_not()) };
            let mut changes = Changes::of(slices, &shape, puts)?;
            // Two servers that wait for each other's keys do so in the same order the second time.
            if tries > 0 {
                changes.sort();
            }
            // Also if it fails: what may have a row of our own is to lose it with the end of the job.
            self.book
                .may_be_beside(changes.puts.iter().filter(|put| put.ours.is_some()).map(|put| put.number));
            let (book, sent) = (&self.book, BootTime::now());
            let family = self.sharing.as_ref().map_or(&[][..], |sharing| &sharing.family);
            let fence = PgFence { me: self.sharing.as_ref().and_then(|sharing| sharing.me), family };
            let written = self.link.run(PATIENCE, async |session| {
                writer::write(session, &shape, &mut changes, book, fence).await
            });
            let fault = match written {
                Ok(elsewhere) => {
                    self.note(&changes, &elsewhere);
                    self.sharing.iter_mut().for_each(|sharing| sharing.renewed(sent));
                    return Ok(elsewhere);
                }
                Err(fault) => fault,
            };
            if let Some(sharing) = &mut self.sharing
                && sharing.note(&fault)
            {
                return Err(fault);
            }
            tries += 1;
            match fault.trouble() {
                // Nobody knows whether it was written: the same again does no harm.
                PgTrouble::Away if tries == 1 => self.link.is_of_no_use(&fault),
                PgTrouble::Away => {
                    self.link.lost(&fault);
                    return Err(fault);
                }
                PgTrouble::InTheWay if tries < 3 => {}
                _ => return Err(fault),
            }
        }
    }

    /// What was just written is what there is.
    fn note(&mut self, changes: &Changes<'_>, elsewhere: &[(JobId, JobId)]) {
        for put in changes.puts.iter().filter(|put| !elsewhere.iter().any(|(id, _)| *id == put.id)) {
            self.book.note(put.number, put.is_alone(), put.ours.is_some());
        }
        changes.attempts.iter().for_each(|&(number, _)| self.book.note_beside(number));
        changes.ended.iter().for_each(|&number| self.book.forget(number));
    }

    /// Compares a piece of the rows with what ought to be there. True if there is more.
    fn compare(&mut self, from: i64) -> Result<bool, PgFault> {
        let Some(shape) = self.link.shape() else { return Ok(false) };
        let names = &shape.names;
        let family = self.sharing.as_ref().map(|sharing| sharing.family.clone());
        let book = &mut self.book;
        let mut unknown = Vec::new();
        let compared = self.link.run(PATIENCE, async |session| {
            let numbers = async |table: &str, column: &str, owner: &str, and: &str| {
                let sql = format!(
                    "SELECT {column} FROM {table} WHERE {column} > $1 {and} \
                     AND ($2::int4[] IS NULL OR {owner} = ANY($2)) ORDER BY {column} LIMIT {PIECE}"
                );
                let values: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&from, Type::INT8), (&family, Type::INT4_ARRAY)];
                let rows = session.client.query_typed(&sql, &values).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PgFault>>()
            };
            let mut theirs = numbers(&names.theirs, "ringgear_number", "ringgear_owner", "").await?;
            let mut ours = numbers(&names.ours, "number", "owner", "AND kind <> 0").await?;
            let last = |numbers: &[i64]| {
                if numbers.len() < PIECE as usize { i64::MAX } else { numbers[numbers.len() - 1] }
            };
            let upto = last(&theirs).min(last(&ours));
            theirs.retain(|&number| number <= upto);
            ours.retain(|&number| number <= upto);
            let too_much = book.compare(&theirs, &ours, upto);
            if !too_much.theirs.is_empty() && family.is_some() {
                unknown =
                    writer::delete_unless_joined(&session.client, names, &too_much.theirs, book).await?;
            } else if !too_much.theirs.is_empty() {
                writer::delete(&session.client, &names.theirs, "ringgear_number", &too_much.theirs).await?;
            }
            if !too_much.ours.is_empty() {
                writer::delete(&session.client, &names.ours, "number", &too_much.ours).await?;
            }
            Ok(())
        });
        compared?;
        if let Some(sharing) = self.sharing.as_mut().filter(|_| !unknown.is_empty()) {
            sharing.read(unknown);
        }
        Ok(self.book.compares().is_some())
    }
}

impl PostgresStore {
    /// What is to be read at the start, once it is ours.
    fn begin(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<PgReading, PgFault> {
        if let Some(sharing) = &mut self.sharing {
            let mut say = |why| progress(Progress::Waiting { why });
            return sharing.begin(&mut self.link, &mut say);
        }
        beginning::refuse_beside_servers(&mut self.link)?;
        self.link.claim(None)?;
        Ok(PgLink::reading(None, None, Unreadable::Error))
    }
}

impl Store for PostgresStore {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        self.wait_for_it(progress)?;
        let begun = self.begin(progress);
        let sharing = self.sharing.as_mut();
        let book =
            begun.and_then(|reading| beginning::read_all(&mut self.link, sharing, reading, each, progress));
        self.book = book.map_err(|fault| self.link.error(fault))?;
        Ok(())
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        let fault = match self.write(slices, true) {
            Ok(elsewhere) => {
                let except = |(id, there)| (id, Exception::Elsewhere(there));
                let exceptions = elsewhere.into_iter().map(except).collect();
                return Committed { exceptions, ..Committed::all() };
            }
            // What has ended is the other one's to tell.
            Err(PgFault::Fenced) => {
                return Committed::of(Err(self.link.error(PgFault::Fenced)), Ok(()));
            }
            Err(fault) => fault,
        };
        let is_put = |span: record::Span| span.head.kind == RecordKind::Put;
        let (puts, others) =
            (record::spans(slices).any(is_put), record::spans(slices).any(|span| !is_put(span)));
        // Ends of jobs may have room where puts have none, and it may have been one of those that was refused.
        let again = puts && others && fault.trouble() != PgTrouble::Away;
        let refusal = self.link.error(fault);
        match (puts, others) {
            (true, false) => Committed::of(Err(refusal), Ok(())),
            (false, _) => Committed::of(Ok(()), Err(refusal)),
            (true, true) if again => {
                let dones = self.write(slices, false).map(|_| ()).map_err(|fault| self.link.error(fault));
                Committed::of(Err(refusal), dones)
            }
            (true, true) => {
                let dones = Err(self.link.error(self.link.why_not()));
                Committed::of(Err(refusal), dones)
            }
        }
    }

    fn alone(&self) -> usize {
        LARGE
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        match self.go_on(Duration::from_millis(5)) {
            LinkState::Coming => return Ok(true),
            LinkState::No => return Ok(false),
            LinkState::Yes => {}
        }
        // What was taken over and is not read yet would look like what ought not to be there.
        if self.sharing.as_ref().is_some_and(ServerSharing::reads) {
            return Ok(false);
        }
        let Some(from) = self.book.compares() else { return Ok(false) };
        self.compare(from).or_else(|fault| match fault.trouble() {
            PgTrouble::Away => {
                self.link.lost(&fault);
                Ok(false)
            }
            _ => Err(self.link.error(fault)),
        })
    }

    fn owes(&self) -> bool {
        !self.link.is_there() || self.book.compares().is_some() || self.book.misses()
    }

    fn wanted(&mut self) -> Vec<JobId> {
        if self.link.is_there() { self.book.wanted_jobs() } else { Vec::new() }
    }

    fn unknown(&mut self, jobs: &[JobId]) {
        // They have ended meanwhile.
        self.book.forget_jobs(jobs);
    }

    fn repaired(&mut self) -> Repaired {
        self.book.repaired_on(self.link.server())
    }

    /// No column of gearmand's table is for that, and alone it is not worth a second row.
    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        !JobRows::of(job).is_plain()
    }

    fn attend_at(&self) -> Option<Instant> {
        self.sharing.as_ref().map(ServerSharing::next)
    }

    fn attend(&mut self, load: ServerLoad, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<bool, StoreError> {
        self.go_on(Duration::from_millis(5));
        let Some(sharing) = &mut self.sharing else { return Ok(false) };
        sharing.attend(&mut self.link, &mut self.book, load, each)
    }

    fn standing(&self) -> ServerStanding {
        self.sharing.as_ref().map_or(ServerStanding::default(), ServerSharing::standing)
    }

    fn numbers(&mut self, at_least: u64) -> Result<Range<u64>, StoreError> {
        if self.sharing.is_none() {
            return Ok(at_least..u64::MAX);
        }
        let Some(shape) = self.link.shape() else { return Err(self.link.error(self.link.why_not())) };
        let numbers = self
            .link
            .run(PATIENCE, async |session| servers::numbers(session, &shape, NUMBERS, at_least).await);
        numbers.map_err(|fault| self.link.error(fault))
    }

    fn servers(&self) -> Vec<ServerShown> {
        self.sharing.as_ref().map_or(Vec::new(), ServerSharing::shown)
    }

    fn begin_hand_over(&mut self) -> bool {
        self.sharing.as_mut().is_some_and(|sharing| sharing.begin_hand_over(&self.link))
    }

    fn hand_over(&mut self, kept: &[JobId]) -> Result<(), StoreError> {
        let Some(sharing) = &mut self.sharing else { return Ok(()) };
        sharing.hand_over(&mut self.link, &mut self.book, kept)
    }

    fn stays_silent(&mut self) {
        self.sharing.iter_mut().for_each(ServerSharing::stays_silent);
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let left = match &mut self.sharing {
            Some(sharing) => sharing.leave(&mut self.link, &self.book),
            None => Ok(()),
        };
        self.link.close();
        left
    }
}
