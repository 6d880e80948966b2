//! How much of sending and receiving is asked of the kernel at once, the same by every way of asking. Numbers only.
//! How many bytes of a connection are read in a round is another question: `shard/rations.rs`.

/// The most bytes of one send, so that a long buffer's progress is seen.
pub(super) const PIECE: usize = 1 << 20;
/// The most bytes of one send with shared payloads: many connections may be sent the same one in one round.
pub(super) const SHARED_PIECE: usize = 256 << 10;
/// The most slices of one send.
pub(super) const SLICES: usize = 64;
/// Bytes of shared payloads that are sent, or ordered to be sent, in one round, so that a result for a hundred clients keeps
/// nobody else waiting.
pub(super) const SHARED_AT_ONCE: usize = 2 << 20;
/// The most bytes of one receive into a packet's own bytes: others want to be served, too.
pub(super) const DIRECT_PIECE: usize = 256 << 10;
/// Receive buffers that are filled in one round at first. They are used in turn, so a few stay in the processor's cache.
pub(super) const FILLED_AT_FIRST: u16 = 64;
/// The same, at most, while many wait to be read.
pub(super) const FILLED_WHEN_SHORT: u16 = 16;
/// Rounds in a row with enough buffers after which fewer are filled.
pub(super) const CALM: u32 = 1024;
/// Bytes of which the kernel is asked whether so many, several times, may be locked.
pub(super) const LOCKED_AT_ONCE: usize = 128 << 10;
