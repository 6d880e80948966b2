//! `gearadmin` with every option that it has, against gearmand and against us in turn: it prints the same bytes, but for
//! handles, process numbers, descriptors and the order of lines, which depend on the server.
use super::{run, spawn};
use crate::support::gearmand::{Server, gearmand};
use crate::support::server::wait_until;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a tool said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

/// Both servers, with the same done to them.
struct Pair {
    ours: Server,
    gearmand: Server,
}

impl Pair {
    fn start() -> Pair {
        let two = ["--threads", "2"].map(str::to_owned);
        let ours = Server::start(Path::new(env!("CARGO_BIN_EXE_ringgear")), &two).unwrap();
        let program = gearmand().unwrap_or_else(|error| panic!("{error}"));
        let theirs = Server::start(&program, &[]).unwrap();
        let mut pair = Pair { ours, gearmand: theirs };
        // The connections that found them ready are not to be seen by the tool.
        drop(pair.ours.connect());
        drop(pair.gearmand.connect());
        pair
    }

    fn both(&self) -> [&Server; 2] {
        [&self.ours, &self.gearmand]
    }

    /// Runs `gearadmin` at both, once; they say the same, and that is given back.
    #[track_caller]
    fn gearadmin(&self, arguments: &[&str]) -> Said {
        let [ours, theirs] = self.both().map(|server| said(server, "gearadmin", arguments));
        assert_eq!(ours, theirs, "gearadmin {arguments:?}, ours first");
        ours
    }

    /// The same, and nothing but this is printed.
    #[track_caller]
    fn does(&self, arguments: &[&str], wanted: &str) {
        let said = self.gearadmin(arguments);
        assert_eq!(said, Said { stdout: wanted.to_owned(), stderr: String::new(), status: Some(0) });
    }

    /// The same, where what another connection has just done may show a moment later.
    #[track_caller]
    fn prints(&self, arguments: &[&str], wanted: &str) {
        for server in self.both() {
            wait_until(&format!("gearadmin {arguments:?} prints {wanted:?}"), || {
                said(server, "gearadmin", arguments).stdout == wanted
            });
        }
        self.does(arguments, wanted);
    }

    /// Puts a job of this function in the background at both.
    fn submit(&self, function: &str, options: &[&str]) {
        for server in self.both() {
            let arguments = [&["-b", "-s", "-f", function][..], options].concat();
            assert_eq!(said(server, "gearman", &arguments).status, Some(0));
        }
    }
}

fn tool(server: &Server, program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &server.address().port().to_string()]);
    command.env_remove("GEARMAN_SERVER");
    command
}

fn said(server: &Server, program: &str, arguments: &[&str]) -> Said {
    let output = run(tool(server, program).args(arguments), b"");
    let text = |bytes: &[u8]| plain(server, &String::from_utf8_lossy(bytes));
    Said { stdout: text(&output.stdout), stderr: text(&output.stderr), status: output.status.code() }
}

/// Takes out what depends on the server, and puts each list in order.
fn plain(server: &Server, text: &str) -> String {
    let pid = server.pid().to_string();
    let mut lines: Vec<String> = Vec::new();
    let mut list = Vec::new();
    for line in text.split_inclusive('\n') {
        if line == ".\n" {
            list.sort_unstable();
            lines.append(&mut list);
            lines.push(line.to_owned());
        } else if line.trim_end() == pid {
            list.push("PID\n".to_owned());
        } else {
            list.push(plain_line(line));
        }
    }
    lines.append(&mut list);
    lines.concat()
}

/// A handle without its number, and a line of `workers` without its descriptor.
fn plain_line(line: &str) -> String {
    if let Some((handle, rest)) = line.split_once('\t').filter(|(handle, _)| handle.starts_with("H:")) {
        assert!(handle.rsplit(':').next().unwrap().parse::<u64>().is_ok(), "{line:?}");
        return format!("HANDLE\t{rest}");
    }
    match line.split_once(' ').filter(|(_, rest)| rest.starts_with("127.0.0.1 ")) {
        Some((descriptor, rest)) => {
            assert!(descriptor.parse::<u32>().is_ok(), "{line:?}");
            format!("DESCRIPTOR {rest}")
        }
        None => line.to_owned(),
    }
}

/// Workers at both servers, until dropped.
struct Workers(Vec<Child>);

impl Workers {
    fn start(pair: &Pair, function: &str) -> Workers {
        let start = |server| {
            let mut command = tool(server, "gearman");
            command.args(["-w", "-f", function, "--", "cat"]);
            spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
        };
        Workers(pair.both().into_iter().map(start).collect())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

#[test]
fn gearadmin_prints_what_it_prints_of_gearmand() {
    let pair = Pair::start();
    for list in ["--status", "--priority-status", "--show-jobs", "--show-unique-jobs"] {
        pair.prints(&[list], ".\n");
        pair.prints(&["-S", list], ".\n");
    }
    pair.prints(&["--workers"], "DESCRIPTOR 127.0.0.1 - :\n.\n");
    pair.prints(&["--getpid"], "PID\n");
    pair.prints(&["--server-verbose"], "INFO\n");

    pair.does(&["--create-function", "made"], "OK\n");
    pair.prints(&["--status"], "made\t0\t0\t0\n.\n");
    pair.prints(&["--priority-status"], "made\t0\t0\t0\t0\n.\n");
    pair.does(&["--create-function", "made"], "OK\n");

    pair.submit("queued", &["-u", "first"]);
    pair.submit("queued", &["-u", "second", "-I"]);
    pair.submit("queued", &["-u", "third", "-L"]);
    pair.prints(&["--status"], "made\t0\t0\t0\nqueued\t3\t0\t0\n.\n");
    pair.prints(&["--priority-status"], "made\t0\t0\t0\t0\nqueued\t1\t1\t1\t0\n.\n");
    pair.prints(&["--show-jobs"], "HANDLE\t0\t0\t1\nHANDLE\t0\t0\t1\nHANDLE\t0\t0\t1\n.\n");
    pair.prints(&["--show-unique-jobs"], "first\nsecond\nthird\n.\n");

    let workers = Workers::start(&pair, "worked");
    pair.prints(&["--status"], "made\t0\t0\t0\nqueued\t3\t0\t0\nworked\t0\t0\t1\n.\n");
    pair.prints(&["--workers"], "DESCRIPTOR 127.0.0.1 - :\nDESCRIPTOR 127.0.0.1 - : worked\n.\n");
    let refused = pair.gearadmin(&["--drop-function", "worked"]);
    assert!(refused.stderr.contains("there are still connected workers"), "{refused:?}");
    drop(workers);
    pair.prints(&["--status"], "made\t0\t0\t0\nqueued\t3\t0\t0\nworked\t0\t0\t0\n.\n");

    pair.does(&["--drop-function", "made"], "OK\n");
    pair.prints(&["--status"], "queued\t3\t0\t0\nworked\t0\t0\t0\n.\n");
    let unknown = pair.gearadmin(&["--drop-function", "made"]);
    assert_eq!(unknown.stderr, "Error: function not found\r\n");
    let unknown = pair.gearadmin(&["--cancel-job", "H:nowhere:1"]);
    assert_eq!(unknown.stderr, "Error: UNKNOWN_JOB\r\n");
    // Several at once go over one connection.
    pair.prints(&["--status", "--getpid"], "PID\nqueued\t3\t0\t0\nworked\t0\t0\t0\n.\n");
    // Its jobs do not keep a function.
    pair.does(&["--drop-function", "queued"], "OK\n");
    pair.prints(&["--status"], "worked\t0\t0\t0\n.\n");
}

#[test]
fn gearadmin_without_a_task_or_a_server_says_so() {
    let pair = Pair::start();
    for arguments in [&[][..], &["--help"], &["--nonsense"]] {
        pair.gearadmin(arguments);
    }
    assert_eq!(pair.gearadmin(&[]).status, Some(1));
}

/// The one answer that is our own.
#[test]
fn the_versions_have_one_form() {
    for server in Pair::start().both() {
        let version = said(server, "gearadmin", &["--server-version"]).stdout;
        let numbers: Vec<&str> = version.split(['.', '+', '\n']).take(3).collect();
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{version:?}");
    }
}
