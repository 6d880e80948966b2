//! Where the server listens: several addresses, unix sockets, both families; and what lists say of who comes that way.
#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::packets::*;
use support::scratch::Scratch;
use support::server::*;

/// The address in each line of `workers` whose function is `f`.
fn addresses(server: &Server) -> Vec<String> {
    let answer = ask(&mut server.connect(), "workers\n");
    let lines = answer.lines().filter(|line| line.ends_with(" : f"));
    let mut addresses: Vec<String> = lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            // What exporters take apart: a number, an address, an id.
            assert_eq!(words.len(), 5, "{line}");
            words[0].parse::<u32>().unwrap();
            words[1].parse::<std::net::IpAddr>().unwrap();
            words[1].to_owned()
        })
        .collect();
    addresses.sort();
    addresses
}

fn can_do(stream: &mut (impl std::io::Read + Write)) {
    stream.write_all(&request(CAN_DO, b"f")).unwrap();
    echo(stream, b"");
}

fn connect(address: &str, port: u16) -> TcpStream {
    let address: SocketAddr = format!("{address}:{port}").parse().unwrap();
    let stream = TcpStream::connect(address).unwrap_or_else(|error| {
        panic!(
            "{address}: {error}; this test needs IPv6 on loopback (sysctl net.ipv6.conf.lo.disable_ipv6=0)"
        )
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn several_addresses_are_served() {
    for threads in ["1", "3"] {
        let server = Server::start(&["-t", threads, "-L", "127.0.0.2", "--listen=::1", "-L127.0.0.2"]);
        let port = server.address().port();
        let mut workers = [connect("127.0.0.1", port), connect("127.0.0.2", port), connect("[::1]", port)];
        workers.iter_mut().for_each(can_do);
        // Addresses are those of the workers, not the server's.
        assert_eq!(addresses(&server), ["127.0.0.1", "127.0.0.1", "::1"]);
        assert!(TcpStream::connect(("127.0.0.3", port)).is_err());
    }
}

/// With both families a socket for IPv6 may speak IPv4; monitoring compares addresses.
#[test]
fn ipv4_in_ipv6_clothes_is_listed_as_ipv4() {
    let server = Server::start(&["-t", "2", "--listen", ""]);
    let mut mapped = connect("[::ffff:127.0.0.1]", server.address().port());
    can_do(&mut mapped);
    let mut six = connect("[::1]", server.address().port());
    can_do(&mut six);
    assert_eq!(addresses(&server), ["127.0.0.1", "::1"]);
    drop(server);
    let server = Server::start(&["-t", "2", "--listen", "::ffff:127.0.0.2"]);
    let mut plain = connect("127.0.0.2", server.address().port());
    can_do(&mut plain);
    assert_eq!(addresses(&server), ["127.0.0.1"]);
}

/// A job from a client by one way to a worker by another.
fn job(client: &mut (impl std::io::Read + Write), worker: &mut (impl std::io::Read + Write), load: &[u8]) {
    client.write_all(&request(SUBMIT_JOB, &[&b"f\0\0"[..], load].concat())).unwrap();
    let (number, handle) = read_packet(client);
    assert_eq!(number, JOB_CREATED);
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    let assigned = [&handle[..], b"f", load].join(&0);
    assert_eq!(read_packet(worker), (JOB_ASSIGN, assigned));
    let complete = [&handle[..], load].join(&0);
    worker.write_all(&request(WORK_COMPLETE, &complete)).unwrap();
    assert_eq!(read_packet(client), (WORK_COMPLETE, complete));
}

#[test]
fn a_unix_socket_is_served_like_a_port() {
    for threads in ["1", "3"] {
        let folder = Scratch::new();
        let path = folder.file("socket");
        let mut server = Server::start(&["-t", threads, "-L", &format!("unix:{}", path.display())]);
        let file = fs::symlink_metadata(&path).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.mode() & 0o777, 0o666);

        let mut worker = Server::connect_by(&path);
        worker.write_all(&request(SET_CLIENT_ID, b"me")).unwrap();
        can_do(&mut worker);
        let mut client = Server::connect_by(&path);
        job(&mut client, &mut worker, b"small");
        job(&mut server.connect(), &mut worker, &vec![7; 3 << 20]);
        let listed = ask(&mut client, "workers\n");
        assert!(listed.lines().any(|line| line.ends_with(" 127.0.0.1 me : f")), "{listed}");

        // Whichever thread accepts them.
        let mut many: Vec<UnixStream> = (0..200).map(|_| Server::connect_by(&path)).collect();
        many.iter_mut().for_each(|stream| echo(stream, b"here"));
        assert!(counter(&mut client, "sessions") >= 202);
        drop(many);
        wait_until("closed connections are forgotten", || counter(&mut client, "sessions") <= 3);

        server.signal(Signal::TERM);
        assert!(server.wait().success());
        assert!(!path.exists(), "the file is removed in the end");
        assert_eq!(read_to_end(&mut client), b"");
    }
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn a_unix_socket_belongs_to_one_server() {
    let folder = Scratch::new();
    let path = folder.file("socket");
    let options = ["-t", "2", "-L", &unix(&path), "--unix-mode", "600"];
    let mut first = Server::start(&options);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let second = run_to_end(&[], free_address(), &options);
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(PORT_TAKEN));
    let path_text = path.display();
    assert!(
        message.contains(&format!(
            "cannot listen on unix:{path_text}: another process listens there; stop it, or choose another path with --listen\n"
        )),
        "{message}"
    );
    echo(&mut Server::connect_by(&path), b"unharmed");

    // What a killed server leaves is taken over.
    first.signal(Signal::KILL);
    first.wait();
    assert!(path.exists());
    let mut third = Server::start(&options);
    echo(&mut Server::connect_by(&path), b"taken over");

    // Nobody new while it drains; who is there is served.
    let mut worker = Server::connect_by(&path);
    can_do(&mut worker);
    let mut client = Server::connect_by(&path);
    client.write_all(&request(SUBMIT_JOB, b"f\0\0x")).unwrap();
    let (_, handle) = read_packet(&mut client);
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    third.signal(Signal::USR1);
    wait_until("the file is gone", || !path.exists());
    // Another server may have its place meanwhile, and keeps it.
    let fourth = Server::start(&options);
    let complete = [&handle[..], b"done"].join(&0);
    worker.write_all(&request(WORK_COMPLETE, &complete)).unwrap();
    assert_eq!(read_packet(&mut client), (WORK_COMPLETE, complete));
    assert!(third.wait().success());
    echo(&mut Server::connect_by(&path), b"still there");
    drop(fourth);
}

#[test]
fn what_is_no_socket_stays() {
    let folder = Scratch::new();
    let path = folder.file("precious");
    fs::write(&path, "text").unwrap();
    let output = run_to_end(&[], free_address(), &["-L", &unix(&path)]);
    assert_eq!(output.status.code(), Some(69));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("precious: there is a file that is no socket; choose another path with --listen"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    let output = run_to_end(&[], free_address(), &["-L", "unix:/nonexistent/socket"]);
    assert_eq!(output.status.code(), Some(69));
}

/// C-F4. Scripts start the new server while the old one is still ending.
#[test]
fn a_port_in_use_is_tried_again() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    // Longer than it takes to start by far, and shorter than the server tries.
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        drop(holder);
    });
    let server = Server::start_at(address, &["-t", "2", "--verbose", "NOTICE"]).unwrap();
    ends.join().unwrap();
    echo(&mut server.connect(), b"here");
    let said = format!("] {address} is in use by another process; trying again for 5 s -> ");
    wait_until("it listens", || server.log().contains(&format!("listening on {address}")));
    assert_eq!(server.log().matches(&said).count(), 1, "{}", server.log());
}

#[test]
fn a_port_that_stays_in_use_ends_the_start() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let output = run_to_end(&[], address, &["-t", "1", "--verbose", "NOTICE"]);
    assert_eq!(output.status.code(), Some(PORT_TAKEN));
    let message = String::from_utf8(output.stderr).unwrap();
    let [sockets, notice, sentence] = message.lines().collect::<Vec<_>>()[..] else { panic!("{message}") };
    assert!(sockets.contains("] sockets are served by "), "{message}");
    assert!(notice.contains(&format!("{address} is in use by another process")), "{message}");
    assert!(
        sentence.ends_with(&format!(
            ": cannot listen on {address}: the port is in use; stop the process that has it, or choose another port with --port"
        )),
        "{message}"
    );
}

#[test]
fn whoever_waits_for_a_port_can_be_told_to_end() {
    let folder = Scratch::new();
    let (holder, log) = (TcpListener::bind("127.0.0.1:0").unwrap(), folder.path("log"));
    let port = holder.local_addr().unwrap().port().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringgear"))
        .args(["-t", "1", "-L", "127.0.0.1", "-p", &port, "--verbose", "NOTICE", "--log-file", &log])
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("it waits", || said().contains("trying again"));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(said().contains("SIGTERM, stopping before the start was over"), "{}", said());
}
