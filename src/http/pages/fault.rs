//! Why there is no page.
use super::super::desk::Desk;
use hyper::StatusCode;

/// Why there is no page: a status, and a sentence.
pub(super) type PageFault = (StatusCode, String);

pub(super) fn wrong(sentence: impl Into<String>) -> PageFault {
    (StatusCode::BAD_REQUEST, sentence.into())
}

/// While stored jobs are read, shards cannot be asked.
pub(super) fn is_whole(desk: &Desk) -> Result<(), PageFault> {
    if desk.is_whole() {
        return Ok(());
    }
    Err((StatusCode::SERVICE_UNAVAILABLE, "Stored jobs are being read: look again in a moment.".to_owned()))
}
