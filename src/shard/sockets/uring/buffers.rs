//! The receive buffers that the kernel fills: a few for all connections, lent to it through a ring of their own.
//! Part of `mod.rs` and of its promise: whoever has a [`Buffer`] reads bytes that the kernel has left alone.

use crate::shard::options::ShardOptions;
use crate::shard::sockets::Buffer;
use crate::shard::sockets::lending::Lending;
use io_uring::{IoUring, types};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes of one buffer.
const SIZE: usize = ShardOptions::RECEIVE_BUFFER;

/// All buffers of a ring. Their memory is never given back: it lives as long as the process.
pub(super) struct Buffers {
    /// The ring of buffers lent: `count` entries, of which the kernel takes the oldest.
    entries: NonNull<types::BufRingEntry>,
    /// `count` buffers of `SIZE` bytes.
    memory: NonNull<u8>,
    /// A power of two.
    count: u16,
    /// Where the next entry goes; counts up and wraps. What the kernel knows of is `published`.
    tail: u16,
    published: u16,
    /// How many the kernel has, and how many it may have.
    lent: u16,
    pub(super) lending: Lending,
    /// Buffers that nobody has; the last is the warmest.
    spare: Vec<u16>,
    /// For each buffer whether it is filled: a [`Buffer`] of this ring names it.
    filled: Vec<bool>,
}

impl Buffers {
    pub(super) fn new(io: &IoUring, group: u16, count: u16) -> io::Result<Buffers> {
        assert!(count.is_power_of_two() && count <= 1 << 15, "options are checked before");
        let entries = map(usize::from(count) * size_of::<types::BufRingEntry>())?.cast();
        let memory = map(usize::from(count) * SIZE)?;
        // SAFETY: `entries` has room for `count` entries, is aligned to a page, and is never unmapped.
        unsafe { io.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, count, group, 0)? };
        let mut buffers = Buffers {
            entries,
            memory,
            count,
            tail: 0,
            published: 0,
            lent: 0,
            lending: Lending::new(count),
            spare: (0..count).rev().collect(),
            filled: vec![false; usize::from(count)],
        };
        buffers.publish();
        Ok(buffers)
    }

    /// Notes that the kernel has filled a buffer.
    pub(super) fn received(&mut self, id: u16, length: usize) -> Buffer {
        let filled = &mut self.filled[usize::from(id)];
        assert!(!*filled && length <= SIZE, "the kernel fills what it was lent");
        *filled = true;
        self.lent -= 1;
        // At most SIZE.
        Buffer { id, length: length as u16 }
    }

    #[inline]
    pub(super) fn bytes<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        let id = usize::from(buffer.id);
        assert!(self.filled[id], "a buffer belongs to one ring");
        // SAFETY: the buffer is within `memory`, and its first `length` bytes were written by the kernel, which
        // does not have it now: it is lent again only by `publish`, after `recycle`, which takes `&mut self`.
        unsafe {
            let start = self.memory.as_ptr().add(id * SIZE);
            std::slice::from_raw_parts(start, usize::from(buffer.length))
        }
    }

    #[inline]
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        let filled = &mut self.filled[usize::from(buffer.id)];
        assert!(*filled, "a buffer belongs to one ring");
        *filled = false;
        self.spare.push(buffer.id);
    }

    /// Lends the kernel what it may have.
    #[inline]
    pub(super) fn publish(&mut self) {
        let most = self.lending.portion();
        while self.lent < most {
            let Some(id) = self.spare.pop() else { break };
            self.lent += 1;
            let at = self.tail & (self.count - 1);
            self.tail = self.tail.wrapping_add(1);
            // SAFETY: `at` is below `count`, and the kernel does not read this entry: it has at most `count` of
            // them, and this one is beyond its tail. The buffer that it names is neither lent nor filled.
            unsafe {
                let entry = &mut *self.entries.as_ptr().add(usize::from(at));
                entry.set_addr(self.memory.as_ptr().add(usize::from(id) * SIZE) as u64);
                entry.set_len(SIZE as u32);
                entry.set_bid(id);
            }
        }
        if self.published != self.tail {
            // SAFETY: the tail is where the kernel expects it, in the first entry, aligned for 16 bits; the
            // kernel reads it at any time, we write it only here.
            let tail = unsafe { &*types::BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
            tail.store(self.tail, Ordering::Release);
            self.published = self.tail;
        }
    }
}

/// Fresh memory, all zero and untouched.
fn map(length: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping, wherever the kernel likes, changes nothing that exists.
    let start = unsafe {
        mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }?;
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}
