//! `GET /api/v1/jobs/HANDLE/workload`: what somebody has submitted, as it is, for those who may see payloads (role peek). The bytes are the
//! job's own, shared until they are sent, and count until then.
use super::answer::HttpAnswer;
use super::bodies::BodyFault;
use super::denial;
use super::desk::Desk;
use super::roles::{HttpCaller, HttpRole};
use super::streams::AnswerBody;
use super::target::RequestTarget;
use hyper::StatusCode;
use hyper::header;

/// What bytes of others are: nothing that a browser shows or runs.
const BYTES: &str = "application/octet-stream";

/// Sends the workload of a job, all of it.
pub(super) async fn answer(
    desk: &Desk,
    handle: &[u8],
    target: &RequestTarget,
    caller: &HttpCaller,
) -> HttpAnswer {
    if let Err(sentence) = target.takes(&[]) {
        return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence);
    }
    if !caller.roles.has(HttpRole::Peek) {
        return denial::of_role(caller, HttpRole::Peek);
    }
    if !desk.is_whole() {
        let said = "stored jobs are being read: ask again when /readyz says ok";
        return HttpAnswer::error(StatusCode::SERVICE_UNAVAILABLE, said);
    }
    let payload = {
        let _turn = desk.turn().await;
        desk.workload(handle, usize::MAX).await
    };
    let Some(payload) = payload else {
        let said = "there is no such job: it has ended, or never was, or the handle is another server's";
        return HttpAnswer::error(StatusCode::NOT_FOUND, said);
    };
    if !caller.may_with(HttpRole::Peek, &payload.function) {
        return denial::of_role(caller, HttpRole::Peek);
    }
    let mut held = desk.bodies.none();
    if !held.add(payload.beginning.len()) {
        return BodyFault::TooMany.answer();
    }
    HttpAnswer::stream(BYTES, AnswerBody::shared(payload.beginning, Box::new(held)))
        .with(header::CONTENT_DISPOSITION, "attachment; filename=\"workload\"")
}
