//! TLS handshakes of the HTTP side: so many at a time, each with a bound in time. Who speaks plainly is closed at once, and named.
use super::bounds::GREETING_TIME;
use super::desk::Desk;
use super::doors::DoorKind;
use super::stalls::Impatient;
use crate::log_at;
use crate::logging::Level;
use crate::tls::Certificates;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Shakes hands with somebody who has connected; `None` if nothing came of it.
pub(super) async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    certificates: &Certificates,
    desk: &Desk,
    kind: DoorKind,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let places = match kind {
        DoorKind::Control => &desk.greetings,
        DoorKind::Gateway => &desk.gateway_greetings,
    };
    let Some(_place) = places.take() else {
        desk.counts.refused.set(desk.counts.refused.get() + 1);
        return None;
    };
    let shaking = async {
        let mut first = [0];
        // Nothing is to be answered to who does not speak TLS, so it is looked at before the library does.
        match stream.peek(&mut first).await {
            Ok(1..) => certificates.accept(first[0], Impatient::new(stream)).await,
            Ok(0) | Err(_) => Err(None),
        }
    };
    let why = match timeout(GREETING_TIME, shaking).await {
        Ok(Ok(secured)) => return Some(secured),
        Ok(Err(None)) => return None,
        Ok(Err(Some(trouble))) => trouble.to_string(),
        Err(_) => format!("its TLS handshake was not over after {} s", GREETING_TIME.as_secs()),
    };
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    log_at!(Level::Warning, "closing HTTP connection of {peer}: {why}");
    None
}
