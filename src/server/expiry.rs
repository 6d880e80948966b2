//! When the certificate of the job port expires, and who is told ahead: the log, from thirty days before on, once a day. Also has it read
//! again.
use crate::log_at;
use crate::logging::Level;
use crate::tls::Certificates;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long before it is told of.
const AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// The certificate, if there is one.
pub(super) struct Expiry {
    certificates: Option<Arc<Certificates>>,
}

impl Expiry {
    pub(super) fn of(certificates: Option<Arc<Certificates>>) -> Expiry {
        Expiry { certificates }
    }

    /// What is looked at.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// How long it takes until [`Expiry::tell`] is to be called.
    pub(super) fn until_told(&self) -> Duration {
        let Some(certificates) = &self.certificates else { return Duration::MAX };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        wait(Duration::from_secs(certificates.expires()), now)
    }

    /// Warns if it expires soon.
    pub(super) fn tell(&self) {
        let Some(certificates) = &self.certificates else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(certificates.expires()).checked_sub(now);
        let text = certificates.expiry_text();
        match left {
            None => {
                log_at!(
                    Level::Error,
                    "--ssl-certificate {text}, which is over: peers refuse it; renew it and send SIGHUP"
                );
            }
            Some(left) if left <= AHEAD => {
                let days = left.as_secs() / AGAIN.as_secs();
                log_at!(Level::Warning, "--ssl-certificate {text}, in {days} days; renew it and send SIGHUP");
            }
            Some(_) => {}
        }
    }

    /// Reads the files again. What is wrong with them is told, and everything stays as it was.
    pub(super) fn renew(&self) {
        let Some(certificates) = &self.certificates else { return };
        match certificates.reload() {
            Ok(()) => {
                log_at!(Level::Notice, "certificates were read again, for those who connect from now on");
                self.tell();
            }
            Err(error) => log_at!(Level::Error, "certificates stay as they were: {error}"),
        }
    }
}

/// Until thirty days before, then once a day. Never more than a day: the clock may be set.
fn wait(expires: Duration, now: Duration) -> Duration {
    match expires.checked_sub(now + AHEAD) {
        Some(left) if !left.is_zero() => left.min(AGAIN),
        _ => AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_from_thirty_days_before_on_once_a_day() {
        let day = AGAIN;
        let expires = 100 * day;
        assert_eq!(wait(expires, 10 * day), day, "far");
        assert_eq!(wait(expires, 70 * day - Duration::from_secs(60)), Duration::from_secs(60));
        assert_eq!(wait(expires, 70 * day), day);
        assert_eq!(wait(expires, 99 * day), day);
        assert_eq!(wait(expires, 200 * day), day);
    }
}
