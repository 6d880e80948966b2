//! What holds for plain connections holds by TLS: jobs, large payloads, half-closes, slow readers, moves between threads, a drain, ends.
use super::Secured;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::Shutdown;

/// A worker with a function, asleep or not.
fn can_do(stream: &mut impl Write, function: &[u8]) {
    stream.write_all(&request(CAN_DO, function)).unwrap();
}

fn submit(function: &[u8], payload: &[u8]) -> Vec<u8> {
    request(SUBMIT_JOB, &[function, b"\0\0", payload].concat())
}

/// A job from one to the other: what the worker was given and what the client hears.
#[track_caller]
fn one_job(
    client: &mut (impl Read + Write),
    worker: &mut (impl Read + Write),
    function: &[u8],
    payload: &[u8],
) {
    can_do(worker, function);
    client.write_all(&submit(function, payload)).unwrap();
    let (number, handle) = read_packet(client);
    assert_eq!(number, JOB_CREATED);
    let given = loop {
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        match read_packet(worker) {
            (JOB_ASSIGN, data) => break data,
            (NO_JOB | NOOP, _) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(given, [&handle[..], b"\0", function, b"\0", payload].concat());
    worker.write_all(&request(WORK_COMPLETE, &[&handle[..], b"\0", payload].concat())).unwrap();
    assert_eq!(read_packet(client), (WORK_COMPLETE, [&handle[..], b"\0", payload].concat()));
}

#[test]
fn jobs_of_all_sizes_with_any_number_of_threads() {
    for threads in ["1", "3"] {
        let secured = Secured::start(&["-t", threads]);
        for (number, size) in [0, 1, 1000, 16_000, 16_384, 40_000, 300_000, 5 << 20].into_iter().enumerate() {
            let payload: Vec<u8> =
                (0..size).map(|n: usize| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
            let function = format!("f{number}");
            one_job(&mut secured.connect(), &mut secured.connect(), function.as_bytes(), &payload);
        }
    }
}

#[test]
fn a_port_of_its_own_leaves_the_other_plain() {
    let authority = crate::support::authority::Authority::new();
    let identity = authority.server();
    let secure = free_address();
    let options = [
        format!("--ssl-port={}", secure.port()),
        format!("--ssl-certificate={}", identity.certificate.display()),
        format!("--ssl-key={}", identity.key.display()),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let folder = Scratch::new();
    let path = format!("unix:{}", folder.path("socket"));
    let server = Server::start(&[&options[..], &["-t", "2", "-L", &path]].concat());
    let socket = super::plain(secure);
    let mut client = authority.speak(socket, None);
    let mut worker = server.connect();
    one_job(&mut client, &mut worker, b"over", b"by TLS and plain");
    let mut local = Server::connect_by(&folder.file("socket"));
    one_job(&mut local, &mut client, b"back", b"plain and by TLS");
    let log = server.log();
    assert!(!log.contains("closing connection"), "{log}");
}

#[test]
fn many_pipelined_requests_are_answered_in_order() {
    let secured = Secured::start(&["-t", "2"]);
    let mut client = secured.connect();
    let requests: Vec<u8> = (0..2000_u32).flat_map(|n| request(ECHO_REQ, &n.to_be_bytes())).collect();
    client.write_all(&requests).unwrap();
    for n in 0..2000_u32 {
        assert_eq!(read_packet(&mut client), (ECHO_RES, n.to_be_bytes().to_vec()));
    }
}

#[test]
fn an_end_with_and_without_its_word_is_an_end() {
    let secured = Secured::start(&["-t", "1"]);
    let submit = |n: u32| request(SUBMIT_JOB_BG, &[b"end\0", n.to_string().as_bytes(), b"\0x"].concat());
    // It says that it ends, and still hears everything.
    let mut client = secured.connect();
    client.write_all(&submit(1)).unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    // With the library's own word for an end: otherwise this is an error.
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    // A stream that is cut is an end as well: what was whole is carried out.
    let mut client = secured.connect();
    client.write_all(&submit(2)).unwrap();
    client.write_all(&submit(3)[..7]).unwrap();
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    // Inside of a record, too.
    let mut client = secured.connect();
    client.write_all(&submit(4)).unwrap();
    let mut sealed = Vec::new();
    client.conn.writer().write_all(&submit(5)).unwrap();
    client.conn.write_tls(&mut sealed).unwrap();
    client.sock.write_all(&sealed[..sealed.len() - 3]).unwrap();
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let status = ask(&mut secured.connect(), "status\n");
    assert!(status.starts_with("end\t3\t0\t0\n"), "{status}");
}

#[test]
fn what_was_received_before_a_bad_record_is_carried_out() {
    let secured = Secured::start(&["-t", "1"]);
    let mut client = secured.connect();
    client.write_all(&request(SUBMIT_JOB_BG, b"kept\0\0x")).unwrap();
    client
        .sock
        .write_all(&[23, 3, 3, 0, 40, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])
        .unwrap();
    client.sock.write_all(&[9; 16]).unwrap();
    let _ = read_to_end(&mut client.sock);
    wait_until("it is there", || ask(&mut secured.connect(), "status\n").starts_with("kept\t1\t"));
    secured.await_line("what it sends is no TLS as it should be");
}

#[test]
fn who_does_not_read_is_disconnected() {
    let secured = Secured::start(&["-t", "1", "--max-unread-bytes=1000000"]);
    let mut client = secured.connect();
    let large = request(ECHO_REQ, &vec![7; 100_000]);
    client.sock.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    // The kernel's buffers take some of it.
    wait_until("it is noticed", || {
        let _ = client.write_all(&large);
        secured.server.log().contains("it does not read")
    });
    assert_eq!(counter(&mut secured.connect(), "sessions_slow_reader"), 1);
}

#[test]
fn a_drain_lets_jobs_end() {
    let mut secured = Secured::start(&["-t", "2"]);
    let (mut client, mut worker) = (secured.connect(), secured.connect());
    can_do(&mut worker, b"last");
    client.write_all(&submit(b"last", b"x")).unwrap();
    let (_, handle) = read_packet(&mut client);
    while {
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        read_packet(&mut worker).0
    } != JOB_ASSIGN
    {}
    secured.server.signal(Signal::USR1);
    secured.await_line("accepting no more connections");
    worker.write_all(&request(WORK_COMPLETE, &[&handle[..], b"\0done"].concat())).unwrap();
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    assert!(secured.server.wait().success());
}

#[test]
fn a_record_for_the_replies_of_a_round() {
    let secured = Secured::start(&["-t", "1"]);
    let mut client = secured.connect();
    let requests: Vec<u8> = (0..100_u32).flat_map(|n| request(ECHO_REQ, &n.to_be_bytes())).collect();
    client.write_all(&requests).unwrap();
    let mut sealed = Vec::new();
    let (mut records, mut opened) = (0, 0);
    while opened < 1600 {
        let mut buffer = [0; 4096];
        let length = client.sock.read(&mut buffer).unwrap();
        sealed.extend_from_slice(&buffer[..length]);
        while sealed.len() > 5 && sealed.len() >= 5 + usize::from(u16::from_be_bytes([sealed[3], sealed[4]]))
        {
            let whole = 5 + usize::from(u16::from_be_bytes([sealed[3], sealed[4]]));
            // Kind and tag of TLS 1.3.
            opened += whole - 5 - 17;
            records += 1;
            sealed.drain(..whole);
        }
    }
    assert!(records <= 3, "{records} records for {opened} bytes");
}
