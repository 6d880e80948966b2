//! A plan: who does what against a job server, and for how long. It names no server, so that the same plan
//! runs against any. Its groups stand in `groups.rs`; what must hold for it in `bounds.rs`.
use serde::{Deserialize, Serialize};

use crate::plan::groups::{self, Clients, Workers};
use crate::plan::rate::Rate;
use crate::plan::replay::{self, Replay};
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
    #[serde(default, skip_serializing_if = "groups::no_own_clients", serialize_with = "groups::own_clients")]
    #[serde(deserialize_with = "groups::clients")]
    pub(crate) clients: Vec<Clients>,
    /// Who works.
    #[serde(default, skip_serializing_if = "groups::no_own_workers", serialize_with = "groups::own_workers")]
    #[serde(deserialize_with = "groups::workers")]
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

    /// Jobs a second of an open loop, on average over its part of the phase; `None` in a closed loop.
    pub(crate) fn mean_rate(&self, group: &Clients) -> Option<f64> {
        let end = self.seconds.unwrap_or(self.limit);
        match &group.rate {
            Some(Rate::Steady(rate)) => Some(*rate),
            _ => Some(group.due(group.start, end)? / (end - group.start)).filter(|rate| rate.is_finite()),
        }
    }
}

mod defaults {
    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn limit() -> f64 {
        60.0
    }
}
