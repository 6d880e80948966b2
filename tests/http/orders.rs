//! Orders over a unix socket: pauses, many jobs at once, connections, limits; who may give them, and what is remembered of them.
use crate::client::{JSON, Looked, Orders};
use crate::submit;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

/// A worker that knows a function.
fn worker(server: &Server, function: &[u8]) -> TcpStream {
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, function)).unwrap();
    worker
}

fn grab(worker: &mut TcpStream) -> u32 {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    read_packet(worker).0
}

#[test]
fn a_paused_function_takes_jobs_and_gives_none() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &socket, "-t", "2"]);
    let mut client = looked.server.connect();
    let told = orders.post("/api/v1/functions/mail/pause", &json!({ "reason": "the relay is down" }));
    assert_eq!((&told["paused"]["reason"], &told["kept"]), (&json!("the relay is down"), &json!(false)));
    assert!(told["remark"].as_str().unwrap().contains("--data-dir"), "{told}");
    // It is paused before there is anything of it.
    submit(&mut client, b"mail", "a");
    let mut worker = worker(&looked.server, b"mail");
    assert_eq!(grab(&mut worker), NO_JOB);
    worker.write_all(&request(PRE_SLEEP, b"")).unwrap();
    submit(&mut client, b"mail", "b");
    echo(&mut worker, b"nobody is woken");
    let why = looked.json("/api/v1/functions/mail/why");
    assert_eq!(why["verdict"]["code"], "paused", "{why}");
    assert!(why["verdict"]["text"].as_str().unwrap().ends_with(": the relay is down."), "{why}");
    assert_eq!(why["verdict"]["try"], json!(["ringgear resume mail"]));
    orders.post("/api/v1/functions/mail/resume", &json!({}));
    assert_eq!(read_packet(&mut worker).0, NOOP);
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    assert_eq!(orders.refused("/api/v1/functions/mail/resume", &json!({})).0, 409);
    // One that ends by itself.
    orders.post("/api/v1/functions/mail/pause", &json!({ "for_seconds": 1 }));
    assert_eq!(grab(&mut worker), NO_JOB);
    worker.write_all(&request(PRE_SLEEP, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, NOOP);
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    wait_until("the log says so", || looked.server.log().contains("the pause of mail is over"));
}

#[test]
fn a_pause_outlives_the_server() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let data = folder.file("data");
    let options = ["--control", &socket, "--data-dir", data.to_str().unwrap()];
    let mut looked = Looked::start(&options);
    wait_until("stored jobs are read", || orders.get("/readyz").status == 200);
    let told = orders.post("/api/v1/functions/a%2Fb/pause", &json!({ "reason": "r" }));
    assert_eq!((&told["kept"], &told["remark"]), (&json!(true), &Value::Null));
    orders.post("/api/v1/functions/c/pause", &json!({}));
    orders.post("/api/v1/functions/c/resume", &json!({}));
    submit(&mut looked.server.connect(), b"a/b", "u");
    // Without a word: nothing is written at the end.
    looked.server.signal(Signal::KILL);
    looked.server.wait();
    let looked = Looked::start(&options);
    wait_until("it is ready", || looked.get("/readyz").status == 200);
    let mut worker = worker(&looked.server, b"a/b");
    assert_eq!(grab(&mut worker), NO_JOB);
    let function = looked.json("/api/v1/functions/a%2Fb");
    assert_eq!((&function["paused"]["reason"], &function["queued"]["normal"]), (&json!("r"), &json!(1)));
    // The job is as old as it was before.
    assert!(function["oldest_waiting_seconds"].as_f64().is_some(), "{function}");
    orders.post("/api/v1/functions/a%2Fb/resume", &json!({}));
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
}

#[test]
fn a_file_of_pauses_that_cannot_be_read_stops_the_start() {
    let folder = Scratch::new();
    let data = folder.file("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("paused-functions"), "{}\n").unwrap();
    let Err((_, said)) = Server::try_start(&[], &["--data-dir", data.to_str().unwrap()]) else {
        panic!("it starts")
    };
    assert!(said.contains("paused-functions: line 1 is no paused function; repair it"), "{said}");
}

#[test]
fn many_jobs_at_once_are_so_many_as_were_expected() {
    for threads in ["1", "2"] {
        let folder = Scratch::new();
        let (orders, socket) = Orders::new(&folder);
        let looked = Looked::start(&["--control", &socket, "-t", threads]);
        let mut client = looked.server.connect();
        for at in 0..700 {
            submit(&mut client, b"mail", &format!("u{at}"));
            if at % 100 == 0 {
                submit(&mut client, b"other", &format!("u{at}"));
            }
        }
        let batch = |more: Value| {
            let mut body = json!({ "action": "cancel", "function": "mail", "state": "queued" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let (status, sentence) = orders.refused("/api/v1/jobs/batch", &batch(json!({})));
        assert!(status == 400 && sentence.contains("at_most is missing"), "{sentence}");
        let counted = orders.post("/api/v1/jobs/batch", &batch(json!({ "dry_run": true })));
        assert_eq!(counted["matches"], 700);
        let done = orders.post("/api/v1/jobs/batch", &batch(json!({ "at_most": 600 })));
        assert_eq!((&done["done"], &done["left"]), (&json!(600), &json!(100)));
        let one = orders.post("/api/v1/jobs/batch", &batch(json!({ "at_most": 9, "unique": "u650" })));
        assert_eq!((&one["done"], &one["left"]), (&json!(1), &json!(0)));
        let none = orders.post("/api/v1/jobs/batch", &batch(json!({ "at_most": 9, "older_seconds": 3600 })));
        assert_eq!(none["done"], 0);
        assert_eq!(looked.json("/api/v1/functions/mail")["queued"]["normal"], 99);
        assert_eq!(looked.json("/api/v1/functions/mail")["totals"]["cancelled"], 601);
        assert_eq!(looked.json("/api/v1/functions/other")["queued"]["normal"], 7);
        for wrong in [
            json!({ "action": "eat", "function": "mail" }),
            json!({ "action": "cancel" }),
            json!({ "action": "retry", "function": "mail", "state": "queued", "at_most": 1 }),
            json!({ "action": "cancel", "function": "mail", "state": "queued", "at_most": -1 }),
            json!({ "action": "cancel", "function": "mail", "state": "queued", "at_most": 1, "x": 1 }),
        ] {
            assert_eq!(orders.refused("/api/v1/jobs/batch", &wrong).0, 400, "{wrong}");
        }
    }
}

#[test]
fn the_dead_of_a_function_are_put_back() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &socket, "--job-retries", "1"]);
    let mut client = looked.server.connect();
    for at in 0..5 {
        submit(&mut client, b"mail", &format!("u{at}"));
        let mut doomed = worker(&looked.server, b"mail");
        assert_eq!(grab(&mut doomed), JOB_ASSIGN);
        drop(doomed);
        wait_until("one more is dead", || looked.server.counter("dead_jobs") == at + 1);
    }
    let why = looked.json("/api/v1/functions/mail/why");
    assert_eq!(why["verdict"]["code"], "dead", "{why}");
    let first = looked.list("/api/v1/dead", 100)[0]["handle"].as_str().unwrap().to_owned();
    assert_eq!(looked.json(&format!("/api/v1/jobs/{first}/why"))["verdict"]["code"], "dead");
    orders.post(&format!("/api/v1/jobs/{first}/retry"), &json!({}));
    assert_eq!(orders.refused(&format!("/api/v1/jobs/{first}/retry"), &json!({})).0, 409);
    let done =
        orders.post("/api/v1/jobs/batch", &json!({ "action": "retry", "function": "mail", "at_most": 10 }));
    assert_eq!((&done["done"], &done["left"]), (&json!(4), &json!(0)));
    let function = looked.json("/api/v1/functions/mail");
    assert_eq!((&function["dead"], &function["queued"]["normal"]), (&json!(0), &json!(5)));
    orders.post(&format!("/api/v1/jobs/{first}/cancel"), &json!({}));
    assert_eq!(orders.refused(&format!("/api/v1/jobs/{first}/cancel"), &json!({})).0, 404);
}

#[test]
fn a_connection_is_closed_and_its_job_goes_back() {
    for threads in ["1", "2"] {
        let folder = Scratch::new();
        let (orders, socket) = Orders::new(&folder);
        let looked = Looked::start(&["--control", &socket, "-t", threads]);
        let mut client = looked.server.connect();
        submit(&mut client, b"mail", "u");
        let mut hung = worker(&looked.server, b"mail");
        hung.write_all(&request(SET_CLIENT_ID, b"hung")).unwrap();
        assert_eq!(grab(&mut hung), JOB_ASSIGN);
        let workers = looked.list("/api/v1/functions/mail/workers", 10);
        assert_eq!(
            (workers.len(), &workers[0]["state"], &workers[0]["id"]),
            (1, &json!("busy"), &json!("hung"))
        );
        let session = workers[0]["session"].as_str().unwrap();
        let connections = looked.list("/api/v1/connections?role=worker", 10);
        assert_eq!((connections.len(), &connections[0]["session"]), (1, &json!(session)));
        assert!(connections[0]["asked_seconds"].as_f64().unwrap() < 60.0);
        orders.post(&format!("/api/v1/connections/{session}/close"), &json!({}));
        assert_eq!(read_to_end(&mut hung), b"");
        wait_until("the job is queued again", || {
            looked.json("/api/v1/functions/mail")["queued"]["normal"] == 1
        });
        assert_eq!(looked.server.counter("sessions_dismissed"), 1);
        assert_eq!(orders.refused(&format!("/api/v1/connections/{session}/close"), &json!({})).0, 404);
        assert_eq!(orders.refused("/api/v1/connections/99-99-99/close", &json!({})).0, 404);
        assert_eq!(orders.refused("/api/v1/connections/x/close", &json!({})).0, 400);
        assert!(looked.server.log().contains("an operator wants it so"), "{}", looked.server.log());
    }
}

#[test]
fn limits_are_told_and_set() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &socket]);
    let mut client = looked.server.connect();
    assert_eq!(orders.refused("/api/v1/functions/mail/limits", &json!({ "normal": 1 })).0, 404);
    submit(&mut client, b"mail", "u");
    let told = orders.post("/api/v1/functions/mail/limits", &json!({ "normal": 1 }));
    assert_eq!(told["limits"], json!({ "high": 0, "normal": 1, "low": 0 }));
    assert_eq!(looked.json("/api/v1/functions/mail")["limits"], told["limits"]);
    client.write_all(&request(SUBMIT_JOB_BG, b"mail\0v\0x")).unwrap();
    assert_eq!(read_packet(&mut client).0, ERROR);
    let why = looked.json("/api/v1/functions/mail/why");
    assert!(why["all"].as_array().unwrap().iter().any(|verdict| verdict["code"] == "queue_full"), "{why}");
}

#[test]
fn orders_are_taken_from_who_owns_the_server_and_remembered() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &socket]);
    let order = "POST /api/v1/functions/f/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    let refused = looked.send(order);
    assert_eq!(refused.status, 401);
    assert!(refused.sentence().contains("unix socket"), "{refused:?}");
    let pause = "/api/v1/functions/f/pause";
    for (lines, body, status) in [
        ("", "{}", 415),
        ("Content-Type: text/plain\r\n", "{}", 415),
        ("Content-Type: application/json\r\nOrigin: http://evil.example\r\n", "{}", 403),
        ("Content-Type: application/json\r\nSec-Fetch-Site: cross-site\r\n", "{}", 403),
        (JSON, "[]", 400),
        (JSON, "{\"reason\":1}", 400),
        (JSON, "{\"for_seconds\":1.5}", 400),
        (JSON, &format!("{{\"reason\":\"{}\"}}", "x".repeat(600)), 400),
    ] {
        assert_eq!(
            orders.post_with(pause, lines, body).status,
            status,
            "{lines} {}",
            &body[..20.min(body.len())]
        );
    }
    // What is too much is refused before it comes.
    assert_eq!(orders.announce(pause, JSON, 70_000, "").status, 413);
    assert_eq!(orders.refused("/api/v1/nothing", &json!({})).0, 404);
    assert_eq!(orders.post_with("/livez", JSON, "{}").status, 405);
    assert_eq!(looked.json("/api/v1/audit")["items"], json!([]));
    orders.post(pause, &json!({}));
    orders.post("/api/v1/server/log-level", &json!({ "level": "debug", "for_seconds": 3600 }));
    let audit = looked.json("/api/v1/audit");
    let items = audit["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!((&items[1]["what"], &items[1]["number"]), (&json!("pause f"), &json!(1)));
    assert!(items[1]["who"].as_str().unwrap().starts_with("user "));
    wait_until("the log says so", || looked.server.log().contains("over HTTP: pause f"));
    assert_eq!(orders.refused("/api/v1/server/log-level", &json!({ "level": "loud" })).0, 400);
}

#[test]
fn a_server_drains_when_it_is_told() {
    let folder = Scratch::new();
    let (orders, socket) = Orders::new(&folder);
    let mut looked = Looked::start(&["--control", &socket]);
    orders.post("/api/v1/server/drain", &json!({}));
    assert!(looked.server.wait().success());
}
