//! The other end: subcommands that reach a server by TLS. Chain and name of its certificate are always verified.
use super::certificates::{bytes, certificates, private_key};
use super::{CertificateProblem as Problem, DialOptions, TlsError};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, RootCertStore,
    StreamOwned,
};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What servers are reached with.
#[derive(Clone)]
pub(crate) struct TlsDialer(Arc<ClientConfig>);

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsDialer")
    }
}

impl TlsDialer {
    /// Reads the files. An error is one sentence.
    pub(crate) fn load(options: &DialOptions) -> Result<TlsDialer, String> {
        let Some(ca) = &options.ca else {
            return Err("say with --ca FILE, or RINGGEAR_CA, which CA has signed the certificate of the server; those that the \
                        system believes are in /etc/ssl/certs/ca-certificates.crt or a file like it"
                .to_owned());
        };
        load(ca, options.shows.as_ref()).map_err(|error| error.to_string())
    }

    /// Shakes hands over a connection to this host.
    pub(crate) fn over<S: Read + Write>(
        &self,
        host: &str,
        mut stream: S,
    ) -> Result<impl Read + Write + use<S>, TlsRefusal> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsRefusal::Name(host.to_owned()))?;
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(TlsRefusal::Library)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| TlsRefusal::of(host, error))?;
        }
        Ok(StreamOwned::new(connection, stream))
    }
}

fn load(ca: &Path, shows: Option<&(PathBuf, PathBuf)>) -> Result<TlsDialer, TlsError> {
    let of = |option, path: &Path| {
        let path = path.to_owned();
        move |problem| TlsError { option, path, problem }
    };
    let mut roots = RootCertStore::empty();
    let all = bytes(ca).and_then(|pem| certificates(&pem)).map_err(of("ca", ca))?;
    // A CA that cannot be read is none; the system's files have some of these.
    let (taken, _) = roots.add_parsable_certificates(all);
    if taken == 0 {
        return Err(of("ca", ca)(Problem::NoCertificate));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| of("ca", ca)(Problem::Other(error.to_string())))?
        .with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = bytes(certificate).and_then(|pem| certificates(&pem));
            let private = bytes(key).and_then(|pem| private_key(&pem)).map_err(of("key", key))?;
            let made = builder.with_client_auth_cert(chain.map_err(of("cert", certificate))?, private);
            made.map_err(|error| match error {
                Error::InconsistentKeys(_) => of("key", key)(Problem::OtherKey(certificate.clone())),
                error => of("cert", certificate)(Problem::Other(error.to_string())),
            })?
        }
    };
    Ok(TlsDialer(Arc::new(config)))
}

/// Why a handshake came to nothing. As a sentence about the server.
#[derive(Debug)]
pub(crate) enum TlsRefusal {
    /// The host cannot be a name in a certificate.
    Name(String),
    /// The certificate is for others.
    OtherName(String),
    /// What the library says.
    Library(Error),
    /// The connection broke.
    Broken(io::Error),
}

impl TlsRefusal {
    fn of(host: &str, error: io::Error) -> TlsRefusal {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => TlsRefusal::OtherName(host.to_owned()),
            Some(library) => TlsRefusal::Library(library.clone()),
            None => TlsRefusal::Broken(error),
        }
    }
}

impl fmt::Display for TlsRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CertificateError as Bad;
        match self {
            TlsRefusal::Name(host) => {
                write!(f, "{host} is no name that a certificate can have; say the server's own")
            }
            TlsRefusal::OtherName(host) => write!(
                f,
                "its certificate is not for {host}; say a name that is among its subjectAltNames, or have one made for this one"
            ),
            TlsRefusal::Library(Error::InvalidCertificate(Bad::UnknownIssuer)) => f.write_str(
                "its certificate is not signed by a CA in the file of --ca; name the CA that has signed it",
            ),
            TlsRefusal::Library(Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => {
                f.write_str("its certificate has expired; renew it there")
            }
            TlsRefusal::Library(Error::InvalidCertificate(why)) => {
                write!(f, "its certificate cannot be used ({why}); have it made again")
            }
            TlsRefusal::Library(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => f.write_str(
                "it does not speak TLS there; say http:// for that, or --control-tls to the server",
            ),
            TlsRefusal::Library(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
                f.write_str("it wants a certificate; show one with --cert and --key")
            }
            TlsRefusal::Library(error) => write!(f, "there is no TLS with it ({error})"),
            TlsRefusal::Broken(error) => write!(f, "the connection broke in the TLS handshake: {error}"),
        }
    }
}
