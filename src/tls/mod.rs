//! TLS as a transform: what a peer sent becomes plain bytes, plain bytes become what it is sent (`stream.rs`). No socket, no clock, no
//! log. Files with certificates and keys become what a handshake needs (`certificates.rs`), and what a certificate says is read in
//! `names.rs`. Which connections have it, and when their handshakes have their turn, is in `shard/`. Two have sockets: `accept.rs` takes
//! the streams of the HTTP side, and `dial.rs` is the other end, for subcommands.
//!
//! Whoever builds without the feature `tls` gets the same types without values (`absent.rs`): nothing else asks for the feature.
mod error;
mod options;

#[cfg(all(feature = "tls", feature = "http"))]
mod accept;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod dial;
#[cfg(feature = "tls")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod stream;
#[cfg(test)]
#[cfg(feature = "tls")]
pub(crate) mod testing;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;

#[cfg(not(feature = "tls"))]
mod absent;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{
    NoCertificates as Certificates, NoTlsDialer as TlsDialer, NoTlsStream as TlsStream,
    NoTlsTrouble as TlsTrouble,
};
#[cfg(feature = "tls")]
pub(crate) use certificates::Certificates;
#[cfg(feature = "tls")]
pub(crate) use dial::TlsDialer;
pub use error::{CertificateProblem, TlsError};
pub(crate) use options::DialOptions;
pub use options::{ClientCertificates, TlsOptions};
#[cfg(feature = "tls")]
pub(crate) use stream::{TlsStream, TlsTrouble};

/// What a handshake has come to.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) enum Greeting {
    /// The peer has to send more.
    Awaited,
    /// It is over; these plain bytes came right behind it.
    Over(Vec<u8>),
}
