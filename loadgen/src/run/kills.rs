//! Kills a job server that was started for the run, on a schedule, and starts it again: how long until it listens, and until a
//! worker has done a job again. What became of the jobs is in the ledger (`conduct.rs`).
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::machine::server::{Started, version};
use crate::result::outcome::Kill;
use crate::run::stage::{Clock, Counts};

/// The longest that a job server may need to listen again, in nanoseconds.
const AGAIN: u64 = 120_000_000_000;

/// Between two looks whether it listens.
const ASK: Duration = Duration::from_millis(5);

/// The process of the job server: after a kill it is another.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    /// `None` for one that was there before the run.
    started: Option<&'a mut Started>,
    pid: Option<u32>,
}

impl<'a> Host<'a> {
    /// One that was started for the run, or else the process that is known.
    pub(crate) fn new(started: Option<&'a mut Started>, pid: Option<u32>) -> Host<'a> {
        Host { started, pid }
    }

    /// The process, if it is known.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.started.as_ref().map(|started| started.pid()).or(self.pid)
    }
}

/// The kills of one phase.
#[derive(Debug)]
pub(crate) struct Kills {
    clock: Clock,
    /// Nanoseconds between two.
    every: u64,
    start: u64,
    next: u64,
    /// From then on there are none.
    until: u64,
    falls: Vec<Fall>,
}

#[derive(Debug)]
struct Fall {
    at: u64,
    /// When it listened again; 0 until then.
    listening: Arc<AtomicU64>,
    /// What workers had done by then.
    worked: Option<u64>,
    /// When they had done more.
    first_job: Option<u64>,
}

impl Kills {
    /// Every so many seconds from `start` until `until`.
    pub(crate) fn new(clock: Clock, every: Option<f64>, start: u64, until: u64) -> Kills {
        let every = every.map_or(u64::MAX, |every| (every * 1e9) as u64);
        Kills { clock, every, start, next: start.saturating_add(every), until, falls: vec![] }
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// When the job server cannot be started again, ends, or does not listen.
    pub(crate) fn look(
        &mut self,
        now: u64,
        counts: &Counts,
        host: &mut Host<'_>,
        server: SocketAddr,
    ) -> io::Result<()> {
        let listens = match self.falls.last_mut() {
            Some(fall) => fall.look(now, counts, host)?,
            None => true,
        };
        if now < self.next || now >= self.until {
            return Ok(());
        }
        self.next += self.every;
        // One that is not back yet gets its time.
        if !listens {
            return Ok(());
        }
        let Some(started) = &mut host.started else {
            return Err(io::Error::other(
                "only a job server that is started for the run can be killed: give --server-command",
            ));
        };
        let at = self.clock.now();
        started.kill_and_start()?;
        let listening = Arc::new(AtomicU64::new(0));
        self.falls.push(Fall { at, listening: Arc::clone(&listening), worked: None, first_job: None });
        let clock = self.clock;
        // Asking may take as long as the job server likes.
        thread::spawn(move || {
            while clock.now() - at < AGAIN {
                if version(server).is_some() {
                    return listening.store(clock.now(), Ordering::Relaxed);
                }
                thread::sleep(ASK);
            }
        });
        Ok(())
    }

    /// What was seen.
    pub(crate) fn end(&self) -> Vec<Kill> {
        let seconds = |time: u64, since: u64| time.saturating_sub(since) as f64 / 1e9;
        let told = |fall: &Fall| {
            let listening = Some(fall.listening.load(Ordering::Relaxed)).filter(|time| *time > 0);
            Kill {
                at: seconds(fall.at, self.start),
                listening: listening.map(|time| seconds(time, fall.at)),
                first_job: fall.first_job.map(|time| seconds(time, fall.at)),
            }
        };
        self.falls.iter().map(told).collect()
    }
}

impl Fall {
    /// True once it listens again.
    fn look(&mut self, now: u64, counts: &Counts, host: &mut Host<'_>) -> io::Result<bool> {
        if self.listening.load(Ordering::Relaxed) == 0 {
            if let Some(started) = &mut host.started {
                started.lives()?;
            }
            if now.saturating_sub(self.at) > AGAIN {
                return Err(io::Error::other("the job server did not listen again after it was killed"));
            }
            return Ok(false);
        }
        let worked = *self.worked.get_or_insert(counts.worked);
        if self.first_job.is_none() && counts.worked > worked {
            self.first_job = Some(now);
        }
        Ok(true)
    }
}
