//! From two looks at a phase, at the beginning and the end of its measured time, to its figures.
use crate::machine::probe::{self, Look, TICKS};
use crate::plan::cast::Cast;
use crate::plan::terms::Phase;
use crate::result::outcome::{
    Counted, Fates, GeneratorUse, GroupOutcome, Kill, Limit, Percentiles, PhaseOutcome, Series, ServerUse,
    SpanOutcome, Stall,
};
use crate::result::record::Recorder;
use crate::result::span::Span;
use crate::run::stage::{Counts, Stand};

/// Everything that is read at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    time: u64,
    counts: Counts,
    pid: Option<u32>,
    server: Option<Look>,
    /// CPU time of the load threads, in nanoseconds.
    threads: Vec<u64>,
    machine: Option<(u64, u64)>,
}

impl Meter {
    /// Reads it all; `time` is the moment that it stands for.
    pub(crate) fn read(time: u64, pid: Option<u32>, stand: &Stand) -> Meter {
        Meter {
            time,
            counts: stand.counts(),
            pid,
            server: pid.and_then(Look::at),
            threads: threads(stand),
            machine: probe::machine_ticks(),
        }
    }
}

/// CPU time of each load thread, here or of agents.
fn threads(stand: &Stand) -> Vec<u64> {
    let elsewhere = stand.used_elsewhere();
    if elsewhere.is_empty() { stand.tids().map(probe::own_thread).collect() } else { elsewhere }
}

/// How a phase ended, and what was seen of the job server's process on the way.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// All was done.
    pub(crate) finished: bool,
    /// All connections broke.
    pub(crate) gone: bool,
    /// Somebody interrupted the run.
    pub(crate) interrupted: bool,
    /// The longest time without an answer, if it was long.
    pub(crate) stall: Option<Stall>,
    /// When it was killed on purpose.
    pub(crate) kills: Vec<Kill>,
    /// The process with all connections made, before the first job.
    pub(crate) connected: Option<Look>,
    /// The most resident bytes.
    pub(crate) peak: u64,
}

/// The figures of a phase, in the making.
pub(crate) struct Usage<'a> {
    phase: &'a Phase,
    from: &'a Meter,
    to: &'a Meter,
    counted: Counted,
    groups: Vec<GroupOutcome>,
    timer_error: Option<Percentiles>,
    receive_lag: Option<Percentiles>,
    probe: Option<Percentiles>,
    fates: Fates,
    series: Vec<Series>,
}

/// Begins with what the load threads measured.
pub(crate) fn usage<'a>(
    phase: &'a Phase,
    index: usize,
    cast: &Cast,
    recorder: &Recorder,
    series: Vec<Series>,
    from: &'a Meter,
    to: &'a Meter,
) -> Usage<'a> {
    let counted = match (phase.clients.is_empty(), phase.workers.is_empty()) {
        (true, true) => Counted::Nothing,
        (false, true) => Counted::Accepted,
        (false, false) if phase.clients.iter().all(|clients| !clients.background) => Counted::Results,
        _ => Counted::Completed,
    };
    let mut groups = vec![];
    for (group, spans) in cast.groups.iter().zip(&recorder.groups) {
        let Some(spans) = spans else { continue };
        let outcomes = Span::ALL.into_iter().zip(spans.iter()).filter_map(|(span, pair)| {
            Some(SpanOutcome {
                span: span.name().to_owned(),
                response: Percentiles::of(&pair.response)?,
                service: Percentiles::of(&pair.service),
                unanswered: pair.unanswered,
                at_least: (pair.unanswered > 0).then_some(pair.at_least as f64 / 1000.0),
            })
        });
        // Jobs of an earlier phase that are taken in this one belong to their group too.
        let name = cast.called(group, index);
        groups.push(GroupOutcome { name, open: group.plan.closed.is_none(), spans: outcomes.collect() });
    }
    let timer_error = Percentiles::of(&recorder.timer_error);
    let receive_lag = Percentiles::of(&recorder.receive_lag);
    let probe = Percentiles::of(&recorder.probe);
    let Recorder { sent, answered, unsent, .. } = *recorder;
    let fates = Fates { due: sent + unsent, sent, answered };
    Usage { phase, from, to, counted, groups, timer_error, receive_lag, probe, fates, series }
}

impl Usage<'_> {
    /// Adds what was seen from outside.
    pub(crate) fn finish(
        self,
        window: u64,
        connections: u64,
        before: Option<&Look>,
        end: &End,
    ) -> PhaseOutcome {
        let &End { finished, gone, interrupted, stall, ref kills, ref connected, peak } = end;
        let Usage { phase, from, to, counted, groups, timer_error, receive_lag, probe, fates, series } = self;
        let pick = |counts: &Counts| match counted {
            Counted::Results => counts.results,
            Counted::Completed => counts.worked,
            Counted::Accepted => counts.created,
            Counted::Nothing => 0,
        };
        let jobs = pick(&to.counts) - pick(&from.counts);
        // Without a time given the phase ends with its last job, not when that was noticed.
        let end = if phase.seconds.is_some() { to.time } else { to.counts.last };
        let begin = from.time.max(window);
        // A phase that was broken off keeps its planned window: the life of the job server is no measure.
        let seconds = match phase.seconds {
            Some(planned) if !finished && !interrupted => planned - phase.warm_up,
            _ => (end.saturating_sub(begin) as f64 / 1e9).max(1e-9),
        };
        let wall = (to.time.saturating_sub(begin) as f64 / 1e9).max(1e-9);
        let rate = jobs as f64 / seconds;
        let per_job = 1.0 / (jobs.max(1) as f64);

        // After a kill it is another process, whose use says nothing of the first's.
        let both = from.server.as_ref().zip(to.server.as_ref()).filter(|_| from.pid == to.pid);
        let server = both.map(|(from, to)| {
            let (rss_before, rss_connected) =
                (before.map_or(0, |look| look.rss), connected.as_ref().map_or(0, |look| look.rss));
            ServerUse {
                rss_before,
                rss_connected,
                rss_peak: peak.max(to.rss),
                ..server_use(from, to, wall, per_job)
            }
        });
        let (generator, used) = generator_use(from, to, wall, per_job);
        let ours = used / 1e9 + server.map_or(0.0, |server| server.cores_used * wall);
        let (others, stolen) = of_others(from, to, ours, wall);
        let asked = asked(phase);
        let seen = from.pid.is_some() && server.is_some();
        PhaseOutcome {
            name: phase.name.clone(),
            measured: phase.measure,
            finished,
            interrupted,
            counted,
            jobs,
            seconds,
            rate,
            asked,
            connections,
            groups,
            timer_error,
            receive_lag,
            probe,
            fates: Some(fates).filter(|fates| fates.due > 0),
            stall,
            kills: kills.clone(),
            server,
            limit: match stall {
                _ if gone => Limit::Gone,
                Some(stall) if stall.seconds >= STOOD_STILL => Limit::Stalled,
                _ => limit(asked, rate, jobs, server.filter(|_| seen).as_ref(), &generator),
            },
            generator,
            others,
            stolen,
            series,
        }
    }
}

/// What the job server used between two looks, in `wall` seconds; memory as the second look found it.
fn server_use(from: &Look, to: &Look, wall: f64, per_job: f64) -> ServerUse {
    let cpu = to.cpu_since(from) as f64;
    let user = (to.user_ticks - from.user_ticks.min(to.user_ticks)) as f64;
    let system = (to.system_ticks - from.system_ticks.min(to.system_ticks)) as f64;
    ServerUse {
        cpu_per_job: cpu / 1000.0 * per_job,
        kernel_share: if user + system > 0.0 { system / (user + system) } else { 0.0 },
        cores_used: cpu / 1e9 / wall,
        busiest_thread: to.busiest_since(from) as f64 / 1e9 / wall,
        waits_per_job: to.voluntary.saturating_sub(from.voluntary) as f64 * per_job,
        preemptions_per_job: to.involuntary.saturating_sub(from.involuntary) as f64 * per_job,
        threads: to.threads.len(),
        rss_before: 0,
        rss_connected: 0,
        rss_peak: to.rss,
        rss_after: to.rss,
    }
}

/// What the load generator used between two ticks, in `wall` seconds; and the nanoseconds of all its threads together.
fn generator_use(from: &Meter, to: &Meter, wall: f64, per_job: f64) -> (GeneratorUse, f64) {
    let used: Vec<f64> =
        to.threads.iter().zip(&from.threads).map(|(to, from)| to.saturating_sub(*from) as f64).collect();
    let spun = (to.counts.spun - from.counts.spun) as f64;
    let each = spun / used.len().max(1) as f64;
    let busiest = used.iter().copied().fold(0.0, f64::max);
    let generator = GeneratorUse {
        cpu_per_job: (used.iter().sum::<f64>() - spun).max(0.0) / 1000.0 * per_job,
        busiest_thread: (busiest - each).max(0.0) / 1e9 / wall,
        spun: each / 1e9 / wall,
    };
    (generator, used.iter().sum())
}

/// The shares of the machine that others used, and that the hypervisor took, between two ticks; `ours` is what the job server
/// and the load generator used, in seconds.
fn of_others(from: &Meter, to: &Meter, ours: f64, wall: f64) -> (f64, f64) {
    let cores = crate::machine::cores::count() as f64;
    let (others, stolen) = match (from.machine, to.machine) {
        (Some(from), Some(to)) => {
            let share = |ticks: u64| ticks as f64 / TICKS / (wall * cores);
            let busy = share(to.0.saturating_sub(from.0));
            ((busy - ours / (wall * cores)).max(0.0), share(to.1.saturating_sub(from.1)))
        }
        _ => (0.0, 0.0),
    };
    // Of a job server that was killed the CPU time is not known, and would be taken for that of others.
    let others = if from.pid == to.pid { others } else { 0.0 };
    (others, stolen)
}

/// Jobs per second that the plan asks for on average over the measured time, where every group of clients has a rate for
/// the whole phase.
fn asked(phase: &Phase) -> Option<f64> {
    let (from, to) = (phase.warm_up, phase.seconds?);
    let jobs = phase.clients.iter().map(|clients| match (clients.jobs, &clients.lines) {
        (None, _) | (_, Some(_)) => clients.due(from, to),
        (Some(_), None) => None,
    });
    let jobs: Option<f64> = jobs.sum();
    jobs.map(|jobs| jobs / (to - from)).filter(|rate| *rate > 0.0)
}

/// From how many seconds without an answer on the job server is said to have stood still.
pub(crate) const STOOD_STILL: f64 = 0.25;

/// From which share of a core on a thread counts as busy all the time.
const BUSY: f64 = 0.9;

fn limit(
    asked: Option<f64>,
    rate: f64,
    jobs: u64,
    server: Option<&ServerUse>,
    generator: &GeneratorUse,
) -> Limit {
    let busy_server = server.is_some_and(|server| server.busiest_thread >= BUSY);
    let busy_generator = generator.busiest_thread >= BUSY;
    if let Some(asked) = asked {
        // Chance alone makes a Poisson count differ by its root.
        let slack = (4.0 / (jobs.max(1) as f64).sqrt()).clamp(0.02, 0.1);
        // Where both were busy the rate was reached, and yet neither end is known.
        if rate >= asked * (1.0 - slack) && !(busy_server && busy_generator) {
            return Limit::Rate;
        }
    }
    match (busy_server, busy_generator) {
        (true, true) => Limit::Both,
        (true, false) => Limit::Server,
        (false, true) => Limit::Generator,
        (false, false) if server.is_some() => Limit::Waiting,
        (false, false) => Limit::Unknown,
    }
}
