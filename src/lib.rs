#![doc = include_str!("README.md")]

pub use ringgear_engine as engine;
pub use ringgear_protocol as protocol;

pub mod access;
pub mod cli;
pub mod config;
pub mod frontend;
#[cfg(feature = "http")]
mod http;
pub mod logging;
mod memory;
mod mesh;
pub mod process;
pub mod server;
pub mod shard;
pub mod store;
pub mod tls;
