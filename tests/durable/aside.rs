//! Stored jobs that cannot be ones of a job server, as a clock that was wrong leaves them: they do not stop the start, and
//! they stay.
use super::folder;
use super::support::server::*;
use crate::support::packets::*;
use ringgear::engine::slot::Slot;
use ringgear::engine::{JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::log::{LogOptions, LogStore};
use ringgear::store::{Store, record};
use rustix::process::Signal;
use std::io::Write;

fn job(number: u64, function: &'static [u8]) -> StoredJob<'static> {
    StoredJob {
        id: JobId::from_number(number).unwrap(),
        priority: Priority::Normal,
        epoch: None,
        attempts: 0,
        function,
        unique: b"",
        workload: b"w",
        reducer: None,
        death: None,
        accepted: None,
        more: b"",
    }
}

#[test]
fn jobs_that_cannot_be_ours_do_not_stop_the_start() {
    let folder = folder();
    let dir = folder.path("log");
    // Numbers of 19 digits, one of another function, and one as it should be.
    let good = JobId::new(77, Slot::of(b"f")).number();
    let bad = [5_000_000_000_000_000_000, 5_000_000_000_000_000_000 + 1024, good ^ 1];
    let mut store = LogStore::open(LogOptions::new(&dir)).unwrap();
    store.replay(&mut |_| {}).unwrap();
    let mut records = Vec::new();
    for number in bad.into_iter().chain([good]) {
        record::put(&job(number, b"f"), &mut records);
    }
    assert!(store.commit(&[&records]).puts.is_ok());
    store.close().unwrap();
    drop(store);

    let log = folder.path("ringgear.log");
    // The longest prefix: with 19 digits a handle is longer than any.
    let prefix = "x".repeat(44);
    for threads in ["1", "2"] {
        let options =
            ["--threads", threads, "--data-dir", &dir, "--log-file", &log, "--job-handle-prefix", &prefix];
        let mut server = Server::start(&options);
        let mut client = server.connect();
        assert_eq!(server.counter("jobs_set_aside"), 3);
        // What is sound is there, and new jobs are taken.
        assert!(ask(&mut client, "status\n").starts_with("f\t1\t"), "{threads}");
        client.write_all(&request(SUBMIT_JOB_BG, b"g\0\0x")).unwrap();
        let (answer, handle) = read_packet(&mut client);
        assert_eq!(answer, JOB_CREATED);
        let text = String::from_utf8(handle).unwrap();
        assert!(text.len() <= 63, "{text}");
        let mut worker = server.connect();
        worker.write_all(&request(CAN_DO, b"g")).unwrap();
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
        worker.write_all(&request(WORK_COMPLETE, format!("{text}\0r").as_bytes())).unwrap();
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, NO_JOB, "the result was taken");
        server.signal(Signal::TERM);
        server.wait();
        let lines = std::fs::read_to_string(&log).unwrap();
        for number in bad {
            let handle = format!("{prefix}:{number}: ");
            assert!(lines.lines().any(|line| line.contains("ALERT") && line.contains(&handle)), "{lines}");
        }
        std::fs::remove_file(&log).unwrap();
    }
    let checked =
        std::process::Command::new(env!("CARGO_BIN_EXE_ringgear")).args(["store", "check", &dir]).output();
    let checked = checked.unwrap();
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(!checked.status.success());
    for number in bad {
        assert!(text.contains(&format!("job {number}: ")), "{text}");
    }
    assert!(text.contains(", 4 jobs"), "{text}");
}
