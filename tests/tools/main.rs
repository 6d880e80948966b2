//! Debian's `gearman` and `gearadmin`, unchanged, against this server: what the package's users run every day; and our own tools for
//! operators (`own.rs` and what names it).
#![allow(clippy::unwrap_used)]

#[cfg(feature = "http")]
mod asked;
mod beside;
mod options;
#[cfg(feature = "http")]
mod ordered;
#[cfg(feature = "http")]
mod own;
#[cfg(feature = "http")]
mod place;
#[cfg(feature = "http")]
mod status;
#[cfg(all(feature = "http", feature = "top"))]
mod top;

#[path = "../support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::scratch::Scratch;
use support::server::{Server, wait_until};

/// How long a tool may take before the test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn with_servers(test: impl Fn(&Server)) {
    for threads in ["1", "2"] {
        test(&Server::start(&["--threads", threads]));
    }
}

/// A tool that talks to the server.
fn tool(server: &Server, program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", &server.address().ip().to_string(), "-p", &server.address().port().to_string()]);
    command.env_remove("GEARMAN_SERVER");
    command
}

#[track_caller]
fn spawn(command: &mut Command) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "{}: {error}; install it with `apt-get install gearman-tools`",
            command.get_program().display()
        ),
    }
}

/// Runs a tool with this input, to its end.
#[track_caller]
fn run(command: &mut Command, input: &[u8]) -> Output {
    let folder = Scratch::new();
    let path = folder.file("input");
    fs::write(&path, input).unwrap();
    let (out, err) = (folder.file("out"), folder.file("err"));
    command.stdin(File::open(&path).unwrap());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = spawn(command);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} hangs; it printed {:?}", fs::read_to_string(&out));
        }
        thread::sleep(Duration::from_millis(2));
    };
    Output { status, stdout: fs::read(&out).unwrap(), stderr: fs::read(&err).unwrap() }
}

/// What a tool prints, if it ends well and complains of nothing.
#[track_caller]
fn printed(command: &mut Command, input: &[u8]) -> String {
    let output = run(command, input);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {complaints}", output.status);
    assert_eq!(complaints, "", "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn gearadmin(server: &Server, arguments: &[&str]) -> String {
    printed(tool(server, "gearadmin").args(arguments), b"")
}

/// Asks until the answer is as it should be.
#[track_caller]
fn wait_for(server: &Server, argument: &str, wanted: &str) {
    wait_until(&format!("gearadmin {argument} prints {wanted:?}"), || {
        gearadmin(server, &[argument]) == wanted
    });
}

/// `gearman -w`, until dropped.
struct Worker(Child);

impl Worker {
    fn start(server: &Server, function: &str, program: &[&str]) -> Worker {
        let mut command = tool(server, "gearman");
        command.args(["-w", "-f", function, "--"]).args(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Worker(spawn(&mut command))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_reverses_lines_for_clients() {
    with_servers(|server| {
        let _worker = Worker::start(server, "rev", &["rev"]);
        for priority in [None, Some("-I"), Some("-L")] {
            let answer = printed(tool(server, "gearman").args(["-f", "rev"]).args(priority), b"hello\n");
            assert_eq!(answer, "olleh\n", "{priority:?}");
        }
        // An argument is a job of its own, without a line's end.
        assert_eq!(printed(tool(server, "gearman").args(["-f", "rev", "abc", "def"]), b""), "cbafed");
        assert_eq!(printed(tool(server, "gearman").args(["-P", "-f", "rev", "abc"]), b""), "rev: cba");
    });
}

#[test]
fn each_line_is_a_job() {
    with_servers(|server| {
        let _workers = [Worker::start(server, "rev", &["rev"]), Worker::start(server, "rev", &["rev"])];
        let lines: String = (0..50).map(|number| format!("line-{number}\n")).collect();
        let wanted: String =
            lines.lines().map(|line| line.chars().rev().chain(['\n']).collect::<String>()).collect();
        assert_eq!(printed(tool(server, "gearman").args(["-n", "-f", "rev"]), lines.as_bytes()), wanted);
    });
}

#[test]
fn several_functions_answer_one_client() {
    with_servers(|server| {
        let _workers = [Worker::start(server, "rev", &["rev"]), Worker::start(server, "cat", &["cat"])];
        let answer = printed(tool(server, "gearman").args(["-f", "rev", "-f", "cat"]), b"abc\n");
        let mut lines: Vec<&str> = answer.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["abc", "cba"]);
    });
}

#[test]
fn background_jobs_run_without_their_client() {
    with_servers(|server| {
        let folder = Scratch::new();
        let done = folder.file("done");
        for priority in [None, Some("-I"), Some("-L")] {
            let answer = printed(tool(server, "gearman").args(["-b", "-f", "append"]).args(priority), b"x");
            assert_eq!(answer, "");
        }
        wait_for(server, "--status", "append\t3\t0\t0\n.\n");
        assert_eq!(gearadmin(server, &["--priority-status"]), "append\t1\t1\t1\t0\n.\n");
        let worker = Worker::start(server, "append", &["tee", "-a", done.to_str().unwrap()]);
        wait_for(server, "--status", "append\t0\t0\t1\n.\n");
        drop(worker);
        wait_for(server, "--status", "append\t0\t0\t0\n.\n");
        assert_eq!(fs::read(&done).unwrap(), b"xxx");
    });
}

#[test]
fn a_failed_job_is_the_clients_exit_status() {
    with_servers(|server| {
        let _worker = Worker::start(server, "fail", &["false"]);
        let output = run(tool(server, "gearman").args(["-f", "fail"]), b"x");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "Job failed");
    });
}

#[test]
fn three_megabytes_come_back_as_they_were_sent() {
    with_servers(|server| {
        // The tool writes all of the workload before it reads a byte of the result, so `cat` alone would block it.
        let patient_cat = "file=$(mktemp) && cat >$file && cat $file && rm $file";
        let _worker = Worker::start(server, "cat", &["sh", "-c", patient_cat]);
        let mut payload = Vec::with_capacity(3 << 20);
        let mut state = 1_u32;
        while payload.len() < 3 << 20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            payload.write_all(&state.to_be_bytes()).unwrap();
        }
        let output = run(tool(server, "gearman").args(["-f", "cat"]), &payload);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == payload, "{} bytes came back, and not the same", output.stdout.len());
    });
}

#[test]
fn gearadmin_reads_what_the_server_says() {
    with_servers(|server| {
        let admin = |arguments: &[&str]| gearadmin(server, arguments);
        assert_eq!(admin(&["--status"]), ".\n");
        assert_eq!(admin(&["--create-function", "abc"]), "OK\n");
        assert_eq!(admin(&["--status"]), "abc\t0\t0\t0\n.\n");
        assert_eq!(admin(&["--priority-status"]), "abc\t0\t0\t0\t0\n.\n");
        assert_eq!(admin(&["--drop-function", "abc"]), "OK\n");
        assert_eq!(admin(&["--status"]), ".\n");
        assert_eq!(admin(&["--getpid"]), format!("{}\n", server.pid()));
        assert_eq!(admin(&["--server-verbose"]), "ERROR\n");
        assert_eq!(
            admin(&["--server-version"]),
            format!("{}\n", ringgear::frontend::version(ringgear::engine::Compat::V1_1))
        );
        assert!(admin(&["--workers"]).ends_with(" 127.0.0.1 - :\n.\n"));
        // Several at once go over one connection, the last of gearadmin's own list first.
        assert_eq!(admin(&["--status", "--getpid"]), format!("{}\n.\n", server.pid()));
    });
}

#[test]
fn gearadmin_shows_and_cancels_jobs() {
    with_servers(|server| {
        printed(tool(server, "gearman").args(["-b", "-f", "f", "-u", "my-unique"]), b"x");
        let jobs = gearadmin(server, &["--show-jobs"]);
        let handle = jobs.split('\t').next().unwrap();
        assert_eq!(jobs, format!("{handle}\t0\t0\t1\n.\n"));
        assert_eq!(gearadmin(server, &["--show-unique-jobs"]), "my-unique\n.\n");
        assert_eq!(gearadmin(server, &["--cancel-job", handle]), "OK\n");
        assert_eq!(gearadmin(server, &["--show-jobs"]), ".\n");
        let unknown = run(tool(server, "gearadmin").args(["--cancel-job", handle]), b"");
        assert_eq!(unknown.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("UNKNOWN_JOB"), "{unknown:?}");
    });
}

#[test]
fn gearadmin_is_told_of_errors() {
    with_servers(|server| {
        let _worker = Worker::start(server, "busy", &["cat"]);
        wait_for(server, "--status", "busy\t0\t0\t1\n.\n");
        for (function, complaint) in
            [("busy", "there are still connected workers"), ("nobody", "function not found")]
        {
            let output = run(tool(server, "gearadmin").args(["--drop-function", function]), b"");
            assert!(String::from_utf8_lossy(&output.stderr).contains(complaint), "{output:?}");
        }
    });
}
