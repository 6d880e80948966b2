//! Empty buffers that wait to be used again. A connection has one only while it holds bytes, so idle connections
//! cost none, and the buffer that was used last, which is still in the processor's cache, is used next.

/// Buffers that are kept; more are given back.
const KEPT: usize = 256;
/// The capacity beyond which a buffer is given back when it is empty.
const CAPACITY: usize = 64 * 1024;
/// The capacity of a new buffer: some dozen small packets.
const FIRST: usize = 1024;

/// Empty buffers of one shard.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    /// An empty buffer.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(FIRST))
    }

    /// Takes a buffer that nobody needs any more.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if (1..=CAPACITY).contains(&buffer.capacity()) && self.0.len() < KEPT {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_are_given_back() {
        let mut pool = BufferPool::default();
        pool.give(Vec::with_capacity(CAPACITY + 1));
        pool.give(Vec::new());
        assert!(pool.0.is_empty());
        pool.give(vec![7; 100]);
        let buffer = pool.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
        for _ in 0..2 * KEPT {
            pool.give(Vec::with_capacity(16));
        }
        assert_eq!(pool.0.len(), KEPT);
    }
}
