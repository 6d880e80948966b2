//! Encryption between us and the database, as `sslmode` and the words beside it ask for it: who is believed to be the server,
//! and what we show of ourselves. When there is to be any is `target.rs`.
use super::surroundings::TargetMistake;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Anybody's: what is sent cannot be read by who only listens.
    Anybody,
    /// Those that lead to one of these; and if so wanted, that have the name of the host.
    Roots {
        /// A file; those of the system without.
        file: Option<PathBuf>,
        /// Where it was named.
        origin: String,
        /// Whether the name counts.
        name: bool,
    },
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsWish {
    pub(super) trust: Trust,
    /// Files of our own certificate and its key, and where they were named.
    pub(super) own: Option<(PathBuf, PathBuf, String)>,
}

/// What makes connections secret.
#[derive(Clone)]
pub(super) struct PgTls(pub(super) MakeRustlsConnect);

impl std::fmt::Debug for PgTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgTls")
    }
}

impl PgTls {
    /// As it is asked for. Files are read now.
    pub(super) fn of(wish: &TlsWish) -> Result<PgTls, TargetMistake> {
        let provider = Arc::new(ring::default_provider());
        let broken = |error: Error| TargetMistake { origin: "TLS".to_owned(), what: error.to_string() };
        let (believed, name) = match &wish.trust {
            Trust::Anybody => (None, false),
            Trust::Roots { file, origin, name } => (Some(roots(file.as_ref(), origin)?), *name),
        };
        let chain = match believed {
            None => None,
            Some(roots) => {
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
                let what = |error: rustls::client::VerifierBuilderError| error.to_string();
                Some(
                    verifier
                        .map_err(|error| TargetMistake { origin: "TLS".to_owned(), what: what(error) })?,
                )
            }
        };
        let verifier = Arc::new(PgVerifier { chain, name, provider: provider.clone() });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &wish.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key, origin)) => {
                let mistake = |what: String| TargetMistake { origin: origin.clone(), what };
                let chain = certificates(certificate, origin)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                    mistake(format!("{} is no file with a key: {error:?}", key.display()))
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| mistake(error.to_string()))?
            }
        };
        Ok(PgTls(MakeRustlsConnect::new(config)))
    }
}

/// The certificates in a file, at least one.
fn certificates(file: &PathBuf, origin: &str) -> Result<Vec<CertificateDer<'static>>, TargetMistake> {
    let mistake = |what: String| TargetMistake { origin: origin.to_owned(), what };
    let unreadable = |error| mistake(format!("{} is no file with certificates: {error:?}", file.display()));
    let read = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let found = read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    match found.is_empty() {
        true => Err(mistake(format!("there is no certificate in {}", file.display()))),
        false => Ok(found),
    }
}

fn roots(file: Option<&PathBuf>, origin: &str) -> Result<RootCertStore, TargetMistake> {
    let found = match file {
        Some(file) => certificates(file, origin)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        let what = "there is no certificate that can be believed: name a file with sslrootcert".to_owned();
        return Err(TargetMistake { origin: origin.to_owned(), what });
    }
    Ok(roots)
}

/// Believes a server, or does not.
#[derive(Debug)]
struct PgVerifier {
    /// Nothing is asked without.
    chain: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PgVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at when everything else was found to be right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
