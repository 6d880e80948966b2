//! The TLS of one connection between its socket and its session: replies are sealed when they are about to be sent, those of a round
//! together. TLS itself is in `tls/`, when this happens in `covered.rs`.
use super::outbound::Outbound;
use super::parcel::{Parcel, ParcelPosition};
use super::pool::BufferPool;
use crate::tls::{TlsStream, TlsTrouble};

/// Bytes that are sealed for one send, to within a record. What is sealed is there a second time, so there is little of it.
const PIECE: usize = 48 << 10;

/// The TLS of one connection.
#[derive(Debug)]
pub(crate) struct Cover {
    pub(crate) stream: TlsStream,
    /// Bytes of a handshake that wait for their turn: at most a receive buffer.
    pub(crate) arrived: Vec<u8>,
    /// Replies that are being sent: sealed up to a place.
    sealing: Parcel,
    at: ParcelPosition,
    /// Bytes behind that place.
    left: usize,
    /// Whether the peer was told that nothing follows.
    said_all: bool,
}

impl Cover {
    pub(crate) fn new(stream: TlsStream) -> Cover {
        let (sealing, at) = (Parcel::default(), ParcelPosition::default());
        Cover { stream, arrived: Vec::new(), sealing, at, left: 0, said_all: false }
    }

    /// Bytes of replies that were taken to be sent and are not sealed.
    #[inline]
    pub(crate) fn unsealed(&self) -> usize {
        self.left
    }

    /// Bytes of memory that it takes, replies aside.
    pub(crate) fn held(&self) -> usize {
        self.stream.held() + self.arrived.capacity()
    }

    /// Whether something is to be sent besides replies that wait.
    pub(crate) fn has_more(&mut self) -> bool {
        self.left > 0 || !self.stream.outgoing().is_empty()
    }

    /// Gives up what is not sealed.
    pub(crate) fn forget(&mut self) {
        (self.sealing, self.left) = (Parcel::default(), 0);
    }

    /// Begins a send: seals a piece of what waits, behind what TLS itself has to say. `last` says whether nothing will follow. `None`
    /// if there is nothing, or a send is in flight.
    pub(super) fn begin(
        &mut self,
        outbound: &mut Outbound,
        pool: &mut BufferPool,
        last: bool,
    ) -> Result<Option<Parcel>, TlsTrouble> {
        if outbound.is_sending() {
            return Ok(None);
        }
        if self.left == 0 && outbound.has_waiting() {
            self.sealing = outbound.take_to_seal();
            (self.at, self.left) = (ParcelPosition::default(), self.sealing.len());
        }
        let mut out = std::mem::take(self.stream.outgoing());
        if out.capacity() == 0 {
            out = pool.take();
        }
        while self.left > 0 && out.len() < PIECE {
            let slice = self.sealing.slices(self.at).next().unwrap_or_default();
            let piece = &slice[..slice.len().min(PIECE)];
            self.stream.seal(piece, &mut out)?;
            let length = piece.len();
            (self.at, self.left) = (self.sealing.after(self.at, length), self.left - length);
        }
        if self.left == 0 {
            pool.give(std::mem::take(&mut self.sealing).into_buffer());
            if last && !outbound.has_waiting() && !std::mem::replace(&mut self.said_all, true) {
                self.stream.farewell(&mut out);
            }
        }
        if out.is_empty() {
            pool.give(out);
            return Ok(None);
        }
        outbound.began(out.len());
        Ok(Some(Parcel::from(out)))
    }
}
