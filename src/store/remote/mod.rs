//! A store on a server that comes and goes, of whatever kind: commits that fail at once while it is away, the same again after one that
//! nobody answered, comparison with what ought to be there when it is back. What is written how, each kind says ([`Remote`]).
//!
//! For drivers that block. PostgreSQL's does not, and has the same in a shape of its own (`postgres/`).
// Each store needs its part of it.
#![cfg_attr(not(all(feature = "memcached", feature = "mysql", feature = "redis")), allow(dead_code))]

pub(crate) mod fault;
pub(crate) mod level;
pub(crate) mod line;

use super::book::Book;
use super::latest::LatestWords;
use super::record::{self, RecordKind};
use super::sql::rows::JobRows;
use super::{Committed, Progress, Repaired, Store, StoreError};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use fault::{RemoteFault, RemoteTrouble};
use line::{Connector, LineState, RemoteLine};
use std::time::{Duration, Instant};

/// How long a commit waits for another connection, when one was just lost.
const SECOND_CHANCE: Duration = Duration::from_secs(1);
/// Between two lines that say that the server is not there, at a start.
const WAITING: Duration = Duration::from_secs(10);

/// What is asked of a kind of server.
pub(super) trait Remote: Connector {
    /// Reads all jobs. Returns what is there.
    fn replay(&self, link: &mut Self::Link, listener: RemoteListener<'_>) -> Result<Book, RemoteFault>;

    /// Writes changes, all of them or none unless something breaks, and notes them in the book. The same may come twice.
    fn write(
        &self,
        link: &mut Self::Link,
        latest: &LatestWords<'_>,
        book: &mut Book,
    ) -> Result<(), RemoteFault>;

    /// Compares a piece of what is there, behind this number, with the book, and deletes what is too much.
    fn compare(&self, link: &mut Self::Link, book: &mut Book, from: i64) -> Result<(), RemoteFault>;

    /// Shows that we are there, where somebody has not heard of us for so long.
    fn tend(&self, link: &mut Self::Link) -> Result<(), RemoteFault>;

    /// How often, when nothing else is said.
    fn tend_every(&self) -> Duration;

    /// [`Store::alone`].
    fn alone(&self) -> usize;

    /// [`Store::keeps_accepted`].
    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        !JobRows::of(job).is_plain()
    }
}

/// What a replay hears.
pub(super) struct RemoteListener<'a> {
    pub(super) each: &'a mut dyn FnMut(StoredJob<'_>),
    pub(super) progress: &'a mut dyn FnMut(Progress),
}

/// Background jobs on a server.
pub(super) struct RemoteStore<R: Remote> {
    line: RemoteLine<R>,
    /// How long a start may wait.
    wait: Duration,
    book: Book,
    /// When something was last said there.
    said: Instant,
}

impl<R: Remote> RemoteStore<R> {
    /// Connects. A server that does not answer is waited for by [`Store::replay`], if it is to be waited for at all; what an operator
    /// must mend is an error here.
    pub(super) fn open(remote: R, wait: Duration) -> Result<RemoteStore<R>, StoreError> {
        let mut line = RemoteLine::of(remote);
        match line.connect_now() {
            Ok(()) => {}
            Err(fault) if fault.trouble == RemoteTrouble::Away && !wait.is_zero() => {
                log_at!(Level::Warning, "the store: {}; waiting for it", line.error(fault));
            }
            Err(fault) => return Err(line.error(fault)),
        }
        Ok(RemoteStore { line, wait, book: Book::default(), said: Instant::now() })
    }

    fn server(&self) -> String {
        self.line.connector().server().to_owned()
    }

    /// Waits for the server, if it is not there.
    fn wait_for_it(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        let (begin, mut said) = (Instant::now(), None::<Instant>);
        loop {
            match self.line.go_on(Duration::from_millis(200)) {
                LineState::Yes => return Ok(()),
                LineState::Coming | LineState::No => {}
            }
            let fault = self.line.why_not();
            if fault.trouble != RemoteTrouble::Away || begin.elapsed() >= self.wait {
                return Err(self.line.error(fault));
            }
            if said.is_none_or(|said| said.elapsed() >= WAITING) {
                said = Some(Instant::now());
                let server = self.server();
                progress(Progress::Away {
                    why: format!("{server} cannot be reached: {fault}; waiting for it"),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Goes on with a connection for so long at the most. Whenever one was lost, everything is to be compared.
    fn go_on(&mut self, limit: Duration) -> LineState {
        let state = self.line.go_on(limit);
        if self.line.just_lost() {
            self.book.begin_comparing();
        }
        state
    }

    /// Has a connection, if there is one. When one was just lost there may be another one in a moment.
    fn connected(&mut self, patience: Duration) -> bool {
        let mut state = self.go_on(Duration::from_millis(5));
        let until = Instant::now() + patience;
        while state != LineState::Yes && Instant::now() < until {
            state = self.go_on(Duration::from_millis(20));
            if state == LineState::No {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        state == LineState::Yes
    }

    /// Writes these records, with puts or without.
    fn write(&mut self, slices: &[&[u8]], puts: bool) -> Result<(), RemoteFault> {
        let latest = LatestWords::of(slices, puts);
        let (mut tries, mut patience) = (0, Duration::ZERO);
        loop {
            if !self.connected(patience) {
                return Err(self.line.why_not());
            }
            let (remote, link) = self.line.link()?;
            let Err(fault) = remote.write(link, &latest, &mut self.book) else {
                self.said = Instant::now();
                return Ok(());
            };
            tries += 1;
            match fault.trouble {
                // Nobody knows whether it was written: the same again does no harm.
                RemoteTrouble::Away if tries == 1 => {
                    self.line.lost(&fault);
                    patience = SECOND_CHANCE;
                }
                RemoteTrouble::Away => {
                    self.line.lost(&fault);
                    return Err(fault);
                }
                RemoteTrouble::InTheWay if tries < 3 => {}
                _ => return Err(fault),
            }
        }
    }

    /// Does something with the connection; one that is away is lost with it.
    fn attend(
        &mut self,
        what: impl FnOnce(&R, &mut R::Link, &mut Book) -> Result<(), RemoteFault>,
    ) -> Result<(), StoreError> {
        let Ok((remote, link)) = self.line.link() else { return Ok(()) };
        let done = what(remote, link, &mut self.book);
        self.said = Instant::now();
        match done {
            Ok(()) => Ok(()),
            Err(fault) if fault.trouble == RemoteTrouble::Away => {
                self.line.lost(&fault);
                self.book.begin_comparing();
                Ok(())
            }
            Err(fault) => Err(self.line.error(fault)),
        }
    }

    fn is_to_be_tended(&self) -> bool {
        self.line.is_there() && self.said.elapsed() >= self.line.connector().tend_every()
    }
}

impl<R: Remote> Store for RemoteStore<R> {
    fn replay_telling(
        &mut self,
        each: &mut dyn FnMut(StoredJob<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        self.wait_for_it(progress)?;
        let listener = RemoteListener { each, progress };
        let told = self.line.link().and_then(|(remote, link)| remote.replay(link, listener));
        self.book = told.map_err(|fault| self.line.error(fault))?;
        self.said = Instant::now();
        Ok(())
    }

    fn commit(&mut self, slices: &[&[u8]]) -> Committed {
        let fault = match self.write(slices, true) {
            Ok(()) => return Committed::all(),
            Err(fault) => fault,
        };
        let is_put = |span: record::Span| span.head.kind == RecordKind::Put;
        let (puts, others) =
            (record::spans(slices).any(is_put), record::spans(slices).any(|span| !is_put(span)));
        // Ends of jobs may have room where puts have none, and it may have been one of those that was refused.
        let again = puts && others && fault.trouble != RemoteTrouble::Away;
        let refusal = self.line.error(fault);
        match (puts, others) {
            (true, false) => Committed::of(Err(refusal), Ok(())),
            (false, _) => Committed::of(Ok(()), Err(refusal)),
            (true, true) if again => {
                let dones = self.write(slices, false).map_err(|fault| self.line.error(fault));
                Committed::of(Err(refusal), dones)
            }
            (true, true) => {
                let dones = Err(self.line.error(self.line.why_not()));
                Committed::of(Err(refusal), dones)
            }
        }
    }

    fn alone(&self) -> usize {
        self.line.connector().alone()
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        match self.go_on(Duration::from_millis(5)) {
            LineState::Coming => return Ok(true),
            LineState::No => return Ok(false),
            LineState::Yes => {}
        }
        if self.is_to_be_tended() {
            self.attend(|remote, link, _| remote.tend(link))?;
        }
        let Some(from) = self.book.compares() else { return Ok(false) };
        self.attend(|remote, link, book| remote.compare(link, book, from))?;
        Ok(self.line.is_there() && self.book.compares().is_some())
    }

    /// Always: it is to be looked after each second.
    fn owes(&self) -> bool {
        true
    }

    fn wanted(&mut self) -> Vec<JobId> {
        if self.line.is_there() { self.book.wanted_jobs() } else { Vec::new() }
    }

    fn unknown(&mut self, jobs: &[JobId]) {
        // They have ended meanwhile.
        self.book.forget_jobs(jobs);
    }

    fn repaired(&mut self) -> Repaired {
        self.book.repaired_on(self.line.connector().server())
    }

    fn keeps_accepted(&self, job: &StoredJob<'_>) -> bool {
        self.line.connector().keeps_accepted(job)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.line.close();
        Ok(())
    }
}
