//! What the driver and the server say, as what it means to us.
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use redis::{ErrorKind, RedisError};

/// Words of the server's errors, which scripts put into others.
const KINDS: &[(&str, RemoteTrouble)] = &[
    ("OOM command not allowed", RemoteTrouble::Full),
    ("READONLY", RemoteTrouble::Away),
    ("FENCED", RemoteTrouble::Fenced),
    ("LOADING", RemoteTrouble::Away),
    ("MASTERDOWN", RemoteTrouble::Away),
    ("CLUSTERDOWN", RemoteTrouble::Away),
    ("NOREPLICAS", RemoteTrouble::Away),
    ("BUSY Redis is busy", RemoteTrouble::Away),
    ("max number of clients reached", RemoteTrouble::Away),
    ("NOAUTH", RemoteTrouble::Refused),
    ("WRONGPASS", RemoteTrouble::Refused),
    ("NOPERM", RemoteTrouble::Refused),
    ("DENIED", RemoteTrouble::Refused),
    ("invalid password", RemoteTrouble::Refused),
    ("without any password configured", RemoteTrouble::Refused),
];

impl From<RedisError> for RemoteFault {
    fn from(error: RedisError) -> RemoteFault {
        let what = told(&error);
        let known = KINDS.iter().find(|(word, _)| what.contains(word)).map(|(_, trouble)| *trouble);
        let trouble = known.unwrap_or(match error.kind() {
            ErrorKind::AuthenticationFailed => RemoteTrouble::Refused,
            ErrorKind::Server(_) | ErrorKind::Extension => RemoteTrouble::Other,
            // The connection is gone, or speaks something else.
            _ => RemoteTrouble::Away,
        });
        RemoteFault::new(trouble, what)
    }
}

/// What went wrong, in the server's words where it said some.
fn told(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}
