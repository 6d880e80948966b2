//! What a run found out, as it is written to `result.json` and read again by `compare`.
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::job::check::Tally;
use crate::machine::identity::Machine;
use crate::plan::terms::Plan;
use crate::result::judged::Judged;
use crate::result::span::Span;

/// A run of one plan against one job server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What the run is called in tables, such as `ringgear` or `gearmand`.
    pub(crate) label: String,
    /// The plan as it was carried out, with everything that the command line changed.
    pub(crate) plan: Plan,
    /// The command line of the load generator.
    pub(crate) command: Vec<String>,
    /// Its version.
    pub(crate) generator: String,
    /// The commit that the job server was built from, if told.
    pub(crate) commit: Option<String>,
    /// When the run began, in seconds since 1970. Older results have whole ones.
    pub(crate) began: f64,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Who was measured.
    pub(crate) server: Server,
    /// Load threads, and the cores that they were pinned to.
    pub(crate) threads: usize,
    /// See `threads`; empty if they were not pinned.
    pub(crate) cores: Vec<usize>,
    /// The machines that made the load, where it was not the one of the conductor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agents: Vec<Agent>,
    /// What was found in each phase.
    pub(crate) phases: Vec<PhaseOutcome>,
    /// What became of background jobs, where connections break and are made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ledger: Option<Ledger>,
    /// What went wrong, over all phases.
    pub(crate) tally: Tally,
    /// Resident memory of the job server over the whole run, phases that are not measured included: seconds
    /// since it began, and bytes. Older results have none.
    #[serde(default)]
    pub(crate) memory: Vec<(f64, u64)>,
    /// CPU time that the job server used, in cores, over the same times: seconds since the run began, at the end of the
    /// time that it is of. Older results have none.
    #[serde(default)]
    pub(crate) cpu: Vec<(f64, f64)>,
    /// Background jobs that the plan left in the queues, unchecked.
    pub(crate) left: u64,
    /// What became of the thresholds that the plan and the command line name. Older results have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) thresholds: Vec<Judged>,
}

impl Outcome {
    /// True if every phase came to its end.
    pub(crate) fn finished(&self) -> bool {
        self.phases.iter().all(|phase| phase.finished && !phase.did_nothing())
    }

    /// True if somebody interrupted the run; phases that had not begun are missing.
    pub(crate) fn interrupted(&self) -> bool {
        self.phases.iter().any(|phase| phase.interrupted)
    }

    /// The phases that give figures.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &PhaseOutcome> {
        self.phases.iter().filter(|phase| phase.measured)
    }

    /// The most resident memory of all samples.
    pub(crate) fn most_memory(&self) -> u64 {
        self.memory.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0)
    }
}

/// A machine that made load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// As the command line named it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) machine: Machine,
}

/// The job server that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Where it was reached.
    pub(crate) address: String,
    /// What it answered to `version`.
    pub(crate) version: Option<String>,
    /// Its process, if it could be seen.
    pub(crate) pid: Option<u32>,
    /// The command line of that process.
    pub(crate) command: Option<String>,
}

/// What was found in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PhaseOutcome {
    /// The phase's name.
    pub(crate) name: String,
    /// True if the phase gives figures.
    pub(crate) measured: bool,
    /// False if it was broken off at its limit.
    pub(crate) finished: bool,
    /// True if somebody interrupted it: its figures are of the time until then.
    #[serde(default)]
    pub(crate) interrupted: bool,
    /// What `jobs` counts: see [`Counted`].
    pub(crate) counted: Counted,
    /// Jobs in the measured time.
    pub(crate) jobs: u64,
    /// The measured time in seconds.
    pub(crate) seconds: f64,
    /// Jobs per second.
    pub(crate) rate: f64,
    /// Jobs per second that the plan asked for, where all clients are open loops.
    pub(crate) asked: Option<f64>,
    /// Connections.
    pub(crate) connections: u64,
    /// Latencies by group of clients.
    pub(crate) groups: Vec<GroupOutcome>,
    /// How late timers were, for reasons that are not the job server's.
    pub(crate) timer_error: Option<Percentiles>,
    /// How long, at most, answers waited until a load thread read them. Older results have none.
    #[serde(default)]
    pub(crate) receive_lag: Option<Percentiles>,
    /// Latencies of the probe: jobs of a client and a worker on a thread of their own, from when they were due.
    #[serde(default)]
    pub(crate) probe: Option<Percentiles>,
    /// What became of the jobs of the measured time. Older results have none.
    #[serde(default)]
    pub(crate) fates: Option<Fates>,
    /// The longest time without any answer while jobs waited for one, if it was long.
    #[serde(default)]
    pub(crate) stall: Option<Stall>,
    /// The times that the job server was killed on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kills: Vec<Kill>,
    /// What the job server used, if its process could be seen.
    pub(crate) server: Option<ServerUse>,
    /// What the load generator used.
    pub(crate) generator: GeneratorUse,
    /// Share of all cores that other processes used, and that the hypervisor took.
    pub(crate) others: f64,
    /// See `others`.
    pub(crate) stolen: f64,
    /// What kept the rate from being higher.
    pub(crate) limit: Limit,
    /// The phase over time.
    pub(crate) series: Vec<Series>,
}

impl PhaseOutcome {
    /// True if nobody did anything, and the job server was only looked at.
    pub(crate) fn only_watched(&self) -> bool {
        self.counted == Counted::Nothing && self.connections == 0
    }

    /// True if a probe that is faster than the load tells of the load generator's queue: its threads were busy, the job server's were
    /// not all the time, and no worker took time for a job.
    pub(crate) fn own_queue(&self) -> bool {
        let takes_time =
            |group: &GroupOutcome| group.spans.iter().any(|span| span.span == Span::Added.name());
        self.generator.busiest_thread >= 0.5
            && self.server.is_none_or(|server| server.busiest_thread < 0.9)
            && !self.groups.iter().any(takes_time)
    }

    /// True if the load generator's own delay, timer error or receive lag, is more than a quarter of a latency at the same place of
    /// their distributions; `value` in microseconds.
    pub(crate) fn is_own(&self, place: impl Fn(&Percentiles) -> f64, value: f64) -> bool {
        let own = [self.timer_error, self.receive_lag].into_iter().flatten().map(|own| place(&own));
        own.fold(0.0, f64::max) * 4.0 > value
    }

    /// True if others took a tenth of the machine or more.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.others + self.stolen >= 0.1
    }

    /// True if it was to give figures and no job was done in its measured time.
    pub(crate) fn did_nothing(&self) -> bool {
        self.measured && self.counted != Counted::Nothing && self.jobs == 0
    }

    /// Resident bytes that a queued job took, where jobs were only accepted.
    pub(crate) fn bytes_per_job(&self) -> Option<f64> {
        let server = self.server.as_ref().filter(|_| self.counted == Counted::Accepted)?;
        let growth = server.rss_after.checked_sub(server.rss_connected)?;
        (self.jobs >= 1000).then(|| growth as f64 / self.jobs as f64)
    }

    /// Resident bytes that a connection took, where there were enough of them to tell.
    pub(crate) fn bytes_per_connection(&self) -> Option<f64> {
        let server = self.server.as_ref()?;
        let growth = server.rss_connected.checked_sub(server.rss_before)?;
        (self.connections >= 500).then(|| growth as f64 / self.connections as f64)
    }
}

/// What became of the jobs of the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fates {
    /// Due by the schedule, or sent by a closed loop.
    pub(crate) due: u64,
    /// Of those sent.
    pub(crate) sent: u64,
    /// Of those fully answered before the phase ended.
    pub(crate) answered: u64,
}

impl Fates {
    /// Due, and not answered before the phase ended.
    pub(crate) fn unanswered(&self) -> u64 {
        self.due.saturating_sub(self.answered)
    }
}

/// Stalls that are shorter are not told, in seconds: threads and their conductor look some milliseconds apart.
pub(crate) const STALL_LEAST: f64 = 0.05;

/// A time without any answer, although jobs waited for one and no worker had any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stall {
    /// How long it was, in seconds, to some 10 ms.
    pub(crate) seconds: f64,
    /// When it began, in seconds since the phase did.
    pub(crate) at: f64,
    /// How many jobs waited when it was longest.
    pub(crate) waiting: u64,
}

/// A kill of the job server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kill {
    /// When, in seconds since the phase began.
    pub(crate) at: f64,
    /// Seconds until it answered again.
    pub(crate) listening: Option<f64>,
    /// Seconds until a worker had done a job again.
    pub(crate) first_job: Option<f64>,
}

/// What became of background jobs, counted job by job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Answered with JOB_CREATED.
    pub(crate) acknowledged: u64,
    /// Of those done by a worker.
    pub(crate) run: u64,
    /// Done again after that, which is right when a connection broke in between.
    pub(crate) repeated: u64,
    /// Not answered before their connection broke: the job server may have them or not.
    pub(crate) unknown: u64,
    /// Done by a worker, but not acknowledged: some of the unknown.
    pub(crate) run_unacknowledged: u64,
}

impl Ledger {
    /// Acknowledged and not done: lost, unless it is still in a queue.
    pub(crate) fn missing(&self) -> u64 {
        self.acknowledged - self.run
    }
}

/// What counts as one job in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Counted {
    /// Results that clients got: all clients wait for them.
    Results,
    /// Jobs that workers completed: not all clients wait.
    Completed,
    /// Jobs that were accepted: nobody works in this phase.
    Accepted,
    /// Nothing: nobody submits and nobody works.
    Nothing,
}

/// Latencies of one group of clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupOutcome {
    /// Its name.
    pub(crate) name: String,
    /// True for an open loop.
    pub(crate) open: bool,
    /// By what they end with; those that never happened are missing.
    pub(crate) spans: Vec<SpanOutcome>,
}

impl GroupOutcome {
    /// The latency that ends last, as a user feels it.
    pub(crate) fn felt(&self) -> Option<&SpanOutcome> {
        self.spans.iter().rfind(|span| span.span != Span::Added.name())
    }
}

/// One kind of latency of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpanOutcome {
    /// What it ends with: `created`, `worker` or `result`; or `added`, the last less the worker's time.
    pub(crate) span: String,
    /// From the intended time.
    pub(crate) response: Percentiles,
    /// From the time of sending; missing in a closed loop, where it is the same.
    pub(crate) service: Option<Percentiles>,
    /// Jobs in `response` that were not answered when the phase ended: they took at least so long.
    #[serde(default)]
    pub(crate) unanswered: u64,
    /// The shortest of those, in microseconds. Percentiles from it on are lower bounds.
    #[serde(default)]
    pub(crate) at_least: Option<f64>,
}

/// Picks one of the figures of a distribution.
pub(crate) type Quantile = fn(&Percentiles) -> f64;

/// A distribution in a few numbers, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// How many values.
    pub(crate) count: u64,
    /// Their mean.
    pub(crate) mean: f64,
    /// Half are at most this.
    pub(crate) p50: f64,
    /// Nine of ten.
    pub(crate) p90: f64,
    /// 19 of 20. Older results have 0, as with `p9999`.
    #[serde(default)]
    pub(crate) p95: f64,
    /// 99 of 100.
    pub(crate) p99: f64,
    /// 999 of 1000.
    pub(crate) p999: f64,
    /// 9999 of 10,000.
    #[serde(default)]
    pub(crate) p9999: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Percentiles {
    /// True if ten values or more lie beyond this quantile: fewer say nothing of it.
    pub(crate) fn tells(&self, quantile: f64) -> bool {
        self.count as f64 * (1.0 - quantile) >= 9.999
    }

    /// Of a histogram of nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Percentiles> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Percentiles {
            count: histogram.len(),
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1000.0,
        })
    }
}

/// What the job server used in the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerUse {
    /// CPU time per job in microseconds.
    pub(crate) cpu_per_job: f64,
    /// The part of the CPU time that was spent in the kernel.
    pub(crate) kernel_share: f64,
    /// CPU seconds per second.
    pub(crate) cores_used: f64,
    /// The same of its busiest thread.
    pub(crate) busiest_thread: f64,
    /// Context switches per job, because it waited.
    pub(crate) waits_per_job: f64,
    /// Context switches per job, because others wanted the core.
    pub(crate) preemptions_per_job: f64,
    /// Threads at the end.
    pub(crate) threads: usize,
    /// Resident bytes before the first connection of the phase.
    pub(crate) rss_before: u64,
    /// With all connections made, before the first job.
    pub(crate) rss_connected: u64,
    /// The most that was seen in the phase.
    pub(crate) rss_peak: u64,
    /// At the end of the phase, connections still open.
    pub(crate) rss_after: u64,
}

/// What the load generator used in the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GeneratorUse {
    /// CPU time per job in microseconds, without waiting in a spin.
    pub(crate) cpu_per_job: f64,
    /// The same of its busiest thread, as a share of one core.
    pub(crate) busiest_thread: f64,
    /// Share of the time that threads spun so as not to oversleep.
    pub(crate) spun: f64,
}

/// What kept the rate from being higher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limit {
    /// The plan asked for no more.
    Rate,
    /// The job server was busy all the time.
    Server,
    /// The load generator was busy all the time: the figures say little about the server.
    Generator,
    /// Both were.
    Both,
    /// Neither was: the time went into waiting for each other, or into service times.
    Waiting,
    /// The server could not be seen and the load generator was not busy.
    Unknown,
    /// The job server went away: all connections broke.
    Gone,
    /// The job server stood still for long.
    Stalled,
}

/// One kind of latency of one group over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The group's name.
    pub(crate) group: String,
    /// What the latency ends with.
    pub(crate) span: String,
    /// One point for each interval in which any ended.
    pub(crate) points: Vec<Moment>,
}

impl Series {
    /// The length of an interval in seconds; where it is not told, the least distance of two points.
    pub(crate) fn interval(&self) -> f64 {
        let longest = self.points.iter().map(|point| point.seconds).fold(0.0, f64::max);
        if longest > 0.0 {
            return longest;
        }
        self.points.windows(2).map(|pair| pair[1].at - pair[0].at).fold(f64::INFINITY, f64::min)
    }
}

/// What ended in one interval of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Seconds since the beginning of the phase, at the end of the interval.
    pub(crate) at: f64,
    /// How long the interval was, in seconds. Older results have 0.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// Latencies from the intended time.
    pub(crate) latency: Percentiles,
    /// Those of them that had not ended when the phase did. Older results do not tell.
    #[serde(default)]
    pub(crate) unanswered: u64,
}
