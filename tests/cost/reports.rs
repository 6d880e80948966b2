//! A report comes in pages: one event tells at most one, whatever there is to tell, and nothing of it is kept in between.
use crate::alone::{NOW, submit};
use crate::cluster::Cluster;
use ringgear_engine::page::ListMark;
use ringgear_engine::report::{InvolvedJob, WaitingRow, Waits};
use ringgear_engine::{
    Ask, CloseReason, Engine, HandlePrefix, Input, JobsWanted, Order, Output, Peer, Policy, Query, Reply,
    Report, SessionId, ShardId, Topology,
};
use ringgear_protocol::{GrabKind, Request};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The default of `rows_at_once`.
const ROWS: usize = 256;

struct World {
    engine: Engine,
    sessions: u32,
}

impl World {
    fn new(change: impl FnOnce(&mut Policy)) -> World {
        let mut policy = Policy::new(HandlePrefix::new(b"H").unwrap());
        change(&mut policy);
        World {
            engine: Engine::new(ShardId(0), ringgear_engine::Board::new(Topology::new(1)), Arc::new(policy)),
            sessions: 0,
        }
    }

    fn open(&mut self) -> SessionId {
        let session = SessionId::new(ShardId(0), self.sessions, 1);
        self.sessions += 1;
        let peer = Peer { descriptor: self.sessions, address: Ipv4Addr::LOCALHOST.into(), port: 1 };
        self.engine.handle(NOW, Input::Opened(session, peer));
        session
    }

    fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        self.engine.handle(NOW, input);
        std::iter::from_fn(|| Some(self.engine.output()?.0)).collect()
    }

    fn submit(&mut self, client: SessionId, function: &str, unique: &str, background: bool) {
        let (function, unique) = (function.as_bytes(), unique.as_bytes());
        self.give(Input::Request(client, submit(function, unique, background)));
    }

    /// The pages of a report, each of which one event has told.
    fn pages(&mut self, ask: impl Into<Ask>) -> Vec<Report> {
        let ask = ask.into();
        let admin = self.open();
        self.pages_of(admin, Input::Ask(admin, ask.clone()), ask)
    }

    /// The pages of a list behind a place.
    fn pages_behind(&mut self, query: Query, after: ListMark) -> Vec<Report> {
        let admin = self.open();
        self.pages_of(admin, Input::AskBehind(admin, Box::new((query.clone(), after))), query.into())
    }

    fn pages_of(&mut self, admin: SessionId, input: Input<'_>, ask: Ask) -> Vec<Report> {
        let asked = self.give(input);
        assert_eq!(
            asked,
            [Output::Pause(admin), Output::WantsRoom(admin)],
            "nothing is told before there is room"
        );
        let mut pages = Vec::new();
        loop {
            let mut told = self.give(Input::Room(admin)).into_iter();
            match told.next() {
                Some(Output::Reply(to, Reply::Rows(page))) if to == admin => {
                    assert_eq!(page.0, ask);
                    pages.push(page.1);
                    assert_eq!(told.as_slice(), [Output::WantsRoom(admin)]);
                }
                Some(Output::WantsRoom(to)) if to == admin => pages.push(ask.empty_report()),
                Some(Output::Reply(to, Reply::Report(last))) if to == admin => {
                    pages.push(last.1);
                    assert_eq!(told.as_slice(), [Output::Resume(admin)]);
                    break;
                }
                other => panic!("{other:?}"),
            }
            assert!(pages.last().is_some_and(|page| page.rows() <= ROWS));
        }
        assert!(self.give(Input::Room(admin)).is_empty(), "nobody wants room any more");
        self.give(Input::Closed(admin, CloseReason::Peer));
        self.engine.check();
        pages
    }
}

fn whole(pages: Vec<Report>) -> Report {
    let mut pages = pages.into_iter();
    let mut all = pages.next().unwrap();
    pages.for_each(|page| all.append(page));
    all
}

#[test]
fn lists_of_jobs_and_functions_come_in_pages() {
    let mut world = World::new(|_| {});
    let client = world.open();
    for number in 0..3000 {
        world.submit(client, &format!("f{:04}", number * 7 % 1500), &format!("u{number}"), true);
    }
    for query in [Query::Jobs, Query::UniqueJobs, Query::JobsWithWorkers] {
        let pages = world.pages(query.clone());
        assert!(pages.len() > 3000 / ROWS, "{query:?} in {} pages", pages.len());
        let numbers: Vec<u64> = match whole(pages) {
            Report::Jobs(rows) => rows.iter().map(|row| row.job.number()).collect(),
            Report::Involved(rows) => rows.iter().map(|row| row.job.number()).collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(numbers.len(), 3000);
        assert!(numbers.is_sorted_by(|one, next| one < next));
    }
    for query in [Query::Status, Query::PriorityStatus] {
        let pages = world.pages(query.clone());
        assert!(pages.len() > 1500 / ROWS, "{query:?} in {} pages", pages.len());
        let Report::Functions(rows) = whole(pages) else { panic!("functions") };
        assert_eq!(rows.len(), 1500);
        assert!(rows.is_sorted_by(|one, next| one.function < next.function));
        assert!(rows.iter().all(|row| row.queued == [0, 2, 0]));
    }
}

/// A list that begins behind a place is the end of the whole list, from there on.
#[test]
fn a_list_may_begin_anywhere() {
    let mut world = World::new(|_| {});
    let client = world.open();
    for number in 0..600 {
        world.submit(client, &format!("f{number:04}"), &format!("u{number}"), true);
    }
    let Report::Functions(functions) = whole(world.pages(Query::Status)) else { panic!("functions") };
    let Report::Jobs(jobs) = whole(world.pages(Query::Jobs)) else { panic!("jobs") };
    for at in [0, 1, 255, 256, 500, 599] {
        let mark = ListMark::Function(functions[at].function.clone());
        let behind = whole(world.pages_behind(Query::Status, mark));
        assert_eq!(behind, Report::Functions(functions[at + 1..].to_vec()), "{at}");
        let behind = whole(world.pages_behind(Query::Jobs, ListMark::Job(jobs[at].job)));
        assert_eq!(behind, Report::Jobs(jobs[at + 1..].to_vec()), "{at}");
    }
    // A place of another list is any place.
    let session = client;
    for mark in [ListMark::Job(jobs[0].job), ListMark::Waiting { session, job: None, times: 0 }] {
        whole(world.pages_behind(Query::Status, mark.clone()));
        whole(world.pages_behind(Query::Workers, mark.clone()));
        whole(world.pages_behind(Query::ClientsWithJobs, mark));
    }
}

/// An observer asks like anybody; nobody asks it, and no report tells of its sessions.
#[test]
fn observers_ask_and_are_not_asked() {
    let topology = Topology::new(2).with_guests(1).with_observers(1);
    let mut cluster = Cluster::of(topology, Policy::new(HandlePrefix::new(b"H").unwrap()));
    let sessions: Vec<SessionId> = (0..4).map(|home| cluster.open(ShardId(home))).collect();
    cluster.request(sessions[0], submit(b"f", b"u", false));
    cluster.request(sessions[2], submit(b"g", b"u", false));
    cluster.run_until_quiet();
    for asker in [sessions[1], sessions[3]] {
        let mut ask = |query: Query| {
            cluster.query(asker, query);
            // Nobody asks it anything.
            assert!(cluster.pairs().iter().all(|&(_, to)| to != ShardId(3) || asker == sessions[3]));
            cluster.run_until_quiet();
            let Some(Reply::Report(report)) = cluster.replies(asker).pop() else { panic!("a report") };
            report.1
        };
        let Report::Workers(workers) = ask(Query::Workers) else { panic!("workers") };
        let told: Vec<SessionId> = workers.iter().map(|row| row.session).collect();
        assert_eq!(told, sessions[..3]);
        let Report::Waiting(rows) = ask(Query::ClientsWithJobs) else { panic!("clients") };
        assert_eq!(rows.len(), 3 + 2);
        let Report::Counters(counters) = ask(Query::Counters) else { panic!("counters") };
        assert_eq!((counters.sessions, counters.jobs), (3, 2));
        let Report::Functions(functions) = ask(Query::Status) else { panic!("functions") };
        assert_eq!(functions.len(), 2);
    }
    cluster.check();
}

/// Sessions of several shards, more than a page of each: those of one shard come before those of the next.
#[test]
fn many_clients_of_several_shards_are_all_told() {
    for shards in [2, 3] {
        let mut cluster = Cluster::new(shards, Policy::new(HandlePrefix::new(b"H").unwrap()));
        let all: Vec<SessionId> = (0..900).map(|number| cluster.open(ShardId(number % shards))).collect();
        cluster.query(all[0], Query::ClientsWithJobs);
        cluster.run_until_quiet();
        let Some(Reply::Report(report)) = cluster.replies(all[0]).pop() else { panic!("a report") };
        let Report::Waiting(rows) = report.1 else { panic!("clients") };
        assert_eq!(rows.len(), all.len(), "{shards} shards");
    }
}

/// Nobody looks at the living to find the dead.
#[test]
fn few_dead_among_many_living_are_found_at_once() {
    let mut world = World::new(|policy| policy.attempts = std::num::NonZeroU8::new(1));
    let (client, worker) = (world.open(), world.open());
    world.submit(client, "dead", "d1", true);
    for number in 0..10_000 {
        world.submit(client, "f", &number.to_string(), true);
    }
    world.submit(client, "dead", "d2", true);
    world.give(Input::Request(worker, Request::CanDo { function: b"dead" }));
    (0..2).for_each(|_| drop(world.give(Input::Request(worker, Request::Grab(GrabKind::Plain)))));
    world.give(Input::Closed(worker, CloseReason::Peer));
    let of = |name: &'static str| Query::DeadJobsOf { function: name.into() };
    for (query, rows) in [(Query::DeadJobs, 2), (of("dead"), 2), (of("f"), 0), (of("g"), 0)] {
        let pages = world.pages(query.clone());
        assert_eq!((pages.len(), whole(pages).rows()), (1, rows), "{query:?}");
    }
}

/// Whoever looks for jobs among all of them looks at so many in one event, and is told of those alone.
#[test]
fn some_jobs_are_sought_among_all_step_by_step() {
    let mut world = World::new(|_| {});
    let (client, worker) = (world.open(), world.open());
    for number in 0..10_000 {
        world.submit(
            client,
            if number % 5000 == 7 { "rare" } else { "f" },
            &format!("u{}", number % 9_999),
            true,
        );
    }
    world.give(Input::Request(worker, Request::CanDo { function: b"rare" }));
    world.give(Input::Request(worker, Request::Grab(GrabKind::Plain)));
    let like = |function: Option<&'static str>, unique: Option<&'static str>, running| {
        let (function, unique) = (function.map(Into::into), unique.map(Into::into));
        Query::JobsLike(Box::new(JobsWanted { function, unique, running }))
    };
    for (query, rows) in [
        (like(Some("rare"), None, None), 2),
        (like(Some("rare"), None, Some(true)), 1),
        (like(Some("rare"), None, Some(false)), 1),
        (like(None, Some("u0"), None), 1),
        (like(Some("rare"), Some("u7"), None), 1),
        (like(Some("f"), Some("u7"), None), 0),
        (like(None, None, Some(true)), 1),
    ] {
        let pages = world.pages(query.clone());
        let steps = pages.len();
        assert!((3..=4).contains(&steps), "10,000 jobs in {steps} events: {query:?}");
        assert_eq!(whole(pages).rows(), rows, "{query:?}");
    }
    let pages = world.pages(like(Some("f"), None, None));
    // Two are of the other function, and two are one job.
    assert!(pages.len() > 9_997 / ROWS, "no more than a page at once");
    assert_eq!(whole(pages).rows(), 9_997);
    for nobody in ["none", "worker"] {
        assert_eq!(world.pages(like(Some(nobody), None, None)).len(), 1, "nothing is looked at");
    }
}

/// Dead jobs are told by number whatever the order in which they died, and no more than a page in one event.
#[test]
fn many_dead_jobs_come_in_pages_of_one_function_or_all() {
    let mut world = World::new(|policy| policy.attempts = std::num::NonZeroU8::new(1));
    let client = world.open();
    for number in 0..2000 {
        world.submit(client, if number % 4 == 0 { "some" } else { "others" }, &number.to_string(), true);
    }
    for function in [b"others" as &[u8], b"some"] {
        let worker = world.open();
        world.give(Input::Request(worker, Request::CanDo { function }));
        (0..1500).for_each(|_| drop(world.give(Input::Request(worker, Request::Grab(GrabKind::Plain)))));
        world.give(Input::Closed(worker, CloseReason::Peer));
        (0..2000).for_each(|_| drop(world.give(Input::Tick)));
    }
    for (query, count) in [(Query::DeadJobs, 2000), (Query::DeadJobsOf { function: "some".into() }, 500)] {
        let pages = world.pages(query.clone());
        assert!(pages.len() > count / ROWS, "{query:?}");
        let Report::DeadJobs(rows) = whole(pages) else { panic!("dead jobs") };
        assert!(rows.is_sorted_by(|one, next| one.job < next.job) && rows.len() == count, "{}", rows.len());
        let behind = world.pages_behind(query, ListMark::Job(rows[count / 2].job));
        assert_eq!(whole(behind), Report::DeadJobs(rows[count / 2 + 1..].to_vec()));
    }
}

#[test]
fn long_names_make_short_pages() {
    let mut world = World::new(|_| {});
    let admin = world.open();
    for number in 0..300 {
        let function = format!("{}{number:03}", "x".repeat(8000)).into();
        world.give(Input::Ask(admin, Order::CreateFunction { function }.into()));
    }
    let pages = world.pages(Query::Status);
    assert!(pages.iter().all(|page| page.rows() <= 10), "at most 64 KiB and one row");
    assert_eq!(whole(pages).rows(), 300);
}

#[test]
fn a_worker_with_many_functions_comes_in_pieces() {
    let mut world = World::new(|_| {});
    let worker = world.open();
    for number in 0..5000 {
        let name = format!("f{number}");
        world.give(Input::Request(worker, Request::CanDo { function: name.as_bytes() }));
    }
    let pages = world.pages(Query::Workers);
    assert!(pages.len() >= 5, "5,000 names in {} events", pages.len());
    let Report::Workers(rows) = whole(pages) else { panic!("workers") };
    assert_eq!(rows.len(), 2, "the worker, and who asks");
    let names: Vec<String> = (0..5000).rev().map(|number| format!("f{number}")).collect();
    assert!(rows[0].functions.iter().eq(names.iter().map(String::as_bytes)));
}

#[test]
fn a_client_that_waits_for_one_job_many_times_comes_in_pieces() {
    let mut world = World::new(|policy| policy.requests_in_flight = 4096);
    let client = world.open();
    for number in 0..1000 {
        world.submit(client, "f", "same", false);
        world.submit(client, "f", &format!("u{number}"), false);
    }
    let pages = world.pages(Query::ClientsWithJobs);
    let lines = |page: &Report| {
        let Report::Waiting(rows) = page else { panic!("{page:?}") };
        let times = |row: &WaitingRow| if let Waits::Job { times, .. } = row.what { times } else { 1 };
        rows.iter().map(times).sum::<u32>()
    };
    assert!(pages.iter().all(|page| lines(page) <= 2 * ROWS as u32));
    assert_eq!(pages.iter().map(lines).sum::<u32>(), 2000 + 2, "both sessions, and each submission");
    let jobs = world.pages(Query::JobsWithWorkers);
    let Report::Involved(rows) = whole(jobs) else { panic!("jobs") };
    assert!(matches!(&rows[0], InvolvedJob { clients: 1000, .. }) && rows.len() == 1001);
}

/// A page of a function's other spellings is a page, too.
#[test]
fn dropping_in_any_case_looks_at_so_many_functions_at_once() {
    let mut world = World::new(|_| {});
    let admin = world.open();
    for number in 0..5000 {
        world.give(Input::Ask(admin, Order::CreateFunction { function: format!("f{number}").into() }.into()));
    }
    let pages = world.pages(Order::DropFunction { function: "F77".into() });
    assert!(pages.len() >= 5, "5,000 functions in {} events", pages.len());
    assert_eq!(whole(pages).rows(), 1);
    assert_eq!(whole(world.pages(Order::DropFunction { function: "F77".into() })).rows(), 0);
}

#[test]
fn a_survey_ends_with_its_session() {
    let mut world = World::new(|_| {});
    let client = world.open();
    (0..1000).for_each(|number| world.submit(client, "f", &number.to_string(), true));
    for rooms in 0..4 {
        let admin = world.open();
        world.give(Input::Ask(admin, Query::Jobs.into()));
        (0..rooms).for_each(|_| drop(world.give(Input::Room(admin))));
        assert!(world.give(Input::Closed(admin, CloseReason::Peer)).is_empty());
        assert!(world.give(Input::Room(admin)).is_empty());
        world.engine.check();
    }
}

/// Rows of several shards come in one order, and what waits between shards is bounded by pages.
#[test]
fn pages_of_several_shards_merge() {
    for shards in [2, 3, 7] {
        let mut cluster =
            Cluster::new(shards, Policy::new(HandlePrefix::new(b"H").unwrap())).with_capacity(1);
        let client = cluster.open(ShardId(1));
        let other = cluster.open(ShardId(0));
        for number in 0..1500 {
            let (function, unique) = (format!("f{}", number % 100), format!("u{number}"));
            cluster.request(client, submit(function.as_bytes(), unique.as_bytes(), false));
            if number % 10 == 0 {
                cluster.request(other, submit(function.as_bytes(), unique.as_bytes(), false));
            }
            cluster.run_until_quiet();
        }
        let admin = cluster.open(ShardId(1));
        let mut ask = |query: Query| {
            cluster.query(admin, query);
            cluster.run_until_quiet();
            let most = cluster.topology().homes().map(|shard| cluster.engine(shard).outbox_bytes()).max();
            assert_eq!(most, Some(0));
            let Some(Reply::Report(report)) = cluster.replies(admin).pop() else { panic!("a report") };
            report.1
        };
        let Report::Jobs(jobs) = ask(Query::Jobs) else { panic!("jobs") };
        assert_eq!(jobs.len(), 1500);
        assert!(jobs.is_sorted_by(|one, next| one.job.number() < next.job.number()));
        let Report::Functions(functions) = ask(Query::Status) else { panic!("functions") };
        assert_eq!(functions.len(), 100);
        assert!(functions.is_sorted_by(|one, next| one.function < next.function));
        let Report::Workers(workers) = ask(Query::Workers) else { panic!("workers") };
        assert_eq!(workers.len(), 3);
        let Report::Waiting(rows) = ask(Query::ClientsWithJobs) else { panic!("clients") };
        let clients: Vec<SessionId> =
            rows.iter().filter(|row| matches!(row.what, Waits::Session(_))).map(|row| row.session).collect();
        assert_eq!(clients, [other, client, admin]);
        assert_eq!(rows.len(), 3 + 1500 + 150);
        assert!(rows.is_sorted_by(|one, next| one.session <= next.session));
        cluster.check();
    }
}
