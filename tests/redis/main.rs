//! The Redis store with a real Redis, by itself, under Debian's gearmand in turn, and under a whole server. What needs no server is
//! tested beside its source.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod covered;
mod takeover;

use ringgear::engine::slot::Slot;
use ringgear::engine::{Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::redis::{self, RedisOptions};
use ringgear::store::{Store, StoreError, record};
use rustix::process::Signal;
use std::cell::RefCell;
use std::io::Write;
use std::net::TcpStream;
use support::caches::CacheServer;
use support::gearmand::Server as Gearmand;
use support::packets::*;
use support::scenarios::*;
use support::scratch::Scratch;
use support::server::{echo, free_address, read_packet, request, run_to_end, wait_until};
use support::stores::*;

/// One that keeps what it acknowledges.
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

fn options(server: &CacheServer) -> RedisOptions {
    RedisOptions { port: server.port().parse().unwrap(), ..RedisOptions::default() }
}

#[track_caller]
fn open(server: &CacheServer) -> Box<dyn Store> {
    redis::open(options(server)).unwrap_or_else(|error| panic!("{error}"))
}

/// How many keys there are that are about jobs.
fn left(server: &CacheServer) -> String {
    let about_servers = ["numbers", "server:", "servers"].map(|name| format!("ringgear:{{_gear_}}:{name}"));
    let keys = server.cli(&["KEYS", "*"]);
    let about_jobs = |key: &&str| !key.is_empty() && !about_servers.iter().any(|name| key.starts_with(name));
    keys.lines().filter(about_jobs).count().to_string()
}

fn words(server: &CacheServer) -> Vec<String> {
    let port = server.port();
    ["-q", "redis", "--redis-server", "127.0.0.1", "--redis-port", &port, "--server-name", "one"]
        .map(str::to_owned)
        .to_vec()
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn what_is_put_comes_back_as_it_was() {
    let server = CacheServer::redis(DURABLE);
    let jobs = odd_jobs();
    let mut store = open(&server);
    assert_eq!(replayed(&mut *store), []);
    put(&mut *store, &jobs);
    store.close().unwrap();
    let mut store = open(&server);
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs)));
    // The same again, as after a commit that nobody answered.
    put(&mut *store, &jobs);
    store.close().unwrap();
    let mut store = open(&server);
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs)));
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    done(&mut *store, &ids[..10]);
    store.close().unwrap();
    let mut store = open(&server);
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&jobs[10..])));
    done(&mut *store, &ids);
    store.close().unwrap();
    assert_eq!(left(&server), "0");
}

/// Several pages are asked for at once, and some of what is asked for finds no room in its page.
#[test]
fn many_jobs_and_large_ones_come_back_each_once_and_in_order() {
    let server = CacheServer::redis(DURABLE);
    let large = vec![b'x'; 3 << 20];
    let uniques: Vec<String> = (0..5_000).map(|number| format!("u{number}")).collect();
    let workload = |number: usize| match number % 700 {
        13..16 => &large[..],
        _ => uniques[number].as_bytes(),
    };
    let jobs: Vec<StoredJob> = (0..5_000)
        .map(|number| StoredJob {
            workload: workload(number),
            ..job(number as u64 + 1, uniques[number].as_bytes(), b"")
        })
        .collect();
    let mut store = open(&server);
    assert_eq!(replayed(&mut *store), []);
    jobs.chunks(500).for_each(|some| put(&mut *store, some));
    store.close().unwrap();
    let mut store = open(&server);
    assert!(replayed(&mut *store) == expected(&jobs), "each once, in order");
    store.close().unwrap();
}

#[test]
fn what_happens_to_a_job_is_kept() {
    let server = CacheServer::redis(DURABLE);
    let mut store = open(&server);
    replayed(&mut *store);
    let odd = job_of(b"a-b", 4, b"u", b"odd");
    put(&mut *store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), job(3, b"c", b"3"), odd]);
    let mut batch = Vec::new();
    record::put(&dead(1, b"a", b"1"), &mut batch);
    record::put(&job(5, b"a", b"5"), &mut batch);
    record::attempts(job(2, b"", b"").id, 2, &mut batch);
    record::attempts(odd.id, 7, &mut batch);
    record::put(&StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") }, &mut batch);
    record::attempts(job(7, b"", b"").id, 2, &mut batch);
    commit(&mut *store, &batch);
    store.close().unwrap();
    let now = [
        StoredJob { attempts: 2, ..job(2, b"b", b"2") },
        StoredJob { priority: Priority::Low, ..job(3, b"c", b"3") },
        job(5, b"a", b"5"),
        dead(1, b"a", b"1"),
        StoredJob { attempts: 7, ..odd },
    ];
    let mut store = open(&server);
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&now)));
    // The dead one lives again, beside the one that has its unique.
    put(&mut *store, &[job(1, b"a", b"1")]);
    store.close().unwrap();
    let mut store = open(&server);
    let now = [job(1, b"a", b"1"), now[0], now[1], now[2], now[4]];
    assert_eq!(sorted(replayed(&mut *store)), sorted(expected(&now)));
    done(&mut *store, &now.map(|job| job.id));
    store.close().unwrap();
    assert_eq!(left(&server), "0");
}

#[test]
fn histories_come_back() {
    let server = CacheServer::redis(DURABLE);
    for seed in 1..=8 {
        let place = HistoryPlace {
            open: &|| open(&server),
            cut: &|| _ = server.cli(&["CLIENT", "KILL", "TYPE", "normal"]),
            lose: &|| {
                let script = "local all = redis.call('HGETALL', KEYS[1]) for at = 1, #all, 6 do \
                              redis.call('DEL', all[at + 1]) redis.call('HDEL', KEYS[1], all[at]) end redis.call('DEL', KEYS[2])";
                server.cli(&["EVAL", script, "2", "ringgear:{_gear_}:owned:0", "ringgear:{_gear_}:dead"]);
            },
            left: &|| left(&server),
        };
        history(seed, &place);
    }
}

/// Debian's gearmand on this Redis.
#[track_caller]
fn gearmand(server: &CacheServer) -> Gearmand {
    let port = server.port();
    let options = ["-q", "redis", "--redis-server", "127.0.0.1", "--redis-port", &port];
    support::queues::start("Redis", options[2], &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Submits a background job: what is answered.
#[track_caller]
fn send(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) -> u32 {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    read_packet(stream).0
}

#[test]
fn what_gearmand_has_stored_is_replayed() {
    let server = CacheServer::redis(DURABLE);
    let mut theirs = gearmand(&server);
    let mut client = support::queues::connect(&mut theirs);
    let (binary, k64) = (b"\0\x01\xff bin\0", [b'k'; 64]);
    let jobs: [(u32, &[&[u8]]); 8] = [
        (SUBMIT_JOB_BG, &[b"rev", b"u1", b"hello"]),
        (SUBMIT_JOB_HIGH_BG, &[b"rev", b"u2", binary]),
        (SUBMIT_JOB_LOW_BG, &[b"rev", b"u3", b""]),
        (SUBMIT_JOB_BG, &[b"rev", b"", b"nounique"]),
        (SUBMIT_JOB_BG, &[b"rev", b"-", b"dash"]),
        (SUBMIT_JOB_BG, &[b"my-func", b"x", b"dashes"]),
        (SUBMIT_JOB_BG, &[b"rev", b"a*b", b"star"]),
        (SUBMIT_JOB_BG, &[b"rev", &k64, b"64"]),
    ];
    for (number, arguments) in jobs {
        assert_eq!(send(&mut client, number, arguments), JOB_CREATED, "{arguments:?}");
    }
    assert_eq!(send(&mut client, SUBMIT_JOB_EPOCH, &[b"rev", b"e", b"2000000000", b"w"]), ERROR);
    drop(client);
    support::queues::stop(theirs);
    assert_eq!(server.cli(&["HGETALL", "_gear_-rev-u1"]), "data\nhello\npriority\n1");
    // A key of gearmand 1.1.15, one of a later one, and what is none of a job.
    server.cli(&["SET", "_gear_-rev-old", "old string"]);
    server.cli(&["HSET", "_gear_-a-new", "data", "four", "priority", "2", "function", "a", "unique", "new"]);
    server.cli(&["ZADD", "_gear_-rev-sorted", "1", "x"]);
    server.cli(&["SET", "_gear_none", "x"]);

    let mut store = open(&server);
    let mut told = replayed(&mut *store);
    told.sort_by(|one, other| one.unique.cmp(&other.unique));
    let short: Vec<_> = told
        .iter()
        .map(|job| (&job.function[..], &job.unique[..], job.priority, &job.workload[..]))
        .collect();
    let normal = |function: &'static [u8], unique, workload| (function, unique, Priority::Normal, workload);
    assert_eq!(
        short,
        [
            normal(b"rev", &b""[..], &b"nounique"[..]),
            normal(b"rev", b"-", b"dash"),
            normal(b"rev", b"a*b", b"star"),
            // As gearmand reads it: it keeps no more.
            normal(b"my", b"func-x", b"dashes"),
            normal(b"rev", &k64[..63], b"64"),
            (b"a", b"new", Priority::Low, b"four"),
            normal(b"rev", b"old", b"old string"),
            normal(b"rev", b"u1", b"hello"),
            (b"rev", b"u2", Priority::High, binary),
            (b"rev", b"u3", Priority::Low, b""),
        ]
    );
    // Numbers stay, and ends are found, also of what gearmand never deletes.
    let ids: Vec<JobId> = told.iter().map(|job| job.id).collect();
    store.close().unwrap();
    let mut store = open(&server);
    let mut again: Vec<JobId> = replayed(&mut *store).iter().map(|job| job.id).collect();
    again.sort();
    assert_eq!(again, {
        let mut sorted = ids.clone();
        sorted.sort();
        sorted
    });
    done(&mut *store, &ids);
    store.close().unwrap();
    assert_eq!(left(&server), "2", "{}", server.cli(&["KEYS", "*"]));
}

#[test]
fn what_ours_has_stored_gearmand_runs_once() {
    let server = CacheServer::redis(DURABLE);
    let generated = |sequence, tail| {
        format!("ringgear:{}:{tail}", JobId::new(sequence, Slot::of(b"f")).number()).into_bytes()
    };
    let long = [b'u'; 64];
    let jobs = [
        (job(1, b"first", b"1"), b"first".to_vec()),
        (StoredJob { priority: Priority::High, ..job(3, b"high", b"3") }, b"high".to_vec()),
        (job(4, b"", b"4"), generated(4, 'e')),
        (job(5, b"", b"5"), generated(5, 'e')),
        (job(6, b"-", b"6"), generated(6, 'd')),
        (job(7, b"no workload", b""), b"no workload".to_vec()),
        (job(8, &long, b"8"), long[..63].to_vec()),
        (StoredJob { reducer: Some(b"sum"), ..job(9, b"reduce", b"9") }, b"reduce".to_vec()),
        (StoredJob { attempts: 2, ..job(10, b"tried", b"\xff") }, b"tried".to_vec()),
        (job(11, b"a*", b"11"), generated(11, 'x')),
    ];
    let mut store = open(&server);
    replayed(&mut *store);
    put(&mut *store, &jobs.iter().map(|(job, _)| *job).collect::<Vec<_>>());
    let later = StoredJob { epoch: Some(Epoch::from_seconds(2_000_000_000)), ..job(20, b"later", b"l") };
    put(&mut *store, &[dead(21, b"dead", b"21"), later, job_of(b"my-func", 22, b"x", b"22")]);
    store.close().unwrap();
    // Byte for byte what gearmand would have written.
    assert_eq!(server.cli(&["HGETALL", "_gear_-f-high"]), "data\n3\npriority\n0");

    let mut theirs = gearmand(&server);
    let mut worked = support::queues::work_off(&mut theirs, b"f");
    worked.sort();
    let mut wanted: Vec<_> =
        jobs.iter().map(|(job, unique)| (unique.clone(), job.workload.to_vec())).collect();
    wanted.sort();
    assert_eq!(worked, wanted);
    let mut client = support::queues::connect(&mut theirs);
    assert_eq!(send(&mut client, SUBMIT_JOB_BG, &[b"f", b"tried", b"again"]), JOB_CREATED);
    drop(client);
    support::queues::stop(theirs);
    let mut left: Vec<_> = replayed(&mut *open(&server))
        .into_iter()
        .map(|job| (job.unique, job.workload, job.attempts, job.death.is_some()))
        .collect();
    left.sort();
    let row =
        |unique: &[u8], workload: &[u8], attempts, dead| (unique.to_vec(), workload.to_vec(), attempts, dead);
    // What is known of an ended job is not about the one that has its key now.
    assert_eq!(
        left,
        [
            row(b"dead", b"21", 3, true),
            row(b"later", b"l", 0, false),
            row(b"tried", b"again", 0, false),
            row(b"x", b"22", 0, false)
        ]
    );
}

#[test]
fn jobs_outlive_the_server_and_a_crash_of_it() {
    let server = CacheServer::redis(DURABLE);
    for signal in [Signal::TERM, Signal::KILL] {
        outlive(&as_words(&words(&server)), signal);
        assert_eq!(left(&server), "0");
    }
}

#[test]
fn while_redis_is_away_background_jobs_are_refused_and_nothing_else_waits() {
    let server = RefCell::new(CacheServer::redis(DURABLE));
    let words = words(&server.borrow());
    away(
        &as_words(&words),
        &mut || server.borrow_mut().stop(),
        &mut || server.borrow_mut().launch(),
        &|| server.borrow().cli(&["KEYS", "_gear_*"]) == "_gear_-f-after",
    );
}

#[test]
fn what_was_acknowledged_survives_whatever_happens_to_redis() {
    let mut server = CacheServer::redis(DURABLE);
    let words = words(&server);
    ledger(&as_words(&words), &mut |round| match round % 15 {
        7 => {
            server.stop();
            server.launch();
        }
        _ => _ = server.cli(&["CLIENT", "KILL", "TYPE", "normal"]),
    });
    wait_until("all ends are written", || left(&server) == "0");
}

#[test]
fn a_full_redis_refuses_jobs_and_hears_of_ends() {
    let server =
        CacheServer::redis(&["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "4mb"]);
    let mut store = open(&server);
    replayed(&mut *store);
    let large = vec![7; 500_000];
    let mut kept = Vec::new();
    let refusal = loop {
        let job = job(kept.len() as u64 + 1, b"", &large);
        let mut batch = Vec::new();
        record::put(&job, &mut batch);
        match store.commit(&[&batch]).puts {
            Ok(()) => kept.push(job.id),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "it is not full");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal:?}");
    done(&mut *store, &kept);
    put(&mut *store, &[job(1000, b"small", b"w")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut *open(&server)), expected(&[job(1000, b"small", b"w")]));
}

/// What the server says when it does not start with these options.
#[track_caller]
fn said(options: &[&str]) -> String {
    let words: Vec<&str> =
        ["-t", "1", "-q", "redis", "--store-wait", "0"].iter().chain(options).copied().collect();
    let ended = run_to_end(&[], free_address(), &words);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(!said.contains("listening on"), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part} is not said: {said}");
    }
}

#[test]
fn what_an_operator_must_mend_is_said() {
    let nobody = free_address().port().to_string();
    assert_says(
        &said(&["--redis-port", &nobody]),
        &["Redis at 127.0.0.1:", " cannot be reached: ", "refused"],
    );

    let server = CacheServer::redis(&["--requirepass", "right"]);
    let port = server.port();
    let refused = "does not let this server keep jobs there: ";
    assert_says(&said(&["--redis-port", &port]), &[refused, "NOAUTH"]);
    assert_says(&said(&["--redis-port", &port, "--redis-password", "wrong"]), &[refused]);
    let line = said(&["--redis-port", &port, "--redis-password", "right", "--durability", "synced"]);
    assert_says(
        &line,
        &["--durability synced cannot be kept: appendonly is no there", "CONFIG SET appendonly yes"],
    );
    let mut ours = serve(&["-q", "Redis", "--redis-port", &port, "--redis-password", "right"]);
    echo(&mut ours.connect(), b"it serves");
    ours.signal(Signal::TERM);
    assert!(ours.wait().success());
    assert_says(&ours.log(), &["the store: appendonly is no there, so a crash or a restart of Redis loses"]);

    let server = CacheServer::redis(&["--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"]);
    let line = said(&["--redis-port", &server.port()]);
    assert_says(&line, &["it evicts keys when its memory is full", "CONFIG SET maxmemory-policy noeviction"]);

    let primary = CacheServer::redis(DURABLE);
    let replica = CacheServer::redis(&["--replicaof", "127.0.0.1", &primary.port()]);
    assert_says(
        &said(&["--redis-port", &replica.port()]),
        &["it is a replica, where nothing can be written; name the primary"],
    );

    let everysec = CacheServer::redis(&["--appendonly", "yes"]);
    let line = said(&["--redis-port", &everysec.port(), "--durability", "synced"]);
    assert_says(&line, &["appendfsync is everysec there", "CONFIG SET appendfsync always"]);
    let mut ours = serve(&["-q", "redis", "--redis-port", &everysec.port(), "--durability", "written"]);
    echo(&mut ours.connect(), b"it serves");
    ours.signal(Signal::TERM);
    assert!(ours.wait().success());
    assert!(!ours.log().contains("the store: "), "{}", ours.log());
}

#[test]
fn jobs_are_copied_out_of_it_and_into_it() {
    let server = CacheServer::redis(DURABLE);
    let folder = Scratch::new();
    let store_tool = |words: &[&str]| {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_ringgear"))
            .arg("store")
            .args(words)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
    };
    let jobs = odd_jobs();
    let mut store = open(&server);
    replayed(&mut *store);
    put(&mut *store, &jobs);
    store.close().unwrap();
    let (log, port) = (folder.path("log"), server.port());
    let uri = format!("redis://127.0.0.1:{port}/_gear_");
    let said = store_tool(&["export", &uri, "--data-dir", &log]).unwrap();
    assert!(said.starts_with(&format!("{} jobs exported, 1 of them dead\n", jobs.len())), "{said}");
    let other = ["--redis-server", "127.0.0.1", "--redis-port", &port, "--redis-prefix", "copy"];
    store_tool(&[&["export", &log], &other[..]].concat()).unwrap();
    let copy = || redis::open(RedisOptions { prefix: "copy".to_owned(), ..options(&server) }).unwrap();
    let told = |store: &mut dyn Store| {
        let mut told: Vec<_> = replayed(store)
            .into_iter()
            .map(|job| (job.function, job.unique, job.workload, job.epoch))
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&mut *copy()), told(&mut *open(&server)));
    let refused = store_tool(&[&["export", &log], &other[..]].concat()).unwrap_err();
    assert!(refused.contains("Redis 127.0.0.1, prefix copy, has 32 jobs already"), "{refused}");
    let refused = store_tool(&["import", "--data-dir", &log, "mongodb://h/d"]).unwrap_err();
    assert!(refused.contains("no gearmand ever kept jobs in MongoDB"), "{refused}");
    // Tokyo Cabinet's list.
    std::fs::write(folder.file("list"), "41 2d 75 31\t41 00 75 31 00 31 30 00 64 31\n").unwrap();
    let said = store_tool(&["import", "--tchmgr-list", &folder.path("list"), &uri]).unwrap();
    assert!(said.starts_with("1 jobs imported, 0 of them dead\n"), "{said}");
    assert_eq!(server.cli(&["HGET", "_gear_-A-u1", "data"]), "d1");
}

#[test]
fn a_commit_that_nobody_answered_is_made_again_and_is_there_once() {
    let server = CacheServer::redis(DURABLE);
    let proxy = support::proxy::Proxy::before(server.port().parse().unwrap());
    let open = || redis::open(RedisOptions { port: proxy.port, ..options(&server) }).unwrap();
    unanswered(&open, &proxy);
    assert_eq!(server.cli(&["KEYS", "_gear_*:x"]), "");
}
