//! The shell of one shard: sockets, threads, timers. Moves things between sockets and engine and decides nothing.
pub mod options;
