//! Files with certificates, keys and CAs become what handshakes are made with. They are read at the start and at SIGHUP, after the
//! server has become the user that it runs as; whoever is connected keeps what its handshake was made with.
use super::names::{self, Validity};
use super::{CertificateProblem as Problem, ClientCertificates, TlsError, TlsOptions, TlsStream, TlsTrouble};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, RootCertStore, ServerConfig, server};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Bytes of the largest file that is read: all CAs of the world take a quarter of a MiB.
const FILE_MAX: u64 = 16 << 20;

const CERTIFICATE: &str = "ssl-certificate";
const KEY: &str = "ssl-key";
const CA: &str = "ssl-ca-file";

/// What handshakes are made with now.
pub(crate) struct Certificates {
    options: TlsOptions,
    current: Mutex<Current>,
}

/// What was read last and was good.
#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    validity: Validity,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files.
    pub(crate) fn load(options: TlsOptions) -> Result<Certificates, TlsError> {
        let current = Mutex::new(read(&options)?);
        Ok(Certificates { options, current })
    }

    /// Reads the files again, for handshakes that begin from now on. With an error everything stays as it was.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let read = read(&self.options)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When our certificate expires, in seconds since 1970.
    pub(crate) fn expires(&self) -> u64 {
        self.current().validity.until
    }

    /// The same, for people, with the file.
    pub(crate) fn expiry_text(&self) -> String {
        format!(
            "{}: the certificate expires at {}",
            self.options.certificate.display(),
            self.current().validity.until_text
        )
    }

    /// What connections that begin now are made with.
    #[cfg(feature = "http")]
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current().config
    }

    /// One end of a connection that begins now.
    pub(crate) fn stream(&self) -> Result<TlsStream, TlsTrouble> {
        TlsStream::new(self.current().config)
    }
}

fn read(options: &TlsOptions) -> Result<Current, TlsError> {
    let TlsOptions { certificate, key, ca, client } = options;
    let of_certificate = |problem| TlsError { option: CERTIFICATE, path: certificate.clone(), problem };
    let chain = certificates(&bytes(certificate).map_err(of_certificate)?).map_err(of_certificate)?;
    let mut first = None;
    let now = SystemTime::now();
    for (number, one) in (1..).zip(&chain) {
        let read = names::validity(one, now);
        let validity = read.map_err(|why| of_certificate(Problem::BadCertificate(number, why)))?;
        if validity.is_over {
            return Err(of_certificate(Problem::Expired(validity.until_text)));
        }
        if let Some(when) = validity.not_before {
            return Err(of_certificate(Problem::NotYet(when)));
        }
        first.get_or_insert(validity);
    }
    let Some(validity) = first else { return Err(of_certificate(Problem::NoCertificate)) };
    let of_key = |problem| TlsError { option: KEY, path: key.clone(), problem };
    let private = private_key(&bytes(key).map_err(of_key)?).map_err(of_key)?;
    let provider = Arc::new(ring::default_provider());
    let signing = provider.key_provider.load_private_key(private);
    let certified =
        CertifiedKey::new(chain, signing.map_err(|error| of_key(Problem::BadKey(error.to_string())))?);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => return Err(of_key(Problem::OtherKey(certificate.clone()))),
        Err(error) => return Err(of_certificate(Problem::Other(error.to_string()))),
    }
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| of_certificate(Problem::Other(error.to_string())))?;
    let builder = match (client, ca) {
        (ClientCertificates::NotAsked, _) | (_, None) => builder.with_no_client_auth(),
        (client, Some(ca)) => {
            let of_ca = |problem| TlsError { option: CA, path: ca.clone(), problem };
            let pem = bytes(ca).map_err(of_ca)?;
            builder.with_client_cert_verifier(verifier(*client, &pem, &provider).map_err(of_ca)?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // Sessions are not taken up again: each certificate is looked at anew, also after a list of revoked ones was read. Connections
    // to a job server last.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Current { config: Arc::new(config), validity })
}

fn verifier(
    client: ClientCertificates,
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn server::danger::ClientCertVerifier>, Problem> {
    let mut roots = RootCertStore::empty();
    for (number, root) in (1..).zip(certificates(pem)?) {
        roots.add(root).map_err(|error| Problem::BadCertificate(number, error.to_string()))?;
    }
    let revoked: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let revoked = revoked.map_err(|error| Problem::NotPem(error.to_string()))?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    if !revoked.is_empty() {
        // A CA need not have a list to be believed.
        builder = builder.with_crls(revoked).allow_unknown_revocation_status();
    }
    if client == ClientCertificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    let built = builder.build();
    built.map(|verifier| verifier as _).map_err(|error| match error {
        VerifierBuilderError::NoRootAnchors => Problem::NoCertificate,
        error => Problem::BadRevocations(error.to_string()),
    })
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = std::fs::File::open(path).map_err(Problem::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > FILE_MAX { Err(Problem::TooLarge) } else { Ok(bytes) }
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| Problem::NotPem(error.to_string()))?;
    if all.is_empty() { Err(Problem::NoCertificate) } else { Ok(all) }
}

pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    let has = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    // As OpenSSL writes it today, and as it did.
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Problem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => Problem::NoKey,
        error => Problem::NotPem(error.to_string()),
    })
}
