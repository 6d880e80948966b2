//! The connection to a server whose driver blocks, as it comes and goes: kept while it lasts, sought again when it is lost by a
//! thread of its own, so that nobody waits for that longer than he wants to. What is sent over it is known elsewhere.
use super::fault::{RemoteFault, RemoteTrouble};
use crate::log_at;
use crate::logging::Level;
use crate::store::StoreError;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Between two tries, at first and at the most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Makes connections that can be used.
pub(crate) trait Connector: Send + Sync + 'static {
    /// One of them.
    type Link: Send + 'static;

    /// The server, for messages.
    fn server(&self) -> &str;

    /// Connects, and looks after everything that must be so before jobs are kept there. Ends within a minute, whatever the server
    /// does, unless there is something to be made that takes its time.
    fn connect(&self) -> Result<Self::Link, RemoteFault>;

    /// Ends a connection in an orderly way: whoever comes next finds nothing locked.
    fn leave(&self, link: Self::Link);
}

/// Whether there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    /// There is one.
    Yes,
    /// One is being made.
    Coming,
    /// There is none, and it is not time yet to try again.
    No,
}

/// The connection.
pub(crate) struct RemoteLine<C: Connector> {
    connector: Arc<C>,
    link: Option<C::Link>,
    coming: Option<Receiver<Result<C::Link, RemoteFault>>>,
    /// What stood in the way last.
    why: String,
    trouble: RemoteTrouble,
    next_try: Instant,
    pause: Duration,
    away_since: Option<Instant>,
    just_lost: bool,
}

impl<C: Connector> std::fmt::Debug for RemoteLine<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteLine").field("server", &self.connector.server()).finish_non_exhaustive()
    }
}

impl<C: Connector> RemoteLine<C> {
    /// To a server of which nothing is asked yet.
    pub(crate) fn of(connector: C) -> RemoteLine<C> {
        RemoteLine {
            connector: Arc::new(connector),
            link: None,
            coming: None,
            why: "it was not asked yet".to_owned(),
            trouble: RemoteTrouble::Away,
            next_try: Instant::now(),
            pause: PAUSE,
            away_since: None,
            just_lost: false,
        }
    }

    pub(crate) fn connector(&self) -> &C {
        &self.connector
    }

    /// What went wrong, for others.
    pub(crate) fn error(&self, fault: RemoteFault) -> StoreError {
        fault.of(self.connector.server(), self.away_since.map(|since| since.elapsed()))
    }

    /// Why there is no connection.
    pub(crate) fn why_not(&self) -> RemoteFault {
        RemoteFault::new(self.trouble, self.why.clone())
    }

    /// Whether there is a connection, as far as is known.
    pub(crate) fn is_there(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the connection was lost since this was last asked.
    pub(crate) fn just_lost(&mut self) -> bool {
        std::mem::take(&mut self.just_lost)
    }

    /// The connection, and who made it.
    pub(crate) fn link(&mut self) -> Result<(&C, &mut C::Link), RemoteFault> {
        let why_not = self.why_not();
        match &mut self.link {
            Some(link) => Ok((&self.connector, link)),
            None => Err(why_not),
        }
    }

    /// Connects, and waits for it: what stands in the way is for the operator.
    pub(crate) fn connect_now(&mut self) -> Result<(), RemoteFault> {
        match self.connector.connect() {
            Ok(link) => {
                self.made(link);
                Ok(())
            }
            Err(fault) => {
                self.not_made(&fault);
                Err(fault)
            }
        }
    }

    /// Goes on with whatever is to be done for a connection, for so long at the most.
    pub(crate) fn go_on(&mut self, limit: Duration) -> LineState {
        if self.link.is_some() {
            return LineState::Yes;
        }
        if self.coming.is_none() {
            if Instant::now() < self.next_try {
                return LineState::No;
            }
            let (into, coming) = sync_channel(1);
            let connector = self.connector.clone();
            let started = thread::Builder::new().name("connecting".to_owned()).spawn(move || {
                // Nobody may want it any more: then it ends here.
                if let Err(unwanted) = into.send(connector.connect())
                    && let Ok(link) = unwanted.0
                {
                    connector.leave(link);
                }
            });
            if let Err(error) = started {
                self.not_made(&RemoteFault::away(format!("no thread can be started: {error}")));
                return LineState::No;
            }
            self.coming = Some(coming);
        }
        let Some(coming) = &self.coming else { return LineState::No };
        let come = match coming.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => return LineState::Coming,
            Err(RecvTimeoutError::Disconnected) => Err(RemoteFault::away("connecting was given up")),
            Ok(come) => come,
        };
        self.coming = None;
        match come {
            Ok(link) => {
                self.made(link);
                LineState::Yes
            }
            Err(fault) => {
                self.not_made(&fault);
                LineState::No
            }
        }
    }

    /// The connection is of no more use.
    pub(crate) fn lost(&mut self, why: &RemoteFault) {
        if self.link.take().is_none() {
            return;
        }
        self.just_lost = true;
        self.away_since = Some(Instant::now());
        (self.why, self.trouble) = (why.to_string(), RemoteTrouble::Away);
        (self.next_try, self.pause) = (Instant::now(), PAUSE);
        log_at!(
            Level::Warning,
            "the store: {} is away: {why}; background jobs are refused until it answers again",
            self.connector.server()
        );
    }

    fn made(&mut self, link: C::Link) {
        if let Some(since) = self.away_since.take() {
            let seconds = since.elapsed().as_secs_f32();
            log_at!(
                Level::Notice,
                "the store: {} answers again after {seconds:.1} s",
                self.connector.server()
            );
        }
        self.link = Some(link);
        self.pause = PAUSE;
    }

    fn not_made(&mut self, why: &RemoteFault) {
        (self.why, self.trouble) = (why.to_string(), why.trouble);
        self.next_try = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Ends the connection in an orderly way.
    pub(crate) fn close(&mut self) {
        self.coming = None;
        if let Some(link) = self.link.take() {
            self.connector.leave(link);
        }
    }
}
