//! `/api/v1`: every path of its document, lists in parts, filters, single things, and what is said of mistakes.
use crate::client::Looked;
use crate::submit;
use crate::support::packets::*;
use crate::support::server::*;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

/// A server with some of everything: functions, jobs, workers, one dead job. The connections must stay.
struct Busy {
    looked: Looked,
    client: TcpStream,
    worker: TcpStream,
    running: String,
    dead: String,
    queued: String,
}

fn busy(threads: &str) -> Busy {
    let looked = Looked::start(&["-t", threads, "--job-retries", "1"]);
    let mut client = looked.server.connect();
    // Its only attempt is lost with the worker.
    let dead = submit(&mut client, b"doomed", "d");
    let mut doomed = looked.server.connect();
    doomed.write_all(&request(CAN_DO, b"doomed")).unwrap();
    doomed.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut doomed).0, JOB_ASSIGN);
    drop(doomed);
    wait_until("the job is dead", || looked.server.counter("dead_jobs") == 1);
    let running = submit(&mut client, b"mail", "r");
    let mut worker = looked.server.connect();
    worker.write_all(&request(SET_CLIENT_ID, b"mailer <1>")).unwrap();
    worker.write_all(&request(CAN_DO, b"mail")).unwrap();
    worker.write_all(&request(CAN_DO, b"\xff")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    let queued = submit(&mut client, b"mail", "q");
    submit(&mut client, b"a/b?c", "\u{fc}");
    client.write_all(&request(SUBMIT_JOB, b"mail\0w\0x")).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    Busy { looked, client, worker, running, dead, queued }
}

/// Whether a value is as the document says.
#[track_caller]
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.strip_prefix('#').unwrap()).unwrap();
        return conforms(document, schema, value, name);
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{at}: {other}"),
    };
    match &schema["type"] {
        Value::String(kind) => assert!(is(kind), "{at}: {value} is no {kind}"),
        Value::Array(kinds) => assert!(kinds.iter().any(|kind| is(kind.as_str().unwrap())), "{at}: {value}"),
        _ => panic!("{at} has no type"),
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value}");
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        conforms(document, &schema["items"], item, &at.to_string());
    }
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(name.as_str().unwrap()), "{at}: {name} is missing in {value}");
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, value) in object {
        // One job is told as one of two kinds, with more.
        if let Some(schema) = properties.get(name) {
            conforms(document, schema, value, name);
        } else {
            assert!(at.ends_with("OneJob"), "{at}: {name} is not in the document");
        }
    }
}

#[test]
fn every_path_of_the_document_is_there() {
    let busy = busy("2");
    let document = busy.looked.json("/api/v1/openapi.json");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15);
    // Orders are tried elsewhere.
    for (path, what) in paths.iter().filter(|(_, what)| what["get"].is_object()) {
        // `events.rs` has the one that goes on, `peek.rs` the one that not everybody may ask for.
        if path == "/api/v1/events" || path.ends_with("/workload") {
            continue;
        }
        let get = &what["get"];
        let asked = path.replace("{function}", "mail").replace("{handle}", &busy.running);
        let answered = busy.looked.get(&asked);
        assert_eq!(answered.status, 200, "{asked}: {answered:?}");
        let responses = &get["responses"];
        let (kind, content) = responses["200"]["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(answered.header("content-type").unwrap().split(';').next(), Some(&kind[..]), "{asked}");
        if kind == "application/json" {
            let value: Value = serde_json::from_str(&answered.body).unwrap();
            conforms(&document, &content["schema"], &value, path);
            let all = get["parameters"].as_array().into_iter().flatten();
            for parameter in all.filter(|parameter| parameter["in"] == "query") {
                let name = parameter["name"].as_str().unwrap();
                let example = match name {
                    "limit" => "1",
                    "after" => match value["next"].as_str() {
                        Some(next) => next,
                        None => continue,
                    },
                    "state" | "role" => parameter["schema"]["enum"][0].as_str().unwrap(),
                    _ => "x",
                };
                let asked = format!("{asked}?{name}={example}");
                assert_eq!(busy.looked.get(&asked).status, 200, "{asked}");
            }
        }
        if responses.get("400").is_some() {
            let wrong = busy.looked.get(&format!("{asked}?nonsense=1"));
            assert_eq!(wrong.status, 400, "{asked}");
            let said = if kind == "text/html" { wrong.body.clone() } else { wrong.sentence().to_string() };
            assert!(said.contains("'nonsense' means nothing in this query"), "{asked}");
        }
    }
    // No payload, anywhere.
    for path in ["/api/v1/jobs", "/api/v1/dead", "/"] {
        assert!(!busy.looked.get(path).body.contains("payload"), "{path}");
    }
}

/// Items without what changes with time alone.
fn timeless(mut items: Vec<Value>) -> Vec<Value> {
    for item in &mut items {
        let object = item.as_object_mut().unwrap();
        object.retain(|name, _| !name.ends_with("_seconds") && name != "per_second");
    }
    items
}

#[test]
fn lists_in_parts_are_the_whole_list() {
    for threads in ["1", "2"] {
        let mut busy = busy(threads);
        for at in 0..700 {
            submit(&mut busy.client, format!("f{:03}", at % 350).as_bytes(), &format!("u{at}"));
        }
        let more: Vec<TcpStream> = (0..30)
            .map(|at| {
                let mut worker = busy.looked.server.connect();
                worker.write_all(&request(CAN_DO, format!("w{at}").as_bytes())).unwrap();
                echo(&mut worker, b"x");
                worker
            })
            .collect();
        let functions = 3 + 350 + 30 + 1;
        for (path, count) in [
            ("/api/v1/functions", functions),
            ("/api/v1/functions?state=unattended", 351),
            ("/api/v1/functions?state=running", 1),
            ("/api/v1/jobs", 704),
            ("/api/v1/jobs?function=mail", 3),
            ("/api/v1/jobs?function=mail&state=waiting", 2),
            ("/api/v1/jobs?state=running", 1),
            ("/api/v1/jobs?unique=u7", 1),
            ("/api/v1/dead", 1),
            ("/api/v1/dead?function=mail", 0),
            ("/api/v1/workers", 31),
            ("/api/v1/connections", 32),
        ] {
            let whole = timeless(busy.looked.list(path, 1000));
            assert_eq!(whole.len(), count, "{path}");
            for limit in [7, 256] {
                let parts = timeless(busy.looked.list(path, limit));
                assert_eq!(parts, whole, "{path} in parts of {limit}");
            }
        }
        drop(more);
    }
}

#[test]
fn single_things() {
    let busy = busy("2");
    let looked = &busy.looked;
    let mail = looked.json("/api/v1/functions/mail");
    let expected = json!({
        "function": "mail", "queued": { "high": 0, "normal": 2, "low": 0 }, "running": 1, "workers": 1
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(mail[name], *value, "{name}: {mail}");
    }
    assert_eq!(mail["totals"]["accepted"], 3);
    assert_eq!(looked.json("/api/v1/functions/a%2Fb%3Fc")["function"], "a/b?c");
    assert_eq!(looked.json("/api/v1/functions/%FF")["function_hex"], "ff");
    let running = looked.json(&format!("/api/v1/jobs/{}", busy.running));
    assert_eq!((&running["handle"], &running["running"]), (&json!(busy.running), &json!(true)));
    let worker = busy.worker.local_addr().unwrap().to_string();
    assert_eq!(
        (&running["worker"], &running["stored"], &running["dead"]),
        (&json!(worker), &json!(true), &json!(false))
    );
    let queued = looked.json(&format!("/api/v1/jobs/{}", busy.queued));
    assert_eq!(
        (&queued["running"], &queued["unique"], &queued["attempts"]),
        (&json!(false), &json!("q"), &json!(0))
    );
    let dead = looked.json(&format!("/api/v1/jobs/{}", busy.dead));
    assert_eq!(
        (&dead["dead"], &dead["dead_because"], &dead["function"]),
        (&json!(true), &json!("WorkerGone"), &json!("doomed"))
    );
    let workers = looked.json("/api/v1/workers");
    let only = &workers["items"][0];
    assert_eq!(
        (&only["id"], &only["functions"], &only["functions_hex"]),
        (&json!("mailer <1>"), &json!(["mail"]), &json!(["ff"]))
    );
    let waits = looked.json("/api/v1/connections");
    let waits: Vec<u64> =
        waits["items"].as_array().unwrap().iter().map(|one| one["waits_for"].as_u64().unwrap()).collect();
    assert_eq!((waits.len(), waits.iter().sum::<u64>()), (2, 1));
    assert_eq!(looked.json("/api/v1/counters")["jobs_accepted"], 5);
    let server = looked.json("/api/v1/server");
    assert_eq!(
        (&server["pid"], &server["shards"], &server["ready"]),
        (&json!(looked.server.pid()), &json!(2), &json!(true))
    );
    // Nobody sees those who look.
    let mut admin = looked.server.connect();
    // Three connections, one of which waits for a job, and a dot.
    assert_eq!(ask(&mut admin, "clients\n").lines().count(), 3 + 1 + 1);
    assert_eq!(counter(&mut admin, "sessions"), 3);
}

#[test]
fn mistakes_are_said_in_a_sentence() {
    let busy = busy("1");
    for (path, status, said) in [
        ("/api/v1/nothing", 404, "/api/v1/openapi.json says what there is"),
        ("/api/v1", 404, "/api/v1/openapi.json"),
        ("/nothing", 404, "/metrics is for Prometheus"),
        ("/api/v1/functions/none", 404, "no function of this name"),
        ("/api/v1/functions/", 404, "no function of this name"),
        ("/api/v1/jobs/H:x:1", 404, "no handle that this server gives"),
        ("/api/v1/jobs?limit=0", 400, "limit is a number from 1 to 1000"),
        ("/api/v1/jobs?limit=1001", 400, "limit is a number from 1 to 1000"),
        ("/api/v1/jobs?limit=x", 400, "limit is a number from 1 to 1000"),
        ("/api/v1/jobs?limit=1&limit=2", 400, "twice"),
        ("/api/v1/jobs?after=x", 400, "after is what an answer gave as next"),
        ("/api/v1/workers?after=1-2", 400, "after is what an answer gave as next"),
        ("/api/v1/connections?after=300-0-1", 400, "after is what an answer gave as next"),
        ("/api/v1/functions?after=0", 400, "after is what an answer gave as next"),
        ("/api/v1/jobs?state=dead", 400, "/api/v1/dead"),
        ("/api/v1/functions?state=x", 400, "state is waiting, running, unattended or dead"),
        ("/api/v1/functions/%zz", 400, "two hexadecimal digits"),
    ] {
        let answered = busy.looked.get(path);
        assert_eq!(answered.status, status, "{path}: {answered:?}");
        assert!(answered.sentence().contains(said), "{path}: {answered:?}");
    }
    // A job that was, and is not any more.
    let (prefix, number) = busy.running.rsplit_once(':').unwrap();
    let number: u64 = number.parse().unwrap();
    let gone = busy.looked.get(&format!("/api/v1/jobs/{prefix}:{}", number + 1024 * 1000));
    assert_eq!(gone.status, 404);
    assert!(gone.sentence().contains("no such job"));
    // Places that nobody gave are places all the same.
    for path in [
        "jobs?after=18446744073709551615",
        "workers?after=4294967295-255-16777215-1",
        "connections?after=255-16777215-4294967295",
        "functions?after=ff",
        "dead?after=1024",
    ] {
        let answered = busy.looked.json(&format!("/api/v1/{path}"));
        assert!(answered["items"].is_array() && answered["next"].is_null(), "{path}");
    }
}
