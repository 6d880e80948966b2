//! Short stories that a random world seldom tells, each of which went wrong once or easily could.
use crate::cluster::Cluster;
use crate::swarm::PREFIX;
use bytes::Bytes;
use ringgear_engine::report::DropRow;
use ringgear_engine::slot::Slot;
use ringgear_engine::{
    Ask, Assignment, CloseReason, HandlePrefix, JobId, Note, Order, Policy, Query, Reply, Report, SessionId,
    ShardId, Topology, Wakeup, Work,
};
use ringgear_protocol::{GrabKind, Priority, Refusal, Request, Submit};
use std::num::NonZeroU8;
use std::time::Duration;

/// A job server and a few words to talk to it.
pub(crate) struct Story(pub(crate) Cluster);

pub(crate) fn policy() -> Policy {
    Policy::new(HandlePrefix::new(PREFIX).expect("a short prefix"))
}

impl Story {
    pub(crate) fn new(shards: u16, policy: Policy) -> Story {
        Story(Cluster::new(shards, policy))
    }

    pub(crate) fn of(topology: Topology, policy: Policy) -> Story {
        Story(Cluster::of(topology, policy))
    }

    /// Asks an administrator's question, and returns the report.
    pub(crate) fn report(&mut self, session: SessionId, ask: impl Into<Ask>) -> Report {
        self.0.query(session, ask);
        self.0.run_until_quiet();
        self.0.check();
        match &self.told(session)[..] {
            [Reply::Report(report)] => report.1.clone(),
            other => panic!("told {other:?}"),
        }
    }

    pub(crate) fn open(&mut self, shard: u16) -> SessionId {
        self.0.open(ShardId(shard))
    }

    /// Sends a request, lets it have its whole effect, and returns what the session was told.
    pub(crate) fn ask(&mut self, session: SessionId, request: Request<'_>) -> Vec<Reply> {
        self.0.request(session, request);
        self.0.run_until_quiet();
        self.0.check();
        self.0.replies(session)
    }

    pub(crate) fn submit(&mut self, session: SessionId, function: &[u8], unique: &[u8]) -> JobId {
        let told = self.ask(session, submission(function, unique));
        let Some(&Reply::JobCreated(job)) = told.last() else { panic!("told {told:?}") };
        job
    }

    pub(crate) fn assigned(&mut self, session: SessionId) -> Assignment {
        match &self.ask(session, Request::Grab(GrabKind::Plain))[..] {
            [Reply::Assigned(assignment)] => Assignment::clone(assignment),
            other => panic!("told {other:?}"),
        }
    }

    pub(crate) fn close(&mut self, session: SessionId) {
        self.0.close(session, CloseReason::Peer);
        self.0.run_until_quiet();
        self.0.check();
    }

    /// What a session was told without having asked.
    pub(crate) fn told(&mut self, session: SessionId) -> Vec<Reply> {
        self.0.replies(session)
    }
}

pub(crate) fn submission<'a>(function: &'a [u8], unique: &'a [u8]) -> Request<'a> {
    Request::Submit(Submit {
        function,
        unique,
        workload: b"w",
        priority: Priority::Normal,
        background: false,
        epoch: None,
        reducer: None,
    })
}

/// A job that nobody wanted went back to its queue and woke nobody; now somebody wants it.
#[test]
fn joining_a_job_that_was_abandoned_wakes_a_sleeper() {
    for shards in [1, 2, 7] {
        let mut story = Story::new(shards, policy());
        let [client, holder, sleeper] = [0; 3].map(|shard| story.open(shard));
        story.ask(holder, Request::CanDo { function: b"f" });
        let job = story.submit(client, b"f", b"u");
        assert_eq!(story.assigned(holder).job, job);
        story.close(client);
        story.ask(sleeper, Request::CanDo { function: b"f" });
        assert_eq!(story.ask(sleeper, Request::PreSleep), []);
        story.close(holder);
        assert_eq!(story.told(sleeper), []);
        let other = story.open(shards - 1);
        assert_eq!(story.submit(other, b"f", b"u"), job);
        assert_eq!(story.told(sleeper), [Reply::Noop], "with {shards} shards");
        assert_eq!(story.assigned(sleeper).job, job);
    }
}

/// It was woken for a function that it then gave up, and learns it again in its sleep.
#[test]
fn learning_a_function_again_while_asleep_wakes_for_later_jobs() {
    for shards in 1..=7 {
        for wakeup in [Wakeup::All, Wakeup::Paced, Wakeup::AtMost(NonZeroU8::MIN)] {
            let mut story = Story::new(shards, Policy { wakeup, ..policy() });
            let [client, worker] = [0; 2].map(|shard| story.open(shard));
            story.ask(worker, Request::CanDo { function: b"f" });
            story.ask(worker, Request::CanDo { function: b"g" });
            story.ask(worker, Request::PreSleep);
            story.submit(client, b"f", b"");
            assert_eq!(story.told(worker), [Reply::Noop]);
            story.ask(worker, Request::CantDo { function: b"f" });
            assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
            assert_eq!(story.ask(worker, Request::PreSleep), []);
            assert_eq!(story.ask(worker, Request::CanDo { function: b"f" }), []);
            story.submit(client, b"f", b"");
            assert_eq!(story.told(worker), [Reply::Noop], "with {shards} shards");
        }
    }
}

/// A function of a job server with some shards whose owner is this one.
pub(crate) fn function_of(shards: u16, owner: u16) -> String {
    let owned = |name: &String| Topology::new(shards).owner(Slot::of(name.as_bytes())) == ShardId(owner);
    (0..).map(|number| format!("f{number}")).find(owned).expect("every shard owns some")
}

/// What is due when a request comes fills up the session that sent it: the request is taken all the same.
#[test]
fn a_request_comes_together_with_news_that_pause_its_session() {
    let mut policy = policy();
    (policy.requests_in_flight, policy.attempts) = (2, NonZeroU8::new(1));
    let mut story = Story::new(2, policy);
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    let (near, far) = (function_of(2, 0), function_of(2, 1));
    story.ask(worker, Request::CanDoTimeout { function: near.as_bytes(), timeout: b"1000" });
    let job = story.submit(client, near.as_bytes(), b"");
    assert_eq!(story.assigned(worker).job, job);
    story.0.request(client, submission(far.as_bytes(), b""));
    story.0.pass(Duration::from_secs(1));
    story.0.request(client, Request::EchoReq { data: b"still there" });
    story.0.run_until_quiet();
    let told = story.told(client);
    let echo = Reply::Echo(Bytes::from_static(b"still there"));
    assert!(matches!(told[0], Reply::JobCreated(_)), "{told:?}");
    assert_eq!(told[1..], [Reply::Work(job, Work::Fail), echo]);
}

/// The limit on functions: who is over it is told, and nothing is left behind.
#[test]
fn functions_are_bounded() {
    let mut policy = policy();
    policy.functions = 1;
    let mut story = Story::new(1, policy);
    let session = story.open(0);
    story.submit(session, b"f", b"");
    let refused = [Reply::Error(Refusal::TooManyFunctions)];
    assert_eq!(story.ask(session, submission(b"g", b"")), refused);
    assert_eq!(story.ask(session, Request::CanDo { function: b"g" }), refused);
    assert_eq!(story.ask(session, Request::CanDo { function: b"f" }), []);
    story.0.query(session, Order::CreateFunction { function: "h".into() });
    story.0.query(session, Query::Workers);
    let [Reply::Report(created), Reply::Report(workers)] = &story.told(session)[..] else {
        panic!("two reports")
    };
    assert_eq!(created.1, Report::NotCreated(Refusal::TooManyFunctions));
    let Report::Workers(rows) = &workers.1 else { panic!("told {workers:?}") };
    assert_eq!(rows[0].functions, [Bytes::from_static(b"f")]);
}

#[test]
fn a_session_that_moves_takes_along_what_it_said_of_itself() {
    let mut story = Story::new(2, policy());
    let worker = story.open(0);
    story.ask(worker, Request::SetClientId { id: b"the worker" });
    let worker = story.0.settle(worker, ShardId(1)).expect("nobody knows it");
    story.ask(worker, Request::CanDo { function: b"rev" });
    assert_eq!(story.0.settle(worker, ShardId(0)), None, "an owner knows it");
    story.0.query(worker, Query::Workers);
    story.0.run_until_quiet();
    let told = story.told(worker);
    let [Reply::Report(report)] = &told[..] else { panic!("{told:?}") };
    let Report::Workers(rows) = &report.1 else { panic!("{report:?}") };
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row.id[..], &row.functions[0][..]), (&b"the worker"[..], &b"rev"[..]));

    let client = story.open(1);
    assert_eq!(story.ask(client, Request::OptionReq { option: b"exceptions" }).len(), 1);
    let client = story.0.settle(client, ShardId(0)).expect("nobody knows it");
    let job = story.submit(client, b"rev", b"u");
    assert_eq!(story.0.settle(client, ShardId(1)), None, "it waits for a job");
    let assignment = story.assigned(worker);
    assert_eq!(assignment.job, job);
    let handle = HandlePrefix::new(PREFIX).expect("a short prefix").handle(job).to_vec();
    story.ask(worker, Request::WorkException { handle: &handle, exception: b"oh" });
    let told = story.told(client);
    assert_eq!(told, [Reply::Work(job, Work::Exception(Bytes::from_static(b"oh")))]);
}

/// The answer on the wire is gearmand's and names no reason: the log does.
#[test]
fn the_log_says_why_a_function_is_not_dropped() {
    for order in ["resize", "RESIZE"] {
        let mut story = Story::new(3, policy());
        let [worker, idle, admin, client] = [0, 1, 2, 2].map(|shard| story.open(shard));
        for session in [worker, idle] {
            story.ask(session, Request::CanDo { function: b"resize" });
        }
        story.submit(client, b"resize", b"u");
        story.assigned(worker);
        let drop = || Order::DropFunction { function: order.into() };
        let row = |dropped| Report::Dropped(vec![DropRow { function: "resize".into(), dropped }]);
        assert_eq!(story.report(admin, drop()), row(false));
        let note = |workers, running| Note::FunctionKept { function: "resize".into(), workers, running };
        let notes =
            |story: &mut Story| -> Vec<Note> { story.0.notes().into_iter().map(|(_, note)| note).collect() };
        assert_eq!(notes(&mut story), [note(2, 1)]);
        story.ask(worker, Request::CantDo { function: b"resize" });
        assert_eq!((story.report(admin, drop()), notes(&mut story)), (row(false), vec![note(1, 0)]));
        story.close(idle);
        assert_eq!(story.report(admin, drop()), row(true));
    }
}

/// Case does not matter where no function has exactly this name, and only there.
#[test]
fn of_two_names_that_differ_in_case_the_one_that_was_said_is_dropped() {
    for shards in [1, 3] {
        for (said, dropped) in [("Mail", &["Mail"][..]), ("mail", &["mail"]), ("MAIL", &["Mail", "mail"])] {
            let mut story = Story::new(shards, policy());
            let [client, admin] = [0; 2].map(|_| story.open(0));
            for function in ["Mail", "mail", "mails"] {
                story.submit(client, function.as_bytes(), b"u");
            }
            story.close(client);
            let Report::Dropped(rows) = story.report(admin, Order::DropFunction { function: said.into() })
            else {
                panic!("an order is answered")
            };
            let mut names: Vec<&[u8]> =
                rows.iter().filter(|row| row.dropped).map(|row| &row.function[..]).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                dropped.iter().map(|name| name.as_bytes()).collect::<Vec<_>>(),
                "drop function {said}"
            );
        }
    }
}

/// A home that owns no function: its client reaches every owner and hears its results, its worker is given jobs of every owner,
/// reports tell of both, and what it leaves behind is dropped like what any other home leaves.
#[test]
fn a_guest_is_a_home_like_any_other() {
    for shards in [1, 3] {
        let mut story = Story::of(Topology::new(shards).with_guests(1), policy());
        let [client, worker] = [0; 2].map(|_| story.open(shards));
        let admin = story.open(0);
        let functions: Vec<String> = (0..shards).map(|owner| function_of(shards, owner)).collect();
        functions.iter().for_each(|f| drop(story.ask(worker, Request::CanDo { function: f.as_bytes() })));
        assert_eq!(story.ask(worker, Request::PreSleep), []);
        let prefix = HandlePrefix::new(PREFIX).expect("a short prefix");
        for function in &functions {
            let job = story.submit(client, function.as_bytes(), b"u");
            assert_eq!(story.told(worker), [Reply::Noop], "with {shards} shards");
            assert_eq!(story.assigned(worker).job, job);
            let handle = prefix.handle(job).to_vec();
            assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle, result: b"r" }), []);
            let result = Work::Complete(Bytes::from_static(b"r"));
            assert_eq!(story.told(client), [Reply::Work(job, result)]);
            assert_eq!(story.ask(worker, Request::PreSleep), []);
        }
        // Owners answer for functions, every home for sessions, every engine for what it counts: asked at a shard, and at a guest.
        story.submit(client, functions[0].as_bytes(), b"left behind");
        for asker in [admin, client] {
            let Report::Functions(rows) = story.report(asker, Query::Status) else { panic!("no functions") };
            let queued: Vec<[u32; 3]> = rows.iter().map(|row| row.queued).collect();
            assert!(rows.len() == functions.len() && queued.concat().iter().sum::<u32>() == 1, "{rows:?}");
            let Report::Workers(rows) = story.report(asker, Query::Workers) else { panic!("no workers") };
            let known: Vec<usize> = rows.iter().map(|row| row.functions.len()).collect();
            assert_eq!(known, [0, functions.len(), 0]);
            let Report::Waiting(rows) = story.report(asker, Query::ClientsWithJobs) else {
                panic!("no clients")
            };
            assert_eq!(rows.len(), 4, "{rows:?}");
            let Report::Counters(counters) = story.report(asker, Query::Counters) else {
                panic!("no counters")
            };
            assert_eq!((counters.sessions, counters.jobs), (3, 1));
            assert_eq!(counters.wakeups, u64::from(shards) + 1);
        }
        story.close(client);
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::Noop, Reply::NoJob]);
        let Report::Counters(counters) = story.report(admin, Query::Counters) else { panic!("no counters") };
        assert_eq!((counters.jobs, counters.jobs_abandoned), (0, 1));
    }
}

/// A home that asks and is not asked submits all the same, as the HTTP side does: it hears its results, in order with what it asked,
/// and is held back like any client; what it leaves behind is given up; reports tell of its jobs, and never of itself.
#[test]
fn an_observer_submits_like_any_client() {
    for (shards, store) in [(1, false), (3, false), (3, true)] {
        let topology = Topology::new(shards).with_observers(1);
        let mut story = Story::of(topology, Policy { requests_in_flight: 2, store, ..policy() });
        let (client, worker, admin) = (story.open(shards), story.open(0), story.open(0));
        let functions: Vec<String> = (0..shards).map(|owner| function_of(shards, owner)).collect();
        functions.iter().for_each(|f| drop(story.ask(worker, Request::CanDo { function: f.as_bytes() })));
        let prefix = HandlePrefix::new(PREFIX).expect("a short prefix");
        for function in &functions {
            let job = story.submit(client, function.as_bytes(), b"u");
            assert_eq!(story.assigned(worker).job, job);
            let handle = prefix.handle(job).to_vec();
            for data in [b"one", b"two"] {
                assert_eq!(story.ask(worker, Request::WorkData { handle: &handle, data }), []);
            }
            assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle, result: b"r" }), []);
            let told = [Work::Data("one".into()), Work::Data("two".into()), Work::Complete("r".into())];
            assert_eq!(story.told(client), told.map(|work| Reply::Work(job, work)));
        }
        let Report::Workers(rows) = story.report(admin, Query::Workers) else { panic!("no workers") };
        assert_eq!(rows.len(), 2, "{rows:?}");
        story.submit(client, functions[0].as_bytes(), b"left behind");
        let Report::Counters(counters) = story.report(admin, Query::Counters) else { panic!("no counters") };
        assert_eq!((counters.sessions, counters.jobs), (2, 1));
        story.close(client);
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        let Report::Counters(counters) = story.report(admin, Query::Counters) else { panic!("no counters") };
        assert_eq!((counters.jobs, counters.jobs_abandoned), (0, 1));
    }
}
