//! `/metrics`, as Prometheus' own tool sees it.
use crate::client::Looked;
use crate::submit;
use crate::support::packets::*;
use crate::support::server::*;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Has Prometheus' tool read it. It must be there: a check that is not made is no check.
#[track_caller]
fn check(metrics: &str) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: apt-get install prometheus");
    tool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = tool.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn what_is_there_is_told_twice() {
    let looked = Looked::start(&["-t", "2"]);
    let mut client = looked.server.connect();
    let evil = b"a\"b\\c\nd\xff";
    for function in [&b"mail"[..], evil] {
        submit(&mut client, function, "u");
    }
    let mut worker = looked.server.connect();
    worker.write_all(&request(CAN_DO, b"mail")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    submit(&mut client, b"mail", "v");
    let first = looked.metrics();
    check(&first);
    for (series, number) in [
        ("gearman_up", 1),
        ("gearman_jobs{function=\"mail\"}", 2),
        ("gearman_jobs_running{function=\"mail\"}", 1),
        ("gearman_jobs_waiting{function=\"mail\"}", 1),
        ("gearman_workers{function=\"mail\"}", 1),
        ("gearman_jobs_waiting{function=\"a\\\"b\\\\c\\\\x0ad\\\\xff\"}", 1),
        ("ringgear_function_waiting_jobs{function=\"mail\",priority=\"normal\"}", 1),
        ("ringgear_jobs", 3),
        ("ringgear_jobs_accepted_total", 3),
        ("ringgear_functions", 2),
        ("ringgear_functions_unattended", 1),
        ("ringgear_shards", 2),
        // Whoever looks is no session.
        ("ringgear_sessions", 2),
    ] {
        assert_eq!(value(&first, series), Some(number), "{series}\n{first}");
    }
    submit(&mut client, b"mail", "w");
    let second = looked.metrics();
    check(&second);
    assert_eq!(value(&second, "ringgear_jobs_accepted_total"), Some(4));
    assert!(value(&second, "ringgear_http_requests_total") > value(&first, "ringgear_http_requests_total"));
}

/// Text for text, as boards and alerts for gearman-exporter know them.
#[test]
fn the_names_of_the_exporter() {
    let looked = Looked::start(&[]);
    submit(&mut looked.server.connect(), b"f", "u");
    let metrics = looked.metrics();
    for (name, help) in [
        ("gearman_up", "is gearman up"),
        ("gearman_version_info", "gearman version"),
        ("gearman_jobs", "number of jobs queued or running"),
        ("gearman_jobs_running", "number of running jobs"),
        ("gearman_jobs_waiting", "number of jobs waiting for an available worker"),
        ("gearman_workers", "number of capable workers"),
    ] {
        assert!(metrics.contains(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name}")), "{name}");
    }
    let mut admin = looked.server.connect();
    admin.write_all(b"version\n").unwrap();
    let mut told = [0; 256];
    let length = std::io::Read::read(&mut admin, &mut told).unwrap();
    let version = std::str::from_utf8(&told[..length]).unwrap().strip_prefix("OK ").unwrap().trim();
    assert!(metrics.contains(&format!("gearman_version_info{{version=\"{version}\"}} 1\n")), "{metrics}");
    // Whatever `show counters` tells is there.
    for line in ask(&mut admin, "show counters\n").lines().filter(|line| *line != ".") {
        let name = line.split('\t').next().unwrap();
        let there = [format!("\nringgear_{name} "), format!("\nringgear_{name}_total ")];
        assert!(there.iter().any(|name| metrics.contains(name)), "{name}");
    }
}

/// OpenMetrics, where that is asked for: names of counters are without their end, and the end is marked.
#[test]
fn the_standard_form() {
    let looked = Looked::start(&[]);
    let answered = looked.get_with(
        "/metrics",
        "Accept: application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
    );
    assert_eq!(
        answered.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answered.body.ends_with("\n# EOF\n") && answered.body.matches("# EOF").count() == 1);
    assert!(
        answered.body.contains("# TYPE ringgear_jobs_accepted counter\nringgear_jobs_accepted_total 0\n")
    );
    let text = looked.get_with("/metrics", "Accept: text/plain, application/openmetrics-text;q=0\r\n");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("# TYPE ringgear_jobs_accepted_total counter\n"));
}

/// Clients choose names; no scraper has to keep them all. Who was told stays, while there is anything of it.
#[test]
fn functions_are_told_up_to_a_number() {
    let looked = Looked::start(&["--metrics-functions", "2", "-t", "2"]);
    let mut client = looked.server.connect();
    for (function, jobs) in [("a", 1), ("b", 3), ("c", 2), ("d", 1)] {
        for at in 0..jobs {
            submit(&mut client, function.as_bytes(), &format!("u{at}"));
        }
    }
    let labels = |metrics: &str| -> BTreeSet<String> {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("gearman_jobs{function=\""));
        lines.map(|line| line.split('"').next().unwrap().to_owned()).collect()
    };
    let metrics = looked.metrics();
    check(&metrics);
    let expected: BTreeSet<_> = ["b", "c", "(other)"].map(str::to_owned).into();
    assert_eq!(labels(&metrics), expected);
    assert_eq!(value(&metrics, "gearman_jobs{function=\"(other)\"}"), Some(2));
    assert_eq!(value(&metrics, "ringgear_functions_unlisted"), Some(2));
    for at in 0..9 {
        submit(&mut client, b"a", &format!("more{at}"));
    }
    let metrics = looked.metrics();
    assert_eq!(labels(&metrics), expected);
    assert_eq!(value(&metrics, "gearman_jobs{function=\"(other)\"}"), Some(11));
}
