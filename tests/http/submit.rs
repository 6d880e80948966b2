//! Jobs that are submitted over HTTP: in the background, waited for, streamed, many at once; and what becomes of them when the one who waits
//! goes away.
use crate::client::{Answered, Looked, answered};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use crate::worker::Worker;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;

/// A server where everybody may submit.
struct Open {
    looked: Looked,
    _folder: Scratch,
}

fn open(options: &[&str]) -> Open {
    let folder = Scratch::new();
    fs::write(folder.file("tokens"), "anonymous read,submit\n").unwrap();
    let tokens = folder.path("tokens");
    let looked = Looked::start(&[&["--control-tokens", &tokens], options].concat());
    Open { looked, _folder: folder }
}

fn bytes_of(path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{lines}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Open {
    fn post(&self, path: &str, lines: &str, body: &[u8]) -> Answered {
        answered(&mut self.begin(path, lines, body))
    }

    /// Sends it and does not wait.
    fn begin(&self, path: &str, lines: &str, body: &[u8]) -> TcpStream {
        let mut stream = self.looked.connect();
        stream.write_all(&bytes_of(path, lines, body)).unwrap();
        stream
    }

    fn post_json(&self, value: &Value) -> Answered {
        self.post("/api/v1/jobs", "Content-Type: application/json\r\n", value.to_string().as_bytes())
    }
}

fn value(answered: &Answered) -> Value {
    serde_json::from_str(&answered.body).unwrap_or_else(|_| panic!("{answered:?}"))
}

#[test]
fn a_background_job_is_accepted_and_done() {
    for threads in ["1", "2"] {
        let open = open(&["-t", threads]);
        let body = [b"any\0".as_slice(), &[0xff; 100_000]].concat();
        let answer = open.post("/api/v1/jobs?function=f&unique=u&priority=high&background=true", "", &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        let handle = value(&answer)["handle"].as_str().unwrap().to_owned();
        assert!(handle.starts_with("H:"), "{handle}");
        // The same unique is the same job.
        let again = open.post_json(&json!({"function": "f", "unique": "u", "background": true}));
        assert_eq!((again.status, value(&again)["handle"].as_str()), (201, Some(&handle[..])));
        let mut worker = Worker::of(&open.looked.server, "f");
        let job = worker.grab();
        assert_eq!((&job.handle[..], &job.unique[..]), (handle.as_bytes(), &b"u"[..]));
        assert!(job.workload == body);
        worker.say(WORK_COMPLETE, &job, b"");
        wait_until("it is done", || open.looked.get(&format!("/api/v1/jobs/{handle}")).status == 404);
    }
}

#[test]
fn a_job_for_later_is_in_the_background() {
    let open = open(&[]);
    let answer = open.post("/api/v1/jobs?function=f&in=3600", "", b"x");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(open.looked.json("/api/v1/functions/f")["scheduled"], 1);
    let mut worker = open.looked.server.connect();
    worker.write_all(&[request(CAN_DO, b"f"), request(GRAB_JOB, b"")].concat()).unwrap();
    assert_eq!(read_packet(&mut worker).0, NO_JOB);
}

#[test]
fn whoever_waits_has_the_result() {
    for threads in ["1", "2"] {
        let open = open(&["-t", threads]);
        let mut worker = Worker::of(&open.looked.server, "f");
        let waiting = open.begin("/api/v1/jobs?function=f", "Prefer: wait=60\r\n", b"hello");
        let job = worker.grab();
        assert_eq!(job.workload, b"hello");
        worker.say(WORK_DATA, &job, b"part-");
        worker.say(WORK_WARNING, &job, b"careful");
        worker.say(WORK_STATUS, &job, b"1\x002");
        worker.say(WORK_COMPLETE, &job, b"end");
        let answer = answered(&mut { waiting });
        assert_eq!(answer.status, 200, "{answer:?}");
        let handle = String::from_utf8(job.handle).unwrap();
        assert_eq!(answer.header("x-gearman-job-handle"), Some(&handle[..]));
        assert_eq!(
            value(&answer),
            json!({"handle": handle, "result": "complete", "data": "part-end", "warnings": [{"data": "careful"}],
                "status": {"numerator": "1", "denominator": "2"}})
        );
    }
}

#[test]
fn a_result_alone_is_its_bytes_or_what_went_wrong() {
    let open = open(&[]);
    let mut worker = Worker::of(&open.looked.server, "f");
    let mut ask = |command, data: &[u8]| {
        let waiting = open.begin("/api/v1/jobs?function=f", "Accept: application/octet-stream\r\n", b"");
        let job = worker.grab();
        worker.say(command, &job, data);
        answered(&mut { waiting })
    };
    let done = ask(WORK_COMPLETE, b"olleh");
    assert_eq!(
        (done.status, &done.body[..], done.header("content-type")),
        (200, "olleh", Some("application/octet-stream"))
    );
    let failed = ask(WORK_FAIL, b"");
    assert!(failed.status == 502 && failed.sentence().contains("failed"), "{failed:?}");
    // Nobody has to ask for exceptions here.
    let failed = ask(WORK_EXCEPTION, b"boom");
    assert!(failed.status == 502 && failed.sentence().ends_with("boom"), "{failed:?}");
}

#[test]
fn a_stream_tells_everything_as_it_comes() {
    let open = open(&["-t", "2"]);
    let mut worker = Worker::of(&open.looked.server, "f");
    let waiting = open.begin("/api/v1/jobs?function=f", "Accept: text/event-stream\r\n", b"x");
    let job = worker.grab();
    let mut lines = BufReader::new(waiting).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    let mut hear = |event: &str, data: Value| {
        // Pieces have lengths between them.
        let mut next =
            || lines.by_ref().find(|line| line.starts_with("event: ") || line.starts_with("data: ")).unwrap();
        assert_eq!(next(), format!("event: {event}"));
        let said: Value = serde_json::from_str(next().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(said, data);
    };
    hear("created", json!({"handle": String::from_utf8_lossy(&job.handle)}));
    worker.say(WORK_DATA, &job, b"one\ntwo");
    hear("data", json!({"data": "one\ntwo"}));
    worker.say(WORK_STATUS, &job, b"1\x0010");
    hear("status", json!({"numerator": "1", "denominator": "10"}));
    worker.say(WORK_WARNING, &job, b"\xff");
    hear("warning", json!({"data_base64": "/w=="}));
    worker.say(WORK_COMPLETE, &job, b"end");
    hear("complete", json!({"data": "end"}));
}

/// As with any client: what nobody waits for any more is given up, unless it runs.
#[test]
fn whoever_goes_away_gives_his_job_up() {
    for lines in ["", "Accept: text/event-stream\r\n"] {
        let open = open(&["-t", "2"]);
        let running = || open.looked.json("/api/v1/jobs")["items"].as_array().unwrap().clone();
        let waiting = open.begin("/api/v1/jobs?function=f", lines, b"first");
        wait_until("it is there", || running().len() == 1 && running()[0]["clients"] == 1);
        drop(waiting);
        wait_until("nobody waits for it", || running().first().is_none_or(|job| job["clients"] == 0));
        let waiting = open.begin("/api/v1/jobs?function=f", lines, b"second");
        let mut worker = Worker::of(&open.looked.server, "f");
        let job = worker.grab();
        assert_eq!(job.workload, b"second");
        drop(waiting);
        wait_until("nobody waits for it", || running().iter().all(|job| job["clients"] == 0));
        worker.say(WORK_COMPLETE, &job, b"");
        wait_until("no job is left", || running().is_empty());
    }
}

#[test]
fn whoever_waits_long_enough_is_told_so() {
    let open = open(&[]);
    let answer = open.post("/api/v1/jobs?function=f", "Prefer: wait=1\r\n", b"x");
    assert_eq!(answer.status, 504);
    assert!(answer.sentence().contains("after 1 s"), "{answer:?}");
    assert!(value(&answer)["hint"].as_str().unwrap().contains("background=true"));
    assert!(value(&answer)["handle"].as_str().unwrap().starts_with("H:"));
    let refused = open.post("/api/v1/jobs?function=f", "Prefer: wait=0\r\n", b"x");
    assert_eq!(refused.status, 400);
}

#[test]
fn many_jobs_are_one_request() {
    let open = open(&["-t", "2", "--max-requests-in-flight", "4"]);
    let jobs: Vec<Value> =
        (0..1000).map(|at| json!({"function": format!("f{}", at % 7), "workload": "w"})).collect();
    let answer = open.post_json(&json!({ "jobs": jobs }));
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = value(&answer);
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(1000), &json!(0)));
    let mut handles: Vec<&str> =
        told["items"].as_array().unwrap().iter().map(|item| item["handle"].as_str().unwrap()).collect();
    handles.sort_unstable();
    handles.dedup();
    assert_eq!(handles.len(), 1000);
    assert_eq!(open.looked.list("/api/v1/jobs", 1000).len(), 1000);
    let answer = open.post_json(&json!({"jobs": vec![json!({"function": "f"}); 1001]}));
    assert!(answer.status == 400 && answer.sentence().contains("1 to 1000 jobs"), "{answer:?}");
}

#[test]
fn what_is_refused_says_what_to_do() {
    let open = open(&["--max-packet-size", "1000"]);
    let json_kind = "Content-Type: application/json\r\n";
    let long = "x".repeat(1001);
    for (path, lines, body, status, said) in [
        ("/api/v1/jobs", "", "x", 415, "no function is named"),
        ("/api/v1/jobs", json_kind, "x", 400, "no JSON"),
        ("/api/v1/jobs", json_kind, "{\"function\":\"\"}", 400, "function is a name"),
        ("/api/v1/jobs?function=f&when=1", "", "x", 400, "means nothing"),
        ("/api/v1/jobs?function=f", "", &long[..], 413, "1000 bytes"),
        ("/api/v1/jobs?function=f", "", &long[..1000], 413, "1000 bytes"),
        ("/api/v1/jobs?function=f", "Sec-Fetch-Site: cross-site\r\n", "x", 403, "somebody else"),
    ] {
        let answer = open.post(path, lines, body.as_bytes());
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.sentence().contains(said), "{path}: {answer:?}");
    }
    // A full queue is the function's affair.
    let mut administrator = open.looked.server.connect();
    administrator.write_all(b"create function f\nmaxqueue f 1\n").unwrap();
    let mut answer = [0; 8];
    administrator.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK\r\nOK\r\n");
    assert_eq!(open.post("/api/v1/jobs?function=f&background", "", b"x").status, 201);
    let full = open.post("/api/v1/jobs?function=f&background", "", b"x");
    assert!(full.status == 503 && full.sentence().contains("queue is full"), "{full:?}");
    assert_eq!(value(&full)["code"], "QUEUE_ERROR");
}

#[test]
fn a_server_that_drains_takes_no_more() {
    let open = open(&[]);
    assert_eq!(open.post("/api/v1/jobs?function=f&background", "", b"x").status, 201);
    open.looked.server.signal(Signal::USR1);
    wait_until("it drains", || open.looked.get("/readyz").status == 503);
    let answer = open.post("/api/v1/jobs?function=f&background", "", b"x");
    assert!(answer.status == 503 && answer.sentence().contains("draining"), "{answer:?}");
}

/// Half of all connections stay for those who look.
#[test]
fn those_who_wait_leave_room_for_those_who_look() {
    const WAITS_MAX: usize = 32;
    let open = open(&[]);
    let waiting: Vec<TcpStream> = (0..WAITS_MAX)
        .map(|at| open.begin("/api/v1/jobs?function=f", "Prefer: wait=600\r\n", format!("{at}").as_bytes()))
        .collect();
    wait_until("all of them wait", || {
        open.looked.json("/api/v1/functions")["items"]
            .as_array()
            .unwrap()
            .first()
            .is_some_and(|f| f["queued"]["normal"] == WAITS_MAX)
    });
    let refused = open.post("/api/v1/jobs?function=f", "", b"one more");
    assert!(refused.status == 503 && refused.sentence().contains("no place"), "{refused:?}");
    assert_eq!(open.post("/api/v1/jobs?function=f&background", "", b"x").status, 201);
    assert_eq!(open.looked.get("/livez").status, 200);
    // They end with the server.
    open.looked.server.signal(Signal::TERM);
    for mut stream in waiting {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
}

/// Bodies that do not come hold nobody up, and large ones not either.
#[test]
fn slow_bodies_hold_nobody_up() {
    let open = open(&[]);
    let mut slow = open.looked.connect();
    slow.write_all(
        b"POST /api/v1/jobs?function=f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
    )
    .unwrap();
    let large = vec![7; 40 << 20];
    let sender = thread::spawn({
        let mut stream = open.looked.connect();
        move || {
            stream.write_all(&bytes_of("/api/v1/jobs?function=large&background", "", &large)).unwrap();
            answered(&mut stream).status
        }
    });
    assert_eq!(open.post("/api/v1/jobs?function=f&background", "", b"y").status, 201);
    assert_eq!(sender.join().unwrap(), 201);
    let mut worker = Worker::of(&open.looked.server, "large");
    assert_eq!(worker.grab().workload.len(), 40 << 20);
    // It is given up after ten seconds without a byte.
    let refused = answered(&mut slow);
    assert_eq!(refused.status, 408, "{refused:?}");
}
