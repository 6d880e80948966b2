//! What the flags of all stores on servers have in common.
use super::super::value::fit;
use std::time::Duration;
#[cfg(any(feature = "mysql", feature = "redis"))]
use {super::super::mistake::Mistake, crate::store::PromiseLevel};

/// How long a start waits for a server, unless it is said.
pub(super) const WAIT: Duration = Duration::from_secs(600);

/// How long it may wait.
pub(super) fn wait(seconds: Option<i64>) -> Duration {
    seconds.map_or(WAIT, |seconds| Duration::from_secs(fit(seconds)))
}

/// What an acknowledgement is to be worth with this store.
#[cfg(any(feature = "mysql", feature = "redis"))]
pub(super) fn level(durability: Option<&str>, store: &str) -> Result<PromiseLevel, Mistake> {
    match durability {
        None => Ok(PromiseLevel::AsSet),
        Some("synced") => Ok(PromiseLevel::Synced),
        Some("written") => Ok(PromiseLevel::Written),
        Some(level) => Err(Mistake::Store(format!(
            "--durability {level} is for --data-dir: -q {store} keeps jobs in the database"
        ))),
    }
}
