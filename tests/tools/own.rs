//! A server that operators look at and give orders to, and our own tools for that, as a shell calls them.
use super::run;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::{Server, read_packet, request, wait_until};
use serde_json::Value;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

/// What a tool printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a tool to its end.
#[track_caller]
pub(crate) fn ended(command: &mut Command) -> Printed {
    let output = run(command, b"");
    Printed {
        status: output.status.code().unwrap_or_else(|| panic!("{command:?}: {output:?}")),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Printed {
    /// What was printed, of a tool that ends well and complains of nothing.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!((self.status, &self.err[..]), (0, ""), "{}", self.out);
        self.out
    }

    /// Every line, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<Value> {
        let text = self.well();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}")))
            .collect()
    }
}

/// One of our tools, without anything that the environment says.
pub(crate) fn ringgear(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for name in ["RINGGEAR_CONTROL", "RINGGEAR_TOKEN", "RINGGEAR_TOKEN_FILE", "GEARMAND_PORT"] {
        command.env_remove(name);
    }
    command.args(words);
    command
}

/// A server with a socket for orders and an address for looking.
pub(crate) struct Operated {
    pub(crate) server: Server,
    pub(crate) http: SocketAddr,
    pub(crate) folder: Scratch,
}

impl Operated {
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Operated {
        let folder = Scratch::new();
        let socket = format!("unix:{}", folder.path("control.sock"));
        let control = ["--control", "127.0.0.1:0", "--control", &socket, "--verbose", "NOTICE"];
        let server = Server::start(&[&control, options].concat());
        let mut http = None;
        wait_until("the HTTP side says where it is", || {
            let log = server.log();
            let rest = log.split("to be looked at on http://").nth(1);
            http = rest.and_then(|rest| rest.split_once('/')?.0.parse().ok());
            http.is_some() && log.contains("to be looked at over HTTP on unix:")
        });
        Operated { server, http: http.unwrap(), folder }
    }

    /// Where its socket for orders is, as `--control` has it.
    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.folder.path("control.sock"))
    }

    /// A tool that asks it by its socket.
    pub(crate) fn tool(&self, words: &[&str]) -> Command {
        let mut command = ringgear(words);
        command.args(["--control", &self.socket()]);
        command
    }

    /// One that asks it by its address, where nobody may give orders without a token.
    pub(crate) fn by_address(&self, words: &[&str]) -> Command {
        let mut command = ringgear(words);
        command.args(["--control", &self.http.to_string()]);
        command
    }

    /// Submits a job in the background, and tells its handle.
    #[track_caller]
    pub(crate) fn submit(&self, function: &str, unique: &str) -> String {
        submit(&mut self.server.connect(), function, unique)
    }

    /// A worker that knows a function.
    pub(crate) fn worker(&self, function: &str, id: &str) -> TcpStream {
        let mut worker = self.server.connect();
        worker.write_all(&request(SET_CLIENT_ID, id.as_bytes())).unwrap();
        worker.write_all(&request(CAN_DO, function.as_bytes())).unwrap();
        worker
    }

    /// Has a job of this function die: its only attempt is lost with its worker (`--job-retries 1`).
    #[track_caller]
    pub(crate) fn kill_one(&self, function: &str, unique: &str) -> String {
        let before = self.server.counter("dead_jobs");
        let handle = self.submit(function, unique);
        let mut doomed = self.worker(function, "doomed");
        assert_eq!(grab(&mut doomed), JOB_ASSIGN);
        drop(doomed);
        wait_until("the job is dead", || self.server.counter("dead_jobs") == before + 1);
        handle
    }
}

/// Submits a job in the background, and tells its handle.
#[track_caller]
pub(crate) fn submit(client: &mut TcpStream, function: &str, unique: &str) -> String {
    let data = [function.as_bytes(), b"\0", unique.as_bytes(), b"\0the payload"].concat();
    client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
    let (number, handle) = read_packet(client);
    assert_eq!(number, JOB_CREATED);
    String::from_utf8(handle).unwrap()
}

/// Asks for a job: the number of the answer.
#[track_caller]
pub(crate) fn grab(worker: &mut TcpStream) -> u32 {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    read_packet(worker).0
}

/// The cells of a table's row that begins so.
#[track_caller]
pub(crate) fn cells(table: &str, begin: &str) -> Vec<String> {
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(begin));
    let row = row.unwrap_or_else(|| panic!("no row of {begin} in {table}"));
    // Columns stand two blanks apart, words of a cell one.
    row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}
