//! What arrived on a connection and could not be used yet: the beginning of a packet, or requests of a paused session.
//! A large packet grows in the very allocation that its job or result will have.
use crate::memory::Large;
use bytes::Bytes;

/// A large packet at the front of a rest.
#[derive(Debug, Default)]
pub(crate) enum Packet {
    /// There is none.
    #[default]
    None,
    /// A part of it is there, or with the kernel, which receives more of it.
    Coming {
        /// What is there; without capacity while the kernel has it.
        bytes: Large,
        /// How many bytes the whole packet has.
        length: usize,
    },
    /// All of it.
    Whole(Bytes),
}

/// What arrived and could not be used yet.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Comes before the other bytes.
    pub(crate) packet: Packet,
    /// The bytes; those before `start` are used. Without capacity when there are none.
    pub(crate) bytes: Vec<u8>,
    /// At most the length of `bytes`.
    pub(crate) start: usize,
    /// How many there must be, `start` not counted, before it makes sense to look at them.
    pub(crate) needed: usize,
    /// Bytes of a large packet that the kernel has.
    pub(super) lent: usize,
}

impl Rest {
    /// Packets of this many bytes get an allocation of their own.
    pub(crate) const LARGE: usize = 16 << 10;
    /// Packets up to this size get all their room at once: the system gives it when it is written to.
    const AT_ONCE: usize = 4 << 20;
    /// The room that a larger one gets before so many bytes of it have arrived, which then move once: what a peer announces
    /// costs nothing.
    const ROOM: usize = 256 << 10;
    /// With so few bytes missing it is not worth while to have them received in another way.
    const FEW: usize = 16 << 10;

    /// How many bytes there are, those that the kernel has excepted.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let packet = match &self.packet {
            Packet::None => 0,
            Packet::Coming { bytes, .. } => bytes.len(),
            Packet::Whole(bytes) => bytes.len(),
        };
        packet + self.bytes.len() - self.start
    }

    /// Bytes of memory that it takes. Room for what is announced and has not come does not count: nobody has touched it.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        let packet = match &self.packet {
            Packet::None => 0,
            Packet::Coming { bytes, .. } => bytes.len() + self.lent,
            Packet::Whole(bytes) => bytes.len(),
        };
        packet + self.bytes.capacity()
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.packet, Packet::None) && self.bytes.len() == self.start
    }

    /// Adds bytes at the end. Used ones are dropped when they are the larger part, so each byte moves a bounded
    /// number of times.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.start > self.bytes.len() - self.start {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// A large packet of this length begins with these bytes, which are not all of it.
    pub(crate) fn of_packet(length: usize, beginning: &[u8]) -> Rest {
        let room = if length <= Self::AT_ONCE { length } else { Self::ROOM };
        let mut bytes = Large::with_room(room.max(beginning.len()));
        bytes.extend_from_slice(beginning);
        Rest { packet: Packet::Coming { bytes, length }, ..Rest::default() }
    }

    /// Gives the large packet that is coming what it lacks, if there is one that is here; the rest is given back.
    pub(crate) fn fill<'a>(&mut self, arrived: &'a [u8]) -> &'a [u8] {
        let Packet::Coming { bytes, length } = &mut self.packet else { return arrived };
        let (first, others) = arrived.split_at(arrived.len().min(*length - bytes.len()));
        make_room(bytes, first.len(), *length);
        bytes.extend_from_slice(first);
        self.look_whether_whole();
        others
    }

    /// Whether the kernel should receive what is missing of a large packet.
    #[inline]
    pub(crate) fn wants_direct(&self) -> bool {
        matches!(&self.packet, Packet::Coming { bytes, length } if *length - bytes.len() > Self::FEW)
    }

    /// A large packet that is coming, for the kernel to go on with, and how many bytes are missing for which there is
    /// room.
    pub(crate) fn lend(&mut self) -> Option<(Large, usize)> {
        let Packet::Coming { bytes, length } = &mut self.packet else { return None };
        make_room(bytes, 1, *length);
        let room = bytes.capacity().min(*length) - bytes.len();
        self.lent = bytes.len();
        Some((std::mem::take(bytes), room))
    }

    /// Takes back what was lent, unless nobody wants it any more.
    pub(crate) fn take_back(&mut self, lent: Large) {
        self.lent = 0;
        if let Packet::Coming { bytes, .. } = &mut self.packet {
            *bytes = lent;
            self.look_whether_whole();
        }
    }

    fn look_whether_whole(&mut self) {
        if let Packet::Coming { bytes, length } = &mut self.packet
            && bytes.len() == *length
        {
            self.packet = Packet::Whole(std::mem::take(bytes).into_shared());
        }
    }
}

/// Sees to it that there is room behind these bytes: for all of the packet as soon as the first room is full, so that it
/// moves once, while it is small.
fn make_room(bytes: &mut Large, more: usize, length: usize) {
    if bytes.capacity() - bytes.len() < more {
        let mut all = Large::with_room(length);
        all.extend_from_slice(bytes);
        *bytes = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_moves_each_byte_a_bounded_number_of_times() {
        let mut rest = Rest::default();
        rest.add(&[1; 100]);
        rest.start = 40;
        rest.add(&[2; 10]);
        assert_eq!((rest.start, rest.len()), (40, 70));
        rest.start = 90;
        rest.add(&[3; 10]);
        assert_eq!((rest.start, rest.len()), (0, 30));
    }

    #[test]
    fn a_large_packet_moves_once_and_costs_no_more_than_what_came_of_it() {
        let length = 200 << 20;
        let mut rest = Rest::of_packet(length, &[7; 100]);
        assert!(rest.wants_direct() && !rest.is_empty());
        let (mut bytes, room) = rest.lend().unwrap();
        // A larger one may be used again.
        let first = bytes.capacity();
        assert!((Rest::ROOM..16 * Rest::ROOM).contains(&first) && room == first - 100, "{first} {room}");
        bytes.resize(first, 7);
        rest.take_back(bytes);
        // Beyond the first room there is room for all of it; the system gives it when it is written to.
        let (bytes, room) = rest.lend().unwrap();
        assert_eq!((bytes.len(), bytes.capacity(), room), (first, length, length - first));
    }

    #[test]
    fn bytes_behind_a_large_packet_are_given_back() {
        let mut rest = Rest::of_packet(Rest::LARGE, &[1; 100]);
        let arrived = [2; Rest::LARGE];
        assert_eq!(rest.fill(&arrived).len(), 100);
        let Packet::Whole(packet) = &rest.packet else { panic!("{rest:?}") };
        assert_eq!((packet.len(), rest.len()), (Rest::LARGE, Rest::LARGE));
        assert_eq!(rest.fill(&[3]), [3]);
    }
}
