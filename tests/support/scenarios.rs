//! What every store on a server is to stand, whatever the server: any history of jobs against a model, a ledger of what was acknowledged
//! while the server comes and goes. What is peculiar to a server is in its own tests.
use super::kept::Kept;
use super::packets::*;
use super::server::{Server, echo, read_packet, request, wait_until};
use super::stores::*;
use ringgear::engine::slot::Slot;
use ringgear::engine::{DeathReason, Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::{Store, record};
use rustix::process::Signal;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// All that a store tells.
#[track_caller]
pub(crate) fn replayed(store: &mut dyn Store) -> Vec<Kept> {
    let mut jobs = Vec::new();
    store.replay(&mut |job| jobs.push(Kept::of(&job))).unwrap_or_else(|error| panic!("{error}"));
    jobs
}

/// What a store is to tell of these jobs.
pub(crate) fn expected(jobs: &[StoredJob<'_>]) -> Vec<Kept> {
    jobs.iter().map(Kept::of).collect()
}

/// Jobs in the order of their numbers: where what stands alone comes last depends on the store.
pub(crate) fn sorted(mut jobs: Vec<Kept>) -> Vec<Kept> {
    jobs.sort_by_key(|job| job.id);
    jobs
}

/// Of each kind one, with all that has ever made trouble.
pub(crate) fn odd_jobs() -> Vec<StoredJob<'static>> {
    static WORKLOAD: [u8; 512] = {
        let mut bytes = [0; 512];
        let mut at = 0;
        while at < 512 {
            bytes[at] = at as u8;
            at += 1;
        }
        bytes
    };
    vec![
        job(1, b"u1", b"hello"),
        StoredJob { priority: Priority::High, ..job(2, b"u2", &WORKLOAD) },
        StoredJob { priority: Priority::Low, ..job(3, b"u3", b"") },
        job(4, b"", b"none"),
        job(5, b"", b"none"),
        job(6, b"-", b"dash"),
        job(7, b"-", b"dash"),
        job(8, "\u{e9}t\u{e9}".as_bytes(), b"text"),
        job(9, &[b'k'; 63], b"63"),
        job(10, &[b'l'; 64], b"64"),
        StoredJob { epoch: Some(Epoch::from_seconds(2_000_000_000)), ..job(11, b"e1", b"whole seconds") },
        StoredJob { epoch: Some(Epoch(2_000_000_000_001)), ..job(12, b"e2", b"milliseconds") },
        StoredJob { epoch: Some(Epoch(5_000_000_000_001)), ..job(13, b"e3", b"beyond 2038") },
        StoredJob { reducer: Some(b"sum"), accepted: Some(Epoch(5)), ..job(14, b"r", b"reduce") },
        StoredJob { attempts: 2, ..job(15, b"tried", b"tried") },
        job(16, b"\xff\xfe", b"no text"),
        job(17, b"it's; DROP TABLE gearman_queue --", b"quotes' and \\"),
        job(18, b"x' OR '1'='1", b"'"),
        job(19, b"back\\slash", b"backslash\\"),
        job(20, b"ringgear:5:e", b"like one of ours"),
        StoredJob { more: &[2, 1, 7], ..job(21, b"later", b"of a later version") },
        dead(22, b"u1", b"dead with the unique of a living one"),
        job_of(b"\xff", 23, b"u", b"a function that is no text"),
        job_of(&[b'f'; 300], 24, b"u", b"a long name"),
        job(25, b"U1", b"upper case"),
        job(26, "\u{c9}t\u{e9}".as_bytes(), b"accents"),
        job(27, b"u1 ", b"a blank behind"),
        job(28, b"a b\tc\nd", b"blanks"),
        job(29, b"*?[x]", b"a pattern"),
        job_of(b"my-func", 30, b"x-y", b"dashes"),
        job_of(b"my", 31, b"func-x-y", b"the same name with other dashes"),
        job_of(b"a b", 32, b"u", b"a function with a blank"),
    ]
}

/// A little generator of numbers: the same for a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, many: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % many
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn job(&mut self, sequence: u64) -> Kept {
        let functions = [
            b"f".to_vec(),
            b"f".to_vec(),
            b"g h".to_vec(),
            b"\xfe".to_vec(),
            b"a-b".to_vec(),
            vec![b'l'; 256],
        ];
        let uniques = [
            Vec::new(),
            b"-".to_vec(),
            b"same".to_vec(),
            b"Same".to_vec(),
            b"it's".to_vec(),
            b"\xff".to_vec(),
            vec![b'u'; 64],
            b"ringgear:1:e".to_vec(),
            format!("u{sequence}").into_bytes(),
        ];
        let function = self.one_of(&functions);
        let epochs = [None, None, Some(Epoch(1)), Some(Epoch(7000)), Some(Epoch(1 << 44))];
        Kept {
            id: JobId::new(sequence, Slot::of(&function)),
            priority: self.one_of(&Priority::ALL),
            epoch: self.one_of(&epochs),
            attempts: self.one_of(&[0, 0, 0, 3]),
            unique: self.one_of(&uniques),
            workload: vec![7; self.below(40) as usize],
            reducer: self.one_of(&[None, None, None, Some(b"r".to_vec())]),
            death: None,
            accepted: None,
            more: self.one_of(&[Vec::new(), Vec::new(), Vec::new(), b"\x02\x01a".to_vec()]),
            function,
        }
    }
}

/// Has the store do what is left to do until nothing is for a while, and puts again what it wants, as shards do: how many that were.
#[track_caller]
pub(crate) fn settle(store: &mut dyn Store, model: &BTreeMap<JobId, Kept>) -> usize {
    let (mut again, begin, mut busy) = (0, Instant::now(), Instant::now());
    while busy.elapsed() < Duration::from_millis(400) {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not come to an end");
        if store.maintain().unwrap_or_else(|error| panic!("{error}")) {
            busy = Instant::now();
        }
        let wanted = store.wanted();
        if !wanted.is_empty() {
            busy = Instant::now();
        }
        let (known, unknown): (Vec<JobId>, Vec<JobId>) =
            wanted.into_iter().partition(|id| model.contains_key(id));
        again += known.len();
        if !known.is_empty() {
            put(store, &known.iter().map(|id| model[id].stored()).collect::<Vec<_>>());
        }
        store.unknown(&unknown);
        thread::sleep(Duration::from_millis(1));
    }
    again
}

/// A place where a store is, for histories.
pub(crate) struct HistoryPlace<'a> {
    pub(crate) open: &'a dyn Fn() -> Box<dyn Store>,
    /// Ends its connection.
    pub(crate) cut: &'a dyn Fn(),
    /// Takes a part of what is there away, as a failover may.
    pub(crate) lose: &'a dyn Fn(),
    /// What is left when all jobs have ended.
    pub(crate) left: &'a dyn Fn() -> String,
}

/// Any history of jobs, with connections that end, stores that are closed or dropped, and jobs that are lost there. A failure names
/// its seed.
#[track_caller]
pub(crate) fn history(seed: u64, place: &HistoryPlace<'_>) {
    println!("seed {seed}");
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut model, mut batch) = (BTreeMap::<JobId, Kept>::new(), Vec::new());
    let mut store = (place.open)();
    assert_eq!(replayed(&mut *store), []);
    let all = |model: &BTreeMap<JobId, Kept>| model.values().cloned().collect::<Vec<_>>();
    for sequence in 1..=60 {
        let known: Vec<JobId> = model.keys().copied().collect();
        match dice.below(20) {
            0..8 => {
                let job = dice.job(sequence);
                record::put(&job.stored(), &mut batch);
                model.insert(job.id, job);
            }
            8..11 if !known.is_empty() => {
                let id = dice.one_of(&known);
                record::done(id, &mut batch);
                model.remove(&id);
            }
            11..13 if !known.is_empty() => {
                let job = model.get_mut(&dice.one_of(&known)).unwrap();
                job.death = match job.death {
                    None => {
                        Some((DeathReason::TimedOut, Epoch(5), Ipv4Addr::LOCALHOST.into(), b"w".to_vec()))
                    }
                    Some(_) => None,
                };
                record::put(&job.stored(), &mut batch);
            }
            13..14 if !known.is_empty() => {
                let job = model.get_mut(&dice.one_of(&known)).unwrap();
                if job.death.is_none() {
                    job.attempts += 1;
                    record::attempts(job.id, job.attempts, &mut batch);
                }
            }
            14 => {
                commit(&mut *store, &std::mem::take(&mut batch));
                store.close().unwrap();
                store = (place.open)();
                assert_eq!(sorted(replayed(&mut *store)), all(&model), "seed {seed}");
            }
            15 => (place.cut)(),
            16 => {
                // The store has nothing to write, and a failover takes jobs away.
                commit(&mut *store, &std::mem::take(&mut batch));
                (place.lose)();
                (place.cut)();
                commit(&mut *store, b"");
                settle(&mut *store, &model);
            }
            _ => commit(&mut *store, &std::mem::take(&mut batch)),
        }
    }
    commit(&mut *store, &batch);
    drop(store);
    let mut store = (place.open)();
    assert_eq!(sorted(replayed(&mut *store)), all(&model), "seed {seed}");
    done(&mut *store, &model.keys().copied().collect::<Vec<_>>());
    store.close().unwrap();
    assert_eq!((place.left)(), "0", "seed {seed}");
}

/// A whole server with these options, and some that all of them have.
#[track_caller]
pub(crate) fn serve(options: &[&str]) -> Server {
    Server::start(&[&["-t", "2", "--verbose", "NOTICE"], options].concat())
}

/// Sends a submission: what is answered.
pub(crate) fn submit(stream: &mut TcpStream, number: u32, arguments: &[&[u8]]) -> (u32, Vec<u8>) {
    stream.write_all(&request(number, &arguments.join(&0))).unwrap();
    read_packet(stream)
}

/// Whether this answer says that it is not kept.
pub(crate) fn refused(answer: &(u32, Vec<u8>)) -> bool {
    answer.0 == ERROR && answer.1.starts_with(b"QUEUE_ERROR\0")
}

/// Works off all jobs of a function: their workloads.
#[track_caller]
pub(crate) fn work_off(server: &Server, function: &[u8]) -> Vec<Vec<u8>> {
    let mut stream = server.connect();
    stream.write_all(&request(CAN_DO, function)).unwrap();
    let mut workloads = Vec::new();
    loop {
        stream.write_all(&request(GRAB_JOB, b"")).unwrap();
        let (number, data) = read_packet(&mut stream);
        if number == NO_JOB {
            echo(&mut stream, b"all done");
            return workloads;
        }
        assert_eq!(number, JOB_ASSIGN);
        let parts: Vec<&[u8]> = data.splitn(3, |&byte| byte == 0).collect();
        workloads.push(parts[2].to_vec());
        stream.write_all(&request(WORK_COMPLETE, &[parts[0], b"\0"].concat())).unwrap();
    }
}

/// Submits a hundred jobs, ends the server with this signal, and works them off with another one, in their order.
#[track_caller]
pub(crate) fn outlive(options: &[&str], signal: Signal) {
    let mut server = serve(options);
    let mut client = server.connect();
    let wanted: Vec<Vec<u8>> = (0..100).map(|number| format!("w{number}").into_bytes()).collect();
    for workload in &wanted {
        let answer = submit(&mut client, SUBMIT_JOB_BG, &[b"f", workload, workload]);
        assert_eq!(answer.0, JOB_CREATED, "{:?}", String::from_utf8_lossy(&answer.1));
    }
    server.signal(signal);
    server.wait();
    let mut server = serve(options);
    assert_eq!(work_off(&server, b"f"), wanted);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// While the place is away: refusals at once, and everything else goes on.
#[track_caller]
pub(crate) fn away(
    options: &[&str],
    stop: &mut dyn FnMut(),
    start: &mut dyn FnMut(),
    left: &dyn Fn() -> bool,
) {
    let mut server = serve(options);
    let mut client = server.connect();
    assert_eq!(submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"before", b"before"]).0, JOB_CREATED);
    stop();
    assert!(refused(&submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"first", b"first"])));
    for number in 0..20 {
        let begin = Instant::now();
        let unique = format!("away {number}");
        assert!(refused(&submit(&mut client, SUBMIT_JOB_BG, &[b"f", unique.as_bytes(), b"w"])));
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
    // Foreground work goes on, and what was stored is run; its end is owed.
    let mut waiting = server.connect();
    assert_eq!(submit(&mut waiting, SUBMIT_JOB, &[b"g", b"", b"now"]).0, JOB_CREATED);
    assert_eq!(work_off(&server, b"g"), [b"now"]);
    assert_eq!(read_packet(&mut waiting).0, WORK_COMPLETE);
    assert_eq!(work_off(&server, b"f"), [b"before"]);
    start();
    wait_until("the store takes jobs again", || {
        submit(&mut client, SUBMIT_JOB_BG, &[b"f", b"after", b"after"]).0 == JOB_CREATED
    });
    wait_until("the end of the first is written", left);
    // Lines are written behind what they tell of.
    wait_until("it says both", || {
        let log = server.log();
        log.contains(" is away: ") && log.contains(" answers again after ")
    });
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// Submits jobs that follow one another by number until then: those that were acknowledged, and how many were not.
pub(crate) fn submit_on(server: &Server, name: u32, until: Instant) -> (HashSet<Vec<u8>>, u32) {
    let mut client = server.connect();
    let (mut kept, mut refused_ones) = (HashSet::new(), 0);
    for number in 0.. {
        if Instant::now() > until {
            break;
        }
        let unique = format!("{name} {number}").into_bytes();
        match submit(&mut client, SUBMIT_JOB_BG, &[b"f", &unique, &unique]) {
            (JOB_CREATED, _) => _ = kept.insert(unique),
            answer => {
                assert!(refused(&answer), "{answer:?}");
                refused_ones += 1;
            }
        }
    }
    (kept, refused_ones)
}

/// Disturbs the place again and again while jobs are submitted; half of them are run by this server, the rest by one that takes its place
/// after a kill -9. What was acknowledged is run, and nothing else is but what nobody knows of.
#[track_caller]
pub(crate) fn ledger(options: &[&str], disturb: &mut dyn FnMut(u32)) {
    let mut server = serve(options);
    let until = Instant::now() + Duration::from_secs(5);
    let (kept, refused_ones) = thread::scope(|scope| {
        let server = &server;
        let clients: Vec<_> =
            (0..8).map(|name| scope.spawn(move || submit_on(server, name, until))).collect();
        let mut rounds = 0;
        while Instant::now() < until {
            rounds += 1;
            thread::sleep(Duration::from_millis(120));
            disturb(rounds);
        }
        let sum = |(mut kept, sum): (HashSet<Vec<u8>>, u32), (more, refused): (HashSet<Vec<u8>>, u32)| {
            kept.extend(more);
            (kept, sum + refused)
        };
        clients.into_iter().map(|client| client.join().unwrap()).fold((HashSet::new(), 0), sum)
    });
    assert!(kept.len() > 200, "{} kept, {refused_ones} refused", kept.len());
    let (mut ran, mut twice) = (HashSet::new(), 0);
    let mut worker = server.connect();
    worker.write_all(&request(CAN_DO, b"f")).unwrap();
    for _ in 0..kept.len() / 2 {
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        let (number, data) = read_packet(&mut worker);
        assert_eq!(number, JOB_ASSIGN);
        let parts: Vec<&[u8]> = data.splitn(3, |&byte| byte == 0).collect();
        twice += u32::from(!ran.insert(parts[2].to_vec()));
        worker.write_all(&request(WORK_COMPLETE, &[parts[0], b"\0"].concat())).unwrap();
    }
    echo(&mut worker, b"done");
    server.signal(Signal::KILL);
    server.wait();
    let mut server = serve(options);
    for workload in work_off(&server, b"f") {
        twice += u32::from(!ran.insert(workload));
    }
    let lost: Vec<_> = kept.difference(&ran).collect();
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), kept.len(), String::from_utf8_lossy(lost[0]));
    println!("{} kept, {refused_ones} refused, {} ran, {twice} of them twice", kept.len(), ran.len());
    assert!(ran.len() <= kept.len() + refused_ones as usize);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// A commit of all sorts is made again when nobody answered it, and is there once.
#[track_caller]
pub(crate) fn unanswered(open: &dyn Fn() -> Box<dyn Store>, proxy: &super::proxy::Proxy) {
    let mut store = open();
    replayed(&mut *store);
    put(&mut *store, &[job(1, b"a", b"1"), job(2, b"b", b"2"), dead(3, b"c", b"3")]);
    let mut batch = Vec::new();
    record::done(job(1, b"", b"").id, &mut batch);
    record::put(&dead(2, b"b", b"2"), &mut batch);
    record::put(&StoredJob { death: None, ..dead(3, b"c", b"3") }, &mut batch);
    record::put(&job(4, b"a", b"4"), &mut batch);
    record::put(&StoredJob { reducer: Some(b"r"), ..job(5, b"", b"5") }, &mut batch);
    proxy.swallow();
    commit(&mut *store, &batch);
    assert!(!proxy.swallows(), "an answer was swallowed");
    settle(&mut *store, &BTreeMap::new());
    store.close().unwrap();
    let wanted = [
        StoredJob { death: None, ..dead(3, b"c", b"3") },
        job(4, b"a", b"4"),
        StoredJob { reducer: Some(b"r"), ..job(5, b"", b"5") },
        dead(2, b"b", b"2"),
    ];
    assert_eq!(sorted(replayed(&mut *open())), sorted(expected(&wanted)));
}
