//! Replies that wait for one socket. Sending them is in `mod.rs`; that they stay bounded is decided in `pump.rs`.

/// What is to be sent on one connection: bytes that wait, and bytes that the kernel has.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    /// Replies of this round, and of earlier ones if the last send is not through.
    waiting: Vec<u8>,
    /// Bytes of the send in flight that the kernel has not taken yet.
    in_flight: usize,
    sending: bool,
}

impl Outlet {
    /// Bytes that the peer has not taken yet.
    #[inline]
    pub(crate) fn unsent(&self) -> usize {
        self.waiting.len() + self.in_flight
    }

    /// Where replies are written to.
    #[inline]
    pub(crate) fn waiting(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Whether a send is in flight.
    #[inline]
    pub(crate) fn is_sending(&self) -> bool {
        self.sending
    }

    /// Begins a send: what waits is to go out now. `None` if there is nothing, or a send is in flight.
    #[inline]
    pub(crate) fn begin(&mut self) -> Option<Vec<u8>> {
        if self.sending || self.waiting.is_empty() {
            return None;
        }
        self.sending = true;
        self.in_flight = self.waiting.len();
        Some(std::mem::take(&mut self.waiting))
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
        let mut outlet = Outlet::default();
        assert_eq!(outlet.begin(), None);
        outlet.waiting().extend_from_slice(b"first");
        assert_eq!(outlet.begin().as_deref(), Some(&b"first"[..]));
        outlet.waiting().extend_from_slice(b"second");
        assert_eq!(outlet.begin(), None);
        assert_eq!(outlet.unsent(), 11);
        outlet.took(3);
        assert_eq!(outlet.unsent(), 8);
        outlet.end();
        assert_eq!(outlet.begin().as_deref(), Some(&b"second"[..]));
    }
}
