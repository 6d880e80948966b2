//! What monitoring tools make of our answers: each reads as the tool does, with the tool's mistakes, from a server at work.
//! The tools cannot all be installed; how they read is told from their sources, one test for each. Where a tool sends packets,
//! too, there is a replay in `tests/replays`.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use support::packets::*;
use support::server::*;

/// A server at work: `resize` runs one job and has one more, `send_mail` has two and nobody to do them, `idle` has a worker
/// without an id.
struct AtWork {
    server: Server,
    client: TcpStream,
    worker: TcpStream,
    _idle: TcpStream,
}

fn at_work(threads: &str) -> AtWork {
    let server = Server::start(&["--threads", threads]);
    let (mut client, mut worker, mut idle) = (server.connect(), server.connect(), server.connect());
    submit(&mut client, SUBMIT_JOB, b"resize\0image-1\0x");
    submit(&mut client, SUBMIT_JOB_BG, b"resize\0image-2\0x");
    submit(&mut client, SUBMIT_JOB_HIGH_BG, b"send_mail\0\0x");
    submit(&mut client, SUBMIT_JOB_LOW_BG, b"send_mail\0\0x");
    worker.write_all(&request(SET_CLIENT_ID, b"worker 7")).unwrap();
    worker.write_all(&request(CAN_DO, b"resize")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    idle.write_all(&request(CAN_DO, b"idle")).unwrap();
    let mut admin = server.connect();
    wait_until("all is as it should be", || {
        ask(&mut admin, "status\n") == "idle\t0\t0\t1\nresize\t2\t1\t1\nsend_mail\t2\t0\t0\n.\n"
    });
    drop(admin);
    wait_until("only the three are there", || ask(&mut client, "workers\n").lines().count() == 4);
    AtWork { server, client, worker, _idle: idle }
}

/// Everything is read from a server with one shard and from one with two.
fn with_servers(test: impl Fn(&mut AtWork)) {
    ["1", "2"].iter().for_each(|threads| test(&mut at_work(threads)));
}

fn submit(client: &mut TcpStream, packet: u32, data: &[u8]) {
    client.write_all(&request(packet, data)).unwrap();
    assert_eq!(read_packet(client).0, JOB_CREATED);
}

/// One function, as most tools keep it.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    total: u32,
    running: u32,
    workers: u32,
}

fn row(total: u32, running: u32, workers: u32) -> Row {
    Row { total, running, workers }
}

/// What is to be read.
fn wanted() -> BTreeMap<String, Row> {
    let rows = [("idle", row(0, 0, 1)), ("resize", row(2, 1, 1)), ("send_mail", row(2, 0, 0))];
    rows.into_iter().map(|(name, row)| (name.to_owned(), row)).collect()
}

/// mod_gearman's gearman_top, gearman_top2 and check_gearman: one write, one read, and what is not in it is lost.
fn one_read(server: &Server) -> (BTreeMap<String, Row>, String) {
    let mut stream = server.connect();
    stream.write_all(b"status\nversion\n").unwrap();
    let mut buffer = vec![0; (64 << 10) - 1];
    let length = stream.read(&mut buffer).unwrap();
    let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let mut lines = text.split('\n');
    let mut rows = BTreeMap::new();
    loop {
        let line = lines.next().expect("the answer ends with a dot");
        if line == "." {
            let version = lines.next().unwrap();
            assert!(version.starts_with('O'), "{version}");
            return (rows, version[3..].to_owned());
        }
        let columns: Vec<&str> = line.splitn(4, '\t').collect();
        let number = |at: usize| columns[at].parse().unwrap();
        rows.insert(columns[0].to_owned(), row(number(1), number(2), number(3)));
    }
}

#[test]
fn gearman_top_reads_once() {
    with_servers(|at_work| {
        let (rows, version) = one_read(&at_work.server);
        assert_eq!(rows, wanted());
        assert!(version.starts_with("1.1.20+ringgear-"), "{version}");
    });
}

/// check_gearman's verdicts: jobs without a worker are critical, more waiting than allowed a warning.
#[test]
fn check_gearman_judges() {
    with_servers(|at_work| {
        let (rows, _) = one_read(&at_work.server);
        let verdict = |name: &str, warning: u32| match &rows[name] {
            row if row.total > row.running && row.workers == 0 => "CRITICAL",
            row if row.total - row.running >= warning => "WARNING",
            _ => "OK",
        };
        assert_eq!(
            ["idle", "resize", "send_mail"].map(|name| verdict(name, 1)),
            ["OK", "WARNING", "CRITICAL"]
        );
    });
}

/// mod-gearman-worker-go's gearman_top: one connection for good, reads until what came ends with a line feed, splits at any blank.
#[test]
fn gearman_top_of_go_asks_again_and_again() {
    with_servers(|at_work| {
        let mut stream = at_work.server.connect();
        for _ in 0..3 {
            stream.write_all(b"status\nversion\n").unwrap();
            let mut text = Vec::new();
            while text.last() != Some(&b'\n') {
                let mut buffer = [0; 4000];
                let length = stream.read(&mut buffer).unwrap();
                assert!(length > 0);
                text.extend(&buffer[..length]);
            }
            let text = String::from_utf8(text).unwrap();
            let (mut rows, mut version) = (BTreeMap::new(), None);
            for line in text.lines() {
                let columns: Vec<&str> = line.split_whitespace().collect();
                match columns[..] {
                    ["OK", number] => version = Some(number.to_owned()),
                    [name, total, running, workers, ..] => {
                        let number = |text: &str| text.parse().unwrap();
                        rows.insert(name.to_owned(), row(number(total), number(running), number(workers)));
                    }
                    _ => {}
                }
            }
            assert_eq!(rows, wanted());
            assert!(version.is_some(), "{text}");
        }
    });
}

/// bakins/gearman-exporter: CR LF behind each line, four columns at tabs, a line that is a dot; `OK`, a blank, the version.
#[test]
fn the_exporter_for_prometheus() {
    with_servers(|at_work| {
        let mut stream = at_work.server.connect();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        for _ in 0..2 {
            stream.write_all(b"version\r\n").unwrap();
            let version = lines.next().unwrap();
            assert_eq!(version.split_once(' ').unwrap().0, "OK");
            stream.write_all(b"status\r\n").unwrap();
            let mut rows = BTreeMap::new();
            for line in lines.by_ref().take_while(|line| line != ".") {
                let columns: Vec<&str> = line.splitn(4, '\t').collect();
                let number = |at: usize| columns[at].parse().unwrap();
                rows.insert(columns[0].to_owned(), row(number(1), number(2), number(3)));
            }
            assert_eq!(rows, wanted());
        }
    });
}

/// Datadog's check, by way of python3-gearman: exactly four columns at tabs, `workers` split at single blanks with the colon as the
/// fourth word, a version that starts with `OK `. Its numbers are over all functions.
#[test]
fn the_check_of_datadog() {
    with_servers(|at_work| {
        let mut stream = at_work.server.connect();
        let status = ask(&mut stream, "status\n");
        let rows: Vec<Vec<&str>> =
            status.lines().filter(|line| *line != ".").map(|line| line.split('\t').collect()).collect();
        assert!(rows.iter().all(|row| row.len() == 4), "{rows:?}");
        let sum = |at: usize| rows.iter().map(|row| row[at].parse::<u32>().unwrap()).sum::<u32>();
        assert_eq!((rows.len(), sum(1), sum(2), sum(3)), (3, 4, 1, 2));

        let list = ask(&mut stream, "workers\n");
        let mut with_tasks = 0;
        for line in list.lines().filter(|line| *line != ".") {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(words.len() >= 4 && words[3] == ":", "{line}");
            assert!(words[0].parse::<u32>().is_ok() && words[1] == "127.0.0.1", "{line}");
            with_tasks += u32::from(words.len() > 4);
        }
        assert_eq!(with_tasks, 2);
        stream.write_all(b"version\n").unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("OK "));
    });
}

/// netdata's collector: one connection for good, up to a line that starts with a dot, ERR is a failure, at most 10,000 lines;
/// the last columns are numbers and all before them is the name, blanks and all.
#[test]
fn the_collector_of_netdata() {
    with_servers(|at_work| {
        submit(&mut at_work.client, SUBMIT_JOB_BG, b"with blanks in it\0\0x");
        let mut stream = at_work.server.connect();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let mut query = |command: &str, numbers: usize| -> HashMap<String, Vec<u32>> {
            stream.write_all(format!("{command}\n").as_bytes()).unwrap();
            let mut rows = HashMap::new();
            for line in lines.by_ref().take(10_000).take_while(|line| !line.starts_with('.')) {
                assert!(!line.starts_with("ERR"), "{line}");
                let words: Vec<&str> = line.split_whitespace().collect();
                let (name, values) = words.split_at(words.len() - numbers);
                rows.insert(name.join("_"), values.iter().map(|value| value.parse().unwrap()).collect());
            }
            rows
        };
        for _ in 0..3 {
            let status = query("status", 3);
            assert_eq!(status.len(), 4);
            assert_eq!((&status["resize"], &status["with_blanks_in_it"]), (&vec![2, 1, 1], &vec![1, 0, 0]));
            let by_priority = query("prioritystatus", 4);
            assert_eq!(
                (&by_priority["send_mail"], &by_priority["resize"]),
                (&vec![1, 0, 1, 0], &vec![0, 1, 0, 1])
            );
        }
    });
}

/// munin's gearman_ plugins read up to the first line that contains a dot anywhere. Nothing that a server prints can mend that:
/// functions whose names have dots, and all behind them, are not seen. Without such names all are.
#[test]
fn the_plugins_of_munin() {
    with_servers(|at_work| {
        let read = |server: &Server| -> Vec<String> {
            let mut stream = server.connect();
            stream.write_all(b"status\n").unwrap();
            let lines = BufReader::new(stream).lines().map(Result::unwrap);
            let rows = lines.take_while(|line| !line.contains('.'));
            rows.map(|line| line.split('\t').next().unwrap().to_owned()).collect()
        };
        assert_eq!(read(&at_work.server), ["idle", "resize", "send_mail"]);
        submit(&mut at_work.client, SUBMIT_JOB_BG, b"org.example.scale\0\0x");
        assert_eq!(read(&at_work.server), ["idle"]);
    });
}

/// Nagios and Icinga plugins (check_gearman.pl, check_gearmand.py): a line with or without CR, read up to `.` alone on a line, then they hang up.
#[test]
fn plugins_of_nagios() {
    with_servers(|at_work| {
        for end in ["\n", "\r\n"] {
            let mut stream = at_work.server.connect();
            let status = ask(&mut stream, &format!("status{end}"));
            assert_eq!(status.lines().count(), wanted().len() + 1);
            drop(stream);
        }
    });
}

/// Zabbix, sd-agent, collectd and Telegraf run `echo status | nc`: half of the connection is closed before the answer. Some netcats
/// close all of it after a while, some wait for our end.
#[test]
fn netcat_closes_its_half_first() {
    with_servers(|at_work| {
        for command in ["status\n", "status\r\n"] {
            let mut stream = at_work.server.connect();
            stream.write_all(command.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let text = String::from_utf8(read_to_end(&mut stream)).unwrap();
            assert!(text.starts_with("idle\t0\t0\t1\n") && text.ends_with("\n.\n"), "{text}");
        }
    });
}

/// Web pages for gearmand: raventools/gearman-dashboard reads lines of up to 1,023 bytes up to one that begins with a dot, splits
/// `workers` at ` : ` and skips those without an id; Django-GearmanAdmin, GearmanTelnet, Thruk's plug-in and gearman_status (npm) read the
/// same lists in the same way. yugene's Gearman-Monitor and gearman-ui go through Net_Gearman_Manager: see its replay.
#[test]
fn web_pages_read_status_and_workers() {
    with_servers(|at_work| {
        let read = |command: &str| -> Vec<String> {
            let mut stream = at_work.server.connect();
            stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
            let lines = BufReader::new(stream).lines().map(Result::unwrap);
            lines.take_while(|line| !line.starts_with('.')).collect()
        };
        let status = read("status");
        let waiting: Vec<&str> = status.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(waiting, ["0", "2", "2"]);
        let mut named = Vec::new();
        for line in read("workers") {
            let (who, functions) = line.split_once(" :").unwrap();
            let who: Vec<&str> = who.split(' ').collect();
            assert_eq!(who.len(), 3, "{line}");
            if who[2] != "-" {
                named.push((who[1].to_owned(), who[2].to_owned(), functions.trim().to_owned()));
            }
        }
        // The blank in the id has become something that does not split.
        assert_eq!(named, [("127.0.0.1".to_owned(), "worker_7".to_owned(), "resize".to_owned())]);
    });
}

/// The Perl server's `jobs` and `clients`, which gearmand has never had: who runs what, and who waits for it.
#[test]
fn perl_tools_ask_for_jobs_and_clients() {
    with_servers(|at_work| {
        let (client, worker) = (at_work.client.local_addr().unwrap(), at_work.worker.local_addr().unwrap());
        let mut stream = at_work.server.connect();
        let mut jobs: Vec<String> = ask(&mut stream, "jobs\n").lines().map(str::to_owned).collect();
        assert_eq!(jobs.pop().unwrap(), ".");
        jobs.sort();
        // Function, unique, the worker, how many wait.
        let running = format!("resize\timage-1\t{worker}\t1");
        assert_eq!(jobs, [&running[..], "resize\timage-2\t-\t0", "send_mail\t\t-\t0", "send_mail\t\t-\t0"]);

        let list = ask(&mut stream, "clients\r\n");
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines.len(), 4 + 1 + 1, "{list}");
        let at = lines.iter().position(|line| *line == client.to_string()).unwrap();
        assert_eq!(lines[at + 1], format!("\tresize\timage-1\t{worker}"));
        assert!(
            lines.contains(&&worker.to_string()[..])
                && lines.contains(&&stream.local_addr().unwrap().to_string()[..])
        );
        assert_eq!(lines.iter().filter(|line| line.starts_with('\t')).count(), 1);
        assert_eq!(lines.last(), Some(&"."));
    });
}

/// `gearman --ping` (gearmand 2.1) is an ECHO_REQ, which must be answered within 2 seconds while others submit all they can.
#[test]
fn a_ping_is_answered_at_full_load() {
    const LOAD: usize = 8;
    let server = Server::start(&["--threads", "2"]);
    let batch = request(SUBMIT_JOB_BG, b"load\0\0x").repeat(1000);
    thread::scope(|scope| {
        let mut started = Vec::new();
        for _ in 0..LOAD {
            started.push(scope.spawn(|| {
                let mut client = server.connect();
                for _ in 0..20 {
                    client.write_all(&batch).unwrap();
                    for _ in 0..1000 {
                        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
                    }
                }
            }));
        }
        let mut slowest = Duration::ZERO;
        while !started.iter().all(|client| client.is_finished()) {
            let start = Instant::now();
            let mut ping = server.connect();
            ping.write_all(&request(ECHO_REQ, b"ping")).unwrap();
            assert_eq!(read_packet(&mut ping), (17, b"ping".to_vec()));
            slowest = slowest.max(start.elapsed());
        }
        // The time is what is promised.
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    });
}
