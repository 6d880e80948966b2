//! A CA for tests, made with `openssl ca`, and what it signs, revokes and lets expire; and a client of our server that speaks TLS.
use super::scratch::Scratch;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A connection by TLS, read and written like a socket.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// A CA with a folder of its own.
pub(crate) struct Authority {
    pub(crate) folder: Scratch,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a certificate is to be like.
pub(crate) struct Wanted<'a> {
    /// As in "/CN=localhost".
    pub(crate) subject: &'a str,
    /// As in "DNS:localhost,IP:127.0.0.1".
    pub(crate) names: &'a str,
    /// serverAuth or clientAuth.
    pub(crate) usage: &'a str,
    /// For `openssl genpkey`.
    pub(crate) key: &'a [&'a str],
    /// From when and until when it is good, as "YYMMDDHHMMSSZ".
    pub(crate) good: (&'a str, &'a str),
}

/// ECDSA on P-256.
pub(crate) const ECDSA: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// RSA of 2048 bits.
pub(crate) const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
/// Good now.
pub(crate) const GOOD: (&str, &str) = ("200101000000Z", "491231235959Z");
/// Over.
pub(crate) const OVER: (&str, &str) = ("200101000000Z", "210101000000Z");

impl Default for Wanted<'_> {
    fn default() -> Self {
        Wanted {
            subject: "/CN=localhost",
            names: "DNS:localhost,IP:127.0.0.1",
            usage: "serverAuth",
            key: ECDSA,
            good: GOOD,
        }
    }
}

/// Runs openssl, which is to succeed.
#[track_caller]
pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Authority {
        let authority = Authority { folder: Scratch::new() };
        fs::write(authority.folder.file("index.txt"), "").unwrap();
        fs::create_dir(authority.folder.file("issued")).unwrap();
        let place = authority.folder.path("");
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={place}/index.txt\nnew_certs_dir={place}/issued\ncertificate={place}/ca.pem\n\
             private_key={place}/ca.key\nrand_serial=yes\ndefault_md=sha256\nunique_subject=no\npolicy=any\ndefault_crl_days=3650\n\
             crlnumber={place}/crlnumber\ncrl_extensions=list\n[list]\nauthorityKeyIdentifier=keyid:always\n\
             [any]\ncommonName=supplied\norganizationName=optional\n"
        );
        fs::write(authority.folder.file("ca.cnf"), config).unwrap();
        fs::write(authority.folder.file("crlnumber"), "01\n").unwrap();
        let (key, ca) = (authority.folder.path("ca.key"), authority.folder.path("ca.pem"));
        openssl(&[&["genpkey", "-out", &key], ECDSA].concat());
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            &key,
            "-out",
            &ca,
            "-days",
            "3650",
            "-subj",
            // Of another name than others have, by which it is told from them.
            &format!("/CN=CA {}", place.trim_matches('/').replace('/', " ")),
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]);
        authority
    }

    /// The file with its own certificate.
    pub(crate) fn ca(&self) -> String {
        self.folder.path("ca.pem")
    }

    /// Signs something.
    #[track_caller]
    pub(crate) fn issue(&self, name: &str, wanted: &Wanted<'_>) -> Identity {
        let Wanted { subject, names, usage, key: kind, good } = wanted;
        let file = |end: &str| self.folder.path(&format!("{name}.{end}"));
        let (key, request, certificate, extensions) = (file("key"), file("csr"), file("pem"), file("ext"));
        openssl(&[&["genpkey", "-out", &key], *kind].concat());
        openssl(&["req", "-new", "-key", &key, "-out", &request, "-subj", subject]);
        let text = format!("subjectAltName={names}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n");
        fs::write(&extensions, text).unwrap();
        let config = self.folder.path("ca.cnf");
        openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-preserveDN",
            "-config",
            &config,
            "-in",
            &request,
            "-out",
            &certificate,
            "-startdate",
            good.0,
            "-enddate",
            good.1,
            "-extfile",
            &extensions,
        ]);
        Identity { certificate: certificate.into(), key: key.into() }
    }

    /// A server's.
    #[track_caller]
    pub(crate) fn server(&self) -> Identity {
        self.issue("server", &Wanted::default())
    }

    /// A client's, with this common name.
    #[track_caller]
    pub(crate) fn client(&self, name: &str) -> Identity {
        let (subject, names) = (format!("/CN={name}"), format!("DNS:{name}"));
        self.issue(
            name,
            &Wanted { subject: &subject, names: &names, usage: "clientAuth", ..Wanted::default() },
        )
    }

    /// One that nobody has signed but itself.
    #[track_caller]
    pub(crate) fn self_signed(&self, name: &str) -> Identity {
        let [config, key, certificate] =
            ["cnf", "key", "pem"].map(|end| self.folder.path(&format!("{name}.{end}")));
        let text = format!(
            "[req]\ndistinguished_name=dn\nx509_extensions=ee\nprompt=no\n[dn]\nCN={name}\n[ee]\nbasicConstraints=CA:FALSE\n\
             extendedKeyUsage=clientAuth\nsubjectAltName=DNS:{name}\n"
        );
        fs::write(&config, text).unwrap();
        openssl(&[&["genpkey", "-out", &key], ECDSA].concat());
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-config",
            &config,
            "-key",
            &key,
            "-out",
            &certificate,
            "-days",
            "30",
        ]);
        Identity { certificate: certificate.into(), key: key.into() }
    }

    /// The CA's own certificate, as if it were a client's.
    pub(crate) fn itself(&self) -> Identity {
        Identity { certificate: self.ca().into(), key: self.folder.path("ca.key").into() }
    }

    /// Revokes one, and writes the CA with the list of all that were revoked to a file.
    #[track_caller]
    pub(crate) fn revoke(&self, identity: &Identity, into: &Path) {
        let (config, list) = (self.folder.path("ca.cnf"), self.folder.path("crl.pem"));
        openssl(&["ca", "-config", &config, "-revoke", identity.certificate.to_str().unwrap()]);
        openssl(&["ca", "-config", &config, "-gencrl", "-out", &list]);
        let both = [fs::read(self.ca()).unwrap(), fs::read(list).unwrap()].concat();
        fs::write(into, both).unwrap();
    }

    /// What a client believes that knows this CA, and what it shows.
    pub(crate) fn client_config(&self, shows: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shows {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap);
                builder
                    .with_client_auth_cert(chain.collect(), PrivateKeyDer::from_pem_file(key).unwrap())
                    .unwrap()
            }
        })
    }

    /// A connection over this socket; the handshake comes with the first bytes.
    pub(crate) fn speak(&self, socket: TcpStream, shows: Option<&Identity>) -> TlsClient {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(self.client_config(shows), name).unwrap(), socket)
    }
}

impl Identity {
    /// The options of a server that has this certificate.
    pub(crate) fn options(&self) -> Vec<String> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        vec!["--ssl".into(), format!("--ssl-certificate={certificate}"), format!("--ssl-key={key}")]
    }
}
