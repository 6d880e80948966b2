//! TLS as a transform: what a peer sent becomes plain bytes, plain bytes become what it is sent (`stream.rs`). No socket, no clock, no
//! log. Files with certificates and keys become what a handshake needs (`certificates.rs`), and what a certificate says is read in
//! `names.rs`. Which connections have it, and when their handshakes have their turn, is in `shard/`.
//!
//! Whoever builds without the feature `tls` gets the same types without values (`absent.rs`): nothing else asks for the feature.
mod error;
mod options;

#[cfg(feature = "tls")]
mod certificates;
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
    NoCertificates as Certificates, NoTlsStream as TlsStream, NoTlsTrouble as TlsTrouble,
};
#[cfg(feature = "tls")]
pub(crate) use certificates::Certificates;
pub use error::{CertificateProblem, TlsError};
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
