//! An answer before it is sent: status, kind, body, and what else stands in its head; what stands in the head of every one; and errors, as
//! a sentence in JSON.
use super::streams::AnswerBody;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// What is sent.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: AnswerBody,
    /// What this answer has in its head that others have not.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Kinds of bodies.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const EVENTS: &str = "text/event-stream";
pub(super) const PROBLEM: &str = "application/problem+json";

/// Nothing of anybody else is loaded or sent to, nothing is run that stands in a page, and nobody shows it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

impl HttpAnswer {
    pub(super) fn ok(kind: &'static str, body: impl Into<Bytes>) -> HttpAnswer {
        HttpAnswer::of(StatusCode::OK, kind, body)
    }

    pub(super) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> HttpAnswer {
        HttpAnswer { status, kind, body: AnswerBody::Whole(body.into()), headers: Vec::new() }
    }

    /// Events, as they come.
    pub(super) fn stream(kind: &'static str, body: AnswerBody) -> HttpAnswer {
        HttpAnswer { status: StatusCode::OK, kind, body, headers: Vec::new() }
    }

    /// The same, with one more line in its head.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> HttpAnswer {
        // What is said there is ours, and text.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sends a browser elsewhere on this server.
    pub(super) fn elsewhere(path: &str) -> HttpAnswer {
        HttpAnswer::of(StatusCode::SEE_OTHER, TEXT, "").with(header::LOCATION, path)
    }

    /// What is wrong, and what to do, as in RFC 9457.
    pub(super) fn error(status: StatusCode, sentence: &str) -> HttpAnswer {
        let title = status.canonical_reason().unwrap_or("error");
        let body =
            json!({ "title": title, "status": status.as_u16(), "detail": sentence }).to_string() + "\n";
        HttpAnswer::of(status, PROBLEM, body)
    }

    /// What is wrong, what to do, and what else programs may want to know: an object.
    pub(super) fn problem(status: StatusCode, detail: &str, hint: &str, more: Value) -> HttpAnswer {
        let title = status.canonical_reason().unwrap_or("error");
        let mut body = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail, "hint": hint,
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        HttpAnswer::of(status, PROBLEM, body.to_string() + "\n")
    }

    pub(super) fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
        put(header::CONTENT_TYPE, self.kind);
        put(header::CACHE_CONTROL, "no-store");
        put(header::CONTENT_SECURITY_POLICY, POLICY);
        put(header::REFERRER_POLICY, "no-referrer");
        put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        put(header::X_FRAME_OPTIONS, "DENY");
        if self.status == StatusCode::UNAUTHORIZED {
            // A token would help.
            put(header::WWW_AUTHENTICATE, "Bearer realm=\"ringgear\"");
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            put(header::RETRY_AFTER, "1");
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// Whether the peer would rather have this kind than any other: it names it.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let named = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|each| {
        let mut parts = each.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(kind)) && !parts.any(refused)
    })
}
