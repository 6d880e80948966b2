//! Descriptors that the runtime watches for something to read.
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that stays what it is as long as its handle is there.
pub(super) trait SteadyFd: AsRawFd {}
impl SteadyFd for OwnedFd {}
impl SteadyFd for BorrowedFd<'_> {}

/// Watches a descriptor for something to read.
#[allow(unsafe_code)]
pub(super) fn watch<T: SteadyFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: it is open, and stays what it is, as long as its handle is there, which is held by what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}
