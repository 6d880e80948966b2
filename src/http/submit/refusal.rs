//! How somebody is told that his job is none, or that nobody knows whether it is one.
use super::super::answer::HttpAnswer;
use crate::protocol::Refusal;
use hyper::StatusCode;
use serde_json::json;

/// Why a job is none.
pub(super) fn refused(refusal: Refusal) -> HttpAnswer {
    let more = json!({ "code": refusal.code() });
    let (status, hint) = match refusal {
        Refusal::UniqueTooLarge => (StatusCode::BAD_REQUEST, "a unique has 64 bytes at the most"),
        Refusal::QueueFull => {
            (StatusCode::SERVICE_UNAVAILABLE, "wait until workers have taken some (maxqueue)")
        }
        Refusal::StoreFailed => {
            (StatusCode::SERVICE_UNAVAILABLE, "submit it again later; the log of the server tells more")
        }
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "submit it again later; `ringgear help limits` tells of the limits",
        ),
    };
    HttpAnswer::problem(status, refusal.text(), hint, more)
}

/// There was no answer: the job may be there all the same.
pub(super) fn unanswered() -> HttpAnswer {
    let hint = "submit it again with the same unique: if it is there, that joins it";
    let said = "there was no answer in time, and the job may have been accepted";
    HttpAnswer::problem(StatusCode::GATEWAY_TIMEOUT, said, hint, json!({}))
}
