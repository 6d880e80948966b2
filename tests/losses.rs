//! Background jobs that Debian's gearmand loses with `-q libsqlite3`, and that ours keeps, with SQLite and with the log:
//! the same requests to each, side by side. What gearmand does is asserted as well, so that this stays true.
#![allow(clippy::unwrap_used)]

mod support;

use rusqlite::Connection;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use support::gearmand::Server;
use support::packets::*;
use support::scratch::Scratch;
use support::server::{PATIENCE, ask, read_packet, request, wait_until};

/// A job server and where it keeps its jobs.
struct Side {
    name: &'static str,
    program: PathBuf,
    options: Vec<String>,
    folder: Scratch,
}

impl Side {
    fn new(name: &'static str, program: PathBuf, options: impl FnOnce(&Scratch) -> Vec<String>) -> Side {
        let folder = Scratch::new();
        Side { name, program, options: options(&folder), folder }
    }

    /// With one thread: with more, `workers` may cease to list a client before its jobs hear that it has left.
    fn gearmand() -> Side {
        let program = support::gearmand::gearmand().unwrap_or_else(|error| panic!("{error}"));
        let one_thread = ["-t", "1"].map(str::to_owned);
        Side::new("gearmand", program, |folder| [database(folder), one_thread.to_vec()].concat())
    }

    fn ours() -> [Side; 2] {
        let log = |folder: &Scratch| vec!["--data-dir".to_owned(), folder.path("log")];
        [
            Side::new("ours, SQLite", env!("CARGO_BIN_EXE_ringgear").into(), database),
            Side::new("ours, log", env!("CARGO_BIN_EXE_ringgear").into(), log),
        ]
    }

    /// Starts it on what is there.
    fn try_start(&self, more: &[&str]) -> Result<Server, String> {
        let more = more.iter().map(|&option| option.to_owned());
        Server::start(&self.program, &self.options.iter().cloned().chain(more).collect::<Vec<_>>())
    }

    #[track_caller]
    fn start(&self, more: &[&str]) -> Server {
        self.try_start(more).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The rows of the table, as unique and workload.
    fn rows(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let connection = Connection::open(self.folder.file("queue.db")).unwrap();
        let mut statement =
            connection.prepare("SELECT unique_key, data FROM gearman_queue ORDER BY rowid").unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn database(folder: &Scratch) -> Vec<String> {
    ["-q", "libsqlite3", "--libsqlite3-db", &folder.path("queue.db")].map(str::to_owned).to_vec()
}

fn connect(server: &mut Server) -> TcpStream {
    let stream = server.connect().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Ends a server, and waits until it has.
#[track_caller]
fn end(mut server: Server, signal: &str) {
    server.signal(signal).unwrap();
    assert!(server.wait().is_some(), "it does not end\n{}", server.last_words());
}

/// Submits a job of the function `f`, and returns its handle.
#[track_caller]
fn submit(client: &mut TcpStream, kind: u32, unique: &str, workload: &str) -> Vec<u8> {
    client.write_all(&request(kind, format!("f\0{unique}\0{workload}").as_bytes())).unwrap();
    let (answer, handle) = read_packet(client);
    assert_eq!(answer, JOB_CREATED, "{}", handle.escape_ascii());
    handle
}

fn worker(server: &mut Server) -> TcpStream {
    let mut worker = connect(server);
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    worker
}

/// Takes a job: its handle, its unique and its workload.
#[track_caller]
fn grab(worker: &mut TcpStream) -> Option<(Vec<u8>, String, String)> {
    worker.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
    let (answer, data) = read_packet(worker);
    if answer == NO_JOB {
        return None;
    }
    assert_eq!(answer, JOB_ASSIGN_UNIQ);
    let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Some((parts[0].to_vec(), text(parts[2]), text(parts[3])))
}

/// Works off everything that is there: uniques and workloads, in the order in which they come.
#[track_caller]
fn work_off(server: &mut Server) -> Vec<(String, String)> {
    let mut worker = worker(server);
    let mut jobs = Vec::new();
    while let Some((handle, unique, workload)) = grab(&mut worker) {
        worker.write_all(&request(WORK_COMPLETE, &[&handle[..], b"done"].join(&0))).unwrap();
        jobs.push((unique, workload));
    }
    jobs
}

/// How many connections the server has.
fn connections(admin: &mut TcpStream) -> usize {
    ask(admin, "workers\n").lines().count()
}

/// Closes a connection, and waits until the server has seen it.
#[track_caller]
fn leave(client: TcpStream, admin: &mut TcpStream) {
    let before = connections(admin);
    drop(client);
    wait_until("the server sees that the client has left", || connections(admin) < before);
}

fn jobs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(unique, workload)| (unique.to_owned(), workload.to_owned())).collect()
}

/// Two jobs, each submitted by a foreground client first and in the background then. The foreground client leaves.
fn join_and_leave(side: &Side) -> Server {
    let mut server = side.start(&[]);
    let (mut leaving, mut staying, mut admin) =
        (connect(&mut server), connect(&mut server), connect(&mut server));
    for unique in ["a", "b"] {
        let handle = submit(&mut leaving, SUBMIT_JOB, unique, "load");
        let joined = submit(&mut staying, SUBMIT_JOB_BG, unique, "load");
        assert_eq!(joined, handle, "{}: it joins", side.name);
    }
    leave(leaving, &mut admin);
    server
}

#[test]
fn a_background_submission_that_joins_a_foreground_job() {
    let gearmand = Side::gearmand();
    let mut server = join_and_leave(&gearmand);
    assert_eq!(gearmand.rows(), [], "both were answered JOB_CREATED, and neither is stored");
    assert_eq!(work_off(&mut server), [], "and neither is run");
    end(server, "SIGKILL");
    assert_eq!(work_off(&mut gearmand.start(&[])), [], "nor after a restart");

    for side in Side::ours() {
        let mut server = join_and_leave(&side);
        let mut worker = worker(&mut server);
        let (_, unique, _) = grab(&mut worker).unwrap_or_else(|| panic!("{}: a job is there", side.name));
        assert_eq!(unique, "a", "{}", side.name);
        // Neither has ended.
        end(server, "SIGKILL");
        let mut server = side.start(&[]);
        assert_eq!(work_off(&mut server), jobs(&[("a", "load"), ("b", "load")]), "{}", side.name);
    }
}

/// A background job that a foreground client joins, and leaves.
fn be_joined(side: &Side) -> Server {
    let mut server = side.start(&[]);
    let (mut leaving, mut staying, mut admin) =
        (connect(&mut server), connect(&mut server), connect(&mut server));
    let handle = submit(&mut staying, SUBMIT_JOB_BG, "a", "load");
    assert_eq!(submit(&mut leaving, SUBMIT_JOB, "a", "load"), handle, "{}: it joins", side.name);
    leave(leaving, &mut admin);
    server
}

#[test]
fn a_background_job_that_a_foreground_client_joins_and_leaves() {
    let gearmand = Side::gearmand();
    let mut server = be_joined(&gearmand);
    assert_eq!(work_off(&mut server), [], "nobody runs it");
    assert_eq!(gearmand.rows().len(), 1);
    end(server, "SIGTERM");
    // It comes back only because its row has stayed.
    assert_eq!(work_off(&mut gearmand.start(&[])), jobs(&[("a", "load")]));

    for side in Side::ours() {
        let mut server = be_joined(&side);
        assert_eq!(work_off(&mut server), jobs(&[("a", "load")]), "{}", side.name);
        end(server, "SIGTERM");
        assert_eq!(work_off(&mut side.start(&[])), [], "{}: and only once", side.name);
    }
}

/// Stops a server in order while a worker has the only job.
fn stop_while_it_runs(side: &Side, options: &[&str]) {
    let mut server = side.start(options);
    submit(&mut connect(&mut server), SUBMIT_JOB_BG, "a", "load");
    let mut worker = worker(&mut server);
    assert!(grab(&mut worker).is_some(), "{}", side.name);
    end(server, "SIGTERM");
}

#[test]
fn a_stop_while_the_only_attempt_runs() {
    let gearmand = Side::gearmand();
    stop_while_it_runs(&gearmand, &["-j", "1"]);
    assert_eq!(gearmand.rows(), [], "the stop was a lost attempt, and the last one");
    assert_eq!(work_off(&mut gearmand.start(&[])), []);
    // With more attempts it is kept, so it is not the stop alone.
    let gearmand = Side::gearmand();
    stop_while_it_runs(&gearmand, &[]);
    assert_eq!(work_off(&mut gearmand.start(&[])), jobs(&[("a", "load")]));

    for side in Side::ours() {
        stop_while_it_runs(&side, &["-j", "1"]);
        let mut server = side.start(&["-j", "1"]);
        assert_eq!(ask(&mut connect(&mut server), "show dead jobs\n"), ".\n", "{}", side.name);
        assert_eq!(work_off(&mut server), jobs(&[("a", "load")]), "{}", side.name);
    }
}

/// Jobs that nothing joins: without a unique, and with `-` and workloads of their own.
const ALONE: [(&str, &str); 6] = [("", "1"), ("-", "2"), ("", "3"), ("-", "4"), ("", "5"), ("-", "6")];

fn submit_alone(side: &Side) {
    let mut server = side.start(&[]);
    let mut client = connect(&mut server);
    for (unique, workload) in ALONE {
        submit(&mut client, SUBMIT_JOB_BG, unique, workload);
    }
    // Each is a job of its own as long as the server lives.
    assert_eq!(ask(&mut client, "status\n"), "f\t6\t0\t0\n.\n", "{}", side.name);
    end(server, "SIGTERM");
}

#[test]
fn jobs_without_a_unique_of_their_own() {
    let gearmand = Side::gearmand();
    submit_alone(&gearmand);
    let left = [("".to_owned(), Some(b"5".to_vec())), ("-".to_owned(), Some(b"6".to_vec()))];
    assert_eq!(gearmand.rows(), left, "each has overwritten the one before");
    assert_eq!(work_off(&mut gearmand.start(&[])), jobs(&[("", "5"), ("-", "6")]));

    for side in Side::ours() {
        submit_alone(&side);
        assert_eq!(work_off(&mut side.start(&[])), jobs(&ALONE), "{}", side.name);
    }
}

fn submit_nothing_to_do(side: &Side) {
    let mut server = side.start(&[]);
    let mut client = connect(&mut server);
    submit(&mut client, SUBMIT_JOB_BG, "a", "");
    submit(&mut client, SUBMIT_JOB_BG, "b", "load");
    end(server, "SIGTERM");
}

#[test]
fn a_job_without_a_workload() {
    let gearmand = Side::gearmand();
    submit_nothing_to_do(&gearmand);
    let rows = [("a".to_owned(), None), ("b".to_owned(), Some(b"load".to_vec()))];
    assert_eq!(gearmand.rows(), rows, "no workload becomes NULL");
    let refused = gearmand.try_start(&[]).map(|server| server.pid()).unwrap_err();
    assert!(refused.contains("ended at once: exit status: 1"), "{refused}");
    assert_eq!(gearmand.rows(), rows, "the other job is as far away");
    // Ours starts on that file.
    let [mut ours, _] = Side::ours();
    ours.options = gearmand.options.clone();
    assert_eq!(work_off(&mut ours.start(&[])), jobs(&[("a", ""), ("b", "load")]));

    for side in Side::ours() {
        submit_nothing_to_do(&side);
        assert_eq!(work_off(&mut side.start(&[])), jobs(&[("a", ""), ("b", "load")]), "{}", side.name);
    }
}
