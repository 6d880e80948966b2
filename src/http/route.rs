//! Who answers what, and who is answered at all. Nothing that is asked here changes anything.
use super::answer::{CSS, HTML, HttpAnswer, TEXT, accepts};
use super::bounds::REQUEST_TIME;
use super::home::Observer;
use super::hosts::Hosts;
use super::overview::LatestOverview;
use super::serve::Counts;
use super::target::Target;
use super::{api, metrics, page};
use crate::frontend::SharedPort;
use crate::mesh::shared::{ServerPhase, Shared};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, Version, header};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// What answers are made of.
pub(super) struct Desk {
    pub(super) observer: Rc<Observer>,
    pub(super) shared: Arc<Shared>,
    pub(super) frontend: SharedPort,
    pub(super) hosts: Hosts,
    /// Whether jobs are read from a store at the start.
    pub(super) restores: bool,
    pub(super) function_stats: usize,
    pub(super) shards: usize,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    /// Turns to ask the shards.
    pub(super) surveys: Semaphore,
    pub(super) overview: Mutex<LatestOverview>,
    pub(super) counts: Counts,
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    Restoring,
    Serving,
    Draining,
}

impl ServerState {
    pub(super) const ALL: [ServerState; 3] =
        [ServerState::Restoring, ServerState::Serving, ServerState::Draining];

    pub(super) fn word(self) -> &'static str {
        match self {
            ServerState::Restoring => "restoring",
            ServerState::Serving => "serving",
            ServerState::Draining => "draining",
        }
    }

    /// Why it is not ready, a sentence.
    pub(super) fn obstacle(self) -> Option<&'static str> {
        match self {
            ServerState::Restoring => Some("restoring: stored jobs are being read, and requests wait"),
            ServerState::Draining => {
                Some("draining: no more connections are accepted, and the server ends when no jobs are left")
            }
            ServerState::Serving => None,
        }
    }
}

impl Desk {
    pub(super) fn state(&self) -> ServerState {
        match self.shared.phase() {
            ServerPhase::Serving if self.restores && !self.shared.all_restored() => ServerState::Restoring,
            ServerPhase::Serving => ServerState::Serving,
            ServerPhase::Draining | ServerPhase::Stopping => ServerState::Draining,
        }
    }

    /// Whether shards can be asked: all jobs are there. What is not whole is not told.
    pub(super) fn is_whole(&self) -> bool {
        !self.restores || self.shared.all_restored()
    }

    /// Waits for the turn to ask the shards.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.surveys.acquire().await.ok()
    }
}

/// Answers a request. `local`: it came by a unix socket.
pub(super) async fn answer(desk: &Desk, request: Request<Incoming>, local: bool) -> Response<Full<Bytes>> {
    desk.counts.requests.set(desk.counts.requests.get() + 1);
    let answer = match refusal(desk, &request, local) {
        Some(refusal) => refusal,
        None => match timeout(REQUEST_TIME, find(desk, &request)).await {
            Ok(answer) => answer,
            Err(_) => HttpAnswer::error(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!(
                    "there was no answer within {} s: the server is busy; ask again",
                    REQUEST_TIME.as_secs()
                ),
            ),
        },
    };
    answer.into_response()
}

/// Why a request is not even looked at.
fn refusal(desk: &Desk, request: &Request<Incoming>, local: bool) -> Option<HttpAnswer> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let said = "only GET and HEAD are answered here: nothing can be changed over HTTP";
        return Some(HttpAnswer::error(StatusCode::METHOD_NOT_ALLOWED, said));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() || (host.is_none() && request.version() >= Version::HTTP_11) {
        return Some(HttpAnswer::error(StatusCode::BAD_REQUEST, "a request has one Host"));
    }
    let fine = |host: &str| local || desk.hosts.include(host);
    let named = host.is_none_or(|host| host.to_str().is_ok_and(fine));
    let absolute = request.uri().authority().is_none_or(|authority| fine(authority.as_str()));
    let said = "this Host is no name of this server: ask localhost or the address that it listens on";
    (!(named && absolute)).then(|| HttpAnswer::error(StatusCode::MISDIRECTED_REQUEST, said))
}

async fn find(desk: &Desk, request: &Request<Incoming>) -> HttpAnswer {
    let target = match Target::of(request.uri()) {
        Ok(target) => target,
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    match &path[..] {
        [b"livez"] => plain(&target, || HttpAnswer::ok(TEXT, "ok\n")),
        [b"readyz"] => plain(&target, || match desk.state().obstacle() {
            None => HttpAnswer::ok(TEXT, "ok\n"),
            Some(why) => HttpAnswer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: TEXT,
                body: format!("{why}\n").into(),
            },
        }),
        [b"metrics"] => match target.takes(&[]) {
            Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
            Ok(()) => {
                let open = accepts(request.headers(), "application/openmetrics-text");
                metrics::answer(desk, if open { metrics::Form::OpenMetrics } else { metrics::Form::Text })
                    .await
            }
        },
        [] => match target.takes(&[]) {
            Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
            Ok(()) => HttpAnswer::ok(HTML, page::write(desk).await),
        },
        [b"style.css"] => HttpAnswer::ok(CSS, page::STYLE),
        [b"api", b"v1", rest @ ..] => api::answer(desk, rest, &target).await,
        _ => HttpAnswer::error(
            StatusCode::NOT_FOUND,
            "there is nothing here: / is a page, /metrics is for Prometheus, /api/v1/openapi.json says what else there is",
        ),
    }
}

/// An answer that no query changes.
fn plain(target: &Target, answer: impl FnOnce() -> HttpAnswer) -> HttpAnswer {
    match target.takes(&[]) {
        Ok(()) => answer(),
        Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    }
}
