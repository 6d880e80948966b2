//! What a service manager hears (systemd's notify protocol): datagrams on the socket that NOTIFY_SOCKET names.
use super::*;
use crate::support::packets::*;
use crate::support::server::{Server, request};
use std::io::Write;
use std::os::unix::net::UnixDatagram;

/// Pretends to be a service manager.
struct Manager {
    socket: UnixDatagram,
    variable: String,
    _folder: Scratch,
}

impl Manager {
    fn new() -> Manager {
        let folder = Scratch::new();
        let path = folder.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, variable: format!("NOTIFY_SOCKET={path}"), _folder: folder }
    }

    fn hear(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        text(&bytes[..length]).lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_manager_hears_when_it_is_ready_and_how_it_ends() {
    let manager = Manager::new();
    let mut server = Server::start_by(&["env", &manager.variable], &["-t", "2"]);
    assert_eq!(manager.hear(), ["READY=1".to_owned(), format!("MAINPID={}", server.pid())]);
    assert_eq!(manager.hear(), ["STATUS=serving"]);
    let mut client = server.connect();
    client.write_all(&request(SUBMIT_JOB_BG, b"f\0\0x")).unwrap();
    crate::support::server::read_packet(&mut client);
    // The board that a server looks at when it drains is written at the end of a round.
    wait_until("the job is counted", || server.counter("jobs") == 1);
    server.signal(Signal::USR1);
    assert_eq!(manager.hear(), ["STATUS=ending when no jobs are left: there are 1"]);
    server.signal(Signal::TERM);
    let rest = std::iter::from_fn(|| Some(manager.hear())).find(|lines| lines[0] == "STOPPING=1");
    assert_eq!(rest.unwrap(), ["STOPPING=1", "STATUS=stopping"]);
    assert!(server.wait().success());
}

#[test]
fn a_manager_hears_of_stored_jobs() {
    let manager = Manager::new();
    let folder = Scratch::new();
    let options = ["-t", "1", "--data-dir", &folder.path("store")];
    let server = Server::start_by(&["env", &manager.variable], &options);
    assert_eq!(manager.hear(), ["READY=1".to_owned(), format!("MAINPID={}", server.pid())]);
    assert_eq!(manager.hear(), ["STATUS=reading stored jobs"]);
    assert_eq!(manager.hear(), ["STATUS=serving"]);
}

/// The one that goes on is the one to watch, and the one that was started ends after that is said.
#[test]
fn a_manager_hears_of_the_daemon() {
    let manager = Manager::new();
    let daemon = Daemon::start(&["env", &manager.variable], &["--log-file", "none", "-P", ""]);
    assert_eq!(manager.hear(), ["READY=1".to_owned(), format!("MAINPID={}", daemon.pid)]);
}

#[test]
fn a_start_that_fails_is_not_ready() {
    let manager = Manager::new();
    let options = ["-t", "1", "-P", "/nonexistent/pid"];
    let output = run_to_end(&["env", &manager.variable], free_address(), &options);
    assert_eq!(output.status.code(), Some(1));
    manager.socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 64];
    assert!(manager.socket.recv(&mut bytes).is_err(), "{}", text(&bytes));
}

#[test]
fn nobody_has_to_listen() {
    let server = Server::start_by(&["env", "NOTIFY_SOCKET=/nonexistent/socket"], &["-t", "1"]);
    crate::support::server::echo(&mut server.connect(), b"all the same");
}
