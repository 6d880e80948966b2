//! Stands between a store and its server, on loopback. When it is told to swallow, what the server says next does not come through, and
//! the connection ends a moment later.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) struct Proxy {
    pub(crate) port: u16,
    swallow: Arc<AtomicBool>,
}

impl Proxy {
    /// Before the server on this port.
    pub(crate) fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let swallow = Arc::new(AtomicBool::new(false));
        let swallows = swallow.clone();
        // Ends with the process.
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let swallows = swallows.clone();
                thread::spawn(move || answers(server, client, &swallows));
            }
        });
        Proxy { port, swallow }
    }

    /// The next answer is to be lost.
    pub(crate) fn swallow(&self) {
        self.swallow.store(true, Ordering::Relaxed);
    }

    /// Whether one is still to be lost.
    pub(crate) fn swallows(&self) -> bool {
        self.swallow.load(Ordering::Relaxed)
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream, swallow: &AtomicBool) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = server.read(&mut bytes) {
        if swallow.load(Ordering::Relaxed) {
            // What the server was asked to do it has done by then.
            thread::sleep(Duration::from_millis(300));
            swallow.store(false, Ordering::Relaxed);
            break;
        }
        if client.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}
