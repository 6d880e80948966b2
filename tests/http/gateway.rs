//! gearmand's HTTP (`-r http`): what gearmand 1.1.20 was seen to answer, request by request (V1 to V27), where it answered what can be
//! relied on; and what is answered here where it lost a result, ran a job that nobody wanted, or closed without a word.
use crate::support::packets::*;
use crate::support::server::*;
use crate::worker::{Held, Worker};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A server with gearmand's HTTP.
struct Gateway {
    server: Server,
    http: SocketAddr,
}

fn start(options: &[&str]) -> Gateway {
    let always =
        ["-r", "http", "--http-port", "0", "--control", "none", "--verbose", "NOTICE", "-L", "127.0.0.1"];
    let server = Server::start(&[&always, options].concat());
    let mut http = None;
    wait_until("it says where", || {
        let log = server.log();
        let told = log.split("jobs are taken over HTTP on ").nth(1);
        http = told.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        http.is_some()
    });
    Gateway { server, http: http.unwrap() }
}

/// An answer, as it was sent.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: String,
    lines: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Told {
    fn line(&self, name: &str) -> &str {
        self.lines.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    fn command(&self) -> &str {
        self.line("X-Gearman-Command")
    }

    fn handle(&self) -> &str {
        self.line("X-Gearman-Job-Handle")
    }
}

impl Gateway {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// The answer to a request that needs no worker.
    #[track_caller]
    fn ask(&self, request: &str) -> Told {
        read(&mut self.send(request.as_bytes()), !request.starts_with("HEAD"))
    }

    /// The answer to a request whose job ends so.
    #[track_caller]
    fn work(
        &self,
        worker: &mut Worker,
        request: &str,
        doing: impl FnOnce(&mut Worker, &Held),
    ) -> (Told, Held) {
        let mut stream = self.send(request.as_bytes());
        let job = worker.grab();
        doing(worker, &job);
        (read(&mut stream, true), job)
    }

    fn jobs(&self) -> usize {
        let mut administrator = self.server.connect();
        ask(&mut administrator, "show jobs\n").lines().filter(|line| *line != ".").count()
    }
}

/// Reads one answer; more may follow.
#[track_caller]
fn read(stream: &mut TcpStream, has_body: bool) -> Told {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&head));
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
    let status = lines.next().unwrap();
    let lines: Vec<_> = lines
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    let length = lines
        .iter()
        .find(|(name, _)| name == "Content-Length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; if has_body { length } else { 0 }];
    stream.read_exact(&mut body).unwrap();
    Told { status, lines, body }
}

fn post(lines: &str, body: &str) -> String {
    format!("POST /rev HTTP/1.1\r\nContent-Length: {}\r\n{lines}\r\n{body}", body.len())
}

fn complete(worker: &mut Worker, job: &Held) {
    let reversed: Vec<u8> = job.workload.iter().rev().copied().collect();
    worker.say(WORK_COMPLETE, job, &reversed);
}

#[test]
fn a_request_is_a_job() {
    let gateway = start(&["-t", "2"]);
    let mut worker = Worker::of(&gateway.server, "rev");
    // V1: no workload, no unique.
    let (told, job) = gateway.work(&mut worker, "GET /rev HTTP/1.1\r\n\r\n", complete);
    let names: Vec<&str> = told.lines.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(told.status, "HTTP/1.1 200 OK");
    assert_eq!(names, ["X-Gearman-Job-Handle", "X-Gearman-Command", "Server", "Content-Length"]);
    assert_eq!((told.command(), told.line("Content-Length")), ("WORK_COMPLETE", "0"));
    assert!(told.line("Server").starts_with("Gearman/1.1.20"), "{told:?}");
    assert_eq!(told.handle().as_bytes(), &job.handle[..]);
    assert!(job.workload.is_empty());
    // V2, and V24: split anywhere.
    for request in [
        post("", "hello"),
        post("Connection: Keep-Alive\r\n", "hello"),
        post("", "hello").replace("POST", "PUT"),
        post("", "hello").replace("HTTP/1.1", "HTTP/1.0"),
        post("", "hello").replace("\r\n", "\n"),
        post("", "hello").replace("/rev", "///rev"),
        // V18: gearmand wants one blank there.
        post("", "hello").replace("Length: ", "Length:"),
        // V23: gearmand waits for more.
        format!("\r\n{}", post("", "hello")),
    ] {
        let (told, job) = gateway.work(&mut worker, &request, complete);
        assert_eq!(
            (told.command(), &told.body[..], &job.workload[..]),
            ("WORK_COMPLETE", &b"olleh"[..], &b"hello"[..]),
            "{request}"
        );
    }
    let request = post("X-Gearman-Unique: u\r\n", "hello");
    for at in [3, 20, 40, request.len() - 2] {
        let mut stream = gateway.send(&request.as_bytes()[..at]);
        echo(&mut gateway.server.connect(), b"x");
        stream.write_all(&request.as_bytes()[at..]).unwrap();
        let job = worker.grab();
        complete(&mut worker, &job);
        assert_eq!(read(&mut stream, true).body, b"olleh", "{at}");
    }
    // V26.
    let large = "x".repeat(100_000);
    assert_eq!(gateway.work(&mut worker, &post("", &large), complete).0.body.len(), 100_000);
}

#[test]
fn a_path_is_the_name_as_it_stands() {
    let gateway = start(&[]);
    for name in ["r%65v", "rev?x=1", "a/b"] {
        let told = gateway.ask(&format!("GET /{name} HTTP/1.1\r\nX-Gearman-Background: true\r\n\r\n"));
        assert_eq!(told.command(), "JOB_CREATED");
        let mut worker = Worker::of(&gateway.server, name);
        assert_eq!(worker.grab().handle, told.handle().as_bytes(), "{name}");
    }
}

#[test]
fn what_is_asked_of_nobody_runs_nothing() {
    let gateway = start(&[]);
    // V6.
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
        "GET /// HTTP/1.0\r\n\r\n",
    ] {
        let told = gateway.ask(request);
        assert!(told.status.ends_with(" 404 NOT_FOUND") && told.handle().is_empty(), "{told:?}");
    }
    // V3 and V4: gearmand runs a job, or tells of somebody else's.
    for request in ["HEAD /rev HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\n\r\n"] {
        let told = gateway.ask(request);
        assert_eq!((&told.status[..], told.handle(), told.command()), ("HTTP/1.1 200 OK", "", ""));
    }
    // V5 and V7: gearmand says nothing.
    for method in ["TRACE", "DELETE", "OPTIONS", "PATCH"] {
        let told = gateway.ask(&format!("{method} /rev HTTP/1.1\r\n\r\n"));
        assert!(
            told.status.contains(" 405 ") && told.body.starts_with(b"only GET, POST and PUT"),
            "{told:?}"
        );
        assert_eq!(told.line("Allow"), "GET, HEAD, POST, PUT");
    }
    // V7, V25, V27: no request at all.
    for request in [
        "GET /rev HTTP/2.0\r\n\r\n",
        "GET /rev\r\n\r\n",
        "POST /rev HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "status\r\n\r\n",
    ] {
        let answer = read_to_end(&mut gateway.send(request.as_bytes()));
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{request}: {:?}", String::from_utf8_lossy(&answer));
    }
    let long = format!("GET /rev HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let answer = read_to_end(&mut gateway.send(long.as_bytes()));
    assert!(answer.starts_with(b"HTTP/1.1 431 "));
    assert_eq!(gateway.jobs(), 0);
}

#[test]
fn background_unique_and_priority_are_lines_of_the_head() {
    let gateway = start(&[]);
    let submit =
        |lines: &str, body: &str| gateway.ask(&post(&format!("X-Gearman-Background: true\r\n{lines}"), body));
    // V8 and V9: the workload is the unique where there is none.
    let told = submit("", "hello");
    assert_eq!((told.command(), told.line("Content-Length")), ("JOB_CREATED", "0"));
    assert_eq!(submit("", "hello").handle(), told.handle());
    assert_ne!(submit("", "other").handle(), told.handle());
    assert_ne!(submit("", "").handle(), submit("", "").handle());
    // V10: the first priority stays.
    let told = submit("X-Gearman-Unique: u1\r\nx-gearman-PRIORITY: HIGH\r\n", "last");
    assert_eq!(submit("X-Gearman-Unique: u1\r\nX-Gearman-Priority: low\r\n", "x").handle(), told.handle());
    let mut worker = Worker::of(&gateway.server, "rev");
    let job = worker.grab();
    assert_eq!((&job.workload[..], &job.unique[..]), (&b"last"[..], &b"u1"[..]));
    worker.say(WORK_COMPLETE, &job, b"");
    // V11: another value is no wish for the background.
    let mut waiting =
        gateway.send(post("X-Gearman-Background: 1\r\nX-Gearman-Priority: high\r\n", "now").as_bytes());
    wait_until("it is there", || gateway.jobs() == 5);
    let job = worker.grab();
    assert_eq!(job.workload, b"now");
    worker.say(WORK_COMPLETE, &job, b"done");
    assert_eq!(read(&mut waiting, true).body, b"done");
}

#[test]
fn what_a_worker_says_is_told() {
    for (options, exception) in [(&[][..], "WORK_FAIL"), (&["--exceptions"], "WORK_EXCEPTION")] {
        let gateway = start(options);
        let mut worker = Worker::of(&gateway.server, "rev");
        // V13.
        let (told, _) =
            gateway.work(&mut worker, &post("", "x"), |worker, job| worker.say(WORK_FAIL, job, b""));
        assert_eq!(
            (&told.status[..], told.command(), told.line("Content-Length")),
            ("HTTP/1.1 200 OK", "WORK_FAIL", "0")
        );
        let (told, _) =
            gateway.work(&mut worker, &post("", "x"), |worker, job| worker.say(WORK_EXCEPTION, job, b"boom"));
        assert_eq!(told.command(), exception);
        assert_eq!(told.body, if exception == "WORK_FAIL" { &b""[..] } else { b"boom" });
        // V14: gearmand writes pieces over the head.
        let (told, _) = gateway.work(&mut worker, &post("", "x"), |worker, job| {
            worker.say(WORK_DATA, job, b"part1-");
            worker.say(WORK_DATA, job, b"part2-");
            worker.say(WORK_COMPLETE, job, b"end");
        });
        assert_eq!((told.command(), &told.body[..]), ("WORK_COMPLETE", &b"part1-part2-end"[..]));
        // V15: gearmand takes these for the result.
        let (told, _) = gateway.work(&mut worker, &post("", "x"), |worker, job| {
            worker.say(WORK_STATUS, job, b"1\x002");
            worker.say(WORK_WARNING, job, b"careful");
            worker.say(WORK_COMPLETE, job, b"end");
        });
        assert_eq!((told.command(), &told.body[..]), ("WORK_COMPLETE", &b"end"[..]));
    }
}

#[test]
fn what_is_refused_is_told_in_the_handles_place() {
    let gateway = start(&["--max-packet-size", "1000"]);
    // V16.
    let told = gateway.ask(&post(&format!("X-Gearman-Unique: {}\r\n", "u".repeat(70)), "x"));
    assert_eq!(
        (&told.status[..], told.handle(), told.command()),
        ("HTTP/1.1 200 OK", "ARGUMENT_TOO_LARGE", "ERROR")
    );
    // V17.
    let mut administrator = gateway.server.connect();
    administrator.write_all(b"create function rev\nmaxqueue rev 1\n").unwrap();
    let mut answer = [0; 8];
    administrator.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK\r\nOK\r\n");
    assert_eq!(gateway.ask(&post("X-Gearman-Background: true\r\n", "x")).command(), "JOB_CREATED");
    let told = gateway.ask(&post("X-Gearman-Background: true\r\n", "y"));
    assert_eq!((told.handle(), told.command()), ("QUEUE_ERROR", "ERROR"));
    // What would be too large a packet for any client.
    assert!(gateway.ask(&post("", &"x".repeat(1000))).status.contains(" 413 "));
}

/// V19 to V21: gearmand loses bodies in pieces, lets clients wait before they send, and abandons a second request.
#[test]
fn all_that_http_says_is_understood() {
    let gateway = start(&[]);
    let mut worker = Worker::of(&gateway.server, "rev");
    let chunked = "POST /rev HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_eq!(gateway.work(&mut worker, chunked, complete).0.body, b"olleh");
    let mut stream = gateway.send(b"POST /rev HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut first = [0; 25];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    let job = worker.grab();
    complete(&mut worker, &job);
    assert_eq!(read(&mut stream, true).body, b"olleh");
    let both = format!("{}{}", post("", "one"), post("", "two"));
    let mut stream = gateway.send(both.as_bytes());
    for (workload, result) in [(b"one", b"eno"), (b"two", b"owt")] {
        let job = worker.grab();
        assert_eq!(job.workload, workload);
        complete(&mut worker, &job);
        assert_eq!(read(&mut stream, true).body, result);
    }
}

/// V12 and V22.
#[test]
fn whoever_leaves_or_says_no_more_has_no_job() {
    let gateway = start(&["-t", "2"]);
    let stream = gateway.send(post("", "one").as_bytes());
    wait_until("it is there", || gateway.jobs() == 1);
    drop(stream);
    let mut half = gateway.send(post("", "two").as_bytes());
    wait_until("it is there", || gateway.jobs() == 2);
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut half), b"");
    let waiting = gateway.send(post("", "three").as_bytes());
    let mut worker = Worker::of(&gateway.server, "rev");
    assert_eq!(worker.grab().workload, b"three");
    drop(waiting);
}
