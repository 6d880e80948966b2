//! What an operator decides about TLS. Values only: files are read in `certificates.rs`, flags and variables in `config/tls.rs`.
use std::path::PathBuf;

/// Whether clients and workers show certificates: `--ssl-client`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one. The default where no CA is named.
    #[default]
    NotAsked,
    /// They may have none; one that is sent must be good. The default where a CA is named.
    Optional,
    /// Whoever has none is refused.
    Required,
}

/// The files, and who must show a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The server's certificate and those between it and a CA, PEM, its own first.
    pub certificate: PathBuf,
    /// The key of the first of them: PEM, PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
    /// CAs by whom certificates of peers may be signed, PEM, and lists of those that were revoked (X509 CRL). Needed unless
    /// nobody is asked.
    pub ca: Option<PathBuf>,
    /// Who must show a certificate.
    pub client: ClientCertificates,
}

/// What the other end of a connection believes and shows: subcommands that ask a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DialOptions {
    /// CAs of which one has signed the certificate of the server, PEM.
    pub(crate) ca: Option<PathBuf>,
    /// A certificate to show, PEM, its own first, and its key.
    pub(crate) shows: Option<(PathBuf, PathBuf)>,
}
