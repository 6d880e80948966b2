//! A plan: who does what against a job server, and for how long. It names no server, so that the same plan
//! runs against any. What is in a plan stands here; what must hold for it in `bounds.rs`.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plan::amount::Amount;
use crate::plan::names;
use crate::plan::rate::Rate;
use crate::plan::replay::{self, Replay};
use crate::plan::threshold::Threshold;
use crate::plan::trace::{Functions, Lines};

/// A whole experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// What it is called.
    pub(crate) name: String,
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// Fixes arrivals, sizes, functions and payloads.
    #[serde(default = "defaults::seed")]
    pub(crate) seed: u64,
    /// One after the other. What a phase leaves in the queues is there for the next.
    pub(crate) phases: Vec<Phase>,
}

impl Plan {
    /// True if it kills the job server.
    pub(crate) fn kills(&self) -> bool {
        self.phases.iter().any(|phase| phase.kill_every.is_some())
    }
}

/// A part of a plan. Its connections are made before it begins and closed after it ended. One with nobody in it
/// only waits and watches the job server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    /// What it is called.
    pub(crate) name: String,
    /// How long clients submit, in seconds. Without it they submit until each group's `jobs` are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// Seconds at the beginning that are not measured.
    #[serde(default)]
    pub(crate) warm_up: f64,
    /// False for phases that only prepare or clear away: they appear in the result, but not as figures.
    #[serde(default = "defaults::yes")]
    pub(crate) measure: bool,
    /// True if the phase ends only when every background job of this and earlier phases is done.
    #[serde(default)]
    pub(crate) drain: bool,
    /// Seconds after which the phase is broken off and the run counts as unfinished.
    #[serde(default = "defaults::limit")]
    pub(crate) limit: f64,
    /// A recorded mix that is played again: it brings clients and workers of its own.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "replay::read")]
    pub(crate) replay: Option<Replay>,
    /// What must not come out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fail_if: Vec<Threshold>,
    /// Who submits.
    #[serde(default, skip_serializing_if = "replay::no_own_clients", serialize_with = "replay::own_clients")]
    #[serde(deserialize_with = "names::clients")]
    pub(crate) clients: Vec<Clients>,
    /// Who works.
    #[serde(default, skip_serializing_if = "replay::no_own_workers", serialize_with = "replay::own_workers")]
    #[serde(deserialize_with = "names::workers")]
    pub(crate) workers: Vec<Workers>,
    /// Connections that do nothing.
    #[serde(default)]
    pub(crate) idle: u32,
    /// True if connections that break are made again, after 20 to 500 milliseconds. Jobs may then be given out twice, and
    /// every background job that was acknowledged is accounted for.
    #[serde(default)]
    pub(crate) reconnect: bool,
    /// Kills the job server with SIGKILL every so many seconds while clients submit, and starts it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kill_every: Option<f64>,
}

impl Phase {
    /// Connections, idle ones included.
    pub(crate) fn connections(&self) -> u64 {
        self.clients.iter().map(|group| u64::from(group.count)).sum::<u64>()
            + self.workers.iter().map(|group| u64::from(group.count)).sum::<u64>()
            + u64::from(self.idle)
    }
}

/// Clients that are alike, each on a connection of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    /// What they are called in the result; without it `clients`, or `clients-1` and so on.
    #[serde(default)]
    pub(crate) name: String,
    /// How many.
    pub(crate) count: u32,
    /// Open loop: jobs per second of all of them together, sent on a schedule that the server cannot slow down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<Rate>,
    /// Open loop: how the jobs are spread over time.
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    /// Closed loop instead: each keeps so many jobs in flight and sends the next when one is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<u32>,
    /// Open loop: the most jobs in flight on one connection. What is due beyond that waits, and its latency
    /// goes on counting.
    #[serde(default = "defaults::outstanding")]
    pub(crate) outstanding: u32,
    /// Jobs of all of them together, after which they stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jobs: Option<u64>,
    /// Seconds after the beginning of the phase at which they start.
    #[serde(default)]
    pub(crate) start: f64,
    /// The function; with `functions` above 1, what their names begin with.
    #[serde(default = "defaults::function")]
    pub(crate) function: String,
    /// How many functions there are; each job draws one.
    #[serde(default = "defaults::one")]
    pub(crate) functions: u32,
    /// Of all their jobs.
    #[serde(default)]
    pub(crate) priority: Urgency,
    /// True for jobs whose result nobody waits for.
    #[serde(default)]
    pub(crate) background: bool,
    /// What is sent as the unique.
    #[serde(default)]
    pub(crate) unique: Unique,
    /// Bytes of the workload, at least [`crate::job::payload::HEADER`].
    #[serde(default = "defaults::bytes")]
    pub(crate) payload: Amount,
    /// What is looked at in a result.
    #[serde(default)]
    pub(crate) check: Check,
    /// True for clients that make a connection for each job and close it after the answer, as a web page in PHP does.
    #[serde(default)]
    pub(crate) connect_each: bool,
    /// Open loop instead of `rate`: the jobs of a recorded mix. Not in a plan, which has the name of a file.
    #[serde(skip)]
    pub(crate) lines: Option<Arc<Lines>>,
}

impl Clients {
    /// So many with the defaults of a plan, which neither a rate nor a depth is one of.
    pub(crate) fn of(count: u32) -> Clients {
        Clients {
            name: String::new(),
            count,
            rate: None,
            arrivals: Arrivals::default(),
            closed: None,
            outstanding: defaults::outstanding(),
            jobs: None,
            start: 0.0,
            function: defaults::function(),
            functions: 1,
            priority: Urgency::default(),
            background: false,
            unique: Unique::default(),
            payload: defaults::bytes(),
            check: Check::default(),
            connect_each: false,
            lines: None,
        }
    }

    /// Jobs that the schedule of an open loop has due between two times, in seconds since the phase began, on average of
    /// chance; `None` in a closed loop.
    pub(crate) fn due(&self, from: f64, to: f64) -> Option<f64> {
        if let Some(lines) = &self.lines {
            return Some(lines.before(to - self.start) - lines.before(from - self.start));
        }
        let rate = self.rate.as_ref()?;
        Some(rate.jobs(to - self.start) - rate.jobs(from - self.start))
    }

    /// Jobs a second of an open loop, on average over its part of a phase; `None` in a closed loop.
    pub(crate) fn mean_rate(&self, phase: &Phase) -> Option<f64> {
        let end = phase.seconds.unwrap_or(phase.limit);
        match &self.rate {
            Some(Rate::Steady(rate)) => Some(*rate),
            _ => Some(self.due(self.start, end)? / (end - self.start)).filter(|rate| rate.is_finite()),
        }
    }
}

/// Workers that are alike, each on a connection of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workers {
    /// What they are called in the result; without it `workers`, or `workers-1` and so on.
    #[serde(default)]
    pub(crate) name: String,
    /// How many.
    pub(crate) count: u32,
    /// As with clients.
    #[serde(default = "defaults::function")]
    pub(crate) function: String,
    /// As with clients.
    #[serde(default = "defaults::one")]
    pub(crate) functions: u32,
    /// Which of the functions each of them registers.
    #[serde(default)]
    pub(crate) abilities: Abilities,
    /// GRAB_JOBs that each keeps in flight, jobs that it holds included.
    #[serde(default = "defaults::one")]
    pub(crate) grabs: u32,
    /// How it asks for jobs.
    #[serde(default)]
    pub(crate) grab: Grab,
    /// Milliseconds from JOB_ASSIGN to WORK_COMPLETE.
    #[serde(default = "defaults::nothing")]
    pub(crate) service: Amount,
    /// Bytes of the result, at least [`crate::job::payload::HEADER`].
    #[serde(default = "defaults::bytes")]
    pub(crate) result: Amount,
    /// The functions of a recorded mix, which tells for each job how long it takes. Not in a plan.
    #[serde(skip)]
    pub(crate) replayed: Option<Arc<Functions>>,
}

impl Workers {
    /// So many with the defaults of a plan.
    pub(crate) fn of(count: u32) -> Workers {
        Workers {
            name: String::new(),
            count,
            function: defaults::function(),
            functions: 1,
            abilities: Abilities::default(),
            grabs: 1,
            grab: Grab::default(),
            service: defaults::nothing(),
            result: defaults::bytes(),
            replayed: None,
        }
    }
}

/// What clients look at in a result. Anything but `full` is for workers that are not the plan's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Check {
    /// Every byte, and whose job it is: our own workers made it.
    #[default]
    Full,
    /// That it is as long as the workload: workers that echo.
    Length,
    /// Only that there is one.
    None,
}

/// How the jobs of an open loop are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// Evenly.
    Constant,
    /// As if each came by chance, the usual model of many independent users.
    #[default]
    Poisson,
}

/// The priority of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Urgency {
    /// SUBMIT_JOB_HIGH and its background form.
    High,
    /// SUBMIT_JOB and its background form.
    #[default]
    Normal,
    /// SUBMIT_JOB_LOW and its background form.
    Low,
}

/// What is sent as the unique of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unique {
    /// Nothing.
    #[default]
    None,
    /// 36 bytes that look like a UUID, as libgearman sends, no two alike.
    Uuid,
}

/// Which functions of their group a worker registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Abilities {
    /// Each worker all of them.
    #[default]
    All,
    /// Each worker its share and no function twice (or one function, where there are more workers).
    Split,
    /// Each worker so many, neighbours sharing half of theirs.
    Some(u32),
}

/// How a worker asks for a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grab {
    /// GRAB_JOB.
    Plain,
    /// GRAB_JOB_UNIQ.
    Unique,
    /// GRAB_JOB_ALL, as Debian's libgearman does.
    #[default]
    All,
}

/// The function where a plan names none. The run's number is put behind it, so that runs at one job server, and jobs
/// that an earlier one left there, keep apart. Any other name is used as it stands.
pub(crate) const FUNCTION: &str = "load";

mod defaults {
    use crate::plan::amount::Amount;

    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn limit() -> f64 {
        60.0
    }
    pub(super) fn outstanding() -> u32 {
        1000
    }
    pub(super) fn one() -> u32 {
        1
    }
    pub(super) fn function() -> String {
        super::FUNCTION.to_owned()
    }
    pub(super) fn bytes() -> Amount {
        Amount::Fixed(100.0)
    }
    pub(super) fn nothing() -> Amount {
        Amount::Fixed(0.0)
    }
}
