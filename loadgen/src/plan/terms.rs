//! A plan: who does what against a job server, and for how long. It names no server, so that the same plan
//! runs against any. What is in a plan stands here; what must hold for it in `bounds.rs`.
use serde::{Deserialize, Serialize};

use crate::plan::amount::Amount;
use crate::plan::threshold::Threshold;

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
    /// What must not come out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fail_if: Vec<Threshold>,
    /// Who submits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) clients: Vec<Clients>,
    /// Who works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) workers: Vec<Workers>,
    /// Connections that do nothing.
    #[serde(default)]
    pub(crate) idle: u32,
}

/// Clients that are alike, each on a connection of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    /// What they are called in the result.
    #[serde(default = "defaults::clients")]
    pub(crate) name: String,
    /// How many.
    pub(crate) count: u32,
    /// Open loop: jobs per second of all of them together, sent on a schedule that the server cannot slow down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
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
}

/// Workers that are alike, each on a connection of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workers {
    /// What they are called in the result.
    #[serde(default = "defaults::workers")]
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
    pub(super) fn clients() -> String {
        "clients".to_owned()
    }
    pub(super) fn workers() -> String {
        "workers".to_owned()
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
