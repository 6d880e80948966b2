//! Single things: the server, a function, a job.
use super::super::bounds::PAGES_MAX;
use super::super::desk::Desk;
use super::fault::ApiFault;
use super::lists::with_handle;
use crate::engine::page::ListMark;
use crate::engine::report::FunctionRow;
use crate::engine::{JobId, Query, Report};
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
        "keeps_jobs": desk.setup.restores,
        "verbosity": desk.setup.frontend.verbosity,
    })
}

/// A function by its exact name.
pub(super) async fn function(desk: &Desk, name: &[u8]) -> Result<Value, ApiFault> {
    let _turn = desk.turn().await;
    let mut answer = desk.observer.ask(Query::Status, before(name));
    for _ in 0..PAGES_MAX {
        let Some(Report::Functions(rows)) = answer.next().await else { break };
        let is_it = |row: &&FunctionRow| row.function == name;
        if let Some(row) = rows.iter().find(is_it) {
            return Ok(json::function(row));
        }
        if rows.last().is_some_and(|row| row.function > name) {
            break;
        }
    }
    let sentence =
        "there is no function of this name: no job was submitted and no worker has registered for it";
    Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()))
}

/// A place shortly before this name; `None` is the beginning.
fn before(name: &[u8]) -> Option<ListMark> {
    let (&last, rest) = name.split_last()?;
    let mut place = rest.to_vec();
    if let Some(less) = last.checked_sub(1) {
        // Of what begins with this, not much comes behind it.
        place.push(less);
        place.extend([0xff; 8]);
    }
    Some(ListMark::Function(place.into()))
}

/// A job by its handle, dead or alive.
pub(super) async fn job(desk: &Desk, handle: &[u8]) -> Result<Value, ApiFault> {
    let id = desk.setup.frontend.handle_prefix.parse(handle).ok_or_else(|| {
        let sentence = "this is no handle that this server gives: another server's, or cut short";
        ApiFault(StatusCode::NOT_FOUND, sentence.to_owned())
    })?;
    let _turn = desk.turn().await;
    let first = |query| async {
        let after = JobId::from_number(id.number() - 1).map(ListMark::Job);
        desk.observer.ask(query, after).next().await
    };
    if let Some(Report::Involved(rows)) = first(Query::JobsWithWorkers).await
        && let Some(row) = rows.iter().find(|row| row.job == id)
    {
        let mut told = with_handle(desk, id, json::involved(row));
        told["dead"] = false.into();
        // It may have ended meanwhile.
        if let Some(Report::Jobs(rows)) = first(Query::Jobs).await
            && let Some(row) = rows.iter().find(|row| row.job == id)
            && let (Value::Object(told), Value::Object(more)) = (&mut told, json::job(row))
        {
            told.extend(more);
        }
        return Ok(told);
    }
    if let Some(Report::DeadJobs(rows)) = first(Query::DeadJobs).await
        && let Some(row) = rows.iter().find(|row| row.job == id)
    {
        let mut told = with_handle(desk, id, json::dead_job(row));
        told["dead"] = true.into();
        return Ok(told);
    }
    let sentence = "there is no such job: it has ended, or never was";
    Err(ApiFault(StatusCode::NOT_FOUND, sentence.to_owned()))
}
