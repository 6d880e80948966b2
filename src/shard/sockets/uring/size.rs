//! How large the queues of a ring are, and how much memory that takes which may have to be locked. Numbers, and one question to
//! the kernel.
use crate::shard::sockets::portions::LOCKED_AT_ONCE;
use io_uring::IoUring;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::io;

/// How large the queues of a ring are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingSize {
    /// Orders that may wait for one call of the kernel; more of them make more calls.
    pub(super) submissions: u32,
    /// Completions that may wait for us; beyond, the kernel keeps them in memory of its own.
    pub(super) completions: u32,
}

impl RingSize {
    /// Where memory is no matter.
    pub(crate) const FULL: RingSize = RingSize { submissions: 2048, completions: 8192 };
    /// Where little may be locked.
    pub(crate) const SMALL: RingSize = RingSize { submissions: 256, completions: 1024 };
    /// To try whether there can be one.
    pub(super) const TRIAL: RingSize = RingSize { submissions: 8, completions: 16 };

    /// Bytes that the ring of a shard, its list of receive buffers and the runtime under the shard lock, on kernels that count
    /// all of it.
    pub(crate) fn locked(self) -> u64 {
        /// An order with its place in the queue, a completion, a receive buffer in the list.
        const EACH: [u64; 3] = [64 + 4, 16, 16];
        /// Three rings of 128 orders, to each of which 64 KiB are registered; and what is rounded up to pages.
        const RUNTIME: u64 = (3 * (16 + 64)) << 10;
        const ROUNDED: u64 = 16 << 10;
        let counts = [self.submissions, self.completions, 1024].map(u64::from);
        EACH.iter().zip(counts).map(|(bytes, count)| bytes * count).sum::<u64>() + RUNTIME + ROUNDED
    }
}

/// Whether this process may lock so many bytes more, together with whatever else its user has locked: the kernel is asked to do it
/// for a moment.
pub(super) fn may_lock(ring: &IoUring, bytes: u64) -> io::Result<bool> {
    // The same piece again and again: it counts each time.
    let pieces = usize::try_from(bytes.div_ceil(LOCKED_AT_ONCE as u64)).unwrap_or(usize::MAX);
    if pieces > PIECES_MAX {
        return Ok(false);
    }
    // SAFETY: a new mapping, wherever the kernel likes, changes nothing that exists.
    let start = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            LOCKED_AT_ONCE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    let list = vec![libc::iovec { iov_base: start, iov_len: LOCKED_AT_ONCE }; pieces.max(1)];
    // SAFETY: the memory stays until it is not registered any more, and nobody reads or writes it.
    let registered = unsafe { ring.submitter().register_buffers(&list) };
    let may = match &registered {
        Ok(()) => ring.submitter().unregister_buffers().map(|()| true),
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Ok(false),
        Err(error) => Err(io::Error::from(error.kind())),
    };
    // SAFETY: the mapping from above, of which nothing is used any more.
    let _ = unsafe { munmap(start, LOCKED_AT_ONCE) };
    may
}

/// The kernel takes so many pieces.
const PIECES_MAX: usize = 16384;
