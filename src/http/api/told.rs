//! How functions and jobs are told, in lists and alone, with what is known of them here besides the engine's rows; and what is said where
//! there is none.
use super::super::desk::Desk;
use super::super::standing::{rates, standing};
use super::fault::ApiFault;
use crate::engine::JobId;
use crate::engine::report::FunctionNumbers;
use crate::frontend::json;
use hyper::StatusCode;
use serde_json::{Value, json};

/// A job as it is told, with its handle.
pub(super) fn with_handle(desk: &Desk, job: JobId, mut told: Value) -> Value {
    let handle = desk.setup.frontend.handle_prefix.handle(job);
    told["handle"] = Value::from(String::from_utf8_lossy(&handle));
    told
}

/// What is said where there is no function of a name.
pub(super) fn no_function() -> ApiFault {
    let sentence =
        "there is no function of this name: no job was submitted and no worker has registered for it";
    ApiFault(StatusCode::NOT_FOUND, sentence.to_owned())
}

/// What is known of a function, with what is counted of it.
pub(super) fn tell_function(desk: &Desk, row: &FunctionNumbers) -> Value {
    let mut told = json::numbers(row);
    told["state"] = standing(row, rates(desk, row)).0.into();
    if let Some(stats) = &row.stats {
        let (recent, window) = desk.recent(&row.function, stats);
        told["totals"] = json::stats(stats);
        told["wait_seconds"] = json::times(&recent.wait);
        told["run_seconds"] = json::times(&recent.run);
        told["window_seconds"] = window.as_secs().into();
        let rate = |count: u64| (count as f64 / window.as_secs_f64().max(1.0) * 1000.0).round() / 1000.0;
        told["per_second"] = json!({
            "accepted": rate(recent.accepted),
            "completed": rate(recent.completed),
            "failed": rate(recent.failed + recent.exceptions),
            "requeued": rate(recent.requeued),
        });
    }
    told
}

/// What is said where there is no job of a handle.
pub(super) fn no_job() -> ApiFault {
    let sentence = "there is no such job: it has ended, or never was";
    ApiFault(StatusCode::NOT_FOUND, sentence.to_owned())
}
