//! `GET /api/v1/jobs/HANDLE/workload`: what somebody has submitted, as it is, all of it or a part, for those who may see payloads (role peek).
//! The bytes are the job's own, shared until they are sent, and count until then. Who has seen what stands in the audit list.
use super::answer::HttpAnswer;
use super::bodies::BodyFault;
use super::denial;
use super::desk::Desk;
use super::names::readable;
use super::roles::{HttpCaller, HttpRole};
use super::streams::AnswerBody;
use super::target::RequestTarget;
use crate::engine::report::JobPayload;
use hyper::StatusCode;
use hyper::header;

/// Bytes of one answer: all that a workload can have.
const LENGTH_MAX: usize = u32::MAX as usize;

/// What bytes of others are: nothing that a browser shows or runs.
const BYTES: &str = "application/octet-stream";

/// Sends the workload of a job, or the part of it that is asked for.
pub(super) async fn answer(
    desk: &Desk,
    handle: &[u8],
    target: &RequestTarget,
    caller: &HttpCaller,
) -> HttpAnswer {
    let wanted = target.takes(&["offset", "length"]);
    let wanted = wanted.and_then(|()| Ok((target.bytes("offset")?, target.number("length", LENGTH_MAX)?)));
    let (offset, length) = match wanted {
        Ok((offset, length)) => (offset.unwrap_or(0), length.unwrap_or(LENGTH_MAX)),
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    if !caller.roles.has(HttpRole::Peek) {
        return denial::of_role(caller, HttpRole::Peek);
    }
    if !desk.is_whole() {
        let said = "stored jobs are being read: ask again when /readyz says ok";
        return HttpAnswer::error(StatusCode::SERVICE_UNAVAILABLE, said);
    }
    let payload = {
        let _turn = desk.turn().await;
        desk.workload(handle, offset, length).await
    };
    let Some(payload) = payload else {
        let said = "there is no such job: it has ended, or never was, or the handle is another server's";
        return HttpAnswer::error(StatusCode::NOT_FOUND, said);
    };
    if !caller.may_with(HttpRole::Peek, &payload.function) {
        return denial::of_role(caller, HttpRole::Peek);
    }
    let whole = payload.whole;
    if offset > whole {
        let said = format!("the workload of this job has {whole} bytes: offset is {whole} at the most");
        return HttpAnswer::error(StatusCode::RANGE_NOT_SATISFIABLE, &said);
    }
    let mut held = desk.bodies.none();
    if !held.add(payload.part.len()) {
        return BodyFault::TooMany.answer();
    }
    note(desk, caller, handle, offset, &payload);
    HttpAnswer::stream(BYTES, AnswerBody::shared(payload.part, Box::new(held)))
        .with(header::CONTENT_DISPOSITION, "attachment; filename=\"workload\"")
}

/// Somebody sees a part of the workload of a job.
pub(super) fn note(desk: &Desk, caller: &HttpCaller, handle: &[u8], offset: u64, seen: &JobPayload) {
    let what = format!("see the workload of {} of {}", readable(handle), readable(&seen.function));
    let (part, whole) = (seen.part.len() as u64, seen.whole);
    let outcome = match part == whole {
        true => format!("all of {whole} bytes"),
        false => format!("{part} of {whole} bytes, from {offset} on"),
    };
    desk.audit.record_look(caller, &what, &outcome);
}
