//! The program as it is started: what it says, keeps and leaves behind. Whole runs without a process of their own are in
//! `src/tests.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear-load");

fn load(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    // Results that nobody named a folder for.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    load(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn stand_in(fault: &str) -> String {
    format!("'{PROGRAM}' stand-in --port {{port}} --fault {fault}")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// Waits for something that must come.
fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The first child process of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn lives(pid: u32) -> bool {
    let zombie = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z'));
    test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok()
        && !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(zombie)
}

/// Waits until standard error has a line with this.
fn wait_for_line(child: &mut Child, part: &str) -> Vec<String> {
    let mut seen = vec![];
    for line in BufReader::new(child.stderr.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        let there = line.contains(part);
        seen.push(line);
        if there {
            return seen;
        }
    }
    panic!("no line with {part}: {seen:?}");
}

#[test]
fn what_was_measured_until_ctrl_c_is_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let server = stand_in("none");
    let arguments = ["steady", "--seconds", "60", "--set", "warm_up=0", "--server-command", &server, "--out"];
    let mut child = load(&arguments).arg(&out).spawn().unwrap();
    wait_for_line(&mut child, "s done");
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{said} {}", text(&output.stderr));
    assert!(said.contains("interrupted: nothing wrong was seen") && said.contains("jobs/s"), "{said}");
    assert!(said.contains("0 unanswered"), "{said}");
    let result = fs::read_to_string(out.join("result.json")).unwrap();
    assert!(result.contains("\"interrupted\": true"));
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let server = stand_in("hang");
    let arguments = ["steady", "--seconds", "60", "--server-command", &server, "--patience", "30"];
    let mut child = load(&arguments).spawn().unwrap();
    wait_for_line(&mut child, "in flight");
    let started = child_of(child.id()).unwrap();
    signal(&child, Signal::INT);
    wait_for_line(&mut child, "interrupted");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    until("the end of the job server", || !lives(started));
}

#[test]
fn complete_rounds_are_compared_when_somebody_interrupts() {
    let server = stand_in("none");
    let arguments = [
        "steady",
        "--seconds",
        "1",
        "--server-command",
        &server,
        "--against-command",
        &server,
        "--rounds",
        "50",
    ];
    let mut child = load(&arguments).spawn().unwrap();
    wait_for_line(&mut child, "round 2 of 50, server");
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("1 round each") || said.contains("2 rounds each"), "{said}");
}

#[test]
fn a_job_server_does_not_outlive_a_load_generator_that_was_killed() {
    let server = stand_in("none");
    let mut child = load(&["steady", "--seconds", "60", "--server-command", &server]).spawn().unwrap();
    wait_for_line(&mut child, "s done");
    let started = child_of(child.id()).unwrap();
    assert!(lives(started));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the end of the job server", || !lives(started));
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let output = run(&["steady", "--server-command", "no-such-server -p {port}"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("no-such-server") && said.contains("No such file"), "{said}");
}

/// Somebody who read enough is gone.
#[test]
fn a_reader_that_left_is_no_error() {
    let mut child = load(&["plans"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn too_few_descriptors_are_told_before_anything_runs() {
    let command = format!("ulimit -n 300; exec '{PROGRAM}' idle --server-command 'no-such-server {{port}}'");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("has 10032 connections") && said.contains("ulimit -n 10132"), "{said}");
}

#[test]
fn a_run_keeps_its_result_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let server = stand_in("none");
    let arguments = ["steady", "--seconds", "1", "--quiet", "--server-command", &server];
    let output = load(&arguments).current_dir(folder.path()).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    let page = said.lines().find_map(|line| line.strip_prefix("written to ")).unwrap();
    assert!(page.starts_with("ringgear-load-results/steady-20"), "{page}");
    assert!(fs::read_to_string(folder.path().join(page)).unwrap().contains("uPlot"));

    let output = load(&arguments).arg("--no-out").current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(&output.stdout).contains("written to"));
    assert_eq!(fs::read_dir(folder.path().join("ringgear-load-results")).unwrap().count(), 1);
}

/// The whole comparison from one word, the stand-in on both sides.
#[test]
fn versus_writes_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let server = stand_in("none");
    let arguments = [
        "versus",
        "/bin/sh",
        "--seconds",
        "0.5",
        "--rounds",
        "5",
        "--quiet",
        "--server-command",
        &server,
        "--against-command",
        &server,
    ];
    let output = load(&arguments).current_dir(folder.path()).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    let entries: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let page = fs::read_to_string(entries[0].join("index.html")).unwrap();
    assert!(page.contains("ringgear") && page.contains("p99.99"));
    assert!(
        entries[0].join("ringgear/005/result.json").is_file()
            && entries[0].join("sh/005/result.json").is_file()
    );
    // The folder alone is enough to say it again.
    let again = run(&["compare", entries[0].to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(text(&again.stdout).contains("| jobs per server CPU second |"));
}
