//! Connections: accepted, bounded, given up. What is answered is in `route.rs`.
use super::bounds::{ACCEPT_PAUSE, CONNECTIONS_MAX, GATEWAY_MAX, HEAD_BYTES, HEAD_TIME, HEADERS_MAX};
use super::desk::Desk;
use super::gateway;
use super::guard::{Arrival, Visitor};
use super::hangups::PeerEnd;
use super::linger::linger;
use super::route;
use super::stalls::Impatient;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// What is behind a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorKind {
    /// The HTTP side (`--control`).
    Control,
    /// gearmand's HTTP (`--protocol http`).
    Gateway,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct ControlDoor {
    pub(crate) kind: DoorKind,
    /// Its address; none for a unix socket.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) socket: OwnedFd,
}

/// Opens the doors: from now on connections are served, as long as the set of tasks runs that this is called in.
pub(super) fn open(doors: Vec<ControlDoor>, desk: Rc<Desk>) -> io::Result<()> {
    for ControlDoor { kind, address, socket } in doors {
        let desk = desk.clone();
        match address {
            Some(_) => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                spawn_local(async move {
                    loop {
                        let accepted = listener.accept().await.map(|(stream, peer)| {
                            let own = stream.local_addr().ok().map(|own| own.ip());
                            (stream, Arrival::Tcp { own, peer })
                        });
                        admit(accepted, &desk, kind).await;
                    }
                });
            }
            None => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                spawn_local(async move {
                    loop {
                        let accepted = listener.accept().await.map(|(stream, _)| {
                            let user = stream.peer_cred().ok().map(|peer| peer.uid());
                            (stream, Arrival::Unix { user })
                        });
                        admit(accepted, &desk, kind).await;
                    }
                });
            }
        }
    }
    Ok(())
}

/// Serves whoever was accepted, beside the others.
async fn admit<S>(accepted: io::Result<(S, Arrival)>, desk: &Rc<Desk>, kind: DoorKind)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + 'static,
{
    let Ok((stream, arrival)) = accepted else { return sleep(ACCEPT_PAUSE).await };
    let counts = &desk.counts;
    let (present, most) = match kind {
        DoorKind::Control => (&counts.connections, CONNECTIONS_MAX),
        DoorKind::Gateway => (&counts.gateway, GATEWAY_MAX),
    };
    if present.get() >= most {
        counts.refused.set(counts.refused.get() + 1);
        return;
    }
    let here = Present::of(desk, present);
    let visitor = Rc::new(Visitor { arrival, end: PeerEnd::of(&stream) });
    spawn_local(async move {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        // Who says nothing more may still listen: `nc -N`.
        http.max_buf_size(HEAD_BYTES).max_headers(HEADERS_MAX).half_close(true);
        let stream = TokioIo::new(Impatient::new(stream));
        // What goes wrong with a connection ends it, and is the peer's affair.
        let ended = match kind {
            DoorKind::Control => {
                let answer = |request| {
                    let (desk, visitor) = (here.desk.clone(), visitor.clone());
                    async move { Ok::<_, io::Error>(route::answer(&desk, request, &visitor).await) }
                };
                http.serve_connection(stream, service_fn(answer))
                    .without_shutdown()
                    .await
                    .map(|parts| parts.io)
            }
            DoorKind::Gateway => {
                // Scripts look for gearmand's own spelling.
                http.title_case_headers(true).auto_date_header(false);
                let answer = |request| {
                    let (desk, visitor) = (here.desk.clone(), visitor.clone());
                    async move { gateway::answer(&desk, request, &visitor).await }
                };
                http.serve_connection(stream, service_fn(answer))
                    .without_shutdown()
                    .await
                    .map(|parts| parts.io)
            }
        };
        if let Ok(stream) = ended {
            linger(stream.into_inner()).await;
        }
    });
}

/// A connection that counts, while it is there.
struct Present {
    desk: Rc<Desk>,
    count: Rc<Cell<usize>>,
}

impl Present {
    fn of(desk: &Rc<Desk>, count: &Rc<Cell<usize>>) -> Present {
        count.set(count.get() + 1);
        Present { desk: desk.clone(), count: count.clone() }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}
