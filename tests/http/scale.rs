//! Very many functions and jobs: every page and list is answered in a bounded time and with bounded bytes, whatever there is, and whoever has
//! jobs on the same shard does not notice. `RINGGEAR_SCALE` says how many thousand jobs there are, ten for each function (100);
//! a million takes minutes, most of them to submit.
use crate::client::Looked;
use crate::support::packets::*;
use crate::support::server::*;
use std::fmt::Write as _;
use std::io::{BufReader, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Jobs of each function.
const EACH: usize = 10;
/// A look may take so long on a machine that others use, too; what it took is printed.
const LOOK_TIME: Duration = Duration::from_secs(3);
/// Bytes of a page, and of a part of a list of a hundred items.
const PAGE_BYTES: usize = 200 << 10;
/// Rows of a page.
const ROWS: usize = 100;

/// Background jobs, submitted one behind the other; the handle of the last.
fn fill(looked: &Looked, functions: usize) -> String {
    let mut client = looked.server.connect();
    let mut answers = BufReader::with_capacity(1 << 20, client.try_clone().unwrap());
    let reading = thread::spawn(move || {
        let (mut head, mut data) = ([0; 12], Vec::new());
        for at in 0..functions * EACH {
            answers.read_exact(&mut head).unwrap();
            let number = u32::from_be_bytes(head[4..8].try_into().unwrap());
            assert_eq!(number, JOB_CREATED, "job {at}");
            data.resize(u32::from_be_bytes(head[8..].try_into().unwrap()) as usize, 0);
            answers.read_exact(&mut data).unwrap();
        }
        String::from_utf8(data).unwrap()
    });
    let mut packets = Vec::new();
    for at in 0..functions * EACH {
        let data = format!("function-{:06}\0unique-{at:07}\0work", at % functions);
        packets.extend(request(SUBMIT_JOB_BG, data.as_bytes()));
        if packets.len() > 1 << 20 {
            client.write_all(&packets).unwrap();
            packets.clear();
        }
    }
    client.write_all(&packets).unwrap();
    reading.join().unwrap()
}

/// What can be looked at. `FUNCTION`, `HANDLE` and `UNIQUE` stand for the last of them, for which most has to be walked through.
const LOOKS: [&str; 25] = [
    "/",
    "/?filter=FUNCTION",
    "/?filter=9&sort=oldest&state=unattended&part=50",
    "/?sort=name&part=50",
    "/function",
    "/function?name=FUNCTION",
    "/function?name=FUNCTION&tab=jobs",
    "/job?handle=HANDLE",
    "/job?find=UNIQUE",
    "/job?find=none",
    "/dead",
    "/dead?function=FUNCTION&reason=left",
    "/connections",
    "/connections?role=worker",
    "/server",
    "/submit",
    "/order/purge?name=FUNCTION",
    "/api/v1/functions?limit=100",
    "/api/v1/functions?state=running&limit=100",
    "/api/v1/functions/FUNCTION/why",
    "/api/v1/jobs?limit=100",
    "/api/v1/jobs?unique=none",
    "/api/v1/dead?function=none",
    "/api/v1/connections",
    "/api/v1/workers",
];

#[test]
fn whatever_there_is_looks_are_answered_and_nobody_notices() {
    let thousands: usize = std::env::var("RINGGEAR_SCALE").map_or(100, |text| text.parse().unwrap());
    let functions = thousands * 1000 / EACH;
    // One shard, so that the bystander is on it.
    let looked = Looked::start(&["-t", "1", "--job-retries", "1"]);
    let begun = Instant::now();
    let handle = fill(&looked, functions);
    eprintln!("{} jobs of {functions} functions in {:?}", functions * EACH, begun.elapsed());
    // One is dead, and stands behind all the others.
    let mut worker = looked.server.connect();
    worker.write_all(&request(SUBMIT_JOB_BG, b"dying\0last\0x")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_CREATED);
    worker.write_all(&request(CAN_DO, b"dying")).unwrap();
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
    drop(worker);
    wait_until("a job is dead", || looked.get("/dead").body.contains("its worker left"));

    let (function, unique) =
        (format!("function-{:06}", functions - 1), format!("unique-{:07}", functions * EACH - 1));
    let over = AtomicBool::new(false);
    let mut table = String::new();
    thread::scope(|scope| {
        let bystander = scope.spawn(|| {
            let mut client = looked.server.connect();
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                echo(&mut client, b"x");
                times.push(asked.elapsed());
                thread::sleep(Duration::from_micros(200));
            }
            times.sort();
            times
        });
        for look in LOOKS {
            let path =
                look.replace("FUNCTION", &function).replace("HANDLE", &handle).replace("UNIQUE", &unique);
            // What was known a moment ago does not count.
            thread::sleep(Duration::from_millis(if look.starts_with("/api") { 0 } else { 1050 }));
            let asked = Instant::now();
            let answered = looked.get(&path);
            let took = asked.elapsed();
            let refused = look == "/submit" || look.starts_with("/order/");
            assert_eq!(answered.status, if refused { 403 } else { 200 }, "{path}: {answered:?}");
            let (bytes, rows) = (answered.body.len(), answered.body.matches(" data-row").count());
            writeln!(table, "{took:>12.1?} {bytes:>8} bytes {rows:>4} rows  {path}").unwrap();
            assert!(took < LOOK_TIME && bytes < PAGE_BYTES && rows <= ROWS, "{path}\n{table}");
        }
        let asked = Instant::now();
        let metrics = looked.get("/metrics");
        writeln!(table, "{:>12.1?} {:>8} bytes            /metrics", asked.elapsed(), metrics.body.len())
            .unwrap();
        assert!(asked.elapsed() < LOOK_TIME && metrics.body.len() < 8 << 20, "{table}");
        over.store(true, Ordering::Relaxed);
        let times = bystander.join().unwrap();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        eprintln!(
            "{table}{} answers to the bystander: p50 {:?}, p99 {:?}, longest {:?}",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        assert!(at(0.99) < Duration::from_millis(250), "{:?}", at(0.99));
    });
    // The dead one is found, however many others are alive.
    let dead = looked.json("/api/v1/dead?limit=1");
    assert_eq!((&dead["items"][0]["function"], &dead["next"]), (&"dying".into(), &serde_json::Value::Null));
}
