//! Who answers what, and who is answered at all. GET and HEAD change nothing; orders are POSTs, from those who may give them.
use super::answer::{CSS, HTML, HttpAnswer, JSON, TEXT, accepts};
use super::bodies::{self, FORM, WholeBody};
use super::bounds::{BODY_BYTES, REQUEST_TIME, SUBMIT_FORM_BYTES, UPLOAD_BESIDE};
use super::desk::Desk;
use super::exposition::Form;
use super::guard::{Arrival, Visitor, foreign};
use super::pages::{self, PageRights, SentForm};
use super::roles::{HttpCaller, HttpRole, Shown};
use super::streams::AnswerBody;
use super::target::RequestTarget;
use super::{api, denial, events, login, methods, metrics, multipart, submit, workload};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::rc::Rc;
use tokio::time::timeout;

/// Answers a request.
pub(super) async fn answer(
    desk: &Rc<Desk>,
    request: Request<Incoming>,
    visitor: &Visitor,
) -> Response<AnswerBody> {
    desk.counts.requests.set(desk.counts.requests.get() + 1);
    let answer = match refusal(desk, &request, &visitor.arrival) {
        Some(refusal) => refusal,
        None => find(desk, request, visitor).await,
    };
    answer.into_response()
}

/// Why a request is not even looked at.
fn refusal(desk: &Desk, request: &Request<Incoming>, arrival: &Arrival) -> Option<HttpAnswer> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() || (host.is_none() && request.version() >= Version::HTTP_11) {
        return Some(HttpAnswer::error(StatusCode::BAD_REQUEST, "a request has one Host"));
    }
    let fine = |host: &str| desk.guard.serves(host, arrival);
    let named = host.is_none_or(|host| host.to_str().is_ok_and(fine));
    let absolute = request.uri().authority().is_none_or(|authority| fine(authority.as_str()));
    let said = "this Host is no name of this server: ask localhost or the address that it listens on, or tell the server its name with \
                --control-name";
    (!(named && absolute)).then(|| HttpAnswer::error(StatusCode::MISDIRECTED_REQUEST, said))
}

async fn find(desk: &Rc<Desk>, request: Request<Incoming>, visitor: &Visitor) -> HttpAnswer {
    if request.method() == Method::CONNECT {
        return not_so(&[]);
    }
    let target = match RequestTarget::of(request.uri()) {
        Ok(target) => target,
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(answer) = open(desk, &path, &target).filter(|_| looks) {
        return answer;
    }
    let caller = match desk.guard.identify(&visitor.arrival, request.headers()) {
        Ok(caller) => caller,
        Err(stranger) => return denial::of_stranger(stranger),
    };
    if let Some(said) = foreign(request.method(), request.headers(), caller.shown) {
        return HttpAnswer::error(StatusCode::FORBIDDEN, said);
    }
    if looks {
        // Who may only submit has a page for that.
        let submits = path == [b"submit"] && caller.roles.has(HttpRole::Submit);
        if !submits && !caller.may(HttpRole::Read) {
            return unread(desk, &caller, request.headers());
        }
        if let [b"api", b"v1", b"events"] = &path[..] {
            return events::answer(desk, &target, visitor);
        }
        return match timeout(REQUEST_TIME, see(desk, &path, &target, &request, &caller)).await {
            Ok(answer) => answer,
            Err(_) => too_slow(),
        };
    }
    act(desk, &target, request, &caller, visitor).await
}

/// What is there for everybody, whoever he is.
fn open(desk: &Desk, path: &[&[u8]], target: &RequestTarget) -> Option<HttpAnswer> {
    let answer = match path {
        [b"livez"] => HttpAnswer::ok(TEXT, "ok\n"),
        [b"readyz"] => match desk.state().obstacle() {
            None => HttpAnswer::ok(TEXT, "ok\n"),
            Some(why) => HttpAnswer::of(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        [b"login"] => HttpAnswer::ok(HTML, login::page(desk, None)),
        [b"style.css"] => return Some(HttpAnswer::ok(CSS, pages::STYLE)),
        [b"assets", name] => pages::asset(name)?,
        _ => return None,
    };
    Some(plain(target, || answer))
}

/// What is told to those who may read.
async fn see(
    desk: &Desk,
    path: &[&[u8]],
    target: &RequestTarget,
    request: &Request<Incoming>,
    caller: &HttpCaller,
) -> HttpAnswer {
    match path {
        [b"metrics"] => match target.takes(&[]) {
            Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
            Ok(()) => {
                let open = accepts(request.headers(), "application/openmetrics-text");
                metrics::answer(desk, if open { Form::OpenMetrics } else { Form::Text }).await
            }
        },
        [b"api", b"v1", b"jobs", handle, b"workload"] => workload::answer(desk, handle, target, caller).await,
        path if methods::is_ordered_only(path) => not_so(path),
        [b"api", b"v1", rest @ ..] => api::answer(desk, rest, target).await,
        _ => pages::see(desk, caller, rights(desk, caller), path, target).await.unwrap_or_else(nothing),
    }
}

/// What changes something. Each asks itself whether the caller may.
async fn act(
    desk: &Desk,
    target: &RequestTarget,
    request: Request<Incoming>,
    caller: &HttpCaller,
    visitor: &Visitor,
) -> HttpAnswer {
    let path: Vec<&[u8]> = target.path.iter().map(|segment| &segment[..]).collect();
    match (request.method(), &path[..]) {
        (&Method::POST, [b"login"]) => login::enter(desk, request, &visitor.arrival).await,
        (&Method::POST, [b"logout"]) => login::leave(desk, request.headers(), caller, &visitor.arrival),
        (&Method::POST, [b"api", b"v1", b"jobs"]) => {
            submit::answer(desk, target, request, caller, visitor).await
        }
        (&Method::POST, path) if methods::is_told_only(path) => not_so(path),
        (&Method::POST, [b"api", b"v1", rest @ ..]) => order(desk, rest, target, request, caller).await,
        (&Method::POST, [b"order", _]) => form(desk, target, request, caller).await,
        (&Method::POST, [b"submit"]) => submit_form(desk, target, request, caller, visitor).await,
        (_, path) => not_so(path),
    }
}

/// Somebody orders something of the API.
async fn order(
    desk: &Desk,
    path: &[&[u8]],
    target: &RequestTarget,
    request: Request<Incoming>,
    caller: &HttpCaller,
) -> HttpAnswer {
    if !caller.roles.has(HttpRole::Operate) {
        return denial::of_role(caller, HttpRole::Operate);
    }
    if !bodies::is_kind(request.headers(), JSON) {
        let said = "the body of an order is application/json: say so in Content-Type";
        return HttpAnswer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, said);
    }
    let body = match bodies::collect(&desk.bodies, request.into_body(), BODY_BYTES).await {
        Ok(body) => body,
        Err(fault) => return fault.answer(),
    };
    let done = timeout(REQUEST_TIME, api::order(desk, caller, path, target, &body.bytes)).await;
    done.unwrap_or_else(|_| too_slow())
}

/// Somebody orders something with the form of a page. What he may not is refused as a page.
async fn form(
    desk: &Desk,
    target: &RequestTarget,
    request: Request<Incoming>,
    caller: &HttpCaller,
) -> HttpAnswer {
    let body = match form_body(desk, request, BODY_BYTES).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let done =
        timeout(REQUEST_TIME, pages::act(desk, caller, rights(desk, caller), target, &body.bytes)).await;
    done.unwrap_or_else(|_| too_slow())
}

/// Somebody submits a job with the form of a page.
async fn submit_form(
    desk: &Desk,
    target: &RequestTarget,
    request: Request<Incoming>,
    caller: &HttpCaller,
    visitor: &Visitor,
) -> HttpAnswer {
    if let Err(sentence) = target.takes(&[]) {
        return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence);
    }
    if !caller.roles.has(HttpRole::Submit) {
        return denial::of_role(caller, HttpRole::Submit);
    }
    let boundary = match multipart::boundary(request.headers()).transpose() {
        Ok(boundary) => boundary,
        Err(sentence) => return HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    };
    // A file may be as large as any workload.
    let body = match boundary {
        Some(_) => {
            let most = desk.setup.frontend.packet_max as usize + UPLOAD_BESIDE;
            bodies::collect(&desk.bodies, request.into_body(), most).await.map_err(|fault| fault.answer())
        }
        None => form_body(desk, request, SUBMIT_FORM_BYTES).await,
    };
    let body = match body {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let (rights, sent) = (rights(desk, caller), SentForm { bytes: body.bytes.clone(), boundary });
    let done = timeout(REQUEST_TIME, pages::submit(desk, caller, rights, &sent, visitor)).await;
    done.unwrap_or_else(|_| too_slow())
}

/// The body of a form of so many bytes at the most.
async fn form_body(desk: &Desk, request: Request<Incoming>, most: usize) -> Result<WholeBody, HttpAnswer> {
    if !bodies::is_kind(request.headers(), FORM) {
        let said = "outside of /api/v1 only forms of pages are taken; see /api/v1/openapi.json";
        return Err(HttpAnswer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, said));
    }
    bodies::collect(&desk.bodies, request.into_body(), most).await.map_err(|fault| fault.answer())
}

/// What somebody may do, for pages.
fn rights(desk: &Desk, caller: &HttpCaller) -> PageRights {
    let known = caller.shown == Shown::Cookie;
    PageRights {
        read: caller.may(HttpRole::Read),
        submit: caller.roles.has(HttpRole::Submit),
        operate: caller.roles.has(HttpRole::Operate),
        known,
        logs_in: desk.guard.has_tokens() && !known,
    }
}

/// A method that means nothing there.
fn not_so(path: &[&[u8]]) -> HttpAnswer {
    let said = "nothing here is asked for by this method: GET looks, and /api/v1/openapi.json says what else there is";
    HttpAnswer::error(StatusCode::METHOD_NOT_ALLOWED, said).with(header::ALLOW, methods::allowed(path))
}

fn nothing() -> HttpAnswer {
    HttpAnswer::error(
        StatusCode::NOT_FOUND,
        "there is nothing here: / is a page, /metrics is for Prometheus, /api/v1/openapi.json says what else there is",
    )
}

fn too_slow() -> HttpAnswer {
    let seconds = REQUEST_TIME.as_secs();
    HttpAnswer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!("there was no answer within {seconds} s: the server is busy; ask again"),
    )
}

/// Whoever may not even read: a browser is sent to where it can log in.
fn unread(desk: &Desk, caller: &HttpCaller, headers: &HeaderMap) -> HttpAnswer {
    if accepts(headers, "text/html") && desk.guard.has_tokens() {
        return HttpAnswer::elsewhere(if caller.roles.has(HttpRole::Submit) { "/submit" } else { "/login" });
    }
    denial::of_role(caller, HttpRole::Read)
}

/// An answer that no query changes.
fn plain(target: &RequestTarget, answer: impl FnOnce() -> HttpAnswer) -> HttpAnswer {
    match target.takes(&[]) {
        Ok(()) => answer(),
        Err(sentence) => HttpAnswer::error(StatusCode::BAD_REQUEST, &sentence),
    }
}
