//! What several servers on one store are to stand, whatever the store: who dies is taken over, who was thought dead adds nothing any more,
//! nothing that was acknowledged is lost, and an application may enqueue by itself. Whole servers, killed and stopped as they are. What
//! is peculiar to a store is in its own tests.
use super::packets::*;
use super::server::{Server, ask, echo, free_address, read_packet, request, run_to_end, wait_until};
use rustix::process::Signal;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const GET_STATUS: u32 = 15;
const STATUS_RES: u32 = 20;

/// A store that servers share.
pub(crate) struct SharedPlace<'p> {
    /// The options that name it.
    pub(crate) options: &'p [&'p str],
    /// Whether it has no job.
    pub(crate) is_empty: &'p dyn Fn() -> bool,
}

impl SharedPlace<'_> {
    /// A server of this name, which others take over after so many seconds.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, after: &str) -> Server {
        let how = ["-t", "2", "--verbose", "NOTICE", "--server-name", name, "--take-over-after", after];
        Server::start(&[self.options, &how].concat())
    }

    /// Two of them, which have seen each other.
    #[track_caller]
    fn pair(&self, after: &str) -> (Server, Server) {
        let (one, two) = (self.start("one", after), self.start("two", after));
        wait_until("they see each other", || {
            one.log().contains("shared with server two") && two.log().contains("shared with server one")
        });
        (one, two)
    }
}

pub(crate) fn submit(stream: &mut TcpStream, unique: &[u8], workload: &[u8]) -> (u32, Vec<u8>) {
    stream.write_all(&request(SUBMIT_JOB_BG, &[&b"f"[..], unique, workload].join(&0))).unwrap();
    read_packet(stream)
}

/// Puts jobs with these numbers as their uniques and workloads: their handles.
#[track_caller]
pub(crate) fn put_jobs(server: &Server, numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    let mut client = server.connect();
    numbers
        .map(|number| {
            let word = format!("w{number}");
            let (answer, handle) = submit(&mut client, word.as_bytes(), word.as_bytes());
            assert_eq!(answer, JOB_CREATED, "{}", String::from_utf8_lossy(&handle));
            handle
        })
        .collect()
}

/// One job of the function, if there is one: its handle and workload. It is not finished.
pub(crate) fn grab(stream: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>)> {
    stream.write_all(&request(GRAB_JOB, b"")).unwrap();
    let (number, data) = read_packet(stream);
    if number == NO_JOB {
        return None;
    }
    assert_eq!(number, JOB_ASSIGN);
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let handle = parts.next()?.to_vec();
    Some((handle, parts.nth(1)?.to_vec()))
}

pub(crate) fn worker(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request(CAN_DO, b"f")).unwrap();
    stream
}

pub(crate) fn finish(stream: &mut TcpStream, handle: &[u8]) {
    stream.write_all(&request(WORK_COMPLETE, &[handle, b"\0"].concat())).unwrap();
}

/// Works off until there have been so many jobs: their workloads, sorted.
#[track_caller]
pub(crate) fn work_off(server: &Server, jobs: usize) -> Vec<String> {
    let mut stream = worker(server);
    let mut done = Vec::new();
    wait_until("all jobs are there", || {
        while let Some((handle, workload)) = grab(&mut stream) {
            finish(&mut stream, &handle);
            done.push(String::from_utf8(workload).unwrap());
        }
        done.len() >= jobs
    });
    done.sort();
    done
}

pub(crate) fn words(numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut words: Vec<String> = numbers.map(|number| format!("w{number}")).collect();
    words.sort();
    words
}

pub(crate) fn queued(server: &Server) -> u64 {
    let status = ask(&mut server.connect(), "status\n");
    let line = status.lines().find(|line| line.starts_with("f\t"));
    line.and_then(|line| line.split('\t').nth(1)?.parse().ok()).unwrap_or(0)
}

/// Whether all threads of a process are stopped (proc_pid_stat(5): T).
pub(crate) fn stands_still(process: u32) -> bool {
    let state = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    std::fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .all(|thread| state(thread.unwrap()) == Some('T'))
}

/// A server that is killed is taken over in time, and its heir answers for its handles.
pub(crate) fn killed(place: &SharedPlace<'_>) {
    let (mut one, two) = place.pair("10");
    let handles = put_jobs(&one, 0..50);
    assert_eq!(queued(&two), 0, "jobs are where they were submitted");
    wait_until("both are shown", || {
        let shown = ask(&mut two.connect(), "show servers\n");
        shown.starts_with("two\t") && shown.contains("one\t") && shown.ends_with(".\n")
    });
    one.signal(Signal::KILL);
    one.wait();
    let begin = Instant::now();
    wait_until("they are taken over", || queued(&two) == 50);
    let took = begin.elapsed();
    println!("taken over after {took:?}");
    assert!(took > Duration::from_secs(7) && took < Duration::from_secs(12), "{took:?}");
    // The handle that the dead server has given is answered by its heir, as it was asked for.
    let mut client = two.connect();
    client.write_all(&request(GET_STATUS, &handles[7])).unwrap();
    let (number, data) = read_packet(&mut client);
    assert_eq!((number, data), (STATUS_RES, [&handles[7][..], b"\x001\x000\x000\x000"].concat()));
    assert_eq!(work_off(&two, 50), words(0..50));
    wait_until("no row is left", || (place.is_empty)());
    let shown = ask(&mut two.connect(), "show servers\n");
    assert!(shown.contains("taken over by two"), "{shown}");
    assert!(two.counter("jobs_taken_over") >= 50);
}

/// An orderly end hands over in a second or two, and a lone server keeps its own.
pub(crate) fn orderly_end(place: &SharedPlace<'_>) {
    let (mut one, mut two) = (place.start("one", "10"), place.start("two", "10"));
    put_jobs(&one, 0..20);
    one.signal(Signal::TERM);
    assert!(one.wait().success());
    let begin = Instant::now();
    wait_until("they are taken over", || queued(&two) == 20);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    // Now alone: what it has is there at its next start, whatever it is called then.
    two.signal(Signal::TERM);
    assert!(two.wait().success());
    let begin = Instant::now();
    let three = place.start("three", "10");
    assert_eq!(work_off(&three, 20), words(0..20));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

/// Whoever ends while it still reads what is stored says so like any other, and nobody waits for it.
pub(crate) fn short_lives(place: &SharedPlace<'_>) {
    for number in 0..8 {
        let mut server = place.start(&format!("short {number}"), "10");
        echo(&mut server.connect(), b"it serves");
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    }
    let last = place.start("last", "10");
    wait_until("it is there", || {
        queued(&last) == 0 && ask(&mut last.connect(), "show servers\n").starts_with("last\t")
    });
    let shown = ask(&mut last.connect(), "show servers\n");
    assert!(!shown.contains("short"), "{shown}");
}

/// A drain leaves what waits to others at once, finishes what runs or has somebody waiting, and ends. Nothing runs twice.
pub(crate) fn drained(place: &SharedPlace<'_>) {
    let (mut one, two) = place.pair("10");
    let (mut lazy, mut client, mut other) = (worker(&one), one.connect(), one.connect());
    put_jobs(&one, 0..200);
    let (running, first) = grab(&mut lazy).unwrap();
    assert_eq!(first, b"w0");
    // A stored job for which somebody waits.
    client.write_all(&request(SUBMIT_JOB, b"f\0w7\0w7")).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    one.signal(Signal::USR1);
    let begin = Instant::now();
    wait_until("the others have what waited", || queued(&two) == 198);
    println!("198 jobs of a server that drains are another's after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(one.log().contains("198 stored jobs were left to other servers; 2 stay"), "{}", one.log());
    // It takes jobs from those who are connected, and does them itself.
    wait_until("it takes a job", || submit(&mut other, b"late", b"late").0 == JOB_CREATED);
    finish(&mut lazy, &running);
    let mut left = Vec::new();
    while let Some((handle, workload)) = grab(&mut lazy) {
        finish(&mut lazy, &handle);
        left.push(String::from_utf8(workload).unwrap());
    }
    assert_eq!(left, ["w7", "late"]);
    assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    assert!(one.wait().success());
    let done = work_off(&two, 198);
    let wanted: Vec<String> = words(0..200).into_iter().filter(|word| word != "w0" && word != "w7").collect();
    assert_eq!(done, wanted);
    wait_until("no row is left", || (place.is_empty)());
}

/// Nobody is there who could have the jobs of a server that drains: it works them off, as ever.
pub(crate) fn drained_alone(place: &SharedPlace<'_>) {
    let mut one = place.start("one", "10");
    let mut stream = worker(&one);
    put_jobs(&one, 0..20);
    one.signal(Signal::USR1);
    let mut done = 0;
    while let Some((handle, _)) = grab(&mut stream) {
        finish(&mut stream, &handle);
        done += 1;
    }
    assert_eq!(done, 20);
    drop(stream);
    assert!(one.wait().success());
    assert!((place.is_empty)());
}

/// A server of the same name is waited for three seconds, and refused if it runs.
pub(crate) fn same_name(place: &SharedPlace<'_>) {
    let mut one = place.start("one", "30");
    put_jobs(&one, 0..20);
    let ended = run_to_end(&[], free_address(), &[place.options, &["--server-name", "one"]].concat());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(said.contains("another server named one is running; stop that one, or give this one"), "{said}");
    one.signal(Signal::KILL);
    one.wait();
    let begin = Instant::now();
    let again = place.start("one", "30");
    assert_eq!(work_off(&again, 20), words(0..20));
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
}

/// Whoever wakes from a long sleep gives out nothing that another one has taken over.
pub(crate) fn long_sleep(place: &SharedPlace<'_>) {
    // Whoever is alone goes on.
    let (one, two) = place.pair("4");
    put_jobs(&one, 0..100);
    let mut before = worker(&one);
    let (running, _) = grab(&mut before).unwrap();
    one.signal(Signal::STOP);
    // The signal takes effect when each thread has come to it.
    wait_until("it stands still", || stands_still(one.pid()));
    // Asked while it cannot answer: it is the first that it reads.
    before.write_all(&request(GRAB_JOB, b"")).unwrap();
    wait_until("they are taken over", || queued(&two) == 100);
    one.signal(Signal::CONT);
    assert_eq!(read_packet(&mut before).0, NO_JOB, "nothing is given out before it was heard of");
    wait_until("it has seen that it was taken over", || one.log().contains("another has taken over its"));
    wait_until("it has forgotten them", || queued(&one) <= 1);
    assert!(grab(&mut before).is_none());
    // It has run one of them after all, and says so: the heir may have run it, too, or not.
    finish(&mut before, &running);
    // It goes on as another server.
    wait_until("it takes jobs again", || submit(&mut one.connect(), b"x", b"x").0 == JOB_CREATED);
    let (handle, workload) = grab(&mut before).unwrap();
    assert_eq!(workload, b"x");
    finish(&mut before, &handle);
    let done = work_off(&two, 100);
    assert_eq!(done, words(0..100));
    assert_eq!(one.counter("times_fenced"), 1);
}

/// Uniques hold for all servers.
pub(crate) fn uniques(place: &SharedPlace<'_>) {
    let (one, two) = (place.start("one", "10"), place.start("two", "10"));
    let handles = put_jobs(&one, 0..10);
    let again = put_jobs(&two, 5..15);
    assert_eq!(handles[5..], again[..5], "the same jobs");
    assert!(again[5..].iter().all(|handle| !handles.contains(handle)));
    assert_eq!((queued(&one), queued(&two)), (10, 5));
    assert_eq!(work_off(&one, 10), words(0..10));
    assert_eq!(work_off(&two, 5), words(10..15));
    wait_until("no row is left", || (place.is_empty)());
}

/// An application enqueues by itself: `insert` puts jobs with these numbers into the store as gearmand would have it.
pub(crate) fn enqueued(place: &SharedPlace<'_>, insert: &dyn Fn(std::ops::Range<u32>)) {
    let (one, two) = place.pair("10");
    put_jobs(&one, 0..10);
    for (numbers, patience) in [(10..2500, 20), (2500..2501, 5)] {
        insert(numbers.clone());
        let begin = Instant::now();
        let wanted = u64::from(numbers.end);
        wait_until("they are there", || queued(&one) + queued(&two) >= wanted);
        println!("{} jobs of an application after {:?}", numbers.len(), begin.elapsed());
        assert_eq!(queued(&one) + queued(&two), wanted);
        // Two seconds where nobody else wants the processor.
        assert!(begin.elapsed() < Duration::from_secs(patience), "{:?}", begin.elapsed());
    }
    let (first, second) = (queued(&one) as usize, queued(&two) as usize);
    let mut done = work_off(&one, first);
    done.extend(work_off(&two, second));
    done.sort();
    assert_eq!(done, words(0..2501));
    wait_until("no row is left", || (place.is_empty)());
}

/// A store that goes and comes, which eight rounds have it do, makes nobody dead, and nothing is lost.
pub(crate) fn restarts(place: &SharedPlace<'_>, disturb: &mut dyn FnMut(u32)) {
    let (one, two) = (place.start("one", "4"), place.start("two", "4"));
    let mut acknowledged = HashSet::new();
    for round in 0..8 {
        for server in [&one, &two] {
            let mut client = server.connect();
            for number in 0..20 {
                let word = format!("{} {round} {number}", server.pid());
                if submit(&mut client, word.as_bytes(), word.as_bytes()).0 == JOB_CREATED {
                    acknowledged.insert(word);
                }
            }
        }
        disturb(round);
    }
    wait_until("both take jobs again", || {
        [&one, &two].iter().all(|server| submit(&mut server.connect(), b"end", b"end").0 == JOB_CREATED)
    });
    acknowledged.insert("end".to_owned());
    let mut done = HashSet::new();
    wait_until("all have run", || {
        for server in [&one, &two] {
            let mut stream = worker(server);
            while let Some((handle, workload)) = grab(&mut stream) {
                finish(&mut stream, &handle);
                done.insert(String::from_utf8(workload).unwrap());
            }
        }
        acknowledged.is_subset(&done)
    });
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for server in [&one, &two] {
        assert_eq!((server.counter("times_fenced"), server.counter("jobs_taken_over")), (0, 0));
    }
}

/// Kills one of three servers at random again and again while jobs come and go: what was acknowledged is run. How many times:
/// RINGGEAR_KILLS, or six.
pub(crate) fn kills(place: &SharedPlace<'_>) {
    let kills: u32 = std::env::var("RINGGEAR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let names = ["one", "two", "three"];
    let mut servers = names.map(|name| place.start(name, "4"));
    let (mut acknowledged, mut runs) = (Vec::new(), BTreeMap::<String, u32>::new());
    // Of these their server has said that it knows that they have ended.
    let (mut finished, mut repeats) = (HashSet::new(), 0);
    let mut chance = 7_u64;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize
    };
    let mut number = 0;
    for kill in 0..kills {
        for _ in 0..150 {
            let server = &servers[next() % 3];
            let word = format!("job {number}");
            number += 1;
            if submit(&mut server.connect(), word.as_bytes(), word.as_bytes()).0 == JOB_CREATED {
                acknowledged.push(word);
            }
            // Some are finished, some are running when their server dies.
            let mut stream = worker(&servers[next() % 3]);
            if let Some((handle, workload)) = grab(&mut stream) {
                let word = String::from_utf8(workload).unwrap();
                repeats += u32::from(finished.contains(&word));
                *runs.entry(word.clone()).or_default() += 1;
                if next() % 4 > 0 {
                    finish(&mut stream, &handle);
                    if next() % 2 > 0 {
                        echo(&mut stream, b"done");
                        finished.insert(word);
                    }
                }
            }
        }
        let at = next() % 3;
        servers[at].signal(Signal::KILL);
        servers[at].wait();
        // It comes back: under its own name, or under another one, so that the others take it over.
        let name = if kill % 2 == 0 { names[at].to_owned() } else { format!("{} {kill}", names[at]) };
        servers[at] = place.start(&name, "4");
    }
    let mut run_all = |runs: &mut BTreeMap<String, u32>| {
        for server in &servers {
            let mut stream = worker(server);
            while let Some((handle, workload)) = grab(&mut stream) {
                let word = String::from_utf8(workload).unwrap();
                repeats += u32::from(finished.contains(&word));
                *runs.entry(word).or_default() += 1;
                finish(&mut stream, &handle);
            }
        }
    };
    wait_until("no row is left", || {
        run_all(&mut runs);
        (place.is_empty)()
    });
    let lost: Vec<&String> = acknowledged.iter().filter(|word| !runs.contains_key(*word)).collect();
    println!(
        "{kills} kills, {} jobs acknowledged, {} lost, {repeats} repeats",
        acknowledged.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}");
    // Those that ended within the last commits before a kill.
    assert!(repeats <= 5 * kills, "{repeats}");
    assert_eq!(acknowledged.len(), number, "somebody always serves");
}
