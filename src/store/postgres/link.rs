//! The connection to the database as it comes and goes: kept while it lasts, sought again when it is lost, without anybody waiting
//! for that longer than he wants to. What is sent over it is known elsewhere.
use super::fault::{PgFault, PgTrouble};
use super::names::{self, GivenTable};
use super::options::{CommitLevel, PostgresOptions};
use super::promise;
use super::servers;
use super::session::{PgSession, connect, within};
use super::shape::{self, TableShape};
use super::surroundings::{Machine, settle};
use super::target::{PgTarget, TargetFacts, target};
use crate::log_at;
use crate::logging::Level;
use crate::store::StoreError;
use nix::unistd::{Uid, User};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

/// Between two tries, at first and at the most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long everything may take that is done before a connection can be used, each; and the first of it, which may have to make
/// an index.
const SETTLING: Duration = Duration::from_secs(10);
const MAKING: Duration = Duration::from_secs(600);
/// The first number of the lock by which servers of version 0.2 have a table to themselves.
const LOCKS: i32 = 0x52_69_6e_67;

/// Whether there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// There is one.
    Yes,
    /// One is being made.
    Coming,
    /// There is none, and it is not time yet to try again.
    No,
}

/// What the operator wants of it.
#[derive(Clone, Copy)]
struct Wish {
    level: CommitLevel,
    may_make: bool,
}

/// A connection that may be used, and the tables.
struct Made {
    session: PgSession,
    shape: TableShape,
}

/// The connection.
pub(super) struct PgLink {
    /// Runs what waits for the database, on the thread of the store and only while something is asked of it.
    runtime: Runtime,
    target: Arc<PgTarget>,
    table: Arc<GivenTable>,
    wish: Wish,
    made: Option<Made>,
    coming: Option<JoinHandle<Result<Made, PgFault>>>,
    /// What stood in the way last.
    why: String,
    refused: bool,
    /// The tables, once they were found.
    shape: Option<Arc<TableShape>>,
    next_try: Instant,
    pause: Duration,
    away_since: Option<Instant>,
    just_lost: bool,
    /// Why the connection that there is is of no more use.
    given_up: Option<String>,
}

impl std::fmt::Debug for PgLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgLink").field("server", &self.target.server).finish_non_exhaustive()
    }
}

impl PgLink {
    /// To the database that these options mean. Nothing is asked of it yet.
    pub(super) fn of(options: PostgresOptions) -> Result<PgLink, StoreError> {
        let mistake = |fault: PgFault| fault.of("PostgreSQL", None);
        let target = target_of(&options.conninfo).map_err(mistake)?;
        let table = names::read(&options.table)
            .map_err(|what| StoreError::Database { name: "--libpq-table".to_owned(), what })?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(|source| {
            StoreError::Io { doing: "make a runtime for", path: PathBuf::from(&target.server), source }
        })?;
        Ok(PgLink {
            runtime,
            target: Arc::new(target),
            table: Arc::new(table),
            wish: Wish { level: options.level, may_make: options.may_make },
            made: None,
            coming: None,
            why: "it was not asked yet".to_owned(),
            refused: false,
            shape: None,
            next_try: Instant::now(),
            pause: PAUSE,
            away_since: None,
            just_lost: false,
            given_up: None,
        })
    }

    /// For messages.
    pub(super) fn server(&self) -> &str {
        &self.target.server
    }

    /// What went wrong, for others.
    pub(super) fn error(&self, fault: PgFault) -> StoreError {
        fault.of(&self.target.server, self.away_since.map(|since| since.elapsed()))
    }

    /// Why there is no connection.
    pub(super) fn why_not(&self) -> PgFault {
        let why = self.why.clone();
        if self.refused { PgFault::Refused(why) } else { PgFault::Away(why) }
    }

    /// Whether there is a connection, as far as is known.
    pub(super) fn is_there(&self) -> bool {
        self.made.is_some()
    }

    /// The tables, if there is a connection.
    pub(super) fn shape(&self) -> Option<Arc<TableShape>> {
        self.made.as_ref().and(self.shape.clone())
    }

    /// Whether the connection was lost since this was last asked.
    pub(super) fn just_lost(&mut self) -> bool {
        std::mem::take(&mut self.just_lost)
    }

    /// Connects, and waits for it: what stands in the way is for the operator.
    pub(super) fn connect_now(&mut self) -> Result<(), PgFault> {
        let making = make(self.target.clone(), self.table.clone(), self.wish);
        match self.runtime.block_on(making) {
            Ok(made) => {
                self.made(made);
                Ok(())
            }
            Err(fault) => {
                self.away_since = None;
                (self.why, self.refused) = (fault.to_string(), fault.trouble() != PgTrouble::Away);
                self.next_try = Instant::now() + self.pause;
                Err(fault)
            }
        }
    }

    /// Goes on with whatever is to be done for a connection, for so long at the most.
    pub(super) fn go_on(&mut self, limit: Duration) -> LinkState {
        if self.made.is_some() {
            // Lets the driver see what has come, the end of the connection for instance.
            self.runtime.block_on(async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            });
            let gone = self.made.as_ref().is_some_and(|made| made.session.is_gone());
            let why = self.given_up.take().or_else(|| gone.then(|| "the connection was closed".to_owned()));
            match why {
                Some(why) => self.lost(&PgFault::Away(why)),
                None => return LinkState::Yes,
            }
        }
        if self.coming.is_none() {
            if Instant::now() < self.next_try {
                return LinkState::No;
            }
            let making = make(self.target.clone(), self.table.clone(), self.wish);
            self.coming = Some(self.runtime.spawn(making));
        }
        let Some(coming) = &mut self.coming else { return LinkState::No };
        let come = self.runtime.block_on(async { tokio::time::timeout(limit, coming).await });
        let Ok(come) = come else { return LinkState::Coming };
        self.coming = None;
        match come {
            Ok(Ok(made)) => {
                self.made(made);
                LinkState::Yes
            }
            Ok(Err(fault)) => {
                self.not_made(&fault);
                LinkState::No
            }
            Err(_) => {
                self.not_made(&PgFault::Away("connecting was given up".to_owned()));
                LinkState::No
            }
        }
    }

    /// Asks something of the database, within so much time. Without an answer the connection is of no more use.
    pub(super) fn run<T>(
        &mut self,
        limit: Duration,
        what: impl AsyncFnOnce(&PgSession) -> Result<T, PgFault>,
    ) -> Result<T, PgFault> {
        let Some(Made { session, .. }) = &self.made else { return Err(self.why_not()) };
        self.runtime.block_on(within(limit, what(session)))
    }

    /// The same, however long it takes.
    pub(super) fn run_long<T>(
        &mut self,
        what: impl AsyncFnOnce(&PgSession) -> Result<T, PgFault>,
    ) -> Result<T, PgFault> {
        let Some(Made { session, .. }) = &self.made else { return Err(self.why_not()) };
        self.runtime.block_on(what(session))
    }

    /// The connection is of no more use, which shows at the next look.
    pub(super) fn is_of_no_use(&mut self, why: &PgFault) {
        self.given_up = Some(why.to_string());
    }

    /// The connection is of no more use.
    pub(super) fn lost(&mut self, why: &PgFault) {
        let Some(Made { session, .. }) = self.made.take() else { return };
        self.given_up = None;
        drop(session);
        self.just_lost = true;
        self.away_since = Some(Instant::now());
        (self.why, self.refused) = (why.to_string(), false);
        (self.next_try, self.pause) = (Instant::now(), PAUSE);
        log_at!(
            Level::Warning,
            "the store: {} is away: {why}; background jobs are refused until it answers again",
            self.target.server
        );
    }

    fn made(&mut self, made: Made) {
        if let Some(since) = self.away_since.take() {
            let seconds = since.elapsed().as_secs_f32();
            log_at!(Level::Notice, "the store: {} answers again after {seconds:.1} s", self.target.server);
        }
        self.shape = Some(Arc::new(made.shape.clone()));
        self.made = Some(made);
        (self.pause, self.refused) = (PAUSE, false);
    }

    fn not_made(&mut self, why: &PgFault) {
        (self.why, self.refused) = (why.to_string(), why.trouble() != PgTrouble::Away);
        self.next_try = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Ends the connection.
    pub(super) fn close(&mut self) {
        if let Some(coming) = self.coming.take() {
            coming.abort();
        }
        if let Some(made) = self.made.take() {
            drop(made);
            // The driver says goodbye.
            self.runtime.block_on(async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            });
        }
    }
}

/// Connects, and looks after everything that must be so before jobs are kept there.
async fn make(
    target: Arc<PgTarget>,
    table: Arc<GivenTable>,
    Wish { level, may_make }: Wish,
) -> Result<Made, PgFault> {
    let session = connect(&target, level != CommitLevel::Written).await?;
    let shape = within(MAKING, shape::settle(&session, &table, may_make)).await?;
    within(SETTLING, promise::check(&session, &shape, level)).await?;
    within(SETTLING, no_old_server(&session, &shape)).await?;
    within(SETTLING, servers::begin_numbers(&session, &shape)).await?;
    Ok(Made { session, shape })
}

/// A server of a version that shares no table must not be there: it would run every job again. It has a lock, which is tried here and
/// not kept, so that it does not matter which connection of a pooler asks.
async fn no_old_server(session: &PgSession, shape: &TableShape) -> Result<(), PgFault> {
    let table = (shape.oid & 0xffff_ffff) as u32 as i32;
    let sql = "SELECT pg_try_advisory_xact_lock_shared($1, $2)";
    let row = session.one_row(sql, &[(&LOCKS, Type::INT4), (&table, Type::INT4)]).await?;
    if row.try_get(0)? { Ok(()) } else { Err(PgFault::Locked(shape.shown.clone())) }
}

/// Where this connection string leads, on this machine.
fn target_of(conninfo: &str) -> Result<PgTarget, PgFault> {
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let home = std::env::var_os("HOME").map(PathBuf::from).or_else(|| Some(user.as_ref()?.dir.clone()));
    let machine = Machine {
        variable: &|name| std::env::var(name).ok(),
        file: &|path| fs::read_to_string(path),
        home: home.clone(),
    };
    let words = settle(conninfo, &machine)?;
    let facts = TargetFacts {
        user: user.map(|user| user.name),
        home,
        private_file: &private_file,
        is_file: &|path| path.is_file(),
        is_folder: &|path| path.is_dir(),
    };
    Ok(target(words, &facts)?)
}

/// The text of a password file. One that others can read is passed over, as by libpq, and it is said.
fn private_file(path: &Path) -> Option<String> {
    let facts = fs::metadata(path).ok()?;
    if !facts.is_file() || facts.permissions().mode() & 0o077 != 0 {
        log_at!(
            Level::Warning,
            "the store: {} is no file that only its owner can read, so no password is taken from it: chmod 0600",
            path.display()
        );
        return None;
    }
    fs::read_to_string(path).ok()
}
