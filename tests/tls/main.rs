//! TLS on the job port of a running server: with the library's own client, with openssl, with clients as their users write them; what
//! certificates must be, what is told of those that are not; handshakes that do not end. The transform alone is tested where it lives
//! (`src/tls/tests.rs`).
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod connections;
mod greetings;
mod http;
mod peers;
mod secrets;

use std::net::TcpStream;
use support::authority::{Authority, Identity, TlsClient};
use support::server::*;

/// A server that speaks TLS, and the CA that its clients know.
struct Secured {
    authority: Authority,
    identity: Identity,
    server: Server,
}

impl Secured {
    #[track_caller]
    fn start(options: &[&str]) -> Secured {
        let authority = Authority::new();
        let identity = authority.server();
        Secured::with(authority, identity, options)
    }

    /// One that asks for certificates of this CA.
    #[track_caller]
    fn asking(options: &[&str]) -> Secured {
        let authority = Authority::new();
        let identity = authority.server();
        let ca = format!("--ssl-ca-file={}", authority.ca());
        Secured::with(authority, identity, &[&[ca.as_str()], options].concat())
    }

    #[track_caller]
    fn with(authority: Authority, identity: Identity, options: &[&str]) -> Secured {
        let own = identity.options();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        // What tests wait for are warnings and notices.
        let says = options.iter().any(|option| option.starts_with("--verbose"));
        let verbose: &[&str] = if says { &[] } else { &["--verbose=NOTICE"] };
        let server = Server::start(&[&own[..], verbose, options].concat());
        Secured { authority, identity, server }
    }

    /// A connection by TLS, whose handshake is over.
    #[track_caller]
    fn connect(&self) -> TlsClient {
        self.connect_as(None).unwrap()
    }

    /// The same for one who shows a certificate; an error is what came of the handshake, or of the first answer.
    fn connect_as(&self, shows: Option<&Identity>) -> Result<TlsClient, std::io::Error> {
        let mut client = self.authority.speak(self.server.connect(), shows);
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock)?;
        }
        use std::io::{Read, Write};
        // With TLS 1.3 the client's part is over before its certificate was looked at.
        client.write_all(&request(16, b"hello"))?;
        let mut answer = [0; 17];
        client.read_exact(&mut answer)?;
        assert_eq!(&answer[12..], b"hello");
        Ok(client)
    }

    /// Waits for a line of the log.
    #[track_caller]
    fn await_line(&self, what: &str) {
        wait_until(what, || self.server.log().contains(what));
    }
}

/// A plain connection, with patience.
fn plain(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
