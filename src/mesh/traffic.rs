//! What came and went on the connections of one home: written by its thread alone, read by whoever tells of it.
use crate::protocol::PacketType;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of packets are below this.
const NUMBERS: usize = 128;

/// See the top of the file.
#[derive(Debug)]
#[repr(align(128))] // no cache line of its neighbours
pub(crate) struct Traffic {
    /// Requests by the number of their packet; 0 is lines of text.
    requests: [AtomicU64; NUMBERS],
    received: AtomicU64,
    sent: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Traffic {
        let requests = [const { AtomicU64::new(0) }; NUMBERS];
        Traffic { requests, received: AtomicU64::new(0), sent: AtomicU64::new(0) }
    }
}

/// Nobody else writes it.
#[inline]
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Traffic {
    /// A request was decoded, which begins with these bytes.
    #[inline]
    pub(crate) fn requested(&self, bytes: &[u8]) {
        let number = if bytes.first() == Some(&0) { bytes.get(7).copied().unwrap_or(0) } else { 0 };
        if let Some(count) = self.requests.get(usize::from(number)) {
            add(count, 1);
        }
    }

    /// So many bytes came.
    #[inline]
    pub(crate) fn received(&self, bytes: usize) {
        add(&self.received, bytes as u64);
    }

    /// So many bytes went.
    #[inline]
    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.sent, bytes as u64);
    }

    /// Adds it to what others have had.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn add_to(&self, sum: &mut TrafficSums) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        sum.received += read(&self.received);
        sum.sent += read(&self.sent);
        sum.lines += read(&self.requests[0]);
        for (number, count) in (0..).zip(&self.requests) {
            let count = read(count);
            if let (Some(kind), 1..) = (PacketType::from_number(number), count) {
                match sum.requests.iter_mut().find(|(other, _)| *other == kind) {
                    Some((_, all)) => *all += count,
                    None => sum.requests.push((kind, count)),
                }
            }
        }
    }
}

/// What came and went on all connections.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrafficSums {
    /// Requests of each kind, as packets.
    pub(crate) requests: Vec<(PacketType, u64)>,
    /// Lines of administrators.
    pub(crate) lines: u64,
    /// Bytes.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind() {
        let traffic = Traffic::default();
        for bytes in
            [&b"\0REQ\0\0\0\x10\0\0\0\0"[..], b"status\n", b"\0REQ\0\0\0\x10", b"\0REQ\0\0\0\x65", b""]
        {
            traffic.requested(bytes);
        }
        traffic.received(7);
        traffic.sent(9);
        let mut sums = TrafficSums::default();
        traffic.add_to(&mut sums);
        traffic.add_to(&mut sums);
        let requests = vec![(PacketType::EchoReq, 4), (PacketType::MassDo, 2)];
        assert_eq!(sums, TrafficSums { requests, lines: 4, received: 14, sent: 18 });
    }
}
