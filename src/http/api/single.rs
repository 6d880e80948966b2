//! Single things: the server, a function, a job.
use super::super::desk::Desk;
use super::fault::ApiFault;
use super::told::{no_function, no_job, tell_function, with_handle};
use crate::frontend::{VERSION, followed, json};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

/// What is known without asking anybody.
pub(super) fn server(desk: &Desk) -> Value {
    let state = desk.state();
    let since = desk.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "version": VERSION,
        "follows": followed(desk.setup.frontend.compat),
        "pid": desk.setup.frontend.pid,
        "shards": desk.setup.shards,
        "phase": state.word(),
        "ready": state.obstacle().is_none(),
        "started_ms": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        "uptime_seconds": desk.started.elapsed().as_secs(),
        "keeps_jobs": desk.setup.store.is_some(),
        "verbosity": desk.setup.frontend.verbosity,
    })
}

/// All functions together, and those first with which something is wrong: what the page Now begins with.
pub(super) async fn overview(desk: &Desk) -> Value {
    let overview = desk.overview().await;
    let sums = &overview.sums;
    let [high, normal, low] = sums.queued;
    let mut told = server(desk);
    told["functions"] = sums.functions.into();
    told["queued"] = json!({ "high": high, "normal": normal, "low": low });
    told["scheduled"] = sums.scheduled.into();
    told["storing"] = sums.storing.into();
    told["abandoned"] = sums.abandoned.into();
    told["running"] = sums.running.into();
    told["dead"] = sums.dead.into();
    told["workers"] = sums.workers.into();
    told["unattended"] = sums.unattended.into();
    told["first"] = overview.first.iter().map(|row| tell_function(desk, row)).collect();
    told
}

/// A function by its exact name.
pub(super) async fn function(desk: &Desk, name: &[u8]) -> Result<Value, ApiFault> {
    let _turn = desk.turn().await;
    let row = desk.function(name).await.ok_or_else(no_function)?;
    Ok(tell_function(desk, &row))
}

/// A job by its handle, dead or alive.
pub(super) async fn job(desk: &Desk, handle: &[u8]) -> Result<Value, ApiFault> {
    let id = desk.setup.frontend.handle_prefix.parse(handle).ok_or_else(|| {
        let sentence = "this is no handle that this server gives: another server's, or cut short";
        ApiFault(StatusCode::NOT_FOUND, sentence.to_owned())
    })?;
    let _turn = desk.turn().await;
    match desk.job(handle).await {
        Some(facts) => Ok(with_handle(desk, id, json::job_facts(&facts))),
        None => Err(no_job()),
    }
}
