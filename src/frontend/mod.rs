//! The front end of the shared port: bytes to requests, queries and orders, replies to bytes. Pure functions: no sockets, no
//! clock, no state of jobs. Packets and lines are told apart in `gear.rs`; the administrators' lines are in `text.rs`.
mod concern;
mod gear;
pub mod json;
mod numerals;
mod percent;
mod port;
mod text;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::engine::Compat;

pub use concern::Concern;
pub(crate) use numerals::{rate, thousands};
pub(crate) use percent::percent;
pub use port::{Decoded, Incoming, SharedPort, WireError};

/// The version that `-V` and the log tell. The suffix says that it is no gearmand, whose numbers are others.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+ringgear");

/// The gearmand that is followed, by its last version of that line.
pub fn followed(compat: Compat) -> &'static str {
    version(compat).split('+').next().unwrap_or_default()
}

/// What `version` tells on the port: the gearmand that is followed, then our own version. Libraries compare the first three
/// numbers with gearmand's, to find out what a server can do.
pub fn version(compat: Compat) -> &'static str {
    match compat {
        Compat::V1_1 => concat!("1.1.20+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_0 => concat!("2.0.0+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_1 => concat!("2.1.0+ringgear-", env!("CARGO_PKG_VERSION")),
        Compat::V2_2 => concat!("2.2.0+ringgear-", env!("CARGO_PKG_VERSION")),
    }
}
