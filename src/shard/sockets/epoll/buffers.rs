//! The receive buffers: each is filled for whoever has something to be received, and given back when that is read. A connection
//! that is idle has none. How many may be filled in a round is said in `lending.rs`.
use crate::shard::options::ShardOptions;
use crate::shard::sockets::Buffer;
use crate::shard::sockets::lending::Lending;

/// Bytes of one buffer.
pub(super) const SIZE: usize = ShardOptions::RECEIVE_BUFFER;

/// All buffers of a shard.
#[derive(Debug)]
pub(super) struct ReceiveBuffers {
    /// As many as were ever needed at a time.
    memory: Vec<Box<[u8]>>,
    /// For each whether it is filled: a [`Buffer`] names it.
    filled: Vec<bool>,
    /// Those that are not; the last is the warmest.
    spare: Vec<u16>,
    /// How many there may be.
    count: u16,
    /// How many may be filled in a round.
    pub(super) lending: Lending,
}

impl ReceiveBuffers {
    /// At most so many.
    pub(super) fn new(count: u16) -> ReceiveBuffers {
        ReceiveBuffers {
            memory: Vec::new(),
            filled: Vec::new(),
            spare: Vec::new(),
            count,
            lending: Lending::new(count),
        }
    }

    /// A buffer that is not filled: its number and its bytes. It stays where it is until [`ReceiveBuffers::received`].
    #[inline]
    pub(super) fn spare(&mut self) -> Option<(u16, &mut [u8])> {
        if self.spare.is_empty() {
            let id = u16::try_from(self.memory.len()).ok().filter(|&id| id < self.count)?;
            self.memory.push(vec![0; SIZE].into_boxed_slice());
            self.filled.push(false);
            self.spare.push(id);
        }
        let id = *self.spare.last()?;
        Some((id, &mut self.memory[usize::from(id)]))
    }

    /// Notes that so many bytes are in the buffer that [`ReceiveBuffers::spare`] gave last.
    #[inline]
    pub(super) fn received(&mut self, id: u16, length: usize) -> Buffer {
        let taken = self.spare.pop();
        assert!(taken == Some(id) && length <= SIZE, "one buffer is filled at a time");
        self.filled[usize::from(id)] = true;
        // At most SIZE.
        Buffer { id, length: length as u16 }
    }

    #[inline]
    pub(super) fn bytes<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        let id = usize::from(buffer.id);
        assert!(self.filled[id], "a buffer belongs to one shard");
        &self.memory[id][..buffer.len()]
    }

    #[inline]
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        let filled = &mut self.filled[usize::from(buffer.id)];
        assert!(*filled, "a buffer belongs to one shard");
        *filled = false;
        self.spare.push(buffer.id);
    }
}
