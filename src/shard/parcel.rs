//! What one send carries: small replies one behind the other in a buffer of their own, and between them large payloads
//! that are shared with whoever else has them. Values only: sending is the affair of `sockets/`.
use bytes::Bytes;

/// A large payload, and where it stands.
#[derive(Debug)]
struct Cut {
    /// How many of the gathered bytes come before it.
    at: usize,
    payload: Bytes,
}

/// Bytes for one connection.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// Everything but the large payloads.
    gathered: Vec<u8>,
    /// In order. Without capacity on most connections, for ever.
    cuts: Vec<Cut>,
    /// Bytes of all large payloads.
    shared: usize,
}

/// A place in a parcel: up to where it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParcelPosition {
    /// Which slice: gathered bytes and payloads take turns.
    slice: usize,
    /// How many bytes of that slice are behind us.
    offset: usize,
}

impl Parcel {
    /// How many bytes there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.gathered.len() + self.shared
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.cuts.is_empty()
    }

    /// Where small replies, and what comes before a large payload, are written to.
    #[inline]
    pub(crate) fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Adds a large payload behind everything that is there.
    pub(crate) fn share(&mut self, payload: Bytes) {
        self.shared += payload.len();
        self.cuts.push(Cut { at: self.gathered.len(), payload });
    }

    /// The only slice, if no payload is shared.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&[u8]> {
        self.cuts.is_empty().then_some(&self.gathered[..])
    }

    /// Lets go of the payloads and gives the buffer back.
    #[inline]
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.gathered
    }

    fn slice(&self, index: usize) -> Option<&[u8]> {
        let cut = self.cuts.get(index / 2);
        if index % 2 == 1 {
            return cut.map(|cut| &cut.payload[..]);
        }
        let start = match (index / 2).checked_sub(1) {
            Some(before) => self.cuts.get(before)?.at,
            None => 0,
        };
        Some(&self.gathered[start..cut.map_or(self.gathered.len(), |cut| cut.at)])
    }

    /// What stands behind the position, slice by slice; none of them is empty.
    pub(crate) fn slices(&self, position: ParcelPosition) -> impl Iterator<Item = &[u8]> {
        let slices = (position.slice..).map_while(|index| self.slice(index));
        slices
            .enumerate()
            .map(move |(n, slice)| if n == 0 { &slice[position.offset..] } else { slice })
            .filter(|s| !s.is_empty())
    }

    /// The position so many bytes further on; not beyond the end.
    pub(crate) fn after(&self, mut position: ParcelPosition, mut bytes: usize) -> ParcelPosition {
        while let Some(slice) = self.slice(position.slice) {
            let left = slice.len() - position.offset;
            if bytes < left {
                position.offset += bytes;
                return position;
            }
            bytes -= left;
            position = ParcelPosition { slice: position.slice + 1, offset: 0 };
        }
        position
    }
}

impl From<Vec<u8>> for Parcel {
    fn from(gathered: Vec<u8>) -> Parcel {
        Parcel { gathered, ..Parcel::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed() -> Parcel {
        let mut parcel = Parcel::from(b"ab".to_vec());
        parcel.share(Bytes::from_static(b"CDE"));
        parcel.share(Bytes::from_static(b"F"));
        parcel.gathered().extend_from_slice(b"gh");
        parcel.share(Bytes::from_static(b"IJ"));
        parcel
    }

    #[test]
    fn slices_stand_in_the_order_of_writing_from_any_position() {
        let parcel = mixed();
        let all = b"abCDEFghIJ";
        assert_eq!((parcel.len(), parcel.is_empty(), parcel.plain()), (all.len(), false, None));
        for from in 0..=all.len() {
            let position = parcel.after(ParcelPosition::default(), from);
            assert_eq!(parcel.slices(position).collect::<Vec<_>>().concat(), &all[from..], "{from}");
            for more in 0..=all.len() - from {
                assert_eq!(
                    parcel.after(position, more),
                    parcel.after(ParcelPosition::default(), from + more)
                );
            }
        }
        let slices: Vec<&[u8]> = parcel.slices(ParcelPosition::default()).collect();
        assert_eq!(slices, [&b"ab"[..], b"CDE", b"F", b"gh", b"IJ"]);
    }

    #[test]
    fn a_parcel_without_payloads_is_its_buffer() {
        let parcel = Parcel::from(b"abc".to_vec());
        assert_eq!((parcel.plain(), parcel.len()), (Some(&b"abc"[..]), 3));
        assert_eq!(parcel.slices(parcel.after(ParcelPosition::default(), 1)).collect::<Vec<_>>(), [b"bc"]);
        assert!(Parcel::default().is_empty());
    }
}
