//! How somebody is told that he may not, and what to do.
use super::answer::HttpAnswer;
use super::guard::Stranger;
use super::roles::{HttpCaller, HttpRole, Shown};
use hyper::StatusCode;
use hyper::header;

/// Whoever brings a token that is none.
pub(super) fn of_stranger(stranger: Stranger) -> HttpAnswer {
    match stranger {
        Stranger::Unknown => {
            let said = "this is no token of this server, or not for this address; its line belongs into the file that --control-tokens names";
            HttpAnswer::error(StatusCode::UNAUTHORIZED, said)
        }
        Stranger::TooMany(seconds) => {
            let said = format!("too many tokens from this address were wrong: wait {seconds} s");
            HttpAnswer::error(StatusCode::TOO_MANY_REQUESTS, &said)
                .with(header::RETRY_AFTER, &seconds.to_string())
        }
    }
}

/// Whoever may not do this.
pub(super) fn of_role(caller: &HttpCaller, role: HttpRole) -> HttpAnswer {
    HttpAnswer::error(status(caller), &caller.lacks(role))
}

/// 401 where a token would help that was not brought, 403 where one was.
pub(super) fn status(caller: &HttpCaller) -> StatusCode {
    match caller.shown {
        Shown::Nothing => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    }
}
