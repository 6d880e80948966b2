//! What a plan chooses by a word: how results are checked, how jobs arrive, priorities, uniques, abilities, grabs.
use serde::{Deserialize, Serialize};

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
