//! The memcached store with real memcacheds, by itself, under Debian's gearmand in turn, and under a whole server.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use ringgear::engine::{JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::memcached::{self, MemcachedOptions};
use ringgear::store::{Store, StoreError, record};
use rustix::process::Signal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use support::caches::CacheServer;
use support::gearmand::Server as Gearmand;
use support::kept::Kept;
use support::packets::*;
use support::scenarios::*;
use support::server::{echo, free_address, read_packet, request, run_to_end};
use support::stores::*;

/// Two servers.
fn two() -> [CacheServer; 2] {
    [CacheServer::memcached(&[]), CacheServer::memcached(&[])]
}

fn places(servers: &[CacheServer]) -> String {
    let places: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    places.join(",")
}

#[track_caller]
fn open(servers: &[CacheServer]) -> Box<dyn Store> {
    memcached::open(MemcachedOptions::of(places(servers), None)).unwrap_or_else(|error| panic!("{error}"))
}

/// How many items they have.
fn left(servers: &[CacheServer]) -> u32 {
    servers.iter().map(|server| server.items().parse::<u32>().unwrap()).sum()
}

/// What counts of a job whose number is not kept.
fn told(jobs: Vec<Kept>) -> Vec<Kept> {
    let mut jobs: Vec<Kept> =
        jobs.into_iter().map(|job| Kept { id: JobId::from_number(1 << 20).unwrap(), ..job }).collect();
    jobs.sort_by(|one, other| {
        (&one.function, &one.unique, &one.workload).cmp(&(&other.function, &other.unique, &other.workload))
    });
    jobs
}

#[test]
fn what_is_put_comes_back_as_it_was() {
    let servers = two();
    let jobs = odd_jobs();
    let mut store = open(&servers);
    assert_eq!(replayed(&mut *store), []);
    put(&mut *store, &jobs);
    // The same again, as after a commit that nobody answered.
    put(&mut *store, &jobs);
    assert_eq!(left(&servers), jobs.len() as u32);
    let mut batch = Vec::new();
    record::attempts(jobs[0].id, 3, &mut batch);
    record::attempts(jobs[14].id, 5, &mut batch);
    commit(&mut *store, &batch);
    store.close().unwrap();
    let mut jobs = jobs;
    (jobs[0].attempts, jobs[14].attempts) = (3, 5);
    let mut store = open(&servers);
    let all = replayed(&mut *store);
    assert_eq!(told(all.clone()), told(expected(&jobs)));
    // What the items of gearmand do not tell is kept with its number.
    assert!(all.iter().any(|job| job.id == jobs[0].id && job.attempts == 3));
    done(&mut *store, &all.iter().map(|job| job.id).collect::<Vec<_>>());
    assert_eq!(left(&servers), 0);
}

#[test]
fn what_is_too_large_is_refused_alone() {
    let servers = [CacheServer::memcached(&[])];
    let mut store = open(&servers);
    replayed(&mut *store);
    let large = vec![7; 1 << 20];
    let mut batch = Vec::new();
    record::put(&job(1, b"large", &large), &mut batch);
    let refusal = store.commit(&[&batch]).puts.unwrap_err();
    assert!(matches!(refusal, StoreError::Unfit { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("start memcached with a larger -I"), "{refusal}");
    assert!(store.alone() < large.len());
    put(&mut *store, &[job(2, b"small", &large[..900_000])]);
    assert_eq!(left(&servers), 1);
}

#[test]
fn what_a_restart_has_lost_is_put_again() {
    let mut servers = [CacheServer::memcached(&[])];
    let mut store = open(&servers);
    replayed(&mut *store);
    let uniques: Vec<String> = (0..3000).map(|number| format!("unique {number}")).collect();
    let mut jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w")).collect();
    jobs.push(job(5000, b"u", b"w"));
    put(&mut *store, &jobs);
    done(&mut *store, &[jobs[0].id]);
    servers[0].stop();
    servers[0].launch();
    let model: BTreeMap<JobId, Kept> = jobs[1..].iter().map(|job| (job.id, Kept::of(job))).collect();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(settle(&mut *store, &model), 3000);
    assert_eq!(store.repaired().pieces, 1);
    assert_eq!(left(&servers), 3000);
    // All of them are listed, however new.
    store.close().unwrap();
    assert_eq!(replayed(&mut *open(&servers)).len(), 3000);
}

/// Debian's gearmand on these servers.
#[track_caller]
fn gearmand(servers: &[CacheServer]) -> Gearmand {
    let places = places(servers);
    let options = ["-q", "libmemcached", "--libmemcached-servers", &places];
    support::queues::start("memcached", options[2], &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Submits a background job: what is answered.
#[track_caller]
fn send(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) -> u32 {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    read_packet(stream).0
}

#[test]
fn what_gearmand_has_stored_is_replayed() {
    let servers = two();
    let mut theirs = gearmand(&servers);
    let mut client = support::queues::connect(&mut theirs);
    let binary = b"\0\x01\xff bin\0";
    let jobs: [(u32, &[&[u8]]); 6] = [
        (SUBMIT_JOB_BG, &[b"rev", b"u1", b"hello"]),
        (SUBMIT_JOB_HIGH_BG, &[b"rev", b"u2", binary]),
        (SUBMIT_JOB_LOW_BG, &[b"rev", b"u3", b""]),
        (SUBMIT_JOB_BG, &[b"rev", b"", b"nounique"]),
        (SUBMIT_JOB_BG, &[b"rev", b"-", b"dash"]),
        (SUBMIT_JOB_BG, &[b"rev", "\u{e9}t\u{e9}".as_bytes(), b"utf8"]),
    ];
    for (number, arguments) in jobs {
        assert_eq!(send(&mut client, number, arguments), JOB_CREATED, "{arguments:?}");
    }
    drop(client);
    support::queues::stop(theirs);
    let mut store = open(&servers);
    let mut all = replayed(&mut *store);
    all.sort_by(|one, other| one.unique.cmp(&other.unique));
    let short: Vec<_> = all.iter().map(|job| (&job.unique[..], job.priority, &job.workload[..])).collect();
    let normal = |unique, workload| (unique, Priority::Normal, workload);
    assert_eq!(
        short,
        [
            normal(&b""[..], &b"nounique"[..]),
            normal(b"-", b"dash"),
            normal(b"u1", b"hello"),
            (b"u2", Priority::High, binary),
            (b"u3", Priority::Low, b""),
            normal("\u{e9}t\u{e9}".as_bytes(), b"utf8"),
        ]
    );
    done(&mut *store, &all.iter().map(|job| job.id).collect::<Vec<_>>());
    assert_eq!(left(&servers), 0);
}

#[test]
fn what_ours_has_stored_gearmand_runs_once() {
    let servers = two();
    let uniques: Vec<String> = (0..40).map(|number| format!("u{number}")).collect();
    let jobs: Vec<StoredJob<'_>> =
        (1..).zip(&uniques).map(|(sequence, unique)| job(sequence, unique.as_bytes(), b"w\0w")).collect();
    let mut store = open(&servers);
    replayed(&mut *store);
    put(&mut *store, &jobs);
    put(&mut *store, &[dead(100, b"dead", b"d"), job(101, b"", b"none")]);
    store.close().unwrap();
    // gearmand lists what has aged a little, and deletes keys at the servers where it would have put them.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let mut theirs = gearmand(&servers);
    let mut worked: Vec<Vec<u8>> =
        support::queues::work_off(&mut theirs, b"f").into_iter().map(|(unique, _)| unique).collect();
    worked.sort();
    let mut wanted: Vec<Vec<u8>> = uniques.iter().map(|unique| unique.as_bytes().to_vec()).collect();
    wanted.sort();
    assert_eq!(worked, wanted);
    support::queues::stop(theirs);
    assert_eq!(left(&servers), 2);
    assert_eq!(replayed(&mut *open(&servers)).len(), 2);
}

#[test]
fn jobs_outlive_the_server_but_not_memcached() {
    let server = RefCell::new([CacheServer::memcached(&[])]);
    let places = places(&*server.borrow());
    let options = ["-q", "libmemcached", "--libmemcached-servers", &places];
    for signal in [Signal::TERM, Signal::KILL] {
        let mut ours = serve(&options);
        let mut client = ours.connect();
        for number in 0..50 {
            let unique = format!("u{number}");
            assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", unique.as_bytes(), b"w"]).0, JOB_CREATED);
        }
        ours.signal(signal);
        ours.wait();
        assert!(ours.log().contains("keeps jobs in memory only: they are lost when it "), "{}", ours.log());
        let mut ours = serve(&options);
        assert_eq!(work_off(&ours, b"f").len(), 50);
        ours.signal(Signal::TERM);
        assert!(ours.wait().success());
        assert_eq!(left(&*server.borrow()), 0);
    }
    away(&options, &mut || server.borrow_mut()[0].stop(), &mut || server.borrow_mut()[0].launch(), &|| {
        left(&*server.borrow()) == 1
    });
}

#[test]
fn what_an_operator_must_mend_is_said() {
    let said = |options: &[&str]| {
        let words: Vec<&str> = ["-t", "1", "-q", "memcached"].iter().chain(options).copied().collect();
        let ended = run_to_end(&[], free_address(), &words);
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    let line = said(&[]);
    assert!(line.contains("name them with --libmemcached-servers HOST:PORT"), "{line}");
    let line = said(&["--libmemcached-servers", "h", "--durability", "synced"]);
    assert!(line.contains("--durability synced cannot be kept by -q libmemcached"), "{line}");
    let nobody = free_address().to_string();
    let line = said(&["--libmemcached-servers", &nobody, "--store-wait", "0"]);
    assert!(line.contains("memcached at 127.0.0.1:") && line.contains(" cannot be reached: "), "{line}");
    let unlisted = CacheServer::memcached(&["-o", "no_lru_crawler"]);
    let place = format!("127.0.0.1:{}", unlisted.port());
    let line = said(&["--libmemcached-servers", &place, "--store-wait", "0"]);
    assert!(line.contains("it does not list its keys (lru_crawler metadump"), "{line}");
    let servers = two();
    let mut ours = serve(&["-q", "libmemcached", "--libmemcached-servers", &places(&servers)]);
    echo(&mut ours.connect(), b"it serves");
    ours.signal(Signal::TERM);
    assert!(ours.wait().success());
}
