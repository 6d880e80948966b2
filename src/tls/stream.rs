//! One end of a TLS connection: what came is opened, what is to go is sealed. Between calls it keeps what is unfinished only: a part of a
//! record, and what the protocol itself wants said. Bytes go in and out; when, and over which socket, is not known here.
use super::{Greeting, names};
use crate::engine::CertificateNames;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, ServerConfig};
use std::fmt;
use std::sync::Arc;

/// What each handshake begins with: the type of its records.
pub(super) const HANDSHAKE: u8 = 0x16;
/// Unfinished bytes of a handshake: more than any message of it that a client or worker has reason to send, three certificates with
/// RSA keys of 4096 bits among them.
const GREETING_MAX: usize = 8 << 10;
/// Unfinished bytes later: a record, and what was received with its end.
const PENDING_MAX: usize = 32 << 10;
/// What a sealed record has beside its bytes, at the most: header, kind, tag, and the number that 1.2 writes there.
const OVERHEAD: usize = 64;
/// Bytes of the library behind the value itself: ciphers of both directions and the list of unfinished messages.
const LIBRARY: usize = 2 << 10;

/// One end of a TLS connection.
pub(crate) struct TlsStream {
    connection: UnbufferedServerConnection,
    /// What came of a record that is not whole.
    pending: Vec<u8>,
    /// Sealed already: what the protocol itself wants said.
    outgoing: Vec<u8>,
    /// Whether anything came.
    begun: bool,
    /// Whether the peer has said that it sends no more (close_notify).
    ended: bool,
    /// Whether nothing more can be opened or sealed.
    failed: bool,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Why a connection cannot go on. As the end of a sentence about the peer.
#[derive(Debug)]
pub(crate) enum TlsTrouble {
    /// What came is not TLS.
    Plain,
    /// More came of one message than it may have.
    TooLong,
    /// What the library says.
    Library(Error),
}

impl fmt::Display for TlsTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsTrouble::Plain => f.write_str("it does not speak TLS, which this port wants"),
            TlsTrouble::TooLong => {
                f.write_str("its TLS handshake does not fit into 8 KiB, as with a long chain of certificates")
            }
            TlsTrouble::Library(Error::InvalidCertificate(error)) => write_certificate(error, f),
            TlsTrouble::Library(Error::NoCertificatesPresented) => {
                f.write_str("it has shown no certificate, and --ssl-client required wants one")
            }
            TlsTrouble::Library(Error::AlertReceived(alert)) => write_alert(*alert, f),
            TlsTrouble::Library(Error::PeerIncompatible(why)) => match why {
                PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::SupportedVersionsExtensionRequired => {
                    f.write_str("it speaks neither TLS 1.2 nor TLS 1.3")
                }
                why => write!(f, "it has no way of TLS in common with this server ({why:?})"),
            },
            TlsTrouble::Library(Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)) => {
                f.write_str("it speaks neither TLS 1.2 nor TLS 1.3")
            }
            TlsTrouble::Library(error) => write!(f, "what it sends is no TLS as it should be ({error})"),
        }
    }
}

fn write_certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::UnknownIssuer => {
            f.write_str("its certificate is not signed by a CA in the file of --ssl-ca-file")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            f.write_str("its certificate has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            f.write_str("its certificate is not good yet")
        }
        CertificateError::Revoked => {
            f.write_str("its certificate is on the list of revoked ones in the file of --ssl-ca-file")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("its certificate is not for clients (extendedKeyUsage)")
        }
        error => write!(f, "its certificate cannot be used ({error})"),
    }
}

fn write_alert(alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::UnsupportedCertificate => {
            write!(f, "it does not take the certificate of this server ({alert:?})")
        }
        alert => write!(f, "it broke off TLS ({alert:?})"),
    }
}

impl TlsStream {
    /// One end of a connection of which nothing has come yet.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<TlsStream, TlsTrouble> {
        let connection = UnbufferedServerConnection::new(config).map_err(TlsTrouble::Library)?;
        let (pending, outgoing) = (Vec::new(), Vec::new());
        Ok(TlsStream { connection, pending, outgoing, begun: false, ended: false, failed: false })
    }

    /// Goes on with the handshake, with what came. This is what costs: a signature, an agreement on keys, a chain of certificates.
    /// What is to be answered is in [`TlsStream::outgoing`], also after an error.
    pub(crate) fn greet(&mut self, bytes: &[u8]) -> Result<Greeting, TlsTrouble> {
        if let Some(&first) = bytes.first()
            && !std::mem::replace(&mut self.begun, true)
            && first != HANDSHAKE
        {
            self.failed = true;
            return Err(TlsTrouble::Plain);
        }
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.extend_from_slice(bytes);
        let mut opened = Vec::new();
        self.run(buffer, &mut |plain| opened.extend_from_slice(plain))?;
        if self.connection.is_handshaking() {
            if self.pending.len() > GREETING_MAX {
                self.failed = true;
                return Err(TlsTrouble::TooLong);
            }
            return Ok(Greeting::Awaited);
        }
        Ok(Greeting::Over(opened))
    }

    /// Opens what came, piece by piece, in order. `scratch` is used between calls by others as well. What is behind the peer's
    /// last word is dropped.
    pub(crate) fn open(
        &mut self,
        bytes: &[u8],
        scratch: &mut Vec<u8>,
        plain: &mut dyn FnMut(&[u8]),
    ) -> Result<(), TlsTrouble> {
        if self.ended || self.failed {
            return Ok(());
        }
        if !self.pending.is_empty() {
            let mut buffer = std::mem::take(&mut self.pending);
            buffer.extend_from_slice(bytes);
            self.run(buffer, plain)?;
        } else {
            // Mostly records are whole, and nothing is left.
            scratch.clear();
            scratch.extend_from_slice(bytes);
            let used = self.advance(scratch, plain)?;
            self.pending.extend_from_slice(&scratch[used..]);
        }
        if self.ended {
            self.pending = Vec::new();
        }
        if self.pending.len() > PENDING_MAX {
            self.failed = true;
            return Err(TlsTrouble::TooLong);
        }
        Ok(())
    }

    /// Has the library use this buffer; what it does not use is pending afterwards.
    fn run(&mut self, mut buffer: Vec<u8>, plain: &mut dyn FnMut(&[u8])) -> Result<(), TlsTrouble> {
        let used = self.advance(&mut buffer, plain)?;
        if used < buffer.len() {
            buffer.drain(..used);
            self.pending = buffer;
        }
        Ok(())
    }

    /// Has the library go on until it wants more. How many bytes it used.
    fn advance(&mut self, buffer: &mut [u8], plain: &mut dyn FnMut(&[u8])) -> Result<usize, TlsTrouble> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut buffer[used..]);
            let mut stop = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(TlsTrouble::Library)?;
                        discard += record.discard;
                        plain(record.payload);
                    }
                }
                // It is never offered.
                Ok(ConnectionState::ReadEarlyData(mut early)) => while early.next_record().is_some() {},
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut self.outgoing, &mut message),
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                // It could seal, or wants more.
                Ok(_) => stop = true,
                Err(error) => {
                    self.failed = true;
                    used += discard;
                    self.say_why(&mut buffer[used..]);
                    return Err(TlsTrouble::Library(error));
                }
            }
            used += discard;
            if stop {
                return Ok(used);
            }
        }
    }

    /// Behind an error: the library has an alert to send. It must see what it saw before.
    fn say_why(&mut self, rest: &mut [u8]) {
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(rest);
        if let Ok(ConnectionState::EncodeTlsData(mut message)) = state {
            encode(&mut self.outgoing, &mut message);
        }
    }

    /// Seals bytes, behind what is in `out`: one record for each 16 KiB.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        self.write(out, plain.len() + OVERHEAD * (plain.len() / (16 << 10) + 1), |traffic, out| {
            traffic.encrypt(plain, out)
        })
    }

    /// Says that we send no more (close_notify), behind what is in `out`.
    pub(crate) fn farewell(&mut self, out: &mut Vec<u8>) {
        // Where nothing can be sealed any more, nothing can be said.
        let _ = self.write(out, OVERHEAD, |traffic, out| traffic.queue_close_notify(out));
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        mut how: impl FnMut(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsTrouble> {
        let mut room = room;
        loop {
            if self.failed {
                return Err(TlsTrouble::Library(Error::HandshakeNotComplete));
            }
            let mut pending = std::mem::take(&mut self.pending);
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut pending);
            let mut done = None;
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    // Said before: it may be an answer.
                    out.append(&mut self.outgoing);
                    let at = out.len();
                    out.resize(at + room, 0);
                    match how(&mut traffic, &mut out[at..]) {
                        Ok(length) => {
                            out.truncate(at + length);
                            done = Some(Ok(()));
                        }
                        Err(EncryptError::InsufficientSize(size)) => {
                            out.truncate(at);
                            room = size.required_size;
                        }
                        Err(EncryptError::EncryptExhausted) => {
                            out.truncate(at);
                            done = Some(Err(TlsTrouble::Library(Error::EncryptError)));
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut self.outgoing, &mut message),
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(_) => done = Some(Err(TlsTrouble::Library(Error::HandshakeNotComplete))),
                Err(error) => done = Some(Err(TlsTrouble::Library(error))),
            }
            pending.drain(..discard);
            self.pending = pending;
            if let Some(done) = done {
                self.failed |= done.is_err();
                return done;
            }
        }
    }

    /// What is sealed and to be sent before anything else. Whoever takes it sends it.
    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Whether the peer has said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes of memory that it takes.
    pub(crate) fn held(&self) -> usize {
        size_of::<TlsStream>() + LIBRARY + self.pending.capacity() + self.outgoing.capacity()
    }

    /// The names in the certificate of the peer, if it has shown one, which was verified then. To be asked when the handshake is
    /// over.
    pub(crate) fn names(&self) -> Option<CertificateNames> {
        self.connection.peer_certificates()?.first().map(|certificate| names::names(certificate))
    }
}

/// Writes a record of a handshake, which says how much room it wants, behind what is there.
fn encode<Data>(out: &mut Vec<u8>, message: &mut EncodeTlsData<'_, Data>) {
    let at = out.len();
    let mut room = 0;
    loop {
        out.resize(at + room, 0);
        match message.encode(&mut out[at..]) {
            Ok(length) => return out.truncate(at + length),
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size
            }
            Err(_) => return out.truncate(at),
        }
    }
}
