//! Carries out a plan: phase by phase it makes the load threads, tells them when to begin and to stop, looks
//! at the job server's process at the right moments, and gathers what the threads measured.
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::job::check::Tally;
use crate::machine::identity::Machine;
use crate::machine::memory::Memory;
use crate::machine::probe::{self, Look};
use crate::plan::cast::Cast;
use crate::plan::terms::{Phase, Plan};
use crate::result::outcome::{Outcome, PhaseOutcome, Server};
use crate::result::record::Recorder;
use crate::run::drive::drive;
use crate::run::gather::Gather;
use crate::run::meter::{End, Meter, usage};
use crate::run::orders::{Orders, Part, Tick};
use crate::run::progress::Progress;
use crate::run::stage::{Clock, Counts, Stage, Stand};
use crate::run::stalls::Stalls;

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
}

/// What a run found, with its histograms.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Everything but the histograms.
    pub(crate) outcome: Outcome,
    /// By phase.
    pub(crate) recorders: Vec<Recorder>,
}

/// Background jobs that are still in the queues, counted over all phases.
#[derive(Debug, Default)]
struct Queued {
    created: u64,
    delivered: u64,
}

/// The longest wait for the job server to answer on all connections.
const CONNECT: Duration = Duration::from_secs(30);

/// How often the conductor looks.
const LOOK: Duration = Duration::from_millis(5);

/// Connections from one source address to one server; a few more than 28,000 would be possible.
const PER_SOURCE: usize = 8000;

/// Carries out `plan`.
pub(crate) fn conduct(plan: &Plan, setting: &Setting, progress: &mut Progress) -> io::Result<Finding> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Any number will do that differs from the last run's.
    let run = crate::job::random::mix(began.as_nanos() as u64 ^ u64::from(std::process::id())) as u32;
    let cast = Cast::new(plan, run);
    let clock = Clock::start();
    let (mut phases, mut recorders, mut tally) = (vec![], vec![], Tally::default());
    let (mut queued, mut memory) = (Queued::default(), Memory::new());
    for (index, phase) in plan.phases.iter().enumerate() {
        let play = Play { index, phase, cast: &cast, setting, clock, run };
        let (outcome, recorder, flaws) = play.run(&mut queued, &mut memory, progress)?;
        tally += flaws;
        phases.push(outcome);
        recorders.push(recorder);
    }
    progress.end();
    let server = Server {
        address: setting.server.to_string(),
        version: crate::machine::server::version(setting.server),
        pid: setting.pid,
        command: setting.pid.and_then(probe::command_line),
    };
    let (memory, cpu) = memory.end();
    let outcome = Outcome {
        label: setting.label.clone(),
        plan: plan.clone(),
        command: std::env::args().collect(),
        generator: env!("CARGO_PKG_VERSION").to_owned(),
        commit: setting.commit.clone(),
        began: began.as_secs(),
        machine: Machine::here(),
        server,
        threads: setting.threads,
        cores: setting.cores.clone(),
        phases,
        tally,
        memory,
        cpu,
        left: queued.created.saturating_sub(queued.delivered),
    };
    Ok(Finding { outcome, recorders })
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

/// What was seen of a phase from outside.
struct Seen {
    from: Meter,
    to: Meter,
    /// Nothing moved any more although not all was done.
    stuck: bool,
    end: End,
}

impl Play<'_> {
    fn run(
        &self,
        queued: &mut Queued,
        memory: &mut Memory,
        progress: &mut Progress,
    ) -> io::Result<(PhaseOutcome, Recorder, Tally)> {
        let parts = self.parts();
        let connections: Vec<u64> = parts.iter().map(|parts| parts.len() as u64).collect();
        let stand = Stand::new(self.clock, &connections);
        let before = self.setting.pid.and_then(Look::at);
        let tick = self.phase.seconds.map_or(0.25, |seconds| (seconds / 100.0).clamp(0.1, 1.0));
        let tick = (tick * 1e9) as u64;
        let mut gather = Gather::new(self.index, self.cast, parts.len(), tick);
        thread::scope(|scope| {
            let (sender, ticks) = mpsc::channel();
            let mut threads = vec![];
            for (thread, parts) in parts.into_iter().enumerate() {
                let orders = Orders {
                    thread,
                    server: self.setting.server,
                    parts,
                    cast: self.cast,
                    stand: &stand,
                    has_clients: !self.phase.clients.is_empty(),
                    has_service: self.phase.workers.iter().any(|workers| workers.service.largest() > 0.0),
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
                threads.push(builder.spawn_scoped(scope, move || drive(orders))?);
            }
            drop(sender);
            let failed = || threads.iter().any(thread::ScopedJoinHandle::is_finished);
            let all = connections.iter().sum();
            let seen = self.watch(&stand, all, queued, memory, &mut gather, &ticks, progress, &failed);
            // Whatever happened, the threads must end.
            if stand.stage() < Stage::End {
                stand.advance(Stage::End);
            }
            let mut tally = Tally::default();
            let mut failure = None;
            for thread in threads {
                match thread.join().expect("a load thread does not panic, or the process is over") {
                    Ok(flaws) => tally += flaws,
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
            let counts = stand.counts();
            queued.created += counts.created_background;
            queued.delivered += counts.delivered_background;
            if seen.stuck {
                tally.lost += counts.outstanding;
                if self.phase.drain {
                    tally.lost += queued.created.saturating_sub(queued.delivered);
                    *queued = Queued::default();
                }
            }
            let (recorder, series) = gather.end();
            let (_, start_of_window, _) = stand.times();
            let outcome = usage(self.phase, self.index, self.cast, &recorder, series, &seen.from, &seen.to)
                .finish(start_of_window, all, before.as_ref(), &seen.end);
            Ok((outcome, recorder, tally))
        })
    }

    /// Leads the phase from its first connection to its last answer.
    #[expect(clippy::too_many_arguments, reason = "what is looked at, and who is told")]
    fn watch(
        &self,
        stand: &Stand,
        connections: u64,
        queued: &Queued,
        memory: &mut Memory,
        gather: &mut Gather,
        ticks: &mpsc::Receiver<Tick>,
        progress: &mut Progress,
        failed: &dyn Fn() -> bool,
    ) -> io::Result<Seen> {
        let pid = self.setting.pid;
        progress.say(&self.phase.name, "connecting");
        let deadline = std::time::Instant::now() + CONNECT;
        while stand.counts().connecting > 0 {
            if failed() {
                return Err(io::Error::other("a load thread could not connect"));
            }
            if std::time::Instant::now() > deadline {
                let left = stand.counts().connecting;
                return Err(io::Error::other(format!(
                    "the job server does not answer on {left} connections"
                )));
            }
            memory.note(self.clock.now(), pid.and_then(probe::resident), || pid.and_then(probe::cpu));
            thread::sleep(LOOK);
        }
        let connected = pid.and_then(Look::at);
        let start = self.clock.now() + 20_000_000;
        let from_time = start + (self.phase.warm_up * 1e9) as u64;
        let stop = self.phase.seconds.map_or(u64::MAX, |seconds| start + (seconds * 1e9) as u64);
        let limit = start + (self.phase.limit * 1e9) as u64;
        let mut from = (self.phase.warm_up == 0.0).then(|| Meter::read(start, pid, stand));
        stand.begin(start, from_time, stop);

        let mut to = None;
        let mut peak = connected.as_ref().map_or(0, |look| look.rss);
        let (mut last, mut moved) = (Counts::default(), start);
        let (mut finished, mut stuck, mut gone) = (false, false, false);
        let mut stalls = Stalls::new(start);
        loop {
            thread::sleep(LOOK);
            while let Ok(tick) = ticks.try_recv() {
                gather.take(tick);
            }
            let now = self.clock.now();
            let counts = stand.counts();
            if from.is_none() && now >= from_time {
                from = Some(Meter::read(now, pid, stand));
            }
            if to.is_none() && now >= stop {
                to = Some(Meter::read(now, pid, stand));
            }
            let resident = pid.and_then(probe::resident);
            memory.note(now, resident, || pid.and_then(probe::cpu));
            peak = peak.max(resident.unwrap_or(0));
            stalls.look(now, &counts);
            progress.show(&self.phase.name, now.saturating_sub(start), &counts);
            if failed() {
                return Err(io::Error::other("a load thread gave up"));
            }
            if self.is_done(&counts, queued, now, stop) {
                finished = true;
                break;
            }
            // `spun` moves by itself.
            if (Counts { spun: 0, ..counts }) != (Counts { spun: 0, ..last }) || now < start {
                (last, moved) = (counts, now.max(start));
            }
            // Nothing moves, nobody works, and yet something is missing.
            let missing = counts.outstanding > 0 || self.phase.drain && self.in_queues(&counts, queued) > 0;
            let over = missing && counts.held == 0 && now > start;
            if counts.broken > 0 && counts.broken == connections {
                (finished, stuck, gone) = (false, true, true);
                break;
            }
            if over && now.saturating_sub(moved) > (self.setting.patience * 1e9) as u64 {
                // A busy job server may need longer for one answer. One that answers has nothing left.
                if crate::machine::server::version(self.setting.server).is_some() {
                    (finished, stuck) = (true, true);
                    break;
                }
                moved = now;
            }
            if now > limit {
                break;
            }
        }
        let to = to.unwrap_or_else(|| Meter::read(self.clock.now(), pid, stand));
        let from = from.unwrap_or_else(|| to.clone());
        stand.advance(Stage::Quiet);
        let deadline = self.clock.now() + (self.setting.patience * 1e9) as u64;
        while stand.counts().busy_workers > 0 && self.clock.now() < deadline {
            memory.note(self.clock.now(), pid.and_then(probe::resident), || pid.and_then(probe::cpu));
            thread::sleep(LOOK);
        }
        stand.advance(Stage::End);
        let stall = stalls.longest();
        let end = End { finished, gone, stall, connected, peak };
        Ok(Seen { from, to, stuck, end })
    }

    fn is_done(&self, counts: &Counts, queued: &Queued, now: u64, stop: u64) -> bool {
        (self.phase.seconds.is_none() || now >= stop)
            && counts.submitting == 0
            && counts.outstanding == 0
            && (!self.phase.drain || (self.in_queues(counts, queued) == 0 && counts.held == 0))
    }

    /// Background jobs that were accepted, in this phase or earlier ones, and not taken yet.
    fn in_queues(&self, counts: &Counts, queued: &Queued) -> u64 {
        let created = queued.created + counts.created_background;
        created.saturating_sub(queued.delivered + counts.delivered_background)
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
