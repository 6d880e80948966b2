//! Buffers that begin where direct reading and writing wants them to begin. No meaning of the bytes.
use super::sector::PAGE;
use std::ops::{Deref, DerefMut};

/// Bytes that begin at a multiple of [`PAGE`] in memory.
#[derive(Debug)]
pub(super) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// This many zero bytes.
    pub(super) fn new(length: usize) -> Aligned {
        let bytes = vec![0; length + PAGE];
        let start = bytes.as_ptr().addr().next_multiple_of(PAGE) - bytes.as_ptr().addr();
        Aligned { bytes, start, length }
    }

    /// Makes it at least this long, by doubling. What it holds stays.
    pub(super) fn reserve(&mut self, length: usize) {
        if length > self.length {
            let mut longer = Aligned::new(length.max(self.length * 2));
            longer[..self.length].copy_from_slice(self);
            *self = longer;
        }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}
