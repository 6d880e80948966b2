//! Starting on what an earlier server left: everything is as it was, or the server does not start and says why.
use super::support::server::*;
use super::{folder, stores};
use crate::support::packets::*;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

fn submit(client: &mut TcpStream, kind: u32, data: &[u8]) -> Vec<u8> {
    client.write_all(&request(kind, data)).unwrap();
    let (answer, handle) = read_packet(client);
    assert_eq!(answer, JOB_CREATED);
    handle
}

/// Unique, workload and handle of the next job.
fn grab(worker: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    worker.write_all(&request(GRAB_JOB_ALL, b"")).unwrap();
    let (answer, data) = read_packet(worker);
    if answer == NO_JOB {
        return None;
    }
    // Without a reducer the answer is JOB_ASSIGN_UNIQ.
    let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
    Some((parts[2].to_vec(), parts[3].to_vec(), parts[0].to_vec()))
}

#[test]
fn order_priority_time_and_contents_are_kept() {
    let folder = folder();
    for (name, options) in stores(&folder) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut server = Server::start(&[&["--threads", "2"], &options[..]].concat());
        let mut client = server.connect();
        let long = [b'u'; 64];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let due = format!("f\0epoch\0{}\0later", now + 100_000);
        let handles = [
            submit(&mut client, SUBMIT_JOB_LOW_BG, b"f\0low\0l"),
            submit(&mut client, SUBMIT_JOB_BG, b"f\0first\0a \0 b"),
            submit(&mut client, SUBMIT_JOB_BG, &[b"f\0", &long[..], b"\0"].concat()),
            submit(&mut client, SUBMIT_JOB_BG, b"f\0\0no unique 1"),
            submit(&mut client, SUBMIT_JOB_BG, b"f\0\0no unique 2"),
            submit(&mut client, SUBMIT_JOB_BG, b"f\0-\0the workload"),
            submit(&mut client, SUBMIT_JOB_HIGH_BG, b"f\0high\0h"),
            submit(&mut client, SUBMIT_JOB_EPOCH, due.as_bytes()),
        ];
        server.signal(Signal::KILL);
        server.wait();

        let mut server = Server::start(&[&["--threads", "3"], &options[..]].concat());
        let mut worker = server.connect();
        worker.write_all(&request(CAN_DO, b"f")).unwrap();
        let expected: [(&[u8], &[u8], usize); 7] = [
            (b"high", b"h", 6),
            (b"first", b"a \0 b", 1),
            (&long, b"", 2),
            (b"", b"no unique 1", 3),
            (b"", b"no unique 2", 4),
            (b"-", b"the workload", 5),
            (b"low", b"l", 0),
        ];
        for (unique, workload, number) in expected {
            let got = grab(&mut worker).unwrap_or_else(|| panic!("{name}: {number} is missing"));
            let handle = handles[number].clone();
            assert_eq!(got, (unique.to_vec(), workload.to_vec(), handle), "{name}");
        }
        assert_eq!(grab(&mut worker), None, "{name}: the last one is not due");
        let status = ask(&mut worker, "status\n");
        assert!(status.starts_with("f\t8\t7\t1\n"), "{name}: {status}");
        // A new job gets a handle that none of the old ones had.
        let fresh = submit(&mut server.connect(), SUBMIT_JOB_BG, b"f\0new\0");
        assert!(!handles.contains(&fresh), "{name}");
        server.signal(Signal::TERM);
        server.wait();
    }
}

#[test]
fn two_servers_do_not_share_a_store() {
    let folder = folder();
    for (name, options) in stores(&folder) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let first = Server::start(&options);
        let second = run_to_end(&[], free_address(), &options);
        assert_eq!(second.status.code(), Some(69), "{name}");
        let said = String::from_utf8(second.stderr).unwrap();
        assert!(said.contains("used by another server"), "{name}: {said}");
        echo(&mut first.connect(), b"still here");
    }
}

#[test]
fn a_damaged_store_is_not_started_on() {
    let folder = folder();
    let options = ["--data-dir", &folder.path("log")];
    let mut server = Server::start(&options);
    let mut client = server.connect();
    for number in 0..100 {
        submit(&mut client, SUBMIT_JOB_BG, format!("f\0u{number}\0{}", "x".repeat(1000)).as_bytes());
    }
    server.signal(Signal::KILL);
    server.wait();
    // The first block of the first segment with something in it: not the tail.
    let mut files: Vec<_> =
        fs::read_dir(folder.path("log")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| fs::metadata(file).unwrap().len() > 100_000);
    files.sort();
    let mut bytes = fs::read(&files[0]).unwrap();
    let at = bytes.windows(8).position(|window| window == b"xxxxxxxx").unwrap();
    bytes[at] ^= 1;
    fs::write(&files[0], &bytes).unwrap();
    let ended = run_to_end(&[], free_address(), &options);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(74), "{said}");
    let file = files[0].file_name().unwrap().to_str().unwrap();
    assert!(said.contains(file) && said.contains("damaged at byte") && said.contains("salvage"), "{said}");
}

#[test]
fn requests_wait_until_stored_jobs_are_there() {
    let folder = folder();
    let options = ["--data-dir", &folder.path("log"), "--threads", "2"];
    let mut server = Server::start(&options);
    let mut client = server.connect();
    let mut requests = Vec::new();
    for number in 0..20_000 {
        requests.extend(request(SUBMIT_JOB_BG, format!("f\0u{number}\0load").as_bytes()));
    }
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&requests).unwrap());
    (0..20_000).for_each(|_| assert_eq!(read_packet(&mut client).0, JOB_CREATED));
    writing.join().unwrap();
    server.signal(Signal::KILL);
    server.wait();
    let server = Server::start(&options);
    let mut worker = server.connect();
    echo(&mut worker, b"answered at once");
    // The very first grab finds a job: the answer NO_JOB would be a lie.
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    assert!(grab(&mut worker).is_some());
    assert!(ask(&mut worker, "status\n").starts_with("f\t20000\t1\t1\n"));
}
