//! A tunnel that puts TLS below the connections of tests: whoever connects to it is led to a server by TLS. What ends on one side ends
//! alike on the other: a half-close, an end, a reset.
use super::authority::Authority;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

/// The variable of the environment that has all servers under test serve by TLS.
pub(crate) const TLS: &str = "RINGGEAR_TEST_TLS";

/// Bytes of stack of the threads of a connection: tests have thousands.
const STACK: usize = 128 << 10;

/// A CA and the certificate of all servers of this test.
static WORLD: LazyLock<(Authority, Vec<String>)> = LazyLock::new(|| {
    let authority = Authority::new();
    let options = authority.server().options();
    (authority, options)
});

/// Whether servers under test serve by TLS.
pub(crate) fn is_wanted() -> bool {
    std::env::var(TLS).is_ok_and(|value| value == "1")
}

/// The options of such a server.
pub(crate) fn options() -> &'static [String] {
    &WORLD.1
}

/// Leads whoever connects here to the server there, until that one accepts no more.
pub(crate) fn lead(here: SocketAddr, there: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(here)?;
    let config = WORLD.0.client_config(None);
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            // A server that does not accept looks like one that closes, and the next to come is refused here, too.
            let Ok(far) = TcpStream::connect(there) else { return };
            let config = config.clone();
            let carrying = move || carry(near, far, config);
            drop(thread::Builder::new().stack_size(STACK).spawn(carrying));
        }
    });
    Ok(())
}

/// Closes with a reset.
fn reset(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
    let _ = socket.shutdown(Shutdown::Both);
}

fn carry(near: TcpStream, mut far: TcpStream, config: Arc<ClientConfig>) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config, name).unwrap();
    while tls.is_handshaking() {
        if tls.complete_io(&mut far).is_err() {
            return;
        }
    }
    let (tls, near, far) = (&Mutex::new(tls), &near, &far);
    thread::scope(|scope| {
        let back = thread::Builder::new().stack_size(STACK);
        if back.spawn_scoped(scope, || bring(far, near, tls)).is_ok() {
            take(near, far, tls);
        }
    });
}

/// From the test to the server.
fn take(mut near: &TcpStream, mut far: &TcpStream, tls: &Mutex<ClientConnection>) {
    let mut plain = [0; 16 << 10];
    loop {
        let read = near.read(&mut plain);
        let mut sealed = Vec::new();
        {
            let mut tls = tls.lock().unwrap();
            match &read {
                Ok(length @ 1..) => tls.writer().write_all(&plain[..*length]).unwrap(),
                Ok(0) => tls.send_close_notify(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    reset(far);
                    return;
                }
            }
            while tls.wants_write() {
                tls.write_tls(&mut sealed).unwrap();
            }
        }
        if far.write_all(&sealed).is_err() {
            let _ = near.shutdown(Shutdown::Read);
            return;
        }
        if matches!(read, Ok(0)) {
            return;
        }
    }
}

/// From the server to the test.
fn bring(mut far: &TcpStream, mut near: &TcpStream, tls: &Mutex<ClientConnection>) {
    let mut sealed = [0; 32 << 10];
    loop {
        let length = match far.read(&mut sealed) {
            Ok(length @ 1..) => length,
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return reset(near),
        };
        let mut left = &sealed[..length];
        let mut plain = Vec::new();
        let mut ended = false;
        while !left.is_empty() {
            let mut tls = tls.lock().unwrap();
            if tls.read_tls(&mut left).is_err() {
                break;
            }
            match tls.process_new_packets() {
                Ok(state) => {
                    let at = plain.len();
                    plain.resize(at + state.plaintext_bytes_to_read(), 0);
                    tls.reader().read_exact(&mut plain[at..]).unwrap();
                    ended |= state.peer_has_closed();
                }
                Err(_) => return reset(near),
            }
        }
        if near.write_all(&plain).is_err() {
            // It does not want to hear; the server learns it as it would of the peer itself.
            reset(far);
            return;
        }
        if ended {
            break;
        }
    }
    let _ = near.shutdown(Shutdown::Write);
    let _ = far.shutdown(Shutdown::Write);
}
