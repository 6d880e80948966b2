//! Rights, in two worlds side by side: in one of them peers ask for what they may not, in the other they do not. But for the answers
//! to that nobody can tell them apart: whatever is denied changes nothing, on any shard, and whenever rights change. And nobody is
//! given a job that he may not work on, but finishes those that he has.
use crate::cluster::Cluster;
use crate::directed::{Story, policy, submission};
use crate::random::Random;
use bytes::Bytes;
use ringgear_engine::report::{Counters, Waits};
use ringgear_engine::{
    Ask, CloseReason, Grants, HandlePrefix, JobId, Note, Order, Planted, Policy, Query, Reply, Report, Right,
    Rights, SessionId, ShardId, Work,
};
use ringgear_protocol::{GrabKind, Refusal, Request};
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

const FUNCTIONS: [&[u8]; 6] = [b"a", b"b", b"resize", b"mail", b"build:x", b"z"];
const SESSIONS: u16 = 6;
const SEEDS: u64 = 400;
const STEPS: u32 = 250;

/// What somebody may do; a bit for each function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Granted {
    submit: u8,
    work: u8,
    read: bool,
    admin: bool,
}

impl Granted {
    fn draw(random: &mut Random) -> Granted {
        let bits = |random: &mut Random| (random.below(64) & random.below(64) | random.below(8)) as u8;
        let (submit, work) = (bits(random), bits(random));
        Granted { submit, work, read: random.chance(500), admin: random.chance(300) }
    }

    fn is_for(bits: u8, function: &[u8]) -> bool {
        FUNCTIONS.iter().position(|&name| name == function).is_some_and(|at| bits >> at & 1 == 1)
    }
}

impl Grants for Granted {
    fn covers(&self, right: Right, function: &[u8]) -> bool {
        match right {
            Right::Submit => Granted::is_for(self.submit, function),
            Right::Work => Granted::is_for(self.work, function),
            Right::Read | Right::Admin => self.has(right),
        }
    }

    fn has(&self, right: Right) -> bool {
        match right {
            Right::Submit => self.submit != 0,
            Right::Work => self.work != 0,
            Right::Read => self.read,
            Right::Admin => self.admin,
        }
    }
}

/// Somebody, in both worlds.
struct Peer {
    session: SessionId,
    granted: Granted,
    /// Functions that it might work on at any time since its last grab, or since the first of several that were not answered.
    since_grab: u8,
    /// Jobs that it has, and grabs that are not answered: it may have more.
    holds: Vec<JobId>,
    grabs: u32,
    denials: usize,
}

/// Both worlds.
struct Twins {
    /// Where what is denied is asked for, and where it is not.
    asks: Cluster,
    spares: Cluster,
    peers: Vec<Peer>,
    jobs: Vec<(JobId, &'static [u8])>,
    prefix: HandlePrefix,
    random: Random,
    denied: u64,
    struck: u64,
    uniques: u64,
}

/// A request as a value, to be made twice.
enum Wish {
    Submit(usize, bool),
    CanDo(usize, bool),
    MassDo(Vec<usize>),
    Grab,
    PreSleep,
    Complete(JobId),
    Status(JobId),
    UniqueStatus,
    Echo,
    Ask(Ask),
    Told,
}

impl Twins {
    fn new(seed: u64, planted: Option<Planted>) -> Twins {
        let mut random = Random::new(seed);
        let mut policy = policy();
        policy.names_at_once = 1 + random.below(3) as u32;
        policy.planted = planted;
        // In every other world nobody may do anything before he is told.
        policy.rights_wanted = seed % 8 >= 4;
        let bits = if policy.rights_wanted { 0 } else { 63 };
        let told = !policy.rights_wanted;
        let shards = 1 + (seed % 4) as u16;
        let [mut asks, mut spares] = [0; 2].map(|_| Cluster::new(shards, policy.clone()));
        let mut peers = Vec::new();
        for number in 0..SESSIONS {
            let home = ShardId(number % shards);
            let session = asks.open(home);
            assert_eq!(spares.open(home), session);
            let (denials, holds) = (0, Vec::new());
            let granted = Granted { submit: bits, work: bits, read: told, admin: told };
            peers.push(Peer { session, granted, since_grab: bits, holds, grabs: 0, denials });
        }
        let prefix = policy.handle_prefix.clone();
        let (denied, struck, uniques) = (0, 0, 0);
        Twins { asks, spares, peers, jobs: Vec::new(), prefix, random, denied, struck, uniques }
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0 => self.grant(),
            1..=5 => self.somebody_wishes(),
            6 | 7 => self.deliver(),
            8 => self.time(),
            _ => self.both(Cluster::run_until_quiet),
        }
        self.compare();
    }

    fn both(&mut self, does: impl Fn(&mut Cluster)) {
        does(&mut self.asks);
        does(&mut self.spares);
    }

    fn grant(&mut self) {
        let granted = Granted::draw(&mut self.random);
        let at = self.random.below(self.peers.len() as u64) as usize;
        let peer = &mut self.peers[at];
        peer.granted = granted;
        peer.since_grab |= granted.work;
        let (session, rights) = (peer.session, Rights::of(Arc::new(granted)));
        self.both(|cluster| cluster.rights(session, rights.clone()));
    }

    fn deliver(&mut self) {
        let pairs = self.asks.pairs();
        assert_eq!(pairs, self.spares.pairs(), "[what is denied sends no messages]");
        if !pairs.is_empty() {
            let (from, to) = *self.random.pick(&pairs);
            self.both(|cluster| {
                cluster.deliver_one(from, to);
            });
        }
    }

    fn time(&mut self) {
        let passes = Duration::from_millis(self.random.below(30));
        self.both(|cluster| cluster.pass(passes));
        let shard = ShardId(self.random.below(self.asks.topology().owners().len() as u64) as u16);
        self.both(|cluster| cluster.tick(shard));
    }

    fn draw_wish(&mut self, at: usize) -> Wish {
        let function = self.random.below(FUNCTIONS.len() as u64) as usize;
        let holds = self.peers[at].holds.len() as u64;
        let job = |random: &mut Random, jobs: &[(JobId, &[u8])]| match jobs.is_empty() {
            true => JobId::new(1, ringgear_engine::slot::Slot::of(b"x")),
            false => random.pick(jobs).0,
        };
        match self.random.below(20) {
            0..=4 => Wish::Submit(function, self.random.chance(500)),
            5..=7 => Wish::CanDo(function, self.random.chance(300)),
            // It would give back what it has, or is about to be told that it has.
            8 if holds == 0 && self.peers[at].grabs == 0 => {
                let names = (0..self.random.below(6)).map(|_| self.random.below(6) as usize);
                Wish::MassDo(names.collect())
            }
            9..=11 => Wish::Grab,
            12 => Wish::PreSleep,
            13 | 14 if holds > 0 => {
                let which = self.random.below(holds) as usize;
                Wish::Complete(self.peers[at].holds.swap_remove(which))
            }
            15 => Wish::Status(job(&mut self.random, &self.jobs)),
            16 => Wish::UniqueStatus,
            17 => {
                let queries = [Query::Status, Query::Workers, Query::Jobs];
                Wish::Ask(self.random.pick(&queries).clone().into())
            }
            18 => {
                let function = Bytes::from_static(FUNCTIONS[function]);
                let job = job(&mut self.random, &self.jobs);
                let handle = Bytes::copy_from_slice(&self.prefix.handle(job));
                let orders = [
                    Order::MaxQueue { function: function.clone(), limits: [3; 3] },
                    Order::DropFunction { function },
                    Order::CancelJob { handle: handle.clone() },
                    Order::RetryJob { handle },
                ];
                Wish::Ask(self.random.pick(&orders).clone().into())
            }
            19 => Wish::Told,
            _ => Wish::Echo,
        }
    }

    fn somebody_wishes(&mut self) {
        let at = self.random.below(self.peers.len() as u64) as usize;
        let session = self.peers[at].session;
        let welcome = self.asks.is_welcome(session);
        assert_eq!(welcome, self.spares.is_welcome(session), "[what is denied holds nobody back]");
        if !welcome {
            return;
        }
        let wish = self.draw_wish(at);
        let granted = self.peers[at].granted;
        let any = Right::ALL.into_iter().any(|right| granted.has(right));
        if let Wish::Ask(Ask::Order(Order::CancelJob { handle })) = &wish
            && !granted.admin
            && granted.submit != 0
        {
            return self.cancel(at, handle.clone());
        }
        let allowed = match &wish {
            Wish::Submit(function, _) => granted.submit >> function & 1 == 1,
            Wish::CanDo(function, _) => granted.work >> function & 1 == 1,
            Wish::Status(_) | Wish::UniqueStatus => any,
            Wish::Ask(Ask::Query(_)) | Wish::Told => granted.read,
            Wish::Ask(Ask::Order(_)) => granted.admin,
            Wish::MassDo(_) | Wish::Grab | Wish::PreSleep | Wish::Complete(_) | Wish::Echo => true,
        };
        if matches!(wish, Wish::Grab) {
            let peer = &mut self.peers[at];
            // A grab that is not answered yet may have got a job under what was granted then.
            let before = if peer.grabs == 0 { 0 } else { peer.since_grab };
            peer.since_grab = before | granted.work;
            peer.grabs += 1;
        }
        self.uniques += 1;
        if matches!(wish, Wish::MassDo(_)) {
            // In one world it is longer: its parts are all done before anything else happens, and nobody's question is under way.
            self.both(Cluster::run_until_quiet);
            self.compare();
            if !self.asks.is_welcome(session) || !self.spares.is_welcome(session) {
                return;
            }
            self.make(session, &wish, true, granted);
            self.make(session, &wish, false, granted);
            return self.both(|cluster| cluster.advance(Duration::ZERO));
        }
        self.make(session, &wish, true, granted);
        if allowed {
            self.make(session, &wish, false, granted);
        } else {
            // With each event a part is done of what there is to do: as in the other world.
            self.spares.tick(session.shard());
            // CAN_DO is passed over without a word.
            self.peers[at].denials += usize::from(!matches!(wish, Wish::CanDo(..)));
            self.denied += 1;
        }
    }

    /// Of a job whoever may submit its like may cancel it; of one that is gone anybody is told.
    fn cancel(&mut self, at: usize, handle: Bytes) {
        self.both(Cluster::run_until_quiet);
        self.compare();
        let session = self.peers[at].session;
        let ask: Ask = Order::CancelJob { handle: handle.clone() }.into();
        if !self.asks.is_welcome(session) {
            return;
        }
        self.asks.query(session, ask.clone());
        self.asks.run_until_quiet();
        let told = self.asks.replies(session);
        // Whoever waits for the job hears of its end, too.
        let mut reports = told.iter().filter_map(|reply| match reply {
            Reply::Report(report) => Some(report),
            _ => None,
        });
        let (Some(report), None) = (reports.next(), reports.next()) else { panic!("{told:?}") };
        let job = self.prefix.parse(&handle).expect("a handle");
        let function = self.jobs.iter().find(|(other, _)| *other == job).map(|(_, function)| *function);
        let granted = self.peers[at].granted;
        match &report.1 {
            Report::Denied => {
                assert!(
                    !granted.covers(Right::Submit, function.unwrap_or_default()),
                    "[who submits may cancel]"
                );
                self.denied += 1;
            }
            Report::UnknownJob | Report::Done => {
                let covered = function.is_some_and(|function| granted.covers(Right::Submit, function));
                assert!(covered || report.1 == Report::UnknownJob, "[who may not submit may not cancel]");
                self.spares.query(session, ask);
                self.spares.run_until_quiet();
                assert_eq!(self.spares.replies(session), told);
            }
            other => panic!("{other:?}"),
        }
        // Events in between have done parts of what there is to do.
        self.both(|cluster| cluster.advance(Duration::ZERO));
    }

    fn make(&mut self, session: SessionId, wish: &Wish, asks: bool, granted: Granted) {
        let unique = format!("u{}", self.uniques % 40);
        let cluster = if asks { &mut self.asks } else { &mut self.spares };
        match wish {
            Wish::Submit(function, background) => {
                let Request::Submit(submit) = submission(FUNCTIONS[*function], unique.as_bytes()) else {
                    unreachable!("that is what it makes")
                };
                let submit = ringgear_protocol::Submit { background: *background, ..submit };
                cluster.request(session, Request::Submit(submit));
            }
            Wish::CanDo(function, false) => {
                cluster.request(session, Request::CanDo { function: FUNCTIONS[*function] });
            }
            Wish::CanDo(function, true) => {
                let function = FUNCTIONS[*function];
                cluster.request(session, Request::CanDoTimeout { function, timeout: b"1000000000" });
            }
            Wish::MassDo(functions) => {
                // Of several names those are passed over that are denied.
                let kept = functions.iter().filter(|&&at| asks || granted.work >> at & 1 == 1);
                let names: Vec<u8> = kept.flat_map(|&at| [FUNCTIONS[at], b"\0"].concat()).collect();
                cluster.request(session, Request::MassDo { functions: &names });
            }
            Wish::Grab => cluster.request(session, Request::Grab(GrabKind::Plain)),
            Wish::PreSleep => cluster.request(session, Request::PreSleep),
            Wish::Complete(job) => {
                let handle = self.prefix.handle(*job);
                cluster.request(session, Request::WorkComplete { handle: &handle, result: b"done" });
            }
            Wish::Status(job) => {
                let handle = self.prefix.handle(*job);
                cluster.request(session, Request::GetStatus { handle: &handle });
            }
            Wish::UniqueStatus => cluster.request(session, Request::GetStatusUnique { unique: b"u7" }),
            Wish::Echo => cluster.request(session, Request::EchoReq { data: b"x" }),
            Wish::Ask(ask) => cluster.query(session, ask.clone()),
            Wish::Told => cluster.answer_if(session, Right::Read, Reply::Text(Bytes::from_static(b"told"))),
        }
    }

    /// Everybody hears the same in both worlds, but for denials; and the same is on its way.
    fn compare(&mut self) {
        for (_, note) in self.asks.notes() {
            self.struck += u64::from(matches!(note, Note::StruckOff { .. }));
        }
        for at in 0..self.peers.len() {
            let session = self.peers[at].session;
            let (told, spared) = (self.asks.replies(session), self.spares.replies(session));
            let (denials, told): (Vec<_>, Vec<_>) = told.into_iter().partition(is_denial);
            self.peers[at].denials =
                self.peers[at].denials.checked_sub(denials.len()).expect("[only what is denied is]");
            assert_eq!(told, spared, "[what is denied is told nobody else]");
            told.into_iter().for_each(|reply| self.hears(at, reply));
            assert!(!self.asks.is_closed(session), "[what is denied closes nothing]");
        }
        for (from, to) in self.asks.pairs() {
            let next = |cluster: &Cluster| without_places(&format!("{:?}", cluster.next_message(from, to)));
            assert_eq!(next(&self.asks), next(&self.spares), "[what is denied sends no messages]");
        }
    }

    fn hears(&mut self, at: usize, reply: Reply) {
        if matches!(reply, Reply::Assigned(_) | Reply::NoJob) {
            self.peers[at].grabs -= 1;
        }
        match reply {
            Reply::Assigned(assignment) => {
                let peer = &mut self.peers[at];
                let allowed = Granted::is_for(peer.since_grab, assignment.function());
                assert!(
                    allowed,
                    "[nobody is given what he may not work on] {peer_granted:?}",
                    peer_granted = peer.granted
                );
                peer.holds.push(assignment.job);
                let function = FUNCTIONS
                    .iter()
                    .find(|&&name| name == assignment.function())
                    .expect("a function of these");
                self.jobs.push((assignment.job, function));
            }
            Reply::Error(Refusal::ResultForUnknownJob) => panic!("[jobs that run are finished]"),
            _ => {}
        }
    }

    fn come_to_an_end(&mut self) {
        self.both(|cluster| cluster.advance(Duration::from_millis(1)));
        self.compare();
        assert!(self.peers.iter().all(|peer| peer.denials == 0), "[whatever is denied is answered]");
        let shard = ShardId(0);
        let reader = self.asks.open(shard);
        assert_eq!(self.spares.open(shard), reader);
        self.both(|cluster| cluster.rights(reader, Rights::ALL));
        for query in [Query::Status, Query::Workers, Query::Jobs, Query::ClientsWithJobs] {
            self.both(|cluster| {
                cluster.query(reader, query.clone());
                cluster.run_until_quiet();
            });
            assert_eq!(
                unheard(self.asks.replies(reader)),
                unheard(self.spares.replies(reader)),
                "[what is denied leaves nothing]"
            );
        }
        let [asks, spares] = [&mut self.asks, &mut self.spares].map(|cluster| {
            cluster.query(reader, Query::Counters);
            cluster.run_until_quiet();
            cluster.check();
            let told = cluster.replies(reader);
            // Whoever waits for the job hears of its end, too.
            let mut reports = told.iter().filter_map(|reply| match reply {
                Reply::Report(report) => Some(report),
                _ => None,
            });
            let (Some(report), None) = (reports.next(), reports.next()) else { panic!("{told:?}") };
            let Report::Counters(counters) = &report.1 else { panic!("{told:?}") };
            Counters::clone(counters)
        });
        let denied = asks.denied_submissions + asks.denied_reports + asks.denied_orders;
        assert!(asks.denied_registrations + denied >= self.denied, "[whatever is denied is counted]");
        let none = Counters {
            denied_submissions: 0,
            denied_registrations: 0,
            denied_reports: 0,
            denied_orders: 0,
            ..asks
        };
        assert_eq!(none, spares, "[what is denied counts as nothing else]");
        let sessions: Vec<SessionId> = self.peers.iter().map(|peer| peer.session).collect();
        for session in sessions {
            self.both(|cluster| cluster.close(session, CloseReason::Peer));
        }
        self.both(|cluster| cluster.advance(Duration::from_millis(1)));
        self.both(|cluster| cluster.check());
    }
}

fn is_denial(reply: &Reply) -> bool {
    match reply {
        Reply::Error(refusal) => *refusal == Refusal::PermissionDenied,
        Reply::Report(report) => report.1 == Report::Denied,
        _ => false,
    }
}

/// A denial may take a number among the replies of its session.
fn without_places(text: &str) -> String {
    let mut parts = text.split("place: ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| kept += part.trim_start_matches(|c: char| c.is_ascii_digit()));
    kept
}

/// Denials and registrations struck off, of a seed.
fn run(seed: u64, planted: Option<Planted>) -> (u64, u64) {
    let mut twins = Twins::new(seed, planted);
    (0..STEPS).for_each(|_| twins.step());
    twins.come_to_an_end();
    (twins.denied, twins.struck)
}

/// Without how long ago sessions were heard: whoever is denied something was heard.
fn unheard(mut replies: Vec<Reply>) -> Vec<Reply> {
    for reply in &mut replies {
        let Reply::Report(report) = reply else { continue };
        let Report::Waiting(rows) = &mut report.1 else { continue };
        for row in rows {
            if let Waits::Session(session) = &mut row.what {
                session.heard_ms = 0;
            }
        }
    }
    replies
}

#[test]
fn what_is_denied_changes_nothing() {
    let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for seed in 0..SEEDS {
        let (denied, struck) = panic::catch_unwind(AssertUnwindSafe(|| run(seed, None)))
            .unwrap_or_else(|_| panic!("seed {seed}"));
        let sum = sums.entry(1 + seed % 4).or_default();
        (sum.0, sum.1) = (sum.0 + denied, sum.1 + struck);
    }
    println!("shards: (denials, workers struck off): {sums:?}");
    assert!(
        sums.len() == 4 && sums.values().all(|&(denied, struck)| denied > 1000 && struck > 100),
        "{sums:?}"
    );
}

#[test]
fn bugs_of_rights_are_seen() {
    for planted in Planted::RIGHTS {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        // Only a seed that passes without the bug says that the bug was seen.
        let fails = |seed, planted| panic::catch_unwind(|| run(seed, planted)).is_err();
        let caught = (0..SEEDS).find(|&seed| fails(seed, Some(planted)) && !fails(seed, None));
        panic::set_hook(hook);
        println!("{planted:?}: seed {caught:?}");
        assert!(caught.is_some(), "nobody saw {planted:?}");
    }
}

// Stories.

fn may(submit: u8, work: u8) -> Rights {
    Rights::of(Arc::new(Granted { submit, work, read: false, admin: false }))
}

/// Where rights are wanted, a session may do nothing before it is told what it may, on whichever shard it is; nor one that has just
/// come from another shard.
#[test]
fn who_was_not_told_may_do_nothing() {
    for shards in 1..=4 {
        let mut story = Story::new(shards, Policy { rights_wanted: true, ..policy() });
        let denied = [Reply::Error(Refusal::PermissionDenied)];
        for home in 0..shards {
            let (session, told) = (story.open(home), story.open(home));
            story.0.rights(told, Rights::ALL);
            may_nothing(&mut story, session);
            // With what it is told it begins, and not with more.
            story.0.rights(session, may(0b1, 0b1));
            story.ask(session, Request::CanDo { function: b"a" });
            story.submit(session, b"a", b"u");
            assert_eq!(story.assigned(session).unique(), b"u");
            assert_eq!(story.ask(session, submission(b"b", b"u")), denied);
            story.close(session);
            story.submit(told, b"b", b"v");
            story.ask(told, Request::CanDo { function: b"b" });
            assert_eq!(story.assigned(told).unique(), b"v", "who may do everything may do this");
            story.close(told);
        }
        if shards > 1 {
            let moves = story.open(0);
            story.0.rights(moves, Rights::ALL);
            let moved = story.0.settle(moves, ShardId(1)).expect("it is all here");
            may_nothing(&mut story, moved);
        }
    }
}

/// Tries everything that wants a right.
#[track_caller]
fn may_nothing(story: &mut Story, session: SessionId) {
    let denied = [Reply::Error(Refusal::PermissionDenied)];
    let handle = policy().handle_prefix.handle(JobId::new(1, ringgear_engine::slot::Slot::of(b"a")));
    assert_eq!(story.ask(session, submission(b"a", b"u")), denied);
    assert_eq!(story.ask(session, Request::GetStatus { handle: &handle }), denied);
    assert_eq!(story.ask(session, Request::GetStatusUnique { unique: b"u" }), denied);
    assert_eq!(story.ask(session, Request::CanDo { function: b"a" }), []);
    assert_eq!(story.ask(session, Request::MassDo { functions: b"a\0b" }), []);
    assert_eq!(story.ask(session, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
    assert_eq!(story.report(session, Query::Status), Report::Denied);
    assert_eq!(story.report(session, Query::Workers), Report::Denied);
    for order in [
        Order::MaxQueue { function: Bytes::from_static(b"a"), limits: [3; 3] },
        Order::CancelJob { handle: Bytes::copy_from_slice(&handle) },
    ] {
        assert_eq!(story.report(session, order), Report::Denied);
    }
    story.0.answer_if(session, Right::Read, Reply::Text(Bytes::from_static(b"told")));
    assert!(matches!(&story.told(session)[..], [Reply::Report(report)] if report.1 == Report::Denied));
    // What wants no right goes on.
    assert_eq!(story.ask(session, Request::EchoReq { data: b"x" }), [Reply::Echo(Bytes::from_static(b"x"))]);
}

/// A worker that may not work on a function any more finishes what it has, and gets no more of it; once it may again it has to say so.
#[test]
fn a_worker_struck_off_finishes_what_it_has() {
    for shards in 1..=4 {
        let mut story = Story::new(shards, policy());
        let (client, worker) = (story.open(0), story.open(shards - 1));
        story.ask(worker, Request::CanDo { function: b"a" });
        story.ask(worker, Request::CanDo { function: b"b" });
        let first = story.submit(client, b"a", b"1");
        story.submit(client, b"a", b"2");
        let assignment = story.assigned(worker);
        assert_eq!(assignment.job, first);
        story.0.rights(worker, may(0, 0b10));
        story.0.run_until_quiet();
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        let prefix = policy().handle_prefix;
        let handle = prefix.handle(first);
        assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle, result: b"r" }), []);
        assert_eq!(story.told(client), [Reply::Work(first, Work::Complete("r".into()))]);
        story.0.rights(worker, Rights::ALL);
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        story.ask(worker, Request::CanDo { function: b"a" });
        story.assigned(worker);
        // What it was to finish goes back when it leaves.
        story.0.rights(worker, may(0, 0));
        story.close(worker);
        let other = story.open(0);
        story.ask(other, Request::CanDo { function: b"a" });
        assert_eq!(story.assigned(other).unique(), b"2");
    }
}

/// Many registrations are looked at again in parts, and no request comes in between.
#[test]
fn many_registrations_are_looked_at_in_parts() {
    let policy = Policy { names_at_once: 16, ..policy() };
    let mut story = Story::new(3, policy);
    let worker = story.open(0);
    let names: Vec<u8> = (0..1000).flat_map(|number| format!("f{number}\0").into_bytes()).collect();
    story.ask(worker, Request::MassDo { functions: &names });
    story.0.advance(Duration::ZERO);
    story.ask(worker, Request::CanDo { function: b"a" });
    story.0.rights(worker, may(0, 1));
    assert!(!story.0.is_welcome(worker), "it is paused meanwhile");
    story.0.advance(Duration::ZERO);
    assert!(story.0.is_welcome(worker));
    let struck = story.0.notes().into_iter().find_map(|(_, note)| match note {
        Note::StruckOff { registrations, .. } => Some(registrations),
        _ => None,
    });
    assert_eq!(struck, Some(1000));
    let reader = story.open(1);
    let Report::Workers(rows) = story.report(reader, Query::Workers) else { panic!() };
    let known: Vec<_> = rows.iter().flat_map(|row| &row.functions).collect();
    assert_eq!(known, ["a"]);
}
