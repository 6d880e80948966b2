//! Administrators' lines end to end, over TCP: each command, several in one write, mixed with packets, and after a
//! half-close. What each line means in detail is tested beside `src/frontend/text.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use ringgear::engine::Compat;
use ringgear::frontend::version;
use ringgear::protocol::{Decoder, GrabKind, Priority, Request, Response, Submit};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use support::server::{Server, ask, read_to_end, wait_until};

/// Everything is tested with one shard and with two, where functions and connections live apart.
fn with_servers(options: &[&str], test: impl Fn(&Server)) {
    for threads in ["1", "2"] {
        let server = Server::start(&[&["--threads", threads], options].concat());
        test(&server);
    }
}

/// A connection, used for lines and packets alike.
struct Peer {
    stream: TcpStream,
    packets: Decoder,
}

impl Peer {
    fn connect(server: &Server) -> Peer {
        Peer { stream: server.connect(), packets: Decoder::new(1 << 30) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn send(&mut self, request: Request<'_>) {
        let bytes = packet(request);
        self.write(&bytes);
    }

    /// The next packet, shown to `look`.
    fn receive<R>(&mut self, look: impl FnOnce(Response<'_>) -> R) -> R {
        let mut buffer = [0; 4096];
        loop {
            if let Some((header, data)) = self.packets.next().unwrap() {
                return look(Response::decode(&header, data).unwrap());
            }
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server closed the connection");
            self.packets.push(&buffer[..length]);
        }
    }

    /// The answer to a command that is answered by one line.
    fn line(&mut self, command: &str) -> String {
        self.write(command.as_bytes());
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            bytes.extend(byte);
        }
        String::from_utf8(bytes).unwrap()
    }

    /// The answer to a command that is answered by a list.
    fn list(&mut self, command: &str) -> String {
        ask(&mut self.stream, command)
    }

    /// Asks again until the list is as it should be: what other connections did takes its time.
    fn wait_for_list(&mut self, command: &str, wanted: &str) {
        wait_until(&format!("{command:?} is answered {wanted:?}"), || self.list(command) == wanted);
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        read_to_end(&mut self.stream)
    }

    fn submit(&mut self, submit: Submit<'_>) -> String {
        self.send(Request::Submit(submit));
        self.receive(|response| match response {
            Response::JobCreated { handle } => String::from_utf8(handle.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        })
    }
}

fn packet(request: Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

fn background<'a>(function: &'a str, unique: &'a str) -> Submit<'a> {
    Submit {
        function: function.as_bytes(),
        unique: unique.as_bytes(),
        workload: b"x",
        priority: Priority::Normal,
        background: true,
        epoch: None,
        reducer: None,
    }
}

#[test]
fn what_the_server_says_of_itself() {
    with_servers(&["--verbose", "INFO"], |server| {
        let mut admin = Peer::connect(server);
        assert_eq!(admin.line("version\n"), format!("OK {}\n", version(Compat::V1_1)));
        assert_eq!(admin.line("VERSION\r\n"), format!("OK {}\n", version(Compat::V1_1)));
        assert_eq!(admin.line("verbose\n"), "OK INFO\n");
        assert_eq!(admin.line("getpid\n"), format!("OK {}\n", server.pid()));
    });
}

#[test]
fn status_follows_a_job() {
    with_servers(&[], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        assert_eq!(admin.list("status\n"), ".\n");
        client.submit(background("f", ""));
        client.submit(Submit { priority: Priority::High, ..background("f", "") });
        assert_eq!(admin.list("status\n"), "f\t2\t0\t0\n.\n");
        assert_eq!(admin.list("prioritystatus\r\n"), "f\t1\t1\t0\t0\n.\n");

        let mut worker = Peer::connect(server);
        worker.send(Request::CanDo { function: b"f" });
        worker.send(Request::Grab(GrabKind::Plain));
        let handle = worker.receive(|response| match response {
            Response::JobAssign { handle, .. } => handle.to_vec(),
            other => panic!("{other:?}"),
        });
        assert_eq!(admin.list("status\n"), "f\t2\t1\t1\n.\n");
        assert_eq!(admin.list("prioritystatus\n"), "f\t0\t1\t0\t1\n.\n");
        worker.send(Request::WorkComplete { handle: &handle, result: b"" });
        admin.wait_for_list("status\n", "f\t1\t0\t1\n.\n");
        drop(worker);
        admin.wait_for_list("status\n", "f\t1\t0\t0\n.\n");
    });
}

#[test]
fn workers_lists_every_connection() {
    with_servers(&[], |server| {
        let (mut admin, mut worker) = (Peer::connect(server), Peer::connect(server));
        worker.send(Request::SetClientId { id: b"worker 7" });
        worker.send(Request::CanDo { function: b"one" });
        worker.send(Request::CanDo { function: b"two" });
        worker.send(Request::EchoReq { data: b"" });
        worker.receive(|response| assert_eq!(response, Response::EchoRes { data: b"" }));
        // Descriptors are the server's affair, but they are numbers.
        wait_until("workers lists both connections", || {
            let list = admin.list("workers\n");
            let columns = list.lines().filter_map(|line| line.split_once(' '));
            let (descriptors, mut others): (Vec<&str>, Vec<&str>) = columns.unzip();
            others.sort_unstable();
            descriptors.iter().all(|number| number.parse::<u32>().is_ok())
                && others == ["127.0.0.1 - :", "127.0.0.1 worker_7 : two one"]
        });
    });
}

#[test]
fn show_lists_jobs_uniques_and_counters() {
    with_servers(&[], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        let one = client.submit(background("f", "uniq-a"));
        assert_eq!(admin.list("show jobs\n"), format!("{one}\t0\t0\t1\n.\n"));
        assert_eq!(admin.list("show unique jobs\n"), "uniq-a\n.\n");
        let two = client.submit(Submit { background: false, ..background("f", "uniq-b") });
        assert_eq!(admin.list("show jobs\n"), format!("{one}\t0\t0\t1\n{two}\t0\t0\t0\n.\n"));
        let counters = admin.list("show counters\n");
        for line in ["jobs\t2\n", "jobs_accepted\t2\n"] {
            assert!(counters.contains(line), "{counters}");
        }
        assert_eq!(admin.line("show foo\n"), "ERR UNKNOWN_SHOW_ARGUMENTS\r\n");
    });
}

#[test]
fn the_columns_of_gearmand_2_2() {
    with_servers(&["--compat", "2.2"], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        let handle = client.submit(background("f", "uniq-a"));
        assert_eq!(admin.list("show unique jobs\n"), format!("{handle}\tuniq-a\n.\n"));
    });
}

#[test]
fn functions_are_created_and_dropped() {
    with_servers(&[], |server| {
        let mut admin = Peer::connect(server);
        assert_eq!(admin.line("create function abc\r\n"), "OK\r\n");
        assert_eq!(admin.line("create function xyz\n"), "OK\r\n");
        assert_eq!(admin.line("create function xyz\n"), "OK\r\n");
        assert_eq!(admin.list("status\n"), "abc\t0\t0\t0\nxyz\t0\t0\t0\n.\n");
        assert_eq!(admin.line("drop function ABC\n"), "OK\r\n");
        assert_eq!(admin.line("drop function abc\n"), "ERR function not found\r\n");
        let still = "ERR there are still connected workers or executing clients\r\n";
        let mut peer = Peer::connect(server);
        peer.submit(background("xyz", ""));
        assert_eq!(admin.list("status\n"), "xyz\t1\t0\t0\n.\n");
        assert_eq!(admin.line("drop function xyz\n"), "OK\r\n");
        assert_eq!((admin.list("status\n"), admin.list("show jobs\n")), (".\n".into(), ".\n".into()));
        peer.send(Request::CanDo { function: b"busy" });
        admin.wait_for_list("status\n", "busy\t0\t0\t1\n.\n");
        assert_eq!(admin.line("drop function busy\n"), still);
    });
}

#[test]
fn a_cancelled_job_fails_for_its_client() {
    with_servers(&[], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        let handle = client.submit(Submit { background: false, ..background("f", "u") });
        assert_eq!(admin.line(&format!("cancel job {handle}\r\n")), "OK\r\n");
        client.receive(|response| assert_eq!(response, Response::WorkFail { handle: handle.as_bytes() }));
        assert_eq!(admin.list("show jobs\n"), ".\n");
        assert_eq!(admin.line(&format!("cancel job {handle}\n")), "ERR UNKNOWN_JOB\r\n");
        assert_eq!(admin.line("cancel job nope\n"), "ERR UNKNOWN_JOB\r\n");
        assert_eq!(admin.line("cancel foo bar\n"), "ERR UNKNOWN_ERROR\r\n");
    });
}

/// A background job that has lost its last worker is kept, apart from the queues, and can be put back or cancelled.
#[test]
fn dead_jobs_are_shown_put_back_and_cancelled() {
    with_servers(&["-j", "1"], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        let handle = client.submit(background("f", "u"));
        let lose = || {
            let mut worker = Peer::connect(server);
            worker.send(Request::SetClientId { id: b"worker 7" });
            worker.send(Request::CanDo { function: b"f" });
            worker.send(Request::Grab(GrabKind::Plain));
            worker
                .receive(|response| assert!(matches!(response, Response::JobAssign { .. }), "{response:?}"));
        };
        assert_eq!(admin.list("show dead jobs\n"), ".\n");
        lose();
        wait_until("the job is dead", || admin.list("show dead jobs\n") != ".\n");
        let list = admin.list("show dead jobs\n");
        let columns: Vec<&str> = list.lines().next().unwrap().split('\t').collect();
        let [job, function, unique, attempts, reason, at, address, worker] = columns[..] else {
            panic!("{list:?}")
        };
        assert_eq!([job, function, unique, attempts, reason], [&handle[..], "f", "u", "1", "worker_gone"]);
        assert!(at.parse::<u64>().is_ok_and(|at| at > 1_700_000_000_000), "{at}");
        assert_eq!([address, worker], ["127.0.0.1", "worker 7"]);
        assert_eq!(admin.list("show jobs\n"), ".\n");
        assert_eq!(admin.list("status\n"), "f\t0\t0\t0\n.\n");

        assert_eq!(admin.line(&format!("retry job {handle}\n")), "OK\r\n");
        assert_eq!(admin.line(&format!("retry job {handle}\n")), "ERR UNKNOWN_JOB\r\n");
        assert_eq!(admin.line("retry job nope\n"), "ERR UNKNOWN_JOB\r\n");
        assert_eq!(admin.list("show dead jobs\n"), ".\n");
        assert_eq!(admin.list("show jobs\n"), format!("{handle}\t0\t0\t1\n.\n"));
        lose();
        wait_until("the job is dead again", || admin.list("show dead jobs\n") != ".\n");
        assert_eq!(admin.line(&format!("cancel job {handle}\n")), "OK\r\n");
        assert_eq!(admin.list("show dead jobs\n"), ".\n");

        client.submit(background("f", "v"));
        lose();
        wait_until("another job is dead", || admin.list("show dead jobs\n") != ".\n");
        assert_eq!(admin.line("drop function f\n"), "OK\r\n");
        assert_eq!(admin.list("show dead jobs\n"), ".\n");
    });
}

#[test]
fn max_queue_bounds_a_function() {
    with_servers(&[], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        assert_eq!(admin.line("create function f\r\n"), "OK\r\n");
        assert_eq!(admin.line("maxqueue f 2 1 1\n"), "OK\r\n");
        client.submit(background("f", "u1"));
        client.send(Request::Submit(background("f", "u2")));
        let full = Response::Error { code: b"QUEUE_ERROR", text: b"Job queue is full" };
        client.receive(|response| assert_eq!(response, full));
        client.submit(Submit { priority: Priority::High, ..background("f", "u2") });
        assert_eq!(admin.line("maxqueue f\n"), "OK\r\n");
        client.submit(background("f", "u3"));
        assert_eq!(admin.line("maxqueue nobody 5\n"), "OK\r\n");
        assert_eq!(admin.list("status\n"), "f\t3\t0\t0\n.\n");
    });
}

#[test]
fn unknown_commands_leave_the_connection_open() {
    with_servers(&[], |server| {
        let mut admin = Peer::connect(server);
        let unknown = |word: &str| format!("ERR UNKNOWN_COMMAND Unknown+server+command{word}\r\n");
        for command in ["bogus", "shutdown", "show", "cancel", ""] {
            assert_eq!(admin.line(&format!("{command}\n")), unknown(command));
        }
        for command in ["create", "drop", "maxqueue"] {
            let answer = format!(
                "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+{command}\r\n"
            );
            assert_eq!(admin.line(&format!("{command}\n")), answer);
        }
        assert_eq!(admin.list("status\n"), ".\n");
    });
}

#[test]
fn what_is_no_line_closes_the_connection() {
    with_servers(&[], |server| {
        for bytes in [&b"a b c d e f\n"[..], &[b'x'; 8192]] {
            let mut peer = Peer::connect(server);
            peer.write(bytes);
            assert_eq!(peer.rest(), b"");
        }
        // Whoever came before is still answered.
        let mut peer = Peer::connect(server);
        peer.write(b"getpid\na b c d e f\ngetpid\n");
        assert_eq!(peer.rest(), format!("OK {}\n", server.pid()).into_bytes());
        assert_eq!(Peer::connect(server).list("status\n"), ".\n");
    });
}

/// mod_gearman's tools write both commands at once, and then read once.
#[test]
fn two_commands_in_one_write_are_answered_in_one_piece() {
    with_servers(&[], |server| {
        let mut admin = Peer::connect(server);
        let mut names: Vec<String> = (0..200).map(|number| format!("function-{number}")).collect();
        names.sort_unstable();
        for name in &names {
            assert_eq!(admin.line(&format!("create function {name}\n")), "OK\r\n");
        }
        let mut wanted: String = names.iter().map(|name| format!("{name}\t0\t0\t0\n")).collect();
        wanted.push_str(&format!(".\nOK {}\n", version(Compat::V1_1)));
        for _ in 0..50 {
            let mut peer = Peer::connect(server);
            peer.write(b"status\nversion\n");
            let mut buffer = vec![0; (64 << 10) - 1];
            let length = peer.stream.read(&mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), wanted);
        }
    });
}

#[test]
fn lines_and_packets_are_answered_in_the_order_they_came() {
    with_servers(&[], |server| {
        let mut peer = Peer::connect(server);
        let mut bytes = b"version\r\n".to_vec();
        bytes.extend(packet(Request::EchoReq { data: b"x" }));
        bytes.extend(b"status\n");
        bytes.extend(packet(Request::Submit(background("f", ""))));
        bytes.extend(b"prioritystatus\nbogus\n");
        bytes.extend(packet(Request::Grab(GrabKind::Plain)));
        peer.write(&bytes);
        peer.stream.shutdown(Shutdown::Write).unwrap();
        let answers = peer.rest();
        let mut rest = &answers[..];
        let mut expect = |wanted: &[u8]| {
            assert!(rest.starts_with(wanted), "{:?}", answers.escape_ascii().to_string());
            rest = &rest[wanted.len()..];
        };
        expect(format!("OK {}\n", version(Compat::V1_1)).as_bytes());
        expect(b"\0RES\0\0\0\x11\0\0\0\x01x.\n\0RES\0\0\0\x08\0\0\0");
        let created = 1 + usize::from(rest[0]);
        rest = &rest[created..];
        assert_eq!(
            rest.escape_ascii().to_string(),
            b"f\t0\t1\t0\t0\n.\nERR UNKNOWN_COMMAND Unknown+server+commandbogus\r\n\0RES\0\0\0\x0a\0\0\0\0"
                .escape_ascii()
                .to_string()
        );
    });
}

/// What came before a half-close is answered; then the server closes as well. Perl's and netcat's way to ask.
#[test]
fn a_half_closed_connection_gets_its_answers() {
    with_servers(&[], |server| {
        let mut peer = Peer::connect(server);
        peer.write("getpid\n".repeat(1000).as_bytes());
        peer.stream.shutdown(Shutdown::Write).unwrap();
        let answer = format!("OK {}\n", server.pid());
        assert_eq!(String::from_utf8(peer.rest()).unwrap(), answer.repeat(1000));
        // A line without its end is no line.
        let mut peer = Peer::connect(server);
        peer.write(b"getpid\ngetpid");
        peer.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(String::from_utf8(peer.rest()).unwrap(), answer);
    });
}

#[test]
fn names_cannot_break_lists() {
    with_servers(&[], |server| {
        let (mut admin, mut client) = (Peer::connect(server), Peer::connect(server));
        client.submit(background("evil\n.\nname\t9", "a\nb"));
        assert_eq!(admin.list("status\n"), "evil_._name_9\t1\t0\t0\n.\n");
        assert_eq!(admin.list("show unique jobs\n"), "a_b\n.\n");
    });
}
