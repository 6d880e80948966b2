//! The HTTP side of a running server: what it tells, whom it tells it, and that nobody who uses or abuses it is noticed by those who have
//! jobs.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod bounds;
mod client;
mod events;
mod forms;
mod gateway;
mod metrics;
mod orders;
mod pages;
mod peek;
mod prometheus;
mod roles;
mod scale;
mod submit;
mod why;
mod worker;

use client::{Looked, answered};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use support::packets::*;
use support::scratch::Scratch;
use support::server::*;

/// Submits a background job and tells its handle.
fn submit(stream: &mut TcpStream, function: &[u8], unique: &str) -> String {
    let data = [function, b"\0", unique.as_bytes(), b"\0the payload"].concat();
    stream.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
    let (number, handle) = read_packet(stream);
    assert_eq!(number, JOB_CREATED);
    String::from_utf8(handle).unwrap()
}

#[test]
fn health_says_whether_it_lives_and_serves() {
    for threads in ["1", "2"] {
        let mut looked = Looked::start(&["-t", threads]);
        for path in ["/livez", "/readyz"] {
            let answered = looked.get(path);
            assert_eq!((answered.status, &answered.body[..]), (200, "ok\n"), "{path}");
        }
        let mut client = looked.server.connect();
        let handle = submit(&mut client, b"f", "u");
        looked.server.signal(Signal::USR1);
        wait_until("it is not ready", || looked.get("/readyz").status == 503);
        let answered = looked.get("/readyz");
        assert!(answered.body.starts_with("draining: "), "{answered:?}");
        assert_eq!(looked.get("/livez").status, 200);
        assert_eq!(looked.json("/api/v1/server")["phase"], "draining");
        assert!(looked.metrics().contains("\nringgear_phase{phase=\"draining\"} 1\n"));
        // It ends when there are no jobs, whoever is connected over HTTP.
        let mut idle = looked.connect();
        client.write_all(format!("cancel job {handle}\n").as_bytes()).unwrap();
        assert!(looked.server.wait().success());
        assert_eq!(read_to_end(&mut idle), b"");
    }
}

/// A database that is not there yet is waited for, and with it what is stored there.
#[cfg(feature = "postgres")]
#[test]
fn it_is_not_ready_before_stored_jobs_are_read() {
    let folder = Scratch::new();
    std::fs::write(folder.file("tokens"), "anonymous read,submit\n").unwrap();
    let tokens = folder.path("tokens");
    let nobody = format!("host=127.0.0.1 port={} dbname=d user=u", free_address().port());
    let options = ["-q", "postgres", "--libpq-conninfo", &nobody, "--control-tokens", &tokens];
    let mut looked = Looked::start(&options);
    let answered = looked.get("/readyz");
    assert_eq!(answered.status, 503, "{answered:?}");
    assert!(answered.body.starts_with("restoring: stored jobs are not all read"), "{answered:?}");
    assert_eq!(answered.header("retry-after"), Some("1"));
    assert_eq!(looked.get("/livez").status, 200);
    assert_eq!(looked.json("/api/v1/server")["phase"], "restoring");
    assert!(looked.get("/").body.contains("restoring: "));
    for path in ["/api/v1/functions", "/api/v1/jobs"] {
        assert_eq!(looked.get(path).status, 503, "{path}");
    }
    let submission = "POST /api/v1/jobs?function=f&background HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let refused = looked.send(submission);
    assert!(refused.status == 503 && refused.sentence().contains("restoring"), "{refused:?}");
    looked.server.signal(Signal::TERM);
    assert!(looked.server.wait().success());
    // With a store that is there it is ready as soon as that is read.
    let log = folder.path("log");
    let looked = Looked::start(&["--data-dir", &log]);
    wait_until("it is ready", || looked.get("/readyz").status == 200);
}

#[test]
fn it_ends_with_open_connections() {
    let mut looked = Looked::start(&["-t", "2"]);
    let mut silent = looked.connect();
    let mut half = looked.connect();
    half.write_all(b"GET / HTT").unwrap();
    let mut kept = looked.connect();
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut some = [0; 12];
    kept.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"HTTP/1.1 200");
    looked.server.signal(Signal::TERM);
    assert!(looked.server.wait().success());
    assert_eq!(read_to_end(&mut silent), b"");
    assert_eq!(read_to_end(&mut half), b"");
}

/// A newcomer has it without asking; a second server has none there, says so, and starts.
#[test]
fn a_port_that_is_taken_is_a_warning() {
    let first = Looked::start(&[]);
    let control = first.http.to_string();
    let second = Server::start(&["--control", &control, "--verbose", "WARNING"]);
    echo(&mut second.connect(), b"x");
    let log = second.log();
    assert!(log.contains(&format!("there is no HTTP side at {control}: ")), "{log}");
    assert!(log.contains("say --control none"), "{log}");
    assert_eq!(first.get("/livez").status, 200);
}

#[test]
fn a_unix_socket_is_for_the_user_of_the_server() {
    let folder = Scratch::new();
    let path = folder.file("control");
    let option = format!("unix:{}", folder.path("control"));
    let mut server = Server::start(&["--control", &option]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = Server::connect_by(&path);
    // The end of what is sent is no reason not to answer, and any Host will do.
    stream.write_all(b"GET /livez HTTP/1.0\r\nHost: anything\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = String::from_utf8(read_to_end(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn only_names_of_this_machine_are_answered() {
    let looked = Looked::start(&[]);
    let ask = |host: &str| looked.send(&format!("GET /livez HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    let port = looked.http.port();
    for host in
        ["localhost", "127.0.0.1", "[::1]:1", &format!("localhost:{port}"), &format!("127.0.0.1:{port}")]
    {
        assert_eq!(ask(&format!("Host: {host}\r\n")).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1", ""] {
        let refused = ask(&format!("Host: {host}\r\n"));
        assert_eq!(refused.status, 421, "{host}");
        assert!(refused.sentence().contains("ask localhost"), "{refused:?}");
    }
    assert_eq!(ask("").status, 400);
    assert_eq!(ask("Host: localhost\r\nHost: evil.example\r\n").status, 400);
    let absolute = "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(looked.send(absolute).status, 421);
}

#[test]
fn other_methods_do_nothing() {
    let looked = Looked::start(&[]);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"] {
        let target = if method == "CONNECT" { "localhost:1" } else { "/api/v1/jobs" };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
        );
        let refused = looked.send(&request);
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(
            refused.header("allow"),
            Some(if method == "CONNECT" { "GET, HEAD" } else { "GET, HEAD, POST" }),
            "{method}"
        );
        assert!(refused.sentence().contains("by this method"), "{method}");
    }
    let mut stream = looked.connect();
    stream.write_all(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let head = answered(&mut stream);
    assert_eq!((head.status, &head.body[..]), (200, ""));
    assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 1000);
}

/// What a browser is told about everything that it is given.
#[test]
fn every_answer_says_that_it_is_only_what_it_is() {
    let looked = Looked::start(&[]);
    for path in ["/", "/style.css", "/metrics", "/livez", "/api/v1/server", "/nothing", "/?x=1"] {
        let answered = looked.get(path);
        assert_eq!(answered.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answered.header("cache-control"), Some("no-store"), "{path}");
        let policy = answered.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answered.header("access-control-allow-origin"), None, "{path}");
    }
}
