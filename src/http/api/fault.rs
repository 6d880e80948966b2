//! Why there is no answer: a status, and a sentence that says what to do. How it is written is in `../answer.rs`.
use hyper::StatusCode;

/// What is wrong with a request, or with the server just now.
pub(super) struct ApiFault(pub(super) StatusCode, pub(super) String);

impl From<String> for ApiFault {
    fn from(sentence: String) -> ApiFault {
        ApiFault(StatusCode::BAD_REQUEST, sentence)
    }
}
