//! Why jobs do not move: what is said of functions and jobs in each case that a running server can be brought into. Those that need hours, a
//! store or other servers are tested where the reasons are.
use crate::client::Looked;
use crate::submit;
use crate::support::packets::*;
use crate::support::server::*;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

struct Case {
    looked: Looked,
    client: TcpStream,
}

impl Case {
    fn new(options: &[&str]) -> Case {
        let looked = Looked::start(options);
        let client = looked.server.connect();
        Case { looked, client }
    }

    fn submit(&mut self, function: &str, unique: &str) -> String {
        submit(&mut self.client, function.as_bytes(), unique)
    }

    fn worker(&self, function: &str) -> TcpStream {
        let mut worker = self.looked.server.connect();
        worker.write_all(&request(CAN_DO, function.as_bytes())).unwrap();
        echo(&mut worker, b"known");
        worker
    }

    fn why(&self, function: &str) -> Value {
        self.looked.json(&format!("/api/v1/functions/{function}/why"))
    }

    fn why_job(&self, handle: &str) -> Value {
        self.looked.json(&format!("/api/v1/jobs/{handle}/why"))
    }
}

#[track_caller]
fn says(why: &Value, level: &str, code: &str, some: &str) {
    let verdict = &why["verdict"];
    assert_eq!((&verdict["level"], &verdict["code"]), (&json!(level), &json!(code)), "{why}");
    assert!(verdict["text"].as_str().unwrap().contains(some), "{some}: {why}");
}

fn grab(worker: &mut TcpStream) -> u32 {
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    read_packet(worker).0
}

#[test]
fn nobody_knows_the_function() {
    for threads in ["1", "2"] {
        let mut case = Case::new(&["-t", threads]);
        says(&case.why("resize-image"), "wait", "unknown_function", "no function of this name");
        let other = case.worker("resize_image");
        says(&case.why("resize-image"), "wait", "unknown_function", "There is \"resize_image\"");
        let handle = case.submit("resize-image", "u");
        let said = "No worker has ever registered this name. There are workers for \"resize_image\".";
        says(&case.why("resize-image"), "bad", "no_worker_ever", said);
        says(&case.why_job(&handle), "bad", "no_worker_ever", said);
        drop(case.worker("resize-image"));
        wait_until("it has left", || case.looked.json("/api/v1/functions/resize-image")["workers"] == 0);
        says(&case.why("resize-image"), "bad", "workers_left", "the last one left");
        drop(other);
    }
}

#[test]
fn workers_are_busy_asleep_or_on_their_way() {
    for threads in ["1", "2"] {
        let mut case = Case::new(&["-t", threads]);
        let mut worker = case.worker("mail");
        says(&case.why("mail"), "ok", "no_jobs", "");
        let running = case.submit("mail", "a");
        assert_eq!(grab(&mut worker), JOB_ASSIGN);
        says(&case.why("mail"), "ok", "running", "1 job is with workers");
        says(&case.why_job(&running), "ok", "running", "127.0.0.1:");
        let second = case.submit("mail", "b");
        let third = case.submit("mail", "c");
        says(&case.why("mail"), "wait", "all_busy", "2 jobs wait, the oldest for");
        says(&case.why_job(&third), "wait", "all_busy", "Its only worker is busy");
        let all = case.why_job(&third);
        let place = &all["all"][1];
        assert_eq!(place["code"], "in_queue", "{all}");
        assert!(place["text"].as_str().unwrap().contains("stands behind 1 job"), "{all}");
        assert!(
            case.why_job(&second)["all"][1]["text"].as_str().unwrap().contains("is next of its priority")
        );
        let data = b"mail\0urgent\0x";
        case.client.write_all(&request(SUBMIT_JOB_HIGH_BG, data)).unwrap();
        assert_eq!(read_packet(&mut case.client).0, JOB_CREATED);
        assert_eq!(case.why_job(&second)["all"][1]["code"], "higher_priority_first");
        // One that has just come, and has not asked.
        let _late = case.worker("mail");
        says(&case.why("mail"), "ok", "moving", "1 busy");
    }
}

#[test]
fn whoever_was_woken_is_on_the_way() {
    let mut case = Case::new(&[]);
    let mut sleeper = case.worker("mail");
    sleeper.write_all(&request(PRE_SLEEP, b"")).unwrap();
    echo(&mut sleeper, b"asleep");
    let workers = case.looked.list("/api/v1/functions/mail/workers", 5);
    assert_eq!(workers[0]["state"], "asleep", "{workers:?}");
    case.submit("mail", "u");
    assert_eq!(read_packet(&mut sleeper).0, NOOP);
    says(&case.why("mail"), "wait", "woken", "1 worker was woken");
}

#[test]
fn a_job_that_is_not_to_run_yet_and_one_that_is_unknown() {
    let mut case = Case::new(&[]);
    let later = "4000000000";
    case.client.write_all(&request(SUBMIT_JOB_EPOCH, format!("mail\0u\0{later}\0x").as_bytes())).unwrap();
    let (number, handle) = read_packet(&mut case.client);
    assert_eq!(number, JOB_CREATED);
    let handle = String::from_utf8(handle).unwrap();
    says(&case.why_job(&handle), "ok", "scheduled", "not to run before 2096-10-02T07:06:40Z");
    says(&case.why("mail"), "ok", "scheduled", "1 job waits for their time");
    let job = case.looked.json(&format!("/api/v1/jobs/{handle}"));
    assert_eq!((&job["state"], &job["due_ms"]), (&json!("scheduled"), &json!(4_000_000_000_000_u64)));
    for unknown in ["H:nowhere:1", "x"] {
        assert_eq!(case.looked.get(&format!("/api/v1/jobs/{unknown}/why")).status, 404);
    }
}

#[test]
fn a_job_that_everybody_has_left() {
    let mut case = Case::new(&[]);
    let mut client = case.looked.server.connect();
    client.write_all(&request(SUBMIT_JOB, b"mail\0u\0x")).unwrap();
    let handle = String::from_utf8(read_packet(&mut client).1).unwrap();
    drop(client);
    wait_until("it has left", || case.looked.server.counter("sessions") == 2);
    case.submit("other", "u");
    says(&case.why_job(&handle), "ok", "abandoned", "All its clients have left");
    says(&case.why("mail"), "ok", "abandoned", "1 job was left");
}

/// Times and counts add up with what was done.
#[test]
fn numbers_are_told_of_a_function() {
    let mut case = Case::new(&["-t", "2"]);
    let mut worker = case.worker("mail");
    for at in 0..4 {
        let handle = case.submit("mail", &format!("u{at}"));
        assert_eq!(grab(&mut worker), JOB_ASSIGN);
        let what = if at == 3 { WORK_FAIL } else { WORK_COMPLETE };
        let data = if at == 3 { handle.into_bytes() } else { [handle.as_bytes(), b"\0done"].concat() };
        worker.write_all(&request(what, &data)).unwrap();
    }
    case.submit("mail", "waits");
    case.submit("mail", "waits");
    echo(&mut worker, b"heard");
    let told = case.looked.json("/api/v1/functions/mail");
    let totals = &told["totals"];
    for (name, count) in [("accepted", 5), ("coalesced", 1), ("completed", 3), ("failed", 1), ("requeued", 0)]
    {
        assert_eq!(totals[name], count, "{name}: {told}");
    }
    assert_eq!((&told["wait_seconds"]["count"], &told["run_seconds"]["count"]), (&json!(4), &json!(4)));
    assert!(told["oldest_waiting_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(told["queued"], json!({ "high": 0, "normal": 1, "low": 0 }));
    let metrics = case.looked.metrics();
    for line in [
        "ringgear_function_jobs_accepted_total{function=\"mail\"} 5",
        "ringgear_function_jobs_ended_total{function=\"mail\",result=\"complete\"} 3",
        "ringgear_function_jobs_ended_total{function=\"mail\",result=\"fail\"} 1",
        "ringgear_function_wait_seconds_count{function=\"mail\"} 4",
        "ringgear_function_run_seconds_bucket{function=\"mail\",le=\"+Inf\"} 4",
        "ringgear_packets_total{command=\"WORK_COMPLETE\"} 3",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line}\n{metrics}");
    }
}
