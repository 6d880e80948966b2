//! What a load thread is told at the beginning of a phase, and what it sends back as the phase goes on.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender};

use crate::job::check::Tally;
use crate::plan::cast::Cast;
use crate::result::record::Recorder;
use crate::run::marks::Marks;
use crate::run::stage::{Counts, Stand};

/// What one connection is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The client connection of this number.
    Client(u32),
    /// A worker of this crew, and which of them.
    Worker(usize, u32),
    /// Nothing but there.
    Idle,
}

/// What one load thread is to do in one phase.
#[derive(Debug)]
pub(crate) struct Orders<'a> {
    /// Which of the threads it is.
    pub(crate) thread: usize,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// Its connections, each with the address that it comes from.
    pub(crate) parts: Vec<(Part, Option<Ipv4Addr>)>,
    /// Who plays.
    pub(crate) cast: &'a Cast,
    /// Where the phase stands.
    pub(crate) stand: &'a Stand,
    /// True if the phase has clients at all.
    pub(crate) has_clients: bool,
    /// True if workers of the phase take time for a job.
    pub(crate) has_service: bool,
    /// True if connections that break are made again.
    pub(crate) reconnect: bool,
    /// Nanoseconds between two ticks.
    pub(crate) tick: u64,
    /// Nanoseconds before a timer from which on the thread does not sleep.
    pub(crate) spin: u64,
    /// The core that it is pinned to.
    pub(crate) core: Option<usize>,
    /// Takes what was measured.
    pub(crate) ticks: Sender<Tick>,
    /// Gives back what was read of that, empty.
    pub(crate) spares: Receiver<Box<Recorder>>,
}

/// What a thread measured since its last tick.
#[derive(Debug)]
pub(crate) struct Tick {
    /// Counts the ticks from the beginning of the phase.
    pub(crate) index: u64,
    /// The thread that it comes from.
    pub(crate) thread: usize,
    /// When the interval began and ended, in nanoseconds since the run's epoch.
    pub(crate) from: u64,
    /// See `from`.
    pub(crate) to: u64,
    /// The latencies.
    pub(crate) recorder: Box<Recorder>,
}

/// What the roles of one thread share.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Who plays.
    pub(crate) cast: &'a Cast,
    /// Latencies.
    pub(crate) recorder: Box<Recorder>,
    /// What the conductor sees.
    pub(crate) counts: Counts,
    /// What went wrong.
    pub(crate) tally: Tally,
    /// What became of jobs.
    pub(crate) marks: Marks,
    /// Where a payload is made before it is copied into a packet.
    pub(crate) scratch: Vec<u8>,
    /// What is intended before is not measured.
    pub(crate) from: u64,
    /// What is intended from then on is not submitted.
    pub(crate) stop: u64,
    /// True when workers are to take no more jobs.
    pub(crate) quiet: bool,
    /// True if the phase has clients; if not, jobs of earlier phases are measured.
    pub(crate) has_clients: bool,
    /// True if workers take time for a job, which is no latency of the job server.
    pub(crate) has_service: bool,
}

impl Context<'_> {
    /// Tells other threads what became of their clients' jobs, and takes what they tell.
    pub(crate) fn exchange(&mut self) {
        self.marks.exchange(self.cast, &mut self.counts, &mut self.tally);
    }
}
