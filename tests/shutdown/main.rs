//! How the server ends, and what signals do.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod load;
#[cfg(feature = "sqlite")]
mod store;

use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use support::packets::*;
use support::server::*;

fn with_servers(test: impl Fn(&mut Server)) {
    for threads in ["1", "2"] {
        test(&mut Server::start(&["--threads", threads, "--verbose", "NOTICE"]));
    }
}

/// A worker takes a job and tells its handle.
fn grab(worker: &mut TcpStream) -> Vec<u8> {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (number, data) = read_packet(worker);
    assert_eq!(number, JOB_ASSIGN);
    data.split(|&byte| byte == 0).next().unwrap().to_vec()
}

fn complete(worker: &mut TcpStream, handle: &[u8]) {
    worker.write_all(&request(WORK_COMPLETE, &[handle, b"\0result"].concat())).unwrap();
}

fn submit(client: &mut TcpStream, command: u32) -> Vec<u8> {
    client.write_all(&request(command, b"f\0\0payload")).unwrap();
    let (number, handle) = read_packet(client);
    assert_eq!(number, JOB_CREATED);
    handle
}

#[test]
fn sigterm_and_sigint_stop_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        with_servers(|server| {
            let mut client = server.connect();
            submit(&mut client, SUBMIT_JOB);
            server.signal(signal);
            assert!(server.wait().success());
            assert_eq!(read_to_end(&mut client), b"");
            assert!(TcpStream::connect(server.address()).is_err());
        });
    }
}

/// Whoever restarts a server finds its port free, also if it was killed, when the kernel closes its sockets late.
#[test]
fn the_port_is_free_again_at_once() {
    for signal in [Signal::TERM, Signal::KILL] {
        with_servers(|server| {
            let mut peers: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
            peers.iter_mut().for_each(|peer| echo(peer, b"here"));
            server.signal(signal);
            server.wait();
            let again = Server::start_at(server.address(), &[]).expect("the port is free");
            echo(&mut again.connect(), b"again");
        });
    }
}

#[test]
fn sigusr1_stops_an_idle_server_at_once() {
    with_servers(|server| {
        let mut client = server.connect();
        echo(&mut client, b"idle");
        server.signal(Signal::USR1);
        assert!(server.wait().success());
        assert_eq!(read_to_end(&mut client), b"");
    });
}

#[test]
fn sigusr1_waits_for_the_last_job() {
    with_servers(|server| {
        let (mut client, mut worker, mut idle) = (server.connect(), server.connect(), server.connect());
        worker.write_all(&request(CAN_DO, b"f")).unwrap();
        let first = submit(&mut client, SUBMIT_JOB);
        assert_eq!(grab(&mut worker), first);

        server.signal(Signal::USR1);
        wait_until("nobody is let in any more", || TcpStream::connect(server.address()).is_err());
        echo(&mut idle, b"still served");
        let second = submit(&mut client, SUBMIT_JOB_BG);
        complete(&mut worker, &first);
        assert_eq!(read_packet(&mut client), (WORK_COMPLETE, [&first[..], b"\0result"].concat()));
        assert_eq!(grab(&mut worker), second);
        assert!(server.ended().is_none());
        complete(&mut worker, &second);
        assert!(server.wait().success());
        assert_eq!(read_to_end(&mut idle), b"");
    });
}

#[test]
fn the_last_result_arrives_before_a_draining_server_ends() {
    with_servers(|server| {
        let (mut client, mut worker) = (server.connect(), server.connect());
        worker.write_all(&request(CAN_DO, b"f")).unwrap();
        let handle = submit(&mut client, SUBMIT_JOB);
        assert_eq!(grab(&mut worker), handle);
        server.signal(Signal::USR1);
        wait_until("nobody is let in any more", || TcpStream::connect(server.address()).is_err());
        let result = vec![7; 20 << 20];
        worker.write_all(&request(WORK_COMPLETE, &[&handle[..], b"\0", &result].concat())).unwrap();
        let (number, data) = read_packet(&mut client);
        assert_eq!((number, data.len()), (WORK_COMPLETE, handle.len() + 1 + result.len()));
        assert!(server.wait().success());
    });
}

#[test]
fn sigterm_stops_a_draining_server() {
    with_servers(|server| {
        submit(&mut server.connect(), SUBMIT_JOB_BG);
        server.signal(Signal::USR1);
        wait_until("nobody is let in any more", || TcpStream::connect(server.address()).is_err());
        assert!(server.ended().is_none());
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    });
}

#[test]
fn sighup_opens_the_log_again() {
    let folder = std::env::temp_dir().join(format!("ringgear-sighup-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (log, old) = (folder.join("log"), folder.join("log.1"));
    let options = ["--threads", "1", "--verbose", "NOTICE", "--log-file", log.to_str().unwrap()];
    let mut server = Server::start(&options);
    wait_until("the start is logged", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("listening on"))
    });
    fs::rename(&log, &old).unwrap();
    server.signal(Signal::HUP);
    wait_until("the log is there again", || log.exists());
    echo(&mut server.connect(), b"undisturbed");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(fs::read_to_string(&log).unwrap().contains("stop"));
    assert!(fs::read_to_string(&old).unwrap().contains("SIGHUP"));
    fs::remove_dir_all(&folder).unwrap();
}
