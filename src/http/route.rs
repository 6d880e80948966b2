//! Who answers what, and who is answered at all. Nothing that is asked here changes anything.
use super::answer::{CSS, HTML, HttpAnswer, TEXT, accepts};
use super::bounds::REQUEST_TIME;
use super::desk::Desk;
use super::target::RequestTarget;
use super::{api, metrics, page};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, Version, header};
use tokio::time::timeout;

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
    let fine = |host: &str| local || desk.setup.hosts.include(host);
    let named = host.is_none_or(|host| host.to_str().is_ok_and(fine));
    let absolute = request.uri().authority().is_none_or(|authority| fine(authority.as_str()));
    let said = "this Host is no name of this server: ask localhost or the address that it listens on";
    (!(named && absolute)).then(|| HttpAnswer::error(StatusCode::MISDIRECTED_REQUEST, said))
}

async fn find(desk: &Desk, request: &Request<Incoming>) -> HttpAnswer {
    let target = match RequestTarget::of(request.uri()) {
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
fn plain(target: &RequestTarget, answer: impl FnOnce() -> HttpAnswer) -> HttpAnswer {
    match target.takes(&[]) {
        Ok(()) => answer(),
        Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    }
}
