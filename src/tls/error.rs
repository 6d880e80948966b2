//! Why files with certificates and keys cannot be used. Each is one sentence that names the option, the file and the remedy.
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A file that cannot be used.
#[derive(Debug)]
pub struct TlsError {
    /// The long name of the option that names it.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: CertificateProblem,
}

/// What can be wrong with a file.
#[derive(Debug)]
pub enum CertificateProblem {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is larger than anything of its kind.
    TooLarge,
    /// It is no PEM, or broken.
    NotPem(String),
    /// There is no certificate in it.
    NoCertificate,
    /// A certificate in it cannot be read: its number, counted from 1, and why.
    BadCertificate(usize, String),
    /// The certificate is not good any more: since when.
    Expired(String),
    /// It is not good yet: from when on.
    NotYet(String),
    /// There is no key in it.
    NoKey,
    /// The key in it is encrypted.
    EncryptedKey,
    /// The key is of a kind that is not known.
    BadKey(String),
    /// It is the key of another certificate, not of the one in this file.
    OtherKey(PathBuf),
    /// A list of revoked certificates in it cannot be used.
    BadRevocations(String),
    /// The program was built without TLS.
    NotBuilt,
    /// Something else, in the words of the library.
    Other(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CertificateProblem as Problem;
        let TlsError { option, path, problem } = self;
        write!(f, "--{option} {}: ", path.display())?;
        match problem {
            Problem::Unreadable(error) => {
                write!(f, "it cannot be read: {error}; name a file that the user of the server may read")
            }
            Problem::TooLarge => f.write_str("it is larger than 16 MiB; name a file with certificates or a key only"),
            Problem::NotPem(why) => write!(f, "it is not PEM ({why}); name a file with -----BEGIN lines"),
            Problem::NoCertificate => {
                f.write_str("there is no certificate in it; name a file with a section BEGIN CERTIFICATE")
            }
            Problem::BadCertificate(number, why) => {
                write!(f, "certificate {number} in it cannot be read ({why}); have it made again")
            }
            Problem::Expired(when) => {
                write!(f, "the certificate has expired at {when}, and peers would refuse it; renew it")
            }
            Problem::NotYet(when) => write!(
                f,
                "the certificate is good from {when} on only, and peers would refuse it; look at the clock, or have it made again"
            ),
            Problem::NoKey => f.write_str("there is no private key in it; name a file with a section BEGIN PRIVATE KEY"),
            Problem::EncryptedKey => f.write_str(
                "the key in it is encrypted, and nobody is there to be asked for its password; decrypt it with `openssl pkey`, \
                 and let only the user of the server read it",
            ),
            Problem::BadKey(why) => {
                write!(f, "the key in it cannot be used ({why}); take RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519")
            }
            Problem::OtherKey(certificate) => write!(
                f,
                "it is not the key of the first certificate in {}; name the two that belong together",
                certificate.display()
            ),
            Problem::BadRevocations(why) => {
                write!(f, "a list of revoked certificates in it cannot be used ({why}); have it made again, or take it out")
            }
            Problem::NotBuilt => f.write_str("this program was built without TLS (the feature tls); build it with, or leave --ssl out"),
            Problem::Other(why) => write!(f, "it cannot be used ({why}); name another"),
        }
    }
}

impl std::error::Error for TlsError {}
