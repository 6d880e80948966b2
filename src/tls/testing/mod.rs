//! Certificates of a CA made for tests, good for a hundred years; its own key is gone. Not for use: everybody has these keys.
use super::{Certificates, ClientCertificates, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::path::PathBuf;
use std::sync::Arc;

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tls/testing").join(name)
}

pub(crate) fn client_der() -> Vec<u8> {
    CertificateDer::from_pem_slice(include_bytes!("client.pem")).unwrap().to_vec()
}

pub(crate) fn server_der() -> Vec<u8> {
    CertificateDer::from_pem_slice(include_bytes!("server.pem")).unwrap().to_vec()
}

pub(crate) fn options(client: ClientCertificates) -> TlsOptions {
    let (certificate, key, ca) = (place("server.pem"), place("server.key"), Some(place("ca.pem")));
    TlsOptions { certificate, key, ca, client }
}

/// A server's certificate.
pub(crate) fn certificates(client: ClientCertificates) -> Certificates {
    Certificates::load(options(client)).unwrap()
}

/// The other end: a client that believes the CA, with its certificate or without.
pub(crate) fn peer(version: &'static SupportedProtocolVersion, with_certificate: bool) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(include_bytes!("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match with_certificate {
        false => builder.with_no_client_auth(),
        true => {
            let key = PrivateKeyDer::from_pem_slice(include_bytes!("client.key")).unwrap();
            builder.with_client_auth_cert(vec![client_der().into()], key).unwrap()
        }
    };
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

/// The other end as bytes: what it says, and what it hears.
pub(crate) struct Opposite(ClientConnection);

impl Opposite {
    /// One that speaks TLS 1.3, or 1.2.
    pub(crate) fn new(new: bool) -> Opposite {
        Opposite(peer(if new { &rustls::version::TLS13 } else { &rustls::version::TLS12 }, false))
    }

    /// What it sends next.
    pub(crate) fn says(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// It is to send this.
    pub(crate) fn sends(&mut self, plain: &[u8]) {
        std::io::Write::write_all(&mut self.0.writer(), plain).unwrap();
    }

    /// It gets these bytes, which must be right: the plain ones in them.
    pub(crate) fn hears(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut left = bytes;
        let mut plain = Vec::new();
        while !left.is_empty() {
            self.0.read_tls(&mut left).unwrap();
            let state = self.0.process_new_packets().unwrap();
            let at = plain.len();
            plain.resize(at + state.plaintext_bytes_to_read(), 0);
            std::io::Read::read_exact(&mut self.0.reader(), &mut plain[at..]).unwrap();
        }
        plain
    }
}
