//! What the load threads of one phase and their conductor tell each other: where the phase stands, when it
//! began, and what was counted so far.
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the run's epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Clock {
        Clock { epoch: Instant::now() }
    }

    /// The same clock, by so many nanoseconds behind.
    pub(crate) fn set_back(self, ahead: i64) -> Clock {
        let by = Duration::from_nanos(ahead.unsigned_abs());
        let epoch = if ahead < 0 { self.epoch.checked_sub(by) } else { self.epoch.checked_add(by) };
        Clock { epoch: epoch.unwrap_or(self.epoch) }
    }

    /// The time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

/// Where a phase stands. It only goes forward, and only the conductor moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Threads connect and wait until the job server has answered on every connection.
    Connect,
    /// Workers ask for jobs, clients submit from [`Stand::start`] on.
    Run,
    /// The run was interrupted: clients submit no more.
    Stop,
    /// All is answered: workers take no more, finish what they hold and make sure that the server heard.
    Quiet,
    /// Threads close everything and end.
    End,
}

/// Shared by the threads of one phase.
#[derive(Debug)]
pub(crate) struct Stand {
    /// The run's clock.
    pub(crate) clock: Clock,
    stage: AtomicU8,
    start: AtomicU64,
    stop: AtomicU64,
    from: AtomicU64,
    counts: Vec<Mutex<Counts>>,
    /// The kernel's numbers of the threads, 0 until they began.
    tids: Vec<AtomicU32>,
    /// CPU time of the threads of agents, in nanoseconds.
    used: Vec<Mutex<Vec<u64>>>,
}

impl Stand {
    /// For threads that will make so many connections each.
    pub(crate) fn new(clock: Clock, connections: &[u64]) -> Stand {
        let unconnected = |&connecting: &u64| Mutex::new(Counts { connecting, ..Counts::default() });
        let counts = connections.iter().map(unconnected).collect();
        let tids = connections.iter().map(|_| AtomicU32::new(0)).collect();
        let zero = || AtomicU64::new(0);
        Stand {
            clock,
            stage: AtomicU8::new(Stage::Connect as u8),
            start: zero(),
            stop: zero(),
            from: zero(),
            counts,
            tids,
            used: connections.iter().map(|_| Mutex::default()).collect(),
        }
    }

    /// Where the phase stands.
    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Connect,
            1 => Stage::Run,
            2 => Stage::Stop,
            3 => Stage::Quiet,
            _ => Stage::End,
        }
    }

    /// Begins: clients submit from `start` until `stop`, what is due from `from` on is measured.
    pub(crate) fn begin(&self, start: u64, from: u64, stop: u64) {
        self.start.store(start, Ordering::Relaxed);
        self.from.store(from, Ordering::Relaxed);
        self.stop.store(stop, Ordering::Relaxed);
        self.advance(Stage::Run);
    }

    /// Clients stop at `now`, earlier than was planned.
    pub(crate) fn interrupt(&self, now: u64) {
        self.stop.fetch_min(now, Ordering::Relaxed);
        self.advance(Stage::Stop);
    }

    /// Goes on to a later stage.
    pub(crate) fn advance(&self, stage: Stage) {
        debug_assert!(stage > self.stage());
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// When the phase began, when measuring began, when clients stop.
    pub(crate) fn times(&self) -> (u64, u64, u64) {
        let load = |time: &AtomicU64| time.load(Ordering::Relaxed);
        (load(&self.start), load(&self.from), load(&self.stop))
    }

    /// Tells the conductor which of the kernel's threads one of ours is.
    pub(crate) fn enlist(&self, thread: usize, tid: u32) {
        self.tids[thread].store(tid, Ordering::Relaxed);
    }

    /// The kernel's numbers of all threads.
    pub(crate) fn tids(&self) -> impl Iterator<Item = u32> + '_ {
        self.tids.iter().map(|tid| tid.load(Ordering::Relaxed))
    }

    /// Lets the conductor see what the threads of an agent used.
    pub(crate) fn used(&self, slot: usize, used: Vec<u64>) {
        if !used.is_empty() {
            *lock(&self.used[slot]) = used;
        }
    }

    /// CPU time of the threads of all agents, in nanoseconds.
    pub(crate) fn used_elsewhere(&self) -> Vec<u64> {
        self.used.iter().flat_map(|used| lock(used).clone()).collect()
    }

    /// Lets the conductor see what a thread counted.
    #[inline]
    pub(crate) fn publish(&self, thread: usize, counts: &Counts) {
        *lock(&self.counts[thread]) = *counts;
    }

    /// What all threads counted, as they last published it.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in &self.counts {
            sum += *lock(counts);
        }
        sum
    }
}

/// A poisoned lock means that a thread panicked, which ends the process in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the threads of a phase counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Connections on which the job server has not answered yet.
    pub(crate) connecting: u64,
    /// Clients that will still submit.
    pub(crate) submitting: u64,
    /// Connections that broke.
    pub(crate) broken: u64,
    /// Workers that have not wound down yet.
    pub(crate) busy_workers: u64,
    /// Jobs sent.
    pub(crate) submitted: u64,
    /// Submissions that are not fully answered: background ones lack JOB_CREATED, others their result.
    pub(crate) outstanding: u64,
    /// JOB_CREATED.
    pub(crate) created: u64,
    /// JOB_CREATED of background jobs.
    pub(crate) created_background: u64,
    /// Jobs that reached a worker, each counted once.
    pub(crate) delivered: u64,
    /// Background jobs that reached a worker, each counted once.
    pub(crate) delivered_background: u64,
    /// Jobs that workers hold.
    pub(crate) held: u64,
    /// WORK_COMPLETE sent.
    pub(crate) worked: u64,
    /// Results that clients got.
    pub(crate) results: u64,
    /// When the last of these changed.
    pub(crate) last: u64,
    /// Nanoseconds spent asking for events that were not there, so as not to oversleep.
    pub(crate) spun: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.connecting += other.connecting;
        self.submitting += other.submitting;
        self.broken += other.broken;
        self.busy_workers += other.busy_workers;
        self.submitted += other.submitted;
        self.outstanding += other.outstanding;
        self.created += other.created;
        self.created_background += other.created_background;
        self.delivered += other.delivered;
        self.delivered_background += other.delivered_background;
        self.held += other.held;
        self.worked += other.worked;
        self.results += other.results;
        self.last = self.last.max(other.last);
        self.spun += other.spun;
    }
}
