//! `ringgear store`: check, salvage, dump, import, export, on what real servers left.
use super::folder;
use super::support::scratch::Scratch;
use super::support::server::*;
use crate::support::packets::*;
use rustix::process::Signal;
use std::io::Write;
use std::process::{Command, Output};

const JOBS: usize = 300;

/// Runs `ringgear store` with these arguments: status, standard output, standard error.
pub(super) fn store(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    let Output { status, stdout, stderr } = command.arg("store").args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A log with some jobs, left by a server that was stopped in order.
fn log(folder: &Scratch) -> String {
    let dir = folder.path("log");
    let mut server = Server::start(&["--data-dir", &dir]);
    let mut client = server.connect();
    for number in 0..JOBS {
        let data = format!("f{}\0unique {number}\0{}", number % 7, "some work ".repeat(number % 30));
        client.write_all(&request(SUBMIT_JOB_BG, data.as_bytes())).unwrap();
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    }
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    dir
}

/// Function, unique and workload of every job, sorted.
fn contents(dir: &str) -> Vec<(String, String, String)> {
    let (status, lines, error) = store(&["dump", dir]);
    assert_eq!((status, &error[..]), (Some(0), ""));
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    let mut jobs: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|line: serde_json::Value| {
            (text(&line, "function"), text(&line, "unique"), text(&line, "workload"))
        })
        .collect();
    jobs.sort();
    jobs
}

#[test]
fn jobs_go_to_gearmands_table_and_come_back() {
    let folder = folder();
    let dir = log(&folder);
    let (status, said, error) = store(&["check", &dir]);
    assert_eq!((status, &error[..]), (Some(0), ""), "{said}");
    assert!(said.contains(&format!("{JOBS} jobs")), "{said}");
    let jobs = contents(&dir);
    assert_eq!(jobs.len(), JOBS);
    let (database, again) = (folder.path("queue.db"), folder.path("again"));
    let (status, said, error) = store(&["export", &dir, "--libsqlite3-db", &database]);
    assert_eq!((status, &error[..]), (Some(0), ""), "{said}");
    let (status, said, error) = store(&["import", "--libsqlite3-db", &database, &again]);
    assert_eq!((status, &error[..]), (Some(0), ""), "{said}");
    assert!(said.starts_with(&format!("{JOBS} jobs imported")), "{said}");
    assert_eq!(contents(&again), jobs);
    assert_eq!(contents(&dir), jobs, "export changes nothing");
}

#[test]
fn what_is_intact_is_salvaged() {
    let folder = folder();
    let dir = log(&folder);
    let jobs = contents(&dir);
    let victim = std::fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| std::fs::read(path).unwrap().windows(10).any(|window| window == b"unique 100"));
    let victim = victim.unwrap();
    let mut bytes = std::fs::read(&victim).unwrap();
    let at = bytes.windows(10).position(|window| window == b"unique 100").unwrap();
    bytes[at] ^= 0x20;
    std::fs::write(&victim, &bytes).unwrap();
    let (status, said, error) = store(&["check", &dir]);
    assert_eq!(status, Some(1), "{said}{error}");
    assert!(said.contains(victim.to_str().unwrap()) && error.contains("salvage"), "{said}{error}");
    let new = folder.path("new");
    let (status, said, error) = store(&["salvage", &dir, &new]);
    assert_eq!((status, &error[..]), (Some(0), ""), "{said}");
    let left: Vec<_> = jobs.iter().filter(|(_, unique, _)| unique != "unique 100").cloned().collect();
    assert_eq!(contents(&new), left);
    let server = Server::start(&["--data-dir", &new]);
    assert!(ask(&mut server.connect(), "status\n").contains("f1\t43\t0\t0\n"));
}

#[test]
fn mistakes_are_told() {
    let folder = folder();
    let (status, _, error) = store(&["check", &folder.path("nowhere")]);
    assert!(status != Some(0) && error.contains("nowhere"), "{error}");
    let (status, _, error) = store(&["polish", "x"]);
    assert!(status == Some(1) && error.contains("polish"), "{error}");
    let dir = log(&folder);
    let _server = Server::start(&["--data-dir", &dir]);
    let (status, _, error) = store(&["export", &dir, "--libsqlite3-db", &folder.path("queue.db")]);
    assert!(status == Some(74) && error.contains("used by another server"), "{error}");
}
