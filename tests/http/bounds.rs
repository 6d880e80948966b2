//! Whoever is slow, silent or greedy is given up, and nobody else waits for him: least of all those who have jobs.
use crate::client::{Looked, answered};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// As the sources say (`src/http/bounds.rs`).
const CONNECTIONS_MAX: usize = 64;
const HEAD_TIME: Duration = Duration::from_secs(10);
const SEND_TIME: Duration = Duration::from_secs(10);

/// A server with so many functions, which the worker that is returned knows.
fn with_functions(count: usize, options: &[&str]) -> (Looked, TcpStream) {
    let looked = Looked::start(options);
    let mut worker = looked.server.connect();
    let packets: Vec<u8> =
        (0..count).flat_map(|at| request(CAN_DO, format!("function-number-{at:06}").as_bytes())).collect();
    worker.write_all(&packets).unwrap();
    echo(&mut worker, b"x");
    (looked, worker)
}

/// When the server closes a connection.
fn closed_after(mut stream: TcpStream, since: Instant) -> Duration {
    let mut some = [0; 4096];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return since.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return since.elapsed(),
            Err(error) => panic!("{error} after {:?}", since.elapsed()),
        }
    }
}

#[test]
fn who_says_nothing_is_closed() {
    let looked = Looked::start(&[]);
    let since = Instant::now();
    let silent = looked.connect();
    let mut half = looked.connect();
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: local").unwrap();
    // Somebody who was answered and keeps the connection for later has no longer.
    let mut kept = looked.connect();
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    for (stream, who) in [(silent, "silent"), (half, "half"), (kept, "kept")] {
        let after = closed_after(stream, since);
        assert!(
            (HEAD_TIME..HEAD_TIME + Duration::from_secs(6)).contains(&(after + Duration::from_millis(100))),
            "{who}: {after:?}"
        );
    }
    assert_eq!(looked.get("/livez").status, 200);
}

#[test]
fn who_reads_nothing_is_closed_and_holds_nobody_up() {
    let (looked, _worker) = with_functions(10_000, &["--metrics-functions", "10000"]);
    let mut deaf: Vec<TcpStream> = (0..8).map(|_| looked.connect()).collect();
    let since = Instant::now();
    for stream in &mut deaf {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    let mut client = looked.server.connect();
    while since.elapsed() < SEND_TIME / 2 {
        let asked = Instant::now();
        assert_eq!(looked.get("/readyz").status, 200);
        echo(&mut client, b"x");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    // Nothing is read before that: what is there then is what the system had room for, and the end.
    wait_until("those who do not read are closed", || {
        thread::sleep(Duration::from_millis(200));
        let body = looked.get("/livez");
        assert_eq!(body.status, 200);
        since.elapsed() > SEND_TIME + Duration::from_secs(5)
    });
    for mut stream in deaf {
        let got = read_to_end(&mut stream);
        let head = String::from_utf8_lossy(&got[..got.len().min(1000)]).into_owned();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        assert!(length.is_none_or(|length| got.len() < length), "all {length:?} bytes came: {}", got.len());
    }
}

#[test]
fn there_are_so_many_connections() {
    let looked = Looked::start(&[]);
    let there: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| looked.connect()).collect();
    let asked = || {
        let mut stream = looked.connect();
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        read_to_end(&mut stream)
    };
    wait_until("one more is closed", || asked().is_empty());
    let mut client = looked.server.connect();
    echo(&mut client, b"x");
    drop(there);
    wait_until("there is room again", || !asked().is_empty());
}

/// Who sends a body that is refused reads why when he has sent it, if that is not too much.
#[test]
fn a_refused_body_is_answered_all_the_same() {
    let folder = Scratch::new();
    std::fs::write(folder.file("tokens"), "anonymous read\n").unwrap();
    let looked = Looked::start(&["--control-tokens", &folder.path("tokens")]);
    let head = |length: u64| {
        format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let piece = vec![b'x'; 1 << 20];
    let mut stream = looked.connect();
    stream.write_all(head(32 << 20).as_bytes()).unwrap();
    for _ in 0..32 {
        stream.write_all(&piece).unwrap();
    }
    let refused = answered(&mut stream);
    assert!(refused.status == 413 && refused.sentence().contains("send less"), "{refused:?}");
    // Who never stops is not listened to for ever.
    let mut stream = looked.connect();
    stream.write_all(head(1 << 40).as_bytes()).unwrap();
    let sent = (0..1024).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 256, "{sent} MiB were read");
    assert_eq!(looked.get("/livez").status, 200);
}

#[test]
fn whatever_is_sent_it_goes_on() {
    let looked = Looked::start(&["-t", "2"]);
    let long = "x".repeat(100_000);
    let heads: String = (0..200).map(|at| format!("X-{at}: y\r\n")).collect();
    let requests = [
        "\0REQ\0\0\0\x10\0\0\0\0".to_owned(),
        "status\n".to_owned(),
        "\r\n\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{heads}\r\n"),
        "GET /%00%ff/../../etc/passwd?%00=%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /api/v1/functions/%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nffffffffffffffffffff\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for request in &requests {
        let mut stream = looked.connect();
        // It may be closed before all of it is read.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let answer = read_to_end(&mut stream);
        let first = request.lines().next().unwrap_or_default();
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
        assert!(answer.is_empty() || shown.starts_with("HTTP/1."), "{first:.40}: {shown}");
        assert_eq!(looked.get("/livez").status, 200, "{first:.40}");
    }
    // Bytes from a generator of its own, so that a failure can be told.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        let mut bytes = b"GET /api/v1/jobs?".to_vec();
        for _ in 0..round {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state as u8);
        }
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut stream = looked.connect();
        let _ = stream.write_all(&bytes[if round % 2 == 0 { 0 } else { 17 }..]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_to_end(&mut stream);
    }
    assert_eq!(looked.get("/readyz").status, 200);
    echo(&mut looked.server.connect(), b"x");
}

/// Nobody looks: no thread wakes up because somebody could.
#[test]
fn nobody_wakes_up_for_nobody() {
    let looked = Looked::start(&["-t", "2"]);
    assert_eq!(looked.get("/metrics").status, 200);
    thread::sleep(Duration::from_secs(1));
    let before = looked.server.sleeps();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(looked.server.sleeps() - before, 0);
}

/// A hundred thousand functions are walked through page by page: who has jobs does not notice.
#[test]
fn a_bystander_of_many_functions() {
    const FUNCTIONS: usize = 100_000;
    let (looked, _worker) = with_functions(FUNCTIONS, &["-t", "1"]);
    let mut client = looked.server.connect();
    let over = AtomicBool::new(false);
    let mut worst = Duration::ZERO;
    let mut answers = 0_u32;
    let lookers = ["/", "/metrics", "/api/v1/functions?state=unattended&limit=1000"];
    thread::scope(|scope| {
        let looking: Vec<_> = lookers
            .iter()
            .map(|path| {
                let (looked, over) = (&looked, &over);
                scope.spawn(move || {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(looked.get(path).status, 200, "{path}");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) {
            let asked = Instant::now();
            echo(&mut client, b"x");
            worst = worst.max(asked.elapsed());
            answers += 1;
        }
        over.store(true, Ordering::Relaxed);
        for (path, looking) in lookers.iter().zip(looking) {
            let count: u32 = looking.join().unwrap();
            assert!(count > 0, "{path} was never answered");
            eprintln!("{path}: {count} answers");
        }
    });
    eprintln!("{answers} answers to the bystander, the longest took {worst:?}");
    // One step walks through 256 functions; the rest is the machine, which others use too.
    assert!(worst < Duration::from_millis(250), "{worst:?}");
    let metrics = looked.metrics();
    assert!(metrics.contains(&format!("\nringgear_functions {FUNCTIONS}\n")));
    assert!(metrics.contains(&format!("\nringgear_functions_unlisted {}\n", FUNCTIONS - 500)));
}
