//! Short stories of workers that come too late: what they say after their time limit, and who goes in the place of one
//! that was woken and takes something else.
use crate::directed::{Story, function_of, policy, submission};
use crate::stored::report;
use crate::workload::handle;
use bytes::Bytes;
use ringgear_engine::{JobId, Policy, Query, Reply, Report, SessionId, Wakeup, Work};
use ringgear_protocol::{GrabKind, Refusal, Request};
use std::num::NonZeroU8;
use std::time::Duration;

/// A client's job, which a worker holds whose time is up.
fn overdue(story: &mut Story, client: SessionId, worker: SessionId) -> JobId {
    story.ask(worker, Request::CanDoTimeout { function: b"f", timeout: b"1000" });
    let job = story.submit(client, b"f", b"u");
    assert_eq!(story.assigned(worker).job, job);
    story.0.pass(Duration::from_secs(2));
    // Whatever happens, the time is seen to be up.
    story.ask(worker, Request::EchoReq { data: b"" });
    job
}

fn counted(story: &mut Story, session: SessionId) -> [u64; 4] {
    let Report::Counters(counters) = report(story, session, Query::Counters) else { panic!("counters") };
    [counters.results_late_taken, counters.results_late, counters.results_unknown, counters.jobs_completed]
}

#[test]
fn a_late_result_is_taken_while_nobody_else_has_had_the_job() {
    for shards in [1, 2, 7] {
        let mut story = Story::new(shards, policy());
        let [client, worker, admin] = [0; 3].map(|shard| story.open(shard));
        let job = overdue(&mut story, client, worker);
        let text = || Bytes::from_static(b"late");
        let late = story.ask(worker, Request::WorkData { handle: &handle(job), data: b"late" });
        assert_eq!((late, story.told(client)), (vec![], vec![Reply::Work(job, Work::Data(text()))]));
        let late = story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"late" });
        assert_eq!((late, story.told(client)), (vec![], vec![Reply::Work(job, Work::Complete(text()))]));
        // It has ended: nobody gets it, and what is said once more is ignored.
        assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
        assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" }), []);
        assert_eq!(counted(&mut story, admin), [2, 1, 0, 1], "{shards} shards");
    }
}

#[test]
fn a_late_result_is_ignored_once_somebody_else_has_the_job() {
    for shards in [1, 2, 7] {
        let mut story = Story::new(shards, policy());
        let [client, worker, other, admin] = [0; 4].map(|shard| story.open(shard));
        let job = overdue(&mut story, client, worker);
        story.ask(other, Request::CanDo { function: b"f" });
        assert_eq!(story.assigned(other).job, job);
        assert_eq!(story.ask(worker, Request::WorkFail { handle: &handle(job) }), []);
        assert_eq!(story.told(client), []);
        // It had the job last, and lost it otherwise: nobody's late word is taken now, and its own is refused.
        story.ask(other, Request::CantDo { function: b"f" });
        assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" }), []);
        let refused = [Reply::Error(Refusal::ResultForUnknownJob)];
        assert_eq!(story.ask(other, Request::WorkComplete { handle: &handle(job), result: b"" }), refused);
        assert_eq!(counted(&mut story, admin), [0, 2, 1, 0], "{shards} shards");
        assert_eq!(story.assigned(worker).job, job);
        story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" });
        assert_eq!(story.told(client).len(), 1);
    }
}

#[test]
fn a_late_result_of_a_job_that_is_out_of_attempts_is_ignored() {
    let mut story = Story::new(1, Policy { attempts: NonZeroU8::new(1), ..policy() });
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    let job = overdue(&mut story, client, worker);
    assert_eq!(story.told(client), [Reply::Work(job, Work::Fail)]);
    assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" }), []);
    assert_eq!(story.told(client), []);
}

#[test]
fn without_a_memory_a_late_result_is_refused() {
    let mut story = Story::new(1, Policy { finished_memory: 0, ..policy() });
    let [client, worker] = [0; 2].map(|shard| story.open(shard));
    let job = overdue(&mut story, client, worker);
    let refused = [Reply::Error(Refusal::ResultForUnknownJob)];
    assert_eq!(story.ask(worker, Request::WorkComplete { handle: &handle(job), result: b"" }), refused);
}

/// It knows functions of two shards, is woken for the one and takes a job of the other.
#[test]
fn a_woken_worker_that_takes_something_else_is_replaced() {
    for shards in [1, 2, 7] {
        let mut story = Story::new(shards, Policy { wakeup: Wakeup::AtMost(NonZeroU8::MIN), ..policy() });
        let [client, first, second] = [0; 3].map(|shard| story.open(shard));
        let (near, far) = (function_of(shards, 0), function_of(shards, shards - 1));
        let far = if shards == 1 { "other".to_owned() } else { far };
        for function in [&far, &near] {
            story.ask(first, Request::CanDo { function: function.as_bytes() });
        }
        story.ask(second, Request::CanDo { function: far.as_bytes() });
        for worker in [first, second] {
            assert_eq!(story.ask(worker, Request::Grab(GrabKind::Plain)), [Reply::NoJob]);
            assert_eq!(story.ask(worker, Request::PreSleep), []);
        }
        let wanted = story.submit(client, far.as_bytes(), b"");
        let taken = story.submit(client, near.as_bytes(), b"");
        assert_eq!((story.told(first), story.told(second)), (vec![Reply::Noop], vec![]));
        assert_eq!(story.assigned(first).job, taken);
        assert_eq!(story.told(second), [Reply::Noop], "{shards} shards");
        assert_eq!(story.assigned(second).job, wanted);
    }
}

/// Woken, it goes to sleep again without a look, and is woken for something else.
#[test]
fn a_woken_worker_that_goes_on_sleeping_is_replaced() {
    for shards in [1, 2, 7] {
        let mut story = Story::new(shards, Policy { wakeup: Wakeup::AtMost(NonZeroU8::MIN), ..policy() });
        let [client, first, second] = [0; 3].map(|shard| story.open(shard));
        story.ask(first, Request::CanDo { function: b"f" });
        story.ask(first, Request::CanDo { function: b"g" });
        story.ask(second, Request::CanDo { function: b"f" });
        story.ask(first, Request::PreSleep);
        story.ask(second, Request::PreSleep);
        story.ask(client, submission(b"f", b""));
        story.ask(client, submission(b"g", b""));
        assert_eq!((story.told(first), story.told(second)), (vec![Reply::Noop], vec![]));
        assert_eq!(story.ask(first, Request::PreSleep), [Reply::Noop]);
        assert!(matches!(story.ask(first, Request::Grab(GrabKind::Plain))[..], [Reply::Assigned(_)]));
        assert_eq!(story.told(second), [Reply::Noop], "{shards} shards");
    }
}
