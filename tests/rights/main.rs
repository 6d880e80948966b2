//! Who may do what, on a running server: by address, by the user of a process at a unix socket, by certificate (`tls.rs`); at doors that
//! are for less; and what becomes of those who are there when the list is read again. What is denied changes nothing: that is shown in
//! `simulation/rights.rs`.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod doors;
mod reload;
mod subjects;
#[cfg(feature = "tls")]
mod tls;

use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use support::scratch::Scratch;
use support::server::*;

const CAN_DO: u32 = 1;
const SUBMIT_JOB: u32 = 7;
const JOB_CREATED: u32 = 8;
const GRAB_JOB: u32 = 9;
const NO_JOB: u32 = 10;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;
const GET_STATUS: u32 = 15;
const SUBMIT_JOB_BG: u32 = 18;
const ERROR: u32 = 19;
const STATUS_RES: u32 = 20;
const GET_STATUS_UNIQUE: u32 = 41;

/// What `geard` answers to whoever may not submit, byte for byte.
const DENIED: &[u8] = b"0\0Permission denied by ACL\0";
const LINE_DENIED: &str = "ERR PERMISSION_DENIED This+connection+may+not+do+that\r\n";

/// A server with a list.
struct Guarded {
    folder: Scratch,
    server: Server,
}

impl Guarded {
    #[track_caller]
    fn start(list: &str, options: &[&str]) -> Guarded {
        let folder = Scratch::new();
        fs::write(folder.file("acl"), list).unwrap();
        let acl = format!("--acl={}", folder.path("acl"));
        let server = Server::start(&[&[acl.as_str(), "--verbose=NOTICE"], options].concat());
        Guarded { folder, server }
    }

    /// Writes another list, and has it read.
    fn renew(&self, list: &str) {
        fs::write(self.folder.file("acl"), list).unwrap();
        self.server.signal(Signal::HUP);
    }

    /// A connection from this address of this machine.
    fn connect_from(&self, here: [u8; 4]) -> TcpStream {
        connect_from(self.server.address(), here)
    }

    #[track_caller]
    fn await_line(&self, what: &str) {
        wait_until(what, || self.server.log().contains(what));
    }
}

fn connect_from(there: SocketAddr, here: [u8; 4]) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(Ipv4Addr::from(here).into(), 0).into()).unwrap();
    socket.connect(&there.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a packet and reads the answer.
#[track_caller]
fn asks(stream: &mut (impl Read + Write), number: u32, data: &[u8]) -> (u32, Vec<u8>) {
    stream.write_all(&request(number, data)).unwrap();
    read_packet(stream)
}

/// Sends a packet that has no answer, and sees that it has none.
#[track_caller]
fn says(stream: &mut (impl Read + Write), number: u32, data: &[u8]) {
    stream.write_all(&request(number, data)).unwrap();
    echo(stream, b"behind it");
}

fn denied() -> (u32, Vec<u8>) {
    (ERROR, DENIED.to_vec())
}

/// Sends a line and reads the answer: a list up to its dot, or one line.
#[track_caller]
fn line(stream: &mut (impl Read + Write), text: &str) -> String {
    stream.write_all(format!("{text}\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    loop {
        let one = [&b"OK"[..], b"ERR "].iter().any(|word| answer.starts_with(word));
        if one && answer.ends_with(b"\n") || answer == b".\n" || answer.ends_with(b"\n.\n") {
            return String::from_utf8(answer).unwrap();
        }
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
}
