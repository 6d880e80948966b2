//! TLS between a connection and its socket, where the job server speaks it (`--tls`). A run has one way for all of its connections,
//! so that it is said once. Chain and name of the certificate are verified.
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Bytes that are taken from a socket at once.
const RAW: usize = 64 * 1024;

/// What every connection is made with, if TLS is spoken.
static WAY: OnceLock<DialedWay> = OnceLock::new();

/// What a server is believed by, and its name.
type DialedWay = (Arc<ClientConfig>, ServerName<'static>);

/// From now on all connections speak TLS, to a server with this name whose certificate is signed by a CA of this file.
///
/// # Errors
/// A sentence about the file or the name.
pub(crate) fn switch_on(ca: &Path, name: &str) -> Result<(), String> {
    let way = way(ca, name)?;
    // It is said once, before there is a connection.
    let _ = WAY.set(way);
    Ok(())
}

fn way(ca: &Path, name: &str) -> Result<DialedWay, String> {
    let wrong = |why: &dyn fmt::Display| format!("--ca {}: {why}", ca.display());
    let mut roots = RootCertStore::empty();
    let file = File::open(ca).map_err(|error| wrong(&error))?;
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"there is no certificate in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let known = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("--tls-name {name}: no name that a certificate can have"))?;
    Ok((Arc::new(config), known))
}

/// The TLS of one connection.
pub(crate) struct Cover {
    connection: ClientConnection,
    /// What came from the socket, and how much of it was taken.
    raw: Vec<u8>,
    taken: usize,
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cover")
    }
}

impl Cover {
    /// For a connection that begins; `None` where no TLS is spoken.
    pub(crate) fn begin() -> io::Result<Option<Box<Cover>>> {
        WAY.get().map(Cover::by).transpose()
    }

    fn by((config, name): &DialedWay) -> io::Result<Box<Cover>> {
        let mut connection = ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
        // What waits is bounded by what is submitted, as without TLS.
        connection.set_buffer_limit(None);
        Ok(Box::new(Cover { connection, raw: Vec::new(), taken: 0 }))
    }

    /// Fills the buffer as far as something is there: so many bytes, 0 at the end, `None` when there is nothing.
    pub(crate) fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => return Ok(Some(filled)),
                Ok(read) => {
                    filled += read;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It was closed without a word.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Some(filled)),
                Err(error) => return Err(error),
            }
            if self.taken == self.raw.len() {
                self.raw.resize(RAW, 0);
                self.taken = 0;
                let read = stream.read(&mut self.raw);
                self.raw.truncate(*read.as_ref().unwrap_or(&0));
                match read {
                    Ok(0) => {
                        // It learns of the end by reading nothing.
                        self.connection.read_tls(&mut io::empty())?;
                        self.connection.process_new_packets().map_err(io::Error::other)?;
                        continue;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            }
            let mut rest = &self.raw[self.taken..];
            let before = rest.len();
            self.connection.read_tls(&mut rest)?;
            self.taken += before - rest.len();
            self.connection.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(if filled == 0 { None } else { Some(filled) })
    }

    /// Whether something came that was not read, of which the socket does not tell.
    pub(crate) fn has_more(&mut self) -> bool {
        self.taken < self.raw.len() || self.connection.reader().fill_buf().is_ok_and(|left| !left.is_empty())
    }

    /// Takes bytes to be sent, all of them.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(bytes)
    }

    /// Whether something waits to be sent.
    pub(crate) fn wants_to_send(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends what waits; false if the socket takes no more for now.
    pub(crate) fn send(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// A connection that waits, for administrators' lines.
pub(crate) trait Spoken: Read + Write {}

impl<S: Read + Write> Spoken for S {}

/// Such a connection over a socket, by TLS where that is spoken.
pub(crate) fn spoken(stream: TcpStream) -> io::Result<Box<dyn Spoken>> {
    Ok(match Cover::begin()? {
        None => Box::new(stream),
        Some(cover) => Box::new(StreamOwned::new(cover.connection, stream)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::link::{Link, Received};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::thread;

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/tls/testing").join(name)
    }

    /// A peer that sends back what it reads, so many bytes.
    fn echo(size: usize) -> std::net::SocketAddr {
        let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut bytes = vec![0; size];
            stream.read_exact(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        });
        address
    }

    #[test]
    fn what_is_sent_comes_back_whole() {
        const SIZE: usize = 3 << 20;
        assert!(way(Path::new("/nonexistent"), "localhost").unwrap_err().contains("/nonexistent"));
        let stream = TcpStream::connect(echo(SIZE)).unwrap();
        stream.set_nonblocking(true).unwrap();
        // Not for all connections: other tests have some.
        let cover = Cover::by(&way(&file("ca.pem"), "localhost").unwrap()).unwrap();
        let mut link = Link::over(stream, Some(cover));
        let sent: Vec<u8> = (0..SIZE).map(|at| (at / 7) as u8).collect();
        link.out.extend_from_slice(&sent);
        let (mut came, mut scratch) = (Vec::new(), vec![0; 100_000]);
        loop {
            link.flush().unwrap();
            match link.receive(&mut scratch).unwrap() {
                Received::Bytes(count) => came.extend_from_slice(&scratch[..count]),
                Received::Nothing => thread::yield_now(),
                Received::Closed => break,
                Received::Large => unreachable!("nothing is kept"),
            }
        }
        assert!(came == sent && !link.has_more(), "{} bytes of {SIZE}", came.len());
    }
}
