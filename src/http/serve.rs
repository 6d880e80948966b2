//! Connections: accepted, bounded, given up. What is answered is in `route.rs`, their TLS in `greet.rs`.
use super::bounds::{ACCEPT_PAUSE, CONNECTIONS_MAX, GATEWAY_MAX, HEAD_BYTES, HEAD_TIME, HEADERS_MAX};
use super::desk::Desk;
use super::doors::{ControlDoor, DoorKind};
use super::gateway;
use super::greet::greet;
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
use std::os::fd::AsFd;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// Opens the doors: from now on connections are served, as long as the set of tasks runs that this is called in.
pub(super) fn open(doors: Vec<ControlDoor>, desk: Rc<Desk>) -> io::Result<()> {
    for ControlDoor { kind, address, certificates, socket } in doors {
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
                            let tls = certificates.is_some();
                            (stream, peer, Arrival::Tcp { own, peer, tls })
                        });
                        let Ok((stream, peer, arrival)) = accepted else {
                            sleep(ACCEPT_PAUSE).await;
                            continue;
                        };
                        let Some(admitted) = Admitted::admit(&stream, arrival, &desk, kind) else { continue };
                        let Some(certificates) = certificates.clone() else {
                            spawn_local(admitted.serve(Impatient::new(stream)));
                            continue;
                        };
                        spawn_local(async move {
                            let desk = admitted.desk.clone();
                            if let Some(secured) = greet(stream, peer, &certificates, &desk, kind).await {
                                admitted.serve(secured).await;
                            }
                        });
                    }
                });
            }
            None => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                spawn_local(async move {
                    loop {
                        let Ok((stream, _)) = listener.accept().await else {
                            sleep(ACCEPT_PAUSE).await;
                            continue;
                        };
                        let user = stream.peer_cred().ok().map(|peer| peer.uid());
                        if let Some(admitted) = Admitted::admit(&stream, Arrival::Unix { user }, &desk, kind)
                        {
                            spawn_local(admitted.serve(Impatient::new(stream)));
                        }
                    }
                });
            }
        }
    }
    Ok(())
}

/// Somebody who was let in, and counts while he is there.
struct Admitted {
    desk: Rc<Desk>,
    kind: DoorKind,
    visitor: Rc<Visitor>,
    count: Rc<Cell<usize>>,
}

impl Admitted {
    /// Lets somebody in who has connected; `None` if there are too many.
    fn admit(stream: &impl AsFd, arrival: Arrival, desk: &Rc<Desk>, kind: DoorKind) -> Option<Admitted> {
        let counts = &desk.counts;
        let (present, most) = match kind {
            DoorKind::Control => (&counts.connections, CONNECTIONS_MAX),
            DoorKind::Gateway => (&counts.gateway, GATEWAY_MAX),
        };
        if present.get() >= most {
            counts.refused.set(counts.refused.get() + 1);
            return None;
        }
        present.set(present.get() + 1);
        let visitor = Rc::new(Visitor { arrival, end: PeerEnd::of(stream) });
        Some(Admitted { desk: desk.clone(), kind, visitor, count: present.clone() })
    }

    /// Answers requests until one side ends that.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        // Who says nothing more may still listen: `nc -N`.
        http.max_buf_size(HEAD_BYTES).max_headers(HEADERS_MAX).half_close(true);
        let stream = TokioIo::new(stream);
        // What goes wrong with a connection ends it, and is the peer's affair.
        let ended = match self.kind {
            DoorKind::Control => {
                let answer = |request| {
                    let (desk, visitor) = (self.desk.clone(), self.visitor.clone());
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
                    let (desk, visitor) = (self.desk.clone(), self.visitor.clone());
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
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}
