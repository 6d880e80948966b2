//! A store on a server that comes and goes, of whatever kind: commits that fail at once while it is away, the same again after one that
//! nobody answered, comparison with what ought to be there when it is back. What is written how, each kind says ([`Remote`]). Where servers
//! share it, `store/sharing.rs` says when what is asked (`shared.rs`).
//!
//! For drivers that block. PostgreSQL's does not, and has the same in a shape of its own (`postgres/`).
// Each store needs its part of it.
#![cfg_attr(not(all(feature = "memcached", feature = "mysql", feature = "redis")), allow(dead_code))]

pub(crate) mod fault;
pub(crate) mod level;
pub(crate) mod line;
mod shared;

use super::beginning;
use super::book::Book;
use super::latest::LatestWords;
use super::record::{self, RecordKind};
use super::servers::{Fence, Legacy, ServerEntry, ServersLook, SharedPlace, TellJob, Unreadable};
use super::sharing::ServerSharing;
use super::sql::rows::JobRows;
use super::{
    BootTime, Committed, Exception, Progress, Repaired, ServerLoad, ServerShown, ServerStanding,
    SharingOptions, Store, StoreError,
};
use crate::engine::{JobId, StoredJob};
use crate::log_at;
use crate::logging::Level;
use fault::{RemoteFault, RemoteTrouble};
use line::{Connector, LineState, RemoteLine};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long a commit waits for another connection, when one was just lost.
const SECOND_CHANCE: Duration = Duration::from_secs(1);
/// Between two lines that say that the server is not there, at a start.
const WAITING: Duration = Duration::from_secs(10);

/// Sequences that a server takes at a time.
const NUMBERS: u64 = 1 << 24;

/// What is asked of a kind of server. What is only asked where several of ours share it has an answer for one that is never shared.
pub(crate) trait Remote: Connector {
    /// Jobs that are being read.
    type Reading: Send;

    /// See [`SharedPlace::reading`].
    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> Self::Reading;

    /// See [`SharedPlace::count`].
    fn count(&self, link: &mut Self::Link, reading: &mut Self::Reading) -> Result<u64, RemoteFault>;

    /// See [`SharedPlace::page`].
    fn page(
        &self,
        link: &mut Self::Link,
        reading: &mut Self::Reading,
        told: TellJob<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault>;

    /// Writes changes, all of them or none unless something breaks, and notes them in the book. The same may come twice. Returns puts that
    /// are not written because a job of another server has their function and unique, and which.
    fn write(
        &self,
        link: &mut Self::Link,
        latest: &LatestWords<'_>,
        book: &mut Book,
        fence: Fence<'_>,
    ) -> Result<Vec<(JobId, JobId)>, RemoteFault>;

    /// Compares a piece of what is there of ours, behind this number, with the book, and deletes what is too much. Returns what stays
    /// although the book does not know it: whoever has joined it was told so.
    fn compare(
        &self,
        link: &mut Self::Link,
        book: &mut Book,
        from: i64,
        fence: Fence<'_>,
    ) -> Result<Vec<i64>, RemoteFault>;

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

    /// See [`SharedPlace::shown`].
    fn shown(&self) -> String {
        self.server().to_owned()
    }

    /// See [`SharedPlace::how_to_strike`].
    fn how_to_strike(&self, _id: i32) -> String {
        String::new()
    }

    /// See [`SharedPlace::look`].
    fn look(
        &self,
        _link: &mut Self::Link,
        _me: Option<i32>,
        _jobs: usize,
        _load: ServerLoad,
    ) -> Result<ServersLook, RemoteFault> {
        Ok(ServersLook::default())
    }

    /// See [`SharedPlace::register`].
    fn register(&self, _link: &mut Self::Link, _name: &str) -> Result<i32, RemoteFault> {
        Err(RemoteFault::other("servers do not share it"))
    }

    /// See [`SharedPlace::take`].
    fn take(&self, _link: &mut Self::Link, _me: i32, _other: &ServerEntry) -> Result<bool, RemoteFault> {
        Ok(false)
    }

    /// See [`SharedPlace::claim`].
    fn claim(&self, _link: &mut Self::Link, _me: Option<i32>) -> Result<(), RemoteFault> {
        Ok(())
    }

    /// See [`SharedPlace::adopt`].
    fn adopt(&self, _link: &mut Self::Link, _me: i32) -> Result<(Vec<i64>, bool), RemoteFault> {
        Ok((Vec::new(), false))
    }

    /// See [`SharedPlace::tidy`].
    fn tidy(&self, _link: &mut Self::Link) -> Result<(), RemoteFault> {
        Ok(())
    }

    /// See [`SharedPlace::leave`].
    fn leave_others(
        &self,
        _link: &mut Self::Link,
        _me: i32,
        _family: &[i32],
        _empty: bool,
    ) -> Result<(), RemoteFault> {
        Ok(())
    }

    /// See [`SharedPlace::bequeath`].
    fn bequeath(&self, _link: &mut Self::Link, _legacy: Legacy<'_>) -> Result<bool, RemoteFault> {
        Err(RemoteFault::other("servers do not share it"))
    }

    /// See [`SharedPlace::birth`].
    fn birth(&self, _link: &mut Self::Link) -> Result<u64, RemoteFault> {
        Ok(0)
    }

    /// So many sequences, none of them below this one, which nobody else gets.
    fn numbers(&self, _link: &mut Self::Link, _count: u64, at_least: u64) -> Result<Range<u64>, RemoteFault> {
        Ok(at_least..u64::MAX)
    }
}

/// Background jobs on a server.
pub(super) struct RemoteStore<R: Remote> {
    line: RemoteLine<R>,
    /// How long a start may wait.
    wait: Duration,
    book: Book,
    /// When something was last said there.
    said: Instant,
    sharing: Option<ServerSharing<RemoteLine<R>>>,
    /// No sequence below this one is taken again, whatever the server has forgotten.
    taken: u64,
}

impl<R: Remote> RemoteStore<R> {
    /// Connects. A server that does not answer is waited for by [`Store::replay`], if it is to be waited for at all; what an operator
    /// must mend is an error here.
    pub(super) fn open(
        remote: R,
        wait: Duration,
        sharing: Option<&SharingOptions>,
    ) -> Result<RemoteStore<R>, StoreError> {
        let mut line = RemoteLine::of(remote);
        match line.connect_now() {
            Ok(()) => {}
            Err(fault) if fault.trouble == RemoteTrouble::Away && !wait.is_zero() => {
                log_at!(Level::Warning, "the store: {}; waiting for it", line.error(fault));
            }
            Err(fault) => return Err(line.error(fault)),
        }
        let sharing = sharing.cloned().map(ServerSharing::new);
        Ok(RemoteStore { line, wait, book: Book::default(), said: Instant::now(), sharing, taken: 0 })
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

    /// Writes these records, with puts or without. Returns puts that are elsewhere, and where.
    fn write(&mut self, slices: &[&[u8]], puts: bool) -> Result<Vec<(JobId, JobId)>, RemoteFault> {
        let mut latest = LatestWords::of(slices, puts);
        let (mut tries, mut patience) = (0, Duration::ZERO);
        loop {
            if !self.connected(patience) {
                return Err(self.line.why_not());
            }
            // Two servers that wait for each other's keys do so in the same order the second time.
            if tries > 0 {
                latest.puts.sort_by_key(|job| (job.function, job.unique));
            }
            let sent = BootTime::now();
            let fence = self.sharing.as_ref().map_or(Fence { me: None, family: &[] }, ServerSharing::fence);
            let (remote, link) = self.line.link()?;
            let fault = match remote.write(link, &latest, &mut self.book, fence) {
                Ok(elsewhere) => {
                    self.said = Instant::now();
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

    /// What is to be read at the start, once it is ours.
    fn begin(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<R::Reading, RemoteFault> {
        if let Some(sharing) = &mut self.sharing {
            let mut say = |why| progress(Progress::Waiting { why });
            return sharing.begin(&mut self.line, &mut say);
        }
        beginning::refuse_beside_servers(&mut self.line)?;
        self.line.claim(None)?;
        Ok(R::reading(None, None, Unreadable::Error))
    }

    /// Does something with the connection, which tells what is to be read; one that is away is lost with it.
    fn look_after(
        &mut self,
        what: impl FnOnce(&R, &mut R::Link, &mut Book, Fence<'_>) -> Result<Vec<i64>, RemoteFault>,
    ) -> Result<(), StoreError> {
        let fence = self.sharing.as_ref().map_or(Fence { me: None, family: &[] }, ServerSharing::fence);
        let Ok((remote, link)) = self.line.link() else { return Ok(()) };
        let done = what(remote, link, &mut self.book, fence);
        self.said = Instant::now();
        match done {
            Ok(unknown) => {
                if let Some(sharing) = self.sharing.as_mut().filter(|_| !unknown.is_empty()) {
                    sharing.read(unknown);
                }
                Ok(())
            }
            Err(fault) if self.sharing.as_mut().is_some_and(|sharing| sharing.note(&fault)) => Ok(()),
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
        let begun = self.begin(progress);
        let sharing = self.sharing.as_mut();
        let book =
            begun.and_then(|reading| beginning::read_all(&mut self.line, sharing, reading, each, progress));
        self.book = book.map_err(|fault| self.line.error(fault))?;
        self.said = Instant::now();
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
            Err(fault) if fault.trouble == RemoteTrouble::Fenced => {
                return Committed::of(Err(self.line.error(fault)), Ok(()));
            }
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
                let dones = self.write(slices, false).map(|_| ()).map_err(|fault| self.line.error(fault));
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
            self.look_after(|remote, link, _, _| remote.tend(link).map(|()| Vec::new()))?;
        }
        // What was taken over and is not read yet would look like what ought not to be there.
        if self.sharing.as_ref().is_some_and(ServerSharing::reads) {
            return Ok(false);
        }
        let Some(from) = self.book.compares() else { return Ok(false) };
        self.look_after(|remote, link, book, fence| remote.compare(link, book, from, fence))?;
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

    fn attend_at(&self) -> Option<Instant> {
        self.sharing.as_ref().map(ServerSharing::next)
    }

    fn attend(&mut self, load: ServerLoad, each: &mut dyn FnMut(StoredJob<'_>)) -> Result<bool, StoreError> {
        self.go_on(Duration::from_millis(5));
        let Some(sharing) = &mut self.sharing else { return Ok(false) };
        sharing.attend(&mut self.line, &mut self.book, load, each)
    }

    fn standing(&self) -> ServerStanding {
        self.sharing.as_ref().map_or(ServerStanding::default(), ServerSharing::standing)
    }

    fn numbers(&mut self, at_least: u64) -> Result<Range<u64>, StoreError> {
        if self.sharing.is_none() {
            return Ok(at_least..u64::MAX);
        }
        let at_least = at_least.max(self.taken);
        let numbers = self.line.link().and_then(|(remote, link)| remote.numbers(link, NUMBERS, at_least));
        numbers.inspect(|numbers| self.taken = numbers.end).map_err(|fault| {
            if fault.trouble == RemoteTrouble::Away {
                self.line.lost(&fault);
            }
            self.line.error(fault)
        })
    }

    fn servers(&self) -> Vec<ServerShown> {
        self.sharing.as_ref().map_or(Vec::new(), ServerSharing::shown)
    }

    fn begin_hand_over(&mut self) -> bool {
        self.sharing.as_mut().is_some_and(|sharing| sharing.begin_hand_over(&self.line))
    }

    fn hand_over(&mut self, kept: &[JobId]) -> Result<(), StoreError> {
        let Some(sharing) = &mut self.sharing else { return Ok(()) };
        sharing.hand_over(&mut self.line, &mut self.book, kept)
    }

    fn stays_silent(&mut self) {
        self.sharing.iter_mut().for_each(ServerSharing::stays_silent);
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let left = match &mut self.sharing {
            Some(sharing) => sharing.leave(&mut self.line, &self.book),
            None => Ok(()),
        };
        self.line.close();
        left
    }
}
