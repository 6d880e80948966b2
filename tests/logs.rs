//! Where the log goes and what it does when that is slow, full or gone: never in the way of the server. What lines say is in
//! `commandline.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use support::packets::*;
use support::scratch::Scratch;
use support::server::*;

fn submit(client: &mut TcpStream, function: &[u8]) {
    client.write_all(&request(SUBMIT_JOB_BG, &[function, b"\0\0x"].concat())).unwrap();
    assert_eq!(read_packet(client).0, JOB_CREATED);
}

/// Nobody reads standard error: the pipe fills, then the queue, then lines are dropped, while jobs go on.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let address = free_address();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringgear"))
        .args(["-t", "2", "-L", &host, "-p", &port, "--verbose", "NOTICE", "--max-log-queue", "65536"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = None;
    wait_until("the server listens", || {
        client = TcpStream::connect(address).ok();
        client.is_some()
    });
    let mut client = client.unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let function = [b'f'; 1000];
    let submitted = 400;
    for _ in 0..submitted {
        submit(&mut client, &function);
    }
    let dropped = counter(&mut client, "log_lines_dropped");
    assert!(dropped > 100, "{dropped} lines were dropped");
    // Somebody reads at last.
    let mut stderr = child.stderr.take().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let collected = log.clone();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut buffer) {
            collected.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
    // What is said from here on finds room.
    wait_until("it is told", || log.lock().unwrap().contains(" lines of the log were dropped: "));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    let log = log.lock().unwrap().clone();
    let told: u64 = log
        .lines()
        .filter_map(|line| {
            let (count, _) = line.split_once(" lines of the log were dropped: ")?;
            count.rsplit(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    assert_eq!(told, dropped, "what was dropped is told");
    let written = log.lines().filter(|line| line.contains("] accepted,fff")).count() as u64;
    assert_eq!(written + dropped, submitted);
    assert!(log.lines().last().unwrap().contains("] stopped -> "), "the log ends with the end");
}

#[test]
fn what_repeats_is_said_once_and_counted() {
    let server = Server::start(&[
        "-t",
        "1",
        "--verbose",
        "WARNING",
        "--max-connections",
        "1",
        "--max-log-repeats",
        "2",
    ]);
    let mut first = server.connect();
    echo(&mut first, b"");
    let refused = 50;
    for _ in 0..refused {
        assert_eq!(read_to_end(&mut server.connect()), b"");
    }
    assert_eq!(counter(&mut first, "connections_refused"), refused);
    // Two in ten seconds; the test may last a little longer.
    let said = || {
        server.log().matches("refused a connection: there are 1 already (--max-connections)").count() as u64
    };
    wait_until("each is said or counted", || said() + counter(&mut first, "log_lines_withheld") == refused);
    assert!((1..=6).contains(&said()), "{}", server.log());
}

/// R-F3. Once for each function until the server ends, whoever registers it on whichever thread.
#[test]
fn a_short_time_limit_is_worth_a_hint() {
    for (unit, hints) in [("ms", 1), ("s", 0)] {
        let server = Server::start(&["-t", "2", "--verbose", "WARNING", "--timeout-unit", unit]);
        for _ in 0..20 {
            let mut worker = server.connect();
            worker.write_all(&request(CAN_DO_TIMEOUT, b"seconds\x0030")).unwrap();
            worker.write_all(&request(CAN_DO_TIMEOUT, b"others\x0010")).unwrap();
            worker.write_all(&request(CAN_DO_TIMEOUT, b"milliseconds\x0030000")).unwrap();
            echo(&mut worker, b"");
        }
        server.signal(Signal::TERM);
        let mut server = server;
        assert!(server.wait().success());
        let log = server.log();
        for said in ["30 ms for seconds", "10 ms for others"] {
            let said = format!("a time limit of {said}, which becomes 1000 ms");
            assert_eq!(log.matches(&said).count(), hints, "{log}");
        }
        assert!(!log.contains("milliseconds"), "{log}");
        assert_eq!(log.matches("--timeout-unit s (127.0.0.1:").count(), 2 * hints, "{log}");
    }
}

#[test]
fn a_full_disk_stops_nothing() {
    let server = Server::start(&["-t", "1", "--verbose", "NOTICE", "--log-file", "/dev/full"]);
    let mut client = server.connect();
    (0..10).for_each(|_| submit(&mut client, b"f"));
    wait_until("lost lines are counted", || counter(&mut client, "log_lines_dropped") >= 10);
}

#[test]
fn a_rotated_file_is_opened_again() {
    let folder = Scratch::new();
    let (path, rotated) = (folder.file("log"), folder.file("log.1"));
    let server = Server::start(&["-t", "2", "--verbose", "NOTICE", "--log-file", path.to_str().unwrap()]);
    let mut client = server.connect();
    submit(&mut client, b"before");
    wait_until("a line", || fs::read_to_string(&path).unwrap_or_default().contains("accepted,before"));
    fs::rename(&path, &rotated).unwrap();
    server.signal(Signal::HUP);
    wait_until("the file is there again", || path.exists());
    submit(&mut client, b"after");
    wait_until("a line", || fs::read_to_string(&path).unwrap_or_default().contains("accepted,after"));
    let before = fs::read_to_string(&rotated).unwrap();
    assert!(before.lines().last().unwrap().contains("] SIGHUP, reopening log file -> "), "{before}");
    assert!(!fs::read_to_string(&path).unwrap().contains("before"));
}

/// F35. Rotated so that it cannot be opened, then repaired: the next SIGHUP opens it, and it says what it lacks.
#[test]
fn a_log_file_that_was_repaired_is_opened_again() {
    let folder = Scratch::new();
    let (path, rotated) = (folder.file("log"), folder.file("log.1"));
    let text = || fs::read_to_string(&path).unwrap_or_default();
    let server = Server::start(&["-t", "1", "--verbose", "NOTICE", "--log-file", path.to_str().unwrap()]);
    let mut client = server.connect();
    submit(&mut client, b"before");
    wait_until("a line", || text().contains("accepted,before"));
    // Root may open whatever is a file.
    fs::rename(&path, &rotated).unwrap();
    fs::create_dir(&path).unwrap();
    server.signal(Signal::HUP);
    wait_until("it is said", || server.log().contains("cannot open log file"));
    submit(&mut client, b"meanwhile");
    wait_until("it is on standard error", || server.log().contains("accepted,meanwhile"));
    fs::remove_dir(&path).unwrap();
    server.signal(Signal::HUP);
    wait_until("the file is there again", || path.is_file());
    submit(&mut client, b"after");
    wait_until("a line", || text().contains("accepted,after"));
    // The one about the second SIGHUP is among them.
    assert!(text().contains(" 2 lines went to standard error: this file could not be opened"), "{}", text());
    assert!(!server.log().contains("accepted,after"));
}

/// F35. The same at the start, of a daemon, whose standard error is nowhere; and its pid file.
#[test]
fn what_a_daemon_could_not_open_at_its_start_is_tried_again() {
    let folder = Scratch::new();
    let (log, pid) = (folder.file("later/log"), folder.file("pid"));
    let address = free_address();
    let started = Command::new(env!("CARGO_BIN_EXE_ringgear"))
        .args([
            "-t",
            "1",
            "-L",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "--verbose",
            "NOTICE",
            "--daemon",
        ])
        .args(["--log-file", log.to_str().unwrap(), "--pid-file", pid.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(started.stderr).unwrap();
    assert!(started.status.success(), "{printed}");
    assert!(printed.starts_with("cannot open log file "), "{printed}");
    let daemon = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let signal = |signal| {
        rustix::process::kill_process(rustix::process::Pid::from_raw(daemon).unwrap(), signal).unwrap();
    };
    fs::create_dir(folder.file("later")).unwrap();
    signal(Signal::HUP);
    wait_until("the file is there", || log.is_file());
    submit(&mut TcpStream::connect(address).unwrap(), b"heard");
    wait_until("a line", || fs::read_to_string(&log).unwrap().contains("accepted,heard"));
    signal(Signal::TERM);
    wait_until("it has ended", || !pid.exists());
}

/// F35. An administrator who allows more descriptors need not start the server again. (Lowering the limit that is in force is
/// allowed to everybody, raising the other one is not.)
#[test]
fn a_limit_that_was_raised_is_used() {
    let server = Server::start_by(&["prlimit", "--nofile=200:200"], &["-t", "1", "--verbose", "NOTICE"]);
    let limits = || fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let soft =
        || limits().lines().find_map(|line| line.strip_prefix("Max open files").map(str::to_owned)).unwrap();
    let pid = format!("--pid={}", server.pid());
    let lowered = Command::new("prlimit").args([&pid, "--nofile=64:200"]).status().unwrap();
    assert!(lowered.success());
    assert_eq!(soft().split_whitespace().next(), Some("64"));
    server.signal(Signal::HUP);
    wait_until("it is told", || server.log().contains("there may be 200 descriptors now"));
    assert_eq!(soft().split_whitespace().next(), Some("200"));
}

#[test]
fn the_last_words_are_written() {
    let folder = Scratch::new();
    let first = Server::start(&["-t", "1"]);
    let log = folder.path("log");
    let second = run_to_end(&[], first.address(), &["-t", "1", "--log-file", &log]);
    assert_eq!(second.status.code(), Some(PORT_TAKEN));
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("  FATAL ") && text.contains("] cannot listen on 127.0.0.1:"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

/// A server whose `/dev/log` is ours, under the name of gearmand.
#[test]
fn syslog_hears_everything_too() {
    let folder = Scratch::new();
    let syslog = UnixDatagram::bind(folder.file("log")).unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    let root = folder.path("");
    // Devices of the old folder, in a new one with a socket of ours.
    let script = format!(
        "set -e; mkdir '{root}/dev'; mount --rbind /dev '{root}/dev'; mount -t tmpfs tmpfs /dev; \
         for n in null zero random urandom; do touch /dev/$n; mount --bind '{root}/dev/'$n /dev/$n; done; \
         ln -s '{root}/log' /dev/log; exec -a gearmand \"$@\""
    );
    let wrapper = ["unshare", "-Urm", "bash", "-c", &script, "bash"];
    let server = Server::start_by(&wrapper, &["-t", "1", "--verbose", "NOTICE", "--syslog"]);
    submit(&mut server.connect(), b"func");
    let mut buffer = [0; 2048];
    let mut hear = || {
        let length = syslog.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut heard = hear();
    while !heard.contains("accepted,") {
        heard = hear();
    }
    // The facility is 1, the severity of a notice 5.
    assert!(heard.starts_with("<13>"), "{heard}");
    let (_, line) = heard.split_once(&format!(" gearmand[{}]: ", server.pid())).unwrap();
    assert!(
        line.starts_with(" NOTICE 2") && line.contains("] accepted,func,,0 -> src/shard/pump.rs:"),
        "{line}"
    );
    // The log has the same line.
    wait_until("the line is in the log", || server.log().contains(&format!("{line}\n")));

    // Syslog goes away and comes back; the server goes on.
    drop(syslog);
    fs::remove_file(folder.file("log")).unwrap();
    submit(&mut server.connect(), b"unheard");
    wait_until("the line is in the log", || server.log().contains("accepted,unheard"));
    let syslog = UnixDatagram::bind(folder.file("log")).unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    submit(&mut server.connect(), b"heard");
    let length = syslog.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..length]).contains("accepted,heard,"));
}
