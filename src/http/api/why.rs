//! Why a function's jobs, or one job, do not move, as JSON.
use super::super::case;
use super::super::desk::Desk;
use super::super::why::{self, Verdict};
use super::fault::ApiFault;
use super::told::{no_job, tell_function, with_handle};
use crate::frontend::json;
use serde_json::{Value, json};

/// Why the jobs of a function do not move.
pub(super) async fn function(desk: &Desk, name: &[u8]) -> Result<Value, ApiFault> {
    let _turn = desk.turn().await;
    let Some(row) = desk.function(name).await else {
        let near = case::near(desk, name).await;
        let mut told = told(&[why::of_nothing(&near)]);
        json::put_name(&mut told, "function", name);
        return Ok(told);
    };
    let case = case::of_function(desk, row).await;
    let mut told = told(&why::of_function(&case));
    json::put_name(&mut told, "function", name);
    told["numbers"] = tell_function(desk, &case.row);
    let crew = &case.crew;
    told["workers"] = json!({ "busy": crew.busy, "asleep": crew.asleep, "woken": crew.woken, "awake": crew.awake, "silent": crew.silent.len() });
    Ok(told)
}

/// Why a job does not move.
pub(super) async fn job(desk: &Desk, handle: &[u8]) -> Result<Value, ApiFault> {
    let _turn = desk.turn().await;
    let job = desk.job(handle).await.ok_or_else(no_job)?;
    let function = match desk.function(&job.function).await {
        Some(row) => why::of_function(&case::of_function(desk, row).await),
        None => Vec::new(),
    };
    let handle = String::from_utf8_lossy(handle);
    let mut told = told(&why::of_job(&job, &handle, &function));
    told["job"] = with_handle(desk, job.job, json::job_facts(&job));
    Ok(told)
}

/// The reason that matters most, and all of them.
fn told(verdicts: &[Verdict]) -> Value {
    let one = |verdict: &Verdict| json!({ "level": verdict.level.word(), "code": verdict.code, "text": verdict.text, "try": verdict.hints });
    let first = verdicts.first().map_or(Value::Null, one);
    json!({ "verdict": first, "all": verdicts.iter().map(one).collect::<Vec<_>>() })
}
