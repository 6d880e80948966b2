//! How often a token was wrong, by address: after a few within a minute whoever brings another wrong one from there is told to wait for the
//! rest of it, and nothing is said of him in the log. A right one counts for nothing here.
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures within [`SPAN`], of one address.
const FAILURES_MAX: u32 = 5;
/// How long they count, from the first one.
const SPAN: Duration = Duration::from_secs(60);
/// Addresses that are remembered. With more, those that failed first are forgotten.
const ADDRESSES_MAX: usize = 1024;

/// The latest failures of each address; unix sockets are one.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<Option<IpAddr>, (Instant, u32)>);

impl Failures {
    /// How many seconds somebody is to wait.
    pub(super) fn wait(&self, address: Option<IpAddr>, now: Instant) -> Option<u64> {
        let (since, count) = self.0.get(&household(address))?;
        let left = SPAN.checked_sub(now.saturating_duration_since(*since))?;
        (*count >= FAILURES_MAX).then_some(left.as_secs() + 1)
    }

    pub(super) fn note(&mut self, address: Option<IpAddr>, now: Instant) {
        let address = household(address);
        if !self.0.contains_key(&address) && self.0.len() >= ADDRESSES_MAX {
            self.0.retain(|_, (since, _)| now.saturating_duration_since(*since) < SPAN);
            if self.0.len() >= ADDRESSES_MAX
                && let Some(first) =
                    self.0.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address)
            {
                self.0.remove(&first);
            }
        }
        let entry = self.0.entry(address).or_insert((now, 0));
        if now.saturating_duration_since(entry.0) >= SPAN {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

/// Whoever has one address of IPv6 has as many as are behind the first half of it.
fn household(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 64)).into(),
        address => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_few_failures_a_minute_is_to_be_waited() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let [one, other] = ["2001:db8::1", "2001:db8:0:1::1"].map(|text| Some(text.parse().unwrap()));
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.wait(one, start), None);
            failures.note(one, start);
        }
        assert_eq!(failures.wait(one, start), Some(61));
        assert_eq!(failures.wait(Some("2001:db8::2".parse().unwrap()), start), Some(61));
        assert_eq!((failures.wait(other, start), failures.wait(None, start)), (None, None));
        let later = start + SPAN;
        failures.note(one, later + Duration::from_secs(1));
        assert_eq!(failures.wait(one, later + Duration::from_secs(1)), None);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut failures = Failures::default();
        let start = Instant::now();
        for at in 0..10_000_u32 {
            failures.note(Some(IpAddr::from(at.to_be_bytes())), start + Duration::from_millis(at.into()));
        }
        assert_eq!(failures.0.len(), ADDRESSES_MAX);
    }
}
