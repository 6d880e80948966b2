//! Carries out a plan: phase by phase it makes the load threads, tells them when to begin and to stop, looks
//! at the job server's process at the right moments, and gathers what the threads measured.
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::job::check::Tally;
use crate::machine::cores::wake_exactly;
use crate::machine::identity::Machine;
use crate::machine::memory::Memory;
use crate::machine::probe::{self, Look};
use crate::machine::server::Started;
use crate::plan::cast::Cast;
use crate::plan::terms::{Phase, Plan};
use crate::result::outcome::{Agent, Ledger, Outcome, PhaseOutcome, Server};
use crate::result::record::Recorder;
use crate::run::deal::{Deal, Dealt};
use crate::run::drive::drive;
use crate::run::gather::{self, Gather};
use crate::run::kills::Host;
use crate::run::marks::{self, Marks};
use crate::run::meter::usage;
use crate::run::orders::{Orders, Tick};
use crate::run::probing;
use crate::run::progress::Progress;
use crate::run::remote::{self, Call, Remote};
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
    /// Agents that make the load instead of this process; none for most runs.
    pub(crate) agents: Vec<String>,
}

/// What a run found, with its histograms.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Everything but the histograms.
    pub(crate) outcome: Outcome,
    /// By phase.
    pub(crate) recorders: Vec<Recorder>,
}

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
    let mut remotes = agents(plan, setting, run, clock)?;
    for (index, phase) in plan.phases.iter().enumerate() {
        let play = Play { index, phase, cast: &cast, setting, clock, run };
        let (outcome, recorder, flaws) = play.run(&mut ward, &mut remotes)?;
        tally += flaws;
        let interrupted = outcome.interrupted;
        phases.push(outcome);
        recorders.push(recorder);
        if interrupted {
            break;
        }
    }
    for remote in &mut remotes {
        for (conn, fate) in remote.fates()? {
            let Some(mine) = cast.fates.get(conn as usize) else { continue };
            tally.doubled += lock(mine).delivered.absorb(&fate.delivered);
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
        threads: match remotes.len() {
            0 => setting.threads,
            _ => remotes.iter().map(|remote| remote.threads).sum(),
        },
        agents: remotes
            .into_iter()
            .map(|remote| Agent { name: remote.name, machine: remote.machine })
            .collect(),
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

/// Calls the agents, if there are any.
fn agents(plan: &Plan, setting: &Setting, run: u32, clock: Clock) -> io::Result<Vec<Remote>> {
    if setting.agents.is_empty() {
        return Ok(vec![]);
    }
    if plan.phases.iter().any(|phase| phase.reconnect || phase.replay.is_some()) {
        return Err(io::Error::other(
            "--agents: plans that reconnect and replays keep their ledger on one machine; run them without agents",
        ));
    }
    let text = toml::to_string(plan).map_err(io::Error::other)?;
    let Setting { server, spin, .. } = *setting;
    remote::call(&setting.agents, &Call { plan: &text, run, server, spin, clock })
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

/// Nanoseconds from the last connection to the first job, and with agents.
const LEAD: u64 = 20_000_000;
const AGENTS_LEAD: u64 = 200_000_000;

/// A thread that makes load, or speaks for an agent that does.
type Loading<'scope> = thread::ScopedJoinHandle<'scope, io::Result<(Tally, Option<Marks>)>>;

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
    fn run(
        &self,
        ward: &mut Ward<'_>,
        remotes: &mut [Remote],
    ) -> io::Result<(PhaseOutcome, Recorder, Tally)> {
        let Play { index, phase, cast, run, .. } = *self;
        let slots = if remotes.is_empty() { self.setting.threads } else { remotes.len() };
        let parts = Deal { cast, phase, index, server: self.setting.server, run }.among(slots);
        // Agents must hear of the start in time.
        let lead = remotes.iter().map(|remote| AGENTS_LEAD + 4 * remote.far).max().unwrap_or(LEAD);
        let connections: Vec<u64> = parts.iter().map(|parts| parts.len() as u64).collect();
        let stand = Stand::new(self.clock, &connections);
        let before = ward.host.pid().and_then(Look::at);
        let tick = gather::tick(self.phase);
        let mut gather = Gather::new(self.index, self.cast, parts.len());
        thread::scope(|scope| {
            let (sender, ticks) = mpsc::channel();
            let threads = match remotes.is_empty() {
                true => self.local(scope, parts, &stand, tick, &sender, &mut gather)?,
                false => self.remote(scope, remotes, &stand, &sender)?,
            };
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
                lead,
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
                        ended.extend(marks);
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

    /// The load threads of this process.
    fn local<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        parts: Vec<Vec<Dealt>>,
        stand: &'scope Stand,
        tick: u64,
        ticks: &mpsc::Sender<Tick>,
        gather: &mut Gather,
    ) -> io::Result<Vec<Loading<'scope>>> {
        let mut threads = vec![];
        let marks = marks::marks(parts.len());
        for ((thread, parts), marks) in parts.into_iter().enumerate().zip(marks) {
            let orders = Orders {
                thread,
                server: self.setting.server,
                parts,
                cast: self.cast,
                stand,
                has_clients: !self.phase.clients.is_empty(),
                has_service: self.phase.workers.iter().any(|workers| workers.service.largest() > 0.0),
                reconnect: self.phase.reconnect,
                tick,
                spin: self.setting.spin,
                core: match self.setting.cores.len() {
                    0 => None,
                    cores => Some(self.setting.cores[thread % cores]),
                },
                ticks: ticks.clone(),
                spares: gather.spares(),
            };
            let builder = thread::Builder::new().name(format!("load-{thread}"));
            let drive = move || drive(orders, marks).map(|(tally, marks)| (tally, Some(marks)));
            threads.push(builder.spawn_scoped(scope, drive)?);
        }
        Ok(threads)
    }

    /// A thread for each agent, which speaks for it.
    fn remote<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        remotes: &'scope mut [Remote],
        stand: &'scope Stand,
        ticks: &mpsc::Sender<Tick>,
    ) -> io::Result<Vec<Loading<'scope>>> {
        let mut threads = vec![];
        for (slot, remote) in remotes.iter_mut().enumerate() {
            let (ticks, groups) = (ticks.clone(), self.cast.groups.len());
            let builder = thread::Builder::new().name(format!("agent-{slot}"));
            let play =
                move || remote.play(self.index, slot, stand, groups, &ticks).map(|tally| (tally, None));
            threads.push(builder.spawn_scoped(scope, play)?);
        }
        Ok(threads)
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
            wake_exactly();
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
}
