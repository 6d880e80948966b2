//! Events: told as they come, to so many at the most, and not without anybody who hears them.
use crate::client::Looked;
use crate::submit;
use crate::support::packets::*;
use crate::support::server::*;
use crate::worker::Worker;
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;

/// Somebody who is told.
struct Viewer {
    lines: Lines<BufReader<TcpStream>>,
}

impl Viewer {
    fn of(looked: &Looked, query: &str) -> Viewer {
        let mut stream = looked.connect();
        let request = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "HTTP/1.1 200 OK");
        Viewer { lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// The next event: number, name, what is told.
    fn next(&mut self) -> (u64, String, Value) {
        let mut behind = |name: &str| loop {
            let line = self.line();
            if let Some(value) = line.strip_prefix(name) {
                return value.to_owned();
            }
        };
        let number = behind("id: ").parse().unwrap();
        (number, behind("event: "), serde_json::from_str(&behind("data: ")).unwrap())
    }
}

#[test]
fn what_changes_is_told() {
    let looked = Looked::start(&["-t", "2"]);
    let mut viewer = Viewer::of(&looked, "?topics=overview,function:mail");
    let head =
        std::iter::from_fn(|| Some(viewer.line())).take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    let (number, event, said) = viewer.next();
    assert_eq!((number, &event[..], &said["queued"]["normal"]), (1, "overview", &0.into()));
    assert_eq!(said["phase"], "serving");
    let (number, event, said) = viewer.next();
    assert_eq!((number, &event[..], &said["gone"]), (2, "function", &true.into()));
    submit(&mut looked.server.connect(), b"mail", "u");
    // What is known of all functions may be a second old, so either may be first.
    let mut told = [viewer.next(), viewer.next()];
    told.sort_by(|one, other| other.1.cmp(&one.1));
    let [overview, function] = told;
    assert_eq!((&overview.1[..], &overview.2["queued"]["normal"]), ("overview", &1.into()));
    assert_eq!(overview.2["first"][0]["function"], "mail");
    assert_eq!((&function.1[..], &function.2["queued"]["normal"]), ("function", &1.into()));
    assert_eq!(overview.0 + function.0, 3 + 4);
}

/// A single job, from its queue to its end; and what a client waits for, as that changes.
#[test]
fn jobs_and_clients_are_followed() {
    let looked = Looked::start(&["-t", "2"]);
    let mut client = looked.server.connect();
    let place = client.local_addr().unwrap();
    client.write_all(&request(SUBMIT_JOB, b"mail\0u\0x")).unwrap();
    let (number, handle) = read_packet(&mut client);
    assert_eq!(number, JOB_CREATED);
    let handle = String::from_utf8(handle).unwrap();
    let mut viewer = Viewer::of(&looked, &format!("?topics=job:{handle},client:{place}"));
    let (_, event, job) = viewer.next();
    assert_eq!((&event[..], &job["handle"], &job["state"]), ("job", &handle[..].into(), &"queued".into()));
    assert_eq!((&job["clients"], &job["age_seconds"]), (&1.into(), &Value::Null));
    let (_, event, waits) = viewer.next();
    assert_eq!((&event[..], &waits["client"]), ("client", &place.to_string().into()));
    assert_eq!(waits["connections"].as_array().unwrap().len(), 1, "{waits}");
    let jobs = &waits["jobs"];
    assert_eq!(
        (&jobs[0]["handle"], &jobs[0]["running"], &jobs[1]),
        (&handle[..].into(), &false.into(), &Value::Null)
    );
    let mut worker = Worker::of(&looked.server, "mail");
    let held = worker.grab();
    // Whether nobody waits any more is told of each apart.
    let mut next = |event: &str, done: &dyn Fn(&Value) -> bool| loop {
        let (_, name, told) = viewer.next();
        if name == event && done(&told) {
            return told;
        }
    };
    next("client", &|told| told["jobs"][0]["running"] == true);
    worker.say(WORK_COMPLETE, &held, b"");
    let gone = next("job", &|told| told["gone"] == true);
    assert_eq!(gone["handle"], handle);
    drop(worker);
    client.write_all(&request(SUBMIT_JOB, b"mail\0other\0x")).unwrap();
    next("client", &|told| told["jobs"][0]["unique"] == "other");
    drop(client);
    next("client", &|told| told["connections"].as_array().is_some_and(Vec::is_empty));
    for (topics, said) in [
        ("job:H:none", "names no handle that this server gives"),
        ("client:here", "an address as numbers"),
        ("client:10.0.0.1,client:10.0.0.2", "one client"),
    ] {
        let refused = looked.get(&format!("/api/v1/events?topics={topics}"));
        assert!(refused.status == 400 && refused.sentence().contains(said), "{refused:?}");
    }
}

#[test]
fn there_are_only_so_many_places() {
    const VIEWERS_MAX: usize = 16;
    let looked = Looked::start(&[]);
    let mut viewers: Vec<Viewer> = (0..VIEWERS_MAX).map(|_| Viewer::of(&looked, "")).collect();
    let refused = looked.get("/api/v1/events");
    assert!(refused.status == 503 && refused.sentence().contains("no place"), "{refused:?}");
    viewers.pop();
    // Whoever goes makes room.
    wait_until("there is a place again", || {
        let mut stream = looked.connect();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        BufReader::new(stream).lines().next().unwrap().unwrap() == "HTTP/1.1 200 OK"
    });
    for (query, said) in [("?topics=x", "topics are"), ("?x=1", "means nothing")] {
        let refused = looked.get(&format!("/api/v1/events{query}"));
        assert!(refused.status == 400 && refused.sentence().contains(said), "{refused:?}");
    }
}
