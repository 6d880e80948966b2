//! Bodies of requests, as they come: each within a bound, all together within another, and within a time. What they mean is said by who
//! asks for them.
use super::answer::HttpAnswer;
use super::bounds::{BODIES_BYTES, BODY_PAUSE, BODY_TIME};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap};
use std::cell::Cell;
use std::rc::Rc;
use tokio::time::{Instant, timeout, timeout_at};

/// What the form of a page is sent as.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Bytes of bodies, and of results for answers, that are held just now.
#[derive(Clone, Debug)]
pub(super) struct TransferBytes {
    held: Rc<Cell<usize>>,
    /// Of one body, while there is no other.
    most: usize,
}

/// Those of one body. They are given back when it is let go of.
#[derive(Debug)]
pub(super) struct HeldBytes {
    of: TransferBytes,
    count: usize,
}

impl TransferBytes {
    /// For bodies of so many bytes at the most.
    pub(super) fn new(most: usize) -> TransferBytes {
        TransferBytes { held: Rc::default(), most: most.max(BODIES_BYTES) }
    }

    pub(super) fn none(&self) -> HeldBytes {
        HeldBytes { of: self.clone(), count: 0 }
    }
}

impl HeldBytes {
    /// So many more. False if all together would be too many.
    pub(super) fn add(&mut self, count: usize) -> bool {
        let held = self.of.held.get();
        let most = if held > self.count { BODIES_BYTES } else { self.of.most };
        if held.saturating_add(count) > most {
            return false;
        }
        self.of.held.set(held + count);
        self.count += count;
        true
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.of.held.set(self.of.held.get() - self.count);
    }
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyFault {
    TooLarge(usize),
    TooSlow,
    TooMany,
    Broken,
}

impl BodyFault {
    pub(super) fn answer(&self) -> HttpAnswer {
        let (status, said) = self.told();
        HttpAnswer::error(status, &said)
    }

    /// A status, and what to do.
    pub(super) fn told(&self) -> (StatusCode, String) {
        match self {
            BodyFault::TooLarge(most) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("this body may have {most} bytes, and no more; send less"),
            ),
            BodyFault::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "the body did not come within {} s, or rested for {} s; send it faster",
                    BODY_TIME.as_secs(),
                    BODY_PAUSE.as_secs()
                ),
            ),
            BodyFault::TooMany => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many bytes of requests are on their way; send it again later".to_owned(),
            ),
            BodyFault::Broken => {
                (StatusCode::BAD_REQUEST, "the body ended before its end; send all of it".to_owned())
            }
        }
    }
}

/// A whole body, which counts as long as it is kept.
#[derive(Debug)]
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _held: HeldBytes,
}

/// A body of so many bytes at the most.
pub(super) async fn collect(
    held: &TransferBytes,
    mut body: Incoming,
    most: usize,
) -> Result<WholeBody, BodyFault> {
    let mut held = held.none();
    if body.size_hint().lower() > most as u64 {
        return Err(BodyFault::TooLarge(most));
    }
    let until = Instant::now() + BODY_TIME;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let next = timeout_at(until, timeout(BODY_PAUSE, body.frame())).await;
        let Ok(Ok(frame)) = next else { return Err(BodyFault::TooSlow) };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| BodyFault::Broken)?;
        // Trailers mean nothing.
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(BodyFault::TooLarge(most));
        }
        if !held.add(data.len()) {
            return Err(BodyFault::TooMany);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(WholeBody { bytes, _held: held })
}

/// Whether a body says that it is of this kind.
pub(super) fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    said.is_some_and(|said| said.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(kind)))
}
