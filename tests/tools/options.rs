//! `gearman` with every option that it has, those of the tests in `main.rs` apart. What is wanted here is what the tool
//! prints with gearmand.
use super::{Worker, gearadmin, printed, run, spawn, tool, wait_for, with_servers};
use crate::support::scratch::Scratch;
use crate::support::server::{Server, wait_until};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A worker that ends by itself after so many jobs.
fn counted(server: &Server, count: &str, options: &[&str], program: &[&str]) -> std::process::Child {
    let mut command = tool(server, "gearman");
    command.args(["-w", "-c", count]).args(options).arg("--").args(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn(&mut command)
}

#[test]
fn help_names_its_options() {
    let output = run(Command::new("gearman").arg("-H"), b"");
    let help = [output.stdout, output.stderr].concat();
    let help = String::from_utf8_lossy(&help).into_owned();
    for option in "fhHvptiSbILnNPsucw".chars() {
        assert!(help.contains(&format!("\t-{option} ")), "-{option} in {help}");
    }
}

#[test]
fn a_worker_leaves_after_as_many_jobs_as_it_is_to_do() {
    with_servers(|server| {
        let mut worker = counted(server, "2", &["-f", "f"], &["cat"]);
        for job in ["one", "two"] {
            assert_eq!(printed(tool(server, "gearman").args(["-f", "f", job]), b""), job);
        }
        let mut status = None;
        wait_until("the worker ends", || {
            status = worker.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success());
        wait_for(server, "--status", "f\t0\t0\t0\n.\n");
    });
}

#[test]
fn a_workers_lines_are_data() {
    with_servers(|server| {
        // The tool sends with each line those before it, which the client prints as they come.
        for (option, wanted) in [("-n", "a\na\nb\n"), ("-N", "aa\nb")] {
            let mut worker = counted(server, "1", &["-f", "f", option], &["printf", "a\\nb\\n"]);
            assert_eq!(printed(tool(server, "gearman").args(["-f", "f", "x"]), b""), wanted, "{option}");
            worker.wait().unwrap();
        }
    });
}

#[test]
fn a_client_strips_line_ends() {
    with_servers(|server| {
        let _worker = Worker::start(server, "f", &["cat"]);
        assert_eq!(printed(tool(server, "gearman").args(["-N", "-f", "f"]), b"a\nb\n"), "ab");
    });
}

#[test]
fn a_job_without_input_is_empty() {
    with_servers(|server| {
        let _worker = Worker::start(server, "count", &["wc", "-c"]);
        assert_eq!(printed(tool(server, "gearman").args(["-s", "-f", "count"]), b"not read"), "0\n");
    });
}

#[test]
fn verbose_tells_the_handle() {
    with_servers(|server| {
        let output = run(tool(server, "gearman").args(["-v", "-b", "-f", "f"]), b"x");
        assert!(output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let handle = said.trim_end().strip_prefix("Task created: ").expect(&said);
        assert_eq!(gearadmin(server, &["--show-jobs"]), format!("{handle}\t0\t0\t1\n.\n"));
    });
}

#[test]
fn a_client_waits_no_longer_than_it_is_to() {
    with_servers(|server| {
        let output = run(tool(server, "gearman").args(["-t", "50", "-f", "nobody"]), b"x");
        assert!(String::from_utf8_lossy(&output.stderr).contains("GEARMAN_TIMEOUT"), "{output:?}");
        // The job stays until a worker looks for work.
        assert_eq!(gearadmin(server, &["--status"]), "nobody\t1\t0\t0\n.\n");
    });
}

#[test]
fn a_worker_looks_again_when_it_has_waited() {
    with_servers(|server| {
        let mut command = tool(server, "gearman");
        let folder = Scratch::new();
        let complaints = folder.file("complaints");
        command.args(["-w", "-t", "50", "-f", "f", "--", "cat"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&complaints).unwrap());
        let mut worker = spawn(&mut command);
        wait_until("the worker has waited", || {
            fs::read_to_string(&complaints).unwrap().contains("GEARMAN_TIMEOUT")
        });
        let answer = run(tool(server, "gearman").args(["-f", "f", "still here"]), b"");
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "still here");
    });
}

#[test]
fn the_environment_names_the_server() {
    with_servers(|server| {
        let _worker = Worker::start(server, "f", &["cat"]);
        let mut client = Command::new("gearman");
        client.env("GEARMAN_SERVER", server.address().to_string());
        assert_eq!(printed(client.args(["-f", "f", "from here"]), b""), "from here");
    });
}

/// Debian builds its tools without TLS: they take the option, and go on without.
#[test]
fn tls_is_passed_over() {
    with_servers(|server| {
        printed(tool(server, "gearman").args(["-S", "-b", "-f", "f"]), b"x");
        assert_eq!(gearadmin(server, &["-S", "--status"]), "f\t1\t0\t0\n.\n");
    });
}

/// Ends the worker whose number is in a file, if it is still there.
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        let Ok(pid) = fs::read_to_string(&self.0) else { return };
        let _ = Command::new("kill").args(["-s", "KILL", pid.trim()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_worker_in_the_background_has_a_pid_file() {
    with_servers(|server| {
        let folder = Scratch::new();
        let pid = folder.path("pid");
        let _leftover = Leftover(folder.file("pid"));
        let mut command = tool(server, "gearman");
        // Comes back at once, and leaves a worker behind that ends after its job.
        command.args(["-d", "-i", &pid, "-w", "-c", "1", "-f", "f", "--", "cat", &pid]);
        printed(&mut command, b"");
        let written = printed(tool(server, "gearman").args(["-f", "f", "x"]), b"");
        assert!(written.trim_end().parse::<u32>().is_ok(), "{written:?}");
        wait_for(server, "--status", "f\t0\t0\t0\n.\n");
    });
}

#[test]
fn one_unique_is_one_job() {
    with_servers(|server| {
        for _ in 0..3 {
            printed(tool(server, "gearman").args(["-b", "-f", "f", "-u", "the-same"]), b"x");
        }
        assert_eq!(gearadmin(server, &["--status"]), "f\t1\t0\t0\n.\n");
    });
}
