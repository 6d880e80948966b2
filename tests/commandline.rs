//! The command line and the log, seen from outside: what is printed, what the process ends with, what operators find in
//! their files. What each flag means for the parts of the server is tested beside `src/config/mod.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use ringgear::frontend::VERSION;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use support::packets::*;
use support::server::{Server, echo, read_packet, read_to_end, request, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

/// Runs a command line that starts no server.
fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("GEARMAND_PORT").stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], message: &str) {
    let output = run(arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{PROGRAM}: {message}\n"), "{arguments:?}");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]), "{arguments:?}");
}

/// A file name that nobody uses, and its folder, removed in the end.
struct LogFile(PathBuf);

impl LogFile {
    fn new(name: &str) -> LogFile {
        let folder = std::env::temp_dir().join(format!("ringgear-commandline-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        LogFile(folder.join("log"))
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// Submits a job and returns its handle.
fn submit(client: &mut TcpStream, number: u32, data: &[u8]) -> String {
    client.write_all(&request(number, data)).unwrap();
    let (number, handle) = read_packet(client);
    assert_eq!(number, JOB_CREATED);
    String::from_utf8(handle).unwrap()
}

/// A worker that has grabbed a job of `f`.
fn grab(server: &Server, can_do: u32, ability: &[u8]) -> TcpStream {
    let mut worker = server.connect();
    worker.write_all(&request(can_do, ability)).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    worker
}

#[test]
fn version_and_help_end_well() {
    for flag in ["-V", "--version"] {
        let output = run(&[flag]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!(
                "\nringgear {VERSION} - follows gearmand 1.1.20 - https://github.com/ringgear/ringgear\n"
            )
        );
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    }
    for flag in ["-h", "--help"] {
        let output = run(&[flag]);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.contains("Usage: ringgear [OPTIONS]"), "{help}");
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    }
}

/// The pages of `ringgear help`, each as the file that it is.
fn pages() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// Long names of options in a text.
fn options(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
}

/// What the tables of the pages say: options, with the default behind each.
fn table_rows() -> Vec<(Vec<String>, Vec<String>)> {
    let mut rows = Vec::new();
    for (_, page) in pages() {
        let mut default = None;
        for line in page.lines() {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            if cells[0] == "option" {
                default = cells.iter().position(|name| *name == "default");
            } else if !line.starts_with('|') {
                default = None;
            } else if let Some(default) = default.filter(|_| cells[0].starts_with("`-")) {
                let defaults = cells[default].split(", ").map(str::to_owned).collect();
                rows.push((options(cells[0]), defaults));
            }
        }
    }
    rows
}

/// Each option of the help is a row of one table, or named as not there yet; and each of a row is an option.
#[test]
fn the_pages_and_the_help_name_the_same_options() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let (here, later) = help.split_once("Not there yet:").unwrap();
    let in_rows: Vec<String> = table_rows().into_iter().flat_map(|(options, _)| options).collect();
    for option in options(here) {
        let rows = in_rows.iter().filter(|row| **row == option).count();
        assert_eq!(rows, 1, "rows of {option} in the tables of src/cli/help");
    }
    let known = options(here);
    for option in in_rows {
        assert!(known.contains(&option), "src/cli/help tells of {option}, which is no option");
    }
    let page = include_str!("../src/cli/help/options.md");
    let not_there = options(page.split_once("## Not there yet").unwrap().1);
    for option in options(later.split_once("\n\n").unwrap().0) {
        assert!(not_there.contains(&option), "options.md does not say that {option} is not there yet");
    }
}

/// Where the help says a default in one word, the tables say the same.
#[test]
fn the_pages_and_the_help_name_the_same_defaults() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let mut entries: Vec<String> = Vec::new();
    for line in help.lines() {
        let indent = line.len() - line.trim_start().len();
        match line.trim_start().starts_with('-') && indent <= 6 {
            true => entries.push(line.to_owned()),
            false => entries.last_mut().into_iter().for_each(|entry| *entry += &format!(" {}", line.trim())),
        }
    }
    let rows = table_rows();
    let mut compared = 0;
    for entry in entries {
        let name = options(&entry)[0].clone();
        let Some(default) = entry.split("[default: ").nth(1).and_then(|rest| rest.split(']').next()) else {
            continue;
        };
        if default.contains(' ') {
            continue;
        }
        let Some((options, defaults)) = rows.iter().find(|(options, _)| options.contains(&name)) else {
            panic!("no row of {name}");
        };
        let place = options.iter().position(|option| *option == name).unwrap();
        assert_eq!(plain(&defaults[place]), default, "the default of {name}");
        compared += 1;
    }
    assert!(compared > 20, "{compared} defaults were compared");
}

/// A default of a table as the help would write it: `256 MiB`, `10,000`, `0: no limit`.
fn plain(default: &str) -> String {
    let default = default.split(": ").next().unwrap().replace(['`', ','], "");
    let unit = |unit: &str| default.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    match (unit(" MiB"), unit(" GiB")) {
        (Some(number), _) => (number << 20).to_string(),
        (_, Some(number)) => (number << 30).to_string(),
        _ => default,
    }
}

#[test]
fn mistakes_are_one_line_and_status_1() {
    refused(&["--bogus"], "unexpected argument '--bogus' found; --help lists all options");
    refused(&["-x"], "unexpected argument '-x' found; --help lists all options");
    refused(&["start"], "unexpected argument 'start' found; --help lists all options");
    refused(&["--por", "1"], "unexpected argument '--por' found; --help lists all options");
    refused(&["-p"], "a value is required for '--port <PORT>' but none was supplied");
    refused(
        &["-p", "1", "--port=2"],
        "the argument '--port <PORT>' cannot be used multiple times; leave one of them out",
    );
    refused(
        &["-p", "65536"],
        "--port 65536 is neither a number up to 65535 nor a service in /etc/services; name one of these",
    );
    refused(&["--round-robin=yes"], "unexpected value 'yes' for '--round-robin' found; leave it out");
    refused(
        &["--verbose", "error"],
        "invalid value 'error' for '--verbose <LEVEL>': \
         must be one of FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG",
    );
    refused(
        &["--compat", "2.1", "-j", "256"],
        "--job-retries 256 is not within -1 to 255, as --compat 2.1 and later want it; say -1 for no limit",
    );
    refused(
        &["--job-handle-prefix", &"x".repeat(45)],
        "--job-handle-prefix: a job handle prefix has at most 44 bytes, this one has 45; choose a shorter one",
    );
    let output = run(&["--listen", "no such host"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with(&format!("{PROGRAM}: --listen no such host has no address: ")), "{message}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_environment_moves_the_default_port_only() {
    // Whoever tried to listen there would fail.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let moved = taken.local_addr().unwrap();
    let explicit = Server::start_by(&["env", &format!("GEARMAND_PORT={}", moved.port())], &["-t", "1"]);
    echo(&mut explicit.connect(), b"");
    drop(taken);

    // The default is taken as such when it is given, too.
    let mut command = Command::new(PROGRAM);
    command.args(["-L", "127.0.0.1", "-p", "4730", "-t", "1"]).env("GEARMAND_PORT", moved.port().to_string());
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let mut ended = None;
    wait_until("the server listens on the port of the environment", || {
        ended = child.try_wait().unwrap();
        ended.is_some() || TcpStream::connect(moved).is_ok()
    });
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(ended, None);
}

#[test]
fn the_log_tells_of_submissions() {
    let log = LogFile::new("accepted");
    fs::write(&log.0, "from the last run\n").unwrap();
    let server = Server::start(&["-t", "2", "--verbose", "NOTICE", "--log-file", log.name()]);
    let mut client = server.connect();
    submit(&mut client, SUBMIT_JOB_BG, b"func\0uni\nque\0x");
    let line = "] accepted,func,uni_que,0 -> ";
    wait_until("the submission is logged", || log.text().contains(line));
    let text = log.text();
    assert!(text.starts_with("from the last run\n NOTICE 2"), "{text}");
    for line in text.lines().skip(1) {
        assert!(
            line.contains(" [  main ] ") || line.contains(" [     0 ] ") || line.contains(" [     1 ] "),
            "{line}"
        );
    }
}

#[test]
fn the_log_tells_of_lost_attempts() {
    let server = Server::start(&["-t", "2", "--verbose", "NOTICE", "-j", "2"]);
    let mut client = server.connect();
    let handle = submit(&mut client, SUBMIT_JOB, b"f\0u\0x");
    // The worker takes too long.
    let slow = grab(&server, CAN_DO_TIMEOUT, b"f\x00100");
    let line =
        format!("Worker timeout reached on job, requeueing: {handle} u (127.0.0.1 -) -> src/shard/pump.rs:");
    wait_until("the time-out is logged", || server.log().contains(&line));
    drop(slow);
    // The next one leaves.
    drop(grab(&server, CAN_DO, b"f"));
    assert_eq!(read_packet(&mut client), (WORK_FAIL, handle.clone().into_bytes()));
    let line = format!("Dropped job due to max retry count: {handle} u -> ");
    wait_until("the lost job is logged", || server.log().contains(&line));
}

/// Which request, whose, and where it was decided: with 200 workers one must find the one.
#[test]
fn the_log_tells_of_refused_requests() {
    for (compat, level) in [("1.1", "WARNING"), ("2.0", "  ERROR")] {
        let server = Server::start(&["-t", "1", "--compat", compat, "--verbose", "WARNING"]);
        let mut client = server.connect();
        let address = client.local_addr().unwrap();
        let mut refused = |number, data: &[u8]| {
            client.write_all(&request(number, data)).unwrap();
            assert_eq!(read_packet(&mut client).0, ERROR);
        };
        refused(OPTION_REQ, b"nonsense");
        refused(JOB_CREATED, b"H:a:1");
        client.write_all(&request(SET_CLIENT_ID, b"worker\n7")).unwrap();
        let mut refused = |number, data: &[u8]| {
            client.write_all(&request(number, data)).unwrap();
            assert_eq!(read_packet(&mut client).0, ERROR);
        };
        refused(WORK_DATA, b"H:a:1\0x");
        let whole = [
            format!("OPTION:Server does not recognize given option (OPTION_REQ of {address}) -> src/shard/"),
            format!("COMMAND:Command not expected (JOB_CREATED of {address}) -> src/shard/"),
            format!(
                "FOUND:Job does not exist on server (WORK_DATA or WORK_WARNING of {address} (worker_7)) -> src/shard/"
            ),
        ];
        wait_until("all are logged", || whole.iter().all(|end| server.log().contains(end)));
        for line in server.log().lines() {
            assert!(line.starts_with(level) && line.contains("[     0 ] GEARMAN_"), "{line}");
        }
    }
}

#[test]
fn the_log_tells_why_a_connection_is_closed() {
    let server = Server::start(&["-t", "1", "--verbose", "WARNING"]);
    let said = |bytes: &[u8], what: &str| {
        let mut peer = server.connect();
        let address = peer.local_addr().unwrap();
        peer.write_all(&request(SET_CLIENT_ID, b"w1")).unwrap();
        peer.write_all(bytes).unwrap();
        assert_eq!(read_to_end(&mut peer), b"");
        // What the engine decides is told when the session is forgotten.
        let lines = [format!("of {address} (w1): {what}"), format!("of {address}: {what}")];
        wait_until(what, || lines.iter().any(|line| server.log().contains(line)));
    };
    said(&request(SUBMIT_JOB, b"f"), "the peer sent SUBMIT_JOB without a NUL after its ");
    said(b"\0HTTP/1.1 200 ", "the peer began a packet with \"\\x00HTT\" -> src/shard/reader.rs:");
    said(&request(99, b""), "the peer sent the unknown command 99");
    said(&[b'x'; 9000], "the peer sent a line of more than 8191 bytes");
    said(b"a b c d e f\n", "the peer sent a line of more than 5 words");
    said(
        &request(CAN_DO_TIMEOUT, b"f\099999999999999999999"),
        "the peer sent a number, handle or unique that cannot be",
    );
}

/// F28.
#[test]
fn attempts_that_were_hardly_meant_so_are_told() {
    let server = Server::start(&["-t", "1", "--verbose", "WARNING", "--job-retries=-1"]);
    let said = "--job-retries -1 means 255 attempts with --compat 1.1; for no limit, as from 2.1 on, say 0";
    wait_until("it is told", || server.log().contains(said));
    let server = Server::start(&["-t", "1", "--verbose", "WARNING", "--compat", "2.1", "--job-retries=-1"]);
    echo(&mut server.connect(), b"");
    assert_eq!(server.log(), "");
    let server = Server::start(&["-t", "1", "--verbose", "WARNING", "--compat", "2.2", "-j", "0"]);
    let said = "--job-retries 0 means one attempt with --compat 2.2; for no limit, as before 2.1, say -1";
    wait_until("it is told", || server.log().contains(said));
}

#[test]
fn no_retry_is_one_attempt_from_2_1_on() {
    let server = Server::start(&["-t", "1", "--compat", "2.1", "-j", "0"]);
    let mut client = server.connect();
    let handle = submit(&mut client, SUBMIT_JOB, b"f\0u\0x");
    drop(grab(&server, CAN_DO, b"f"));
    assert_eq!(read_packet(&mut client), (WORK_FAIL, handle.into_bytes()));
}

/// gearmand opens a file called `stderr` then.
#[test]
fn there_is_nothing_to_rotate_without_a_file() {
    for target in ["stderr", "none"] {
        let log = LogFile::new(target);
        let folder = log.0.parent().unwrap().to_str().unwrap();
        let server = Server::start_by(&["env", "-C", folder], &["-t", "1", "--log-file", target]);
        server.signal(Signal::HUP);
        echo(&mut server.connect(), b"still here");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_stops_nothing() {
    let server = Server::start(&["-t", "1", "--verbose", "NOTICE", "--log-file", "/nonexistent/log"]);
    submit(&mut server.connect(), SUBMIT_JOB_BG, b"f\0u\0x");
    wait_until("it is logged on standard error", || server.log().contains("accepted,f,u,0"));
    let message = "cannot open log file /nonexistent/log (--log-file): No such file or directory (os error 2); \
                   logging to stderr until a SIGHUP finds that it can be opened\n";
    assert!(server.log().starts_with(message), "{}", server.log());
}

#[test]
fn errors_alone_are_logged_by_default() {
    let server = Server::start(&["-t", "1"]);
    submit(&mut server.connect(), SUBMIT_JOB_BG, b"f\0u\0x");
    assert_eq!(server.log(), "");
}

#[test]
fn handles_begin_as_the_operator_wants() {
    let server = Server::start(&["-t", "2", "--job-handle-prefix", "X:y"]);
    let handle = submit(&mut server.connect(), SUBMIT_JOB_BG, b"f\0u\0x");
    let number = handle.strip_prefix("X:y:").unwrap();
    assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{handle}");

    let server = Server::start(&["-t", "2"]);
    let handle = submit(&mut server.connect(), SUBMIT_JOB_BG, b"f\0u\0x");
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert!(handle.starts_with(&format!("H:{host}:")), "{handle}");
}
