//! An answer before it is sent: status, kind, body, and what else stands in its head; what stands in the head of every one; and errors, as
//! a sentence in JSON.
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: Bytes,
    /// What this answer has in its head that others have not.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Kinds of bodies.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";

/// Nothing of anybody else is loaded or sent to, nothing is run that stands in a page, and nobody shows it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

impl HttpAnswer {
    pub(super) fn ok(kind: &'static str, body: impl Into<Bytes>) -> HttpAnswer {
        HttpAnswer::of(StatusCode::OK, kind, body)
    }

    pub(super) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> HttpAnswer {
        HttpAnswer { status, kind, body: body.into(), headers: Vec::new() }
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
    pub(super) fn elsewhere_to(path: &str) -> HttpAnswer {
        HttpAnswer::of(StatusCode::SEE_OTHER, TEXT, "").with(header::LOCATION, path)
    }

    /// What is wrong, and what to do, as in RFC 9457.
    pub(super) fn error(status: StatusCode, sentence: &str) -> HttpAnswer {
        let title = status.canonical_reason().unwrap_or("error");
        let body =
            json!({ "title": title, "status": status.as_u16(), "detail": sentence }).to_string() + "\n";
        HttpAnswer::of(status, "application/problem+json", body)
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
        put(header::CONTENT_TYPE, self.kind);
        put(header::CACHE_CONTROL, "no-store");
        put(header::CONTENT_SECURITY_POLICY, POLICY);
        put(header::REFERRER_POLICY, "no-referrer");
        put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        put(header::X_FRAME_OPTIONS, "DENY");
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            put(header::ALLOW, "GET, HEAD, POST");
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
