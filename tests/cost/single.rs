//! What is told of one job, and that a dropped function takes along what waits for the store: nothing is sought for long.
use crate::alone::{NOW, ask, engine, go_on, open, outputs, submission};
use ringgear_engine::report::{JobFacts, JobPhase};
use ringgear_engine::{Engine, HandlePrefix, Input, JobId, Order, Output, Query, Reply, Report, SessionId};
use ringgear_protocol::{Priority, Request, Submit};

fn report(engine: &mut Engine, admin: SessionId, ask: impl Into<ringgear_engine::Ask>) -> Option<Report> {
    engine.handle(NOW, Input::Ask(admin, ask.into()));
    // Some answers end with another part.
    engine.handle(NOW, Input::Room(admin));
    outputs(engine).into_iter().find_map(|output| match output {
        Output::Reply(_, Reply::Report(report)) => Some(report.1),
        _ => None,
    })
}

fn created(out: &[Output]) -> JobId {
    let job = out.iter().find_map(|output| match output {
        Output::Reply(_, Reply::JobCreated(job)) => Some(*job),
        _ => None,
    });
    job.expect("a job was created")
}

fn facts(engine: &mut Engine, admin: SessionId, job: JobId) -> Option<Box<JobFacts>> {
    // The prefix of these engines.
    let handle = HandlePrefix::new(b"H:alone").unwrap().handle(job).to_vec();
    match report(engine, admin, Query::Job { handle: handle.into() }) {
        Some(Report::Job(facts)) => Some(facts),
        Some(Report::UnknownJob) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_is_told_with_its_place_until_its_function_is_dropped() {
    let (mut engine, client) =
        engine(1, |policy| policy.handle_prefix = HandlePrefix::new(b"H:alone").unwrap());
    let admin = open(&mut engine, 7);
    let submit = |engine: &mut Engine, priority| {
        created(&ask(engine, client, Request::Submit(Submit { priority, ..submission(b"f", b"", true) })))
    };
    let many: Vec<JobId> = (0..5000).map(|_| submit(&mut engine, Priority::Normal)).collect();
    let urgent = submit(&mut engine, Priority::High);
    let mut place = |job| facts(&mut engine, admin, job).map(|facts| (facts.job, facts.phase));
    let queued = |before, more_urgent| JobPhase::Queued { waited_ms: 0, before, more_urgent };
    assert_eq!(place(many[0]), Some((many[0], queued(Some(0), 1))));
    assert_eq!(place(many[9]), Some((many[9], queued(Some(9), 1))));
    assert_eq!(place(many[4999]), Some((many[4999], queued(None, 1))), "nobody counts that far");
    assert_eq!(place(urgent), Some((urgent, queued(Some(0), 0))));
    // It ends job by job, and none of them is there any more.
    report(&mut engine, admin, Order::DropFunction { function: "f".into() });
    assert!(engine.jobs() > 1000, "{} jobs are left to be put away", engine.jobs());
    assert_eq!(facts(&mut engine, admin, many[4999]), None);
    go_on(&mut engine);
    assert_eq!(engine.jobs(), 0);
}

#[test]
fn jobs_that_wait_for_the_store_end_with_their_function() {
    let (mut engine, client) = engine(1, |policy| policy.store = true);
    let admin = open(&mut engine, 7);
    for function in [b"f", b"g"] {
        for _ in 0..500 {
            ask(&mut engine, client, Request::Submit(submission(function, b"", true)));
        }
    }
    report(&mut engine, admin, Order::DropFunction { function: "f".into() });
    go_on(&mut engine);
    assert_eq!(engine.jobs(), 500, "those of the other function");
    engine.check();
}
