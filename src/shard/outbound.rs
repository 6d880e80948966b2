//! Replies that wait for one socket, and how long they may. Sending them is in `round.rs`; that they stay bounded is
//! decided in `pump.rs`.
//!
//! A send costs ten times as much as the reply in it. So while a shard has more to do than it can, what a client
//! hears of one job is held back for a moment if it waits for others, too: these may come along.
use super::parcel::Parcel;
use crate::engine::Instant;
use bytes::Bytes;

/// What is to be sent on one connection: bytes that wait, and bytes that the kernel has.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// Replies of this round, and of earlier ones if they were held back or the last send is not through.
    waiting: Parcel,
    /// Bytes of the send in flight that the kernel has not taken yet.
    in_flight: usize,
    sending: bool,
    /// Whether nothing of what waits can be held back.
    urgent: bool,
    /// When the first of the replies that wait was written.
    since: Instant,
    /// Results that the peer waits for and that are not among what waits here. An estimate: only whether it is
    /// worth while to wait depends on it.
    expected: u32,
}

impl Outbound {
    /// With so many bytes waiting, company would save little.
    const FULL: usize = 8 << 10;

    /// Bytes that the peer has not taken yet.
    #[inline]
    pub(crate) fn unsent(&self) -> usize {
        self.waiting.len() + self.in_flight
    }

    /// Where replies are written to, large payloads excepted.
    #[inline]
    pub(crate) fn waiting(&mut self) -> &mut Vec<u8> {
        self.waiting.gathered()
    }

    /// Adds a large payload behind what was written to [`Outbound::waiting`], without a copy.
    pub(crate) fn share(&mut self, payload: Bytes) {
        self.waiting.share(payload);
    }

    /// Gives up what waits.
    pub(crate) fn take_waiting(&mut self) -> Parcel {
        std::mem::take(&mut self.waiting)
    }

    /// Begins with what waited at another shard.
    pub(crate) fn put_waiting(&mut self, waiting: Parcel) {
        self.waiting = waiting;
    }

    /// Whether a send is in flight.
    #[inline]
    pub(crate) fn is_sending(&self) -> bool {
        self.sending
    }

    /// Notes that the peer has asked for something whose result will come later.
    #[inline]
    pub(crate) fn expect(&mut self) {
        self.expected = self.expected.saturating_add(1);
    }

    /// Notes that a result was written to [`Outbound::waiting`], or will not come.
    #[inline]
    pub(crate) fn expect_no_more(&mut self) {
        self.expected = self.expected.saturating_sub(1);
    }

    /// Whether the peer waits for more than one result.
    #[inline]
    pub(crate) fn expects_several(&self) -> bool {
        self.expected > 1
    }

    /// Notes that a reply was written to [`Outbound::waiting`].
    #[inline]
    pub(crate) fn wrote(&mut self, now: Instant, urgent: bool) {
        if self.since == Instant::default() {
            self.since = now;
        }
        self.urgent |= urgent;
    }

    /// Whether to send nothing yet, in the hope of more. `limit` is how many nanoseconds a reply may be held back.
    #[inline]
    pub(crate) fn holds_back(&self, now: Instant, limit: u64) -> bool {
        let hopeful = self.expected > 0 && !self.urgent && !self.sending;
        hopeful && now.0.saturating_sub(self.since.0) < limit && self.waiting.len() < Self::FULL
    }

    /// Begins a send: what waits is to go out now. `None` if there is nothing, or a send is in flight.
    #[inline]
    pub(crate) fn begin(&mut self) -> Option<Parcel> {
        if self.sending || self.waiting.is_empty() {
            return None;
        }
        (self.urgent, self.since) = (false, Instant::default());
        self.sending = true;
        self.in_flight = self.waiting.len();
        Some(std::mem::take(&mut self.waiting))
    }

    /// What waits is to go out now, but not as it is: it is sealed before, piece by piece.
    pub(crate) fn take_to_seal(&mut self) -> Parcel {
        (self.urgent, self.since) = (false, Instant::default());
        std::mem::take(&mut self.waiting)
    }

    /// Whether replies wait.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Notes that a send of so many sealed bytes begins.
    pub(crate) fn began(&mut self, bytes: usize) {
        self.sending = true;
        self.in_flight = bytes;
    }

    /// Notes that the kernel took so many bytes of the send in flight.
    #[inline]
    pub(crate) fn took(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }

    /// Notes that the send is over.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.sending = false;
        self.in_flight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_send_at_a_time() {
        let mut outbound = Outbound::default();
        assert!(outbound.begin().is_none());
        outbound.waiting().extend_from_slice(b"first");
        assert_eq!(outbound.begin().unwrap().plain(), Some(&b"first"[..]));
        outbound.waiting().extend_from_slice(b"second");
        assert!(outbound.begin().is_none());
        assert_eq!(outbound.unsent(), 11);
        outbound.took(3);
        assert_eq!(outbound.unsent(), 8);
        outbound.end();
        assert_eq!(outbound.begin().unwrap().plain(), Some(&b"second"[..]));
    }

    #[test]
    fn shared_payloads_count_as_unsent_and_fill_the_buffer() {
        let mut outbound = Outbound::default();
        outbound.expect();
        write(&mut outbound, 1000, false);
        outbound.share(Bytes::from(vec![7; Outbound::FULL]));
        assert_eq!(outbound.unsent(), Outbound::FULL + 1);
        assert!(!outbound.holds_back(Instant(1000), LIMIT));
        assert_eq!(outbound.begin().map(|parcel| parcel.len()), Some(Outbound::FULL + 1));
        outbound.took(Outbound::FULL);
        assert_eq!(outbound.unsent(), 1);
    }

    const LIMIT: u64 = 500;

    fn write(outbound: &mut Outbound, now: u64, urgent: bool) {
        outbound.waiting().push(b'x');
        outbound.wrote(Instant(now), urgent);
    }

    #[test]
    fn replies_are_held_back_until_the_first_is_old() {
        let mut outbound = Outbound::default();
        outbound.expect();
        write(&mut outbound, 1000, false);
        assert!(outbound.holds_back(Instant(1000), LIMIT));
        write(&mut outbound, 1400, false);
        assert!(outbound.holds_back(Instant(1499), LIMIT));
        assert!(!outbound.holds_back(Instant(1499), 0), "the shard has nothing else to do");
        assert!(!outbound.holds_back(Instant(1500), LIMIT));
        assert_eq!(outbound.begin().map(|parcel| parcel.len()), Some(2));
        outbound.end();
        write(&mut outbound, 2000, false);
        assert!(outbound.holds_back(Instant(2000), LIMIT));
        write(&mut outbound, 2001, true);
        assert!(!outbound.holds_back(Instant(2001), LIMIT), "somebody's work stands still");
    }

    #[test]
    fn nothing_is_held_back_when_nothing_is_expected() {
        let mut outbound = Outbound::default();
        outbound.expect();
        outbound.expect();
        write(&mut outbound, 1000, false);
        outbound.expect_no_more();
        assert!(outbound.holds_back(Instant(1000), LIMIT));
        write(&mut outbound, 1000, false);
        outbound.expect_no_more();
        assert!(!outbound.holds_back(Instant(1000), LIMIT));
    }
}
