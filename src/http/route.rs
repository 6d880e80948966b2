//! Who answers what, and who is answered at all. GET and HEAD change nothing; orders are POSTs, from those who may give them.
use super::answer::{CSS, HttpAnswer, JSON, TEXT, accepts};
use super::bounds::{BODY_BYTES, REQUEST_TIME};
use super::caller::{Caller, Right, is_forged};
use super::desk::Desk;
use super::exposition::Form;
use super::pages::{self, PageRights};
use super::target::RequestTarget;
use super::{api, metrics};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, Version, header};
use tokio::time::timeout;

/// Answers a request.
pub(super) async fn answer(
    desk: &Desk,
    request: Request<Incoming>,
    caller: &Caller,
) -> Response<Full<Bytes>> {
    desk.counts.requests.set(desk.counts.requests.get() + 1);
    let answer = match refusal(desk, &request, caller) {
        Some(refusal) => refusal,
        None => match timeout(REQUEST_TIME, respond(desk, request, caller)).await {
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
fn refusal(desk: &Desk, request: &Request<Incoming>, caller: &Caller) -> Option<HttpAnswer> {
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
        let said = "GET and HEAD look, POST below /api/v1 orders; nothing else is answered here";
        return Some(HttpAnswer::error(StatusCode::METHOD_NOT_ALLOWED, said));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() || (host.is_none() && request.version() >= Version::HTTP_11) {
        return Some(HttpAnswer::error(StatusCode::BAD_REQUEST, "a request has one Host"));
    }
    let fine = |host: &str| caller.is_local() || desk.setup.hosts.include(host);
    let named = host.is_none_or(|host| host.to_str().is_ok_and(fine));
    let absolute = request.uri().authority().is_none_or(|authority| fine(authority.as_str()));
    let said = "this Host is no name of this server: ask localhost or the address that it listens on";
    (!(named && absolute)).then(|| HttpAnswer::error(StatusCode::MISDIRECTED_REQUEST, said))
}

async fn respond(desk: &Desk, request: Request<Incoming>, caller: &Caller) -> HttpAnswer {
    match *request.method() {
        Method::POST => order(desk, request, caller).await,
        _ if !caller.may(Right::Read, desk.own_user) => {
            HttpAnswer::error(StatusCode::FORBIDDEN, "who asks may not look")
        }
        _ => find(desk, &request, caller).await,
    }
}

/// Somebody wants something changed.
async fn order(desk: &Desk, request: Request<Incoming>, caller: &Caller) -> HttpAnswer {
    let target = match RequestTarget::of(request.uri()) {
        Ok(target) => target,
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    if let Some(said) = is_forged(request.headers()) {
        return HttpAnswer::error(StatusCode::FORBIDDEN, said);
    }
    let [b"api", b"v1", rest @ ..] = &path[..] else {
        return form(desk, request, &target, caller).await;
    };
    if !caller.may(Right::Operate, desk.own_user) {
        let said =
            "orders are taken over a unix socket (--control unix:PATH), from root and the user of the server";
        return HttpAnswer::error(StatusCode::FORBIDDEN, said);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON)) {
        let said = "the body of an order is application/json: say so in Content-Type";
        return HttpAnswer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, said);
    }
    let body = match Limited::new(request.into_body(), BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let said = format!("the body could not be read, or has more than {BODY_BYTES} bytes");
            return HttpAnswer::error(StatusCode::PAYLOAD_TOO_LARGE, &said);
        }
    };
    api::order(desk, caller, rest, &target, &body).await
}

/// What somebody may do, for pages.
fn rights(desk: &Desk, caller: &Caller) -> PageRights {
    PageRights { operate: caller.may(Right::Operate, desk.own_user), ..PageRights::default() }
}

/// A form of a page.
async fn form(
    desk: &Desk,
    request: Request<Incoming>,
    target: &RequestTarget,
    caller: &Caller,
) -> HttpAnswer {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
        let said = "outside of /api/v1 only forms of pages are taken; see /api/v1/openapi.json";
        return HttpAnswer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, said);
    }
    match Limited::new(request.into_body(), BODY_BYTES).collect().await {
        Ok(body) => pages::act(desk, caller, rights(desk, caller), target, &body.to_bytes()).await,
        Err(_) => {
            let said = format!("the form could not be read, or has more than {BODY_BYTES} bytes");
            HttpAnswer::error(StatusCode::PAYLOAD_TOO_LARGE, &said)
        }
    }
}

/// What a form is sent as.
const FORM: &str = "application/x-www-form-urlencoded";

async fn find(desk: &Desk, request: &Request<Incoming>, caller: &Caller) -> HttpAnswer {
    let target = match RequestTarget::of(request.uri()) {
        Ok(target) => target,
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    match &path[..] {
        [b"livez"] => plain(&target, || HttpAnswer::ok(TEXT, "ok\n")),
        [b"readyz"] => plain(&target, || match desk.state().obstacle() {
            None => HttpAnswer::ok(TEXT, "ok\n"),
            Some(why) => HttpAnswer::of(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        }),
        [b"metrics"] => match target.takes(&[]) {
            Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
            Ok(()) => {
                let open = accepts(request.headers(), "application/openmetrics-text");
                metrics::answer(desk, if open { Form::OpenMetrics } else { Form::Text }).await
            }
        },
        [b"style.css"] => HttpAnswer::ok(CSS, pages::STYLE),
        [b"api", b"v1", rest @ ..] => api::answer(desk, rest, &target).await,
        _ => pages::see(desk, rights(desk, caller), &path, &target).await.unwrap_or_else(nothing),
    }
}

fn nothing() -> HttpAnswer {
    HttpAnswer::error(
        StatusCode::NOT_FOUND,
        "there is nothing here: / is a page, /metrics is for Prometheus, /api/v1/openapi.json says what else there is",
    )
}

/// An answer that no query changes.
fn plain(target: &RequestTarget, answer: impl FnOnce() -> HttpAnswer) -> HttpAnswer {
    match target.takes(&[]) {
        Ok(()) => answer(),
        Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    }
}
