//! Single events that cost much: the scripts of a review, with smaller numbers. Each is named by its finding. Where a count
//! says whether it is right, a count is asked; otherwise the longest that a bystander waited for one job, with much room
//! for slow machines.
use crate::bystander::Bystander;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use crate::*;
use ringgear::engine::slot::Slot;
use ringgear::engine::{ShardId, Topology};
use rustix::process::Signal;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// The longest that a bystander may wait for one job. What is forbidden here takes several times as long in a debug build.
const WORST: Duration = Duration::from_secs(3);

/// What a server of these tests may take besides what the test gives it.
const BASE: u64 = 64 << 20;

fn arguments(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&0)
}

/// Sends many requests, and reads as many answers as there are to be, while sending.
fn exchange(stream: &mut TcpStream, requests: &[u8], answers: usize) -> Vec<u32> {
    let mut sender = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(requests).unwrap());
        (0..answers).map(|_| read_packet(stream).0).collect()
    })
}

fn many(count: usize, make: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(make).collect()
}

fn dead_jobs(server: &Server) -> usize {
    ask(&mut server.connect(), "show dead jobs\n").lines().count() - 1
}

/// Has so many jobs die: each is taken by a worker that leaves at once.
fn bury(server: &Server, count: usize) {
    let mut client = server.connect();
    let jobs = many(count, |number| {
        request(SUBMIT_JOB_BG, &arguments(&[b"f", format!("u{number}").as_bytes(), b"x"]))
    });
    exchange(&mut client, &jobs, count);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    let taken = exchange(&mut worker, &request(GRAB_JOB, b"").repeat(count), count);
    assert!(taken.iter().all(|&packet| packet == JOB_ASSIGN));
    drop(worker);
    wait_until("all are dead", || dead_jobs(server) == count);
}

/// A function of this name belongs to this shard.
fn name_on(shard: u16, shards: u16) -> String {
    let topology = Topology::new(shards);
    let mut names = (0..).map(|number| format!("on{number}"));
    names.find(|name| topology.owner(Slot::of(name.as_bytes())) == ShardId(shard)).unwrap()
}

/// A1. Submissions that find no room leave acknowledged jobs alone, dead ones included.
#[test]
fn a_refused_submission_ends_no_dead_job() {
    let server = Server::start(&["--threads", "1", "--job-retries", "1", "--max-queued-bytes", "1000000"]);
    bury(&server, 100);
    let mut client = server.connect();
    let huge = arguments(&[b"g", b"", &vec![b'y'; 2_000_000]]);
    client.write_all(&request(SUBMIT_JOB_BG, &huge)).unwrap();
    assert_eq!(read_packet(&mut client).0, ERROR);
    assert_eq!(dead_jobs(&server), 100);
    // Until the first is refused.
    let job = request(SUBMIT_JOB_BG, &arguments(&[b"g", b"", &vec![b'y'; 50_000]]));
    let mut accepted = 0;
    loop {
        client.write_all(&job).unwrap();
        match read_packet(&mut client).0 {
            JOB_CREATED => accepted += 1,
            packet => break assert_eq!(packet, ERROR),
        }
    }
    assert!(accepted >= 10, "{accepted} found room");
    assert_eq!(dead_jobs(&server), 100);
}

/// A2. The number of threads may change from start to start.
#[test]
fn more_threads_drop_no_dead_jobs() {
    let folder = Scratch::new();
    let data = folder.path("data");
    for (threads, begin) in [("1", true), ("4", false), ("1", false)] {
        let mut server = Server::start(&[
            "--threads",
            threads,
            "--data-dir",
            &data,
            "--job-retries",
            "1",
            "--dead-jobs",
            "100",
        ]);
        if begin {
            bury(&server, 100);
        }
        wait_until("the stored jobs are read", || dead_jobs(&server) > 0);
        assert_eq!(dead_jobs(&server), 100, "with {threads} threads");
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    }
}

/// A3. Whoever was woken and takes something else is replaced, also with several owners and `-w 1`.
#[test]
fn a_woken_worker_that_takes_something_else_is_replaced() {
    let server = Server::start(&["--threads", "2", "-w", "1", "--settle", "0"]);
    let (first, second) = (name_on(0, 2), name_on(1, 2));
    let sleeper = |functions: &[&String]| {
        let mut worker = server.connect();
        for function in functions {
            worker.write_all(&request(CAN_DO, function.as_bytes())).unwrap();
        }
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, NO_JOB);
        worker.write_all(&request(PRE_SLEEP, b"")).unwrap();
        // Every shard is asked behind it.
        worker.write_all(&request(GET_STATUS_UNIQUE, b"none")).unwrap();
        assert_eq!(read_packet(&mut worker).0, STATUS_RES_UNIQUE);
        worker
    };
    let mut generalist = sleeper(&[&second, &first]);
    let mut specialist = sleeper(&[&second]);
    let mut client = server.connect();
    for function in [&second, &first] {
        client.write_all(&request(SUBMIT_JOB_BG, &arguments(&[function.as_bytes(), b"", b"x"]))).unwrap();
        assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    }
    assert_eq!(read_packet(&mut generalist).0, NOOP);
    generalist.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (mut packet, mut data) = read_packet(&mut generalist);
    while packet == NOOP {
        (packet, data) = read_packet(&mut generalist);
    }
    assert_eq!(packet, JOB_ASSIGN);
    assert!(
        data.windows(first.len()).any(|part| part == first.as_bytes()),
        "registered last, so taken first"
    );
    assert_eq!(read_packet(&mut specialist).0, NOOP, "somebody is told of the job that is left");
}

/// B1. Reports that nobody reads are not made: neither their bytes nor their rows wait anywhere.
#[test]
fn a_thousand_reports_on_many_jobs_that_nobody_reads() {
    const JOBS: usize = 20_000;
    let server = Server::start(&["--threads", "2"]);
    let mut client = server.connect();
    let jobs = many(JOBS, |number| {
        let function = format!("f{}", number % 64);
        request(SUBMIT_JOB_BG, &arguments(&[function.as_bytes(), format!("u{number}").as_bytes(), b"x"]))
    });
    exchange(&mut client, &jobs, JOBS);
    let before = server.memory_peak();
    let bystander = Bystander::start(&server);
    let mut admins: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
    for admin in &mut admins {
        admin.write_all("show jobs\nstatus\nshow unique jobs\njobs\n".repeat(250).as_bytes()).unwrap();
    }
    // Each thousand of them would be hundreds of megabytes.
    thread::sleep(Duration::from_secs(2));
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
    let grown = server.memory_peak() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
    // Whoever reads gets them, whole.
    let mut reader = server.connect();
    assert_eq!(ask(&mut reader, "show jobs\n").lines().count(), JOBS + 1);
}

/// B2. A MASS_DO of four million names is answered once, and costs little.
#[test]
fn a_mass_do_of_millions_of_names() {
    let server = Server::start(&["--threads", "1"]);
    let bystander = Bystander::start(&server);
    let mut worker = server.connect();
    worker.write_all(&request(MASS_DO, &b"a\0".repeat(4 << 20))).unwrap();
    worker.write_all(&request(ECHO_REQ, b"after")).unwrap();
    let mut answers = 0;
    while read_packet(&mut worker).0 != ECHO_RES {
        answers += 1;
    }
    assert!(answers <= 1, "{answers} answers");
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
    // The packet itself, twice while it grows.
    assert!(server.memory_peak() < BASE + (32 << 20), "{} bytes", server.memory_peak());
}

/// B3. A look at a unique does not depend on how many functions there are.
#[test]
fn a_thousand_looks_at_uniques_beside_many_functions() {
    let server = Server::start(&["--threads", "2"]);
    let mut worker = server.connect();
    let can_do = many(50_000, |number| request(CAN_DO, format!("f{number}").as_bytes()));
    exchange(&mut worker, &[can_do, request(ECHO_REQ, b"")].concat(), 1);
    let bystander = Bystander::start(&server);
    let mut client = server.connect();
    let looks = request(GET_STATUS_UNIQUE, b"zz").repeat(1000);
    let answers = exchange(&mut client, &looks, 1000);
    assert!(answers.iter().all(|&packet| packet == STATUS_RES_UNIQUE));
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
}

/// B4. Jobs that time out together are given back in parts.
#[test]
fn many_jobs_of_one_worker_time_out_together() {
    const JOBS: usize = 30_000;
    let server = Server::start(&["--threads", "1"]);
    let mut client = server.connect();
    let job = request(SUBMIT_JOB_BG, &arguments(&[b"f", b"", b"x"]));
    exchange(&mut client, &job.repeat(JOBS), JOBS);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO_TIMEOUT, &arguments(&[b"f", b"4000"]))).unwrap();
    exchange(&mut worker, &request(GRAB_JOB, b"").repeat(JOBS), JOBS);
    let bystander = Bystander::start(&server);
    wait_until("all have timed out", || server.counter("jobs_timed_out") >= JOBS as u64);
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
}

/// B5. A client leaves a job that it had joined many times, among others.
#[test]
fn a_client_leaves_that_had_joined_a_job_many_times() {
    const TIMES: usize = 20_000;
    let server = Server::start(&["--threads", "1"]);
    let submit = request(SUBMIT_JOB, &arguments(&[b"f", b"same", b"x"])).repeat(TIMES);
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        let answers = exchange(client, &submit, TIMES);
        assert!(answers.iter().all(|&packet| packet == JOB_CREATED));
    }
    let bystander = Bystander::start(&server);
    let [stays, leaves] = clients;
    drop(leaves);
    wait_until("it is gone", || server.counter("sessions") == 4);
    bystander.is_served();
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
    drop(stays);
}

/// B6. One grab beside very many jobs that their clients have abandoned.
#[test]
fn a_grab_beside_thousands_of_abandoned_jobs() {
    const FUNCTIONS: usize = 20_000;
    let server = Server::start(&["--threads", "1"]);
    let mut worker = server.connect();
    let can_do = many(FUNCTIONS, |number| request(CAN_DO, format!("f{number}").as_bytes()));
    exchange(&mut worker, &[can_do, request(ECHO_REQ, b"")].concat(), 1);
    let mut client = server.connect();
    let jobs = many(FUNCTIONS / 2, |number| {
        request(SUBMIT_JOB, &arguments(&[format!("f{number}").as_bytes(), b"", b"x"]))
    });
    exchange(&mut client, &jobs, FUNCTIONS / 2);
    drop(client);
    wait_until("it is gone", || server.counter("sessions") == 2);
    let bystander = Bystander::start(&server);
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, NO_JOB);
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
}

/// B7. What a worker with very many abilities says costs no more than what another says.
#[test]
fn a_worker_with_many_abilities_says_little() {
    let server = Server::start(&["--threads", "1"]);
    let mut worker = server.connect();
    let can_do = many(50_000, |number| request(CAN_DO, format!("f{number}").as_bytes()));
    exchange(&mut worker, &[can_do, request(ECHO_REQ, b"")].concat(), 1);
    let bystander = Bystander::start(&server);
    let words = [
        request(CANT_DO, b"no").repeat(4000),
        request(PRE_SLEEP, b"").repeat(4000),
        [request(CANT_DO, b"f7"), request(CAN_DO, b"f7")].concat().repeat(2000),
        request(ECHO_REQ, b""),
    ];
    exchange(&mut worker, &words.concat(), 1);
    assert!(bystander.worst() < WORST, "{:?}", bystander.worst());
    bystander.finish();
}

/// C1. PRE_SLEEP without end leaves nothing behind.
#[test]
fn a_worker_that_falls_asleep_without_end() {
    let server = Server::start(&["--threads", "1"]);
    let bystander = Bystander::start(&server);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    let sleeps = request(PRE_SLEEP, b"").repeat(10_000);
    for _ in 0..100 {
        worker.write_all(&sleeps).unwrap();
    }
    echo(&mut worker, b"a million times");
    bystander.finish();
    assert!(server.memory_peak() < BASE, "{} bytes", server.memory_peak());
}
