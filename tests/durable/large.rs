//! Large background jobs, whose workloads go to the store without a copy, among small ones: they are there after a crash, as
//! they were and in their order, and the tools see them.
use super::support::packets::*;
use super::support::scratch::Scratch;
use super::support::server::*;
use super::{folder, stores};
use rustix::process::Signal;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

/// Below, at and above where workloads begin to be shared; the longest needs a segment of its own.
const SIZES: [usize; 9] = [3, 16_383, 16_384, 70 << 20, 5, 16_385, 5 << 20, 100_000, 1];

fn workload(size: usize) -> Vec<u8> {
    (0..size as u32)
        .map(|at| (at.wrapping_add(size as u32).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn submit(client: &mut TcpStream, size: usize) {
    let data = [&b"large\0"[..], size.to_string().as_bytes(), b"\0", &workload(size)].concat();
    client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
}

/// Takes a job; the server gives it back when this connection ends.
fn grab(server: &Server) -> (TcpStream, Vec<u8>) {
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"large")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (packet, data) = read_packet(&mut worker);
    assert_eq!(packet, JOB_ASSIGN);
    (worker, data)
}

#[track_caller]
fn holds_all(server: &Server) {
    let mut workers = Vec::new();
    for size in SIZES {
        let (worker, data) = grab(server);
        let from = data.iter().position(|&byte| byte == 0).unwrap() + b"\0large\0".len();
        assert!(data[from..] == workload(size), "the job of {size} bytes is another one");
        workers.push(worker);
    }
}

fn tool(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    let output = command.arg("store").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn large_jobs_are_kept_among_small_ones() {
    let folder = folder();
    for (name, options) in stores(&folder) {
        let more = ["-t", "2", "--max-storing-bytes", "200000000"];
        let options: Vec<&str> = options.iter().map(String::as_str).chain(more).collect();
        let mut server = Server::start(&options);
        // All at once, so that large and small ones are committed together.
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let writing = std::thread::spawn(move || SIZES.iter().for_each(|&size| submit(&mut writer, size)));
        for _ in SIZES {
            let (packet, data) = read_packet(&mut client);
            assert_eq!(packet, JOB_CREATED, "{name}: {}", data.escape_ascii());
        }
        writing.join().unwrap();
        if name == "log, written" {
            server.signal(Signal::TERM);
        } else {
            server.signal(Signal::KILL);
        }
        server.wait();
        if name == "log" {
            the_tools_see_them(&folder);
        }
        holds_all(&Server::start(&options));
    }
}

fn the_tools_see_them(folder: &Scratch) {
    let (dir, saved) = (folder.path("log"), folder.path("saved"));
    let jobs = format!("{} jobs", SIZES.len());
    let said = tool(&["check", &dir]);
    assert!(said.contains(&jobs), "{said}");
    tool(&["salvage", &dir, &saved]);
    holds_all(&Server::start(&["--data-dir", &saved]));
}

/// A large job that ends while the store is busy with others of its kind.
#[test]
fn large_jobs_may_end_before_they_are_written() {
    let folder = folder();
    for (name, options) in stores(&folder) {
        let options: Vec<&str> = options.iter().map(String::as_str).chain(["-t", "1"]).collect();
        let mut server = Server::start(&options);
        let (mut client, mut waiting, mut admin) = (server.connect(), server.connect(), server.connect());
        let size = 20 << 20;
        // Somebody waits for its result, so that a worker has it before the store does.
        let data = [&b"large\0"[..], size.to_string().as_bytes(), b"\0", &workload(size)].concat();
        waiting.write_all(&request(SUBMIT_JOB, &data)).unwrap();
        assert_eq!(read_packet(&mut waiting).0, JOB_CREATED);
        let (mut worker, assigned) = grab(&server);
        submit(&mut client, size);
        let handle = assigned.split(|&byte| byte == 0).next().unwrap();
        wait_until("the background submission joins", || counter(&mut admin, "jobs_coalesced") > 0);
        worker.write_all(&request(WORK_COMPLETE, &[handle, b"done"].join(&0))).unwrap();
        assert_eq!(read_packet(&mut waiting).0, WORK_COMPLETE);
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
        submit(&mut client, 7);
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
        server.signal(Signal::TERM);
        assert!(server.wait().success(), "{name}");
        let server = Server::start(&options);
        let (_worker, data) = grab(&server);
        assert!(data.ends_with(&workload(7)), "{name}: only what has not ended");
    }
}
