//! gearmand's HTTP (`--protocol http`): a job for each request, on a port of its own, for whoever reaches it, as the port for Gearman is.
//! What a path and a few lines of the head mean, and how it is answered, is gearmand's (1.1.20); where gearmand lost results, ran jobs that
//! nobody asked for, or closed without a word, this does better. Nothing else is there on this port.
use super::bodies::{self, BodyFault};
use super::desk::{Desk, ServerState};
use super::guard::Visitor;
use super::hangups::first;
use super::home::{HttpClient, JobNews};
use super::streams::AnswerBody;
use crate::engine::{JobId, Work};
use crate::protocol::{ARGUMENT_MAX, Priority, Refusal, Submit, UNIQUE_MAX};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::io;

/// What a request says of a job beside its function and workload.
#[derive(Debug, PartialEq, Eq)]
struct GatewayHead {
    unique: Vec<u8>,
    background: bool,
    priority: Priority,
}

impl GatewayHead {
    /// Values that are none of these mean nothing.
    fn of(headers: &HeaderMap) -> GatewayHead {
        let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        let unique = match value("x-gearman-unique") {
            // The workload is the unique, as with gearmand: what is submitted twice meanwhile is one job.
            b"" => b"-".to_vec(),
            unique => unique.to_vec(),
        };
        let background = value("x-gearman-background").eq_ignore_ascii_case(b"true");
        let priority = match value("x-gearman-priority") {
            word if word.eq_ignore_ascii_case(b"high") => Priority::High,
            word if word.eq_ignore_ascii_case(b"low") => Priority::Low,
            _ => Priority::Normal,
        };
        GatewayHead { unique, background, priority }
    }
}

/// Answers a request. An error is nobody there to be answered.
pub(super) async fn answer(
    desk: &Desk,
    request: Request<Incoming>,
    visitor: &Visitor,
) -> io::Result<Response<AnswerBody>> {
    desk.counts.requests.set(desk.counts.requests.get() + 1);
    let target = request.uri().to_string();
    let function = target.trim_start_matches('/').to_owned();
    match *request.method() {
        Method::GET | Method::POST | Method::PUT => {}
        // Nothing is done for who asks for nothing.
        Method::HEAD => return Ok(told(desk, StatusCode::OK, &[], Bytes::new())),
        _ => {
            let said = "only GET, POST and PUT submit a job, and HEAD asks whether somebody is there\n";
            let mut answer = told(desk, StatusCode::METHOD_NOT_ALLOWED, &[], said.into());
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT"));
            return Ok(answer);
        }
    }
    if function.is_empty() {
        let mut answer = told(desk, StatusCode::NOT_FOUND, &[], Bytes::new());
        answer.extensions_mut().insert(ReasonPhrase::from_static(b"NOT_FOUND"));
        return Ok(answer);
    }
    if function.len() >= ARGUMENT_MAX {
        let said = format!("the name of a function has at most {} bytes\n", ARGUMENT_MAX - 1);
        return Ok(told(desk, StatusCode::URI_TOO_LONG, &[], said.into()));
    }
    if desk.state() != ServerState::Serving {
        let said = desk.state().obstacle().unwrap_or_default();
        return Ok(told(desk, StatusCode::SERVICE_UNAVAILABLE, &[], format!("{said}\n").into()));
    }
    let head = GatewayHead::of(request.headers());
    if head.unique.len() > UNIQUE_MAX {
        return Ok(refused(desk, Refusal::UniqueTooLarge));
    }
    let most =
        (desk.setup.frontend.packet_max as usize).saturating_sub(function.len() + head.unique.len() + 2);
    let looks = request.method() == Method::GET;
    let body = match bodies::collect(&desk.bodies, request.into_body(), most).await {
        Ok(body) => body,
        Err(BodyFault::Broken) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(fault) => {
            let (status, said) = fault.told();
            return Ok(told(desk, status, &[], format!("{said}\n").into()));
        }
    };
    // Whatever stands behind the head of a GET is no workload.
    let workload = if looks { &[][..] } else { &body.bytes[..] };
    let client = desk.observer.client(false);
    let GatewayHead { unique, background, priority } = &head;
    let submit = Submit {
        function: function.as_bytes(),
        unique,
        workload,
        priority: *priority,
        background: *background,
        epoch: None,
        reducer: None,
    };
    if !client.submit(submit).await {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    drop(body);
    match first(follow(desk, &client, head.background), visitor.end.gone()).await {
        Ok(answer) => answer,
        Err(()) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Waits for what is to be told: that the job is there, or its result.
async fn follow(desk: &Desk, client: &HttpClient, background: bool) -> io::Result<Response<AnswerBody>> {
    let job = match client.next().await {
        Some(JobNews::Created(job)) => job,
        Some(JobNews::Refused(refusal)) => return Ok(refused(desk, refusal)),
        _ => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if background {
        return Ok(of_job(desk, job, "JOB_CREATED", Bytes::new()));
    }
    let mut data = BytesMut::new();
    let mut kept = Vec::new();
    loop {
        let Some(JobNews::Work(work, held)) = client.next().await else { break };
        kept.push(held);
        match work {
            Work::Data(bytes) => data.extend_from_slice(&bytes),
            Work::Warning(_) | Work::Status(_) => {}
            Work::Complete(bytes) => {
                let all = if data.is_empty() { bytes } else { [&data[..], &bytes[..]].concat().into() };
                return Ok(of_job(desk, job, "WORK_COMPLETE", all));
            }
            Work::Fail => return Ok(of_job(desk, job, "WORK_FAIL", Bytes::new())),
            Work::Exception(bytes) => return Ok(of_job(desk, job, "WORK_EXCEPTION", bytes)),
        }
    }
    if client.is_overrun() {
        let said = "the result is larger than can be kept for answers\n";
        return Ok(told(desk, StatusCode::BAD_GATEWAY, &[], said.into()));
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

const HANDLE: HeaderName = HeaderName::from_static("x-gearman-job-handle");
const COMMAND: HeaderName = HeaderName::from_static("x-gearman-command");

fn of_job(desk: &Desk, job: JobId, command: &str, body: Bytes) -> Response<AnswerBody> {
    let handle = desk.setup.frontend.handle_prefix.handle(job);
    told(desk, StatusCode::OK, &[(HANDLE, &handle[..]), (COMMAND, command.as_bytes())], body)
}

/// The code stands in the handle's place.
fn refused(desk: &Desk, refusal: Refusal) -> Response<AnswerBody> {
    let lines = [(HANDLE, refusal.code().as_bytes()), (COMMAND, b"ERROR".as_slice())];
    told(desk, StatusCode::OK, &lines, Bytes::new())
}

/// An answer, its head in gearmand's order.
fn told(desk: &Desk, status: StatusCode, lines: &[(HeaderName, &[u8])], body: Bytes) -> Response<AnswerBody> {
    let length = body.len();
    let mut answer = Response::new(AnswerBody::Whole(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in lines {
        // A handle may have a prefix of any bytes; those that cannot stand there are left out.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::CONTENT_LENGTH, length.into());
    let server = format!("Gearman/{}", desk.setup.frontend.version);
    if let Ok(server) = HeaderValue::from_str(&server) {
        headers.insert(header::SERVER, server);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certain_values_mean_something() {
        let of = |lines: &[(&'static str, &'static str)]| {
            GatewayHead::of(
                &lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
            )
        };
        let none = GatewayHead { unique: b"-".to_vec(), background: false, priority: Priority::Normal };
        assert_eq!(of(&[]), none);
        assert_eq!(
            of(&[("x-gearman-background", "1"), ("x-gearman-priority", "urgent"), ("x-gearman-unique", "")]),
            none
        );
        let all =
            [("x-gearman-background", "TRUE"), ("x-gearman-priority", "Low"), ("x-gearman-unique", "u")];
        let said = GatewayHead { unique: b"u".to_vec(), background: true, priority: Priority::Low };
        assert_eq!(of(&all), said);
    }
}
