//! TLS of the HTTP side, whose streams are those of a runtime: with the certificates of the job port, and the same words for what goes
//! wrong. How long a handshake may take, and how many there may be, is said by who calls.
use super::stream::HANDSHAKE;
use super::{Certificates, TlsTrouble};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream as SecuredStream;

impl Certificates {
    /// Shakes hands with a peer whose first byte is known, over a stream from which it was not taken. `None` if the peer has gone.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        first: u8,
        stream: S,
    ) -> Result<SecuredStream<S>, Option<TlsTrouble>> {
        if first != HANDSHAKE {
            return Err(Some(TlsTrouble::Plain));
        }
        let accepted = TlsAcceptor::from(self.config()).accept(stream).await;
        accepted.map_err(|error| {
            let library = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            library.cloned().map(TlsTrouble::Library)
        })
    }
}
