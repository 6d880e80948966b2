//! `ringgear status`, `submit` and `work`: jobs from shells and in shells, with our server and with gearmand alike.
#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use support::gearmand::{Server, gearmand};
use support::scratch::Scratch;
use support::server::wait_until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

/// Each test with our server and with gearmand.
fn with_servers(test: impl Fn(&Server)) {
    let two = ["--threads", "2"].map(str::to_owned);
    test(&Server::start(Path::new(PROGRAM), &two).unwrap());
    let theirs = gearmand().unwrap_or_else(|error| panic!("{error}"));
    test(&Server::start(&theirs, &[]).unwrap());
}

/// A subcommand that speaks to this server.
fn command(server: &Server, subcommand: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    let address = server.address();
    command.args([subcommand, "-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
    // What is told over HTTP besides is tested in `tools`.
    command.env_remove("GEARMAND_PORT").env("RINGGEAR_CONTROL", "none").stdin(Stdio::null());
    command
}

/// Runs it with this input: status, standard output, standard error.
fn run(command: &mut Command, input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    (status.code(), stdout, String::from_utf8(stderr).unwrap())
}

#[track_caller]
fn printed(command: &mut Command, input: &[u8]) -> String {
    let (status, stdout, stderr) = run(command, input);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    String::from_utf8(stdout).unwrap()
}

/// A worker that ends with its handle.
struct Working {
    child: Child,
    stderr: PathBuf,
    _folder: Scratch,
}

impl Working {
    fn start(server: &Server, options: &[&str], function: impl AsRef<OsStr>, script: &str) -> Working {
        let folder = Scratch::new();
        let stderr = folder.file("stderr");
        let mut command = command(server, "work");
        command.args(options).arg(function).args(["--", "sh", "-c", script]);
        let child = command.stderr(fs::File::create(&stderr).unwrap()).spawn().unwrap();
        Working { child, stderr, _folder: folder }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("the worker ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // In order first, so that its commands end, too.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the worker said:\n{}", self.said());
        }
    }
}

/// Waits until `ringgear status` has this row of the function.
#[track_caller]
fn wait_for_row(server: &Server, function: &str, row: &str) {
    wait_until(row, || {
        let table = printed(command(server, "status").arg(function), b"");
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().skip(1).collect();
        cells.join(" ") == row
    });
}

/// As Apache does with its log: each line is a job; results stand in the order of lines, whatever is done first.
#[test]
fn lines_come_back_in_order() {
    with_servers(|server| {
        let _worker = Working::start(server, &["--count", "4"], "f", "tr a-z A-Z");
        assert_eq!(printed(command(server, "submit").args(["--lines", "f"]), b"a\nb\n"), "A\nB\n");
        assert_eq!(printed(command(server, "submit").arg("f"), b"one\ntwo"), "ONE\nTWO");
        assert_eq!(printed(command(server, "submit").args(["f", "x", "y"]), b""), "XY");
        assert_eq!(printed(command(server, "submit").args(["--lines", "f"]), b"\n\nz"), "\n\nZ\n");
        let random = "read n; sleep 0.$((n * 7 % 5)); echo $n";
        let _sleepers = Working::start(server, &["--count", "8"], "sleep", random);
        let numbers: String = (0..40).map(|number| format!("{number}\n")).collect();
        assert_eq!(
            printed(command(server, "submit").args(["--lines", "sleep"]), numbers.as_bytes()),
            numbers
        );
    });
}

#[test]
fn large_workloads_and_results_come_whole() {
    with_servers(|server| {
        let _worker = Working::start(server, &["--count", "2"], "cat", "cat");
        let workload = vec![b'x'; 8 << 20];
        let (status, stdout, stderr) = run(command(server, "submit").arg("cat"), &workload);
        assert_eq!((status, stdout.len(), stderr.as_str()), (Some(0), workload.len(), ""));
        let (status, _, stderr) =
            run(command(server, "submit").args(["--max-bytes", "1024", "cat"]), &workload);
        let said = "ringgear submit: standard input has more than 1024 bytes; raise --max-bytes\n";
        assert_eq!((status, stderr.as_str()), (Some(1), said));
    });
}

#[test]
fn background_jobs_print_handles_and_are_done() {
    with_servers(|server| {
        let folder = Scratch::new();
        let done = folder.path("done");
        let mut submit = command(server, "submit");
        let handles =
            printed(submit.args(["--background", "--priority", "low", "--lines", "b"]), b"1\n2\n3\n");
        assert_eq!(handles.lines().filter(|line| line.starts_with("H:")).count(), 3, "{handles}");
        let early = printed(command(server, "submit").args(["--at", "+2", "b", "late"]), b"");
        assert!(early.starts_with("H:"), "{early}");
        let mut high = command(server, "submit");
        printed(high.args(["--background", "--priority", "high", "-u", "key", "b", "urgent"]), b"");
        // A line at a time: it is read while it grows.
        let line = "\"$(cat)\" \"$GEARMAN_FUNCTION\" \"$GEARMAN_UNIQUE\"";
        let script = format!("printf '%s %s %s\\n' {line} >> {done}");
        let _worker = Working::start(server, &[], "b", &script);
        let begin = Instant::now();
        wait_until("all jobs are done", || {
            fs::read_to_string(&done).unwrap_or_default().lines().count() == 5
        });
        assert!(begin.elapsed() > Duration::from_millis(500), "a job of later was done at once");
        let text = fs::read_to_string(&done).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "urgent b key");
        // gearmand leaves jobs of low priority as long as one of normal priority is for later.
        lines.sort_unstable();
        assert_eq!(lines, ["1 b ", "2 b ", "3 b ", "late b ", "urgent b key"]);
    });
}

#[test]
fn failures_are_told_and_counted() {
    with_servers(|server| {
        let script = "read n; case $n in 2) exit 3;; 3) sleep 60;; 4) yes;; *) echo ok $n;; esac";
        let options = ["--timeout", "1", "--max-bytes", "100000", "--count", "4"];
        let worker = Working::start(server, &options, "f", script);
        let (status, stdout, stderr) =
            run(command(server, "submit").args(["--lines", "f"]), b"1\n2\n3\n4\n5\n");
        assert_eq!((status, stdout), (Some(1), b"ok 1\nok 5\n".to_vec()), "{stderr}");
        for line in ["line 2 (H:", "line 3 (H:", "line 4 (H:"] {
            assert!(stderr.contains(&format!("ringgear submit: {line}")), "{stderr}");
        }
        assert_eq!(stderr.lines().filter(|line| line.ends_with(") failed")).count(), 3, "{stderr}");
        let said = worker.said();
        for why in ["exit status: 3", "killed after 1 s (--timeout)", "printed more than 100000 bytes"] {
            assert!(said.contains(why), "{said}");
        }
    });
}

/// The job is not the victim of a command that is not there.
#[test]
fn a_command_that_cannot_be_started_leaves_the_job() {
    with_servers(|server| {
        printed(command(server, "submit").args(["-b", "f", "kept"]), b"");
        let mut work = command(server, "work");
        let (status, _, stderr) = run(work.args(["f", "--", "/nonexistent/command"]), b"");
        assert_eq!(status, Some(1));
        assert!(stderr.starts_with("ringgear work: /nonexistent/command cannot be started: "), "{stderr}");
        let folder = Scratch::new();
        let done = folder.path("done");
        let _worker = Working::start(server, &[], "f", &format!("cat > {done}.new; mv {done}.new {done}"));
        wait_until("the job is done", || fs::read(&done).is_ok_and(|text| text == b"kept"));
    });
}

#[test]
fn a_signal_lets_the_current_job_end() {
    with_servers(|server| {
        let folder = Scratch::new();
        let script = format!("touch {0}/begun; sleep 1; cat", folder.path(""));
        for signal in [Signal::TERM, Signal::INT] {
            let mut worker = Working::start(server, &[], "f", &script);
            let mut submit = command(server, "submit");
            let client = submit.args(["f", "current"]).stdout(Stdio::piped()).spawn().unwrap();
            wait_until("the job runs", || folder.file("begun").exists());
            printed(command(server, "submit").args(["-b", "f", "next"]), b"");
            worker.signal(signal);
            assert_eq!(worker.wait().code(), Some(0), "{}", worker.said());
            let output = client.wait_with_output().unwrap();
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"current"[..]));
            wait_for_row(server, "f", "1 0 0 no worker");
            let rest = Working::start(server, &[], "f", "cat >/dev/null");
            wait_for_row(server, "f", "0 0 1");
            drop(rest);
            fs::remove_file(folder.file("begun")).unwrap();
        }
        let mut idle = Working::start(server, &[], "idle", "cat");
        wait_for_row(server, "idle", "0 0 1");
        idle.signal(Signal::TERM);
        assert_eq!((idle.wait().code(), idle.said()), (Some(0), String::new()));
    });
}

#[test]
fn a_second_signal_ends_at_once_with_the_commands() {
    with_servers(|server| {
        let folder = Scratch::new();
        let pid = folder.file("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", pid.display());
        let mut worker = Working::start(server, &[], "f", &script);
        printed(command(server, "submit").args(["-b", "f", "x"]), b"");
        wait_until("the job runs", || pid.exists());
        worker.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(worker.child.try_wait().unwrap(), None);
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait().code(), Some(143));
        let number = fs::read_to_string(&pid).unwrap();
        let process = PathBuf::from(format!("/proc/{}/cmdline", number.trim()));
        wait_until("the command ends", || fs::read(&process).unwrap_or_default().is_empty());
        wait_for_row(server, "f", "1 0 0 no worker");
    });
}

#[test]
fn a_server_that_goes_away_is_waited_for() {
    let theirs = gearmand().unwrap_or_else(|error| panic!("{error}"));
    for program in [Path::new(PROGRAM), &theirs] {
        let server = Server::start(program, &[]).unwrap();
        let address = server.address();
        let worker = Working::start(&server, &[], "f", "tr a-z A-Z");
        assert_eq!(printed(command(&server, "submit").args(["f", "before"]), b""), "BEFORE");
        let mut submit = command(&server, "submit");
        submit.args(["nobody", "x"]).stderr(Stdio::piped());
        let client = submit.spawn().unwrap();
        wait_for_row(&server, "nobody", "1 0 0 no worker");
        drop(server);
        let left = client.wait_with_output().unwrap();
        let said = String::from_utf8(left.stderr).unwrap();
        assert_eq!(left.status.code(), Some(3), "{said}");
        assert!(said.ends_with("; 1 job was not answered\n"), "{said}");
        wait_until("the worker tells", || worker.said().contains("trying again until it is there"));
        let server = Server::start_at(program, address, &[]).unwrap();
        assert_eq!(printed(command(&server, "submit").args(["f", "after"]), b""), "AFTER");
        wait_until("the worker tells", || worker.said().ends_with(": it is there\n"));
        assert_eq!(worker.said().lines().count(), 2, "{}", worker.said());
    }
}

#[test]
fn names_may_be_any_bytes() {
    with_servers(|server| {
        let odd = OsStr::from_bytes(b"caf\xe9 'x' \xc3\xb6");
        let _worker = Working::start(server, &[], odd, "cat; printf %s \"$GEARMAN_FUNCTION\"");
        let (status, stdout, _) = run(command(server, "submit").arg(odd).arg("w"), b"");
        assert_eq!((status, stdout), (Some(0), [b"w", odd.as_bytes()].concat()));
        let table = printed(&mut command(server, "status"), b"");
        assert!(table.contains("\ncaf\\xe9 'x' ö  "), "{table}");
        let long = OsString::from("x".repeat(9000));
        let (status, _, stderr) = run(command(server, "submit").args([&long, odd]), b"");
        assert_eq!(status, Some(2), "{stderr}");
    });
}

#[test]
fn lines_of_a_command_are_sent_as_they_come() {
    with_servers(|server| {
        let folder = Scratch::new();
        let go = folder.path("go");
        let script = format!("echo a; while ! [ -e {go} ]; do sleep 0.01; done; printf b");
        let _worker = Working::start(server, &["--lines"], "f", &script);
        let out = folder.file("out");
        let mut submit = command(server, "submit");
        let mut client = submit.args(["f", "x"]).stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
        wait_until("the first line is there", || fs::read(&out).unwrap() == b"a\n");
        fs::write(&go, "").unwrap();
        assert_eq!(client.wait().unwrap().code(), Some(0));
        assert_eq!(fs::read(&out).unwrap(), b"a\nb");
    });
}

#[test]
fn status_marks_what_nobody_does() {
    with_servers(|server| {
        let _worker = Working::start(server, &[], "busy", "sleep 600");
        for function in ["busy", "busy", "busy", "lost"] {
            printed(command(server, "submit").args(["-b", function, "x"]), b"");
        }
        wait_for_row(server, "busy", "2 1 1");
        let table = "FUNCTION    WAITING    RUNNING    WORKERS\n\
                     lost              1          0          0  no worker\n\
                     busy              2          1          1\n";
        assert_eq!(printed(&mut command(server, "status"), b""), table);
        let json = "{\"functions\":[{\"function\":\"lost\",\"known\":true,\"no_worker\":true,\"running\":0,\"waiting\":1,\"workers\":0}]}\n";
        assert_eq!(printed(command(server, "status").args(["--json", "lost"]), b""), json);
        let check = |functions: &[&str]| run(command(server, "status").arg("--check").args(functions), b"").0;
        assert_eq!(
            (check(&[]), check(&["busy"]), check(&["lost"]), check(&["odd"])),
            (Some(1), Some(0), Some(1), Some(0))
        );
    });
}

#[test]
fn wrong_lines_and_absent_servers_have_statuses() {
    let nowhere = "unix:/nonexistent/socket";
    let ended = |words: &[&str]| {
        let (status, _, stderr) = run(Command::new(PROGRAM).args(words), b"");
        (status.unwrap(), stderr)
    };
    for (words, status, said) in [
        (
            &["status", "-H", nowhere][..],
            1,
            "ringgear status: /nonexistent/socket: no job server can be reached: ",
        ),
        (
            &["submit", "-H", nowhere, "f", "x"],
            3,
            "ringgear submit: /nonexistent/socket: no job server can be reached: ",
        ),
        (&["submit", "-H", nowhere, "--at", "soon", "f"], 2, "ringgear submit: --at soon is neither "),
        (
            &["submit", "-H", nowhere, "--at", "1", "--priority", "high", "f"],
            2,
            "ringgear submit: a job with --at has ",
        ),
        (
            &["submit", "-H", nowhere, "--lines", "-u", "-", "f"],
            2,
            "ringgear submit: several jobs with --unique ",
        ),
        (
            &["submit", "-H", nowhere, "--lines", "f", "x"],
            2,
            "error: the argument '--lines' cannot be used with",
        ),
        (&["submit", "-H", nowhere, "", "x"], 2, "ringgear submit: the function has no name"),
        (&["submit"], 2, "error: the following required arguments"),
        (&["work", "f"], 2, "error: the following required arguments"),
        (&["work", "-p", "none", "f", "--", "cat"], 2, "ringgear work: --port none is neither"),
    ] {
        let (code, stderr) = ended(words);
        assert_eq!(code, status, "{words:?}: {stderr}");
        assert!(stderr.starts_with(said), "{words:?}: {stderr}");
    }
}

/// By a path, too; and a job that nobody does is not waited for longer than was said.
#[test]
fn unix_sockets_and_patience() {
    let folder = Scratch::new();
    let path = format!("unix:{}", folder.path("socket"));
    let options = ["--listen".to_owned(), path.clone()];
    let _server = Server::start(Path::new(PROGRAM), &options).unwrap();
    let to = |subcommand: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([subcommand, "-H", &path]);
        command
    };
    let begin = Instant::now();
    let (status, _, stderr) = run(to("submit").args(["--timeout", "1", "f", "x"]), b"");
    let said =
        format!("ringgear submit: {}: no answer within 1 s; 1 job was not answered\n", folder.path("socket"));
    assert_eq!((status, stderr), (Some(1), said));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert!(printed(&mut to("status"), b"").contains("\nf "));
}
