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

/// Two machines that make the load, each in a network of its own, and a third with the job server.
const MACHINES: &str = r#"set -e
load=$1
mount -t tmpfs tmpfs /run
ip link set lo up
for number in 1 2; do
    ip netns add away$number
    ip link add near$number type veth peer name far netns away$number
    ip address add 10.78.$number.1/24 dev near$number
    ip link set near$number up
    ip -n away$number address add 10.78.$number.2/24 dev far
    ip -n away$number link set far up
    ip -n away$number route add default via 10.78.$number.1
    nsenter --net=/run/netns/away$number "$load" agent --listen 10.78.$number.2 --threads 1 2>agent$number.txt &
    pids="$pids $!"
done
"$load" stand-in --address 0.0.0.0 --port 4730 &
pids="$pids $!"
sleep 0.5
status=0
"$load" steady --seconds 2 --rate 1000 --quiet --server 10.78.1.1 --agents 10.78.1.2,10.78.2.2 --out out || status=$?
# From a network that cannot reach the loopback interface of this one.
"$load" steady --seconds 1 --quiet --server 127.0.0.1:4730 --agents 10.78.1.2 || true
kill $pids
wait
exit $status"#;

#[test]
fn machines_in_networks_of_their_own_make_one_load() {
    let may = Command::new("unshare").args(["-Urnm", "ip", "link", "set", "lo", "up"]).output();
    let may = may.expect("unshare is needed: apt-get install util-linux");
    assert!(
        may.status.success(),
        "this test needs network namespaces and ip (apt-get install iproute2; as root, or with sysctl \
         kernel.unprivileged_userns_clone=1): {}",
        text(&may.stderr)
    );
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", MACHINES, "sh", PROGRAM])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said} {errors}");
    assert!(said.contains("all jobs accounted for") && said.contains("2 load threads"), "{said} {errors}");
    let result = fs::read_to_string(folder.path().join("out/result.json")).unwrap();
    assert!(
        result.contains("\"name\": \"10.78.1.2\"") && result.contains("\"name\": \"10.78.2.2\""),
        "{result}"
    );
    assert!(errors.contains("cannot reach the job server at 127.0.0.1:4730"), "{errors}");
    for number in [1, 2] {
        let agent = fs::read_to_string(folder.path().join(format!("agent{number}.txt"))).unwrap();
        assert!(agent.contains("the run is over"), "{agent}");
    }
}
