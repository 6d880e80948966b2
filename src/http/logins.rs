//! Browsers that have logged in: a cookie for each, which is chance and is kept here only, with the digest of the token that it stands
//! for. Whether that token still means anything is asked each time: see `guard.rs`.
use super::secrets::{SecretDigest, chance};
use std::time::{Duration, Instant};

/// How long one lasts at the most.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// How long it lasts without a request.
const IDLE: Duration = Duration::from_secs(3600);
/// Logins at a time; the one that was idle for the longest makes room.
const LOGINS_MAX: usize = 256;

#[derive(Debug)]
struct Login {
    /// Of the cookie: what is kept is no use to whoever sees it.
    id: SecretDigest,
    token: SecretDigest,
    begun: Instant,
    used: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Logins(Vec<Login>);

impl Logins {
    /// A new one: the value of its cookie. `None` if the system gives no chance.
    pub(super) fn begin(&mut self, token: SecretDigest, now: Instant) -> Option<String> {
        self.forget(now);
        if self.0.len() >= LOGINS_MAX
            && let Some(at) = (0..self.0.len()).min_by_key(|&at| self.0[at].used)
        {
            self.0.swap_remove(at);
        }
        let value = chance().ok()?;
        self.0.push(Login { id: SecretDigest::of(value.as_bytes()), token, begun: now, used: now });
        Some(value)
    }

    /// The token that a cookie stands for.
    pub(super) fn find(&mut self, value: &[u8], now: Instant) -> Option<SecretDigest> {
        self.forget(now);
        let id = SecretDigest::of(value);
        let login = self.0.iter_mut().find(|login| login.id.is(&id))?;
        login.used = now;
        Some(login.token)
    }

    pub(super) fn end(&mut self, value: &[u8]) {
        let id = SecretDigest::of(value);
        self.0.retain(|login| !login.id.is(&id));
    }

    fn forget(&mut self, now: Instant) {
        let within = |since: Instant, most| now.saturating_duration_since(since) < most;
        self.0.retain(|login| within(login.begun, LIFE) && within(login.used, IDLE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends() {
        let mut logins = Logins::default();
        let start = Instant::now();
        let token = SecretDigest::of(b"t");
        let [idle, used, left] = [(); 3].map(|()| logins.begin(token, start).unwrap());
        assert_eq!(logins.find(b"", start), None);
        logins.end(left.as_bytes());
        assert_eq!(logins.find(left.as_bytes(), start), None);
        let mut now = start;
        while now < start + LIFE {
            assert_eq!(logins.find(used.as_bytes(), now), Some(token));
            now += IDLE / 2;
        }
        assert_eq!(logins.find(used.as_bytes(), now), None);
        assert_eq!(logins.find(idle.as_bytes(), start), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut logins = Logins::default();
        let start = Instant::now();
        let first = logins.begin(SecretDigest::of(b"t"), start).unwrap();
        for at in 0..LOGINS_MAX as u64 {
            logins.begin(SecretDigest::of(b"t"), start + Duration::from_millis(at + 1)).unwrap();
        }
        assert_eq!(logins.0.len(), LOGINS_MAX);
        assert_eq!(logins.find(first.as_bytes(), start), None);
    }
}
