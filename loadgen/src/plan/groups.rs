//! The groups of a phase: clients that are alike, workers that are alike, and what they are called where a plan leaves it
//! out. The phases stand in `terms.rs`.
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::names::slug;
use crate::plan::amount::Amount;
use crate::plan::choices::{Abilities, Arrivals, Check, Grab, Unique, Urgency};
use crate::plan::rate::Rate;
use crate::plan::trace::{Functions, Lines};

/// The function where a plan names none. The run's number is put behind it, so that runs at one job server, and jobs
/// that an earlier one left there, keep apart. Any other name is used as it stands.
pub(crate) const FUNCTION: &str = "load";

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

/// Writes the groups of clients of a phase that are the plan's own.
pub(crate) fn own_clients<S: Serializer>(groups: &[Clients], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(groups.iter().filter(|group| group.lines.is_none()))
}

/// True if a phase has no clients of its own.
pub(crate) fn no_own_clients(groups: &[Clients]) -> bool {
    groups.iter().all(|group| group.lines.is_some())
}

/// Writes the groups of workers of a phase that are the plan's own.
pub(crate) fn own_workers<S: Serializer>(groups: &[Workers], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(groups.iter().filter(|group| group.replayed.is_none()))
}

/// True if a phase has no workers of its own.
pub(crate) fn no_own_workers(groups: &[Workers]) -> bool {
    groups.iter().all(|group| group.replayed.is_some())
}

/// Something with a name that a plan may leave out.
trait Named {
    /// The name, empty if the plan has none.
    fn name(&mut self) -> &mut String;
}

impl Named for Clients {
    fn name(&mut self) -> &mut String {
        &mut self.name
    }
}

impl Named for Workers {
    fn name(&mut self) -> &mut String {
        &mut self.name
    }
}

/// Reads the groups of clients of a phase; one without a name is called `clients`, several `clients-1` and so on.
pub(crate) fn clients<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Clients>, D::Error> {
    Ok(named(Vec::deserialize(from)?, "clients"))
}

/// Reads the groups of workers of a phase, and names them as [`clients`] does.
pub(crate) fn workers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Workers>, D::Error> {
    Ok(named(Vec::deserialize(from)?, "workers"))
}

fn named<T: Named>(mut groups: Vec<T>, what: &str) -> Vec<T> {
    let taken: Vec<String> =
        groups.iter_mut().map(|group| slug(group.name())).filter(|name| !name.is_empty()).collect();
    let nameless: Vec<&mut String> =
        groups.iter_mut().map(Named::name).filter(|name| name.is_empty()).collect();
    let alone = nameless.len() == 1 && !taken.iter().any(|name| name == what);
    let mut free = (1..).map(|number| format!("{what}-{number}")).filter(|name| !taken.contains(name));
    for name in nameless {
        *name = if alone { what.to_owned() } else { free.next().unwrap_or_default() };
    }
    groups
}

mod defaults {
    use crate::plan::amount::Amount;

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
