//! Carries out a plan: phase by phase it makes the load threads, tells them when to begin and to stop, looks
//! at the job server's process at the right moments, and gathers what the threads measured.
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use crate::job::check::Tally;
use crate::machine::identity::Machine;
use crate::machine::memory::Memory;
use crate::machine::probe::{self, Look};
use crate::machine::server::Started;
use crate::plan::cast::Cast;
use crate::plan::terms::{Phase, Plan};
use crate::result::outcome::{Ledger, Outcome, PhaseOutcome, Server};
use crate::result::record::Recorder;
use crate::run::drive::drive;
use crate::run::gather::{self, Gather};
use crate::run::kills::Host;
use crate::run::marks;
use crate::run::meter::usage;
use crate::run::orders::{Orders, Part};
use crate::run::probing;
use crate::run::progress::Progress;
use crate::run::stage::{Clock, Counts, Stage, Stand, lock};
use crate::run::watch::{Missing, Queued, Ward, Watch};

/// How and against whom a plan is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// What the run is called.
    pub(crate) label: String,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// Its process, if known.
    pub(crate) pid: Option<u32>,
    /// The commit that it was built from, if told.
    pub(crate) commit: Option<String>,
    /// Load threads.
    pub(crate) threads: usize,
    /// The cores for them, in turn; empty for any.
    pub(crate) cores: Vec<usize>,
    /// Nanoseconds before a timer from which on a load thread does not sleep.
    pub(crate) spin: u64,
    /// Seconds without any progress after which what is missing counts as lost.
    pub(crate) patience: f64,
    /// True for a probe beside open loops.
    pub(crate) probe: bool,
}

/// What a run found, with its histograms.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Everything but the histograms.
    pub(crate) outcome: Outcome,
    /// By phase.
    pub(crate) recorders: Vec<Recorder>,
}

/// Connections from one source address to one server; a few more than 28,000 would be possible.
const PER_SOURCE: usize = 8000;

/// Carries out `plan` on a job server that is there, or on one that was `started` for it.
pub(crate) fn conduct(
    plan: &Plan,
    setting: &Setting,
    started: Option<&mut Started>,
    progress: &mut Progress,
) -> io::Result<Finding> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Any number will do that differs from the last run's.
    let run = crate::job::random::mix(began.as_nanos() as u64 ^ u64::from(std::process::id())) as u32;
    let cast = Cast::new(plan, run);
    let clock = Clock::start();
    let (mut phases, mut recorders, mut tally) = (vec![], vec![], Tally::default());
    let mut memory = Memory::new();
    let mut ward = Ward {
        queued: Queued::default(),
        memory: &mut memory,
        progress,
        host: Host::new(started, setting.pid),
    };
    for (index, phase) in plan.phases.iter().enumerate() {
        let play = Play { index, phase, cast: &cast, setting, clock, run };
        let (outcome, recorder, flaws) = play.run(&mut ward)?;
        tally += flaws;
        let interrupted = outcome.interrupted;
        phases.push(outcome);
        recorders.push(recorder);
        if interrupted {
            break;
        }
    }
    ward.progress.end();
    let Ward { queued, host, .. } = ward;
    let pid = host.pid();
    let server = Server {
        address: setting.server.to_string(),
        version: crate::machine::server::version(setting.server),
        pid,
        command: pid.and_then(probe::command_line),
    };
    let (memory, cpu) = memory.end();
    let outcome = Outcome {
        label: setting.label.clone(),
        plan: plan.clone(),
        command: std::env::args().collect(),
        generator: env!("CARGO_PKG_VERSION").to_owned(),
        commit: setting.commit.clone(),
        began: began.as_secs_f64(),
        machine: Machine::here(),
        server,
        threads: setting.threads,
        cores: setting.cores.clone(),
        phases,
        ledger: cast.ledger.then(|| ledger(&cast, &tally)),
        tally,
        memory,
        cpu,
        left: queued.created.saturating_sub(queued.delivered),
        thresholds: vec![],
    };
    Ok(Finding { outcome, recorders })
}

/// Compares, job by job, what was acknowledged with what was done.
fn ledger(cast: &Cast, tally: &Tally) -> Ledger {
    let mut ledger = Ledger { unknown: tally.unknown, repeated: tally.repeated, ..Ledger::default() };
    for fate in &cast.fates {
        let fate = lock(fate);
        let run = fate.acknowledged.common(&fate.delivered);
        ledger.acknowledged += fate.acknowledged.count();
        ledger.run += run;
        ledger.run_unacknowledged += fate.delivered.count() - run;
    }
    ledger
}

/// One phase while it is played.
struct Play<'a> {
    index: usize,
    phase: &'a Phase,
    cast: &'a Cast,
    setting: &'a Setting,
    clock: Clock,
    run: u32,
}

impl Play<'_> {
    fn run(&self, ward: &mut Ward<'_>) -> io::Result<(PhaseOutcome, Recorder, Tally)> {
        let parts = self.parts();
        let connections: Vec<u64> = parts.iter().map(|parts| parts.len() as u64).collect();
        let stand = Stand::new(self.clock, &connections);
        let before = ward.host.pid().and_then(Look::at);
        let tick = gather::tick(self.phase);
        let mut gather = Gather::new(self.index, self.cast, parts.len());
        thread::scope(|scope| {
            let (sender, ticks) = mpsc::channel();
            let mut threads = vec![];
            let marks = marks::marks(parts.len());
            for ((thread, parts), marks) in parts.into_iter().enumerate().zip(marks) {
                let orders = Orders {
                    thread,
                    server: self.setting.server,
                    parts,
                    cast: self.cast,
                    stand: &stand,
                    has_clients: !self.phase.clients.is_empty(),
                    has_service: self.phase.workers.iter().any(|workers| workers.service.largest() > 0.0),
                    reconnect: self.phase.reconnect,
                    tick,
                    spin: self.setting.spin,
                    core: match self.setting.cores.len() {
                        0 => None,
                        cores => Some(self.setting.cores[thread % cores]),
                    },
                    ticks: sender.clone(),
                    spares: gather.spares(),
                };
                let builder = thread::Builder::new().name(format!("load-{thread}"));
                threads.push(builder.spawn_scoped(scope, move || drive(orders, marks))?);
            }
            drop(sender);
            let probe = self.probe(scope, &stand)?;
            let failed = || threads.iter().any(thread::ScopedJoinHandle::is_finished);
            let all = connections.iter().sum();
            let watch = Watch {
                phase: self.phase,
                server: self.setting.server,
                patience: (self.setting.patience * 1e9) as u64,
                functions: &self.cast.functions,
                clock: self.clock,
                stand: &stand,
                connections: all,
            };
            let seen = watch.lead(ward, &mut gather, &ticks, &failed);
            // Whatever happened, the threads must end.
            if stand.stage() < Stage::End {
                stand.advance(Stage::End);
            }
            let mut tally = Tally::default();
            let mut failure = None;
            let mut ended = vec![];
            for thread in threads {
                match thread.join().expect("a load thread does not panic, or the process is over") {
                    Ok((flaws, marks)) => {
                        tally += flaws;
                        ended.push(marks);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
            let seen = seen?;
            while let Ok(tick) = ticks.recv() {
                gather.take(tick);
            }
            let mut counts = stand.counts();
            // What was sent to a thread that was over.
            ended.iter_mut().for_each(|marks| marks.take(self.cast, &mut counts, &mut tally));
            ward.queued.created += counts.created_background;
            ward.queued.delivered += counts.delivered_background;
            if let Some(missing) = seen.missing {
                self.count(missing, &counts, &mut ward.queued, &mut tally);
            }
            // It never panics, and is over when the phase is.
            let probe = probe.and_then(|thread| thread.join().ok());
            let (mut recorder, series) = gather.end();
            recorder.probe = probe.unwrap_or(recorder.probe);
            let (_, start_of_window, _) = stand.times();
            let outcome = usage(self.phase, self.index, self.cast, &recorder, series, &seen.from, &seen.to)
                .finish(start_of_window, all, before.as_ref(), &seen.end);
            Ok((outcome, recorder, tally))
        })
    }

    /// A probe beside the load, where the phase can have one.
    fn probe<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        stand: &'scope Stand,
    ) -> io::Result<Option<thread::ScopedJoinHandle<'scope, Histogram<u64>>>> {
        let Some(rate) = probing::rate(self.phase).filter(|_| self.setting.probe) else { return Ok(None) };
        let function = format!("probe-{:08x}", self.run);
        let server = self.setting.server;
        let builder = thread::Builder::new().name("probe".to_owned());
        let thread = builder.spawn_scoped(scope, move || {
            // The kernel otherwise gathers timers within 50 microseconds.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            probing::probe(server, &function, rate, stand)
        });
        thread.map(Some)
    }

    /// Puts what is missing at the end of a phase where it belongs.
    fn count(&self, missing: Missing, counts: &Counts, queued: &mut Queued, tally: &mut Tally) {
        let mut jobs = counts.outstanding;
        if self.phase.drain {
            jobs += queued.created.saturating_sub(queued.delivered);
        }
        match missing {
            Missing::Lost => tally.lost += jobs,
            Missing::Stuck(there) => {
                tally.stuck += jobs.min(there);
                tally.lost += jobs.saturating_sub(there);
            }
            // Of those that nobody can be asked about, those that wait in its store are `left`.
            Missing::Unknown => tally.unknown += counts.outstanding,
        }
        if self.phase.drain && missing != Missing::Unknown {
            *queued = Queued::default();
        }
    }

    /// The connections of the phase, dealt to the load threads in turn.
    fn parts(&self) -> Vec<Vec<(Part, Option<Ipv4Addr>)>> {
        let mut parts: Vec<Part> = vec![];
        for (crew, _) in self.cast.crews.iter().enumerate().filter(|(_, crew)| crew.phase == self.index) {
            parts.extend((0..self.cast.crews[crew].plan.count).map(|index| Part::Worker(crew, index)));
        }
        for group in self.cast.groups.iter().filter(|group| group.phase == self.index) {
            parts.extend((0..group.plan.count).map(|at| Part::Client(group.first_client + at)));
        }
        parts.extend((0..self.phase.idle).map(|_| Part::Idle));
        let many = parts.len() > PER_SOURCE;
        let mut dealt = vec![vec![]; self.setting.threads];
        for (at, part) in parts.into_iter().enumerate() {
            let source = if many { self.source(at) } else { None };
            dealt[at % self.setting.threads].push((part, source));
        }
        dealt
    }

    /// Ports that were closed are not free again for a minute: with thousands of connections each run takes
    /// other addresses of the loopback network.
    fn source(&self, at: usize) -> Option<Ipv4Addr> {
        match self.setting.server.ip() {
            IpAddr::V4(server) if server.is_loopback() => {
                let run = (self.run % 250) as u8;
                Some(Ipv4Addr::new(127, 1 + self.index as u8 % 100, run, 1 + (at / PER_SOURCE) as u8))
            }
            _ => None,
        }
    }
}
