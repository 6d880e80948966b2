//! Who made a request (`roles.rs` says what he may): whoever is at the other end of a unix socket, brings a token (`tokens.rs`), or
//! has logged in with one (`logins.rs`); and whether it was he who wanted it, or a page of somebody else that his browser shows.
use super::failures::Failures;
use super::hangups::PeerEnd;
use super::hosts::Hosts;
use super::logins::Logins;
use super::roles::{HttpCaller, HttpRole, RoleSet, Shown};
use super::secrets::SecretDigest;
use super::tokens::{ControlToken, TokenFile, TokenList};
use crate::log_at;
use crate::logging::Level;
use hyper::Method;
use hyper::header::{self, HeaderMap};
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// How a connection has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arrival {
    /// By an address of ours, from one of theirs, and whether by TLS.
    Tcp { own: Option<IpAddr>, peer: SocketAddr, tls: bool },
    /// By a unix socket, from a process of this user if the system says so.
    Unix { user: Option<u32> },
}

impl Arrival {
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Arrival::Tcp { peer, .. } => Some(peer.ip().to_canonical()),
            Arrival::Unix { .. } => None,
        }
    }

    /// What the cookie of a login is called that came this way, and what else is said of it. By TLS it is for this server alone, and a
    /// browser sends it by TLS only.
    pub(super) fn cookie(&self) -> (&'static str, &'static str) {
        match self {
            Arrival::Tcp { tls: true, .. } => ("__Host-ringgear", "; Secure"),
            Arrival::Tcp { .. } | Arrival::Unix { .. } => ("ringgear", ""),
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Arrival::Tcp { peer, .. } => Some(SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Arrival::Unix { .. } => None,
        }
    }
}

/// Somebody who is connected.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) arrival: Arrival,
    pub(super) end: PeerEnd,
}

/// Why nobody is answered as who he says he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// This token is none of ours, or not for that address.
    Unknown,
    /// Too many were not, from this address; so many seconds are to be waited.
    TooMany(u64),
}

/// What is needed to know somebody.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Hosts,
    tokens: Option<Arc<TokenFile>>,
    logins: RefCell<Logins>,
    failures: RefCell<Failures>,
    /// The user of the server.
    user: u32,
}

impl Guard {
    pub(super) fn new(hosts: Hosts, tokens: Option<Arc<TokenFile>>) -> Guard {
        let user = rustix::process::geteuid().as_raw();
        Guard { hosts, tokens, logins: RefCell::default(), failures: RefCell::default(), user }
    }

    /// Whether there are tokens at all.
    pub(super) fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Whether a request may name this host.
    pub(super) fn serves(&self, host: &str, arrival: &Arrival) -> bool {
        match arrival {
            Arrival::Unix { .. } => true,
            Arrival::Tcp { own, .. } => self.hosts.include(host, *own),
        }
    }

    /// Who made this request.
    pub(super) fn identify(&self, arrival: &Arrival, headers: &HeaderMap) -> Result<HttpCaller, Stranger> {
        let list = self.tokens.as_ref().map(|tokens| tokens.list());
        if let Some(list) = &list {
            if let Some(secret) = bearer(headers) {
                return self
                    .by_token(list, secret, arrival)
                    .map(|token| of_token(token, arrival, Shown::Token));
            }
            let digest =
                cookie(arrival, headers).and_then(|id| self.logins.borrow_mut().find(id, Instant::now()));
            if let Some(digest) = digest
                && let Some(token) = list.find(&digest, arrival.address())
            {
                return Ok(of_token(token, arrival, Shown::Cookie));
            }
        }
        let caller = |name: String, shown, roles| {
            Ok(HttpCaller { name, address: arrival.peer(), shown, roles, functions: None })
        };
        match arrival {
            Arrival::Unix { user: Some(user) } if *user == 0 || *user == self.user => {
                caller(format!("user {user}"), Shown::User, RoleSet::ALL)
            }
            // The mode of the socket's file has let him in.
            Arrival::Unix { user: Some(user) } => {
                caller(format!("user {user}"), Shown::User, RoleSet::of(&[HttpRole::Read]))
            }
            Arrival::Unix { user: None } => {
                caller("anonymous".to_owned(), Shown::Nothing, RoleSet::of(&[HttpRole::Read]))
            }
            Arrival::Tcp { .. } => {
                let roles = match &list {
                    Some(list) => list.anonymous(arrival.address()),
                    // Loopback only: see `config/control.rs`.
                    None => RoleSet::of(&[HttpRole::Read]),
                };
                caller("anonymous".to_owned(), Shown::Nothing, roles)
            }
        }
    }

    /// Whose token this is. Whoever brings a right one is never made to wait for what others of his address have brought: a token has
    /// 256 bits, so that guesses are not limited to keep it, but so that nobody fills the log. Looking costs a digest, and a comparison
    /// with each token.
    fn by_token<'a>(
        &self,
        list: &'a TokenList,
        secret: &[u8],
        arrival: &Arrival,
    ) -> Result<&'a ControlToken, Stranger> {
        let found = list.find(&SecretDigest::of(secret), arrival.address());
        found.ok_or_else(|| {
            let mut failures = self.failures.borrow_mut();
            let now = Instant::now();
            if let Some(seconds) = failures.wait(arrival.address(), now) {
                return Stranger::TooMany(seconds);
            }
            failures.note(arrival.address(), now);
            let place = arrival.peer().map_or_else(|| "the unix socket".to_owned(), |peer| peer.to_string());
            log_at!(
                Level::Notice,
                "somebody at {place} brings a token for HTTP that is none, or not for there"
            );
            Stranger::Unknown
        })
    }

    /// Lets somebody in who brings a token in a form: with the value of a cookie, and as whom.
    pub(super) fn log_in(&self, secret: &[u8], arrival: &Arrival) -> Result<(String, HttpCaller), Stranger> {
        let list = self.tokens.as_ref().map(|tokens| tokens.list()).unwrap_or_default();
        let token = self.by_token(&list, secret, arrival)?;
        // Without chance there is no cookie, and the token is as good as unknown.
        let id = self.logins.borrow_mut().begin(token.digest, Instant::now()).ok_or(Stranger::Unknown)?;
        Ok((id, of_token(token, arrival, Shown::Cookie)))
    }

    /// Whoever has this cookie is not known by it any more.
    pub(super) fn log_out(&self, arrival: &Arrival, headers: &HeaderMap) {
        if let Some(id) = cookie(arrival, headers) {
            self.logins.borrow_mut().end(id);
        }
    }
}

fn of_token(token: &ControlToken, arrival: &Arrival, shown: Shown) -> HttpCaller {
    let ControlToken { name, roles, functions, .. } = token;
    let functions = functions.clone();
    HttpCaller { name: name.clone(), address: arrival.peer(), shown, roles: *roles, functions }
}

/// The token in the head. What else stands there may be for a proxy in front.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (kind, secret) = value.split_at_checked(7)?;
    kind.eq_ignore_ascii_case(b"bearer ").then(|| secret.trim_ascii())
}

fn cookie<'a>(arrival: &Arrival, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    let (name, _) = arrival.cookie();
    let all =
        headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let mut named =
        all.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    named.next()
}

/// Why a request that changes something may be a page's of somebody else, whose browser sent it, a sentence; `None` if it is not. A
/// browser says where it has it from; whoever says nothing is none, and has no cookie.
pub(super) fn foreign(method: &Method, headers: &HeaderMap, shown: Shown) -> Option<&'static str> {
    const SAID: &str = "this request comes from a page of somebody else, as its Sec-Fetch-Site or Origin says: nothing is changed for that";
    if matches!(*method, Method::GET | Method::HEAD) || shown == Shown::Token {
        return None;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return (!matches!(site.as_bytes(), b"same-origin" | b"none")).then_some(SAID);
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => {
            let host = headers.get(header::HOST).map(|host| host.as_bytes());
            let origin = origin.as_bytes();
            let bare = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
            (bare.is_none() || bare != host).then_some(SAID)
        }
        None if shown == Shown::Cookie => Some(
            "a cookie alone changes nothing: say Sec-Fetch-Site or Origin as browsers do, or bring the token itself",
        ),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn what_pages_of_others_want_is_known() {
        let post = |lines: &[_], shown| foreign(&Method::POST, &headers(lines), shown).is_some();
        let own = [("host", "a:1"), ("origin", "http://a:1")];
        assert!(!post(&own, Shown::Nothing) && !post(&own, Shown::Cookie));
        assert!(post(&[("host", "a:1"), ("origin", "http://b:1")], Shown::User));
        assert!(post(&[("host", "a:1"), ("origin", "null")], Shown::Nothing));
        assert!(!post(&[("host", "a:1"), ("origin", "http://b:1")], Shown::Token));
        assert!(post(&[("sec-fetch-site", "cross-site"), own[0], own[1]], Shown::Nothing));
        assert!(post(&[("sec-fetch-site", "same-site")], Shown::Cookie));
        assert!(!post(&[("sec-fetch-site", "same-origin")], Shown::Cookie));
        assert!(post(&[own[0]], Shown::Cookie) && !post(&[own[0]], Shown::Nothing));
        assert!(
            foreign(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")]), Shown::Cookie).is_none()
        );
    }

    #[test]
    fn tokens_and_cookies_are_found_in_the_head() {
        let of = |text: &str| bearer(&headers(&[("authorization", text)])).map(<[u8]>::to_vec);
        assert_eq!(of("Bearer  x "), Some(b"x".to_vec()));
        assert_eq!(of("bearer y"), Some(b"y".to_vec()));
        assert_eq!((of("Basic eDp5"), of("Bearer")), (None, None));
        let found = headers(&[("cookie", "a=1; ringgear=abc; ringgear2=d")]);
        let by = |tls| Arrival::Tcp { own: None, peer: ([127, 0, 0, 1], 1).into(), tls };
        assert_eq!(cookie(&by(false), &found), Some(&b"abc"[..]));
        assert_eq!(cookie(&by(false), &headers(&[("cookie", "ringgearx=1")])), None);
        // One that was given without TLS counts for nothing with it: anybody on the way may have set it.
        assert_eq!(cookie(&by(true), &found), None);
        assert_eq!(cookie(&by(true), &headers(&[("cookie", "__Host-ringgear=x")])), Some(&b"x"[..]));
    }
}
