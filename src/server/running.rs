//! A server that has started, as the control thread sees it: signals, draining, the end. Starting is in `mod.rs`.
use super::error::ServerError;
use super::expiry::Expiry;
use super::news::News;
use super::options::Descriptors;
use super::room;
use crate::access::AccessBook;
use crate::log_at;
use crate::logging::{self, Level};
use crate::mesh::shared::{ServerPhase, Shared};
use crate::shard::listen::SocketFile;
use crate::shard::migrate::Migrations;
use crate::store::channel::StoreChannel;
use crate::store::replay::Replay;
use nix::sys::signal::Signal;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often a draining server looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// How long a draining server waits for peers to take their last replies when no jobs are left.
const DRAIN_FLUSH: Duration = Duration::from_secs(10);
/// How often a draining server says how many jobs are left.
const DRAIN_TELL: Duration = Duration::from_secs(1);
/// How long shards may take to stop before the process ends without them.
const STOP_MAX: Duration = Duration::from_secs(2);
/// How long the store may take to come to an end, where nothing that was acknowledged depends on it. Together with
/// [`STOP_MAX`] less than the five seconds in which a server is to end.
const CLOSE_MAX: Duration = Duration::from_millis(2500);
/// The same where it reads what is stored: nothing was accepted, but whoever shares it may wait for a word.
const READ_MAX: Duration = Duration::from_millis(500);
/// The same where jobs are written only now, and are lost otherwise.
const WRITE_MAX: Duration = Duration::from_secs(600);

/// What a server is doing, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// It reads stored jobs, and is so far. Connections are accepted, and requests wait unless the store cannot be reached.
    Reading(&'a str),
    /// It serves.
    Serving,
    /// It accepts no more connections, and ends when no jobs are left; there are so many.
    Draining(u64),
    /// It tries again what did not succeed before (SIGHUP).
    Renewing,
    /// It ends.
    Stopping,
}

/// Something to be done at SIGHUP.
pub(super) type Renewal = Box<dyn Fn() + Send>;

/// A server that has started: it listens, and every shard runs.
pub struct Running {
    /// When the certificate expires.
    pub(super) expiry: Expiry,
    pub(super) shared: Arc<Shared>,
    /// Connections on their way from shard to shard.
    pub(super) migrations: Arc<Migrations>,
    pub(super) shards: u16,
    /// To the store, if there is one.
    pub(super) desk: Option<Arc<StoreChannel>>,
    /// The files of unix sockets, removed when nobody listens on them any more.
    pub(super) files: Vec<SocketFile>,
    /// Those of the HTTP side, which is there until the end.
    pub(super) control_files: Vec<SocketFile>,
    /// What else is done at SIGHUP.
    pub(super) renewals: Vec<Renewal>,
    /// Whether jobs are written only at the end.
    pub(super) writes_at_end: bool,
    pub(super) news: Receiver<News>,
    /// Whether all stored jobs are there; true without a store.
    pub(super) complete: bool,
    pub(super) descriptors: Descriptors,
    /// Who may do what.
    pub(super) access: Arc<AccessBook>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("shards", &self.shards).finish_non_exhaustive()
    }
}

impl Running {
    /// Serves until it is told to stop: by SIGTERM or SIGINT at once, by SIGUSR1 as soon as there are no jobs. `watch`
    /// hears what it is doing.
    pub fn serve(mut self, watch: &mut dyn FnMut(Stage<'_>)) -> Result<(), ServerError> {
        watch(if self.complete { Stage::Serving } else { Stage::Reading("reading stored jobs") });
        loop {
            match self.news.recv_timeout(self.expiry.until_told()) {
                Ok(News::Signal(Signal::SIGUSR1)) => {
                    log_at!(
                        Level::Notice,
                        "SIGUSR1, accepting no more connections, stopping when no jobs are left"
                    );
                    self.drain(watch)?;
                    break;
                }
                Ok(News::Signal(signal)) if signal != Signal::SIGHUP => {
                    log_at!(Level::Notice, "{signal}, stopping");
                    break;
                }
                Ok(news) => {
                    if self.note(news, watch)? {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.expiry.tell(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        watch(Stage::Stopping);
        self.stop();
        Ok(())
    }

    /// Takes note of what is not about ending. True if the server has ended by itself.
    fn note(&mut self, news: News, watch: &mut dyn FnMut(Stage<'_>)) -> Result<bool, ServerError> {
        match news {
            News::Signal(_) => {
                logging::reopen();
                self.renew_access();
                self.expiry.renew();
                self.try_again();
                watch(Stage::Renewing);
            }
            News::Started => {}
            News::Ended(result) => return result.map(|()| true).map_err(ServerError::from),
            News::Closed(result) => return result.map(|()| true).map_err(ServerError::from),
            News::Replay(Replay::Progress(line)) => watch(Stage::Reading(&line)),
            News::Replay(Replay::Over(result)) => {
                result?;
                self.complete = true;
                watch(Stage::Serving);
            }
        }
        Ok(false)
    }

    /// Reads again who may do what. Shards look at all who are there as soon as they see it.
    fn renew_access(&self) {
        match self.access.renew() {
            Ok(None) => {}
            Ok(Some(entries)) => {
                self.shared.mesh.ring_all();
                log_at!(Level::Notice, "the access list was read again: {entries} entries");
            }
            Err(error) => log_at!(Level::Error, "{error}; what was read before still counts"),
        }
    }

    /// What was less than it should be at the start is tried again.
    fn try_again(&self) {
        if self.descriptors == Descriptors::Most
            && let Some(number) = room::more_descriptors()
        {
            log_at!(Level::Notice, "there may be {number} descriptors now");
        }
        self.renewals.iter().for_each(|renew| renew());
    }

    /// Serves those who are connected until no job is left, or the operator is tired of waiting.
    fn drain(&mut self, watch: &mut dyn FnMut(Stage<'_>)) -> Result<(), ServerError> {
        self.files.clear();
        self.shared.enter(ServerPhase::Draining);
        if let Some(desk) = &self.desk {
            desk.drain();
        }
        let mut last = None;
        let mut idle_since: Option<Instant> = None;
        let mut told: Option<Instant> = None;
        loop {
            match self.news.recv_timeout(DRAIN_LOOK) {
                Ok(News::Signal(Signal::SIGUSR1)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(News::Signal(signal)) if signal != Signal::SIGHUP => {
                    log_at!(Level::Notice, "{signal}, stopping although jobs are left");
                    return Ok(());
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(news) => {
                    // The stored jobs may just have become complete: what waited for them is not carried out yet.
                    last = None;
                    if self.note(news, &mut |_| {})? {
                        return Ok(());
                    }
                }
            }
            // A job that is on its way from one shard to another may be in the gauges of no shard, so one look is not
            // enough.
            let moving = self.migrations.waiting() as u64;
            let mut sums = self.shared.sums();
            sums.unsent += moving;
            if told.is_none_or(|told| told.elapsed() >= DRAIN_TELL) {
                told = Some(Instant::now());
                watch(Stage::Draining(sums.jobs));
            }
            let same = last.replace(sums) == Some(sums);
            if sums.jobs > 0 || !same || !self.complete || !self.shared.nobody_accepts() {
                idle_since = None;
                continue;
            }
            let flushed = sums.unsent == 0;
            if flushed || idle_since.get_or_insert_with(Instant::now).elapsed() > DRAIN_FLUSH {
                log_at!(Level::Notice, "no jobs are left, stopping");
                return Ok(());
            }
        }
    }

    /// Has all shards close everything, and waits for them and for the store a little.
    fn stop(&mut self) {
        self.files.clear();
        self.control_files.clear();
        self.shared.enter(ServerPhase::Stopping);
        let until = Instant::now() + STOP_MAX;
        let mut running = self.shards;
        while running > 0
            && let Ok(news) = self.news.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            running -= u16::from(matches!(news, News::Ended(_)));
        }
        if let Some(desk) = &self.desk {
            if !self.complete {
                log_at!(
                    Level::Notice,
                    "not all stored jobs were read: no background job was accepted, none is lost"
                );
            }
            self.close(desk, running == 0);
        }
        log_at!(Level::Notice, "stopped");
    }

    /// Ends the store. Others hear of that only if no shard can give out a job any more.
    fn close(&self, desk: &StoreChannel, all_ended: bool) {
        desk.stop(all_ended);
        let patience = match (self.complete, self.writes_at_end) {
            (false, _) => READ_MAX,
            (true, false) => CLOSE_MAX,
            (true, true) => WRITE_MAX,
        };
        let until = Instant::now() + patience;
        loop {
            match self.news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(News::Closed(Ok(()))) => return,
                Ok(News::Closed(Err(error))) => {
                    log_at!(Level::Error, "closing the store: {error}");
                    return;
                }
                Ok(News::Signal(signal @ (Signal::SIGTERM | Signal::SIGINT)))
                    if self.complete && self.writes_at_end =>
                {
                    log_at!(Level::Error, "{signal} again: jobs that are not written yet are lost");
                    return;
                }
                Ok(_) => {}
                Err(_) if !self.complete => return,
                Err(_) => {
                    log_at!(Level::Error, "the store does not come to an end; what was answered is kept");
                    return;
                }
            }
        }
    }
}
