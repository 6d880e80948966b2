//! Who asks, and what that allows: whoever reaches the HTTP side may look. Orders are taken from those who own the server anyway: over a unix
//! socket, from its own user and from root, as the kernel tells.
use hyper::header::{self, HeaderMap};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Look.
    Read,
    /// Change something.
    Operate,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody on a TCP connection.
    Remote,
    /// Somebody on a unix socket, with the number of its user, if the kernel tells.
    Local {
        /// The number of the user.
        user: Option<u32>,
    },
}

impl Caller {
    /// Whether it came by a unix socket.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Caller::Local { .. })
    }

    pub(super) fn may(&self, right: Right, own: u32) -> bool {
        match (right, self) {
            (Right::Read, _) => true,
            (Right::Operate, Caller::Local { user: Some(user) }) => *user == 0 || *user == own,
            (Right::Operate, _) => false,
        }
    }

    /// Who it is, for the list of what was ordered.
    pub(super) fn name(&self) -> String {
        match self {
            Caller::Remote => "somebody over TCP".to_owned(),
            Caller::Local { user: Some(user) } => format!("user {user}"),
            Caller::Local { user: None } => "somebody on this machine".to_owned(),
        }
    }
}

/// Why a request that changes something may come from the page of somebody else, in a browser; `None` if it cannot.
pub(super) fn is_forged(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text("sec-fetch-site".parse::<header::HeaderName>().ok()?) {
        None => {}
        // It is the browser's own word. A page that sends no Referer says no Origin either, but null.
        Some("same-origin" | "none") => return None,
        Some(_) => return Some("the page of somebody else sent this (Sec-Fetch-Site)"),
    }
    let origin = text(header::ORIGIN)?;
    let host = text(header::HOST).unwrap_or("");
    let bare = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    (bare != host).then_some("the page of somebody else sent this (Origin is not Host)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn orders_are_taken_from_who_owns_the_server() {
        let local = |user| Caller::Local { user };
        for (caller, may) in [
            (local(Some(0)), true),
            (local(Some(1000)), true),
            (local(Some(1001)), false),
            (local(None), false),
            (Caller::Remote, false),
        ] {
            assert_eq!(caller.may(Right::Operate, 1000), may, "{caller:?}");
            assert!(caller.may(Right::Read, 1000));
        }
    }

    #[test]
    fn pages_of_others_order_nothing() {
        let forged = |pairs: &[(&'static str, &'static str)]| {
            let named = |&(name, value): &(&'static str, &'static str)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            is_forged(&pairs.iter().map(named).collect()).is_some()
        };
        assert!(!forged(&[]) && !forged(&[("host", "localhost")]));
        assert!(!forged(&[
            ("host", "localhost:1"),
            ("origin", "http://localhost:1"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(forged(&[("host", "localhost:1"), ("origin", "http://evil.example")]));
        assert!(forged(&[("host", "localhost:1"), ("origin", "null")]));
        assert!(forged(&[("host", "localhost:1"), ("sec-fetch-site", "cross-site")]));
        assert!(forged(&[("host", "localhost:1"), ("sec-fetch-site", "same-site")]));
    }
}
