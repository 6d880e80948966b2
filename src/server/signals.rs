//! Signals on their way to the control thread. What they lead to is in `running.rs`.
use super::error::ServerError;
use super::news::News;
use super::room::spawn;
use crate::log_at;
use crate::logging::{self, Level};
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

/// The signals that a server answers, held back from every thread but one.
#[derive(Debug)]
pub struct Signals {
    set: SigSet,
}

impl Signals {
    /// Holds them back. To be called before any thread starts, the log's among them: each has from the one that starts it
    /// what it holds back, and a signal that finds a thread without ends the process as it stands.
    pub fn hold_back() -> Result<Signals, ServerError> {
        let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP]);
        set.thread_block().map_err(|e| ServerError::system("block signals", e.into()))?;
        Ok(Signals { set })
    }

    /// Tells them to the control thread from now on. Until [`Boot::over`] nobody listens there: whoever wants the server
    /// to end, ends it at once, for instance while it waits for a database that another process has locked. Nothing was
    /// acknowledged yet.
    pub(super) fn forward(self, tell: Sender<News>) -> Result<Boot, ServerError> {
        let boot = Boot(Arc::new(AtomicU8::new(BOOTING)));
        let state = boot.0.clone();
        spawn("signals".to_owned(), move || {
            while let Ok(signal) = self.set.wait() {
                if signal != Signal::SIGHUP
                    && state.compare_exchange(BOOTING, ENDING, Ordering::AcqRel, Ordering::Acquire).is_ok()
                {
                    log_at!(Level::Notice, "{signal}, stopping before the start was over");
                    logging::flush();
                    std::process::exit(0);
                }
                if tell.send(News::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(boot)
    }
}

const BOOTING: u8 = 0;
const BOOTED: u8 = 1;
const ENDING: u8 = 2;

/// Whether shards run, or are about to.
#[derive(Debug)]
pub(super) struct Boot(Arc<AtomicU8>);

impl Boot {
    /// From here on the control thread listens. Does not return if the process is ending already.
    pub(super) fn over(&self) {
        if self.0.swap(BOOTED, Ordering::AcqRel) == ENDING {
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}
